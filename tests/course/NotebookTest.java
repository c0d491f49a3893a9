import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.io.File;
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
import java.util.stream.Stream;
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
@Timeout(600)
class NotebookTest {
    private static final String ASK = """
            var http = java.net.http.HttpClient.newHttpClient();
            int get(String path) throws Exception {
                return http.send(java.net.http.HttpRequest.newBuilder(java.net.URI.create(
                        "http://localhost:" + port + path)).build(),
                        java.net.http.HttpResponse.BodyHandlers.discarding()).statusCode();
            }
            """;
    private static final String SEEN = "get(\"/\") + \" \" + get(\"/again\")";

    @TempDir Path temp;

    /// Where the program is missing, the test is skipped with the remedy; with `CI=true` it fails.
    private static void need(String program) {
        if (Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)))) {
            return;
        }
        String missing = "No " + program + " on the PATH: apt-get install"
                + " jupyter-notebook jupyter-nbconvert, or pip install notebook;"
                + " then run this again.";
        if ("true".equals(System.getenv("CI"))) Assertions.fail(missing);
        Assumptions.abort(missing);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#lessons")
    @DisplayName("\"Run all\" has no red cell, the page is served from the kernel, and a cell that is evaluated again takes effect")
    void executed(Course.Lesson lesson) throws Exception {
        need("jupyter-nbconvert");
        Server.build("lessons/" + lesson.name() + ".java");
        Server.build("tests/notebook/Kernel.java");
        Notebook.lay(lesson, temp);
        Path file = temp.resolve(lesson.name() + ".ipynb");
        var made = (ObjectNode) JsonMapper.shared().readTree(file.toFile());
        var cells = made.withArray("cells");
        String start = Notebook.start(lesson);
        assertEquals(start, source(cells.get(cells.size() - 1)));
        String routes = source(cells.get(cells.size() - 3));
        assertTrue(routes.contains(".page("), routes);
        cells.remove(cells.size() - 1);
        List<String> wanted = new ArrayList<>();
        for (JsonNode each : cells) if (isCode(each)) wanted.add("");
        String[][] more = {
            {"int port = " + start.replaceFirst("\\d+", "0"), ""},
            {ASK, ""}, {SEEN, "200 404"},
            {routes.replace(".page(",
                    ".get(\"/again\", exchange -> Http.empty(exchange, 204)).page("),
                ""},
            {start.replaceFirst("\\d+", "port") + " == port", "true"},
            {SEEN, "200 204"}};
        for (String[] each : more) {
            cells.addPOJO(Notebook.code(each[0]));
            wanted.add(each[1]);
        }
        Files.write(file, JsonMapper.shared().writeValueAsBytes(made));
        var convert = new ProcessBuilder("jupyter-nbconvert", "--execute", "--to",
                "notebook", "--allow-errors",
                "--ExecutePreprocessor.startup_timeout=300",
                "--output", "executed", file.toString()).redirectErrorStream(true);
        convert.environment().put("JUPYTER_PATH", Notebook.path(temp));
        Process process = convert.start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        List<String> shown = new ArrayList<>();
        for (JsonNode each : JsonMapper.shared()
                .readTree(temp.resolve("executed.ipynb").toFile()).get("cells")) {
            if (isCode(each)) shown.add(shown(each.get("outputs")));
        }
        assertEquals(wanted, shown);
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
    @DisplayName("the command opens Jupyter, which knows the kernel; a notebook that is there stays, and --new keeps it")
    void opened() throws Exception {
        need("jupyter-notebook");
        Path repo = RepoCopy.in(temp.resolve("a copy"));
        Path notebook = repo.resolve("build/notebook/01_short_polling.ipynb");
        try {
            ask(repo);
            Files.writeString(notebook,
                    Files.readString(notebook).replace("# 01 - ", "# My own "));
            assertTrue(!run(repo, "01", "--", "--version").contains("--new"));
            assertTrue(Files.readString(notebook).contains("# My own "));
            Path lesson = repo.resolve("lessons/01_short_polling.java");
            Files.writeString(lesson, Files.readString(lesson) + "// More.\n");
            assertTrue(run(repo, "01", "--", "--version")
                    .contains("./jbang notebook 01 --new"));
            String said = run(repo, "01", "--new", "--", "--version");
            var kept = Pattern.compile("is now (\\S+)\\.\n").matcher(said);
            assertTrue(kept.find(), said);
            assertTrue(Files.readString(repo.resolve(kept.group(1)))
                    .contains("# My own "));
            assertTrue(Files.readString(notebook).contains("# 01 - "));
        } finally {
            RepoCopy.delete(repo);
        }
    }

    /// Opens the notebook without a browser, and asks Jupyter for it.
    private static void ask(Path repo) throws Exception {
        Process process = command(repo, "01", "--", "--no-browser", "--allow-root",
                "--ip=127.0.0.1", "--port=0").redirectErrorStream(true).start();
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
        Server.build("lessons/01_short_polling.java");
        Process process = command(Repo.root(), "01", "--jshell").start();
        try (var to = process.outputWriter()) {
            to.write("""
                    Serve.start(0, ShortPolling.routes()).port
                    IO.println(new String(new java.net.URI("http://localhost:" + $1 \
                    + "/").toURL().openStream().readAllBytes()).contains("id=\\"notebook\\""))
                    /exit
                    """);
        }
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        assertTrue(said.contains("\n    " + Notebook.start(Course.LESSONS.getFirst())
                + "\n"), said);
        assertTrue(said.contains("==> ") && said.contains("true"), said);
    }

    private static ProcessBuilder command(Path repo, String... words) {
        List<String> command =
                new ArrayList<>(List.of(repo.resolve("jbang").toString(), "notebook"));
        command.addAll(List.of(words));
        return new ProcessBuilder(command).directory(repo.toFile());
    }

    private static String run(Path repo, String... words) throws Exception {
        Process process = command(repo, words).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        return said;
    }
}
