package shared;

import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What a program and the grader that runs it have agreed on.
public final class Graded {
    /// The environment variable that says who runs the program. Its value comes back in
    /// [#RUN_HEADER], so the grader knows its own program, whatever port it says.
    public static final String RUN = "ON_THE_WIRE_RUN";

    /// Of every answer, where [#RUN] is set: its value, a space, and the name of the I/O thread
    /// that the connection belongs to.
    public static final String RUN_HEADER = "On-The-Wire-Run";

    /// The environment variable with the port to which [Pause] connects.
    public static final String PAUSES = "ON_THE_WIRE_PAUSES";

    /// Of a request, where [#RUN] is set: how many steps of the learner's code from now on, on
    /// this thread, is the one at which [Pause#step] is a place, [#STEP].
    public static final String STEP_HEADER = "On-The-Wire-Step";
    public static final String STEP = "step";

    private static final String FAULT = "500 ";
    private static final Pattern TODO =
            Pattern.compile("TODO (\\d+) is not done yet\\.");

    private Graded() {}

    /// The line on standard error that tells of an exception in a handler, and where in the
    /// lesson or exercise it comes from.
    public static String fault(String what, Throwable thrown) {
        return FAULT + what + ": " + thrown + Arrays.stream(thrown.getStackTrace())
                .filter(each -> (each.getFileName() + "").matches("\\d\\d_\\w+\\.java"))
                .map(each -> " (" + each.getFileName() + ":" + each.getLineNumber()
                        + ")")
                .findFirst().orElse("");
    }

    /// The place in a file that a sentence about an exception names, such as `:152`, or null.
    public static String placeIn(String said, String file) {
        Matcher place = Pattern.compile("\\(" + Pattern.quote(file) + "(:\\d+)\\)")
                .matcher(said);
        return place.find() ? place.group(1) : null;
    }

    /// What a line on standard error tells of an exception in a handler, or null.
    public static String faultIn(String line) {
        return line.startsWith(FAULT) ? line.substring(FAULT.length()).strip() : null;
    }

    /// What a program says where the code of a TODO is not written yet.
    static String todo(int number) {
        return "TODO " + number + " is not done yet.";
    }

    /// The number of the TODO that an answer or a message names as not done yet, or 0.
    public static int todoIn(String said) {
        Matcher todo = TODO.matcher(said);
        return todo.find() ? Integer.parseInt(todo.group(1)) : 0;
    }
}
