import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.ColorScheme;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("03 WebSocket")
class WebsocketTest {
    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int TEXT = 1;
    private static final int BINARY = 2;
    private static final int CLOSE = 8;
    private static final int PING = 9;
    private static final int PONG = 10;
    private static final int FIN = 0x80;
    private static final int MASKED = 0x80;
    private static final String[] UPGRADE = RawHttp.UPGRADE;
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/03_websocket.java");
    }

    @AfterEach
    void everybodyLeaves() throws Exception {
        online(0);
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    /// A client that sends just the bytes that a test names.
    private static final class Client implements AutoCloseable {
        final RawHttp raw;

        private Client(RawHttp raw) {
            this.raw = raw;
        }

        /// Sends bytes as they are.
        Client send(byte[] bytes) throws IOException {
            raw.send(bytes);
            return this;
        }

        /// Sends a frame, masked; `first` has the opcode and the flags.
        Client frame(int first, byte[] payload) throws IOException {
            return send(RawHttp.frame(first, payload));
        }

        /// Sends a text in one frame.
        Client text(String text) throws IOException {
            return frame(FIN | TEXT, text.getBytes(StandardCharsets.UTF_8));
        }

        Client say(String text) throws IOException {
            return text(JsonMapper.shared().writeValueAsString(
                    Map.of("type", "message", "text", text)));
        }

        /// The next frame, whatever it is.
        RawHttp.Frame read() throws IOException {
            return raw.readFrame();
        }

        /// The next text, parsed. Pings come between where a test takes long.
        JsonNode hear() throws IOException {
            RawHttp.Frame next = read();
            while (next.opcode() == PING) next = read();
            RawHttp.Frame frame = next;
            assertEquals(FIN | TEXT, frame.first(),
                    () -> "not a text but " + frame.text());
            return JsonMapper.shared().readTree(frame.text());
        }

        /// Skips what comes before a text with this in it.
        JsonNode hear(String part) throws IOException {
            List<String> heard = new ArrayList<>();
            try {
                while (true) {
                    RawHttp.Frame frame = read();
                    heard.add(frame.opcode() + " " + frame.text());
                    if (frame.opcode() == TEXT && frame.text().contains(part)) {
                        return JsonMapper.shared().readTree(frame.text());
                    }
                }
            } catch (IOException | AssertionError end) {
                throw new AssertionError("never heard " + part + ", but " + heard, end);
            }
        }

        /// Skips what comes before the close frame, and waits for the end of the connection.
        int closed() throws IOException {
            List<String> heard = new ArrayList<>();
            RawHttp.Frame frame = null;
            do {
                if (frame != null) heard.add(frame.opcode() + " " + frame.text());
                try {
                    frame = read();
                } catch (IOException | AssertionError none) {
                    throw new AssertionError("no close frame came, but " + heard, none);
                }
            } while (frame.opcode() != CLOSE);
            int code = frame.code();
            try {
                frame(FIN | CLOSE, frame.payload());
            } catch (IOException gone) {
                return code;
            }
            assertTrue(raw.endsWithin(8_000),
                    "closed with " + code + ", but still open");
            return code;
        }

        @Override
        public void close() throws IOException {
            raw.close();
        }
    }

    private static byte[] bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) bytes[i] = (byte) values[i];
        return bytes;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static RawHttp.Answer ask(String method, String target, String... fields)
            throws Exception {
        return RawHttp.ask(server.port, method, target, null, fields);
    }

    private static Client join(Server server, String name) throws Exception {
        RawHttp raw =
                new RawHttp(server.port).request("GET", "/chat?name=" + name, null,
                        UPGRADE);
        RawHttp.Answer answer = raw.head();
        assertEquals(101, answer.status(), () -> name + " got " + answer);
        return new Client(raw);
    }

    /// Joins, and has heard so.
    private static Client join(String name) throws Exception {
        Client client = join(server, name);
        client.hear("\"" + name + "\"");
        return client;
    }

    private static int online() throws Exception {
        return Integer.parseInt(ask("GET", "/online").text().replaceAll("\\D", ""));
    }

    private static void online(int wanted) throws Exception {
        Eventually.see("GET /online", SOON, WebsocketTest::online,
                now -> now == wanted);
    }

    @Test
    @DisplayName("a handshake is answered with 101 and the hash of its key")
    void handshake() throws Exception {
        for (String connection : List.of("Upgrade", "keep-alive, upgrade")) {
            for (String upgrade : List.of("websocket", "WebSocket", "h2c, websocket")) {
                try (RawHttp raw = new RawHttp(server.port)) {
                    RawHttp.Answer answer = raw.request("GET", "/chat?name=ada", null,
                            "Connection: " + connection, "Upgrade: " + upgrade,
                            "Sec-WebSocket-Version: 13",
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                            "Sec-WebSocket-Extensions: permessage-deflate; ,;=\"",
                            "Origin: http://localhost:" + server.port).head();
                    assertEquals(101, answer.status(), answer::toString);
                    assertEquals("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                            answer.header("sec-websocket-accept"));
                    assertEquals("websocket", answer.header("upgrade").toLowerCase());
                    assertEquals("upgrade", answer.header("connection").toLowerCase());
                    assertEquals("", answer.header("sec-websocket-protocol"));
                    assertEquals("", answer.header("sec-websocket-extensions"));
                    assertEquals("", answer.header("content-length"), "RFC 9110, 8.6");
                    new Client(raw).hear("joined");
                }
            }
        }
    }

    @Test
    @DisplayName("the subprotocol chat.v1 is selected where it is offered, and no other")
    void subprotocol() throws Exception {
        for (String offer : List.of("chat.v1", "a, chat.v1 ,b",
                "a\r\nSec-WebSocket-Protocol: chat.v1")) {
            assertEquals("chat.v1", selected(offer), offer);
        }
        assertEquals("", selected("chat.v2, CHAT.V1"));
    }

    private static String selected(String offer) throws Exception {
        String[] fields = Stream.concat(Stream.of(UPGRADE),
                Stream.of("Sec-WebSocket-Protocol: " + offer)).toArray(String[]::new);
        try (RawHttp raw = new RawHttp(server.port)) {
            RawHttp.Answer answer =
                    raw.request("GET", "/chat?name=ada", null, fields).head();
            assertEquals(101, answer.status(), () -> offer + " got " + answer);
            new Client(raw).hear("joined");
            return answer.header("sec-websocket-protocol");
        }
    }

    @Test
    @DisplayName("who asks for no upgrade, or for another version, is told what to ask for: 426")
    void upgradeRequired() throws Exception {
        List<String[]> wrong = List.of(new String[0],
                new String[] {"Upgrade: websocket", "Sec-WebSocket-Version: 13"},
                new String[] {"Connection: Upgrade", "Upgrade: h2c"},
                new String[] {UPGRADE[0], UPGRADE[1], UPGRADE[3]},
                new String[] {UPGRADE[0], UPGRADE[1], "Sec-WebSocket-Version: 8",
                    UPGRADE[3]},
                new String[] {UPGRADE[0], UPGRADE[1], "Sec-WebSocket-Version: 13, 13",
                    UPGRADE[3]});
        for (String[] fields : wrong) {
            for (String target : List.of("/chat?name=ada", "/chat")) {
                RawHttp.Answer answer = ask("GET", target, fields);
                assertEquals(426, answer.status(),
                        () -> List.of(fields) + " got " + answer);
                assertEquals("websocket", answer.header("upgrade"));
                assertEquals("13", answer.header("sec-websocket-version"));
            }
        }
        assertEquals(426, ask("HEAD", "/chat?name=ada").status());
        assertEquals(405, ask("POST", "/chat?name=ada", UPGRADE).status());
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.request("GET", "/chat", null).answer();
            assertEquals(200, raw.request("GET", "/online", null).answer().status(),
                    "the connection is used again");
        }
    }

    @Test
    @DisplayName("a name has 1 to 40 characters, else 400 before the upgrade; so has a bad key")
    void badNames() throws Exception {
        for (String query : List.of("", "?name", "?name=", "?name=" + "x".repeat(41),
                "?name=" + "%F0%9F%98%80".repeat(41), "?name=a&name=b", "?Name=a")) {
            RawHttp.Answer answer = ask("GET", "/chat" + query, UPGRADE);
            assertEquals(400, answer.status(), () -> query + " got " + answer);
            assertEquals("application/problem+json", answer.header("content-type"));
        }
        for (String key : List.of("", "abc", "dGhlIHNhbXBsZSBub25jZQ",
                "!GhlIHNhbXBsZSBub25jZQ==",
                "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")) {
            assertEquals(400,
                    ask("GET", "/chat?name=ada", UPGRADE[0], UPGRADE[1], UPGRADE[2],
                            "Sec-WebSocket-Key: " + key).status(),
                    key);
        }
        assertEquals(403,
                ask("GET", "/chat", UPGRADE[0], UPGRADE[1], UPGRADE[2], UPGRADE[3],
                        "Origin: http://evil.example").status(),
                "403 comes before 400");
    }

    @Test
    @DisplayName("a name may hold anything that UTF-8 can, and is heard as it was given")
    void strangeNames() throws Exception {
        for (String name : List.of("a", "x".repeat(40), "\ud83d\ude00".repeat(40),
                "<b>&\"'\\",
                " ", "\u0000\u0007\n\r\u2028", "a+b", "\u202e\u200b")) {
            StringBuilder encoded = new StringBuilder();
            for (byte each : utf8(name)) encoded.append("%%%02x".formatted(each));
            try (Client client = join(server, encoded.toString())) {
                JsonNode heard = client.hear();
                assertEquals(name, heard.get("name").stringValue());
                assertEquals(1, heard.get("online").intValue());
                assertEquals(name, client.say("hi").hear().get("from").stringValue());
            }
            online(0);
        }
        for (String bad : List.of("%ff", "%ed%a0%80", "%c0%af", "%zz", "%")) {
            RawHttp.Answer answer = ask("GET", "/chat;x=<>%22?name=" + bad);
            assertTrue(answer.status() < 500, () -> bad + " got " + answer);
            try (RawHttp raw = new RawHttp(server.port)) {
                raw.request("GET", "/chat;x=|?name=" + bad, null, UPGRADE);
                int status = raw.head().status();
                assertTrue(List.of(101, 400, 404).contains(status),
                        bad + " got " + status);
                if (status == 101) new Client(raw).hear("joined");
            }
        }
    }

    @Test
    @DisplayName("a line typed by one is heard by all, the sender too, with a rising number")
    void everybodyHears() throws Exception {
        try (Client ada = join("ada"); Client bob = join("bob");
                Client twin = join("bob")) {
            assertEquals("{\"type\":\"joined\",\"name\":\"bob\",\"online\":2}",
                    ada.hear().toString());
            assertEquals("{\"type\":\"joined\",\"name\":\"bob\",\"online\":3}",
                    ada.hear().toString());
            assertEquals(3, bob.hear().get("online").intValue());
            long before = 0;
            for (String text : List.of("hi", "", "<script>alert(1)</script>",
                    "\u0000\u001f\u007f",
                    "\ud83d\ude00 \u4f60\u597d \u2028", "\\\"", "x".repeat(60_000))) {
                ada.say(text);
                JsonNode heard = ada.hear();
                assertEquals(heard, bob.hear());
                assertEquals(heard, twin.hear());
                assertEquals("message", heard.get("type").stringValue());
                assertEquals("ada", heard.get("from").stringValue());
                assertEquals(text, heard.get("text").stringValue());
                assertTrue(heard.get("id").isIntegralNumber());
                assertTrue(heard.get("id").longValue() > before, "id rises");
                before = heard.get("id").longValue();
                Instant at = Instant.parse(heard.get("at").stringValue());
                assertTrue(Duration.between(at, Instant.now()).abs().toSeconds() < 5,
                        "at");
                assertEquals(5, heard.size(), () -> "members of " + heard);
            }
            ada.text(
                    "{\"text\":\"a\\u0041\",\"type\":\"message\",\"id\":9,"
                            + "\"from\":\"eve\",\"x\":[{}]}");
            JsonNode heard = bob.hear();
            assertEquals("aA", heard.get("text").stringValue());
            assertEquals("ada", heard.get("from").stringValue());
        }
    }

    @Test
    @DisplayName("everybody hears who comes and who leaves: by a close, an end or a reset")
    void comingAndGoing() throws Exception {
        try (Client ada = join("ada")) {
            Client bob = join("bob");
            assertEquals("joined", ada.hear().get("type").stringValue());
            online(2);
            bob.frame(FIN | CLOSE, bytes(3, 232));
            assertEquals("{\"type\":\"left\",\"name\":\"bob\",\"online\":1}",
                    ada.hear().toString());
            assertEquals(1000, bob.closed());
            for (int way = 0; way < 4; way++) {
                Client carl = join("carl");
                assertEquals("joined", ada.hear().get("type").stringValue());
                if (way == 0) carl.close();
                if (way == 1) carl.raw.reset();
                if (way == 2) carl.raw.socket.shutdownOutput();
                if (way == 3) carl.send(bytes(FIN | TEXT, MASKED | 100, 1)).raw.reset();
                assertEquals("{\"type\":\"left\",\"name\":\"carl\",\"online\":1}",
                        ada.hear().toString(), "way " + way);
                online(1);
                if (way == 2) assertTrue(carl.raw.endsWithin(2_000),
                        "half closed, still open");
            }
        }
    }

    @Test
    @DisplayName("who resets during the handshake does not stay online")
    void goneInTheHandshake() throws Exception {
        for (int i = 0; i < 50; i++) {
            new RawHttp(server.port).request("GET", "/chat?name=eve", null, UPGRADE)
                    .reset();
        }
        try (Client ada = join("ada")) {
            online(1);
            assertEquals("ada",
                    ada.say("alone").hear("message").get("from").stringValue());
        }
    }

    @Test
    @DisplayName("what makes no sense is answered with an error to its sender, who stays")
    void nonsense() throws Exception {
        try (Client ada = join("ada"); Client bob = join("bob")) {
            ada.hear();
            for (String text : List.of("", "hi", "{", "[]", "1", "null", "\"x\"",
                    "{} {}", "{}",
                    "{\"type\":\"message\"}", "{\"type\":\"message\",\"text\":null}",
                    "{\"type\":\"message\",\"text\":1}",
                    "{\"type\":\"message\",\"text\":[\"x\"]}",
                    "{\"type\":\"message\",\"text\":\"\\ud800\"}",
                    "{\"type\":1,\"text\":\"x\"}",
                    "{\"type\":\"joined\",\"text\":\"x\"}",
                    "{\"type\":\"Message\",\"text\":\"x\"}",
                    "{\"text\":\"x\"}",
                    "{\"type\":\"message\",\"text\":" + "9".repeat(2_000) + "}",
                    "{\"type\":\"message\",\"text\":1e999999999}", "[".repeat(60_000),
                    "{\"a\":".repeat(9_000), "\ufeff{}",
                    "{\"type\":\"message\",\"text\":\"\n\"}")) {
                JsonNode answer = ada.text(text).hear();
                assertEquals("error", answer.get("type").stringValue(),
                        () -> text + ": " + answer);
                assertTrue(answer.get("reason").stringValue().length() > 10,
                        answer::toString);
                assertTrue(!answer.toString().contains("Exception"), answer::toString);
            }
            ada.say("still here");
            assertEquals("still here", bob.hear().get("text").stringValue(),
                    "bob heard no error");
        }
    }

    @Test
    @DisplayName("a text of 65,536 bytes passes, one of 65,537 closes 1009, however it is cut")
    void size() throws Exception {
        String start = "{\"type\":\"message\",\"text\":\"";
        byte[] fits = utf8(start + "x".repeat(65_536 - start.length() - 2) + "\"}");
        try (Client ada = join("ada"); Client bob = join("bob")) {
            ada.hear();
            ada.frame(FIN | TEXT, fits);
            assertEquals(65_536 - start.length() - 2,
                    bob.hear().get("text").stringValue().length());
            ada.frame(TEXT,
                    new String(fits, StandardCharsets.UTF_8).substring(0, 40_000)
                            .getBytes(StandardCharsets.UTF_8));
            ada.frame(FIN,
                    utf8(new String(fits, StandardCharsets.UTF_8).substring(40_000)));
            assertEquals("message", bob.hear().get("type").stringValue(),
                    "in two fragments");
        }
        online(0);
        byte[] tooLong = utf8(start + "x".repeat(65_537 - start.length() - 2) + "\"}");
        try (Client ada = join("ada")) {
            assertEquals(1009, ada.frame(FIN | TEXT, tooLong).closed());
        }
        try (Client ada = join("ada")) {
            byte[] whole = RawHttp.frame(FIN | TEXT, tooLong);
            for (int at = 0; at < whole.length; at += 9_000) {
                online(1);
                ada.send(Arrays.copyOfRange(whole, at,
                        Math.min(whole.length, at + 9_000)));
            }
            assertEquals(1009, ada.closed(), "in pieces");
        }
        try (Client ada = join("ada")) {
            ada.frame(TEXT, utf8("\u20ac".repeat(20_000)));
            online(1);
            assertEquals(1009, ada.frame(FIN, utf8("\u20ac".repeat(2_000))).closed(),
                    "fragments");
        }
        try (Client ada = join("ada")) {
            ada.frame(TEXT, new byte[0]);
            try {
                while (true) ada.frame(0, "x".repeat(50_000).getBytes());
            } catch (IOException closed) {
                online(0);
            }
        }
    }

    @Test
    @DisplayName("binary messages close 1003, whole, in fragments, empty or large")
    void binary() throws Exception {
        for (int size : List.of(0, 1, 70_000, 1_000_000)) {
            try (Client ada = join("ada")) {
                try {
                    ada.frame(FIN | BINARY, new byte[size]);
                } catch (IOException closed) {
                    assertTrue(size > 100_000, "cut off while sending " + size);
                }
                assertEquals(1003, ada.closed(), size + " bytes");
            }
        }
        try (Client ada = join("ada")) {
            assertEquals(1003,
                    ada.frame(BINARY, new byte[10]).frame(FIN, new byte[5]).closed());
        }
    }

    @Test
    @DisplayName("frames against RFC 6455 close 1002, and nobody else is disturbed")
    void protocolErrors() throws Exception {
        Map<String, byte[]> frames = new LinkedHashMap<>();
        for (int rsv : List.of(0x40, 0x20, 0x10)) {
            frames.put("reserved bit " + rsv,
                    RawHttp.frame(FIN | rsv | TEXT, utf8("{}")));
        }
        for (int opcode : List.of(3, 4, 5, 6, 7, 11, 12, 13, 14, 15)) {
            frames.put("opcode " + opcode, RawHttp.frame(FIN | opcode, utf8("x")));
        }
        for (int opcode : List.of(TEXT, BINARY, CLOSE, PING, PONG)) {
            frames.put("no mask, opcode " + opcode, bytes(FIN | opcode, 2, 3, 232));
            frames.put("no mask, empty, opcode " + opcode, bytes(FIN | opcode, 0));
        }
        for (int opcode : List.of(CLOSE, PING, PONG)) {
            frames.put("over 125, opcode " + opcode,
                    RawHttp.frame(FIN | opcode, new byte[126]));
            frames.put("cut, opcode " + opcode, RawHttp.frame(opcode, bytes(3, 232)));
        }
        frames.put("a continuation of nothing", RawHttp.frame(FIN, utf8("x")));
        frames.put("a continuation of nothing that goes on",
                RawHttp.frame(0, utf8("x")));
        frames.put("a text within a text",
                join(RawHttp.frame(TEXT, utf8("{")),
                        RawHttp.frame(FIN | TEXT, utf8("}"))));
        frames.put("binary within a text",
                join(RawHttp.frame(TEXT, utf8("{")), RawHttp.frame(BINARY, utf8("}"))));
        frames.put("a continuation without a mask",
                join(RawHttp.frame(TEXT, utf8("{")), bytes(FIN, 1, '}')));
        frames.put("half a close code", RawHttp.frame(FIN | CLOSE, bytes(3)));
        for (int code : List.of(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000,
                65535)) {
            frames.put("close " + code,
                    RawHttp.frame(FIN | CLOSE, bytes(code >> 8, code)));
        }
        frames.put("a length of 64 bits",
                bytes(FIN | TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4));
        frames.put("a length of 2 bytes that fits one",
                bytes(FIN | TEXT, 0xfe, 0, 2, 0, 0, 0, 0, '{', '}'));
        frames.put("a length of 8 bytes that fits two",
                bytes(FIN | TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, '{', '}'));
        try (Client bob = join("bob")) {
            frames.forEach((what, bytes) -> {
                try (Client ada = join("ada")) {
                    assertEquals(1002, ada.send(bytes).closed());
                    bob.hear("left");
                } catch (Exception | AssertionError e) {
                    throw new AssertionError(what + ", "
                            + HexFormat.of().formatHex(bytes, 0,
                                    Math.min(bytes.length, 20))
                            + ": " + e.getMessage(), e);
                }
            });
            assertEquals("undisturbed",
                    bob.say("undisturbed").hear().get("text").stringValue());
        }
    }

    private static byte[] join(byte[] one, byte[] other) {
        ByteArrayOutputStream both = new ByteArrayOutputStream();
        both.writeBytes(one);
        both.writeBytes(other);
        return both.toByteArray();
    }

    @Test
    @DisplayName("text that is not UTF-8 closes 1007, at once or when a fragment ends")
    void notUtf8() throws Exception {
        for (byte[] bad : List.of(bytes(0xff), bytes('{', 0xc3, '}'),
                bytes(0xed, 0xa0, 0x80),
                bytes(0xc0, 0xaf), bytes(0xf4, 0x90, 0x80, 0x80),
                bytes('a', 0xe2, 0x82))) {
            try (Client ada = join("ada")) {
                assertEquals(1007, ada.frame(FIN | TEXT, bad).closed(),
                        HexFormat.of().formatHex(bad));
            }
        }
        try (Client ada = join("ada")) {
            assertEquals(1007,
                    ada.frame(TEXT, bytes('{', 0xc3)).frame(FIN, bytes('}')).closed());
        }
        try (Client ada = join("ada")) {
            assertEquals(1007, ada.frame(FIN | CLOSE, bytes(3, 232, 0xff)).closed(),
                    "close reason");
        }
    }

    @Test
    @DisplayName("a ping is answered with its payload, between the fragments of a text too")
    void pings() throws Exception {
        try (Client ada = join("ada")) {
            for (byte[] payload : List.of(new byte[0], utf8("ping"), new byte[125])) {
                RawHttp.Frame pong = ada.frame(FIN | PING, payload).read();
                assertEquals(FIN | PONG, pong.first());
                assertEquals(new String(payload), pong.text());
            }
            byte[] all = utf8("{\"type\":\"message\",\"text\":\"\u20ac\"}");
            for (int cut = 0; cut < all.length; cut++) {
                ada.frame(TEXT, Arrays.copyOfRange(all, 0, cut));
                ada.frame(FIN | PING, bytes(cut));
                ada.frame(FIN | PONG, utf8("nobody asked"));
                ada.frame(0, new byte[0]);
                ada.frame(FIN, Arrays.copyOfRange(all, cut, all.length));
                assertEquals((byte) cut, ada.read().payload()[0], "pong " + cut);
                assertEquals("\u20ac", ada.hear().get("text").stringValue(),
                        "cut at " + cut);
            }
            for (byte each : RawHttp.frame(FIN | TEXT,
                    all)) ada.send(new byte[] {each});
            assertEquals("\u20ac", ada.hear().get("text").stringValue(),
                    "byte by byte");
        }
    }

    @Test
    @DisplayName("a close is answered with its code, and then the connection ends")
    void closing() throws Exception {
        for (int code : List.of(1000, 1001, 1003, 1011, 3000, 4999)) {
            try (Client ada = join("ada")) {
                ada.frame(FIN | CLOSE, bytes(code >> 8, code, 'b', 'y', 'e'));
                assertEquals(code, ada.read().code());
                assertTrue(ada.raw.endsWithin(2_000),
                        "still open after both said " + code);
            }
            online(0); // or the next one may hear of it
        }
        try (Client ada = join("ada")) {
            int code = ada.frame(FIN | CLOSE, new byte[0]).read().code();
            assertTrue(code == 0 || code == 1000, "an empty close got " + code);
            assertTrue(ada.raw.endsWithin(2_000), "still open after an empty close");
        }
    }

    @Test
    @DisplayName("half a frame or half a handshake is waited for, and bothers nobody")
    void halves() throws Exception {
        try (Client ada = join("ada"); Client bob = join("bob");
                RawHttp half = new RawHttp(server.port)) {
            half.send("GET /chat?name=eve HTTP/1.1\r\nHost: local");
            byte[] whole = RawHttp.frame(FIN | TEXT,
                    utf8("{\"type\":\"message\",\"text\":\"late\"}"));
            ada.send(Arrays.copyOfRange(whole, 0, 20));
            assertEquals("meanwhile",
                    bob.say("meanwhile").hear().get("text").stringValue());
            ada.hear("meanwhile");
            ada.send(Arrays.copyOfRange(whole, 20, whole.length));
            assertEquals("late", bob.hear().get("text").stringValue());
            half.send("host:" + server.port + "\r\n" + String.join("\r\n", UPGRADE)
                    + "\r\n\r\n");
            assertEquals(101, half.head().status());
            bob.hear("eve");
        }
        try (RawHttp eager = new RawHttp(server.port)) {
            String head = "GET /chat?name=ada HTTP/1.1\r\nHost: localhost:"
                    + server.port + "\r\n"
                    + String.join("\r\n", UPGRADE) + "\r\n\r\n";
            eager.send(join(utf8(head),
                    RawHttp.frame(FIN | TEXT,
                            utf8("{\"type\":\"message\",\"text\":\"soon\"}"))));
            assertEquals(101, eager.head().status());
            assertEquals("soon",
                    new Client(eager).hear("message").get("text").stringValue(),
                    "sent together with the handshake");
        }
    }

    @Test
    @DisplayName("what many say at once is heard by all in one order, with rising numbers")
    void oneOrder() throws Exception {
        List<Client> all = new ArrayList<>();
        for (int i = 0; i < 6; i++) all.add(join("c" + i));
        for (Client each : all.subList(0, 5)) each.hear("\"c5\"");
        List<Thread> speakers = new ArrayList<>();
        for (Client each : all) {
            speakers.add(Thread.ofVirtual().start(() -> {
                try {
                    for (int i = 0; i < 500; i++) each.say("text " + i);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            }));
        }
        List<String> first = null;
        for (Client each : all) {
            List<String> heard = new ArrayList<>();
            long before = 0;
            for (int i = 0; i < 3_000; i++) {
                JsonNode message = each.hear();
                assertTrue(message.get("id").longValue() > before, "ids rise");
                before = message.get("id").longValue();
                heard.add(message.toString());
            }
            if (first == null) first = heard;
            assertEquals(first, heard, "another order");
        }
        for (Thread each : speakers) each.join();
        for (Client each : all) each.close();
    }

    @Test
    @DisplayName("above 100 only the count is announced, at most 10 a second, and always the last")
    void manyAreCounted() throws Exception {
        List<Client> crowd = new ArrayList<>();
        try (Client ada = join("ada")) {
            for (int i = 2; i <= 100; i++) crowd.add(join("c" + i));
            assertEquals(100, ada.hear("\"c100\"").get("online").intValue());
            long began = System.nanoTime();
            for (int i = 101; i <= 160; i++) crowd.add(join(server, "c" + i));
            int announced = 0;
            JsonNode heard;
            do {
                heard = ada.hear();
                assertEquals("online", heard.get("type").stringValue(),
                        heard::toString);
                assertEquals(2, heard.size(), heard::toString);
                announced++;
            } while (heard.get("online").intValue() < 160);
            double seconds = (System.nanoTime() - began) / 1e9;
            assertTrue(announced <= 10 * seconds + 1,
                    announced + " in " + seconds + " s");
            crowd.getLast().hear("\"online\":160");
            for (Client each : crowd.subList(59, 159)) each.raw.reset();
            Client rest = crowd.getFirst();
            heard = rest.hear("\"left\"");
            assertEquals(100, heard.get("online").intValue(), "100 and below by name");
            while (heard.get("online").intValue() > 60) heard = rest.hear();
            assertEquals("left", heard.get("type").stringValue(), heard::toString);
        } finally {
            for (Client each : crowd) each.close();
        }
    }

    @Test
    @DisplayName("who does not read is cut off beyond 10,000 messages or 32 MiB, and delays nobody")
    void laggard() throws Exception {
        try (Client stalled = join("stalled"); Client ada = join("ada")) {
            String text = "x".repeat(60_000);
            boolean cut = false;
            for (int i = 0; i < 1_500 && !cut; i++) {
                JsonNode heard = ada.say(text).hear();
                while (!cut && !heard.get("type").stringValue().equals("message")) {
                    cut = heard.get("type").stringValue().equals("left");
                    if (!cut) heard = ada.hear();
                }
            }
            if (!cut) ada.hear("left");
            online(1);
            assertEquals(1013, stalled.closed(), "it reads after all");
        }
    }

    @Test
    @DisplayName("who earns errors and pongs without reading them is not read from either")
    void unreadAnswers() throws Exception {
        for (byte[] frame : List.of(RawHttp.frame(FIN | TEXT, utf8("{")),
                RawHttp.frame(FIN | PING, new byte[125]))) {
            ByteArrayOutputStream many = new ByteArrayOutputStream();
            for (int i = 0; i < 1_000; i++) many.writeBytes(frame);
            try (Client flood = join("flood")) {
                Thread writer = Thread.ofVirtual().start(() -> {
                    try {
                        for (int i = 0; i < 2_000; i++) flood.send(many.toByteArray());
                    } catch (IOException closed) {
                        return; // by the reset below
                    }
                });
                try (Client ada = join("ada")) {
                    for (int i = 0; i < 100; i++) {
                        assertEquals("" + i, ada.say("" + i).hear("message").get("text")
                                .stringValue());
                    }
                }
                flood.raw.reset();
                writer.join();
            }
            online(0);
        }
    }

    @Test
    @DisplayName("at shutdown everybody is told 1001")
    void stopping() throws Exception {
        try (Server own = Server.start("lessons/03_websocket.java")) {
            List<Client> all = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                all.add(join(own, "c" + i));
                for (Client each : all) each.hear("\"c" + i + "\"");
            }
            assertEquals(143, own.stop("TERM"));
            for (Client each : all) assertEquals(1001, each.closed());
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("a client is pinged, and closed with 1001 once it is silent; any byte counts")
    void silence(@TempDir Path folder) throws Exception {
        try (Server own = startChanged(folder, " 60e9", " 3e9", " 20e9", " 1e9")) {
            long began = System.nanoTime();
            try (Client silent = join(own, "silent");
                    Client ponging = join(own, "ponging");
                    Client typing = join(own, "typing")) {
                byte[] slowly = RawHttp.frame(FIN | TEXT, new byte[100]);
                int sent = 0;
                int beats = 0;
                boolean left = false;
                for (int pings = 0; pings < 6;) {
                    RawHttp.Frame frame = ponging.read();
                    left |= frame.text()
                            .contains("\"left\",\"name\":\"silent\",\"online\":2");
                    if (frame.text().contains("{\"type\":\"online\"")) beats++;
                    if (frame.opcode() != PING) continue;
                    pings++;
                    ponging.frame(FIN | PONG, frame.payload());
                    typing.send(new byte[] {slowly[sent++]});
                }
                double seconds = (System.nanoTime() - began) / 1e9;
                assertTrue(seconds > 4.5,
                        "6 pings, one a second, came in " + seconds + " s");
                assertTrue(left, "the silent one has left");
                assertEquals(5, beats, "with each ping a message, for scripts");
                assertEquals(1001, silent.closed());
                ponging.say("both are here");
                typing.hear("both are here");
            }
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("a fault in a handler is told on the terminal, and closes 1011")
    void fault(@TempDir Path folder) throws Exception {
        try (Server own = startChanged(folder, "room.say(this,",
                "if (room != null) throw new IllegalStateException(\"broken\"); room.say(this,");
                Client ada = join(own, "ada")) {
            assertEquals(1011, ada.say("hi").closed());
            String told = own.errors();
            assertTrue(told.matches("500 WebSocket of ada: java\\.lang\\."
                    + "IllegalStateException: broken \\(03_websocket\\.java:\\d+\\)"),
                    told);
        }
    }

    /// The lesson with some of its text changed, on a copy of what it needs.
    ///
    /// @param changes what to find and what to put, in turn
    private static Server startChanged(Path folder, String... changes)
            throws Exception {
        Path root = Repo.root();
        List<Path> needed = new ArrayList<>();
        for (String each : List.of("html", "md")) {
            needed.add(root.resolve("lessons/03_websocket." + each));
        }
        try (Stream<Path> shared = Files.walk(root.resolve("shared"))) {
            shared.filter(Files::isRegularFile).forEach(needed::add);
        }
        for (Path each : needed) {
            Path copy = folder.resolve(root.relativize(each).toString());
            Files.createDirectories(copy.getParent());
            Files.copy(each, copy);
        }
        String source = Files.readString(root.resolve("lessons/03_websocket.java"));
        for (int i = 0; i < changes.length; i += 2) {
            assertTrue(source.contains(changes[i]), changes[i]);
            source = source.replace(changes[i], changes[i + 1]);
        }
        Path changed = folder.resolve("lessons/03_websocket.java");
        Files.writeString(changed, source);
        return Server.start(changed.toString());
    }

    @Test
    @DisplayName("the page: what ada says is heard by both, and the wire shows who sent it")
    void demo() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.see("#ada .log", "joined, 2 online|bob joined");
            online(2);
            chromium.page.locator("#ada input").fill("<b>hello</b>");
            chromium.page.locator("#ada form button").click();
            chromium.see("#ada .log", "ada: <b>hello</b>");
            chromium.see("#bob .log", "ada: <b>hello</b>");
            chromium.seeWire("^GET /chat\\?name=ada$");
            chromium.seeWire("^101 Switching Protocols$");
            chromium.seeWire("^text \\{\"type\":\"message\",\"text\":\"<b>hello");
            chromium.seeWire(
                    "^text \\{\"type\":\"message\",\"id\":\\d+,\"from\":\"ada\"");
            chromium.click("bob-door");
            chromium.see("#ada .log", "bob left, 1 online");
            chromium.see("#bob .state", "left, 1000");
            chromium.seeWire("^close 1000$");
            chromium.click("bob-door");
            chromium.see("#bob .state", "open");
            try (Client eve = join("eve")) {
                eve.say("I am no browser");
                chromium.see("#bob .log", "eve: I am no browser");
                chromium.see("#wire-lanes", "eve");
            }
            chromium.screenshot("03-wide-light");
        }
    }

    @Test
    @DisplayName("the page: each button of Break it shows its failure in the demo and on the wire")
    void breakIt() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.DARK)) {
            chromium.click("nonsense");
            chromium.see("#outcome", "heard \"error: .*\". She is still connected");
            chromium.seeWire("^text \\{\"type\":\"error\",\"reason\":");
            chromium.click("large");
            chromium.see("#outcome",
                    "closed with 1009 after .*, and she was back after \\d");
            chromium.seeWire("^close 1009");
            chromium.click("freeze");
            chromium.see("#outcome", "browser says open, her text was sent, and the"
                    + " server still counts 2 online. But bob has not heard her");
            chromium.screenshot("03-frozen");
            chromium.click("freeze");
            chromium.see("#outcome",
                    "everything arrived, in order. No close, no error");
            chromium.click("freeze");
            chromium.see("#freeze", "Thaw it");
            chromium.click("reset"); // thaws it first
            chromium.see("#outcome",
                    "ada left [\\d.]+ m?s after the reset. .* says 1006, not clean");
            chromium.seeWire("^connection closed$");
            chromium.seeWire("^text \\{\"type\":\"left\",\"name\":\"ada\"");
            chromium.click("flood");
            chromium.see("#outcome",
                    "left 6,0\\d\\d,\\d{3} bytes waiting.* refused one more. bob heard");
            chromium.screenshot("03-wide-dark");
        }
    }

    @Test
    @DisplayName("the client: one socket whatever it is told, and a herd that comes back is spread")
    void client() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.see("#ada .state", "open");
            chromium.see("#bob .state", "open");
            Object states = chromium.page.evaluate("""
                    async () => {
                      const states = [];
                      const until = async (state) => {
                        for (let i = 0; i < 500 && states.at(-1) !== state; i++) await pause(20);
                      };
                      const twin = chat("eve", { hear() {}, show: (it) => states.push(it) });
                      await until("open");
                      twin.leave();
                      states.length = 0;
                      twin.join();
                      await until("open");
                      const count = async (wanted) => {
                        let online;
                        for (let i = 0; i < 500 && online !== wanted; i++) {
                          ({ online } = await (await fetch("/online")).json());
                          await pause(20);
                        }
                        return online;
                      };
                      const during = await count(3);
                      twin.leave();
                      await until("left, 1000");
                      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
                      await pause(200);
                      return [during, ...states, await count(2)];
                    }""");
            assertEquals("[3, open, left, 1000, 2]",
                    states.toString(),
                    "ada, bob and one eve; who has left does not come back");
            int fullest = (int) chromium.page.evaluate("""
                    () => {
                      const seconds = new Array(60).fill(0);
                      for (let i = 0; i < 8000; i++) {
                        seconds[Math.floor(pauseAfter(0, 8000) / 1000)]++;
                      }
                      return Math.max(...seconds);
                    }""");
            assertTrue(fullest < 700, "of 8,000 come back in one second: " + fullest);
        }
    }

    @Test
    @DisplayName("the client: a name that is refused is not tried again, and silence ends a connection")
    void refusedAndSilent() throws Exception {
        try (Chromium chromium = Chromium.open(server)
                .expecting("Unexpected response code: 400", "status of 400",
                        "closed before the connection is established")) {
            Object states = chromium.page.evaluate("""
                    async () => {
                      const timeout = setTimeout;
                      setTimeout = (run, ms) => timeout(run, ms === 50_000 ? 500 : ms);
                      const states = [];
                      const until = async (state) => {
                        const is = () => states.at(-1)?.startsWith(state);
                        for (let i = 0; i < 500 && !is(); i++) await pause(20);
                      };
                      chat("x".repeat(41), { hear() {}, show: (it) => states.push(it) });
                      await until("left, refused");
                      await pause(1200); // a second try would come within one
                      const server = `ws://${cable.host}`;
                      const eve = chat("eve", { server, hear() {}, show: (it) => states.push(it) });
                      await until("open");
                      await cable.freeze();
                      await until("lost, silent");
                      await cable.thaw();
                      await until("open");
                      eve.leave();
                      await until("left, 1000");
                      return states;
                    }""");
            assertTrue(
                    states.toString().matches("\\[left, refused: 'name' must have 1 to"
                            + " 40 characters., open, (lost, (silent|1000), )+open, left, 1000]"),
                    states.toString());
        }
    }

    @Test
    @DisplayName("the page: a client whose connection breaks comes back by itself")
    void reconnect() throws Exception {
        try (Chromium chromium = Chromium.open(server, 390, ColorScheme.LIGHT)) {
            chromium.see("#ada .state", "open");
            RawHttp.ask(server.port, "POST", "/_/page/cable/cut", null);
            chromium.see("#ada .state", "lost, 1006");
            chromium.see("#ada .state", "open");
            chromium.screenshot("03-narrow-light");
        }
    }

    @Test
    @DisplayName("the page: of two windows the wire says who is who, also of what began before")
    void twoWindows() throws Exception {
        try (Chromium first = Chromium.open(server)) {
            first.see("#bob .state", "open");
            Page second = first.page.context().newPage();
            second.navigate(server.url("/"));
            second.waitForFunction(
                    "() => byId('ada').textContent.includes('ada 2: open')");
            second.locator("#bob form button").click();
            first.seeRow("^bob 2 to Server: text");
            first.seeRow("^Server to ada 2: text");
            first.page.locator("#ada form button").click();
            second.waitForFunction("() => [...document.querySelectorAll('.row')]"
                    + ".some((row) => row.ariaLabel.startsWith('ada to Server: text'))");
            assertEquals(0, second.locator(".row[aria-label*=Somebody]").count());
            first.page.bringToFront();
            first.screenshot("03-two-windows");
        }
    }
}
