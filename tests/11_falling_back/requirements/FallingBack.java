package requirements;

import grader.client.Failure;
import grader.requirement.Requirements;
import grader.requirement.SideBySide;
import grader.stage.Patience;
import grader.stage.Stage;
import grader.stage.Upstream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/// 11 Falling back: a shop's till. The supplier is the grader, and so is the network before it.
///
/// Each requirement starts the program anew, as nobody knows which transports it has tried. What
/// must be done at once is checked under a `PAUSE_MS` that is never over, and so on.
@SideBySide
abstract sealed class FallingBack extends Requirements
        permits FallingBackDown, FallingBackRestarts, FallingBackUp, FallingBackSales {
    static final int LONG_MS = 600_000;
    static final int PAUSE_MS = 100;
    /// What the supplier is asked for, as the learner reads it.
    static final String UPGRADE = "an upgrade";
    static final String STREAM = "an event stream";
    static final String POLL = "a poll";
    static final String WAIT = "a poll that may wait";
    static final String FIRST = "The till begins with the best transport.";
    private static final String GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    private static final int TEXT = 1;
    private static final int PING = 9;
    private static final int PONG_BYTES = 6;

    Upstream supplier;
    /// The prices that were sent, and the number of the last one.
    final Map<String, Integer> prices = new TreeMap<>();
    final List<String> sent = new ArrayList<>();
    /// When the grader did that to which the next request is the answer.
    long actedAt;
    /// Whether it failed as a process does that was not given a processor in time.
    boolean late;

    /// Starts the program anew, and takes its first request, for an upgrade.
    Upstream.Call begin(int firstMs, int stableMs, int climbMs, int pauseMs) {
        stage.end("upstream");
        supplier = stage.upstream();
        prices.clear();
        sent.clear();
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("FIRST_MS", "" + firstMs);
        settings.put("STABLE_MS", "" + stableMs);
        settings.put("CLIMB_MS", "" + climbMs);
        settings.put("PAUSE_MS", "" + pauseMs);
        settings.put("POLL_MS", "" + LONG_MS);
        settings.put("UPSTREAM", "http://127.0.0.1:" + supplier.port() + "/wire/feed");
        node = stage.start(Stage.A, settings);
        transcript.afresh();
        Map<String, String> shown = new LinkedHashMap<>(settings);
        shown.put("UPSTREAM", "http://localhost:4000/wire/feed");
        transcript.act(shown.entrySet().stream().map(Object::toString)
                .collect(Collectors.joining(" "))
                + " ./jbang exercises/11_falling_back.java");
        acts();
        get("/till").expect(200, DONE_ALREADY);
        return expectAsked(UPGRADE, FIRST);
    }

    /// Checks with times of so many milliseconds. Where the grader or the program may have been
    /// late, it checks again with longer ones.
    void inTime(int idleMs, IntConsumer check) {
        int ms = Math.min(Patience.ms(idleMs), 4 * idleMs);
        for (int more = 2; true; more--, ms *= 2) {
            late = true; // until the program has come in time with its first request
            try {
                check.accept(ms);
                return;
            } catch (Failure failure) {
                if (more == 0 || !late) throw failure;
            }
        }
    }

    private void acts() { actedAt = System.nanoTime(); }

    void note(String what) { transcript.act("(" + what + ")"); }

    private static String asked(Upstream.Call call) {
        if (call.headers.containsKey("upgrade")) return UPGRADE;
        if (call.headers.getOrDefault("accept", "").contains("text/event-stream")) {
            return STREAM;
        }
        return call.headers.getOrDefault("prefer", "").contains("wait=") ? WAIT : POLL;
    }

    private static String told(Upstream.Call call) {
        return call.method + " " + call.path + (call.method.equals("POST")
                ? ", Idempotency-Key: " + call.headers.get("idempotency-key")
                : ": " + asked(call));
    }

    /// Waits for the next request at the supplier, which must be this one.
    Upstream.Call expect(String expected, String likely) {
        Upstream.Call next = supplier.next(transcript.soon);
        if (next == null) {
            throw transcript.failure(expected + " at the supplier",
                    "nothing " + transcript.within(), -1, likely);
        }
        String got = told(next);
        if (!got.equals(expected)) {
            throw transcript.failure(expected + " at the supplier", got,
                    Failure.difference(expected, got), likely);
        }
        note("the supplier gets " + got);
        return next;
    }

    /// The next request must ask for the feed, after the last price, by this transport.
    Upstream.Call expectAsked(String what, String likely) {
        return expect("GET /wire/feed?after=" + sent.size() + ": " + what, likely);
    }

    /// A lower bound, from the grader's own act.
    void expectAfter(int ms, long since, Upstream.Call call, String what,
            String likely) {
        long took = (call.at - since) / 1_000_000;
        if (took >= ms) return;
        throw transcript.failure("at least " + ms + " ms " + what, took + " ms", -1,
                likely);
    }

    void answer(Upstream.Call call, int status) {
        note("it answers " + status);
        acts();
        call.answer(status, "");
    }

    /// Answers 101 or 200, which says nothing yet.
    void accept(Upstream.Call call) {
        if (asked(call).equals(UPGRADE)) {
            note("it answers 101");
            call.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    + "Connection: Upgrade\r\nSec-WebSocket-Accept: "
                    + proof(call.headers.get("sec-websocket-key"))
                    + "\r\nSec-WebSocket-Protocol: feed.v1\r\n\r\n");
        } else {
            note("it answers 200");
            call.begin(200, "Content-Type", asked(call).equals(STREAM)
                    ? "text/event-stream" : "application/json");
        }
    }

    private static String proof(String key) {
        try {
            return Base64.getEncoder().encodeToString(MessageDigest.getInstance("SHA-1")
                    .digest((key + GUID).getBytes(StandardCharsets.US_ASCII)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /// Sends a message by an upgrade or a stream that was accepted.
    void say(Upstream.Call call, String json) {
        note("it sends " + json);
        if (asked(call).equals(UPGRADE)) frame(call, TEXT, json);
        else call.write("data: " + json + "\n\n");
    }

    private static void frame(Upstream.Call call, int code, String text) {
        byte[] payload = text.getBytes(StandardCharsets.UTF_8);
        ByteBuffer frame = ByteBuffer.allocate(payload.length + 4)
                .put((byte) (0x80 | code));
        if (payload.length < 126) frame.put((byte) payload.length);
        else frame.put((byte) 126).putShort((short) payload.length);
        frame.put(payload).flip();
        byte[] bytes = new byte[frame.remaining()];
        frame.get(bytes);
        call.write(bytes);
    }

    /// Returns when the till has got all that was sent by this upgrade.
    void pong(Upstream.Call call) {
        frame(call, PING, "");
        if (call.says(PONG_BYTES, transcript.soon)) return;
        throw transcript.failure("the WebSocket stays open", "it was left", -1,
                "After its hello it is the one that prices come by.");
    }

    private static String helloFor(Upstream.Call call) {
        return json("type", "hello", "n",
                Integer.parseInt(call.path.replaceFirst(".*=", "")));
    }

    /// Says hello, and prices at the same instant, by whatever transport; an upgrade takes none.
    void hello(Upstream.Call call, String... prices) {
        acts();
        List<String> all = new ArrayList<>(List.of(helloFor(call)));
        all.addAll(List.of(prices));
        if (asked(call).equals(UPGRADE)) {
            say(call, helloFor(call));
        } else if (asked(call).equals(STREAM)) {
            note("it sends " + String.join(" and ", all));
            call.write("data: " + String.join("\n\ndata: ", all) + "\n\n");
        } else {
            note("it answers 200 with " + all);
            call.answer(200, all.toString(), "Content-Type", "application/json");
        }
    }

    /// The next price, of this item.
    String price(String item) {
        int cents = 100 + number(1, 40) + 50 * sent.size(); // never the same twice
        prices.put(item, cents);
        sent.add(json("type", "price", "n", sent.size() + 1, "item", item, "cents",
                cents));
        return sent.getLast();
    }

    void end(Upstream.Call call) {
        note("it ends the connection");
        acts();
        call.end();
    }

    /// Waits until the till has left a connection, whatever it sends before.
    boolean isLeft(Upstream.Call call, int ms) {
        long ends = System.nanoTime() + ms * 1_000_000L;
        for (long left = ms; left > 0; left = (ends - System.nanoTime()) / 1_000_000) {
            if (call.isLeft((int) left)) return true;
        }
        return false;
    }

    void expectLeft(Upstream.Call call, String likely) {
        if (isLeft(call, transcript.soon)) return;
        throw transcript.failure("the till leaves " + asked(call),
                "still open " + transcript.within(), -1, likely);
    }

    void expectStays(Upstream.Call call, int ms, String likely) {
        if (!isLeft(call, ms)) return;
        throw transcript.failure("the till stays with " + asked(call),
                "it was left", -1, likely);
    }

    void expectTransport(String transport, String likely) {
        expectSoon("/till", "\"transport\":\"" + transport + "\"",
                till -> till.path("transport").asString("").equals(transport), likely);
    }

    private boolean isRight(JsonNode till) {
        return till.path("n").asInt(-1) == sent.size()
                && till.path("prices").size() == prices.size()
                && prices.entrySet().stream().allMatch(each -> till.path("prices")
                        .path(each.getKey()).asInt(-1) == each.getValue());
    }

    private String right() {
        return "\"n\":" + sent.size() + " and the prices " + json(prices.entrySet()
                .stream().flatMap(each -> Stream.of(
                        each.getKey(), each.getValue()))
                .toArray());
    }

    /// Expects the prices that were sent to be there soon.
    void expectPrices(String likely) {
        expectSoon("/till", right(), this::isRight, likely);
    }

    /// Expects them to be there now.
    void expectPricesNow(String likely) {
        var till = get("/till");
        if (!isRight(till.json())) throw till.failure(right(), -1, likely);
    }
}
