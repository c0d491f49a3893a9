import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import grader.repo.Exercise;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import shared.course.Course;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// The learners' commands, typed in a copy of the repo: `./jbang grade 01` and so on.
@DisplayName("The commands")
@DisabledOnOs(OS.WINDOWS)
@Timeout(300)
class CommandsTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final Exercise FIRST = Exercise.named("01");

    @TempDir static Path temp;
    private static Path repo;
    private static Path file;
    private static String untouched;
    private static String solved;

    record Result(int code, String out, String err) {}

    @BeforeAll
    static void copy() throws Exception {
        repo = RepoCopy.in(temp.resolve("a learner's copy"));
        file = repo.resolve("exercises/01_short_polling.java");
        untouched = FIRST.untouched();
        solved = Repo.read(FIRST.solution()).replace(", 7001,", ", 9001,");
    }

    @AfterAll
    static void nothingIsLeft() throws IOException {
        assertEquals(List.of(), running());
        RepoCopy.delete(repo);
    }

    @BeforeEach
    void fresh() throws IOException {
        for (Exercise each : Exercise.all()) {
            Path own = repo.resolve("exercises/" + each + ".java");
            RepoCopy.delete(own); // it may be a folder or a link
            Files.writeString(own, each.untouched());
        }
        RepoCopy.delete(repo.resolve(".progress"));
    }

    private static ProcessBuilder command(String... words) {
        List<String> command =
                new ArrayList<>(List.of(repo.resolve("jbang").toString()));
        command.addAll(List.of(words));
        return new ProcessBuilder(command).directory(repo.toFile());
    }

    private static Result run(String... words) throws Exception {
        Path errors = Files.createTempFile(temp, "errors", ".txt");
        Process process = command(words).redirectError(errors.toFile()).start();
        process.getOutputStream().close();
        String out = new String(process.getInputStream().readAllBytes(),
                StandardCharsets.UTF_8);
        assertTrue(process.waitFor(10, TimeUnit.SECONDS));
        String err = String.join("\n", Files.readAllLines(errors).stream()
                .filter(line -> !line.startsWith("[jbang]")).toList());
        assertFalse((out + err).contains("\033"),
                "colours only on a terminal: " + out + err);
        return new Result(process.exitValue(), out, err);
    }

    private static Result run(int code, String... words) throws Exception {
        Result result = run(words);
        assertEquals(code, result.code, () -> Arrays.toString(words) + ": " + result);
        if (code < 2) assertEquals("", result.err, () -> Arrays.toString(words));
        return result;
    }

    /// Programs that were started for grading below `repo`.
    private static List<String> running() throws IOException {
        return ProcessHandle.allProcesses()
                .map(each -> each.info().commandLine().orElse(""))
                .filter(line -> line.contains(repo + "/build/grader/shared")
                        && line.contains("submission.jar"))
                .toList();
    }

    @Test
    @DisplayName("a cache of the grader that is broken or stale, or cannot be written, changes no verdict")
    void caches() throws Exception {
        Files.writeString(file, solved);
        run(0, "grade", "01");
        Path build = repo.resolve("build");
        List<Path> archives;
        try (var files = Files.list(build.resolve("grader"))) {
            archives = files.filter(each -> each.toString().endsWith(".jsa")).toList();
        }
        assertEquals(2, archives.size(),
                "of the grader, and of the exercise: " + archives);
        Map<Path, byte[]> whole = new HashMap<>();
        for (Path each : archives) whole.put(each, Files.readAllBytes(each));
        for (String content : List.of("", "rubbish".repeat(100_000))) {
            for (Path each : archives) Files.writeString(each, content);
            run(0, "grade", "01");
        }
        Files.copy(archives.getFirst(), archives.getLast(), REPLACE_EXISTING);
        run(0, "grade", "01");
        for (Path each : archives) Files.write(each, whole.get(each));
        Path aside = Files.move(build, temp.resolve("build"));
        Files.writeString(build, "no folder");
        run(0, "grade", "01");
        Files.delete(build);
        Files.move(aside, build); // the next tests need not make it anew
    }

    @Test
    @DisplayName("grade tells the first open TODO, 1 while something fails, 0 when all holds, 2 where it cannot")
    void grade() throws Exception {
        Result open = run(1, "grade", "01");
        assertTrue(open.out.contains("\nNext: exercises/01_short_polling.java:")
                && open.out.contains("TODO 1: "), open.out);
        assertTrue(open.out.contains("TODO 4 is still open. Begin with TODO 1, "),
                open.out);
        Files.writeString(file, solved);
        for (String name : List.of("1", "short-polling", "01_short_polling",
                "exercises/01_short_polling.java")) {
            Result done = run(0, "grade", name);
            assertTrue(done.out.contains("11 of 11 points\nok   01.1"), done.out);
            assertTrue(done.out.contains("\nNext: lesson 02"), done.out);
        }
        Files.writeString(file, solved.replace("\"no-cache\"", "\"max-age=10\""));
        Result wrong = run(1, "grade", "01", "--seed", "5");
        assertTrue(wrong.out.contains("FAIL 01.2") && wrong.out.contains("--seed 5"),
                wrong.out);
        assertEquals(wrong.out.lines().filter(line -> line.contains("curl")).toList(),
                run(1, "grade", "01", "--seed", "5").out.lines()
                        .filter(line -> line.contains("curl")).toList(),
                "the same seed sends the same");
        Files.writeString(file, solved + "}");
        Result broken = run(2, "grade", "01");
        assertTrue(broken.out.contains("does not compile"), broken.out);
        assertTrue(broken.out.contains("\nNext: mend that"), broken.out);
        Files.writeString(file, solved.replace("    void main() {\n",
                "    void main() {\n\t\tint one = two;\n"));
        String tabs = run(2, "grade", "01").out;
        List<String> lines = tabs.lines().toList();
        int caret = lines.indexOf(" ".repeat(12) + "^");
        assertTrue(caret > 0 && lines.get(caret - 1).indexOf("two") == 12, tabs);
        Files.writeString(file, "\uFEFF" + solved);
        assertTrue(run(2, "grade", "01").out.contains("Save it as UTF-8 without BOM."));
        Files.delete(file);
        assertTrue(run(2, "grade", "01").out.contains("is not there"));
        assertEquals("There is no exercise '99'. There are: " + String.join(", ",
                Exercise.all().stream().map(Exercise::name).toList()) + ".",
                run(2, "grade", "99").err);
        assertEquals(
                "'solutions/01_short_polling.java' is another file than the exercise,"
                        + " exercises/01_short_polling.java. Its number, 01, is name enough.",
                run(2, "grade", "solutions/01_short_polling.java").err);
    }

    @Test
    @DisplayName("grade without a name has a line for each exercise, the score, and what to do next")
    void gradeAll() throws Exception {
        Files.writeString(file, solved);
        Result all = run(1, "grade");
        assertTrue(all.out.startsWith("exercises/01_short_polling.java ")
                && all.out.contains(" 11 of 11  done\n"),
                all.out);
        assertTrue(
                all.out.contains("02_long_polling.java")
                        && all.out.contains("not begun"),
                all.out);
        assertTrue(all.out.contains("\nNext: exercises/02_long_polling.java:"),
                all.out);
        Result solutions = run(0, "grade", "--solution");
        assertTrue(solutions.out.contains("all is done"), solutions.out);
    }

    @Test
    @DisplayName("where progress cannot be written, grade says so, and gives its verdict")
    void unwritable() throws Exception {
        Files.writeString(file, solved);
        Files.createDirectories(repo.resolve(".progress/progress.json/no-file"));
        Result result = run("grade", "01");
        assertEquals(0, result.code, result::toString);
        assertTrue(result.out.contains("11 of 11 points"), result.out);
        assertTrue(result.err.matches("Your progress is not kept: cannot write "
                + "\\.progress/progress\\.json: .*"), result.err);
    }

    @Test
    @DisplayName("from a folder below, and with NO_COLOR or a broken progress file, all is the same")
    void elsewhere() throws Exception {
        Files.createDirectories(repo.resolve(".progress"));
        Files.writeString(repo.resolve(".progress/progress.json"), "{\"01_sh");
        Process process =
                command("grade", "01").directory(repo.resolve("exercises").toFile())
                        .redirectErrorStream(true).start();
        String out = new String(process.getInputStream().readAllBytes());
        assertTrue(out.contains("\nNext: 01_short_polling.java:"), out);
        assertEquals(1, process.waitFor());
    }

    @Test
    @DisplayName("the reports say what the terminal says: JUnit XML, and JSON in Exercism's shape")
    void reports() throws Exception {
        Files.writeString(file, solved.replace("\"no-cache\"", "\"max-age=10\""));
        run(1, "grade", "01", "--json", "build/one.json", "--junit", "build/one.xml");
        JsonNode json = json("build/one.json");
        assertEquals(3, json.get("version").asInt());
        assertEquals("fail", json.get("status").asString());
        assertTrue(json.get("message").isNull());
        assertEquals(4, json.get("tests").size());
        JsonNode failed = json.get("tests").get(1);
        assertEquals("fail", failed.get("status").asString());
        assertTrue(failed.get("name").asString().startsWith("01.2 "));
        assertTrue(
                failed.get("message").asString().contains("Cache-Control: max-age=10"));
        assertEquals("pass", json.get("tests").get(0).get("status").asString());
        var suite = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(repo.resolve("build/one.xml").toFile())
                .getElementsByTagName("testsuite")
                .item(0).getAttributes();
        assertEquals("4", suite.getNamedItem("tests").getNodeValue());
        assertEquals("2", suite.getNamedItem("failures").getNodeValue());

        Files.writeString(file, "class Half {");
        run(2, "grade", "--json", "build/all.json", "--junit", "build/all.xml");
        JsonNode all = json("build/all.json");
        assertEquals(Exercise.all().size(), all.size());
        assertEquals("error", all.get(0).get("status").asString());
        assertTrue(all.get(0).get("message").asString().contains("does not compile"));
        assertEquals("fail", all.get(1).get("status").asString(),
                "not begun is not done");
        var errors = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(repo.resolve("build/all.xml").toFile())
                .getElementsByTagName("error");
        assertEquals(4, errors.getLength());
    }

    @Test
    @DisplayName("a report goes through a link, a pipe and a descriptor, and these stay what they are")
    void throughOthers() throws Exception {
        Path build = Files.createDirectories(repo.resolve("build"));
        Path link = Files.createSymbolicLink(build.resolve("link.json"),
                Path.of("linked.json"));
        shell("mkfifo build/pipe; cat build/pipe >build/piped.json &"
                + " ./jbang grade 01 02 --json build/pipe --junit /dev/fd/3 3>build/3.xml;"
                + " ./jbang grade 01 02 --json build/link.json; wait");
        assertTrue(Files.isSymbolicLink(link));
        assertEquals(2, json("build/linked.json").size());
        assertEquals(2, json("build/piped.json").size());
        assertFalse(Files.isRegularFile(build.resolve("pipe")));
        assertTrue(Files.readString(build.resolve("3.xml")).contains("<testsuite "));
    }

    /// What a shell says.
    private static String shell(String line) throws Exception {
        Process process = new ProcessBuilder("sh", "-c", line).directory(repo.toFile())
                .redirectErrorStream(true).start();
        process.getOutputStream().close();
        String said = new String(process.getInputStream().readAllBytes());
        process.waitFor();
        return said;
    }

    @Test
    @DisplayName("escape sequences are only for a terminal that knows them")
    @EnabledOnOs(OS.LINUX)
    void escapes() throws Exception {
        String typed = "script -qec './jbang grade 01 02' /dev/null";
        assertTrue(shell("TERM=xterm " + typed).contains("\033["));
        for (String term : List.of("TERM=dumb ", "unset TERM; ")) {
            String said = shell(term + typed);
            assertTrue(said.contains("not begun") && !said.contains("\033"), said);
        }
        var script = new ProcessBuilder("script", "-qec", "./jbang watch 01",
                "/dev/null").directory(repo.toFile());
        script.environment().put("TERM", "");
        try (Watching watching = new Watching(script)) {
            String watched = watching.see("Next: .*TODO 1");
            assertTrue(watched.contains("\nWatching ") && !watched.contains("\033")
                    && !watched.contains("jline"), watched);
            watching.type("q"); // acts without Enter, while the input stays open
            assertTrue(watching.process.waitFor(SOON.toSeconds(), TimeUnit.SECONDS));
            assertEquals(0, watching.process.exitValue());
        }
        String narrow = shell("printf hq | TERM=xterm NO_COLOR=1 script -qec"
                + " 'stty cols 60; ./jbang watch 01' /dev/null");
        assertTrue(narrow.contains("\033[Kgrading 01: compiling ...")
                && narrow.contains("\033[Kgrading 01: checking 01.2 ..."), narrow);
        assertTrue(narrow.contains("\r\n  1 of 3  Which "), narrow);
        assertEquals(List.of(), narrow.replaceAll("\r\033\\[K[^\r]*", "").lines()
                .filter(line -> line.length() > 60).toList());
    }

    @Test
    @DisplayName("files that lie beside the course's own, such as an editor's, stop nothing")
    void strays() throws Exception {
        List<String> strays = List.of("solutions/Mine.java", "shared/._Http.java",
                "lessons/03_websocket_old.java", "tests/grader/repo/._Repo.java",
                "tests/01_short_polling/requirements/._ShortPolling.java");
        for (String each : strays) {
            Files.writeString(repo.resolve(each), "\0\1 no Java");
        }
        Path lock = Files.createSymbolicLink(
                repo.resolve("exercises/.#01_short_polling.java"),
                Path.of("me@here.1"));
        Files.writeString(file, solved);
        run(0, "grade", "01");
        run("doctor");
        Result format = run("format", "--check");
        assertEquals("", format.err);
        for (String each : strays) {
            assertFalse(format.out.contains(each), format.out);
            Files.delete(repo.resolve(each));
        }
        Files.delete(lock);
    }

    private static JsonNode json(String name) {
        return JsonMapper.shared().readTree(repo.resolve(name).toFile());
    }

    @Test
    @DisplayName("hint shows one more hint each time, and knows what is to be done next")
    void hint() throws Exception {
        assertTrue(run(0, "hint", "01.2").out.contains("1 of 3"));
        Result second = run(0, "hint", "1.2");
        assertTrue(second.out.contains("1 of 3") && second.out.contains("2 of 3"),
                second.out);
        run(0, "hint", "01.2");
        assertTrue(run(0, "hint", "01.2").out
                .contains("The solution: solutions/01_short"));
        assertTrue(run(0, "hint").out.startsWith("Hint for 01."),
                "of the first open TODO");
        assertFalse(Files.readString(repo.resolve(".progress/progress.json"))
                .contains("earned"), "an untouched exercise need not be graded");
        Path ran = temp.resolve("ran");
        Files.writeString(file, solved.replace("\"no-cache\"", "\"max-age=10\"")
                .replace("    void main() {\n", """
                            void main() throws java.io.IOException {
                                java.nio.file.Files.writeString(java.nio.file.Path.of("%s"), "");
                        """.formatted(ran)));
        run(1, "grade", "01");
        Files.delete(ran);
        assertTrue(run(0, "hint", "01").out.startsWith("Hint for 01.2"));
        assertFalse(Files.exists(ran), "what has not changed is not graded again");
        Files.writeString(file, Files.readString(file) + "// saved\n");
        run(0, "hint", "01");
        assertTrue(Files.exists(ran));
        assertTrue(run(2, "hint", "01.9").err.contains("There is no requirement 01.9"));
    }

    @Test
    @DisplayName("reset and undo never lose a byte, whatever is in the file")
    void resetAndUndo() throws Exception {
        byte[] work = "my\r\nwork \u00e9".getBytes(StandardCharsets.ISO_8859_1);
        Files.write(file, work);
        Result reset = run(0, "reset", "01");
        assertTrue(reset.out.contains("./jbang undo 01"), reset.out);
        assertEquals(untouched, Files.readString(file));
        run(0, "undo", "01");
        assertArrayEquals(work, Files.readAllBytes(file));
        run(0, "reset", "01");
        byte[] second = "second".getBytes();
        Files.write(file, second);
        run(0, "undo", "01");
        assertArrayEquals(work, Files.readAllBytes(file));
        run(0, "undo", "01");
        assertArrayEquals(second, Files.readAllBytes(file),
                "undo keeps what it replaces");
        Result list = run(0, "undo", "01", "--list");
        assertTrue(list.out.lines().count() >= 2, list.out);
        String oldest = list.out.lines().toList().getLast().split(" ")[0];
        assertEquals(list.out.replaceAll("(?m)^(?=.)", "01 "),
                run(0, "undo", "--list").out);
        assertTrue(run(2, "undo").err.contains("Missing required parameter"));
        run(0, "undo", "01", oldest);
        assertArrayEquals(work, Files.readAllBytes(file));
        Files.writeString(repo.resolve(
                ".progress/snapshots/01_short_polling/2999-01-01T00.00.00.000.java"),
                "kept before the clock stepped back");
        Files.writeString(file, "third");
        run(0, "reset", "01");
        run(0, "undo", "01");
        assertEquals("third", Files.readString(file));
        Files.delete(file);
        run(0, "reset", "01");
        assertEquals(untouched, Files.readString(file), "a deleted file comes back");
        Path mine = Files.writeString(temp.resolve("Mine.java"), "elsewhere");
        Files.delete(file);
        Files.createSymbolicLink(file, mine);
        run(0, "reset", "01");
        assertTrue(Files.isSymbolicLink(file), "a link stays one");
        assertEquals(untouched, Files.readString(mine));
        run(0, "undo", "01");
        assertEquals("elsewhere", Files.readString(mine));
        Files.delete(file);
        Files.createDirectory(file);
        assertTrue(run(2, "reset", "01").err.contains("it is no plain file"));
        Files.delete(file);
        assertTrue(
                run(2, "undo", "01", "nonsense").err.contains("There is no snapshot"));
        assertTrue(run(2, "undo", "02").err.contains("There is no snapshot"));
    }

    @Test
    @DisplayName("without solutions/, as a class may get the course, only grade --solution says so")
    void withoutSolutions() throws Exception {
        Path aside = Files.move(repo.resolve("solutions"), temp.resolve("aside"));
        try {
            assertTrue(run(1, "grade").out.contains("not begun"));
            assertTrue(run(1, "grade", "05").out.contains("TODO 1 is still open"));
            Files.writeString(file, solved);
            assertTrue(run(0, "grade", "01").out.contains("11 of 11 points"));
            run(0, "reset", "01");
            assertEquals(untouched, Files.readString(file));
            run(0, "undo", "01");
            for (int time = 0; time < 2; time++) run(0, "hint", "01.1");
            Result last = run(0, "hint", "01.1");
            assertTrue(last.out.endsWith("That was the last one.\n"), last.out);
            assertTrue(run("doctor").out.contains("Offline: all libraries"));
            Path learner = Files.createDirectories(temp.resolve("stripped/ada"));
            Files.writeString(learner.resolve(file.getFileName()), untouched);
            assertTrue(run(2, "grade", "--class", learner.getParent().toString()).out
                    .contains("ada         -"));
            assertEquals("solutions/01_short_polling.java is not there: this course"
                    + " was given without it.", run(2, "grade", "--solution", "1").err);
        } finally {
            Files.move(aside, repo.resolve("solutions"));
        }
    }

    @Test
    @DisplayName("of a program that writes into the course just that is told, and the way back that is named works")
    void tampering() throws Exception {
        String bad = solved.replace("    void main() {\n", """
                    void main() throws java.io.IOException {
                        var repo = java.nio.file.Path.of("%s");
                        java.nio.file.Files.writeString(
                                repo.resolve("exercises/01_short_polling.java"), "gone");
                        java.nio.file.Files.writeString(
                                repo.resolve("tests/01_short_polling/hints.md"), "gone");
                        java.nio.file.Files.writeString(
                                repo.resolve("tests/grader/New.java"), "no Java");
                        for (var each : repo.resolve("solutions").toFile().listFiles()) {
                            each.delete();
                        }
                        repo.resolve("solutions").toFile().delete();
                        repo.resolve("jbang-catalog.json").toFile().delete();
                """.formatted(repo));
        Files.writeString(file, bad);
        git(repo, "init", "-q");
        git(repo, "add", "exercises", "solutions", "tests", "jbang-catalog.json");
        git(repo, "commit", "-q", "-m", "The course");
        Path other = repo.resolve("solutions/02_long_polling.java");
        byte[] solution = Files.readAllBytes(other);
        String said = run("grade", "01").out;
        assertTrue(said.contains("""
                While this was graded, files changed. If it was not you, a program did it:
                  changed  exercises/01_short_polling.java
                  deleted  jbang-catalog.json
                  deleted  solutions
                  changed  tests/01_short_polling/hints.md
                  new      tests/grader/New.java
                Delete what is new; what was there comes back with
                  git restore jbang-catalog.json solutions tests/01_short_polling/hints.md
                  ./jbang undo 01
                """), said);
        assertEquals("gone", Files.readString(file));
        Files.delete(repo.resolve("tests/grader/New.java"));
        for (String line : said.lines().toList()) {
            if (line.matches("  (git|./jbang) .*")) shell(line);
        }
        RepoCopy.delete(repo.resolve(".git"));
        assertEquals(bad, Files.readString(file));
        assertArrayEquals(solution, Files.readAllBytes(other));
        assertTrue(run(0, "hint", "01.1").out.contains("1 of 3"));
    }

    @Test
    @DisplayName("a program that starts while another one is checked changes no verdict of that")
    void startedAhead() throws Exception {
        Files.writeString(file, solved);
        Exercise second = Exercise.named("02");
        String bad = Repo.read(second.solution()).replace("    void main() {\n", """
                    void main() throws java.io.IOException {
                        var other = java.nio.file.Path.of("%s");
                        java.nio.file.Files.writeString(other, "gone");
                        Runnable loop = () -> {
                            while (true) System.out.println("x".repeat(1_000));
                        };
                        for (int i = 0; i < 20; i++) new Thread(loop).start();
                        loop.run();
                """.formatted(file));
        Files.writeString(repo.resolve("exercises/" + second + ".java"), bad);
        Result result = run(2, "grade", "01", "02");
        for (String said : List.of(" 11 of 11  done",
                "changed  exercises/01_short_polling.java",
                " 0 of 12  It was stopped before it was ready")) {
            assertTrue(result.out.contains(said), result.out);
        }
        run(0, "undo", "01");
        assertEquals(solved, Files.readString(file));
    }

    @Test
    @DisplayName("a teacher gets one table for a folder of learners")
    void classroom() throws Exception {
        Path folder = temp.resolve("class");
        String name = "01_short_polling.java";
        for (String each : List.of("ada/exercises/" + name, "eve/src/" + name,
                "eve/3-websocket (1).java", "fay/" + name)) {
            hand(folder.resolve(each), solved);
        }
        for (String each : List.of("bob/" + name, "fay/exercises/" + name,
                "fay/on-the-wire-main/exercises/" + name)) {
            hand(folder.resolve(each), untouched);
        }
        for (String each : List.of("lessons/02_long_polling.java",
                "on-the-wire-main/solutions/02_long_polling.java",
                "tests/02_long_polling/requirements/LongPolling.java",
                "__MACOSX/._02_long_polling.java")) {
            hand(folder.resolve("fay").resolve(each), "nobody's submission");
        }
        hand(folder.resolve("cyd/" + name), "class Half {");
        Files.createDirectories(folder.resolve("dan/exercises"));
        Result table = run(2, "grade", "--class", folder.toString(), "--json",
                "build/c.json", "--junit", "build/c.xml");
        List<String> lines = table.out.lines().toList();
        assertTrue(lines.get(0).matches("learner +01 +02.* total"), table.out);
        assertTrue(lines.get(1).matches("ada +11 +-.* 11/\\d+"), table.out);
        assertTrue(lines.get(2).matches("bob +- +-.* 0/\\d+"), table.out);
        assertTrue(lines.get(3).matches("cyd +! +-.* 0/\\d+"), table.out);
        assertTrue(lines.get(4).matches("dan +- +-.* 0/\\d+"), table.out);
        assertTrue(lines.get(5).matches("eve +! +- +! +-.* 0/\\d+"), table.out);
        assertTrue(lines.get(6).matches("fay +! +- +-.* 0/\\d+"), table.out);
        assertTrue(lines.get(7).startsWith("! cyd 01: "), table.out);
        String found = "exercises/01_short_polling.java is %s; found at %s";
        assertEquals(List.of("! eve 01: " + found.formatted("missing", "src/" + name),
                "! eve 03: exercises/03_websocket.java is missing; found at"
                        + " 3-websocket (1).java",
                "! fay 01: " + found.formatted("untouched", name)),
                lines.subList(8, lines.size() - 1), table.out);
        JsonNode all = json("build/c.json");
        int exercises = Exercise.all().size();
        assertEquals(6 * exercises, all.size());
        assertEquals("ada 11 of 11, null", mark(all.get(0)));
        assertEquals("bob 0 of 11, untouched", mark(all.get(exercises)));
        assertTrue(mark(all.get(2 * exercises)).startsWith("cyd 0 of 11, "), all + "");
        assertEquals("dan 0 of 11, missing", mark(all.get(3 * exercises)));
        assertEquals("eve 0 of 11, " + found.formatted("missing", "src/" + name),
                mark(all.get(4 * exercises)));
        assertEquals("error", all.get(4 * exercises).get("status").asString());
        var suites = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(repo.resolve("build/c.xml").toFile())
                .getElementsByTagName("testsuite");
        assertEquals(6 * exercises,
                IntStream.range(0, suites.getLength()).mapToObj(suites::item)
                        .map(each -> each.getAttributes().getNamedItem("name")
                                .getNodeValue())
                        .distinct().count(),
                "a suite for each, by its own name");
        var bob = suites.item(exercises).getAttributes();
        assertEquals("bob 01_short_polling", bob.getNamedItem("name").getNodeValue());
        assertEquals("4", bob.getNamedItem("skipped").getNodeValue());
        assertEquals("0", bob.getNamedItem("failures").getNodeValue());
        var eve = suites.item(4 * exercises).getAttributes();
        assertEquals("4", eve.getNamedItem("errors").getNodeValue());
        assertTrue(run(2, "grade", "--class", temp.resolve("none").toString()).err
                .contains("Cannot read the folder"));
    }

    private static void hand(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    @Test
    @DisplayName("of a class one exercise may be graded, and the JSON of a single learner is an array, too")
    void oneOfClass() throws Exception {
        Path learner = temp.resolve("small/ada");
        hand(learner.resolve("01_short_polling.java"), "not asked for");
        hand(learner.resolve("03_websocket.java"), "class Half {");
        Result table = run(2, "grade", "03", "--class", learner.getParent().toString(),
                "--json", "build/small.json");
        assertTrue(table.out.matches("(?s)learner +03 +total\nada +! +0/13\n.*"),
                table.out);
        JsonNode all = json("build/small.json");
        assertTrue(all.isArray() && all.size() == 1, all + "");
        assertTrue(mark(all.get(0)).startsWith("ada 0 of 13, "), all + "");
    }

    private static String mark(JsonNode one) {
        return one.get("learner").asString() + " " + one.get("earned").asInt() + " of "
                + one.get("points").asInt() + ", "
                + one.get("message").asString("null");
    }

    @Test
    @DisplayName("files that a learner's program names beside it are graded with it, in a class too")
    void helpers() throws Exception {
        String head = "//JAVA 25+\n";
        String text = solved.replace(head, head + "//SOURCES Tag.java\n"
                + "//FILES words.txt\n").replace("\"no-cache\"", "Tag.header()");
        Files.writeString(file, text);
        Path flat = Files.createDirectories(temp.resolve("helpers/ada"));
        Files.writeString(flat.resolve(file.getFileName()), text);
        for (Path folder : List.of(file.getParent(), flat)) {
            Files.writeString(folder.resolve("words.txt"), "no-cache");
            Files.writeString(folder.resolve("Tag.java"), """
                    class Tag {
                        static String header() {
                            var words = Tag.class.getResourceAsStream("/words.txt");
                            return new java.util.Scanner(words).nextLine();
                        }
                    }
                    """);
        }
        run(0, "grade", "01");
        run(0, "grade", "--class", flat.getParent().toString());
        Files.writeString(file, text + "}");
        String broken = run(2, "grade", "01").out;
        assertTrue(broken.contains("exercises/01_short_polling.java:"), broken);
        for (String each : List.of("words.txt", "Tag.java")) {
            Files.delete(file.resolveSibling(each));
        }
    }

    @Test
    @DisplayName("a TODO is open where the code throws, not where a comment or a text says so")
    void todos() {
        for (String said : List.of("// throw Problem.todo(1);",
                "/* Problem.todo(1)\n*/",
                "log(\"// throw Problem.todo(1)\");",
                "log(\"\"\"\nProblem.todo(1) \\\"\"\" \"\"\");")) {
            String text = solved.replaceFirst("( *// END 1)",
                    Matcher.quoteReplacement(said) + "\n$1");
            assertFalse(Exercise.named("01").todos(text).getFirst().open(), said);
            String open = text + "\nthrow Problem.todo(1); // 'open'";
            assertTrue(Exercise.named("01").todos(open).getFirst().open(), said);
        }
        assertTrue(Exercise.named("01").todos(untouched.replace("    ", "\t"))
                .getFirst().open());
    }

    @Test
    @DisplayName("Ctrl+C during grading leaves no process, and prints no verdict")
    void interrupted() throws Exception {
        Files.writeString(file, solved.replace("    void main() {\n",
                "    void main() throws Exception {\n        Thread.sleep(100_000);\n"));
        for (int time = 0; time < 10; time++) {
            String signal = time % 2 == 0 ? "INT" : "TERM";
            Process grading = command(time < 5 ? "grade" : "watch", "01")
                    .redirectErrorStream(true).start();
            while (running().isEmpty()) { // No pause: its start may not have returned yet.
                assertTrue(grading.isAlive());
            }
            new ProcessBuilder("kill", "-" + signal, "" + grading.pid()).start()
                    .waitFor();
            assertTrue(grading.waitFor(10, TimeUnit.SECONDS));
            assertEquals(signal.equals("INT") ? 130 : 143, grading.exitValue());
            String said = new String(grading.getInputStream().readAllBytes());
            assertFalse(said.matches("(?s).*(not be graded|points|Next).*"), said);
            Eventually.see("nothing runs", Duration.ofSeconds(5), CommandsTest::running,
                    List::isEmpty);
        }
    }

    /// `./jbang watch`, without a terminal or in one of `script`: what it has said so far.
    private static final class Watching implements AutoCloseable {
        final Process process;
        private final StringBuffer said = new StringBuffer();

        Watching(String... words) throws IOException {
            this(command(words));
        }

        Watching(ProcessBuilder command) throws IOException {
            process = command.redirectErrorStream(true).start();
            BufferedReader lines = process.inputReader();
            Thread.ofPlatform().daemon()
                    .start(() -> lines.lines()
                            .forEach(line -> said.append(line).append('\n')));
        }

        /// Waits until something new has matched, and returns all that is new.
        String see(String pattern) throws Exception {
            String all = Eventually.see("watch says " + pattern, SOON, said::toString,
                    text -> text.matches("(?s).*(" + pattern + ").*\n"));
            said.delete(0, all.length());
            return all;
        }

        void type(String keys) throws IOException {
            process.getOutputStream().write(keys.getBytes());
            process.getOutputStream().flush();
        }

        @Override
        public void close() throws Exception {
            process.destroy();
            assertTrue(process.waitFor(10, TimeUnit.SECONDS));
        }
    }

    @Test
    @DisplayName("watch grades on save, tells only what changed, survives half files, and moves on when done")
    void watch() throws Exception {
        Path third = repo.resolve("exercises/03_websocket.java");
        Files.delete(third);
        Files.createDirectory(third); // concerns nobody here
        try (Watching watching = new Watching("watch")) {
            watching.see("Watching exercises/01.*0 of 11 points.*Next: .*TODO 1");
            Files.writeString(file, solved.replace("\"no-cache\"", "\"max-age=10\""));
            String some = watching.see("of 11 points");
            assertTrue(some.contains("ok   01.1") && some.contains("FAIL 01.2"), some);
            Files.writeString(file, solved.substring(0, solved.indexOf("// END 3")));
            watching.see("Could not be graded.*does not compile");
            Files.delete(file);
            watching.see("is not there");
            Files.createDirectory(file);
            watching.see("it is no plain file");
            Files.delete(file);
            Files.writeString(file, solved.replace("\"no-cache\"", "\"max-age=9\""));
            String same = watching.see("of 11 points");
            assertFalse(same.contains("01.1"),
                    "what did not change is not said: " + same);
            watching.type("h");
            watching.see("Hint for 01.2\n.*Again for the next one: h");
            String other = "left = left - quantity;";
            Files.writeString(file, solved.replace("left -= quantity;", other));
            String done = watching.see("11 of 11 points.*Done.*lesson 02.*n goes on");
            assertTrue(done.contains("ok   01.2"), done);
            assertFalse(done.contains("ok   01.4"), done);
            assertTrue(done.contains("""
                    What solutions/01_short_polling.java does differently:
                      TODO 1
                      - left = left - quantity;
                      + left -= quantity;
                    """), done);
            watching.type("?h");
            watching.see("n next exercise.*It is done: n goes on");
            watching.type("n");
            watching.see("Watching exercises/02.*of \\d+ points");
            watching.type("pp");
            watching.see("Watching exercises/01.*11 of 11 points.*Done");
        }
        Files.delete(third);
        assertEquals(List.of(), running());
    }

    @Test
    @DisplayName("watch grades again where a file beside the exercise is saved, or the exercise while it is graded")
    void watchSaves() throws Exception {
        Path words = Files.writeString(file.resolveSibling("words.txt"), "max-age=9");
        String reads = solved.replace("//JAVA 25+\n", "//JAVA 25+\n//FILES words.txt\n")
                .replace("\"no-cache\"", "new Scanner("
                        + "Shop.class.getResourceAsStream(\"/words.txt\")).nextLine()");
        Files.writeString(file, reads);
        try (Watching watching = new Watching("watch", "01")) {
            watching.see("FAIL 01.2.*of 11 points");
            Files.writeString(words, "no-cache");
            watching.see("ok   01.2.*11 of 11 points");
            Path started = temp.resolve("started");
            Path go = temp.resolve("go");
            Files.writeString(file, solved.replace("    void main() {\n", """
                        void main() throws Exception {
                            java.nio.file.Files.createFile(java.nio.file.Path.of("%s"));
                            while (!new java.io.File("%s").exists()) Thread.onSpinWait();
                    """.formatted(started, go)));
            Eventually.see("it is graded", SOON, () -> Files.exists(started), is -> is);
            Files.writeString(file, solved);
            Files.createFile(go);
            String saved = watching.see("was saved while.*11 of 11 points.*Done");
            assertFalse(saved.contains("a program did it"), saved);
            assertFalse(Files.exists(repo.resolve(".progress/snapshots")));
        } finally {
            Files.delete(words);
        }
    }

    @Test
    @DisplayName("a git pull that changes an exercise in progress: commit, pull, grade")
    void pull() throws Exception {
        Path upstream = temp.resolve("upstream");
        Path learner = temp.resolve("learner");
        String path = "exercises/01_short_polling.java";
        git(temp, "init", "-q", "-b", "main", upstream.toString());
        Files.createDirectories(upstream.resolve("exercises"));
        Files.writeString(upstream.resolve(path), untouched);
        git(upstream, "add", "-A");
        git(upstream, "commit", "-q", "-m", "one");
        git(temp, "clone", "-q", upstream.toString(), learner.toString());
        Files.writeString(learner.resolve(path), solved);
        Files.writeString(upstream.resolve(path),
                untouched.replace("Thousands of pages poll to see\n// how",
                        "Thousands of pages poll to\n// see how"));
        git(upstream, "commit", "-q", "-a", "-m", "two");

        git(learner, "commit", "-q", "-a", "-m", "My work");
        git(learner, "pull", "-q", "--no-rebase", "--no-edit");
        String merged = Files.readString(learner.resolve(path));
        assertTrue(merged.contains("Thousands of pages poll to\n// see how"), merged);
        Files.writeString(file, merged);
        run(0, "grade", "01");

        Files.writeString(upstream.resolve(path),
                Files.readString(upstream.resolve(path))
                        .replace("throw Problem.todo(3);",
                                "throw Problem.todo(3); // changed"));
        git(upstream, "commit", "-q", "-a", "-m", "three");
        git(1, learner, "pull", "-q", "--no-rebase", "--no-edit");
        Files.writeString(file, Files.readString(learner.resolve(path)));
        Result marked = run(2, "grade", "01");
        assertTrue(marked.out.contains("has a conflict that git has left there"),
                marked.out);
        git(learner, "checkout", "--ours", path);
        Files.writeString(file, Files.readString(learner.resolve(path)));
        run(0, "grade", "01");
    }

    private static void git(Path folder, String... words) throws Exception {
        git(0, folder, words);
    }

    /// Runs git as a learner who has told it a name.
    private static void git(int code, Path folder, String... words) throws Exception {
        List<String> command =
                new ArrayList<>(List.of("git", "-c", "user.name=A Learner", "-c",
                        "user.email=learner@example.org"));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).directory(folder.toFile())
                .redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(code, process.waitFor(), () -> command + ": " + said);
    }

    @Test
    @DisplayName("doctor names what it looks at; --help teaches; a wrong option is told")
    void help() throws Exception {
        Result doctor = run("doctor");
        for (String part : List.of("JDK 25", "JBang", "Offline", "folder", "orts",
                "hromium")) {
            assertTrue(doctor.out.contains(part),
                    () -> part + " is missing: " + doctor.out);
        }
        Course.Lesson last = Course.LESSONS.getLast();
        var lesson = HttpServer.create(new InetSocketAddress("127.0.0.1",
                last.port() - 1000), 0);
        lesson.createContext("/_/page/lessons", exchange -> {
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        lesson.start();
        try {
            String taken = run("doctor").out;
            assertTrue(taken.contains("ok  Port " + (last.port() - 1000)
                    + " is taken by a program of the course"), taken);
            lesson.removeContext("/_/page/lessons");
            assertTrue(run(1, "doctor").out.contains("!!  Port " + (last.port() - 1000)
                    + " is taken"));
        } finally {
            lesson.stop(0);
        }
        for (String name : List.of("grade", "watch", "hint", "reset", "undo",
                "doctor")) {
            Result help = run(0, name, "--help");
            assertTrue(help.out.startsWith("Usage: ./jbang " + name), help.out);
        }
        assertTrue(run(2, "grade", "--nonsense").err
                .contains("Unknown option: '--nonsense'"));
    }
}
