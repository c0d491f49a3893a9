import grader.repo.Exercise;
import grader.repo.Repo;
import grader.repo.Trouble;
import grader.verdict.Grading;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Something that a learner may hand in: a solution with changes. Those of an exercise are in
/// `tests/NN_name/wrong.md` and `tests/NN_name/right.md`, each below a heading with its name: what
/// it is about, in a wrong one a line `Fails: 01.2 01.3`, a line `Race` where the verdict hangs on
/// what happens first, and its changes, made one after the other. A block `java find` has whole
/// lines that are there once, and the block `java put` below it what stands there instead. A block
/// `java hole 2` has all that stands between the sentence of TODO 2 and its END.
record Submission(Exercise exercise, String name, List<String> fails, boolean race,
        String text) {
    private static final String LINES = "\n((?:(?!```).*\n)*+)```\n";
    private static final Pattern CHANGE = Pattern.compile("(?m)^```java (?:find" + LINES
            + "\n*```java put" + LINES + "|hole (\\d)" + LINES + ")");

    private static final Map<String, List<Submission>> ALL = new ConcurrentHashMap<>();
    private static final Map<Submission, Verdict> VERDICTS = new ConcurrentHashMap<>();

    /// @param kind wrong or right
    static List<Submission> all(String kind) {
        return ALL.computeIfAbsent(kind, of -> Exercise.all().stream()
                .flatMap(each -> read(each, of).stream()).toList());
    }

    private static List<Submission> read(Exercise exercise, String kind) {
        Path file = exercise.tests().resolve(kind + ".md");
        List<Submission> all = new ArrayList<>();
        String[] sections = Repo.read(file).split("(?m)^## ");
        for (String section : List.of(sections).subList(1, sections.length)) {
            Submission read = read(exercise, kind, section);
            if (all.stream().anyMatch(each -> each.name.equals(read.name))) {
                throw malformed(exercise, read.name, "another one has this name");
            }
            all.add(read);
        }
        return all;
    }

    /// Reads one submission, from its name on.
    static Submission read(Exercise exercise, String kind, String section) {
        String name = section.lines().findFirst().orElse("");
        List<String> prose = CHANGE.matcher(section).replaceAll("").lines().skip(1)
                .filter(line -> !line.isBlank()).toList();
        for (String line : prose) {
            if (line.startsWith("```")) throw malformed(exercise, name, line
                    + " begins no `java hole N`, nor a `java find` with its `java put`");
        }
        List<String> fails = prose.stream().filter(line -> line.startsWith("Fails: "))
                .flatMap(line -> Stream.of(line.substring(7).split("[ ,]+"))).sorted()
                .toList();
        if (fails.isEmpty() == kind.equals("wrong")) throw malformed(exercise, name,
                fails.isEmpty() ? "no line tells what it fails" : "a right one fails");
        return new Submission(exercise, name, fails, prose.contains("Race"),
                changed(exercise, name, CHANGE.matcher(section).results().toList()));
    }

    private static String changed(Exercise exercise, String name,
            List<MatchResult> changes) {
        String text = Repo.read(exercise.solution());
        for (MatchResult change : changes) {
            String next = change.group(3) == null
                    ? put(exercise, name, text, change.group(1), change.group(2))
                    : Exercise.fill(text, change.group(3), change.group(4));
            if (next.equals(text)) throw malformed(exercise, name,
                    "this changes nothing, or there is no such hole:\n"
                            + change.group());
            text = next;
        }
        if (changes.isEmpty()) throw malformed(exercise, name, "it changes nothing");
        return text;
    }

    /// The text with other lines in the place of some that are there once.
    private static String put(Exercise exercise, String name, String text, String find,
            String put) {
        List<Integer> found =
                Pattern.compile("(?m)^(?=" + Pattern.quote(find) + ")").matcher(text)
                        .results().map(MatchResult::start).toList();
        if (found.size() != 1) throw malformed(exercise, name,
                "these lines are found %d times, not once:\n%s".formatted(found.size(),
                        find));
        return text.substring(0, found.getFirst()) + put
                + text.substring(found.getFirst() + find.length());
    }

    private static AssertionError malformed(Exercise exercise, String name,
            String why) {
        return new AssertionError("Submission '" + name + "' to exercise " + exercise
                + " cannot be read: " + why);
    }

    /// Its verdict, graded once for all tests that want to know.
    ///
    /// @param seed of the inputs
    Verdict verdict(Path folder, long seed) throws IOException {
        synchronized (this) { // whoever asks second waits for the first
            Verdict known = VERDICTS.get(this);
            if (known != null) return known;
            Verdict verdict = grade(exercise, text, folder, seed);
            VERDICTS.put(this, verdict);
            return verdict;
        }
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
