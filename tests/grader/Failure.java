package grader;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A requirement that does not hold, told so that its author can see it and repeat it. It has no
/// stack trace: the lines that matter are the learner's.
public final class Failure extends AssertionError {
    private static final long serialVersionUID = 1;

    private static final Pattern OPEN = Pattern.compile("TODO (\\d) is still open\\.");

    /// What was sent, step by step: lines for a shell, or frames.
    public final transient List<String> sent;
    public final String expected;
    /// What came back, as it came; lines end with LF.
    public final String got;
    /// Where in `got` the first difference is, or -1.
    public final int caret;
    /// The likely cause, in a sentence.
    public final String likely;

    public Failure(List<String> sent, String expected, String got, int caret,
            String likely) {
        super("expected " + expected + " but got " + got);
        this.sent = List.copyOf(sent);
        this.expected = expected;
        this.got = got;
        this.caret = caret;
        this.likely = likely;
    }

    @Override
    public Throwable fillInStackTrace() {
        return this;
    }

    /// The likely cause where a program has said that this TODO is not done yet.
    static String stillOpen(String todo) {
        return "TODO " + todo + " is still open.";
    }

    /// The TODO that is still open and is the likely cause, or 0.
    int openTodo() {
        Matcher open = OPEN.matcher(likely);
        return open.matches() ? Integer.parseInt(open.group(1)) : 0;
    }

    /// The index of the first character in which `got` differs from `expected`, or -1.
    public static int difference(String expected, String got) {
        int end = Math.min(expected.length(), got.length());
        for (int i = 0; i < end; i++) {
            if (expected.charAt(i) != got.charAt(i)) return i;
        }
        return expected.length() == got.length() ? -1 : end;
    }
}
