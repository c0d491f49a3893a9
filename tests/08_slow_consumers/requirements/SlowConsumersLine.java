package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// What waits, and in which order it goes.
final class SlowConsumersLine extends SlowConsumers {
    private static final int LONG_CAP = 100_000_000;
    private static final int PACE = 400_000;

    @Requirement(id = "08.1", points = 1, todo = 1)
    @DisplayName("screens that read fast hear the newest prices, and all trades of their own user")
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
            List<JsonNode> all = each.hearAll(heard(last), "Each message is sent.");
            about(2);
            expectNewest(each, all, "ACME", 2);
            expectNewest(each, all, "INIT", 4);
            about(0);
            int own = trades(all).size();
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
        fill(user, SWALLOWED + PACE);
        throttle(PACE);
        thaw();
        List<JsonNode> heard = new ArrayList<>(hearTrades(slow, 6));
        long queued = queued(user);
        heard.addAll(hearTrades(slow, slow.heard().size()));
        int least = (trades - heard.size()) * LENGTH - SWALLOWED;
        transcript.act("(it hears the first of them)");
        expectQueued(user, "what it has not heard, but for " + SWALLOWED
                + " bytes at most that are on their way", queued >= least,
                "One is given when the socket has taken the last, and not all that wait.");
        for (int i = 0; i < 3; i++) longTrade(user, LENGTH);
        transcript.act("(3 more)");
        throttle(0);
        heard.addAll(hearTrades(slow, trades - heard.size()));
        expectTrades(slow, heard, 0);
        expectDrained(user);
    }

    private static void expectNewest(WebSocketClient screen, List<JsonNode> all,
            String symbol, long price) {
        long newest = all.stream()
                .filter(each -> each.path("symbol").asString("").equals(symbol))
                .mapToLong(each -> each.path("price").asLong(0))
                .reduce(0, (one, next) -> next);
        if (newest == price) return;
        throw screen.failure("the last price of " + symbol + " is " + price,
                "" + newest,
                -1, "The newest price of each symbol is heard.");
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
        publish(price(symbols.getFirst(), 1, 5));
        trade(user, "first");
        for (int i = 1; i <= 100; i++) {
            murmur("/prices", prices(price(symbols.get(0), i, 1_000),
                    price(symbols.get(1), i, 1_000), price(symbols.get(2), i, 1_000)));
        }
        transcript.act("(100 prices of 1 KB of each of " + symbols + ")");
        trade(user, "last");
        expectQueued(user, "what it was, and at most 10000 more",
                queued(user) < before + 10_000,
                "A price takes the place of an older one of its symbol.");
        thaw();
        List<JsonNode> all = slow.hearAll(heard("last"), "Trades are never replaced.");
        for (String symbol : symbols) expectNewest(slow, all, symbol, 100);
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
}
