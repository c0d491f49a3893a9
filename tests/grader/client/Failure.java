package grader.client;

import java.util.List;

/// A requirement that does not hold, told so that its author can see it and repeat it. It has no
/// stack trace: the lines that matter are the learner's.
public final class Failure extends AssertionError {
    private static final long serialVersionUID = 1;

    /// What was sent, step by step: lines for a shell, or frames.
    public final transient List<String> sent;
    public final String expected;
    /// What came back, as it came; lines end with LF.
    public final String got;
    /// Where in `got` the first difference is, or -1.
    public final int caret;
    /// The likely cause, in a sentence.
    public final String likely;
    /// The TODO that is still open and is the likely cause, or 0.
    public final int openTodo;

    public Failure(List<String> sent, String expected, String got, int caret,
            String likely) {
        this(sent, expected, got, caret, likely, 0);
    }

    private Failure(List<String> sent, String expected, String got, int caret,
            String likely, int openTodo) {
        super("expected " + expected + " but got " + got);
        this.sent = List.copyOf(sent);
        this.expected = expected;
        this.got = got;
        this.caret = caret;
        this.likely = likely;
        this.openTodo = openTodo;
    }

    @Override
    public Throwable fillInStackTrace() {
        return this;
    }

    /// A requirement that cannot hold yet, as a TODO is not done.
    public static Failure stillOpen(int todo, List<String> sent, String expected,
            String got, int caret) {
        return new Failure(sent, expected, got, caret,
                "TODO " + todo + " is still open.", todo);
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
