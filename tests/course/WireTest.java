import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

@DisplayName("The wire view's tap")
class WireTest {
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/02_long_polling.java");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    private static byte[] raw(JsonNode row) {
        return row.get("raw").binaryValue();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    @Test
    @DisplayName("shows a request and its answer byte for byte, however they are cut")
    void exact() throws Exception {
        String request = "GET /waiting?x=1 HTTP/1.1\r\nHost: localhost:" + server.port
                + "\r\nX-Long: " + "y".repeat(500) + "\r\n\r\n";
        try (Watcher watcher = new Watcher(server.port);
                RawHttp raw = new RawHttp(server.port)) {
            for (int at = 0; at < request.length(); at += 97) {
                raw.send(request.substring(at, Math.min(request.length(), at + 97)));
            }
            RawHttp.Answer answer = raw.answer();
            JsonNode read = watcher.next();
            JsonNode wrote = watcher.next();
            assertEquals("request GET /waiting?x=1",
                    read.get("kind").asString() + " " + read.get("label").asString());
            assertArrayEquals(ascii(request), raw(read));
            assertEquals(request.length(), read.get("size").asInt());
            assertEquals("response 200 OK",
                    wrote.get("kind").asString() + " " + wrote.get("label").asString());
            assertTrue(new String(raw(wrote)).endsWith("\r\n\r\n" + answer.text()));
            assertEquals(raw(wrote).length, wrote.get("size").asInt());
            assertEquals(read.get("exchange"), wrote.get("exchange"));
        }
    }

    @Test
    @DisplayName("keeps step through bodies, chunks, HEAD, 204, 413, pipelining and a client that leaves")
    void inStep() throws Exception {
        String head = " HTTP/1.1\r\nHost: localhost:" + server.port + "\r\n";
        String json = "Content-Type: application/json\r\n";
        try (Watcher watcher = new Watcher(server.port);
                RawHttp raw = new RawHttp(server.port)) {
            String[][] steps = {
                {"POST /payments" + head + json + "Transfer-Encoding: chunked\r\n\r\n"
                        + "6;x=y\r\n{\"amou\r\n6\r\nnt\":1}\r\n0\r\nTrailer: z\r\n\r\n",
                    "POST /payments", "201 Created"},
                {"HEAD /waiting" + head + "\r\n", "HEAD /waiting", "200 OK"},
                {"OPTIONS /waiting" + head + "\r\n",
                    "OPTIONS /waiting", "204 No Content"},
                {"POST /payments" + head + json + "Content-Length: 70000\r\n\r\n"
                        + "x".repeat(70_000),
                    "POST /payments", "413 Content Too Large"}};
            String payment = null;
            for (String[] step : steps) {
                var answer = raw.send(step[0]).answer(step[1].startsWith("HEAD"));
                if (payment == null) payment = answer.header("location");
                assertEquals(step[1], watcher.next().get("label").asString());
                assertEquals(step[2], watcher.next().get("label").asString());
            }
            String held = "GET " + payment + "?after=1";
            raw.send(held + head + "\r\n");
            assertEquals(held, watcher.next().get("label").asString());
            raw.reset();
            assertEquals("end", watcher.next().get("kind").asString());
        }
    }

    @Test
    @DisplayName("counts what it shows, and neither shows nor counts the page's own traffic")
    void totals() throws Exception {
        try (Watcher watcher = new Watcher(server.port)) {
            long before = watcher.total("requests");
            for (String own : new String[] {"/_/page/page.css", "/_/page/none"}) {
                RawHttp.ask(server.port, "GET", own, null);
            }
            RawHttp.ask(server.port, "GET", "/waiting", null);
            assertEquals("GET /waiting", watcher.next().get("label").asString());
            Eventually.see("one more request", java.time.Duration.ofSeconds(5),
                    () -> watcher.total("requests") - before, n -> n == 1);
            Eventually.see("no connection is open", java.time.Duration.ofSeconds(5),
                    () -> watcher.total("open"), n -> n == 0);
        }
    }

    @Test
    @DisplayName("drops rows for a page that does not keep up, says how many, and still counts right")
    void drops() throws Exception {
        int many = 60_000;
        String request =
                "GET /waiting HTTP/1.1\r\nHost: localhost:" + server.port + "\r\n\r\n";
        try (Watcher watcher = new Watcher(server.port);
                RawHttp raw = new RawHttp(server.port)) {
            long before = watcher.total("requests");
            watcher.reading = false;
            Thread sender = Thread.ofVirtual().start(() -> {
                try {
                    for (int i = 0; i < many / 1_000;
                            i++) raw.send(request.repeat(1_000));
                } catch (java.io.IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            for (int i = 0; i < many; i++) raw.answer();
            sender.join();
            watcher.reading = true;
            watcher.socket.request(1);
            Eventually.see("all are counted", java.time.Duration.ofSeconds(20),
                    () -> watcher.total("requests") - before, n -> n == many);
            Eventually.see("every row is shown or said to be dropped",
                    java.time.Duration.ofSeconds(20),
                    () -> watcher.rows.size() + watcher.last.get("dropped").asLong(),
                    n -> n == 2L * many);
            assertTrue(watcher.last.get("dropped").asLong() > 0, "some were dropped");
        }
    }

    @Test
    @DisplayName("lets eight pages watch and turns the ninth away with 1013")
    void manyWatchers() throws Exception {
        var watchers = new java.util.ArrayList<Watcher>();
        try {
            for (int i = 0; i < 8; i++) watchers.add(new Watcher(server.port));
            RawHttp ninth = new RawHttp(server.port);
            ninth.request("GET", "/_/page/wire", null, "Connection: Upgrade",
                    "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==").head();
            byte[] close = ninth.bytes(4);
            assertEquals(1013, (close[2] & 0xff) << 8 | close[3] & 0xff);
            ninth.close();
        } finally {
            watchers.forEach(Watcher::close);
        }
        try (Watcher again = Eventually.see("a place is free again",
                java.time.Duration.ofSeconds(5), () -> new Watcher(server.port),
                w -> w.last != null)) {
            assertTrue(again.total("requests") >= 0);
        }
    }
}
