package grader.requirement;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// An exercise whose grading mostly waits: its classes of requirements are decided at the same
/// time, each with a process of its own, which its requirements start themselves, with the settings
/// that they need. Elsewhere all share one process and come in turn, since one more program takes
/// more of two cores than it saves.
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
public @interface SideBySide {
}
