package grader.repo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import shared.course.Course;

/// One exercise of the repo. Its name, such as `01_short_polling`, is the thread from the lesson to
/// the solution, the hints and the requirements.
public record Exercise(String name) {
    /// A hole of a solution: from its TODO to its END. The sentence of the TODO may go on in
    /// comments that are indented by three spaces.
    private static final Pattern HOLE = Pattern.compile(
            "(?ms)^( *)// TODO (\\d): ([^\n]*\n(?: *//   [^\n]*\n)*)(.*?)^ *// END \\2\n");
    /// What a hole of a solution begins with where the exercise has the famous wrong answer in
    /// it, and not a throw: `// At first:` and its lines, or `// At first, nothing.`
    private static final Pattern AT_FIRST =
            Pattern.compile("\\A *// At first(?:, nothing\\.|:)\n((?: *//     .*\n)*)");
    private static final Pattern TODO =
            Pattern.compile("(?m)^\\h*// TODO (\\d): (.*(?:\\R\\h*//   .*)*)");

    /// Comments, text blocks, strings and characters.
    private static final Pattern NO_CODE = Pattern.compile(
            "(?s)//[^\n]*|/\\*.*?\\*/|\"\"\"(?:[^\\\\\"]++|\\\\.|\"(?!\"\"))*+\"\"\""
                    + "|\"(?:[^\\\\\"\n]++|\\\\.)*+\"|'(?:[^\\\\'\n]++|\\\\.)*+'");

    /// A TODO as it stands in a file, the line counted from 1.
    ///
    /// @param open whether nobody has written its code yet
    public record Todo(int number, int line, String sentence, boolean open) {}

    /// All exercises, in the order in which they are learned.
    public static List<Exercise> all() {
        return Course.LESSONS.stream().map(each -> new Exercise(each.name())).toList();
    }

    /// The exercise that `03`, `3`, `websocket`, `03_websocket` or the path of its file means.
    public static Exercise named(String text) {
        String file = text
                .substring(Math.max(text.lastIndexOf('/'), text.lastIndexOf('\\')) + 1);
        String wanted = file.replaceFirst("\\.java$", "").toLowerCase(Locale.ROOT)
                .replace('-', '_');
        for (Exercise each : all()) {
            boolean number = wanted.matches("0*" + Integer.parseInt(each.number()));
            if (number || wanted.equals(each.name)
                    || wanted.equals(each.name.substring(3))) {
                if (!file.equals(text)) each.expectOwn(text);
                return each;
            }
        }
        throw new Trouble("There is no exercise '" + text + "'. There are: "
                + String.join(", ", all().stream().map(Exercise::name).toList()) + ".");
    }

    /// A path must not lead to another file of the same name, which nobody would look at.
    private void expectOwn(String path) {
        try {
            Path own = file();
            if (Files.notExists(Path.of(path))) return;
            if (Files.exists(own) && Files.isSameFile(Path.of(path), own)) return;
        } catch (IOException | InvalidPathException e) {
            return; // It is no other file, then.
        }
        throw new Trouble(
                "'" + path + "' is another file than the exercise, exercises/" + name
                        + ".java. Its number, " + number() + ", is name enough.");
    }

    /// The lesson that it belongs to.
    public Course.Lesson lesson() {
        return Course.LESSONS.stream().filter(each -> each.name().equals(name))
                .findFirst().orElseThrow();
    }

    /// Two digits.
    public String number() {
        return name.substring(0, 2);
    }

    /// The port on which a learner runs it.
    public int port() {
        return lesson().port() + 1000;
    }

    /// The learner's file.
    public Path file() {
        return Repo.root().resolve("exercises").resolve(name + ".java");
    }

    /// What its verdict hangs on: the learner's file, whether it is there or not, and the files
    /// that lie beside it or one folder below and belong to no other exercise.
    public List<Path> files() {
        Path folder = file().getParent();
        List<Path> files = new ArrayList<>(List.of(file()));
        try (Stream<Path> all = Files.walk(folder, 2)) {
            all.filter(each -> !each.equals(file()) && Files.isRegularFile(each))
                    .filter(each -> !each.getFileName().toString()
                            .matches("[.].*|.*~|\\d\\d_.*[.](java|html)"))
                    .sorted().forEach(files::add);
        } catch (IOException | UncheckedIOException e) {
            // Then only the file itself counts.
        }
        return files;
    }

    /// Stands for all that is in these files: the same as long as nothing in them has changed.
    public String state() {
        MessageDigest digest = sha256();
        for (Path each : files()) {
            digest.update(each.toString().getBytes(StandardCharsets.UTF_8));
            try {
                byte[] bytes = Repo.bytes(each);
                digest.update((byte) (bytes == null ? 0 : 1));
                if (bytes != null) digest.update(bytes);
            } catch (Trouble unreadable) {
                digest.update((byte) 2);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    public Path solution() {
        return Repo.root().resolve("solutions").resolve(name + ".java");
    }

    /// All about it that learners do not edit: requirements, hints, known submissions.
    public Path tests() {
        return Repo.root().resolve("tests").resolve(name);
    }

    /// The exercise before anybody has touched it. `./jbang format` writes it from the solution,
    /// without which a class may be given the course.
    public Path untouchedFile() {
        return tests().resolve("untouched.java.txt");
    }

    public String untouched() {
        return Repo.read(untouchedFile());
    }

    /// Has it the famous wrong answers in its holes, so that it runs before anybody has touched it?
    public boolean isWrongAtFirst() {
        return !untouched().contains("Problem.todo(");
    }

    /// Has nobody worked on this file yet?
    public boolean isUntouched(Path file) {
        try {
            return Files.exists(file) && Repo.read(file).equals(untouched());
        } catch (Trouble notText) {
            return false;
        }
    }

    /// A source with its holes open, and with the exercise's port: what the exercise and its
    /// solution have in common.
    public String open(String source) {
        return HOLE.matcher(source).replaceAll(hole -> Matcher.quoteReplacement(
                "%1$s// TODO %2$s: %3$s%4$s%1$s// END %2$s\n".formatted(hole.group(1),
                        hole.group(2), hole.group(3), atFirst(hole))))
                .replace(", 70" + number() + ",", ", 90" + number() + ",");
    }

    private static String atFirst(MatchResult hole) {
        Matcher wrong = AT_FIRST.matcher(hole.group(4));
        if (wrong.find()) return wrong.group(1).replaceAll("(?m)^( *)//     ", "$1");
        return hole.group(1) + "throw Problem.todo(" + hole.group(2) + ");\n";
    }

    /// A source without the code in its holes.
    public static String outside(String source) {
        return HOLE.matcher(source).replaceAll("$1// TODO $2: $3$1// END $2\n");
    }

    /// The code in the holes of a source, by the numbers of their TODOs.
    public static Map<String, String> holes(String source) {
        Map<String, String> holes = new TreeMap<>();
        HOLE.matcher(source).results()
                .forEach(each -> holes.put(each.group(2), each.group(4)));
        return holes;
    }

    /// A source with other code in one of its holes; as it was where it has no such hole.
    public static String fill(String source, String number, String code) {
        for (MatchResult hole : HOLE.matcher(source).results().toList()) {
            if (!hole.group(2).equals(number)) continue;
            return source.substring(0, hole.start(4)) + code
                    + source.substring(hole.end(4));
        }
        return source;
    }

    /// The TODOs of a source.
    public List<Todo> todos(String source) {
        String code = NO_CODE.matcher(source).replaceAll(" ");
        Map<String, String> holes = holes(source);
        Map<String, String> atFirst = holes(untouched());
        return TODO.matcher(source).results()
                .map(found -> todo(source, found,
                        code.contains("Problem.todo(" + found.group(1) + ")")
                                || isSame(holes, atFirst, found.group(1))))
                .toList();
    }

    private static boolean isSame(Map<String, String> some, Map<String, String> others,
            String hole) {
        String one = some.getOrDefault(hole, "-").replaceAll("\\s+", " ");
        return one.equals(others.getOrDefault(hole, "+").replaceAll("\\s+", " "));
    }

    private static Todo todo(String source, MatchResult found, boolean open) {
        int line = 1 + (int) source.substring(0, found.start()).lines().count();
        String sentence =
                Arrays.stream(found.group(2).split("\\R\\h*//")).map(String::strip)
                        .collect(Collectors.joining(" "));
        return new Todo(Integer.parseInt(found.group(1)), line, sentence, open);
    }

    /// The hints of a requirement, from a nudge to nearly there.
    public List<String> hints(String id) {
        Path file = tests().resolve("hints.md");
        Matcher section =
                Pattern.compile("(?ms)^## " + Pattern.quote(id) + "$(.*?)(?=^## |\\z)")
                        .matcher(Repo.read(file));
        if (!section.find()) return List.of();
        return Pattern.compile("(?m)^\\d\\. (.*)$").matcher(section.group(1)).results()
                .map(hint -> hint.group(1)).toList();
    }

    @Override
    public String toString() {
        return name;
    }
}
