import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import shared.course.Course;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// `./jbang notebook`, with the real Jupyter and the real kernel.
@DisplayName("Notebooks")
@EachLesson
@DisabledOnOs(OS.WINDOWS)
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class NotebookTest {
    /// Asks over one connection as long as the server lets it, as a browser does.
    private static final String ASK = """
            var client = java.net.http.HttpClient.newHttpClient();
            String get(String path) throws Exception {
                var answer = client.send(java.net.http.HttpRequest.newBuilder(
                        java.net.URI.create("http://localhost:" + port + path)).build(),
                        java.net.http.HttpResponse.BodyHandlers.ofString());
                return answer.statusCode() + (answer.body().contains("id=\\"notebook\\"")
                        ? " the page, " : "");
            }
            """;
    private static final String SEEN = "get(\"/\") + get(\"/again\")";

    @TempDir Path temp;

    /// Where a program is missing, the test is skipped with the remedy; with `CI=true` it fails.
    private static String need(String program) {
        Path found = Notebook.program(program);
        String missing = "No " + program + " on the PATH: apt-get install"
                + " jupyter-notebook jupyter-nbconvert, or pip install notebook;"
                + " then run this again.";
        if (found == null
                && "true".equals(System.getenv("CI"))) Assertions.fail(missing);
        Assumptions.assumeTrue(found != null, missing);
        return found.toString();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#lessons")
    @DisplayName("\"Run all\" has no red cell, the page is served from the kernel, and a cell that is evaluated again takes effect")
    void executed(Course.Lesson lesson) throws Exception {
        String convert = need("jupyter-nbconvert");
        build(lesson);
        Path file = Notebook.lay(lesson, temp);
        var notebook = (ObjectNode) JsonMapper.shared().readTree(file.toFile());
        var cells = notebook.withArray("cells");
        String start = source(cells.remove(cells.size() - 1));
        String routes = source(cells.get(cells.size() - 2));
        List<String> wanted = new ArrayList<>();
        for (JsonNode each : cells) if (isCode(each)) wanted.add("");
        String[][] more = {
            {"int port = " + start.replace("" + lesson.port(), "0"), ""}, {ASK, ""},
            {SEEN, "200 the page, 404"},
            {routes.replace(".page(",
                    ".get(\"/again\", exchange -> Http.empty(exchange, 204)).page("),
                ""},
            {start.replace("" + lesson.port(), "port") + " == port", "true"},
            {SEEN, "200 the page, 204"}};
        for (String[] each : more) {
            cells.addPOJO(Notebook.code(each[0]));
            wanted.add(each[1]);
        }
        Files.write(file, JsonMapper.shared().writeValueAsBytes(notebook));
        var program = new ProcessBuilder(convert, "--execute", "--to", "notebook",
                "--allow-errors", "--ExecutePreprocessor.startup_timeout=300",
                "--ExecutePreprocessor.timeout=300",
                "--ExecutePreprocessor.iopub_timeout=60", "--output", "executed",
                file.toString());
        program.environment().put("JUPYTER_PATH", Notebook.path(temp));
        run(program);
        List<String> shown = new ArrayList<>();
        for (JsonNode each : JsonMapper.shared()
                .readTree(temp.resolve("executed.ipynb").toFile()).get("cells")) {
            if (isCode(each)) shown.add(shown(each.get("outputs")));
        }
        assertEquals(wanted, shown);
    }

    /// Builds what the command would, a copy's too, before another test does at the same time.
    private static void build(Course.Lesson lesson) throws Exception {
        Server.build("lessons/" + lesson.name() + ".java");
        Server.build("tests/notebook/Kernel.java");
    }

    private static boolean isCode(JsonNode cell) {
        return cell.get("cell_type").asString().equals("code");
    }

    private static String source(JsonNode cell) {
        return cell.get("source").asString();
    }

    /// What stands below a cell: its value as it is, all else in the words of Jupyter.
    private static String shown(JsonNode outputs) {
        JsonNode value = outputs.at("/0/data/text~1html");
        if (outputs.isEmpty()) return "";
        return outputs.size() == 1 && value.isArray() ? value.at("/0").asString()
                : outputs.toPrettyString();
    }

    @Test
    @DisplayName("the command opens Jupyter, which knows the kernel; a notebook that is there stays")
    void opened() throws Exception {
        need("jupyter-notebook");
        build(Course.LESSONS.getFirst());
        Path repo = RepoCopy.in(temp.resolve("a copy"));
        Path notebook = repo.resolve("build/notebook/01_short_polling.ipynb");
        try {
            ask(repo);
            Files.writeString(notebook,
                    Files.readString(notebook).replace("# 01 - ", "# My own "));
            run(command(repo, "01", "--", "--version"));
            assertTrue(Files.readString(notebook).contains("# My own "));
        } finally {
            RepoCopy.delete(repo);
        }
    }

    /// Opens the notebook without a browser, and asks Jupyter for it.
    private static void ask(Path repo) throws Exception {
        Process process = command(repo, "01", "--", "--no-browser", "--allow-root",
                "--ip=127.0.0.1").redirectErrorStream(true).start();
        try (var lines = process.inputReader()) {
            String line;
            var address = Pattern.compile("(http://\\S+?/)\\S*(\\?token=\\w+)");
            StringBuilder said = new StringBuilder();
            do {
                line = lines.readLine();
                said.append(line).append('\n');
                assertTrue(line != null, said.toString());
            } while (!address.matcher(line).find());
            var found = address.matcher(line);
            found.find();
            assertTrue(get(found.group(1) + "api/kernelspecs" + found.group(2))
                    .contains("\"Java, lesson 01\""));
            assertTrue(get(found.group(1) + "api/contents/01_short_polling.ipynb"
                    + found.group(2)).contains("# 01 - "));
        } finally {
            process.descendants().forEach(ProcessHandle::destroy);
            if (!process.waitFor(30, TimeUnit.SECONDS)) process.destroyForcibly();
        }
    }

    private static String get(String url) throws Exception {
        return HttpClient.newHttpClient().send(
                HttpRequest.newBuilder(URI.create(url)).build(),
                HttpResponse.BodyHandlers.ofString()).body();
    }

    @Test
    @DisplayName("in jshell the cells are loaded, and the line that the command names serves the page")
    void shell() throws Exception {
        build(Course.LESSONS.getFirst());
        String start = Notebook.start(Course.LESSONS.getFirst());
        String said = run(command(Repo.root(), "01", "--jshell").redirectInput(
                Files.writeString(temp.resolve("typed"), """
                        int port = %s
                        %s
                        %s
                        /exit
                        """.formatted(start.replace("8001", "0"), ASK, SEEN))
                        .toFile()));
        assertTrue(said.contains("\n    " + start + "\n"), said);
        assertTrue(said.contains("\"200 the page, 404\""), said);
    }

    private static ProcessBuilder command(Path repo, String... words) {
        List<String> command =
                new ArrayList<>(List.of(repo.resolve("jbang").toString(), "notebook"));
        command.addAll(List.of(words));
        return new ProcessBuilder(command).directory(repo.toFile());
    }

    private static String run(ProcessBuilder program) throws Exception {
        Process process = program.redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        return said;
    }
}
