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
@DisplayName("08 Slow consumers: an exchange's screens")
final class SlowConsumers extends Requirements {
    private static final int LONG_CAP = 100_000_000;
    private static final int CAP = 100_000;
    /// What the kernels and the cable may take before the submission's own queue grows, in bytes.
    private static final int SWALLOWED = 400_000;
    private static final int KB = 1_000;
    private static final String ORDER =
            "What waits goes in its order, each message once.";

    private final List<AutoCloseable> open = new ArrayList<>();
    private Cable cable;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
        if (cable != null) cable.thaw();
    }

    private void begin(int cap) {
        node = stage.node(Stage.A,
                Map.of("CAP_BYTES", "" + cap, "SEND_BUFFER", "16384"));
        transcript.afresh();
        transcript.act("CAP_BYTES=" + cap
                + " ./jbang exercises/08_slow_consumers.java (started anew)");
        cable = stage.cable(Stage.A);
        cable.thaw();
    }

    private WebSocketClient join(String user, String name, int port) {
        HttpConnection line = HttpConnection.open(node, port, transcript);
        open.add(line);
        WebSocketClient screen = WebSocketClient.join(line, name,
                "/screen?user=" + user, "screen.v1");
        open.add(screen);
        expectListed(user, screens -> screens > 0);
        return screen;
    }

    private WebSocketClient fast(String user) {
        return join(user, user, node.port());
    }

    /// A screen whose cable is frozen from now on.
    private WebSocketClient stalled(String user) {
        WebSocketClient screen = join(user, "slow " + user, cable.port());
        cable.freeze();
        transcript.act("(the cable of the slow screen of " + user + " freezes)");
        return screen;
    }

    private void thaw() {
        cable.thaw();
        transcript.act("(the cable thaws)");
    }

    private static String price(String symbol, long price, int length) {
        return json("symbol", symbol, "price", price, "note", "n".repeat(length));
    }

    private void prices(String... each) {
        send("POST", "/prices", "{\"prices\":[" + String.join(",", each) + "]}")
                .expect(204, DONE_ALREADY);
    }

    private void trade(String user, String text) {
        post("/trades", json("user", user, "text", text)).expect(204, DONE_ALREADY);
    }

    private static String heard(String text) {
        return json("type", "trade", "text", text);
    }

    private List<JsonNode> screens(String user) {
        return connect(null).ask("GET", "/screens", null).json().valueStream()
                .filter(each -> each.path("user").asString("").equals(user)).toList();
    }

    private void expectListed(String user, LongPredicate isRight) {
        Stage.until(transcript.soon, () -> isRight.test(screens(user).size()));
        Answer list = get("/screens").expect(200, DONE_ALREADY);
        if (isRight.test(screens(user).size())) return;
        throw list.failure("the screens of " + user, -1, DONE_ALREADY);
    }

    /// What is queued for the only screen of a user.
    private long queued(String user) {
        List<JsonNode> screens = screens(user);
        return screens.isEmpty() ? -1 : screens.getFirst().path("queued").asLong(-1);
    }

    private void expectQueued(String user, String expected, LongPredicate isRight,
            String likely) {
        Stage.until(transcript.soon, () -> isRight.test(queued(user)));
        Answer list = get("/screens").expect(200, DONE_ALREADY);
        if (isRight.test(queued(user))) return;
        throw list.failure("\"queued\" of " + user + " " + expected, -1, likely);
    }

    @Requirement(id = "08.1", points = 1, todo = 1)
    @DisplayName("screens that read fast hear all prices, and the trades of their own user, in order")
    void healthy() {
        begin(LONG_CAP);
        WebSocketClient ada = fast("ada" + word(3));
        WebSocketClient bob = fast("bob" + word(3));
        prices(price("ACME", 1, 5), price("ACME", 2, 5), price("INIT", 3, 5));
        trade(ada.name, "buys " + number(1, 99));
        prices(price("INIT", 4, 5));
        String last = "sells " + number(1, 99);
        trade(ada.name, last);
        trade(bob.name, last);
        for (WebSocketClient each : List.of(ada, bob)) {
            List<JsonNode> all = each.hearAll(heard(last), "Each message is sent.");
            long trades = all.stream()
                    .filter(one -> one.path("type").asString("").equals("trade"))
                    .count();
            if (trades == (each == ada ? 2 : 1)) continue;
            throw each.failure("the trades of " + each.name + " and no others",
                    trades + " trades", -1, DONE_ALREADY);
        }
        expectQueued(ada.name, "0", queued -> queued == 0,
                "What the socket has taken does not wait any more.");
    }

    @Requirement(id = "08.2", points = 3, todo = 1)
    @DisplayName("what a screen does not read waits in the line, is counted, and arrives in order")
    void oneAtATime() {
        begin(LONG_CAP);
        WebSocketClient slow = stalled("ada" + word(3));
        String user = slow.name.substring(5);
        int sent = 0;
        int n = 0;
        for (; sent < SWALLOWED + 100 * KB; n++) {
            String text = n + " " + "t".repeat(20 * KB);
            connect(null).ask("POST", "/trades", json("user", user, "text", text))
                    .expect(204, DONE_ALREADY);
            sent += text.length();
        }
        transcript.step("(" + n + " trades of 20 KB for " + user + ")");
        int least = sent - SWALLOWED;
        expectQueued(user, "at least " + least + ", of " + sent + " bytes",
                queued -> queued >= least,
                "What is given to the socket at once waits there, and nobody counts it.");
        thaw();
        for (int i = 0; i < n; i++) {
            JsonNode next = slow.hearNext(json("type", "trade"), ORDER);
            if (next.path("text").asString("").startsWith(i + " ")) continue;
            throw slow.failure("trade " + i, next.toString().substring(0, 60), -1,
                    ORDER);
        }
        expectQueued(user, "0", queued -> queued == 0,
                "When the socket has taken one, the next one is due.");
    }

    /// Sends trades of 20 KB until some of them wait.
    ///
    /// @return how many
    private int fill(String user) {
        int n = 0;
        for (long sent = 0; sent < SWALLOWED && queued(user) < 50 * KB; n++) {
            connect(null).ask("POST", "/trades",
                    json("user", user, "text", n + " " + "t".repeat(20 * KB)))
                    .expect(204, DONE_ALREADY);
            sent += 20 * KB;
        }
        transcript.act("(" + n + " trades of 20 KB for " + user + ")");
        expectQueued(user, "at least " + 50 * KB, queued -> queued >= 50 * KB,
                "What is given to the socket at once waits there, and nobody counts it.");
        return n;
    }

    private static JsonNode last(List<JsonNode> all, String symbol) {
        return all.stream()
                .filter(each -> each.path("symbol").asString("").equals(symbol))
                .reduce((one, next) -> next).orElseThrow();
    }

    @Requirement(id = "08.3", points = 3, todo = 2)
    @DisplayName("of the prices that wait a screen gets the newest of each symbol, in its first place; of its trades all")
    void latest() {
        begin(LONG_CAP);
        WebSocketClient slow = stalled("ada" + word(3));
        String user = slow.name.substring(5);
        fill(user);
        long before = queued(user);
        List<String> symbols = List.of("A" + word(3), "B" + word(3), "C" + word(3));
        prices(price(symbols.getFirst(), 1, KB));
        trade(user, "first");
        for (int i = 1; i <= 100; i++) {
            prices(price(symbols.get(0), i, KB), price(symbols.get(1), i, KB),
                    price(symbols.get(2), i, KB));
        }
        trade(user, "last");
        expectQueued(user,
                "about " + (before + 4 * KB) + ", as each price replaces one",
                queued -> queued < before + 10 * KB,
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
        if (order.indexOf("first") > order.lastIndexOf(symbols.getFirst())) return;
        throw slow.failure(
                "the price of " + symbols.getFirst() + " before the trade `first`",
                "after it", -1,
                "A newer price takes the older one's place in the line.");
    }

    @Requirement(id = "08.4", points = 3, todo = 3)
    @DisplayName("what waits stays within the cap, to the byte; what does not fit cuts the screen off")
    void cap() {
        begin(CAP);
        WebSocketClient slow = stalled("ada" + word(3));
        String user = slow.name.substring(5);
        fill(user);
        long rest = CAP - queued(user);
        int empty = json("type", "trade", "user", user, "text", "").length();
        String text = "n".repeat((int) (rest - empty) % 2)
                + "\u00fc".repeat((int) (rest - empty) / 2);
        trade(user, text);
        expectQueued(user, "" + CAP, queued -> queued == CAP,
                "What fits exactly is put into the line. Bytes count, not characters.");
        thaw();
        expectNoHole(slow, slow.hearAll(heard(text), ORDER), 1);
        cable.freeze();
        transcript.act("(it freezes again)");
        for (int n = 0; n < 2 * SWALLOWED / (20 * KB); n++) {
            trade(user, n + " " + "t".repeat(20 * KB));
            long queued = queued(user);
            if (queued > CAP) {
                throw get("/screens").failure("never more than " + CAP, -1,
                        "What does not fit is not put into the line.");
            }
        }
        thaw();
        expectNoHole(slow,
                slow.end("1013", "A message that does not fit cuts the screen off."),
                0);
    }

    private static void expectNoHole(WebSocketClient screen, List<JsonNode> trades,
            int others) {
        for (int i = 0; i < trades.size() - others; i++) {
            String text = trades.get(i).path("text").asString("");
            if (text.startsWith(i + " ")) continue;
            throw screen.failure("trade " + i, text, -1, ORDER);
        }
    }

    @Requirement(id = "08.5", points = 3, todo = 4)
    @DisplayName("who is cut off is gone at once, though it reads nothing; the others hear everything meanwhile")
    void cut() {
        begin(CAP);
        String user = "ada" + word(3);
        WebSocketClient quick = fast("bob" + word(3));
        WebSocketClient slow = stalled(user);
        int n = 0;
        for (; n < 2 * SWALLOWED / (20 * KB) && !screens(user).isEmpty(); n++) {
            connect(null).ask("POST", "/trades",
                    json("user", user, "text", n + " " + "t".repeat(20 * KB)))
                    .expect(204, DONE_ALREADY);
            prices(price("ACME", n, 5));
        }
        transcript.act("(up to " + 2 * SWALLOWED / (20 * KB) + " trades of 20 KB for "
                + user + ")");
        expectListed(user, screens -> screens == 0);
        for (int i = 0; i < n; i++) {
            quick.hearNext(json("type", "price", "price", i),
                    "A screen that is slow must not delay another.");
        }
        thaw();
        slow.line.close();
        expectListed(quick.name, screens -> screens == 1);
    }
}
