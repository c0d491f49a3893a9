import com.github.difflib.DiffUtils;
import com.github.difflib.UnifiedDiffUtils;
import com.github.difflib.patch.PatchFailedException;
import grader.repo.Repo;
import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.repo.Trouble;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// Something that a learner may hand in: a solution with a patch. The file is
/// `tests/wrong/NN_name/what.patch` or `tests/right/NN_name/what.patch`: what it is about, in a
/// wrong one a line `Fails: 01.2 01.3`, a line `Race` where the verdict hangs on what happens
/// first, and a unified diff against the solution.
record Submission(Exercise exercise, String name, List<String> fails, boolean race,
        List<String> diff) {
    static List<Submission> all(String kind) throws IOException {
        Path folder = Repo.root().resolve("tests").resolve(kind);
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> file.toString().endsWith(".patch")).sorted()
                    .map(Submission::read).toList();
        }
    }

    private static Submission read(Path file) {
        List<String> lines = Repo.read(file).lines().toList();
        int diff = 0;
        while (!lines.get(diff).startsWith("--- ")) diff++;
        List<String> fails = lines.subList(0, diff).stream()
                .filter(line -> line.startsWith("Fails: "))
                .flatMap(line -> Stream.of(line.substring(7).split("[ ,]+"))).sorted()
                .toList();
        return new Submission(Exercise.named(file.getParent().getFileName().toString()),
                file.getFileName().toString().replace(".patch", ""), fails,
                lines.subList(0, diff).contains("Race"),
                lines.subList(diff, lines.size()));
    }

    /// The text of the submission.
    String text() {
        List<String> solution = Repo.read(exercise.file(true)).lines().toList();
        try {
            return String.join("\n",
                    DiffUtils.patch(solution, UnifiedDiffUtils.parseUnifiedDiff(diff)))
                    + "\n";
        } catch (PatchFailedException e) {
            throw new AssertionError(this + " does not fit the solution any more: "
                    + e.getMessage());
        }
    }

    Verdict grade(Path folder, long seed) throws IOException {
        return grade(exercise, text(), folder, seed);
    }

    static Verdict grade(Exercise exercise, String text, Path folder, long seed)
            throws IOException {
        Path file = folder.resolve(exercise.name() + ".java");
        Files.writeString(file, text);
        return Grading.of(exercise, file, seed, doing -> {});
    }

    /// The requirements that do not hold, or why nothing could be graded.
    static List<String> failed(Verdict verdict) {
        if (verdict.trouble() != null) throw new Trouble(verdict.trouble());
        return verdict.results().stream().filter(each -> !each.passed())
                .map(Verdict.Result::id).sorted().toList();
    }

    @Override
    public String toString() {
        return exercise.number() + " " + name;
    }
}
