import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.build.Build;
import grader.repo.Exercise;
import grader.stage.Node;
import grader.stage.Stage;
import grader.stage.Upstream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import shared.cable.Cable;

/// What requirements of several programs stand on: nodes, a cable, an upstream.
@DisplayName("The grader's stage")
class StageTest {
    /// Keeps what it is told in the folder that its nodes share, and asks an upstream.
    private static final String PROGRAM = """
            //JAVA 25+
            //SOURCES ../shared/*.java
            import java.net.*;
            import java.net.http.*;
            import java.nio.file.*;
            import java.util.Map;
            import shared.*;

            class Nodes {
                static final Path FILE = Path.of(System.getenv("DATA"), "told.txt");

                void main() {
                    Serve.run("Nodes", 0, new Routes()
                            .put("/told", (exchange, body) -> {
                                Files.write(FILE, body);
                                Http.empty(exchange, 204);
                            })
                            .get("/told", exchange -> Http.send(exchange, 200, "text/plain",
                                    Files.readString(FILE)))
                            .get("/environment", exchange -> Http.json(exchange, 200,
                                    System.getenv()))
                            .get("/ask", exchange -> exchange.dispatch(() -> {
                                String said = ask();
                                Http.send(exchange, 200, "text/plain", said);
                            })));
                }

                static String ask() {
                    try {
                        return HttpClient.newBuilder()
                                .version(HttpClient.Version.HTTP_1_1).build()
                                .send(HttpRequest.newBuilder(
                                        URI.create(System.getenv("UPSTREAM"))).build(),
                                        HttpResponse.BodyHandlers.ofString()).body();
                    } catch (Exception e) {
                        return "failed";
                    }
                }
            }
            """;

    @TempDir Path folder;
    private Stage stage;

    @BeforeEach
    void build() throws IOException {
        Path file = Files.writeString(folder.resolve("nodes.java"), PROGRAM);
        stage = new Stage(Build.of(new Exercise("01_short_polling"), file, folder),
                folder);
    }

    @AfterEach
    void end() {
        stage.close();
    }

    private static RawHttp.Answer ask(int port, String path) throws IOException {
        return RawHttp.ask(port, "GET", path, null);
    }

    @Test
    @DisplayName("two nodes share a folder; one is killed and started anew, the other goes on")
    void nodes() throws Exception {
        Node a = stage.node(Stage.A);
        Node b = stage.node("b");
        assertEquals(204, RawHttp.ask(a.port(), "PUT", "/told", "{}").status());
        assertEquals("{}", ask(b.port(), "/told").text());
        stage.end(Stage.A);
        assertFalse(a.isUsable());
        assertEquals("{}", ask(b.port(), "/told").text());
        Node again = stage.node(Stage.A);
        assertNotEquals(a, again);
        assertEquals("{}", ask(again.port(), "/told").text());
        assertEquals(b, stage.node("b"), "who runs is not started again");
        stage.close();
        assertEquals(0, again.processes().size() + b.processes().size());
    }

    @Test
    @DisplayName("a node has the settings that it was given, over a restart too, and none of the grader's own")
    void settings() throws Exception {
        stage.start(Stage.A, Map.of("BEAT_MS", "100"));
        stage.end(Stage.A);
        String environment = ask(stage.node(Stage.A).port(), "/environment").text();
        assertTrue(environment.contains("\"BEAT_MS\":\"100\""), environment);
        assertFalse(environment.contains("JAVA_TOOL_OPTIONS"), environment);
        for (String name : System.getenv().keySet()) {
            if (name.matches("PATH|HOME|USER|LANG|LC_ALL|TZ|TMPDIR|TEMP|TMP")) continue;
            assertFalse(environment.contains("\"" + name + "\":"), name);
        }
    }

    @Test
    @DisplayName("a cable keeps its address when the node behind it is started anew on another port")
    void cable() throws Exception {
        Cable cable = stage.cable(Stage.A);
        String host = "Host: localhost:" + stage.first().port();
        assertEquals(200, RawHttp.ask(cable.port(), "GET", "/environment", null, host)
                .status());
        stage.end(Stage.A);
        stage.node(Stage.A);
        assertEquals(cable, stage.cable(Stage.A));
        assertEquals(200, RawHttp.ask(cable.port(), "GET", "/environment", null,
                "Host: localhost:" + stage.first().port()).status());
    }

    @Test
    @DisplayName("the grader plays an upstream: it answers, holds an answer, and resets")
    void upstream() throws Exception {
        Upstream upstream = stage.upstream();
        Node a = stage.start(Stage.A,
                Map.of("UPSTREAM",
                        "http://localhost:" + upstream.port() + "/news?x=1"));
        try (RawHttp asked = new RawHttp(a.port()).request("GET", "/ask", null)) {
            Upstream.Call call = upstream.next(10_000);
            assertEquals("GET /news?x=1", call.method + " " + call.path);
            assertEquals("localhost:" + upstream.port(), call.headers.get("host"));
            call.answer(200, "good news", "Content-Type", "text/plain");
            assertEquals("good news", asked.answer().text());
        }
        try (RawHttp asked = new RawHttp(a.port()).request("GET", "/ask", null)) {
            Upstream.Call call = upstream.next(10_000);
            call.begin(200, "Content-Type", "text/plain");
            assertFalse(call.isLeft(1));
            call.reset();
            assertEquals("failed", asked.answer().text());
        }
        try (RawHttp asked = new RawHttp(a.port()).request("GET", "/ask", null)) {
            Upstream.Call call = upstream.next(10_000);
            stage.end(Stage.A);
            assertTrue(call.isLeft(10_000), "its client was killed");
            assertTrue(asked.endsWithin(10_000));
        }
    }
}
