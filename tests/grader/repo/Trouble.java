package grader.repo;

/// Something that keeps the grader from its work, in one sentence for the person at the terminal.
public final class Trouble extends RuntimeException {
    private static final long serialVersionUID = 1;

    public Trouble(String sentence) {
        super(sentence, null, false, false);
    }
}
