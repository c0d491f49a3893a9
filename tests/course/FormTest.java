import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.verdict.Grading;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import jdk.jshell.JShell;
import jdk.jshell.Snippet.Status;
import jdk.jshell.SnippetEvent;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import shared.course.Course;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("The form of the course")
@EachLesson
@Execution(ExecutionMode.CONCURRENT)
class FormTest {
    private static final Path ROOT = Repo.root();
    private static final List<String> COURSE =
            List.of("lessons", "exercises", "solutions");
    private static final int MAX_LINES = 420;
    private static final int MAX_CELL = 60;

    static List<Path> lessons() {
        return Verify.lessons().stream()
                .map(each -> ROOT.resolve("lessons/" + each.name() + ".java")).toList();
    }

    private static List<Path> files(String folder, String ending) throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve(folder))) {
            return files.filter(FormTest::isOurs)
                    .filter(file -> file.toString().endsWith(ending)).sorted()
                    .toList();
        }
    }

    /// Not what an editor or a system lays beside a file.
    private static boolean isOurs(Path file) {
        return Files.isRegularFile(file)
                && !file.getFileName().toString().startsWith(".");
    }

    private static String name(Path file) {
        return file.getFileName().toString().replaceFirst("\\..*", "");
    }

    /// The cells of a lesson, its header first. Prose cells begin with `// %% [markdown]`.
    private static List<String> cells(Path lesson) throws IOException {
        return List.of(Files.readString(lesson).split("(?m)^(?=// %%)"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("lessons")
    @DisplayName("a lesson is prose cells and code cells, each code cell after its prose")
    void cellsAlternate(Path lesson) throws IOException {
        List<String> cells = cells(lesson);
        String number = name(lesson).substring(0, 2);
        assertTrue(cells.get(1).startsWith("// %% [markdown]\n// # " + number + " - "),
                "the first cell is the title");
        assertTrue(cells.getLast().startsWith("// %% [markdown]"),
                "the last cell is prose");
        for (String each : List.of("./jbang notebook " + number, start(number))) {
            assertTrue(cells.getLast().contains("`" + each + "`"),
                    "the last cell says " + each);
        }
        for (int i = 1; i < cells.size(); i++) {
            String cell = cells.get(i);
            boolean prose = cell.startsWith("// %% [markdown]\n");
            assertTrue(prose || cell.startsWith("// %%\n"),
                    "a marker of its own: " + cell);
            if (prose) {
                assertTrue(
                        cell.strip().lines().allMatch(line -> line.matches("//( .*)?")),
                        "prose only: " + cell);
            } else {
                assertTrue(cells.get(i - 1).startsWith("// %% [markdown]"),
                        "no prose before: " + cell);
                assertTrue(cell.strip().lines().count() <= MAX_CELL,
                        "too long: " + cell);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("lessons")
    @DisplayName("every cell evaluates in order in jshell, and routes() then serves")
    void jshell(Path lesson) throws Exception {
        Server.build(ROOT.relativize(lesson).toString());
        Process info = new ProcessBuilder(ROOT.resolve("jbang").toString(), "info",
                "classpath", lesson.toString()).start();
        String classPath = new String(info.getInputStream().readAllBytes()).strip();
        try (JShell shell = JShell.builder()
                .remoteVMOptions("--sun-misc-unsafe-memory-access=allow").build()) {
            shell.addToClasspath(classPath);
            for (String cell : cells(lesson)) evaluate(shell, cell);
            List<String> broken = shell.snippets()
                    .filter(snippet -> shell.status(snippet) != Status.VALID)
                    .map(snippet -> shell.status(snippet) + ": " + snippet.source())
                    .toList();
            assertEquals(List.of(), broken);
            String port = evaluate(shell, start(name(lesson).substring(0, 2))
                    .replaceFirst("\\d+", "0"));
            var page = HttpClient.newHttpClient().send(
                    HttpRequest.newBuilder(URI.create("http://localhost:" + port + "/"))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            assertEquals(200, page.statusCode());
            assertTrue(page.body().contains("id=\"notebook\""), page.body());
        }
    }

    /// The line that serves a lesson's page.
    private static String start(String number) {
        return Notebook.start(Course.LESSONS.get(Integer.parseInt(number) - 1));
    }

    /// @return the value of the last snippet
    private static String evaluate(JShell shell, String source) {
        String value = null;
        String rest = source;
        while (!rest.isBlank()) {
            var next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            if (next.source() == null) break;
            for (SnippetEvent event : shell.eval(next.source())) {
                if (event.exception()
                        != null) throw new AssertionError(event.exception());
                if (event.status() == Status.REJECTED) {
                    throw new AssertionError(
                            "rejected: " + event.snippet().source() + "\n"
                                    + shell.diagnostics(event.snippet())
                                            .map(each -> each.getMessage(null))
                                            .collect(Collectors.joining("\n")));
                }
                if (event.causeSnippet() == null) value = event.value();
            }
            rest = next.remaining();
        }
        return value;
    }

    @Test
    @DisplayName("lines are short and in ASCII, and so are files")
    void caps() throws IOException {
        List<String> found = new ArrayList<>();
        for (String folder : List.of("lessons", "exercises", "solutions", "shared",
                "tests")) {
            for (Path file : all(folder, "")) {
                boolean java = file.toString().endsWith(".java");
                if (!java && folder.equals("tests")) continue; // prose and records
                List<String> lines = Files.readAllLines(file);
                boolean read = COURSE.contains(folder);
                int limit = java ? read ? 88 : 100 : 140;
                for (int i = 0; i < lines.size(); i++) {
                    String line = lines.get(i);
                    String at = ROOT.relativize(file) + ":" + (i + 1) + " ";
                    boolean exempt = line.matches("//[A-Z]+ .*")
                            || line.contains("](http") || line.contains("@DisplayName");
                    if (line.length() > limit && !exempt) found.add(at + line.length());
                    if (!line.chars().allMatch(c -> c >= 32 && c < 127)) found
                            .add(at + "ASCII");
                }
                if (java && read && lines.size() > MAX_LINES) {
                    found.add(
                            ROOT.relativize(file) + " has " + lines.size() + " lines");
                }
            }
        }
        assertEquals(List.of(), found);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"lessons", "exercises", "solutions"})
    @DisplayName("no two scripts of a folder declare a top-level type of the same name")
    void types(String folder) throws Exception {
        var declared = Pattern.compile(
                "(?m)^(?:[a-z-]+ )*(?:class|interface|enum|record|@interface) (\\w+)");
        Map<String, String> first = new HashMap<>();
        List<String> found = new ArrayList<>();
        for (Path file : files(folder, ".java")) {
            String own = folder + "/" + file.getFileName();
            declared.matcher(Files.readString(file)).results().forEach(each -> {
                String other = first.putIfAbsent(each.group(1), own);
                if (other != null) found.add(each.group(1) + " is declared by " + other
                        + " and " + own);
            });
        }
        assertTrue(!first.isEmpty());
        assertEquals("", String.join("\n", found),
                "editors see a folder as one module, and its scripts as one package");
    }

    @Test
    @DisplayName("every Java file is formatted, and every copy says what its origin says: jbang format")
    void formatted() throws Exception {
        assertEquals(List.of(), Format.check(ROOT));
    }

    @Test
    @DisplayName("the list of lessons is whole: every file of a lesson belongs to one of it, and none is missing")
    void list() throws Exception {
        List<String> names = Course.LESSONS.stream().map(Course.Lesson::name).toList();
        assertEquals(names.stream().sorted().toList(), names,
                "in the order of numbers");
        for (String folder : COURSE) {
            assertEquals(names, files(folder, ".java").stream().map(FormTest::name)
                    .toList(), folder);
        }
        for (String folder : List.of("lessons", "exercises")) {
            assertEquals(names, files(folder, ".html").stream().map(FormTest::name)
                    .toList(), "the pages of " + folder);
        }
        assertEquals(names, files("lessons", ".md").stream().map(FormTest::name)
                .toList(), "what follows the lessons");
        try (Stream<Path> folders = Files.list(ROOT.resolve("tests"))) {
            assertEquals(names, folders.map(each -> each.getFileName().toString())
                    .filter(each -> each.matches("\\d\\d_.*")).sorted().toList(),
                    "tests");
        }
        for (Course.Lesson each : Course.LESSONS) {
            for (String file : List.of(each.type() + "Test.java", "hints.md",
                    "wrong.md",
                    "right.md", "wording.txt", "requirements")) {
                assertTrue(Files.exists(ROOT.resolve("tests").resolve(each.name())
                        .resolve(file)), "tests/" + each.name() + "/" + file);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#lessons")
    @DisplayName("nothing that new-lesson has left open is still to do")
    void nothingToDo(Course.Lesson lesson) throws Exception {
        List<String> open = new ArrayList<>();
        if (lesson.toString().contains("(to do: ")) {
            open.add("shared/course/Course.java: what it shows, or the story");
        }
        if (!Files.readString(ROOT.resolve("docs/teaching.md"))
                .contains("(../exercises/" + lesson.name() + ".java)")) {
            open.add("docs/teaching.md: what its exercise is for");
        }
        for (String folder : List.of("lessons", "exercises", "solutions", "tests")) {
            for (Path file : all(folder, "")) {
                if (!ROOT.relativize(file).toString().contains(lesson.name())
                        || file.endsWith("untouched.java.txt")) continue; // format's own
                List<String> lines = Files.readAllLines(file);
                for (int i = 0; i < lines.size(); i++) {
                    if (!lines.get(i).contains("(to do: ")) continue;
                    open.add(ROOT.relativize(file) + ":" + (i + 1) + " "
                            + lines.get(i).strip());
                }
            }
        }
        assertEquals("", String.join("\n", open));
    }

    @Test
    @DisplayName("every command has a script and says what it does")
    void commands() {
        for (var alias : JsonMapper.shared()
                .readTree(ROOT.resolve("jbang-catalog.json").toFile()).get("aliases")) {
            assertTrue(Files.exists(ROOT.resolve(alias.get("script-ref").asString())),
                    alias + "");
            assertTrue(!alias.path("description").asString("").isBlank(), alias + "");
        }
    }

    @Test
    @DisplayName("no library is asked for in two places, but by the scripts that learners read")
    void versions() throws Exception {
        List<String> asked = new ArrayList<>();
        for (String folder : List.of("shared", "tests")) {
            for (Path file : all(folder, ".java")) {
                Files.readAllLines(file).stream()
                        .filter(line -> line.startsWith("//DEPS "))
                        .map(line -> line.substring(7, line.lastIndexOf(':')))
                        .forEach(asked::add);
            }
        }
        Set<String> once = new TreeSet<>(asked);
        assertTrue(!once.isEmpty());
        assertEquals(once.stream().toList(), asked.stream().sorted().toList());
    }

    @Test
    @DisplayName("no program writes or compares in the locale of its machine")
    void locale() throws Exception {
        var depends = Pattern.compile("%[\\d$,.]*[dfxe]\\b|to(Lower|Upper)Case\\(\\)");
        List<String> found = new ArrayList<>();
        for (String folder : List.of("lessons", "exercises", "solutions", "shared")) {
            for (Path file : all(folder, ".java")) {
                depends.matcher(Files.readString(file)).results().forEach(
                        each -> found.add(ROOT.relativize(file) + ": " + each.group()));
            }
        }
        assertEquals(List.of(), found);
    }

    @Test
    @DisplayName("the rooms of the grader stand on each other, and none on one above it")
    void rooms() throws Exception {
        List<String> rooms = List.of("repo", "build", "stage", "client", "requirement",
                "verdict", "report", "command");
        for (Path file : all("tests/grader", ".java")) {
            int own = rooms.indexOf(file.getParent().getFileName().toString());
            assertTrue(own >= 0, file + " is in no room");
            var imports = Pattern.compile("(?m)^import (?:static )?grader\\.(\\w+)\\.")
                    .matcher(Files.readString(file));
            while (imports.find()) {
                assertTrue(rooms.indexOf(imports.group(1)) < own,
                        ROOT.relativize(file) + " imports from " + imports.group(1));
            }
        }
    }

    private static List<Path> all(String folder, String ending) throws IOException {
        try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
            return files.filter(FormTest::isOurs)
                    .filter(file -> file.toString().endsWith(ending)).sorted()
                    .toList();
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("an exercise is its solution with the holes open")
    void holes(Exercise exercise) {
        String solution = Repo.read(exercise.solution());
        assertEquals(Exercise.outside(exercise.untouched()),
                Exercise.outside(Repo.read(exercise.file())),
                "outside its holes, exercises/" + exercise
                        + ".java is as solutions/ has it");
        var todos = exercise.todos(exercise.untouched());
        assertTrue(todos.size() >= 2 && todos.size() <= 4,
                () -> exercise + " has " + todos.size() + " holes, and wants 2 to 4");
        for (int i = 0; i < todos.size(); i++) {
            assertEquals(i + 1, todos.get(i).number(), "TODOs are numbered in order");
            assertTrue(todos.get(i).open() && todos.get(i).sentence().endsWith("."),
                    todos + "");
        }
        assertTrue(exercise.todos(solution).stream().noneMatch(Exercise.Todo::open),
                "the solution is done");
        for (var each : Grading.undecided(exercise)) {
            assertTrue(each.id().startsWith(exercise.number() + "."), each.id());
            assertTrue(each.todo() >= 1 && each.todo() <= todos.size(),
                    each.id() + " names one of the TODOs");
            assertTrue(each.points() >= 1 && each.points() <= 3,
                    each.id() + " has 1 to 3 points");
        }
        assertTrue(Files.exists(ROOT.resolve("exercises/" + exercise + ".html")),
                "the page of " + exercise);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("of the hints only the last has a line of the solution")
    void hints(Exercise exercise) {
        String untouched = exercise.untouched();
        List<String> inHoles =
                Repo.read(exercise.solution()).lines().map(String::strip)
                        .filter(line -> line.length() > 15 && !untouched.contains(line))
                        .toList();
        for (var each : Grading.undecided(exercise)) {
            List<String> hints = exercise.hints(each.id());
            assertEquals(3, hints.size(), "hints of " + each.id());
            for (String hint : hints.subList(0, 2)) {
                assertTrue(inHoles.stream().noneMatch(hint::contains),
                        () -> each.id() + " tells too early: " + hint);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"README.md", "CONTRIBUTING.md", "docs/teaching.md"})
    @DisplayName("the links of a page lead somewhere")
    void links(String page) throws Exception {
        Path file = ROOT.resolve(page);
        var links = Pattern.compile("\\]\\(([^)#]+)\\)")
                .matcher(Files.readString(file));
        while (links.find()) {
            String target = links.group(1);
            if (target.startsWith("http")) continue;
            assertTrue(Files.exists(file.resolveSibling(target)),
                    page + " links to " + target);
        }
    }
}
