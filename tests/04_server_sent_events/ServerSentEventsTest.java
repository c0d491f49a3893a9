import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.Route;
import com.microsoft.playwright.options.ColorScheme;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("04 Server-sent events")
class ServerSentEventsTest {
    private static final String LESSON = "lessons/04_server_sent_events.java";
    private static final Duration SOON = Duration.ofSeconds(10);
    private static final JsonMapper JSON = JsonMapper.shared();
    private static Server server;
    private static Server quiet;
    private static Pulse pulse;

    /// An event as a browser hands it over; a comment has the type ":". `id` is null where the
    /// event brought none.
    private record Event(String id, String type, String data) {}

    /// A reader that parses as the standard says (WHATWG HTML 9.2.6), byte by byte.
    private static final class Reader implements AutoCloseable {
        final RawHttp raw;
        final RawHttp.Answer head;
        private final Queue<Event> events = new ArrayDeque<>();
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();
        private final StringBuilder data = new StringBuilder();
        private String id;
        private String type = "";
        private boolean afterCr;
        String retry;

        Reader(Server server, String query, String... fields) throws IOException {
            raw = new RawHttp(server.port);
            head = raw.request("GET", "/events" + query, null, fields).head();
            assertEquals(200, head.status(), () -> "GET /events" + query + ": " + head);
            assertNull(next(":retry"));
        }

        /// The next event, comments and ticks passed over; null at the end of the stream.
        Event next() throws IOException {
            Event next = any();
            while (next != null && next.type.matches(":|tick")) next = any();
            return next;
        }

        /// Reads on until `retry` is known.
        private Event next(String until) throws IOException {
            while (retry == null && feed()) assertEquals(":retry", until);
            return null;
        }

        Event any() throws IOException {
            while (events.isEmpty()) if (!feed()) return null;
            return events.poll();
        }

        private boolean feed() throws IOException {
            byte[] chunk = raw.chunk();
            for (byte next : chunk) {
                if (next == '\n' && afterCr) {
                    afterCr = false;
                } else if (next == '\n' || next == '\r') {
                    afterCr = next == '\r';
                    endLine(line.toString(StandardCharsets.UTF_8));
                    line.reset();
                } else {
                    afterCr = false;
                    line.write(next);
                }
            }
            return chunk.length > 0;
        }

        private void endLine(String text) {
            if (text.isEmpty()) {
                if (!data.isEmpty()) events
                        .add(new Event(id, type.isEmpty() ? "message" : type,
                                data.substring(0, data.length() - 1)));
                data.setLength(0);
                type = "";
                id = null;
                return;
            }
            String[] field = text.split(":", 2);
            String value = field.length < 2 ? "" : field[1].replaceFirst("^ ", "");
            switch (field[0]) {
                case "" -> events.add(new Event(null, ":", value));
                case "data" -> data.append(value).append('\n');
                case "event" -> type = value;
                case "id" -> id = value;
                case "retry" -> retry = value;
                default -> throw new AssertionError("an unknown field: " + text);
            }
        }

        /// Nothing comes but what is published from now on.
        void isLive() throws Exception {
            String id = publish("live", "now");
            assertEquals(new Event(id, "live", "now"), next(), "what comes first");
        }

        @Override
        public void close() throws IOException {
            raw.close();
        }
    }

    /// Listens to the ticks and comments of a quiet server while the other tests run.
    private static final class Pulse {
        final List<String> seen = new ArrayList<>();
        final List<Long> ticks = new ArrayList<>();
        final List<Long> comments = new ArrayList<>();
        final CountDownLatch whole = new CountDownLatch(1);

        Pulse(Reader reader) {
            long began = System.nanoTime();
            Thread.ofVirtual().start(() -> {
                try (reader) {
                    for (Event event = reader.any(); event != null;
                            event = reader.any()) {
                        hear(event, (System.nanoTime() - began) / 1_000_000);
                    }
                } catch (IOException | AssertionError end) {
                    whole.countDown();
                }
            });
        }

        private synchronized void hear(Event event, long at) {
            if (event.type.equals("tick")) {
                assertNull(event.id, "a tick has no id");
                seen.add(event.data);
                ticks.add(at);
            } else if (event.type.equals(":")) {
                comments.add(at);
            }
            if (ticks.size() >= 3 && !comments.isEmpty()) whole.countDown();
        }
    }

    @BeforeAll
    static void start() throws Exception {
        server = Server.start(LESSON);
        quiet = Server.start(LESSON);
        pulse = new Pulse(new Reader(quiet, "?ticks=1"));
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
        quiet.close();
    }

    private static RawHttp.Answer ask(String method, String target, String body,
            String... fields)
            throws Exception {
        return RawHttp.ask(server.port, method, target, body, fields);
    }

    /// @return the id
    private static String publish(Server server, String type, Object data)
            throws Exception {
        try (RawHttp raw = new RawHttp(server.port)) {
            return publish(raw, type, data);
        }
    }

    private static String publish(RawHttp raw, String type, Object data)
            throws Exception {
        String body = JSON.writeValueAsString(new Body(type, data));
        RawHttp.Answer answer = raw.request("POST", "/events", body).answer();
        assertEquals(202, answer.status(), () -> body + " got " + answer);
        return idOf(answer);
    }

    private record Body(String type, Object data) {}

    private static String idOf(RawHttp.Answer answer) {
        String digits = answer.text().replaceFirst("^\\{\"id\":(\\d+)}$", "$1");
        assertTrue(digits.matches("[1-9]\\d*") && Long.parseLong(digits) < 1L << 53,
                answer::toString);
        return digits;
    }

    private static String publish(String type, Object data) throws Exception {
        return publish(server, type, data);
    }

    private static int streams() throws Exception {
        return Integer.parseInt(ask("GET", "/streams", null).text()
                .replaceFirst("^\\{\"streams\":(\\d+)}$", "$1"));
    }

    private static void settlesAt(int wanted) throws Exception {
        Eventually.see("GET /streams", SOON, ServerSentEventsTest::streams,
                n -> n == wanted);
    }

    @Test
    @DisplayName("a stream opens at once: its head and retry, with nothing published")
    void opens() throws Exception {
        try (Reader reader = new Reader(server, "?unknown=1&unknown=2")) {
            assertEquals("text/event-stream", reader.head.header("content-type"));
            assertEquals("no-cache", reader.head.header("cache-control"));
            assertEquals("no", reader.head.header("x-accel-buffering"));
            assertEquals("nosniff", reader.head.header("x-content-type-options"));
            assertEquals("1000", reader.retry);
            assertTrue(reader.raw.isSilentFor(100), "no event that nobody published");
        }
    }

    @Test
    @DisplayName("an event reaches every reader with its type, its data and the id of the answer")
    void published() throws Exception {
        try (Reader one = new Reader(server, "");
                Reader other = new Reader(server, "")) {
            String id = publish("order paid", "17 \u20ac");
            Event event = new Event(id, "order paid", "17 \u20ac");
            assertEquals(event, one.next());
            assertEquals(event, other.next());
        }
    }

    @Test
    @DisplayName("text arrives as it was, whatever it holds: CRLF, CR and LF become LF")
    void text() throws Exception {
        List<String> texts = List.of("", " ", "  two spaces", "a\nb", "a\r\nb", "a\rb",
                "a\n",
                "\n", "\r\n\r\n", "\n\n\nx", "a\n\r\nb\r",
                "x\nid: 5\nevent: evil\ndata: y\n\nz",
                "x\rid: 5\r\rdata: y", ": no comment", "retry: 1", "\u0000",
                "\u2028\u0085",
                "\ufeffbom", "\ud83d\ude00", "{\"json\":1}", "x".repeat(60_000));
        try (Reader reader = new Reader(server, "")) {
            for (String text : texts) {
                String id = publish("t", text);
                String wanted = text.replaceAll("\r\n|\r", "\n");
                assertEquals(new Event(id, "t", wanted), reader.next(),
                        () -> "sent " + JSON.writeValueAsString(text));
            }
        }
    }

    @Test
    @DisplayName("other data arrives as JSON, null too")
    void json() throws Exception {
        try (Reader reader = new Reader(server, "")) {
            for (String data : List.of("null", "true", "0", "-1.50", "1E+400",
                    "12345678901234567890",
                    "0.1000000000000000055", "[]", "{}",
                    "{\"a\":[1,{\"b\":\"\\n\\u0000\"}],\"c\":\"\u20ac\"}")) {
                RawHttp.Answer answer =
                        ask("POST", "/events", "{\"type\":\"t\",\"data\":" + data
                                + ",\"unknown\":1}");
                assertEquals(new Event(idOf(answer), "t", data), reader.next());
            }
        }
    }

    @Test
    @DisplayName("what is no event is refused: no type, no data, a type of several lines")
    void refused() throws Exception {
        try (Reader reader = new Reader(server, "")) {
            for (String body : List.of("{}", "{\"data\":1}", "{\"type\":\"t\"}",
                    "{\"type\":\"\",\"data\":1}",
                    "{\"type\":1,\"data\":1}", "{\"type\":null,\"data\":1}", "[]", "1",
                    "{",
                    "{\"type\":\"a\\nb\",\"data\":1}", "{\"type\":\"a\\r\",\"data\":1}",
                    "{\"type\":\"\\u0000\",\"data\":1}",
                    "{\"type\":\"reset\",\"data\":1}", "{\"type\":\"tick\",\"data\":1}",
                    "{\"type\":\"x\\r\\nid: 1\",\"data\":1}",
                    "{\"type\":\"\\ud800\",\"data\":1}",
                    "{\"type\":\"t\",\"data\":\"\\ud800\"}",
                    "{\"type\":\"t\",\"data\":{\"a\":[\"\\udc00\"]}}")) {
                RawHttp.Answer answer = ask("POST", "/events", body);
                assertEquals(400, answer.status(), () -> body + " got " + answer);
            }
            assertEquals(400, ask("POST", "/events", null).status(), "no body");
            assertEquals(415,
                    ask("POST", "/events", "{}", "Content-Type: text/plain").status());
            assertEquals(405, ask("PUT", "/events", "{}").status());
            reader.isLive();
        }
    }

    @Test
    @DisplayName("a body of 65,536 bytes passes whole, one more is 413")
    void size() throws Exception {
        String start = "{\"type\":\"t\",\"data\":\"";
        String data = "x".repeat(65_536 - start.length() - 2);
        try (Reader reader = new Reader(server, "")) {
            assertEquals(413, ask("POST", "/events", start + data + "x\"}").status());
            String id = idOf(ask("POST", "/events", start + data + "\"}"));
            assertEquals(new Event(id, "t", data), reader.next());
        }
    }

    @Test
    @DisplayName("a reader goes on after Last-Event-ID, or after ?lastEventId; the header wins")
    void resume() throws Exception {
        String first = publish("t", 1);
        Event second = new Event(publish("t", 2), "t", "2");
        Event third = new Event(publish("t", 3), "t", "3");
        try (Reader header = new Reader(server, "", "Last-Event-ID: " + first);
                Reader query = new Reader(server, "?lastEventId=" + first);
                Reader both = new Reader(server, "?lastEventId=" + first,
                        "Last-Event-ID: " + second.id);
                Reader empty = new Reader(server, "?lastEventId=" + second.id,
                        "Last-Event-ID:")) {
            assertEquals(second, header.next());
            assertEquals(third, header.next());
            assertEquals(second, query.next());
            assertEquals(third, query.next());
            assertEquals(third, both.next());
            assertEquals(third, empty.next());
            for (Reader each : List.of(header, query, both, empty)) {
                assertTrue(each.raw.isSilentFor(20), "no duplicate");
            }
            both.isLive();
        }
    }

    @Test
    @DisplayName("the newest id, no id and an empty one: only what comes from now on")
    void live() throws Exception {
        for (String query : List.of("", "?lastEventId=", "?lastEventId={newest}")) {
            String newest = publish("t", 1);
            try (Reader reader =
                    new Reader(server, query.replace("{newest}", newest))) {
                reader.isLive();
            }
        }
    }

    @Test
    @DisplayName("an id that is not held gets a reset without id, then what comes from now on")
    void reset() throws Exception {
        String id = publish("t", 1);
        Event reset = new Event(null, "reset", "{}");
        for (String wrong : List.of("1", "0", "-1", "x", "0" + id, "+" + id, id + ".0",
                id + "9",
                "" + (Long.parseLong(id) + 1_000_000), "9007199254740993",
                "99999999999999999999999",
                id + "%20", "%00", "1e3", "%E2%82%AC", "null")) {
            try (Reader reader = new Reader(server, "?lastEventId=" + wrong)) {
                assertEquals(reset, reader.next(), wrong);
                reader.isLive();
            }
        }
        try (Reader reader =
                new Reader(server, "?lastEventId=" + id, "Last-Event-ID: x")) {
            assertEquals(reset, reader.next(), "the header wins");
        }
    }

    @Test
    @DisplayName("1,000 events are kept: the oldest is held, the one before it is reset")
    void kept() throws Exception {
        String old = publish("t", "old");
        String oldest = publish("t", "oldest");
        List<String> ids = new ArrayList<>();
        try (RawHttp raw = new RawHttp(server.port)) {
            for (int i = 1; i < 1_000; i++) ids.add(publish(raw, "t", i));
        }
        try (Reader gone = new Reader(server, "?lastEventId=" + old);
                Reader held = new Reader(server, "?lastEventId=" + oldest)) {
            assertEquals("reset", gone.next().type());
            for (String id : ids) assertEquals(id, held.next().id());
            held.isLive();
        }
    }

    @Test
    @DisplayName("a repeated or mistyped query parameter is 400")
    void badQuery() throws Exception {
        settlesAt(0);
        for (String query : List.of("lastEventId=1&lastEventId=1", "ticks=1&ticks=1",
                "ticks=2",
                "ticks=", "ticks=x", "ticks=-1")) {
            assertEquals(400, ask("GET", "/events?" + query, null).status(), query);
        }
        assertEquals(0, streams());
    }

    @Test
    @DisplayName("publishers at the same instant get ids of their own, and readers one order")
    void publishers() throws Exception {
        int publishing = 8;
        int count = 250;
        TreeSet<Long> given = new TreeSet<>();
        try (Reader one = new Reader(server, ""); Reader other = new Reader(server, "");
                ExecutorService publishers = Executors.newFixedThreadPool(publishing)) {
            CountDownLatch turn = new CountDownLatch(publishing);
            List<Future<List<Long>>> ids = IntStream.range(0, publishing)
                    .mapToObj(p -> publishers.submit(() -> publishMany(count, turn)))
                    .toList();
            for (var each : ids) given.addAll(each.get(20, TimeUnit.SECONDS));
            assertEquals(publishing * count, given.size(), "different ids");
            for (long id : given) {
                Event event = one.next();
                assertEquals("" + id, event.id());
                assertEquals(event, other.next());
            }
        }
    }

    /// Publishes as fast as it can, once all others are ready, too.
    private static List<Long> publishMany(int count, CountDownLatch turn)
            throws Exception {
        List<Long> ids = new ArrayList<>();
        try (RawHttp raw = new RawHttp(server.port)) {
            turn.countDown();
            turn.await();
            for (int i = 0; i < count; i++) ids.add(Long.valueOf(publish(raw, "t", i)));
        }
        return ids;
    }

    @Test
    @DisplayName("readers that are cut again and again while others publish miss nothing and hear nothing twice")
    void noGap() throws Exception {
        int count = 600;
        String start = publish("t", "start");
        AtomicInteger cuts = new AtomicInteger();
        try (ExecutorService all = Executors.newFixedThreadPool(7)) {
            List<Future<List<String>>> published = IntStream.range(0, 3)
                    .mapToObj(p -> all.submit(() -> {
                        List<String> ids = new ArrayList<>();
                        for (int i = 0; i < count / 3; i++) ids.add(publish("t", i));
                        return ids;
                    })).toList();
            List<Future<List<String>>> heard = IntStream.range(0, 4)
                    .mapToObj(
                            seed -> all.submit(() -> follow(start, count, seed, cuts)))
                    .toList();
            TreeSet<String> ids = new TreeSet<>();
            for (var each : published) ids.addAll(each.get(30, TimeUnit.SECONDS));
            for (var each : heard) {
                assertEquals(List.copyOf(ids), each.get(30, TimeUnit.SECONDS));
            }
        }
        assertTrue(cuts.get() > 40, "readers were cut " + cuts + " times");
    }

    /// Reads `count` events after `last`, by the header and by the query, leaving in many ways.
    private static List<String> follow(String last, int count, int seed,
            AtomicInteger cuts)
            throws Exception {
        List<String> heard = new ArrayList<>();
        var random = new java.util.Random(seed);
        while (heard.size() < count) {
            boolean header = random.nextBoolean();
            try (Reader reader =
                    new Reader(server, header ? "" : "?lastEventId=" + last,
                            header ? "Last-Event-ID: " + last : "X: y")) {
                int some = Math.min(count - heard.size(), random.nextInt(1, 40));
                for (int i = 0; i < some; i++) {
                    last = reader.next().id();
                    heard.add(last);
                }
                cuts.incrementAndGet();
                if (random.nextBoolean()) reader.raw.reset();
            }
        }
        return heard;
    }

    @Test
    @DisplayName("a reader that falls behind what is kept is cut, slows nobody, and is told on return")
    void laggard() throws Exception {
        String start = publish("t", "start");
        settlesAt(0);
        String filler = "x".repeat(60_000);
        String last = start;
        try (Reader quick = new Reader(server, "");
                Reader slow = new Reader(server, "");
                RawHttp raw = new RawHttp(server.port)) {
            for (int i = 0; i < 1_300; i++) {
                last = publish(raw, "big", filler);
                assertEquals(last, quick.next().id());
            }
            settlesAt(1);
            String read = start;
            try {
                for (Event event = slow.next(); event != null; event = slow.next()) {
                    assertEquals(Long.parseLong(read) + 1, Long.parseLong(event.id()),
                            "no gap");
                    read = event.id();
                }
                throw new AssertionError(
                        "the laggard's stream ended as if all had been sent");
            } catch (IOException | AssertionError end) {
                assertTrue(
                        end.getMessage().contains("connection")
                                || end instanceof IOException,
                        () -> "" + end);
            }
            try (Reader again = new Reader(server, "", "Last-Event-ID: " + read)) {
                assertEquals("reset", again.next().type(), "it had read up to " + read);
            }
            String held = "" + (Long.parseLong(last) - 999);
            try (Reader again = new Reader(server, "", "Last-Event-ID: " + held)) {
                for (int i = 0; i < 999; i++) again.next();
                assertTrue(again.raw.isSilentFor(20));
            }
        }
    }

    @Test
    @DisplayName("a reader that reads late, but in time, gets everything in order")
    void late() throws Exception {
        String filler = "y\n".repeat(20_000);
        List<String> ids = new ArrayList<>();
        try (Reader late = new Reader(server, "");
                RawHttp raw = new RawHttp(server.port)) {
            for (int i = 0; i < 150; i++) ids.add(publish(raw, "big", filler));
            for (String id : ids) assertEquals(new Event(id, "big", filler),
                    late.next());
            late.isLive();
        }
    }

    @Test
    @DisplayName("a reader that closes or resets is gone at once, with nothing published")
    void gone() throws Exception {
        settlesAt(0);
        Reader closes = new Reader(server, "");
        Reader resets = new Reader(server, "");
        Reader half = new Reader(server, "");
        settlesAt(3);
        closes.close();
        settlesAt(2);
        resets.raw.reset();
        settlesAt(1);
        half.raw.socket.shutdownOutput();
        settlesAt(0);
        half.close();
    }

    @Test
    @DisplayName("HEAD brings the headers of a stream only, and opens none")
    void head() throws Exception {
        settlesAt(0);
        try (RawHttp raw = new RawHttp(server.port)) {
            RawHttp.Answer head =
                    raw.request("HEAD", "/events?ticks=1&lastEventId=1", null)
                            .answer(true);
            assertEquals(200, head.status());
            assertEquals("text/event-stream", head.header("content-type"));
            assertEquals("no-cache", head.header("cache-control"));
            assertEquals("{\"streams\":0}",
                    raw.request("GET", "/streams", null).answer().text(),
                    "the connection is used again");
        }
    }

    @Test
    @DisplayName("HTTP/1.0 gets the bytes without chunks, until the end of the connection")
    void http10() throws Exception {
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.send("GET /events HTTP/1.0\r\nHost: localhost:" + server.port
                    + "\r\n\r\n");
            assertEquals("", raw.head().header("transfer-encoding"));
            assertEquals("retry: 1000", raw.line());
            assertEquals("", raw.line());
            String id = publish("t", "x");
            assertEquals("id: " + id, raw.line());
        }
    }

    @Test
    @DisplayName("a request sent along with that of a stream delays no event of it")
    void pipelined() throws Exception {
        String head = " HTTP/1.1\r\nHost: localhost:" + server.port + "\r\n\r\n";
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.send("GET /events" + head + "GET /streams" + head);
            assertEquals(200, raw.head().status());
            assertEquals("retry: 1000\n\n",
                    new String(raw.chunk(), StandardCharsets.UTF_8));
            String id = publish("t", "x");
            assertEquals("id: " + id + "\nevent: t\ndata: x\n\n",
                    new String(raw.chunk(), StandardCharsets.UTF_8));
        }
    }

    @Test
    @DisplayName("DELETE ends the streams in order; then GET is 204, until an event is published")
    void delete() throws Exception {
        try (Server own = Server.start(LESSON)) {
            Reader reader = new Reader(own, "");
            String id = publish(own, "t", 1);
            assertEquals(id, reader.next().id());
            assertEquals(204,
                    RawHttp.ask(own.port, "DELETE", "/events", null).status());
            assertEquals("{\"streams\":0}",
                    RawHttp.ask(own.port, "GET", "/streams", null).text());
            assertNull(reader.next(), "the stream ends with the last chunk");
            assertEquals(204,
                    reader.raw.request("GET", "/events", null).answer().status(),
                    "the connection is used again");
            assertEquals(204, RawHttp.ask(own.port, "HEAD", "/events", null).status());
            assertEquals(204, RawHttp
                    .ask(own.port, "GET", "/events?lastEventId=" + id, null).status());
            assertEquals(400, RawHttp.ask(own.port, "POST", "/events", "{}").status());
            assertEquals(204, RawHttp.ask(own.port, "GET", "/events", null).status(),
                    "what is refused reopens nothing");
            assertEquals(204, RawHttp.ask(own.port, "DELETE", "/events", null).status(),
                    "twice");
            String next = publish(own, "t", 2);
            try (Reader resumed = new Reader(own, "", "Last-Event-ID: " + id)) {
                assertEquals(new Event(next, "t", "2"), resumed.next());
            }
            reader.close();
        }
    }

    @Test
    @DisplayName("a server that stops ends its streams in order; after a restart an old id is reset, no id comes again")
    void restart() throws Exception {
        String id;
        try (Server own = Server.start(LESSON); Reader reader = new Reader(own, "")) {
            id = publish(own, "t", 1);
            assertEquals(id, reader.next().id());
            assertEquals(143, own.stop("TERM"));
            assertNull(reader.next(), "the stream ends with the last chunk");
            assertEquals("", own.errors());
        }
        try (Server own = Server.start(LESSON)) {
            try (Reader reader = new Reader(own, "", "Last-Event-ID: " + id)) {
                assertEquals(new Event(null, "reset", "{}"), reader.next());
                String next = publish(own, "t", 2);
                assertTrue(Long.parseLong(next) > Long.parseLong(id),
                        id + " then " + next);
                assertEquals(next, reader.next().id());
            }
        }
    }

    @Test
    @DisplayName("with ?ticks=1 gauges come every 5 s, and everybody hears a comment every 15 s")
    void ticks() throws Exception {
        assertTrue(pulse.whole.await(20, TimeUnit.SECONDS),
                "heard so far: " + pulse.seen);
        assertTrue(pulse.ticks.size() >= 3 && !pulse.comments.isEmpty(),
                "" + pulse.seen);
        for (int i = 0; i < 3; i++) {
            long due = 5_000L * (i + 1);
            assertTrue(Math.abs(pulse.ticks.get(i) - due) < 1_500,
                    "ticks at " + pulse.ticks);
            JsonNode gauges = JSON.readTree(pulse.seen.get(i));
            assertTrue(gauges.path("streams").asInt(0) == 1, pulse.seen.get(i));
            assertTrue(gauges.path("heap").asLong(0) > 0, pulse.seen.get(i));
        }
        assertTrue(Math.abs(pulse.comments.getFirst() - 15_000) < 1_500,
                "comment at " + pulse.comments);
    }

    @Test
    @DisplayName("the page: a notice reaches both tabs, as text, and the wire shows it")
    void demo() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.see("#A .big", "^open$");
            chromium.see("#B .big", "^open$");
            chromium.page.locator("#text").fill("<img src=x onerror=alert(1)> & so on");
            chromium.click("publish");
            for (String tab : List.of("#A", "#B")) {
                chromium.see(tab + " .log",
                        "^<img src=x onerror=alert\\(1\\)> & so on$");
                assertEquals("1", chromium.text(tab + " dd:nth-of-type(2)"),
                        "received");
            }
            chromium.seeWire("^GET /events\\?tab=A&ticks=1");
            chromium.seeWire("^POST /events$");
            chromium.seeWire("^event: notice <img src=x");
            publish("error", "an event of that name is no failure");
            publish("notice", "two\nlines");
            chromium.see("#A .log li", "^two\\nlines$");
            chromium.see("#A .big", "^open$");
            chromium.see("#monitor", "streams [2-9]\\s+threads \\d+\\s+heap \\d+ MiB");
            chromium.seeWire("^event: tick \\{");
            chromium.screenshot("04-wide-light");
        }
    }

    @Test
    @DisplayName("the page: each button of Break it shows its failure in the demo and on the wire")
    void breakIt() throws Exception {
        try (Server own = Server.start(LESSON);
                Chromium chromium = Chromium.open(own, 1440, ColorScheme.DARK)
                        .expecting("net::ERR_INCOMPLETE_CHUNKED_ENCODING")) {
            chromium.click("cut");
            chromium.see("#outcome",
                    "away for 1.\\d s.*Of the 3 notices.* lacks 0\\.$");
            assertEquals("4", chromium.text("#A dd:nth-of-type(2)"), "received");
            chromium.seeWire("^connection closed$");
            chromium.click("unknown");
            chromium.see("#outcome", "^Nobody gave the id 1: reset");
            chromium.see("#A dd", "^4 events$");
            chromium.seeWire("^event: reset \\{\\}$");
            chromium.click("six");
            chromium.see("#outcome", "^Six streams are open");
            chromium.see("#outcome", "waited 3.\\d s");
            chromium.click("end");
            chromium.see("#outcome", "got 204 and closed for good");
            chromium.seeWire("^stream ended$");
            chromium.seeWire("^204, empty$");
            assertEquals("ended", chromium.text("#A .big"));
            chromium.click("publish");
            chromium.see("#outcome", "^Published as \\d+");
            chromium.see("#A .log li", "^Order 17 is paid$");
            chromium.see("#B .log li", "^Order 17 is paid$");
            chromium.screenshot("04-wide-dark");
        }
    }

    @Test
    @DisplayName("the page: comes back by itself after a status that is final for the browser")
    void finalStatus() throws Exception {
        try (Chromium chromium = Chromium.open(server, 390, ColorScheme.LIGHT)
                .expecting("503", "net::ERR_INCOMPLETE_CHUNKED_ENCODING")) {
            chromium.see("#A .big", "^open$");
            chromium.see("#B .big", "^open$");
            AtomicInteger refused = new AtomicInteger();
            chromium.page.route("**/events?tab=A*", route -> {
                boolean refuse = refused.incrementAndGet() == 1;
                if (refuse) route.fulfill(new Route.FulfillOptions().setStatus(503));
                else route.resume();
            });
            chromium.page.evaluate("() => send('POST', '/_/cut', { tab: 'A' })");
            chromium.see("#A .big", "^closed$");
            publish("notice", "meanwhile");
            chromium.see("#A .log li", "^meanwhile$");
            chromium.see("#A .big", "^open$");
            assertEquals("1", chromium.text("#A dd:nth-of-type(2)"), "received");
            chromium.screenshot("04-narrow-light");
        }
    }

    @Test
    @DisplayName("the page: with ticks, a server that says nothing any more is noticed")
    void silent() throws Exception {
        try (Server own = Server.start(LESSON);
                Chromium chromium = Chromium.open(own)) {
            chromium.see("#A .big", "^open$");
            chromium.see("#monitor", "streams [2-9]"); // the first tick
            chromium.page.evaluate("""
                    () => {
                      const timeout = setTimeout;
                      setTimeout = (run, ms) => timeout(run, ms === 15_000 ? 6_000 : ms);
                    }""");
            chromium.see("#wire-rows", "event: tick(.|\\s)*event: tick"); // sets it anew
            own.signal("STOP");
            chromium.see("#A .big", "^silent$");
            assertEquals("open", chromium.text("#B .big"), "has no ticks, and no idea");
            own.signal("CONT");
            chromium.see("#A .big", "^open$");
        }
    }

    @Test
    @DisplayName("the page: a reload is a fresh start, also of a feed that has ended")
    void reload() throws Exception {
        try (Server own = Server.start(LESSON);
                Chromium chromium = Chromium.open(own)) {
            chromium.click("publish");
            chromium.see("#outcome", "^Published as");
            chromium.click("end");
            chromium.see("#outcome", "got 204 and closed for good");
            chromium.page.reload();
            chromium.see("#A .big", "^open$");
            chromium.see("#A .log li", "^Opened anew$");
        }
    }
}
