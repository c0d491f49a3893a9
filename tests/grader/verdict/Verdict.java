package grader.verdict;

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.repo.Progress;
import grader.client.Failure;
import java.nio.file.Path;
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

    /// The verdict of a file that nobody has worked on: every TODO is open. Known without a run.
    public static Verdict untouched(Exercise exercise, Path file) {
        List<Result> results = Grading.undecided(exercise).stream()
                .map(each -> new Result(each.id, each.sentence, each.points, each.todo,
                        false,
                        Failure.stillOpen(each.todo, List.of(), "code", "none", -1)))
                .toList();
        return new Verdict(exercise, Repo.shown(file), 0, null, null, results,
                Exercise.todos(Repo.read(file)), 0);
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
