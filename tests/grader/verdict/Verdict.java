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
/// @param state of the learner's files when they were graded, or null where others were
public record Verdict(Exercise exercise, String learner, String file, long seed,
        String trouble,
        String note, List<Result> results, List<Exercise.Todo> todos, long ms,
        String state) {
    /// @param passed only what was seen to hold
    /// @param failure what went wrong, or null
    public record Result(String id, String sentence, int points, int todo,
            boolean passed,
            Failure failure) {
        /// Does it fail because a TODO is open?
        public boolean isOpen() {
            return failure != null && failure.openTodo > 0;
        }
    }

    /// Of a learner in a class who has handed in nothing, or the untouched exercise.
    ///
    /// @param why which of the two
    public static Verdict missing(Exercise exercise, List<Result> undecided,
            String why) {
        return new Verdict(exercise, null, null, 0, null, why, undecided, List.of(),
                0, null);
    }

    /// Of a learner in a class whose file is not where it ought to be.
    public static Verdict misplaced(Exercise exercise, List<Result> undecided,
            String file, String trouble) {
        return new Verdict(exercise, null, file, 0, trouble, null, undecided,
                List.of(), 0, null);
    }

    public boolean isMissing() {
        return file == null;
    }

    public Verdict of(String learner) {
        return new Verdict(exercise, learner, file, seed, trouble, note, results, todos,
                ms, state);
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

    /// The failing requirement to look at first: what does not work before what is not written yet,
    /// and this in the order of the TODOs. Null where all hold, or nothing could be decided.
    public Result next() {
        List<Result> failing = trouble != null ? List.of()
                : results.stream().filter(each -> !each.passed()).toList();
        int todo = firstOpen();
        return failing.stream().filter(each -> !each.isOpen()).findFirst()
                .or(() -> failing.stream().filter(each -> each.todo() == todo)
                        .findFirst())
                .or(() -> failing.stream().findFirst()).orElse(null);
    }

    /// The number of the first TODO that is open, or 0.
    public int firstOpen() {
        return todos.stream().filter(Exercise.Todo::open).map(Exercise.Todo::number)
                .findFirst().orElse(0);
    }

    /// Notes in the learner's progress what was found.
    public void keep() {
        Progress.note(exercise, passed(), earned(), points(),
                next() == null ? null : next().id(), trouble == null ? state : null);
    }
}
