package grader.requirement;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Test;

/// A test that decides about one requirement of an exercise. Its sentence is its `@DisplayName`.
@Test
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
public @interface Requirement {
    /// The exercise's number, a dot, and a number from 1: `01.2`.
    String id();

    int points();

    /// The TODO to look at where it does not hold, unless a check names its own.
    int todo();
}
