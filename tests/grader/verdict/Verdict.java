package grader.verdict;

import grader.repo.Exercise;
import grader.repo.Progress;
import grader.client.Failure;
import java.util.List;

/// What the grader found out about one submission.
///
/// @param file the submission
/// @param trouble why nothing could be decided, or null: it does not compile, is never ready, ...
/// @param note something else to know, or null: a file changed while it was graded
/// @param results one for each requirement, in order
/// @param todos those of the submission's text
/// @param ms how long it took
public record Verdict(Exercise exercise, String file, long seed, String trouble,
        String note, List<Result> results, List<Exercise.Todo> todos, long ms) {
    /// @param passed only what was seen to hold
    /// @param failure what went wrong, or null
    public record Result(String id, String sentence, int points, int todo,
            boolean passed,
            Failure failure) {
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
