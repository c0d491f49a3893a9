package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import shared.cable.Cable;
import tools.jackson.databind.JsonNode;

/// 08 Slow consumers: an exchange's screens. A screen stalls behind a cable that is frozen.
///
/// What is published before a request is on its way to each screen before that request asks the
/// screens, on their own threads. So the second of two answers is the last word, and nothing has to
/// be waited for.
@DisplayName("08 Slow consumers: an exchange's screens")
final class SlowConsumers extends Requirements {
    private static final int LONG_CAP = 100_000_000;
    private static final int CAP = 100_000;
    private static final int LONG_MS = 600_000;
    private static final int CUT_MS = 200;
    private static final List<Integer> WAITS_MS = List.of(1_000, 5_000);
    /// A trade's text, in bytes.
    private static final int LENGTH = 20_000;
    /// What the kernels and the cable may take before the submission's own queue grows, in bytes.
    private static final int SWALLOWED = 400_000;
    private static final int FILLED = 50_000;
    private static final String ORDER =
            "What waits goes in its order, each message once.";
    private static final String UNCOUNTED =
            "What is given to the socket at once waits there, and nobody counts it.";

    private final List<AutoCloseable> open = new ArrayList<>();
    private HttpConnection line;
    private Cable cable;
    /// Trades so far; the number stands at the beginning of each trade's text.
    private int trades;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
        if (cable != null) cable.thaw();
    }

    private void begin(int cap, int cutMs) {
        node = stage.node(Stage.A, Map.of("CAP_BYTES", "" + cap, "CUT_MS", "" + cutMs,
                "SEND_BUFFER", "16384"));
        transcript.afresh();
        transcript.act("CAP_BYTES=" + cap + " CUT_MS=" + cutMs
                + " ./jbang exercises/08_slow_consumers.java (started anew)");
        cable = stage.cable(Stage.A);
        cable.thaw();
        line = connect(null);
        open.add(line);
    }

    private WebSocketClient join(String user, String name, int port) {
        HttpConnection own = HttpConnection.open(node, port, transcript);
        open.add(own);
        WebSocketClient screen =
                WebSocketClient.join(own, name, "/screen?user=" + user, "screen.v1");
        expectScreens(user, 1, DONE_ALREADY);
        return screen;
    }

    private WebSocketClient fast(String user) {
        return join(user, user, node.port());
    }

    /// A screen whose cable is frozen from now on.
    private WebSocketClient stalled(String user) {
        WebSocketClient screen = join(user, "slow " + user, cable.port());
        freeze();
        return screen;
    }

    private void freeze() {
        cable.freeze();
        transcript.act("(the cable of the slow screen freezes)");
    }

    private void thaw() {
        cable.thaw();
        transcript.act("(it thaws)");
    }

    private static String price(String symbol, long price, int length) {
        return json("symbol", symbol, "price", price, "note", "n".repeat(length));
    }

    private static String prices(String... each) {
        return "{\"prices\":[" + String.join(",", each) + "]}";
    }

    private void publish(String... each) {
        post("/prices", prices(each)).expect(204, DONE_ALREADY);
    }

    private void trade(String user, String text) {
        post("/trades", json("user", user, "text", text)).expect(204, DONE_ALREADY);
    }

    /// One of so many requests that they are noted as one step.
    private void murmur(String path, String json) {
        line.ask("POST", path, json).expect(204, DONE_ALREADY);
    }

    private void longTrade(String user) {
        murmur("/trades", json("user", user, "text",
                trades++ + " " + "t".repeat(LENGTH)));
    }

    private static String heard(String text) {
        return json("type", "trade", "text", text);
    }

    private List<JsonNode> screens(String user) {
        line.ask("GET", "/screens", null);
        return line.ask("GET", "/screens", null).json().valueStream()
                .filter(each -> each.path("user").asString("").equals(user)).toList();
    }

    private void expectScreens(String user, int count, String likely) {
        if (screens(user).size() == count) return;
        throw get("/screens")
                .failure(count + (count == 1 ? " screen of " : " screens of ")
                        + user, -1, likely);
    }

    /// What is queued for the only screen of a user; -1 where it is not listed.
    private long queued(String user) {
        List<JsonNode> screens = screens(user);
        return screens.isEmpty() ? -1 : screens.getFirst().path("queued").asLong(-1);
    }

    private void expectQueued(String user, String expected, LongPredicate isRight,
            String likely) {
        if (isRight.test(queued(user))) return;
        Answer list = get("/screens");
        throw list.failure("\"queued\" of " + user + " is " + expected, -1, likely);
    }

    private void expectDrained(String user) {
        Stage.until(transcript.soon, () -> queued(user) == 0);
        expectQueued(user, "0", queued -> queued == 0,
                "When the socket has taken one, the next one is due.");
    }

    /// Sends trades until so much of them waits, or would have to.
    private void fill(String user, int until) {
        int first = trades;
        while ((trades - first) * LENGTH < SWALLOWED + until && queued(user) < until) {
            longTrade(user);
        }
        transcript.act("(" + (trades - first) + " trades of 20 KB for " + user + ")");
        about(1);
        expectQueued(user, "at least " + until, queued -> queued >= until, UNCOUNTED);
        about(0);
    }

    /// Of the long trades the next ones.
    private void expectTrades(WebSocketClient screen, List<JsonNode> heard, int first) {
        for (int i = 0; i < heard.size(); i++) {
            String text = heard.get(i).path("text").asString("");
            if (text.startsWith(first + i + " ")) continue;
            throw screen.failure("trade " + (first + i), text, -1, ORDER);
        }
    }

    private List<JsonNode> hearTrades(WebSocketClient screen, int count) {
        List<JsonNode> heard = new ArrayList<>();
        while (heard.size() < count) {
            heard.add(screen.hearNext(json("type", "trade"), ORDER));
        }
        return heard;
    }

    @Requirement(id = "08.1", points = 1, todo = 1)
    @DisplayName("screens that read fast hear all prices, and the trades of their own user, in order")
    void healthy() {
        begin(LONG_CAP, LONG_MS);
        WebSocketClient ada = fast("ada" + word(3));
        WebSocketClient bob = fast("bob" + word(3));
        publish(price("ACME", 1, 5), price("ACME", 2, 5), price("INIT", 3, 5));
        trade(ada.name, "buys " + number(1, 99));
        publish(price("INIT", 4, 5));
        String last = "sells " + number(1, 99);
        trade(ada.name, last);
        trade(bob.name, last);
        for (WebSocketClient each : List.of(ada, bob)) {
            long own = each.hearAll(heard(last), "Each message is sent.").stream()
                    .filter(one -> one.path("type").asString("").equals("trade"))
                    .count();
            int wanted = each == ada ? 2 : 1;
            if (own == wanted) continue;
            throw each.failure(wanted + " trades", own + " trades", -1, DONE_ALREADY);
        }
        expectDrained(ada.name);
    }

    @Requirement(id = "08.2", points = 3, todo = 1)
    @DisplayName("what a screen does not read waits in the line, is counted, and arrives in order")
    void oneAtATime() {
        begin(LONG_CAP, LONG_MS);
        String user = "ada" + word(3);
        WebSocketClient slow = stalled(user);
        fill(user, SWALLOWED);
        thaw();
        expectTrades(slow, hearTrades(slow, trades), 0);
        expectDrained(user);
    }

    private static JsonNode last(List<JsonNode> all, String symbol) {
        return all.stream()
                .filter(each -> each.path("symbol").asString("").equals(symbol))
                .reduce((one, next) -> next).orElseThrow();
    }

    @Requirement(id = "08.3", points = 3, todo = 2)
    @DisplayName("of the prices that wait a screen gets the newest of each symbol, in its first place; of its trades all")
    void latest() {
        begin(LONG_CAP, LONG_MS);
        String user = "ada" + word(3);
        WebSocketClient slow = stalled(user);
        fill(user, FILLED);
        long before = queued(user);
        List<String> symbols = List.of("A" + word(3), "B" + word(3), "C" + word(3));
        publish(price(symbols.getFirst(), 1, 1_000));
        trade(user, "first");
        for (int i = 1; i <= 100; i++) {
            murmur("/prices", prices(price(symbols.get(0), i, 1_000),
                    price(symbols.get(1), i, 1_000), price(symbols.get(2), i, 1_000)));
        }
        transcript.act("(100 prices of 1 KB of each of " + symbols + ")");
        trade(user, "last");
        expectQueued(user, "at most about " + (before + 4_000),
                queued -> queued < before + 10_000,
                "A price takes the place of an older one of its symbol.");
        thaw();
        List<JsonNode> all = slow.hearAll(heard("last"), "Trades are never replaced.");
        for (String symbol : symbols) {
            long newest = last(all, symbol).path("price").asLong();
            if (newest == 100) continue;
            throw slow.failure("the price of " + symbol + " is 100", "" + newest, -1,
                    "The newest price replaces the older one.");
        }
        List<String> order = all.stream().map(each -> each.path("symbol").asString("")
                + each.path("text").asString("")).toList();
        if (!order.contains("first")) {
            throw slow.failure(heard("first"), "it never came", -1,
                    "Trades are never replaced.");
        }
        if (order.indexOf("first") > order.lastIndexOf(symbols.getFirst())) return;
        throw slow.failure(
                "the price of " + symbols.getFirst() + " before the trade \"first\"",
                "it came after it", -1,
                "A newer price takes the older one's place in the line.");
    }

    @Requirement(id = "08.4", points = 3, todo = 3)
    @DisplayName("what waits stays within the cap, to the byte; what does not fit cuts the screen off, with 1013")
    void cap() {
        begin(CAP, LONG_MS);
        String user = "ada" + word(3);
        WebSocketClient slow = stalled(user);
        fill(user, FILLED);
        int tries = 5; // the kernel may take one more message meanwhile
        do {
            String own = trades++ + " ";
            int other = json("type", "trade", "user", user, "text", own).length();
            trade(user, own + "n".repeat((int) (CAP - queued(user) - other)));
        } while (queued(user) != CAP && queued(user) >= 0 && --tries > 0);
        expectQueued(user, CAP + ", and not one byte less", queued -> queued == CAP,
                "A message that just fits is put into the line.");
        thaw();
        int first = trades;
        expectTrades(slow, hearTrades(slow, first), 0);
        expectDrained(user);
        freeze();
        long queued = 0;
        while (queued >= 0 && (trades - first) * LENGTH < CAP + SWALLOWED) {
            longTrade(user);
            queued = queued(user);
            if (queued > CAP) break;
        }
        transcript.act("(" + (trades - first) + " trades of 20 KB for " + user + ")");
        expectQueued(user, "never more than " + CAP, most -> most <= CAP,
                "What does not fit is not put into the line.");
        thaw();
        expectTrades(slow, slow.end("1013",
                "A message that does not fit cuts the screen off."), first);
    }

    @Requirement(id = "08.5", points = 3, todo = 4)
    @DisplayName("who is cut off is gone at once, though it reads nothing, and its connection ends; the others hear everything meanwhile")
    void cut() {
        begin(CAP, CUT_MS);
        WebSocketClient quick = fast("bob" + word(3));
        for (int wait : WAITS_MS) {
            String user = "ada" + word(3);
            WebSocketClient slow = stalled(user);
            int n = 0;
            for (; n * LENGTH < CAP + SWALLOWED && !screens(user).isEmpty(); n++) {
                longTrade(user);
                murmur("/prices", prices(price("ACME", n, 5)));
            }
            transcript.act("(" + n + " trades of 20 KB for " + user
                    + ", after each a price of ACME)");
            expectScreens(user, 0,
                    "A screen that reads nothing does not hear the close.");
            for (int i = 0; i < n; i++) {
                quick.hearNext(json("type", "price", "price", i),
                        "A screen that is slow must not delay another.");
            }
            Stage.until(wait, () -> false);
            transcript.act("(" + wait + " ms later)");
            thaw();
            String how = slow.ended("A connection that nobody reads must be ended.");
            if (!how.contains("1013")) return;
            if (wait != WAITS_MS.getLast()) continue;
            throw slow.failure("its connection had ended, after " + CUT_MS + " ms", how,
                    -1,
                    "Who reads nothing would keep its connection for ever.");
        }
    }
}
