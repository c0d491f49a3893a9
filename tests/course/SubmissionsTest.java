import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.report.Report;
import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What the grader says of submissions whose verdict is known.
@DisplayName("Known submissions")
@EachLesson
@Execution(ExecutionMode.CONCURRENT)
class SubmissionsTest {
    private static final Random SEEDS = new Random();
    private static final AtomicInteger CAUGHT = new AtomicInteger();
    private static final AtomicInteger ACCEPTED = new AtomicInteger();

    @TempDir Path folder;

    static List<Submission> wrong() {
        return ours("wrong").toList();
    }

    static List<Submission> right() {
        return ours("right").toList();
    }

    private static Stream<Submission> ours(String kind) {
        return Submission.all(kind).stream()
                .filter(each -> Verify.exercises().contains(each.exercise()));
    }

    @AfterAll
    static void counts() {
        int requirements = Verify.exercises().stream().mapToInt(
                each -> Grading.undecided(each).size()).sum();
        Verify.note(
                "%d requirements; %d of %d wrong submissions caught; %d of %d other right"
                        .formatted(requirements, CAUGHT.get(), wrong().size(),
                                ACCEPTED.get(),
                                right().size())
                        + " answers accepted");
    }

    private static String told(Verdict verdict) {
        return "seed " + verdict.seed() + "\n" + new Report(false).whole(verdict);
    }

    @ParameterizedTest(name = "untouched: {0}")
    @MethodSource("Verify#exercises")
    @DisplayName("an untouched exercise fails every requirement, each because of a TODO; one that runs holds without a fault")
    void untouched(Exercise exercise) throws IOException {
        Verdict verdict = Submission.grade(exercise, exercise.untouched(), folder,
                SEEDS.nextLong());
        assertEquals(null, verdict.trouble(), () -> told(verdict));
        boolean isWrong = exercise.isWrongAtFirst();
        for (var each : verdict.results()) {
            boolean isHealthy = isWrong && each.id().endsWith(".1");
            assertEquals(isHealthy, each.passed(), () -> told(verdict));
            assertTrue(isWrong || each.failure().openTodo > 0, () -> told(verdict));
        }
        String end = new Report(false).end(List.of(verdict), 0);
        assertTrue(end.contains("\nNext: " + Report.todo(verdict).split(": ")[0]), end);
    }

    @ParameterizedTest(name = "solution: {0}")
    @MethodSource("Verify#exercises")
    @DisplayName("a solution passes")
    void solution(Exercise exercise) {
        Verdict verdict = Grading.of(exercise, exercise.solution(), SEEDS.nextLong(),
                doing -> {});
        assertTrue(verdict.passed(), () -> told(verdict));
    }

    @ParameterizedTest(name = "wrong: {0}")
    @MethodSource("wrong")
    @DisplayName("a wrong submission fails just the requirements that it names")
    void wrong(Submission submission) throws IOException {
        Verdict verdict = submission.verdict(folder, WordingTest.seed(submission));
        assertEquals(null, verdict.trouble(), () -> told(verdict));
        assertEquals(submission.fails(), Submission.failed(verdict),
                () -> told(verdict));
        CAUGHT.incrementAndGet();
    }

    @ParameterizedTest(name = "right: {0}")
    @MethodSource("right")
    @DisplayName("another right answer passes")
    void right(Submission submission) throws IOException {
        Verdict verdict = submission.verdict(folder, WordingTest.seed(submission));
        assertTrue(verdict.passed(), () -> told(verdict));
        ACCEPTED.incrementAndGet();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("an exercise has 4 to 6 requirements and three other right answers, each requirement two wrong submissions and three hints")
    void enough(Exercise exercise) {
        var wrong = Submission.all("wrong").stream()
                .flatMap(each -> each.fails().stream())
                .collect(Collectors.groupingBy(id -> id, Collectors.counting()));
        long right = Submission.all("right").stream()
                .filter(each -> each.exercise().equals(exercise)).count();
        var results = Grading.undecided(exercise);
        List<Executable> wants = new ArrayList<>();
        wants.add(() -> assertTrue(right >= 3,
                right + " other right answers, and wants 3"));
        wants.add(() -> assertTrue(results.size() >= 4 && results.size() <= 6,
                results.size() + " requirements, and wants 4 to 6"));
        for (var result : results) {
            long caught = wrong.getOrDefault(result.id(), 0L);
            wants.add(() -> assertTrue(caught >= 2, result.id() + " has " + caught
                    + " wrong submissions, and wants 2"));
            wants.add(() -> assertEquals(3, exercise.hints(result.id()).size(),
                    "hints of " + result.id()));
        }
        assertAll(exercise + " has", wants);
    }
}
