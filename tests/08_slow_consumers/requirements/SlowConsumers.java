package requirements;

import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirements;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import shared.cable.Cable;
import tools.jackson.databind.JsonNode;

/// 08 Slow consumers: an exchange's screens. A screen stalls behind a cable.
///
/// What is published before a request is on its way to each screen before that request asks the
/// screens, on their own threads. So the second of two answers is the last word, and only what the
/// other end does has to be waited for.
abstract sealed class SlowConsumers extends Requirements
        permits SlowConsumersLine, SlowConsumersCap {
    static final int LONG_MS = 600_000;
    /// A long trade's text, in bytes.
    static final int LENGTH = 20_000;
    /// What the kernels and the cable may take before the submission's own queue grows, in bytes.
    static final int SWALLOWED = 400_000;
    static final int FILLED = 30_000;
    static final String ORDER = "What waits goes in its order, each message once.";

    private final List<AutoCloseable> open = new ArrayList<>();
    private HttpConnection line;
    Cable cable;
    /// Trades so far; the number stands at the beginning of each trade's text.
    int trades;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
        if (cable == null) return;
        cable.thaw();
        cable.throttle(0);
    }

    void begin(int cap, int cutMs) {
        begin(cap, cutMs, 16_384);
    }

    void begin(int cap, int cutMs, int sendBuffer) {
        node = stage.node(Stage.A, Map.of("CAP_BYTES", "" + cap, "CUT_MS", "" + cutMs,
                "SEND_BUFFER", "" + sendBuffer));
        transcript.afresh();
        transcript.act("CAP_BYTES=" + cap + " CUT_MS=" + cutMs + " SEND_BUFFER="
                + sendBuffer
                + " ./jbang exercises/08_slow_consumers.java (started anew)");
        cable = stage.cable(Stage.A);
        line = connect(null);
        open.add(line);
    }

    private WebSocketClient join(String user, String name, int port) {
        HttpConnection own = HttpConnection.open(node, port, transcript);
        open.add(own);
        int before = screens(user).size();
        WebSocketClient screen =
                WebSocketClient.join(own, name, "/screen?user=" + user, "screen.v1");
        Stage.until(transcript.soon, () -> screens(user).size() > before);
        expectScreens(user, before + 1, DONE_ALREADY);
        return screen;
    }

    WebSocketClient fast(String user) {
        return join(user, user, node.port());
    }

    /// By the cable.
    WebSocketClient slow(String user) {
        return join(user, "slow " + user, cable.port());
    }

    /// By the cable, which is frozen from now on.
    WebSocketClient stalled(String user) {
        WebSocketClient screen = slow(user);
        cable.freeze();
        transcript.act("(the cable of the slow screen freezes)");
        return screen;
    }

    void thaw() {
        cable.thaw();
        transcript.act("(it thaws)");
    }

    void throttle(int bytesPerSecond) {
        cable.throttle(bytesPerSecond);
        transcript.act("(the cable of the slow screen passes "
                + (bytesPerSecond == 0 ? "all" : bytesPerSecond + " bytes a second")
                + ")");
    }

    static String price(String symbol, long price, int length) {
        return json("symbol", symbol, "price", price, "note", "n".repeat(length));
    }

    static String prices(String... each) {
        return "{\"prices\":[" + String.join(",", each) + "]}";
    }

    void publish(String... each) {
        post("/prices", prices(each)).expect(204, DONE_ALREADY);
    }

    void trade(String user, String text) {
        post("/trades", json("user", user, "text", text)).expect(204, DONE_ALREADY);
    }

    /// One of so many requests that they are noted as one step.
    void murmur(String path, String json) {
        line.ask("POST", path, json).expect(204, DONE_ALREADY);
    }

    void longTrade(String user, int length) {
        murmur("/trades", json("user", user, "text",
                trades++ + " " + "t".repeat(length)));
    }

    static List<JsonNode> trades(List<JsonNode> heard) {
        return heard.stream()
                .filter(each -> each.path("type").asString("").equals("trade"))
                .toList();
    }

    static String heard(String text) {
        return json("type", "trade", "text", text);
    }

    List<JsonNode> screens(String user) {
        line.ask("GET", "/screens", null);
        return line.ask("GET", "/screens", null).json().valueStream()
                .filter(each -> each.path("user").asString("").equals(user)).toList();
    }

    void expectScreens(String user, int count, String likely) {
        if (screens(user).size() == count) return;
        throw get("/screens").failure(
                count + (count == 1 ? " screen of " : " screens of ") + user, -1,
                likely);
    }

    /// What is queued for the slowest screen of a user; -1 where none is listed.
    long queued(String user) {
        return screens(user).stream().mapToLong(each -> each.path("queued").asLong(-1))
                .max().orElse(-1);
    }

    /// @param isRight whether what was just asked for is
    void expectQueued(String user, String expected, boolean isRight, String likely) {
        if (isRight) return;
        transcript.curl("GET", "/screens", null);
        throw transcript.failure("\"queued\" of " + user + " is " + expected,
                "it is " + queued(user), -1, likely);
    }

    void expectDrained(String user) {
        expectQueued(user, "0", Stage.until(transcript.soon, () -> queued(user) == 0),
                "When the socket has taken one, the next one is due.");
    }

    /// Sends trades until so much of them waits, or would have to.
    void fill(String user, int until) {
        int first = trades;
        while ((trades - first) * LENGTH < SWALLOWED + until && queued(user) < until) {
            longTrade(user, LENGTH);
        }
        transcript.act("(trades of 20 KB for " + user + ", until " + until
                + " bytes wait)");
        about(1);
        expectQueued(user, "at least " + until, queued(user) >= until,
                "What is given to the socket at once waits there, and nobody counts it.");
        about(0);
    }

    /// The numbered trades, from this one on.
    static void expectTrades(WebSocketClient screen, List<JsonNode> heard, int first) {
        for (int i = 0; i < heard.size(); i++) {
            String text = heard.get(i).path("text").asString("");
            if (text.startsWith(first + i + " ")) continue;
            throw screen.failure("trade " + (first + i), heard.get(i).toString(), -1,
                    ORDER);
        }
    }

    static List<JsonNode> hearTrades(WebSocketClient screen, int count) {
        List<JsonNode> heard = new ArrayList<>();
        while (heard.size() < count) {
            heard.add(screen.hearUnnoted(json("type", "trade"), ORDER));
        }
        return heard;
    }
}
