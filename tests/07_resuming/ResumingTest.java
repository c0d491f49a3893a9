import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("07 Resuming")
class ResumingTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int DEATHS = 10;
    private static final int CLIENTS = 300;
    /// Of the pauses: a tenth of 300 in each second, or so.
    private static final int BASE_MS = 10_000;
    @TempDir static Path data;
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/07_resuming.java", "DATA=" + data,
                "BASE_MS=" + BASE_MS);
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    /// Hears goals by a WebSocket.
    private static final class Viewer implements AutoCloseable {
        private final RawHttp raw;

        Viewer(String query) throws Exception {
            raw = new RawHttp(server.port).request("GET", "/ticker" + query, null,
                    RawHttp.UPGRADE);
            assertEquals(101, raw.head().status());
        }

        JsonNode next() throws Exception {
            RawHttp.Frame frame = raw.readFrame();
            assertEquals(0x81, frame.first(), "a text");
            return JsonMapper.shared().readTree(frame.text());
        }

        @Override
        public void close() throws Exception {
            raw.close();
        }
    }

    private static JsonNode ask(String method, String path, String body,
            String... fields) throws Exception {
        return JsonMapper.shared()
                .readTree(RawHttp.ask(server.port, method, path, body, fields).text());
    }

    private static String goal(String team, String... fields) throws Exception {
        return ask("POST", "/events", "{\"team\":\"" + team + "\"}", fields)
                .get("cursor").asString();
    }

    private static String cursor() throws Exception {
        return ask("GET", "/snapshot", null).get("cursor").asString();
    }

    private static void node(String action) throws Exception {
        assertEquals(204, RawHttp
                .ask(server.port, "POST", "/_/page/node/" + action, null).status());
    }

    private static int number(String cursor) {
        return Integer.parseInt(cursor.substring(cursor.indexOf('-') + 1));
    }

    @Test
    @DisplayName("who comes back with a cursor gets what it missed, each once, and then what is new")
    void resumes() throws Exception {
        String before = cursor();
        List<String> missed = List.of(goal("home"), goal("away"), goal("home"));
        try (Viewer ada = new Viewer("?after=" + before);
                RawHttp stream = new RawHttp(server.port).request("GET",
                        "/events?after=nonsense", null, "Last-Event-ID: " + before)) {
            assertEquals(200, stream.head().status());
            for (String each : missed) {
                assertEquals(each, ada.next().get("cursor").asString());
            }
            String live = goal("away");
            assertEquals(live, ada.next().get("cursor").asString());
            List<String> ids = new ArrayList<>();
            while (ids.size() < 4) {
                String line = stream.line();
                assertNotEquals("event:reset", line);
                if (line.startsWith("id:")) ids.add(line.substring(3));
            }
            assertEquals(live, ids.removeLast());
            assertEquals(missed, ids);
        }
    }

    @Test
    @DisplayName("a cursor that is not known gets reset, and no silence: foreign, from the future, no cursor at all")
    void resets() throws Exception {
        String epoch = cursor().split("-")[0];
        for (String after : List.of("", "17", "zzzz-1", epoch + "-999999",
                epoch + "--1",
                epoch + "-01", epoch + "-9999999999", epoch + "-1-1")) {
            try (Viewer ada = new Viewer("?after=" + after)) {
                assertEquals("{\"type\":\"reset\"}", ada.next().toString(), after);
            }
        }
        assertEquals(400,
                RawHttp.ask(server.port, "GET", "/ticker?after=a&after=b", null,
                        RawHttp.UPGRADE).status());
    }

    @Test
    @DisplayName("who comes while goals fall gets each of them once: missed and live are one step")
    void oneStep() throws Exception {
        String before = cursor();
        var falling = CompletableFuture.runAsync(() -> {
            for (int i = 0; i < 200; i++) {
                try {
                    goal("home");
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        });
        List<Viewer> viewers = new ArrayList<>();
        while (!falling.isDone() && viewers.size() < 60) {
            viewers.add(new Viewer("?after=" + before));
        }
        falling.join();
        int last = number(cursor());
        for (Viewer each : viewers) {
            for (int n = number(before) + 1; n <= last; n++) {
                assertEquals(n, number(each.next().get("cursor").asString()));
            }
            each.close();
        }
    }

    @Test
    @DisplayName("a killed ticker has lost no goal and no key; a line that was torn counts as none")
    void killed() throws Exception {
        String before = cursor();
        String key = "Idempotency-Key: before-the-kill";
        String told = goal("home", key);
        node("kill");
        assertEquals(503, RawHttp.ask(server.port, "GET", "/snapshot", null).status());
        assertEquals("1", RawHttp.ask(server.port, "GET", "/snapshot", null)
                .header("retry-after"));
        Files.writeString(data.resolve("ticker.log"), "away torn",
                StandardOpenOption.APPEND);
        node("start");
        assertEquals(told, cursor());
        assertEquals(told, goal("home", key), "the same command again");
        try (Viewer ada = new Viewer("?after=" + before)) {
            assertEquals(told, ada.next().get("cursor").asString());
            String live = goal("away");
            assertEquals(live, ada.next().get("cursor").asString());
            assertEquals(number(told) + 1, number(live));
        }
        assertEquals(422, RawHttp.ask(server.port, "POST", "/events",
                "{\"team\":\"away\"}", key).status());
        assertEquals(400, RawHttp.ask(server.port, "POST", "/events",
                "{\"team\":\"red\"}").status());
    }

    @Test
    @DisplayName("a ticker that lost its log begins a new epoch, and says reset to the old one")
    void lost() throws Exception {
        String before = goal("home");
        node("kill");
        assertEquals(204, RawHttp.ask(server.port, "DELETE", "/_/log", null).status());
        node("start");
        assertNotEquals(before.split("-")[0], cursor().split("-")[0]);
        try (Viewer ada = new Viewer("?after=" + before)) {
            assertEquals("reset", ada.next().get("type").asString());
        }
    }

    @Test
    @DisplayName("each event stream is told a retry of its own")
    void retries() throws Exception {
        List<String> told = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            try (RawHttp stream =
                    new RawHttp(server.port).request("GET", "/events", null)) {
                assertEquals(200, stream.head().status());
                told.add(stream.line());
            }
        }
        assertTrue(told.stream().allMatch(each -> each.matches("retry:\\d{3,4}")),
                told::toString);
        assertTrue(told.stream().distinct().count() > 1, told::toString);
    }

    @Test
    @DisplayName("300 clients over ten deaths: no gap, no double, the fullest second below a fifth of them")
    void crowd() throws Exception {
        assertEquals(204, RawHttp.ask(server.port, "POST", "/_/page/crowd/spread", null)
                .status());
        see("all are there", () -> open() == CLIENTS);
        int fullest = 0;
        for (int i = 0; i < DEATHS; i++) {
            node("kill");
            node("start");
            for (int n = 0; n < 5; n++) goal(n % 2 == 0 ? "home" : "away");
            see("nine of ten are back", () -> open() >= CLIENTS * 9 / 10);
            fullest = Math.max(fullest, ask("GET", "/_/page/crowd", null).get("returns")
                    .valueStream().mapToInt(JsonNode::asInt).max().orElse(0));
        }
        see("all are back", () -> open() == CLIENTS);
        JsonNode count = ask("GET", "/_/page/crowd", null);
        assertEquals("0 gaps, 0 doubles, 0 resets", "%s gaps, %s doubles, %s resets"
                .formatted(count.get("gaps"), count.get("doubles"),
                        count.get("resets")));
        System.out.println("07: the fullest second had " + fullest + " of " + CLIENTS);
        assertTrue(fullest < CLIENTS / 5, fullest + " in one second");
        assertEquals(204,
                RawHttp.ask(server.port, "DELETE", "/_/page/crowd", null).status());
    }

    private static int open() throws Exception {
        return ask("GET", "/_/page/crowd", null).get("open").asInt();
    }

    private static void see(String what, java.util.concurrent.Callable<Boolean> so)
            throws Exception {
        Eventually.see(what, SOON, so, is -> is);
    }

    @Test
    @DisplayName("the second process ends with the first, even if that is killed")
    void orphans() throws Exception {
        Server own = Server.start("lessons/07_resuming.java");
        assertEquals(200, RawHttp.ask(own.port, "GET", "/snapshot", null).status());
        List<ProcessHandle> all = own.process.descendants().toList();
        assertTrue(all.size() > 0, "it has a child");
        own.process.descendants().forEach(each -> {
            if (each.children().findAny().isPresent()) each.destroyForcibly();
        });
        own.process.destroyForcibly();
        see("all have ended", () -> all.stream().noneMatch(ProcessHandle::isAlive));
    }

    @Test
    @DisplayName("the page: each experiment asks for a prediction, and its outcome is measured")
    void page() throws Exception {
        try (Server own = Server.start("lessons/07_resuming.java");
                Chromium chromium = Chromium.open(own, 1440, ColorScheme.LIGHT)
                        .expecting("503", "WebSocket connection")) {
            chromium.see("#ada", "open");
            chromium.see("#bob", "open");
            chromium.screenshot("07-wide-light");
            chromium.experiment("kill", "predicted: ada's. Right");
            chromium.experiment("twice", "With one key.*It was: 3");
            chromium.experiment("lose", "The ticker said reset.*It was: reset");
            chromium.experiment("unavailable", "closed for good.*It was: gives up");
            chromium.experiment("fixed", "0 gaps, and 0 doubles");
            chromium.experiment("spread", "0 gaps, and 0 doubles");
        }
    }
}
