import static org.junit.jupiter.api.Assertions.assertEquals;

import grader.report.Report;
import grader.repo.Exercise;
import grader.repo.Repo;
import grader.verdict.Verdict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What learners get for each TODO, who do one after the other.
@DisplayName("The TODOs of an exercise")
@EachLesson
@Execution(ExecutionMode.CONCURRENT)
class TodosTest {
    private static final Map<String, List<Integer>> EARNED =
            new ConcurrentSkipListMap<>();

    @TempDir Path folder;

    @AfterAll
    static void counts() {
        Verify.note("points after each TODO: " + EARNED);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("each TODO that is done earns points, and is not blamed, while those after it are open")
    void earns(Exercise exercise) throws Exception {
        String text = exercise.untouched();
        List<Integer> earned = new ArrayList<>(List.of(0));
        EARNED.put(exercise.number(), earned);
        StringBuilder wrong = new StringBuilder();
        Verdict verdict = null;
        for (var hole : Exercise.holes(Repo.read(exercise.solution())).entrySet()) {
            text = Exercise.fill(text, hole.getKey(), hole.getValue());
            verdict = Submission.grade(exercise, text, folder,
                    ThreadLocalRandom.current().nextLong());
            int done = Integer.parseInt(hole.getKey());
            String blamed = verdict.results().stream().filter(each -> !each.passed()
                    && !each.isOpen() && each.todo() <= done).map(Verdict.Result::id)
                    .collect(Collectors.joining(" "));
            if (verdict.earned() <= earned.getLast() || !blamed.isEmpty()) {
                wrong.append("TODO ").append(done).append(" earns ")
                        .append(verdict.earned() - earned.getLast())
                        .append(", right code is blamed by ").append(blamed)
                        .append(", seed ").append(verdict.seed()).append('\n')
                        .append(new Report(false).whole(verdict)).append('\n');
            }
            earned.add(verdict.earned());
        }
        assertEquals("", wrong.toString(), "points after each TODO: " + earned);
        assertEquals(verdict.points(), earned.getLast(), "all are done: " + earned);
    }
}
