package grader.verdict;

import grader.repo.Exercise;
import grader.repo.Progress;
import grader.client.Failure;
import java.util.List;

/// What the grader found out about one submission.
///
/// @param learner whose it is in a class, or null
/// @param file the submission, or null where there is none
/// @param trouble why nothing could be decided, or null: it does not compile, is never ready, ...
/// @param note something else to know, or null: a file changed while it was graded, ...
/// @param results one for each requirement, in order
/// @param todos those of the submission's text
/// @param ms how long it took
public record Verdict(Exercise exercise, String learner, String file, long seed,
        String trouble,
        String note, List<Result> results, List<Exercise.Todo> todos, long ms) {
    /// @param passed only what was seen to hold
    /// @param failure what went wrong, or null
    public record Result(String id, String sentence, int points, int todo,
            boolean passed,
            Failure failure) {
    }

    /// Of a learner in a class who has handed in nothing, or the untouched exercise.
    public static Verdict missing(Exercise exercise, List<Result> undecided) {
        return new Verdict(exercise, null, null, 0, null, null, undecided, List.of(),
                0);
    }

    public boolean isMissing() {
        return file == null;
    }

    public Verdict of(String learner) {
        return new Verdict(exercise, learner, file, seed, trouble, note, results, todos,
                ms);
    }

    public boolean passed() {
        return trouble == null && !results.isEmpty()
                && results.stream().allMatch(Result::passed);
    }

    public int earned() {
        return trouble != null ? 0
                : results.stream().filter(Result::passed).mapToInt(Result::points)
                        .sum();
    }

    public int points() {
        return results.stream().mapToInt(Result::points).sum();
    }

    /// Notes in the learner's progress what was found.
    public void keep() {
        Progress.note(exercise, passed(), earned(), points());
    }
}
