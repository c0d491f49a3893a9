import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("08 Slow consumers")
class SlowConsumersTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int OTHERS = 200;
    private static final int IDLE = 5_000;
    private static final int CAP = 64 * 1024;
    private static final int TEXT = 1;
    private static final int CLOSE = 8;
    private static final int PING = 9;
    private static final int MEGABYTE = 1024 * 1024;
    private static Server server;
    private static int cable;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/08_slow_consumers.java");
        cable = server.cablePort();
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    @AfterEach
    void thaw() throws Exception {
        post("/_/page/cable/thaw", null);
        post("/_/page/cable/throttle", "{\"bytesPerSecond\":0}");
    }

    private static void post(String path, String body) throws Exception {
        assertEquals(204, RawHttp.ask(server.port, "POST", path, body).status(), path);
    }

    private static JsonNode get(String path) throws Exception {
        return JsonMapper.shared()
                .readTree(RawHttp.ask(server.port, "GET", path, null).text());
    }

    private static void see(String what, Callable<Boolean> isSo) throws Exception {
        Eventually.see(what, SOON, isSo, is -> is);
    }

    private static void throttle(int bytesPerSecond) throws Exception {
        post("/_/page/cable/throttle",
                "{\"bytesPerSecond\":%d}".formatted(bytesPerSecond));
    }

    private static void audience(String policy, int size) throws Exception {
        post("/_/page/audience",
                "{\"policy\":\"%s\",\"size\":%d}".formatted(policy, size));
        see("all " + size + " are here",
                () -> get("/_/page/audience").get("open").asInt() == size);
    }

    /// Reads frames when it is told to.
    private static final class Reader implements AutoCloseable {
        final RawHttp raw;

        Reader(int port, String path) throws Exception {
            raw = new RawHttp(port).request("GET", path, null, RawHttp.UPGRADE);
            assertEquals(101, raw.head().status());
        }

        RawHttp.Frame next() throws Exception {
            return raw.readFrame();
        }

        /// When the price in the next frame was made.
        static long at(RawHttp.Frame price) {
            return JsonMapper.shared().readTree(price.text()).get("at").asLong();
        }

        @Override
        public void close() throws Exception {
            raw.close();
        }
    }

    private static int readers() throws Exception {
        return get("/_/page/gauges").get("readers").asInt();
    }

    private static Reader frozen(String policy) throws Exception {
        Reader phone =
                new Reader(cable, "/prices?name=" + policy + "&policy=" + policy);
        see("it is listed", () -> slow(policy) != null);
        post("/_/page/cable/freeze", null);
        return phone;
    }

    private static JsonNode slow(String name) throws Exception {
        return get("/_/page/gauges").get("slow").valueStream()
                .filter(each -> each.get("name").asString().equals(name)).findFirst()
                .orElse(null);
    }

    @Test
    @DisplayName("latest: of a reader that is stuck at most one price of each symbol waits, the newest")
    void latest() throws Exception {
        try (Reader phone = frozen("latest")) {
            see("five prices wait",
                    () -> slow("latest").get("queued").asInt() > 4 * 3_900);
            long until = System.currentTimeMillis();
            see("ten rounds have passed", () -> {
                assertTrue(slow("latest").get("queued").asInt() < 7 * 4_000);
                return System.currentTimeMillis() > until + 2_000;
            });
            post("/_/page/cable/thaw", null);
            long newest = 0;
            for (int i = 0; newest < until + 1_800; i++) {
                assertTrue(i < 200, "the newest price comes at last");
                newest = Reader.at(phone.next());
            }
        }
    }

    @Test
    @DisplayName("drop: what does not fit is counted, and the queue stays within the cap")
    void drop() throws Exception {
        try (Reader phone = frozen("drop")) {
            assertTrue(phone.raw.socket.isConnected());
            see("some are dropped", () -> {
                JsonNode state = slow("drop");
                assertTrue(state.get("queued").asInt() <= CAP, state::toString);
                return state.get("dropped").asInt() > 20;
            });
            assertTrue(slow("drop").get("queued").asInt() > CAP - 4_100);
        }
    }

    @Test
    @DisplayName("cut: what was sent before arrives in its order, then 1013")
    void cut() throws Exception {
        try (Reader phone = frozen("cut")) {
            see("it is cut off", () -> slow("cut").get("dropped").asInt() == 1);
            post("/_/page/cable/thaw", null);
            long last = 0;
            RawHttp.Frame frame = phone.next();
            for (; frame.opcode() == TEXT; frame = phone.next()) {
                long at = Reader.at(frame);
                assertTrue(at > last, at + " after " + last);
                last = at;
            }
            assertEquals(CLOSE, frame.opcode());
            assertEquals(1013, frame.code());
        }
        see("it is gone", () -> slow("cut") == null);
        try (Reader silent = frozen("cut")) {
            assertTrue(silent.raw.socket.isConnected());
            see("it is cut off", () -> slow("cut").get("dropped").asInt() == 1);
            see("it has ended, though nobody reads", () -> slow("cut") == null);
        }
    }

    @Test
    @DisplayName("what waits until 4 MB are through: as a frame all, in fragments messages, in messages nothing")
    void film() throws Exception {
        assertEquals("pings and messages", waits("frame"));
        assertEquals("messages", waits("fragments"));
        assertEquals("nothing", waits("messages"));
        assertEquals(400, RawHttp.ask(server.port, "GET", "/film", null,
                RawHttp.UPGRADE).status());
    }

    private static String waits(String how) throws Exception {
        throttle(4 * MEGABYTE);
        boolean pings = true;
        boolean messages = true;
        try (Reader film = new Reader(cable, "/film?as=" + how)) {
            for (int seen = 0; seen < 4 * MEGABYTE;) {
                RawHttp.Frame frame = film.next();
                boolean under = seen > 0 && seen < 4 * MEGABYTE;
                if (under && frame.opcode() == PING) pings = false;
                else if (under && frame.payload().length < 100) messages = false;
                if (frame.payload().length > 100) seen += frame.payload().length;
            }
        }
        return pings && messages ? "pings and messages" : messages ? "messages"
                : "nothing";
    }

    @Test
    @DisplayName("one reader at 1 KiB/s beside 200: the others' p99 within twice of what it is without, heap flat over a minute")
    void beside() throws Exception {
        audience("latest", OTHERS);
        List<Long> without = new ArrayList<>();
        List<Long> with = new ArrayList<>();
        throttle(1_024);
        long first = 0;
        long last = 0;
        for (int i = 0; i < 6; i++) {
            without.add(p99(5));
            try (Reader phone =
                    new Reader(cable, "/prices?policy=latest&name=phone")) {
                assertTrue(phone.raw.socket.isConnected());
                with.add(p99(5));
                assertTrue(slow("phone").get("queued").asInt() > 0, "it is slow");
                last = get("/_/page/cost").get("heap").asLong();
                if (i == 0) first = last;
            }
        }
        System.out.println("08: p99 of 200 without a slow reader " + without
                + " ms, with "
                + with + " ms; heap from " + first / 1024 + " KB to " + last / 1024
                + " KB");
        long least = with.stream().min(Long::compare).orElseThrow();
        long most = 2 * without.stream().min(Long::compare).orElseThrow() + 2;
        assertTrue(least <= most, with + " beside " + without);
        assertTrue(last < first + MEGABYTE, first + " bytes, then " + last);
    }

    /// Of so many seconds.
    private static long p99(int seconds) throws Exception {
        get("/_/page/audience");
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        see("they have read for " + seconds + " s", () -> System.nanoTime() > end);
        return get("/_/page/audience").get("p99").asLong();
    }

    @Test
    @DisplayName("a loop that sends and waits makes all others late")
    void block() throws Exception {
        audience("block", OTHERS);
        throttle(1_024);
        try (Reader phone = new Reader(cable, "/prices?policy=block&name=phone")) {
            assertTrue(phone.raw.socket.isConnected());
            see("their prices are old",
                    () -> get("/_/page/audience").get("p99").asLong() > 2_000);
        }
        throttle(0);
        see("they are new again",
                () -> get("/_/page/audience").get("p50").asLong() < 1_000);
    }

    @Test
    @DisplayName("5,000 idle readers take 45 MB of heap and no thread; who comes then gets 503 before 101")
    void idle() throws Exception {
        audience("idle", 1);
        see("all others have left", () -> readers() == 1);
        JsonNode before = get("/_/page/cost");
        audience("idle", IDLE);
        JsonNode after = get("/_/page/cost");
        long heap = after.get("heap").asLong() - before.get("heap").asLong();
        System.out
                .println("08: 5,000 idle readers take " + heap / 1024 + " KB of heap");
        assertTrue(heap < 45 * MEGABYTE * 5L / 4, heap + " bytes");
        assertTrue(after.get("threads").asInt() <= before.get("threads").asInt() + 10);
        RawHttp.Answer refused = RawHttp.ask(server.port, "GET",
                "/prices?policy=latest", null, RawHttp.UPGRADE);
        assertEquals(503, refused.status());
        assertEquals("1", refused.header("retry-after"));
        post("/_/page/audience", "{\"policy\":\"latest\",\"size\":1}");
        see("they have left", () -> readers() == 1);
    }

    @Test
    @DisplayName("what a client sends is bounded: 1009 before it is in memory as a whole")
    void tooLong() throws Exception {
        try (Reader phone = new Reader(server.port, "/prices?policy=idle&name=long")) {
            phone.raw.send(RawHttp.frame(0x81, new byte[2_000]));
            RawHttp.Frame end = phone.next();
            assertEquals(CLOSE, end.opcode());
            assertEquals(1009, end.code());
        }
        try (Reader film = new Reader(server.port, "/prices?policy=idle&name=long")) {
            film.raw.send(RawHttp.frame(0x82, new byte[70_000]));
            assertEquals(CLOSE, film.next().opcode(), "a binary message, too");
        }
        assertEquals(400, RawHttp.ask(server.port, "GET", "/prices?policy=all", null,
                RawHttp.UPGRADE).status());
    }

    @Test
    @DisplayName("the page: each experiment asks for a prediction, and its outcome is measured")
    void page() throws Exception {
        try (Server own = Server.start("lessons/08_slow_consumers.java");
                Chromium chromium = Chromium.open(own, 1440, ColorScheme.LIGHT)
                        .expecting("503", "WebSocket connection")) {
            chromium.experiment("queue", "in our queue.*predicted: in our heap. Right");
            chromium.screenshot("08-wide-light");
            chromium.experiment("drop", "[1-9][0-9]* new ones were dropped");
            chromium.experiment("latest", "It was: some seconds");
            chromium.experiment("cut",
                    "closed with 1013.*It was: old prices, then 1013");
            chromium.experiment("block", "p99 of the others.*It was: seconds");
            chromium.experiment("frame", "predicted: pings and messages. Right");
            chromium.experiment("fragments", "It was: messages only");
            chromium.experiment("messages", "It was: nothing");
            chromium.experiment("idle", "refused: the wire shows.*It was: some KB");
            chromium.seeWire("503 Service Unavailable");
        }
    }
}
