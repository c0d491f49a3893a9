import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.Exercise;
import grader.Grading;
import grader.Report;
import grader.Verdict;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What the grader says of submissions whose verdict is known.
@DisplayName("Known submissions")
class SubmissionsTest {
    private static final Random SEEDS = new Random();

    @TempDir Path folder;

    static List<Exercise> exercises() {
        return Exercise.all();
    }

    static List<Submission> wrong() {
        return Submission.all("wrong");
    }

    static List<Submission> right() {
        return Submission.all("right");
    }

    private static int caught;
    private static int accepted;

    @AfterAll
    static void counts() {
        int requirements = Exercise.all().stream().mapToInt(
                each -> Grading.undecided(each).size()).sum();
        System.out.printf("%n  %d requirements; %d of %d wrong submissions caught;"
                + " %d of %d other right answers accepted%n", requirements, caught,
                wrong().size(), accepted, right().size());
    }

    private static String told(Verdict verdict) {
        return "seed " + verdict.seed() + "\n" + new Report(false).whole(verdict);
    }

    @ParameterizedTest(name = "untouched: {0}")
    @MethodSource("exercises")
    @DisplayName("an untouched exercise fails every requirement, each because of a TODO")
    void untouched(Exercise exercise) throws IOException {
        Verdict verdict = Submission.grade(exercise, exercise.untouched(), folder,
                SEEDS.nextLong());
        assertEquals(null, verdict.trouble(), () -> told(verdict));
        for (var each : verdict.results()) {
            assertFalse(each.passed(), () -> told(verdict));
            assertTrue(each.failure().likely.matches("TODO \\d is still open\\."),
                    () -> told(verdict));
        }
    }

    @ParameterizedTest(name = "solution: {0}")
    @MethodSource("exercises")
    @DisplayName("a solution passes")
    void solution(Exercise exercise) {
        Verdict verdict = Grading.of(exercise, exercise.file(true), SEEDS.nextLong(),
                doing -> {});
        assertTrue(verdict.passed(), () -> told(verdict));
    }

    @ParameterizedTest(name = "wrong: {0}")
    @MethodSource("wrong")
    @DisplayName("a wrong submission fails just the requirements that it names")
    void wrong(Submission submission) throws IOException {
        assertFalse(submission.fails().isEmpty(), "it says what it fails");
        Verdict verdict = submission.grade(folder, SEEDS.nextLong());
        assertEquals(null, verdict.trouble(), () -> told(verdict));
        assertEquals(submission.fails(), Submission.failed(verdict),
                () -> told(verdict));
        caught++;
    }

    @ParameterizedTest(name = "right: {0}")
    @MethodSource("right")
    @DisplayName("another right answer passes")
    void right(Submission submission) throws IOException {
        Verdict verdict = submission.grade(folder, SEEDS.nextLong());
        assertTrue(verdict.passed(), () -> told(verdict));
        accepted++;
    }

    @Test
    @DisplayName("each requirement has two wrong submissions and three hints, each exercise three right ones")
    void enough() {
        var wrong = Submission.all("wrong").stream()
                .flatMap(each -> each.fails().stream())
                .collect(Collectors.groupingBy(id -> id, Collectors.counting()));
        var right = Submission.all("right").stream()
                .collect(Collectors.groupingBy(Submission::exercise,
                        Collectors.counting()));
        for (Exercise each : Exercise.all()) {
            assertTrue(right.getOrDefault(each, 0L) >= 3,
                    () -> each + " has " + right.get(each));
            var results = Grading.undecided(each);
            assertTrue(results.size() >= 4 && results.size() <= 6,
                    () -> each + ": " + results);
            for (var result : results) {
                assertTrue(wrong.getOrDefault(result.id(), 0L) >= 2,
                        () -> result.id() + " has " + wrong.get(result.id()));
                assertEquals(3, each.hints(result.id()).size(),
                        "hints of " + result.id());
            }
        }
    }
}
