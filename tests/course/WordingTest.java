import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.report.Report;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What learners read where a requirement does not hold: one failure of each requirement, word for
/// word, in `tests/NN_name/wording.txt`. With `WORDING=write` in the environment the files are
/// written anew; read the difference before you commit it.
@DisplayName("The wording of failures")
@EachLesson
class WordingTest {
    static final long SEED = 7;

    @TempDir Path folder;

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("a failure tells what was sent, expected and got, why, where, and what to do next")
    void wording(Exercise exercise) throws IOException {
        StringBuilder text = new StringBuilder();
        for (var requirement : Grading.undecided(exercise)) {
            text.append(told(exercise, requirement.id())).append("\n");
        }
        Path file = exercise.tests().resolve("wording.txt");
        if ("write".equals(System.getenv("WORDING"))) {
            Files.writeString(file, text);
        }
        List<String> wanted = Repo.read(file).lines().toList();
        List<String> told = text.toString().lines().toList();
        for (int i = 0; i < Math.max(wanted.size(), told.size()); i++) {
            assertEquals(i < wanted.size() ? wanted.get(i) : null,
                    i < told.size() ? told.get(i) : null,
                    file.getFileName() + ":" + (i + 1)
                            + " (WORDING=write ./jbang verify "
                            + exercise.number() + " Wording writes it anew)");
        }
    }

    /// The submission that shows a requirement's failure: the first wrong one that fails it; better
    /// one that fails no other, and one without a race, which may end in several ways.
    private static Submission shown(Exercise exercise, String id) {
        return Submission.all("wrong").stream()
                .filter(each -> each.exercise().equals(exercise)
                        && each.fails().contains(id))
                .min(Comparator.comparing((Submission each) -> each.fails().size() > 1)
                        .thenComparing(Submission::race))
                .orElseThrow();
    }

    /// The inputs of a submission are any, but of one that shows a failure always the same.
    static long seed(Submission submission) {
        boolean shows = submission.fails().stream()
                .anyMatch(id -> shown(submission.exercise(), id).equals(submission));
        return shows ? SEED : ThreadLocalRandom.current().nextLong();
    }

    private String told(Exercise exercise, String id) throws IOException {
        Submission wrong = shown(exercise, id);
        Verdict verdict = wrong.verdict(folder, SEED);
        Verdict.Result result = verdict.results().stream()
                .filter(each -> each.id().equals(id)).findFirst().orElseThrow();
        Report report = new Report(false);
        String text = report.line(result) + report.details(verdict, result);
        for (String part : List.of("sent", "expected", "got", "likely", "where",
                "next")) {
            assertTrue(text.contains("\n     " + part), part + " is missing:\n" + text);
        }
        return "(" + wrong.name() + ")\n"
                + still(text.replace(verdict.file(),
                        "exercises/" + exercise + ".java"));
    }

    /// The text without what differs from run to run.
    private static String still(String text) {
        return text
                .replaceAll("Date: .* GMT", "Date: (now)")
                .replaceAll("Content-Length: \\d+", "Content-Length: (n)") // ids vary
                .replaceAll("\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z", "(now)")
                .replaceAll("within \\d+ s\\b", "within (a few) s")
                .replaceAll("\\b\\d{10}\\b", "(id)")
                .replaceAll("(/orders/|/builds/|/translations/)[\\w-]+", "$1(id)")
                .replaceAll("(\"id\":\")\\w+(?=\",\"version)", "$1(id)")
                .replaceAll("\\(\\d+ steps before\\)", "(some steps before)")
                .replaceAll("(got +it is )\\d+", "$1(n)")
                .replaceAll("(\"type\":\"sleep\",\"ms\":|[A-Z]_MS=)\\d+", "$1(ms)")
                .replaceAll("\\b\\d+ (to \\d+ )?ms\\b", "(some) ms")
                .replaceAll(":\\d{5}\\b", ":(port)");
    }
}
