//SOURCES ../../shared/tls/[A-Z]*.java

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import shared.Http;
import shared.Routes;
import shared.Serve;
import shared.tls.Certificate;
import shared.wire.Conversation;
import shared.wire.Place;
import shared.wire.Protocol;
import shared.wire.Wire;
import tools.jackson.databind.JsonNode;

@DisplayName("The wire view of several places")
class PlacesTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final String LARGE = "0123456789".repeat(40_000);

    private final Wire wire = new Wire();
    private final List<AutoCloseable> toClose = new ArrayList<>();

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable each : toClose.reversed()) each.close();
    }

    private <T extends AutoCloseable> T closing(T made) {
        toClose.add(made);
        return made;
    }

    private Serve serve(Wire view, String name, Routes routes, SSLContext tls)
            throws IOException {
        Serve serve = Serve.start(0, routes, view.place(name), tls);
        toClose.add(serve::stop);
        return serve;
    }

    private static Routes routes() {
        return new Routes()
                .get("/hello", exchange -> Http.send(exchange, 200, "text/plain",
                        "hello"))
                .get("/large", exchange -> Http.send(exchange, 200, "text/plain",
                        LARGE))
                .post("/act", (exchange, body) -> Http.empty(exchange, 204));
    }

    /// A watcher of the test's wire.
    private Watcher watcher() throws Exception {
        return closing(
                new Watcher(serve(wire, "the watcher's", routes(), null).port));
    }

    private static String text(JsonNode row) {
        String peer = row.get("peer").isNull() ? "" : " to " + row.get("peer")
                .asString();
        return "%s%s: %s %s %s".formatted(row.get("place").asString(), peer,
                row.get("dir").asString(), row.get("kind").asString(),
                row.get("label").asString()).replace("  ", " ");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] raw(JsonNode row) {
        return row.get("raw").binaryValue();
    }

    private static void see(Watcher watcher, String... rows) throws Exception {
        for (String row : rows) assertEquals(row, text(watcher.next()));
    }

    @Test
    @DisplayName("two servers, one view: each row says whose it is, in one count and by one clock")
    void twoServers() throws Exception {
        Serve a = serve(wire, "node a", routes(), null);
        Serve b = serve(wire, "node b", routes(), null);
        List<Watcher> watchers = List.of(closing(new Watcher(a.port)),
                closing(new Watcher(b.port)));
        List<JsonNode> seen = new ArrayList<>();
        for (Serve each : List.of(b, a, b)) {
            RawHttp.ask(each.port, "GET", "/hello", null);
            String place = each == a ? "node a" : "node b";
            for (Watcher watcher : watchers) {
                JsonNode request = watcher.next();
                JsonNode response = watcher.next();
                assertEquals(place + ": in request GET /hello", text(request));
                assertEquals(place + ": out response 200 OK", text(response));
                assertEquals(request.get("exchange"), response.get("exchange"));
                if (watcher == watchers.getFirst()) seen.addAll(List.of(request,
                        response));
            }
        }
        for (String number : List.of("conn", "exchange")) {
            assertEquals(3,
                    seen.stream().map(row -> row.get(number).asInt()).distinct()
                            .count(),
                    number);
        }
        List<Double> times =
                seen.stream().map(row -> row.get("at").asDouble()).toList();
        assertEquals(times.stream().sorted().toList(), times);
        assertEquals(3, watchers.getLast().total("requests"));
    }

    @Test
    @DisplayName("a server started the plain way has a view of its own and is called Server")
    void plain() throws Exception {
        Serve other = serve(wire, "node a", routes(), null);
        Serve another = Serve.start(0, routes());
        toClose.add(another::stop);
        Serve plain = Serve.start(0, routes());
        toClose.add(plain::stop);
        Watcher watcher = closing(new Watcher(plain.port));
        RawHttp.ask(other.port, "GET", "/hello", null);
        RawHttp.ask(another.port, "GET", "/hello", null);
        RawHttp.ask(plain.port, "GET", "/hello", null);
        see(watcher, "Server: in request GET /hello", "Server: out response 200 OK");
        assertEquals(1, watcher.total("requests"));
    }

    @Test
    @DisplayName("of two servers in one process each has actions of its own to run when it stops")
    void stops() throws Exception {
        AtomicInteger stopped = new AtomicInteger();
        Serve a = Serve.start(0, routes().onStop(() -> stopped.addAndGet(1)),
                wire.place("node a"), null);
        Serve b = Serve.start(0, routes().onStop(() -> stopped.addAndGet(10)),
                wire.place("node b"), null);
        a.stop();
        assertEquals(1, stopped.get());
        assertEquals(200, RawHttp.ask(b.port, "GET", "/hello", null).status());
        b.stop();
        assertEquals(11, stopped.get());
    }

    /// The place's socket to a server that the test plays, which is the second one.
    private Socket[] hop(Protocol protocol) throws IOException {
        try (ServerSocket listens =
                new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            Socket near = closing(wire.place("node").socket("far", protocol));
            near.connect(listens.getLocalSocketAddress());
            Socket far = closing(listens.accept());
            for (Socket each : List.of(near, far)) each.setSoTimeout(10_000);
            return new Socket[] {near, far};
        }
    }

    private static final String COMMANDS = "*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0"
            + "\r\n$7\r\nSTREAMS\r\n$6\r\nscores\r\n$1\r\n$\r\n"
            + "PING\r\n\r\n*0\r\n*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"
            + "*2\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n*1\r\n$4\r\nQUIT\r\n";
    private static final List<String> COMMAND_ROWS = List.of(
            "command XREAD BLOCK 0 STREAMS scores $", "command PING",
            "command GET a..b", "command subscribe news", "command QUIT");
    private static final String REPLIES = "*1\r\n*2\r\n$6\r\nscores\r\n*1\r\n*2\r\n"
            + "$3\r\n1-0\r\n*2\r\n$3\r\nada\r\n$2\r\n\r\n\r\n+PONG\r\n"
            + ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n-ERR no\r\n"
            + ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n+OK\r\n"
            + ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\nbye\r\n";
    private static final List<String> REPLY_ROWS = List.of(
            "reply [[\"scores\", [[\"1-0\", [\"ada\", \"..\"]]]]]", "reply PONG",
            "push [\"message\", \"news\", \"hi\"]", "reply ERR no",
            "reply [\"subscribe\", \"news\", 1]", "reply OK",
            "push [\"message\", \"news\", \"bye\"]");

    @Test
    @DisplayName("a hop to Redis: commands, replies and pushes, cut at every byte, and nothing is changed")
    void redis() throws Exception {
        Watcher watcher = watcher();
        Socket[] ends = hop(Protocol.RESP);
        byte[] commands = bytes(COMMANDS);
        byte[] replies = bytes(REPLIES);
        for (int cut = 0; cut < Math.max(commands.length, replies.length); cut++) {
            int up = Math.min(cut, commands.length);
            ends[0].getOutputStream().write(commands, 0, up);
            ends[0].getOutputStream().write(commands, up, commands.length - up);
            assertArrayEquals(commands,
                    ends[1].getInputStream().readNBytes(commands.length));
            int down = Math.min(cut, replies.length);
            ends[1].getOutputStream().write(replies);
            InputStream in = ends[0].getInputStream();
            byte[] read = new byte[replies.length];
            assertEquals(down, in.readNBytes(read, 0, down));
            in.readNBytes(read, down, replies.length - down);
            assertArrayEquals(replies, read);
            seeRedis(watcher);
        }
        for (byte one : commands) ends[0].getOutputStream().write(one);
        ends[1].getOutputStream().write(replies);
        for (int i = 0; i < replies.length; i++) ends[0].getInputStream().read();
        seeRedis(watcher);
    }

    private static void seeRedis(Watcher watcher) throws Exception {
        List<Integer> asked = new ArrayList<>();
        long size = 0;
        for (String wanted : COMMAND_ROWS) {
            JsonNode row = watcher.next();
            assertEquals("node to far: out " + wanted, text(row));
            asked.add(row.get("exchange").asInt());
            size += row.get("size").asLong();
        }
        assertEquals(COMMANDS.length() - "\r\n*0\r\n".length(), size);
        List<Integer> answered = new ArrayList<>();
        StringBuilder all = new StringBuilder();
        for (String wanted : REPLY_ROWS) {
            JsonNode row = watcher.next();
            assertEquals("node to far: in " + wanted, text(row));
            all.append(new String(raw(row), StandardCharsets.ISO_8859_1));
            assertEquals(wanted.contains("ERR") ? 1 : 0, row.get("status").asInt());
            if (wanted.startsWith("push")) {
                assertEquals(0, row.get("exchange").asInt());
                continue;
            }
            answered.add(row.get("exchange").asInt());
            assertTrue(row.get("ms").asDouble() >= 0);
        }
        assertEquals(REPLIES, all.toString());
        assertEquals(asked, answered);
    }

    @Test
    @DisplayName("RESP: a reply of each type in one line, long ones shortened, wrong ones passed over")
    void replies() throws Exception {
        Watcher watcher = watcher();
        String[][] replies = {{"+OK\r\n", "OK"}, {"-ERR a b\r\n", "ERR a b"},
            {":-12\r\n", "-12"}, {"$2\r\nhi\r\n", "\"hi\""}, {"$0\r\n\r\n", "\"\""},
            {"$-1\r\n", "nil"}, {"*-1\r\n", "nil"}, {"*0\r\n", "[]"}, {"_\r\n", "nil"},
            {"#t\r\n", "true"}, {"#f\r\n", "false"}, {",-1.5\r\n", "-1.5"},
            {"(123456789012345678901\r\n", "123456789012345678901"},
            {"!5\r\nERR x\r\n", "ERR x"}, {"=6\r\ntxt:hi\r\n", "\"hi\""},
            {"%1\r\n+a\r\n*1\r\n:1\r\n", "{a: [1]}"}, {"~2\r\n:1\r\n:2\r\n", "[1, 2]"},
            {"|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n", "\"x\""},
            {"*3\r\n*0\r\n$-1\r\n-no\r\n", "[[], nil, no]"},
            {"$9000\r\n" + "y".repeat(9000) + "\r\n",
                "\"" + "y".repeat(40) + "...\""},
            {"*5000\r\n" + ":1\r\n".repeat(5000), "[" + "1, ".repeat(33) + "..."}};
        Conversation seen = wire.place("node").conversation(Protocol.RESP);
        for (String[] each : replies) {
            seen.read(ByteBuffer.wrap(bytes("PING\r\n")));
            seen.wrote(ByteBuffer.wrap(bytes(each[0])));
            see(watcher, "node: in command PING");
            JsonNode reply = watcher.next();
            assertEquals("node: out reply " + each[1], text(reply));
            assertEquals(each[0].length(), reply.get("size").asInt());
            assertEquals(Math.min(4096, each[0].length()), raw(reply).length);
            assertEquals(each[0].matches("(?s)[-!].*") ? 1 : 0,
                    reply.get("status").asInt());
        }
        seen.read(ByteBuffer.wrap(bytes("GET a\r\n")));
        seen.wrote(ByteBuffer.wrap(bytes("$?\r\n;4\r\nlost\r\n+OK\r\n")));
        seen.closed();
        see(watcher, "node: in command GET a", "node: end connection closed");
    }

    @Test
    @DisplayName("a hop by HTTP: the same bytes at both ends, the place being the client")
    void http() throws Exception {
        Serve far = serve(wire, "far", routes(), null);
        Watcher watcher = closing(new Watcher(far.port));
        try (Socket socket = wire.place("near").socket("far", Protocol.HTTP)) {
            socket.connect(new InetSocketAddress("127.0.0.1", far.port));
            String request = "GET /hello HTTP/1.1\r\nHost: localhost:" + far.port
                    + "\r\n\r\n";
            socket.getOutputStream().write(bytes(request));
            JsonNode sent = watcher.next();
            JsonNode got = watcher.next();
            JsonNode answered = watcher.next();
            assertEquals("near to far: out request GET /hello", text(sent));
            assertEquals("far: in request GET /hello", text(got));
            assertEquals("far: out response 200 OK", text(answered));
            assertArrayEquals(raw(sent), raw(got));
            byte[] answer = new byte[answered.get("size").asInt()];
            socket.getInputStream().readNBytes(answer, 0, answer.length);
            JsonNode heard = watcher.next();
            assertEquals("near to far: in response 200 OK", text(heard));
            assertArrayEquals(answer, raw(heard));
            assertArrayEquals(raw(answered), raw(heard));
            assertEquals(sent.get("exchange"), heard.get("exchange"));
            assertNotEquals(sent.get("exchange"), got.get("exchange"));
            assertTrue(sent.get("at").asDouble() <= got.get("at").asDouble());
        }
    }

    @Test
    @DisplayName("a hop by HTTP: an answer until the end, events, and a request that nobody answers")
    void httpEnds() throws Exception {
        Watcher watcher = watcher();
        String head = "HTTP/1.1 200 OK\r\n";
        Socket[] ends = hop(Protocol.HTTP);
        ends[0].getOutputStream().write(bytes("GET /1 HTTP/1.1\r\n\r\n"));
        ends[1].getOutputStream().write(bytes(
                "HTTP/1.1 103 Early Hints\r\n\r\n" + head + "\r\nuntil the end"));
        ends[1].close();
        ends[0].getInputStream().readAllBytes();
        see(watcher, "node to far: out request GET /1",
                "node to far: in response 200 OK");

        ends = hop(Protocol.HTTP);
        ends[0].getOutputStream().write(bytes("GET /2 HTTP/1.1\r\n\r\n"));
        ends[1].getOutputStream().write(bytes(head
                + "Content-Type: text/event-stream\r\n\r\nid: 1\r\ndata: x\r\n\r\n"));
        ends[1].close();
        ends[0].getInputStream().readAllBytes();
        see(watcher, "node to far: out request GET /2",
                "node to far: in response 200 OK");
        JsonNode event = watcher.next();
        assertEquals("node to far: in event event: message", text(event));
        assertTrue(event.get("ms").isNull(), "how old it is is not known here");
        see(watcher, "node to far: in end stream ended");

        ends = hop(Protocol.HTTP);
        ends[0].getOutputStream().write(bytes("GET /3 HTTP/1.1\r\n\r\n"));
        ends[0].close();
        see(watcher, "node to far: out request GET /3",
                "node to far: end connection closed");
        Eventually.see("only the watcher's server is open", SOON,
                () -> watcher.total("open"), open -> open == 0);
    }

    @Test
    @DisplayName("what a relay tells by hand: read-only pieces, a WebSocket, an end; unwatched it is counted only")
    void byHand() throws Exception {
        Watcher watcher = watcher();
        String request = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
        String answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        byte[] ping = {(byte) 0x89, 0};
        for (int cut = 0; cut < request.length(); cut++) {
            Conversation seen = wire.place("Cable").conversation();
            ByteBuffer all = ByteBuffer.wrap(bytes(request)).asReadOnlyBuffer();
            seen.read(all.slice(0, cut));
            seen.read(all.slice(cut, request.length() - cut));
            seen.wrote(ByteBuffer.wrap(bytes(answer)).asReadOnlyBuffer());
            seen.read(ByteBuffer.wrap(RawHttp.frame("hi")).asReadOnlyBuffer());
            seen.wrote(ByteBuffer.wrap(ping));
            seen.closed();
            seen.closed();
            see(watcher, "Cable: in request GET /chat",
                    "Cable: out response 101 Switching Protocols",
                    "Cable: in frame text", "Cable: out frame ping",
                    "Cable: end connection closed");
        }
        Wire unwatched = new Wire();
        Serve later = serve(unwatched, "later", routes(), null);
        Conversation seen = unwatched.place("Cable").conversation();
        seen.read(ByteBuffer.wrap(bytes(request)));
        Watcher late = closing(new Watcher(later.port));
        assertEquals(1, late.total("requests"));
        assertEquals(request.length(), late.total("bytesIn"));
        assertEquals(1, late.total("open"));
        seen.wrote(ByteBuffer.wrap(bytes(answer)));
        see(late, "Cable: out response 101 Switching Protocols");
        seen.closed();
    }

    @Test
    @DisplayName("TLS: rows are in plain text, all bytes arrive, and the origin must be the https one")
    void tls() throws Exception {
        SSLContext tls = Certificate.forLocalhost();
        Serve serve = serve(wire, "safe", routes(), tls);
        Watcher watcher = watcher();
        HttpClient client = HttpClient.newBuilder().sslContext(tls)
                .version(HttpClient.Version.HTTP_1_1).build();
        String origin = "https://localhost:" + serve.port;
        var large = client.send(
                HttpRequest.newBuilder(URI.create(origin + "/large")).build(),
                BodyHandlers.ofString());
        assertEquals(LARGE, large.body());
        JsonNode request = watcher.next();
        assertEquals("safe: in request GET /large", text(request));
        assertTrue(new String(raw(request)).startsWith("GET /large HTTP/1.1\r\n"));
        JsonNode response = watcher.next();
        assertEquals("safe: out response 200 OK", text(response));
        assertTrue(new String(raw(response)).contains("\r\n\r\n0123456789"));
        assertTrue(response.get("size").asInt() > LARGE.length());
        for (String from : List.of(origin, origin.replace("https", "http"))) {
            var act = HttpRequest.newBuilder(URI.create(origin + "/act"))
                    .header("Origin", from).header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString("{}")).build();
            assertEquals(from.equals(origin) ? 204 : 403,
                    client.send(act, BodyHandlers.ofString()).statusCode(), from);
        }
        see(watcher, "safe: in request POST /act", "safe: out response 204 No Content",
                "safe: in request POST /act", "safe: out response 403 Forbidden");
        Watcher secure = closing(new Watcher(client,
                origin.replace("https", "wss") + "/_/page/wire"));
        RawHttp.ask(serve(wire, "plain", routes(), null).port, "GET", "/hello", null);
        see(secure, "plain: in request GET /hello");
    }

    @Test
    @DisplayName("two processes that follow each other show each row once")
    void eachOther() throws Exception {
        Wire second = new Wire();
        Serve a = serve(wire, "node a", routes(), null);
        Serve b = serve(second, "node b", routes(), null);
        wire.follow(b.port);
        second.follow(a.port);
        Watcher watcher = closing(new Watcher(a.port));
        assertEquals(1, watcher.nextForeign().get("from").asInt());
        RawHttp.ask(b.port, "GET", "/hello", null);
        see(watcher, "node b: in request GET /hello", "node b: out response 200 OK");
        RawHttp.ask(a.port, "GET", "/hello", null);
        see(watcher, "node a: in request GET /hello", "node a: out response 200 OK");
        RawHttp.ask(b.port, "GET", "/hello", null);
        see(watcher, "node b: in request GET /hello", "node b: out response 200 OK");
        assertNull(watcher.rows.poll());
    }

    @Test
    @DisplayName("a process that is followed: its rows by the same clock, its death, and its next life")
    void process() throws Exception {
        Serve parent = serve(wire, "node a", routes(), null);
        Watcher watcher = closing(new Watcher(parent.port));
        int firstPort = 0;
        int first = 0;
        for (int life = 1; life <= 2; life++) {
            Server child = closing(Server.start(Node.launch("node b")));
            if (life == 1) firstPort = child.port;
            wire.follow(child.port);
            while (watcher.nextForeign().get("from").asInt() != life);
            JsonNode sent = ask(watcher, child);
            Map<String, JsonNode> rows = new HashMap<>();
            for (int i = 0; i < 3; i++) {
                JsonNode row = watcher.next();
                rows.put(text(row), row);
            }
            JsonNode request = rows.get("node b: in request GET /hello");
            JsonNode response = rows.get("node b: out response 200 OK");
            JsonNode heard = rows.get("near to node b: in response 200 OK");
            assertEquals(life, request.get("from").asInt());
            int exchange = request.get("exchange").asInt();
            assertEquals(life == 1 ? exchange : first, exchange);
            first = exchange;
            double[] times = {time(sent), time(request), time(response)};
            assertTrue(times[0] <= times[1] + 20 && times[1] <= times[2]
                    && times[1] <= time(heard) + 20, List.of(sent, request) + "");
            child.process.destroyForcibly().waitFor();
            JsonNode gone = nextGone(watcher);
            assertEquals(life, gone.get("from").asInt());
            assertTrue(gone.get("gone").asDouble() >= times[2] - 20);
        }
        wire.follow(firstPort);
        Watcher next = closing(new Watcher(parent.port));
        RawHttp.ask(parent.port, "GET", "/hello", null);
        see(next, "node a: in request GET /hello", "node a: out response 200 OK");
        assertNull(next.foreign.poll());
    }

    /// Asks the process by a hop, of which the first row is returned.
    private JsonNode ask(Watcher watcher, Server child) throws Exception {
        Place near = wire.place("near");
        try (Socket socket = near.socket("node b", Protocol.HTTP)) {
            socket.connect(new InetSocketAddress("127.0.0.1", child.port));
            socket.getOutputStream().write(bytes("GET /hello HTTP/1.1\r\nHost: "
                    + "localhost:" + child.port + "\r\nConnection: close\r\n\r\n"));
            JsonNode sent = watcher.next();
            assertEquals("near to node b: out request GET /hello", text(sent));
            socket.getInputStream().readAllBytes();
            return sent;
        }
    }

    private static double time(JsonNode row) {
        return row.get("time").asDouble();
    }

    private static JsonNode nextGone(Watcher watcher) throws Exception {
        while (true) {
            JsonNode batch = watcher.nextForeign();
            if (batch.has("gone")) return batch;
        }
    }

    @Test
    @DisplayName("the page: a lane for each place and peer, rows by time, and an end for a process that was killed")
    void page() throws Exception {
        try (Server a = Server.start(Node.launch("node a"));
                Server b = Server.start(Node.launch("node b"));
                Chromium chromium = Chromium.open(a)) {
            RawHttp.ask(a.port, "POST", "/follow?port=" + b.port, null);
            Eventually.see("node b is watched", SOON, () -> chromium.page.evaluate(
                    "view.sources.size"), size -> size.equals(2));
            RawHttp.ask(a.port, "GET", "/ask?port=" + b.port, null,
                    "User-Agent: curl/8");
            RawHttp held = new RawHttp(b.port);
            held.request("GET", "/wait", null, "User-Agent: curl/8");
            chromium.seeWire("^GET /wait$");
            b.process.destroyForcibly().waitFor();
            chromium.seeWire("^process ended$");
            assertEquals("Browser,Server,a client,curl,node a,node b,relay,upstream",
                    chromium.page.evaluate("wire.lanes.toSorted().join()"));
            assertEquals("upstream to node a: 200 OK", chromium.page.evaluate(
                    """
                    view.rows.filter((row) => row.peer && row.kind === "response")
                      .map((row) => row.way.join(" to ") + ": " + row.label).join()"""));
            chromium.page.evaluate(
                    """
                    for (const from of [7, 8]) receive({ from, dropped: 0, began: view.zero + from,
                      totals: {}, rows: [{ at: 1e6 - 2 * from, place: "p" + from, peer: "Redis",
                        conn: 1, exchange: 1, kind: "command", dir: "out",
                        label: "PING " + from, status: 0, size: 6,
                        ms: null, text: null, raw: btoa("PING") }] })""");
            chromium.seeWire("^PING 7$");
            List<String> rows = chromium.wire();
            assertEquals(List.of("PING 8", "PING 7"),
                    rows.subList(rows.size() - 2, rows.size()));
            assertEquals("p8>Redis,p7>Redis", chromium.page.evaluate(
                    "view.rows.slice(-2).map((row) => row.way.join('>')).join()"));
        }
    }
}
