import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// A class whose tests go over the list of lessons, so that they prove a new one as well: what
/// `./jbang verify 05` runs beside the lesson's own tests.
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@interface EachLesson {
}
