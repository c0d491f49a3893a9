import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("05 Webhook")
class WebhookTest {
    /// The secret and message that Standard Webhooks gives as an example.
    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private static final String LESSON = "lessons/05_webhook.java";
    private static final Duration SOON = Duration.ofSeconds(30);
    private static final JsonMapper JSON = JsonMapper.shared();
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start(LESSON, "WEBHOOK_SECRET=" + SECRET);
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    private static RawHttp.Answer ask(String method, String target, String body,
            String... fields) throws Exception {
        return RawHttp.ask(server.port, method, target, body, fields);
    }

    /// @return the payment's id
    private static String pay() throws Exception {
        RawHttp.Answer answer = ask("POST", "/payments", "{\"amount\":4200}");
        assertEquals(202, answer.status(), answer::toString);
        return JSON.readTree(answer.text()).get("id").stringValue();
    }

    private static RawHttp.Answer register(String url) throws Exception {
        return ask("PUT", "/endpoint", JSON.writeValueAsString(Map.of("url", url)));
    }

    private static void registerShop() throws Exception {
        assertEquals(204, register(server.url("/webhooks/payments")).status());
    }

    private static List<JsonNode> rows(String payment) throws Exception {
        List<JsonNode> found = new ArrayList<>();
        for (JsonNode row : JSON.readTree(ask("GET", "/deliveries", null).text())) {
            if (row.get("payment").stringValue().equals(payment)) found.add(row);
        }
        return found;
    }

    private static List<JsonNode> rows(String payment, int count) throws Exception {
        return Eventually.see(count + " rows of " + payment, Duration.ofSeconds(12),
                () -> rows(payment), rows -> rows.size() >= count);
    }

    private static long orders(String payment) throws Exception {
        long count = 0;
        for (JsonNode order : JSON.readTree(ask("GET", "/orders", null).text())) {
            assertEquals("paid", order.get("status").stringValue(), order::toString);
            assertTrue(order.get("amount").isNumber(), order::toString);
            if (order.get("payment").stringValue().equals(payment)) count++;
        }
        return count;
    }

    private static String sign(String secret, String id, String timestamp, byte[] body)
            throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.substring(6)),
                "x"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
    }

    private static String now(int offset) {
        return "" + (Instant.now().getEpochSecond() + offset);
    }

    private static String event(String payment) {
        return "{\"type\":\"payment.succeeded\",\"timestamp\":\"2026-01-01T00:00:00Z\","
                + "\"data\":{\"payment\":\"" + payment
                + "\",\"amount\":4200,\"status\":\"paid\"}}";
    }

    /// Sends a message that is signed as a gateway would sign it.
    private static RawHttp.Answer deliver(String id, String timestamp, String body)
            throws Exception {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        return deliver(id, timestamp, body, sign(SECRET, id, timestamp, bytes));
    }

    private static RawHttp.Answer deliver(String id, String timestamp, String body,
            String signature) throws Exception {
        return ask("POST", "/webhooks/payments", body, "webhook-id: " + id,
                "webhook-timestamp: " + timestamp, "webhook-signature: " + signature);
    }

    private static String fresh(String prefix) {
        return prefix + UUID.randomUUID();
    }

    private static void is(int status, RawHttp.Answer answer, String sent) {
        assertEquals(status, answer.status(), () -> sent + " got " + answer);
    }

    /// One request that a receiver has read.
    record Heard(String line, Map<String, List<String>> headers, byte[] body,
            Instant at,
            Socket socket) {
        String header(String name) {
            assertEquals(1, headers.getOrDefault(name, List.of()).size(),
                    name + " in " + headers);
            return headers.get(name).getFirst();
        }

        String payment() {
            return JSON.readTree(body).at("/data/payment").stringValue();
        }

        void answer(String text) throws IOException {
            socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
            socket.getOutputStream().flush();
        }

        void answer(int status, String... fields) throws IOException {
            answer("HTTP/1.1 " + status
                    + " X\r\nContent-Length: 0\r\nConnection: close\r\n"
                    + String.join("", fields) + "\r\n");
            socket.close();
        }
    }

    /// Someone else's shop: reads requests; the test answers them.
    static final class Receiver implements AutoCloseable {
        final ServerSocket listening;
        private final BlockingQueue<Heard> heard = new LinkedBlockingQueue<>();
        private final List<Socket> sockets = new ArrayList<>();

        Receiver() throws IOException {
            this("127.0.0.1");
        }

        Receiver(String address) throws IOException {
            listening = new ServerSocket(0, 50, InetAddress.getByName(address));
            Thread.ofPlatform().daemon().start(() -> {
                while (!listening.isClosed()) {
                    try {
                        Socket socket = listening.accept();
                        synchronized (sockets) {
                            sockets.add(socket);
                        }
                        Thread.ofPlatform().daemon().start(() -> read(socket));
                    } catch (IOException closed) {
                        return;
                    }
                }
            });
        }

        String url() {
            return "http://127.0.0.1:" + listening.getLocalPort() + "/hook?a=b%20c";
        }

        private void read(Socket socket) {
            try {
                InputStream in = new BufferedInputStream(socket.getInputStream());
                Map<String, List<String>> headers = new TreeMap<>();
                String first = line(in);
                for (String line = line(in); !line.isEmpty(); line = line(in)) {
                    String[] field = line.split(": ?", 2);
                    headers.computeIfAbsent(field[0].toLowerCase(),
                            name -> new ArrayList<>())
                            .add(field[1]);
                }
                int length = Integer.parseInt(headers.get("content-length").getFirst());
                heard.add(new Heard(first, headers, in.readNBytes(length),
                        Instant.now(), socket));
            } catch (IOException gone) {
                // a connection that brings no request is not heard
            }
        }

        private static String line(InputStream in) throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int next = in.read(); next != '\n'; next = in.read()) {
                if (next < 0) throw new IOException("ended");
                if (next != '\r') line.write(next);
            }
            return line.toString(StandardCharsets.ISO_8859_1);
        }

        /// The next request about `payment`; those of other tests' payments are answered 200.
        Heard next(String payment) throws Exception {
            Heard next = nextOrNull(payment, (int) SOON.toMillis());
            assertNotNull(next, "no request about " + payment + " within " + SOON);
            return next;
        }

        Heard nextOrNull(String payment, int ms) throws Exception {
            long end = System.nanoTime() + ms * 1_000_000L;
            while (true) {
                Heard next = heard.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
                if (next == null || next.payment().equals(payment)) return next;
                next.answer(200);
            }
        }

        @Override
        public void close() throws Exception {
            registerShop();
            listening.close();
            synchronized (sockets) {
                for (Socket socket : sockets) socket.close();
            }
        }
    }

    @Test
    @DisplayName("a payment is accepted, its message delivered, one order made, one row listed")
    void payment() throws Exception {
        registerShop();
        String payment = pay();
        JsonNode row = rows(payment, 1).getFirst();
        assertTrue(row.get("id").stringValue().startsWith("msg_"), row::toString);
        assertEquals(1, row.get("attempt").intValue(), row::toString);
        assertEquals(204, row.get("status").intValue(), row::toString);
        assertTrue(row.get("error").isNull(), row::toString);
        assertEquals(List.of("id", "payment", "attempt", "at", "status", "error"),
                List.copyOf(row.propertyNames()));
        Duration age = Duration.between(Instant.parse(row.get("at").stringValue()),
                Instant.now());
        assertTrue(age.toSeconds() < 5 && !age.isNegative(), row::toString);
        assertEquals(1, orders(payment), "orders of " + payment);
    }

    @Test
    @DisplayName("an amount that is not one is refused, and nothing is delivered")
    void badPayments() throws Exception {
        for (String body : List.of("{\"amount\":0}", "{\"amount\":100000000}",
                "{\"amount\":1.5}", "{\"amount\":\"1\"}", "{\"amount\":null}", "{}",
                "[]",
                "{", "{\"amount\":NaN}")) {
            is(400, ask("POST", "/payments", body), body);
        }
        is(400, ask("POST", "/payments", null), "no body");
        is(415, ask("POST", "/payments", "{\"amount\":1}", "Content-Type: text/plain"),
                "text");
        is(202, ask("POST", "/payments", "{\"amount\":1.0,\"unknown\":true}"), "1.0");
        is(405, ask("GET", "/payments", null), "GET");
    }

    @Test
    @DisplayName("only this machine's literal names can be registered")
    void endpoint() throws Exception {
        for (String url : List.of("http://localhost", "http://localhost:1/a?b=c%20d",
                "http://127.0.0.1:65535/", "http://127.255.0.3/x", "http://127.0.0.0",
                "http://[::1]:8080/hook", "HTTP://localhost:80/",
                "http://localhost?x")) {
            is(204, register(url), url);
        }
        for (String url : List.of("", " ", "localhost", "//localhost/",
                "/webhooks/payments",
                "https://localhost/", "ftp://127.0.0.1/", "file:///etc/passwd",
                "http:localhost", "http:///x", "http://", "http://127.0.0.1.evil.com/",
                "http://localhost.evil.com", "http://evil.com/localhost",
                "http://127.1/",
                "http://127.0.1", "http://2130706433/", "http://0x7f000001/",
                "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://127.0.0.01/",
                "http://127.0.0.256/", "http://127.0.0.1./", "http://localhost./",
                "http://128.0.0.1/", "http://0.0.0.0/", "http://10.0.0.1/",
                "http://[::]/",
                "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/",
                "http://[0:0:0:0:0:0:0:1]/", "http://[::1%25lo]/", "http://::1/",
                "http://user@localhost/", "http://user:pw@127.0.0.1/",
                "http://@localhost/",
                "http://localhost@evil.com/", "http://localhost:80@evil.com/",
                "http://localhost#@evil.com/", "http://localhost/#fragment",
                "http://localhost\\@evil.com/", "http://localhost:0/",
                "http://localhost:65536/",
                "http://localhost:-1/", "http://localhost:8o/",
                "http://localhost:99999999999/",
                " http://localhost/", "http://localhost/ ", "http://local host/",
                "http://localhost/a b", "http://localhost/\r\nX: y",
                "http://localhost/\u0000",
                "http://localhost/%zz", "http://evil.com",
                "http://\uff11\uff12\uff17.0.0.1/")) {
            is(400, register(url), url);
        }
        for (String body : List.of("{}", "{\"url\":null}", "{\"url\":1}",
                "{\"url\":[]}", "[]",
                "{\"url\":\"\\ud800\"}")) {
            is(400, ask("PUT", "/endpoint", body), body);
        }
        registerShop();
    }

    @Test
    @DisplayName("a delivery is a plain HTTP/1.1 POST, signed over its raw bytes")
    void delivery() throws Exception {
        try (Receiver receiver = new Receiver()) {
            register(receiver.url());
            String payment = pay();
            Heard heard = receiver.next(payment);
            heard.answer(200);
            assertEquals("POST /hook?a=b%20c HTTP/1.1", heard.line());
            assertEquals("127.0.0.1:" + receiver.listening.getLocalPort(),
                    heard.header("host"));
            assertEquals("application/json", heard.header("content-type"));
            assertEquals("gateway/1", heard.header("user-agent"));
            assertFalse(heard.headers().containsKey("upgrade"),
                    heard.headers()::toString);
            String timestamp = heard.header("webhook-timestamp");
            assertTrue(
                    Math.abs(Long.parseLong(timestamp) - Instant.now().getEpochSecond())
                            < 5,
                    timestamp);
            assertEquals(
                    sign(SECRET, heard.header("webhook-id"), timestamp, heard.body()),
                    heard.header("webhook-signature"));
            JsonNode body = JSON.readTree(heard.body());
            assertEquals("payment.succeeded", body.get("type").stringValue());
            assertNotNull(Instant.parse(body.get("timestamp").stringValue()));
            assertEquals(JSON.readTree("{\"payment\":\"" + payment
                    + "\",\"amount\":4200,\"status\":\"paid\"}"), body.get("data"));
        }
    }

    @Test
    @DisplayName("a failure and a redirect are retried, later each time, a 410 and any 2xx are not")
    void retries() throws Exception {
        try (Receiver receiver = new Receiver(); Receiver elsewhere = new Receiver()) {
            register(receiver.url());
            String gone = pay();
            receiver.next(gone).answer(410);
            String fine = pay();
            receiver.next(fine).answer(299);
            String payment = pay();
            Heard first = receiver.next(payment);
            first.answer(500);
            Heard second = receiver.next(payment);
            second.answer(307, "Location: " + elsewhere.url() + "\r\n");
            Heard third = receiver.next(payment);
            third.answer(201);
            double one = gap(first, second);
            double two = gap(second, third);
            assertTrue(one > 0.95 && one < 2.5, "first gap " + one + " s");
            assertTrue(two > 1.95 && two < 4.5, "second gap " + two + " s");
            for (Heard later : List.of(second, third)) {
                assertEquals(first.header("webhook-id"), later.header("webhook-id"));
                assertArrayEquals(first.body(), later.body());
                String timestamp = later.header("webhook-timestamp");
                assertNotEquals(first.header("webhook-timestamp"), timestamp);
                assertEquals(
                        sign(SECRET, later.header("webhook-id"), timestamp,
                                later.body()),
                        later.header("webhook-signature"));
            }
            List<JsonNode> rows = rows(payment, 3);
            assertEquals(List.of(500, 307, 201),
                    rows.stream().map(row -> row.get("status").intValue()).toList());
            assertEquals(List.of(1, 2, 3),
                    rows.stream().map(row -> row.get("attempt").intValue()).toList());
            assertNull(elsewhere.nextOrNull(payment, 10), "the redirect was followed");
            assertEquals(1, rows(gone).size(), "attempts after 410");
            assertEquals(1, rows(fine).size(), "attempts after 299");
        }
    }

    @Test
    @DisplayName("what Retry-After asks for, in seconds or by a date, comes on top of the pause")
    void retryAfter() throws Exception {
        try (Receiver receiver = new Receiver()) {
            register(receiver.url());
            String payment = pay();
            Heard first = receiver.next(payment);
            first.answer(503, "Retry-After: 2\r\n");
            Heard second = receiver.next(payment);
            second.answer(429, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                    "Retry-After: Sun, 06 Nov 1994 08:49:39 GMT\r\n");
            Heard third = receiver.next(payment);
            third.answer(204);
            assertTrue(gap(first, second) > 2.95, "2 s asked, and 1 to 2");
            assertTrue(gap(second, third) > 3.95, "2 s asked, and 2 to 4");
            assertTrue(gap(second, third) < 30, "by the answer's own clock");
        }
    }

    @Test
    @DisplayName("a receiver at localhost is found by either address")
    void bothAddresses() throws Exception {
        try (Receiver receiver = new Receiver("::1")) {
            is(204, register("http://LocalHost:" + receiver.listening.getLocalPort()
                    + "/hook"), "LocalHost");
            String payment = pay();
            Heard heard = receiver.next(payment);
            heard.answer(200);
            assertEquals("POST /hook HTTP/1.1", heard.line());
            assertEquals(1, rows(payment, 1).size(), "one attempt, two addresses");
        }
    }

    private static double gap(Heard one, Heard next) {
        return Duration.between(one.at(), next.at()).toMillis() / 1000.0;
    }

    @Test
    @DisplayName("a corrected endpoint helps a delivery that is pending")
    void corrected() throws Exception {
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        register("http://127.0.0.1:" + free + "/");
        String payment = pay();
        JsonNode refused = rows(payment, 1).getFirst();
        assertTrue(refused.get("status").isNull(), refused::toString);
        assertEquals("connection refused", refused.get("error").stringValue());
        registerShop();
        assertEquals(204, rows(payment, 2).getLast().get("status").intValue());
        assertEquals(1, orders(payment));
    }

    @Test
    @DisplayName("silence, a dribbled answer and a flood cost an attempt, 5 s at most each")
    void badReceivers() throws Exception {
        try (Receiver receiver = new Receiver()) {
            register(receiver.url());
            String silent = pay();
            Heard unanswered = receiver.next(silent);
            String dribbled = pay();
            Heard slow = receiver.next(dribbled);
            slow.answer("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            Thread.ofVirtual().start(() -> {
                try {
                    while (true) {
                        slow.answer("x");
                        Thread.sleep(100);
                    }
                } catch (IOException | InterruptedException closed) {
                    // the gateway is gone
                }
            });
            String flooded = pay();
            Heard flood = receiver.next(flooded);
            flood.answer("HTTP/1.1 200 OK\r\n\r\n");
            Thread.ofVirtual().start(() -> {
                byte[] water = new byte[64 * 1024];
                try (OutputStream out = flood.socket().getOutputStream()) {
                    while (true) out.write(water);
                } catch (IOException closed) {
                    // the gateway is gone
                }
            });
            String lying = pay();
            receiver.next(lying).answer("SSH-2.0-nonsense\r\n\r\n");
            String cut = pay();
            receiver.next(cut).socket().close();
            for (String payment : List.of(flooded, lying, cut)) {
                JsonNode row = rows(payment, 1).getFirst();
                assertEquals("no valid HTTP answer", row.get("error").stringValue(),
                        row::toString);
            }
            for (Heard held : List.of(unanswered, slow)) {
                JsonNode row = rows(held.payment(), 1).getFirst();
                assertTrue(row.get("status").isNull(), row::toString);
                assertEquals("no whole answer within 5 s",
                        row.get("error").stringValue());
                double took =
                        Duration.between(held.at(), Instant.now()).toMillis() / 1000.0;
                assertTrue(took > 4.5 && took < 7, "ended after " + took + " s");
            }
            unanswered.socket().setSoTimeout(3_000);
            assertEquals(-1, unanswered.socket().getInputStream().read(),
                    "the gateway closes a connection that it gave up");
        }
    }

    @Test
    @DisplayName("a large answer within bounds is as good as an empty one")
    void largeAnswer() throws Exception {
        try (Receiver receiver = new Receiver()) {
            register(receiver.url());
            String payment = pay();
            receiver.next(payment)
                    .answer("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"
                            + "x".repeat(500_000));
            assertEquals(200, rows(payment, 1).getFirst().get("status").intValue());
        }
    }

    @Test
    @DisplayName("the example of Standard Webhooks verifies: old, but genuine")
    void vector() throws Exception {
        String body = "{\"test\": 2432232314}";
        String right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        String id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assertEquals(right, sign(SECRET, id, "1614265330",
                body.getBytes(StandardCharsets.UTF_8)), "the test's own signature");
        is(400, deliver(id, "1614265330", body, right), "the example");
        is(401, deliver(id, "1614265331", body, right), "another timestamp");
        is(401, deliver(id + "x", "1614265330", body, right), "another id");
        is(401, deliver(id, "1614265330", body.replace(" ", ""), right),
                "without the space");
    }

    @Test
    @DisplayName("GitHub's example verifies under its own header, and nothing else does")
    void github() throws Exception {
        String right =
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        String name = "X-Hub-Signature-256: ";
        is(204, ask("POST", "/_/github", "Hello, World!", name + "sha256=" + right),
                "it");
        is(401, ask("POST", "/_/github", "Hello, world!", name + "sha256=" + right),
                "w");
        is(401, ask("POST", "/_/github", "Hello, World!", name + right), "no sha256=");
        is(401, ask("POST", "/_/github", "Hello, World!"), "no header");
    }

    @Test
    @DisplayName("a missing or repeated header or a wrong signature is 401, before anything else")
    void unauthorized() throws Exception {
        String payment = fresh("p");
        String body = event(payment);
        String id = fresh("msg_");
        String time = now(0);
        String right = sign(SECRET, id, time, body.getBytes(StandardCharsets.UTF_8));
        List<String> all = List.of("webhook-id: " + id, "webhook-timestamp: " + time,
                "webhook-signature: " + right);
        for (String missing : all) {
            String[] rest = all.stream().filter(field -> !field.equals(missing))
                    .toArray(String[]::new);
            is(401, ask("POST", "/webhooks/payments", body, rest),
                    "without " + missing);
        }
        is(401, ask("POST", "/webhooks/payments", body, all.get(0), all.get(0),
                all.get(1),
                all.get(2)), "a repeated id");
        for (String wrong : List.of("v1,", "v1", "", ",", right.substring(3),
                "v2," + right.substring(3), "V1," + right.substring(3), right + "x",
                right.substring(0, right.length() - 1), "v1," + "A".repeat(43) + "=",
                right.toLowerCase(), right.replace(",", ", "), "x".repeat(20_000))) {
            is(401, deliver(id, time, body, wrong), "signature '" + wrong + "'");
        }
        is(401, deliver(id, "1", "rubbish", right),
                "old rubbish with a wrong signature");
        is(401, deliver(id, "soon", body, right), "a changed timestamp");
        is(401, deliver(id, time, event(payment).replace("4200", "1"), right),
                "tampered");
        is(415, ask("POST", "/webhooks/payments", body, "Content-Type: text/plain"),
                "text");
        is(413, ask("POST", "/webhooks/payments", "x".repeat(70_000)), "70,000 bytes");
        assertEquals(0, orders(payment), "orders of forgers");
        is(204, deliver(id, time, body, right), "the genuine message");
    }

    @Test
    @DisplayName("one right signature among several is enough, and raw bytes are verified")
    void several() throws Exception {
        String payment = fresh("p");
        String body =
                " {\"data\" :{\"status\":\"p\\u0061id\", \"amount\":1.0,\"payment\":\""
                        + payment
                        + "\"},\n\"type\":\"payment.succeeded\", \"new\":\"\u00e9\"} ";
        String id = fresh("msg_");
        String time = now(0);
        String right = sign(SECRET, id, time, body.getBytes(StandardCharsets.UTF_8));
        is(204, deliver(id, time, body, "v1a,abc v1,wrong= " + right + " v2,x"), body);
        assertEquals(1, orders(payment));
    }

    @Test
    @DisplayName("a signed timestamp may be 5 minutes off, not more, and must be a whole number")
    void timestamps() throws Exception {
        for (int offset : List.of(-298, -30, 30, 298)) {
            String payment = fresh("p");
            is(204, deliver(fresh("msg_"), now(offset), event(payment)), offset + " s");
            assertEquals(1, orders(payment));
        }
        for (String time : List.of(now(-303), now(303), "0", "-1", "soon",
                now(0) + ".0",
                "+" + now(0), now(0) + "000", "9".repeat(30), "0x1", now(0) + "e0")) {
            String payment = fresh("p");
            is(400, deliver(fresh("msg_"), time, event(payment)), "timestamp " + time);
            assertEquals(0, orders(payment));
        }
    }

    @Test
    @DisplayName("signed rubbish is 400 and does not use up its id")
    void rubbish() throws Exception {
        String id = fresh("msg_");
        String payment = fresh("p");
        String good = event(payment);
        for (String body : List.of("", "rubbish", "[]", "null", "{}", "{\"type\":1}",
                "{\"type\":null}", "{\"type\":\"payment.succeeded\"}", "{} {}",
                "{\"type\":\"payment.succeeded\",\"data\":[]}",
                good.replace("4200", "-1"), good.replace("4200", "1.5"),
                good.replace("4200", "\"1\""), good.replace("\"amount\":4200,", ""),
                good.replace("\"paid\"", "\"failed\""), good.replace("\"paid\"", "1"),
                good.replace(payment, ""), good.replace("\"" + payment + "\"", "{}"),
                good.replace("\"" + payment + "\"", "null"),
                good.replace(payment, "\\ud800"),
                good.replace(payment, "x".repeat(60_000)),
                "[".repeat(5_000))) {
            is(400, deliver(id, now(0), body), body);
        }
        byte[] bytes = {'{', '"', (byte) 0xff, '"', ':', '1', '}'};
        String time = now(0);
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.send("POST /webhooks/payments HTTP/1.1\r\nHost: localhost:"
                    + server.port
                    + "\r\nContent-Type: application/json\r\nContent-Length: 7\r\nwebhook-id: "
                    + id + "\r\nwebhook-timestamp: " + time + "\r\nwebhook-signature: "
                    + sign(SECRET, id, time, bytes) + "\r\n\r\n").send(bytes);
            is(400, raw.answer(), "invalid UTF-8");
        }
        assertEquals(0, orders(payment));
        is(204, deliver(id, now(0), good), "the right body under the same id");
        assertEquals(1, orders(payment));
    }

    @Test
    @DisplayName("an unknown type is 204 without effect, and does not use up its id")
    void unknown() throws Exception {
        String id = fresh("msg_");
        String payment = fresh("p");
        is(204, deliver(id, now(0), "{\"type\":\"payment.refunded\"}"),
                "an unknown type");
        is(204, deliver(id, now(0), event(payment).replace("succeeded", "sUcceeded")),
                "case");
        assertEquals(0, orders(payment));
        is(204, deliver(id, now(0), event(payment)), "a known type under the same id");
        assertEquals(1, orders(payment));
    }

    @Test
    @DisplayName("a repeated id has no second effect, even where 8 copies arrive at once")
    void atomic() throws Exception {
        int copies = 8;
        int rounds = 50;
        List<List<String>> payments = new ArrayList<>();
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < rounds; i++) {
            ids.add(fresh("msg_"));
            payments.add(Stream.generate(() -> fresh("p")).limit(copies).toList());
        }
        CyclicBarrier turn = new CyclicBarrier(copies);
        try (ExecutorService senders = Executors.newFixedThreadPool(copies)) {
            List<Future<?>> sent = new ArrayList<>();
            for (int copy = 0; copy < copies; copy++) {
                int mine = copy;
                sent.add(senders.submit(() -> {
                    try (RawHttp raw = new RawHttp(server.port)) {
                        for (int i = 0; i < rounds; i++) {
                            String body = event(payments.get(i).get(mine));
                            String time = now(0);
                            String signature =
                                    sign(SECRET, ids.get(i), time, body.getBytes());
                            turn.await(10, TimeUnit.SECONDS);
                            raw.request("POST", "/webhooks/payments", body,
                                    "webhook-id: " + ids.get(i),
                                    "webhook-timestamp: " + time,
                                    "webhook-signature: " + signature);
                            is(204, raw.answer(), "a copy");
                        }
                    }
                    return null;
                }));
            }
            for (var each : sent) each.get(20, TimeUnit.SECONDS);
        }
        String orders = ask("GET", "/orders", null).text();
        for (List<String> round : payments) {
            assertEquals(1, round.stream().filter(orders::contains).count(),
                    "orders that " + copies + " copies of one id have made");
        }
        is(204, deliver(ids.getFirst(), now(1), event(fresh("p"))),
                "another copy, later");
    }

    @Test
    @DisplayName("two ids about one payment make one order")
    void onePerPayment() throws Exception {
        String payment = fresh("p");
        is(204, deliver(fresh("msg_"), now(0), event(payment)), "the first");
        is(204, deliver(fresh("msg_"), now(0), event(payment)), "the second");
        String id = fresh("msg_");
        for (int copy = 0; copy < 2; copy++) {
            is(409, deliver(id, now(0), event(payment).replace("4200", "1")),
                    "another amount");
        }
        assertEquals(1, orders(payment));
    }

    @Test
    @DisplayName("ten thousand payments exhaust nothing, and each makes its order")
    void many() throws Exception {
        registerShop();
        int connections = 8;
        Set<String> wanted = new HashSet<>();
        try (ExecutorService clients = Executors.newFixedThreadPool(connections)) {
            List<Future<List<String>>> paid = new ArrayList<>();
            for (int i = 0; i < connections; i++) {
                paid.add(clients.submit(() -> {
                    List<String> made = new ArrayList<>();
                    try (RawHttp raw = new RawHttp(server.port)) {
                        for (int j = 0; j < 10_000 / connections; j++) {
                            RawHttp.Answer answer = raw.request("POST", "/payments",
                                    "{\"amount\":1}").answer();
                            is(202, answer, "POST /payments");
                            made.add(answer.text().replaceAll(".*:\"|\".*", ""));
                        }
                    }
                    return made;
                }));
            }
            for (var each : paid) wanted.addAll(each.get(60, TimeUnit.SECONDS));
        }
        assertEquals(10_000, wanted.size(), "payments");
        Eventually.see("an order for each payment", Duration.ofSeconds(30), () -> {
            Set<String> missing = new HashSet<>(wanted);
            for (JsonNode order : JSON.readTree(ask("GET", "/orders", null).text())) {
                missing.remove(order.get("payment").stringValue());
            }
            return missing.size();
        }, missing -> missing == 0);
        Eventually.see("rows that are kept", Duration.ofSeconds(30),
                () -> JSON.readTree(ask("GET", "/deliveries", null).text()).size(),
                rows -> rows == 10_000); // one more is seen where some come meanwhile
    }

    @Test
    @DisplayName("a malformed secret is one sentence that does not repeat it, exit code 2")
    void secrets() throws Exception {
        String[] wrong = {"", SECRET.substring(6), "whsec_" + "A".repeat(87)};
        List<Process> running = new ArrayList<>();
        for (String secret : wrong) {
            running.add(Server.launch(LESSON, "WEBHOOK_SECRET=" + secret).start());
        }
        for (int i = 0; i < wrong.length; i++) {
            Process process = running.get(i);
            boolean ended = process.waitFor(30, TimeUnit.SECONDS);
            if (!ended) process.destroyForcibly();
            String said = new String(process.getErrorStream().readAllBytes());
            assertTrue(ended, "still running with '" + wrong[i] + "'");
            assertEquals(2, process.exitValue(), "'" + wrong[i] + "': " + said);
            assertEquals("WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in Base64.",
                    said.strip());
            assertEquals("", new String(process.getInputStream().readAllBytes()));
        }
    }

    @Test
    @DisplayName("without WEBHOOK_SECRET the page shows a random one, which verifies")
    void randomSecret() throws Exception {
        try (Server own = Server.start(LESSON);
                Chromium chromium = Chromium.open(own)) {
            String secret = chromium.see("#secret", "^whsec_[A-Za-z0-9+/]{43}=$");
            String time = now(0);
            String body = event("pay_1");
            is(204, RawHttp.ask(own.port, "POST", "/webhooks/payments", body,
                    "webhook-id: a",
                    "webhook-timestamp: " + time, "webhook-signature: "
                            + sign(secret, "a", time, body.getBytes())),
                    "signed with it");
            chromium.see("#orders li", "^pay_1 paid$");
            chromium.click("pay");
            chromium.see("#outcome",
                    "heard of payment pay_\\w+ after [\\d.]+ m?s and 1 attempt");
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("a stop ends pending and held deliveries within 2 s")
    void stopping() throws Exception {
        try (Server own = Server.start(LESSON); Receiver receiver = new Receiver()) {
            RawHttp.ask(own.port, "PUT", "/endpoint",
                    "{\"url\":\"" + receiver.url() + "\"}");
            String[] payments = new String[2];
            for (int i = 0; i < 2; i++) {
                payments[i] =
                        RawHttp.ask(own.port, "POST", "/payments", "{\"amount\":1}")
                                .text()
                                .replaceAll(".*:\"|\".*", "");
            }
            Heard one = receiver.next(payments[0]);
            one.answer(500);
            long began = System.nanoTime();
            assertEquals(143, own.stop("TERM"));
            double took = (System.nanoTime() - began) / 1e9;
            assertTrue(took < 2, "took " + took + " s");
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("the page: the gateway calls the shop, and the wire shows who called whom")
    void demo() throws Exception {
        registerShop();
        try (Chromium chromium = Chromium.open(server)) {
            chromium.see("#secret", "^WEBHOOK_SECRET$");
            assertFalse(chromium.page.content().contains(SECRET),
                    "the given secret is shown");
            chromium.click("pay");
            chromium.see("#outcome",
                    "heard of payment pay_\\w+ after [\\d.]+ m?s and 1 attempt,");
            chromium.see("#endpoint", "^/webhooks/payments$");
            chromium.see("#deliveries li", "^pay_\\w{4} attempt 1: 204$");
            chromium.see("#orders li", "^pay_\\w{4} paid$");
            chromium.seeWire("^POST /payments$");
            chromium.seeWire("^202 Accepted$");
            chromium.seeWire("^POST /webhooks/payments$");
            chromium.seeWire("^204 No Content$");
            chromium.see("#wire-lanes", "^You1 request.*Gateway1 request.*Shop$");
            chromium.page.locator("#wire-rows .row").nth(2).click();
            chromium.see("#wire-rows .detail p", "^Gateway to Shop, ");
            chromium.see("#wire-rows .detail pre", "webhook-signature: v1,");
            chromium.screenshot("05-wide-light");
        }
    }

    @Test
    @DisplayName("the page: each button of Break it shows its failure in the demo and on the wire")
    void breakIt() throws Exception {
        try (Chromium chromium = Chromium.open(server, 390, ColorScheme.DARK)
                .expecting("401 (Unauthorized)", "400 (Bad Request)")) {
            chromium.click("forge");
            chromium.see("#outcome",
                    "^Invented signature: 401. Changed amount: 401. Orders: 0.$");
            chromium.seeWire("401 Unauthorized$");
            chromium.click("replay");
            chromium.see("#outcome",
                    "^A message of 6 minutes ago, rightly signed: 400. Orders: 0.$");
            chromium.seeWire("400 Bad Request$");
            chromium.click("twice");
            chromium.see("#outcome", "^Two copies at once: 204 and 204. Orders: 1.$");
            chromium.click("down");
            chromium.see("#outcome",
                    "^Attempts: 503, 503, 204. Gaps: [12].\\d s, [2-4].\\d s."
                            + " Ids: 1. Orders: 1.$");
            chromium.seeWire("503 Service Unavailable$");
            chromium.seeWire("^nothing for ");
            chromium.see("#deliveries", "attempt 2: 503, [12].\\d s later");
            chromium.screenshot("05-narrow-dark");
        }
    }
}
