package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;
import tools.jackson.databind.JsonNode;

/// What is a bid, and which bids stand.
final class WebsocketBids extends Websocket {
    /// How many bids come at once.
    private static final int BURST = 30;

    @Requirement(id = "03.4", points = 2, todo = 3)
    @DisplayName("what is not a bid gets an error, its sender stays, and nobody else hears it")
    void rubbish() {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5));
        begin(ada, bob);
        int amount = number(1, 9_999);
        for (String text : List.of(word(6), "", "{\"type\":\"bid\",\"amount\":",
                "[" + bid(amount) + "]", bid(amount) + word(3), "\"bid\"", "" + amount,
                "null",
                json("amount", amount), json("type", word(3), "amount", amount),
                json("type", "BID", "amount", amount),
                json("type", "", "amount", amount),
                json("type", amount, "amount", amount), json("type", "bid"),
                json("type", "bid", "amount", null),
                json("type", "bid", "amount", "" + amount),
                json("type", "bid", "amount", true),
                "{\"type\":\"bid\",\"amount\":" + amount + ".00000000000000000001}",
                json("type", "bid", "amount", amount + 0.5), bid(0), bid(-amount),
                bid(100_000_000), bid(100_000_000 + amount),
                "{\"type\":\"bid\",\"amount\":1e99}",
                "{\"type\":\"bid\",\"amount\":1e99999999999}")) {
            ada.say(text);
            String likely =
                    "This is no bid. A Problem that you throw becomes the error; its sender stays.";
            JsonNode error = ada.hear(ERROR, likely);
            if (error.path("reason").asString("").isBlank()) {
                throw ada.failure("{\"type\":\"error\",\"reason\":\"...\"}", "" + error,
                        -1, "The reason must say something.");
            }
        }
        String lot = begin();
        ada.hear(lot, "One error for each text, and then ada is still connected.");
        bob.hear(lot, "What concerns one of them is not told to the others.");
        ada.say("{\"type\":\"bid\",\"amount\":" + amount + ".0}");
        String last = bid(++amount);
        ada.say(json("note", word(3), "type", "bid", "amount", amount));
        until(() -> ada.hasHeard(ERROR) || ada.hasHeard(last));
        for (JsonNode error : ofType("error", ada.heard())) {
            String reason = error.path("reason").asString("");
            if (Graded.todoIn(reason) > 0) return; // it is not asked here
            throw ada.failure("two bids, which are right", ada.name + " < " + error, -1,
                    "1.0 is 1, as JSON has one number type; and other members do not matter.");
        }
    }

    @Requirement(id = "03.5", points = 2, todo = 4)
    @DisplayName("a higher bid is told to all, the bidder too; of any other one only its sender hears, that it is outbid")
    void bids() {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(oddly(word(5)));
        WebSocketClient last = join(word(6));
        WebSocketClient[] all = {ada, bob, join(bob.name), last}; // an outbid is not for a namesake
        String title = "lot " + word(6);
        begin(title, all);
        int amount = number(2_000, 9_000);
        long id = stands(ada, amount, bid(amount), -1, all);
        begin(title, all); // another lot of the same title
        amount = number(100, 900);
        id = stands(ada, amount, bid(amount), id, all);
        for (int low : new int[] {number(1, amount - 1), amount}) {
            bob.say(bid(low));
            bob.hear(outbid(amount, ada.name), "Only a bid that is higher stands."
                    + " Any other gets the highest bid, and whose it is.");
        }
        ada.say(bid(amount));
        ada.hear(outbid(amount, ada.name), "Only a bid that is higher stands.");
        amount++;
        id = stands(ada, amount, bid(amount), id, all);
        amount++;
        id = stands(bob, amount, bid(amount), id, all);
        int highest = amount + BURST;
        for (int next = amount + 1; next <= highest; next++) bob.say(bid(next));
        while (amount < highest) id = heard(bob, ++amount, id, all);
        stands(last, 99_999_999, bid(99_999_999), id, all);
        String lot =
                json("type", "lot", "highest", 99_999_999, "bidder", last.name);
        join(word(8)).hearAll(lot,
                "Who comes hears the highest bid. Is it on the board?");
        last.close();
        until(() -> ada.hasHeard(presence("left", last.name)));
        join(word(8)).hearAll(lot, "Who goes is forgotten, but the bid stands.");
    }

    /// Says a bid, which stands.
    private long stands(WebSocketClient bidder, int amount, String text, long before,
            WebSocketClient... all) {
        bidder.say(text);
        return heard(bidder, amount, before, all);
    }

    /// All must hear this bid next, under one id that is higher than the one before.
    private static long heard(WebSocketClient bidder, int amount, long before,
            WebSocketClient... all) {
        long id = before;
        List<WebSocketClient> listeners = new ArrayList<>(List.of(all));
        listeners.remove(bidder);
        listeners.addFirst(bidder); // who may be told why it does not stand
        for (WebSocketClient each : listeners) {
            JsonNode heard = each.hear(bid(amount, bidder.name), each == bidder
                    ? "The bid is higher than any of this lot, and its bidder hears that it stands."
                    : "All hear a bid that stands, and nothing of one that does not.");
            JsonNode found = heard.path("id");
            boolean right = found.isNumber()
                    && found.doubleValue() == Math.rint(found.doubleValue())
                    && (id == before ? found.asLong() > id : found.asLong() == id);
            if (!right) {
                throw each.failure(id == before ? "an \"id\" that is higher than " + id
                        : "the same \"id\" for all, " + id, "" + heard, -1,
                        "One counter numbers all bids that stand, over all lots.");
            }
            id = found.asLong();
        }
        return id;
    }
}
