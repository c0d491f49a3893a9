import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("06 Heartbeats")
class HeartbeatsTest {
    private static final Duration SOON = Duration.ofSeconds(40);
    private static final int BEAT_MS = 500;
    private static final int CLOSE = 8;
    private static final int PING = 9;
    private static final int PONG = 10;
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/06_heartbeats.java",
                "BEAT_MS=" + BEAT_MS);
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    /// A rider that reads its frames, and answers pings if it is told to.
    private static final class Rider implements AutoCloseable {
        final RawHttp raw;
        final List<Integer> opcodes = new ArrayList<>();

        Rider(int port, String query) throws Exception {
            raw = new RawHttp(port).request("GET", "/ride?name=" + query, null,
                    RawHttp.UPGRADE);
            assertEquals(101, raw.head().status());
        }

        /// The code with which it is closed.
        int closed(boolean pongs, int most) throws IOException {
            for (int i = 0; i < most; i++) {
                RawHttp.Frame frame = raw.readFrame();
                int opcode = frame.opcode();
                opcodes.add(opcode);
                if (opcode == CLOSE) return frame.code();
                if (opcode == PING && pongs) {
                    raw.send(RawHttp.frame(0x80 | PONG, frame.payload()));
                }
            }
            return 0;
        }

        @Override
        public void close() throws IOException {
            raw.close();
        }
    }

    private static JsonNode state() throws Exception {
        return JsonMapper.shared()
                .readTree(RawHttp.ask(server.port, "GET", "/riders", null).text());
    }

    private static boolean isHere(String name) throws Exception {
        return state().path("riders").valueStream()
                .anyMatch(each -> each.path("name").asString().equals(name));
    }

    private static void cable(String action) throws Exception {
        assertEquals(204, RawHttp
                .ask(server.port, "POST", "/_/page/cable/" + action, null).status());
    }

    private static void see(String what, Callable<Boolean> so)
            throws Exception {
        Eventually.see(what, SOON, so, is -> is);
    }

    @Test
    @DisplayName("a rider that answers no ping is closed with 1001 after two beats, and reset a little later")
    void silent() throws Exception {
        long began = System.nanoTime();
        try (Rider rider = new Rider(server.port, "silent")) {
            assertEquals(1001, rider.closed(false, 100));
            long took = (System.nanoTime() - began) / 1_000_000;
            assertTrue(took >= 2 * BEAT_MS, took + " ms");
            assertTrue(rider.opcodes.contains(PING), rider.opcodes::toString);
            see("it is gone", () -> !isHere("silent"));
            assertTrue(rider.raw.endsWithin((int) SOON.toMillis()), "still open");
        }
    }

    @Test
    @DisplayName("a rider that only answers pings stays; each ping comes with a beat for the script")
    void pongs() throws Exception {
        try (Rider rider = new Rider(server.port, "pongs")) {
            assertEquals(0, rider.closed(true, 1 + 2 * 5), "five beats");
            assertEquals(5,
                    rider.opcodes.stream().filter(each -> each == PING).count());
            assertTrue(isHere("pongs"));
        }
    }

    @Test
    @DisplayName("without beats a frozen rider is counted on and on; with them it is gone, and a thaw brings a reset")
    void frozen() throws Exception {
        int cable = server.cablePort();
        try (Rider naive = new Rider(cable, "naive&beats=off");
                Rider careful = new Rider(cable, "careful")) {
            see("both are here", () -> isHere("naive") && isHere("careful"));
            cable("freeze");
            see("the careful one is gone", () -> !isHere("careful"));
            assertTrue(isHere("naive"));
            cable("thaw");
            assertEquals(1001, careful.closed(false, 100));
        }
        see("the naive one has said goodbye", () -> !isHere("naive"));
    }

    @Test
    @DisplayName("200 visits, each other one by a reset, leave no rider; each is told as gone once")
    void visits() throws Exception {
        try (RawHttp board = new RawHttp(server.port).request("GET", "/board", null)) {
            assertEquals(200, board.head().status());
            for (int i = 0; i < 200; i++) {
                Rider rider = new Rider(server.port, "visitor" + i);
                if (i % 2 == 0) rider.close();
                else rider.raw.reset();
            }
            see("nobody is left", () -> state().path("riders").valueStream()
                    .noneMatch(each -> each.path("name").asString()
                            .startsWith("visitor")));
            new Rider(server.port, "last").close();
            List<String> gone = new ArrayList<>();
            while (gone.isEmpty() || !gone.getLast().contains("\"last\"")) {
                if (board.line().equals("event:gone")) gone.add(board.line());
            }
            assertEquals(201, gone.stream().map(each -> each.replaceAll(",.*", ""))
                    .distinct().count());
            assertEquals(201, gone.size());
        }
    }

    @Test
    @DisplayName("a stream that nobody reads is written to without an error, and ends by its age")
    void stream() throws Exception {
        int before = state().path("streams").asInt();
        try (RawHttp board =
                new RawHttp(server.cablePort()).request("GET", "/board", null)) {
            assertEquals(200, board.head().status());
            cable("freeze");
            try (Rider clock = new Rider(server.port, "clock")) {
                clock.closed(true, 1 + 2 * 6);
            }
            assertTrue(state().path("streams").asInt() > before,
                    "six beats later it is still counted");
            see("it has ended", () -> state().path("streams").asInt() <= before);
        } finally {
            cable("thaw");
        }
    }

    @Test
    @DisplayName("what makes no sense is told to who said it, and it stays")
    void nonsense() throws Exception {
        try (Rider rider = new Rider(server.port, "odd")) {
            for (String text : List.of("{", "{\"x\":1}", "{\"x\":1,\"y\":101}")) {
                rider.raw.send(RawHttp.frame(0x81, text.getBytes()));
            }
            rider.closed(true, 4);
            assertTrue(isHere("odd"));
        }
        for (String query : List.of("", "?name=a&name=b")) {
            assertEquals(400, new RawHttp(server.port)
                    .request("GET", "/ride" + query, null, RawHttp.UPGRADE).head()
                    .status());
        }
    }

    @Test
    @DisplayName("the page: each experiment asks for a prediction, and its outcome is measured")
    void page() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.LIGHT)
                .expecting("http://localhost:" + server.cablePort() + "/board")) {
            chromium.see("#gauges", "2 riders");
            chromium.screenshot("06-wide-light");
            chromium.experiment("naive", "her page says open.*still counts her");
            chromium.experiment("freeze", "The server let ada go.*Her page gave");
            chromium.experiment("stream",
                    "The reader noticed the silence.*predicted: its reader. Right");
            chromium.experiment("visits", "counts 0 of them");
        }
    }
}
