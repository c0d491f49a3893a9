package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Meeting.Second;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;
import tools.jackson.databind.JsonNode;

/// Who comes and goes: the handshake, what a newcomer hears, and what the others hear.
final class WebsocketPeople extends Websocket {
    private static final String HAMMER = "%F0%9F%94%A8";
    /// Two code points, which readers take for one character.
    private static final String ACCENTED = "e%CC%81";

    @Requirement(id = "03.1", points = 1, todo = 1)
    @DisplayName("the handshake upgrades a name of 1 to 40 characters, and answers 400 to any other")
    void handshake() {
        String likely = "One code point is one character, however many bytes it takes.";
        for (String name : List.of(word(1), word(40), HAMMER.repeat(number(21, 40)),
                ACCENTED.repeat(20), "%20")) {
            knock(name).expect(101, "This name has 1 to 40 characters. " + likely)
                    .expectHeader("Sec-WebSocket-Protocol", PROTOCOL, DONE_ALREADY);
        }
        String twice = word(5);
        for (String name : List.of("", word(41), twice + "&name=" + twice,
                HAMMER.repeat(41),
                ACCENTED.repeat(20) + "e", word(4) + "&name=" + word(4))) {
            knock(name).expect(400,
                    "The name must be given once and have 1 to 40 characters. "
                            + likely);
        }
        Answer answer = knock("/auction", connect(null));
        answer.expect(400, "A handshake without a name is refused.");
    }

    private Answer knock(String name) {
        return knock(PATH + name, connect(null));
    }

    private Answer knock(String path, HttpConnection line) {
        transcript.curl("GET", path, null, WebSocketClient.upgrade(PROTOCOL));
        return line.ask("GET", path, null, WebSocketClient.upgrade(PROTOCOL));
    }

    @Requirement(id = "03.2", points = 3, todo = 2)
    @DisplayName("who comes first hears the lot as it stands, misses nothing from then on, and is told to all")
    void coming() {
        String first = begin(oddly(word(6)));
        String ada = oddly(word(5));
        String bob = word(6);
        WebSocketClient one = join(ada);
        one.hearNext(first, "Who comes must hear the lot before all else.");
        one.hearNext(presence("joined", ada),
                "Who comes hears all that is told to all, its own `joined` first.");
        WebSocketClient two = join(bob);
        two.hearNext(first, "Who comes must hear the lot before all else.");
        two.hearNext(presence("joined", bob),
                "Who comes hears all that is told to all, its own `joined` first.");
        one.hear(presence("joined", bob), "Everybody hears who comes.");
        String second = begin();
        one.hear(second, "A new lot is told to all who were added.");
        two.hear(second, "A new lot is told to all who were added.");
        Answer here = get("/bidders").expect(200, DONE_ALREADY);
        if (!names(here).containsAll(List.of(ada, bob))) {
            throw here.failure("\"bidders\" with " + ada + " and " + bob, -1,
                    "Who comes is to be added.");
        }
        newLotMeanwhile(second);
        beforeJoined(true);
        if (!canBid()) return; // that is not asked here
        bidMeanwhile();
        beforeJoined(false);
    }

    /// Whether the TODOs that a bid needs are done.
    private boolean canBid() {
        WebSocketClient ada = join(word(4));
        begin(ada);
        int amount = number(1_000, 9_000);
        ada.say(bid(amount));
        until(() -> ada.hasHeard(ERROR) || ada.hasHeard(bid(amount, ada.name)));
        return ofType("error", ada.heard()).stream()
                .noneMatch(each -> Graded.todoIn(each.path("reason").asString("")) > 0);
    }

    /// Holds a newcomer's thread that tells of it, and lets a bid come, or somebody go.
    private void beforeJoined(boolean goes) {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5), connect(ada.line));
        begin(ada, bob);
        int amount = number(1_000, 9_000);
        String name = word(9);
        Meeting meeting = meeting(1, "tell");
        WebSocketClient eve = join(name, connect(ada.line));
        meeting.first(() -> eve.hasHeard(presence("joined", name)));
        String told = goes ? presence("left", ada.name) : bid(amount, ada.name);
        if (goes) {
            ada.leave();
        } else {
            ada.say(bid(amount));
            ada.ping();
        }
        BooleanSupplier isTold = () -> bob.hasHeard(told);
        Second second =
                meeting.second(goes ? isTold : () -> ada.hasPonged(A_MOMENT));
        if (second == Second.HELD) until(isTold);
        meeting.letGo();
        eve.hearNext(json("type", "lot"),
                "Who comes must hear the lot before all else.");
        eve.hearNext(presence("joined", name),
                "Something was told to all just when " + name + " came." + ONE_STEP);
    }

    /// Holds a thread that tells of a bid, and lets somebody come.
    private void bidMeanwhile() {
        WebSocketClient ada = join(word(4));
        begin(ada);
        int amount = number(1_000, 9_000);
        String bid = bid(amount, ada.name);
        HttpConnection door = connect(ada.line);
        Meeting meeting = meeting(1, "tell");
        ada.say(bid(amount));
        meeting.first(() -> ada.hasHeard(bid));
        String name = word(8);
        WebSocketClient eve = join(name, door);
        meeting.second(() -> eve.hasHeard(presence("joined", name)));
        meeting.letGo();
        JsonNode lot = eve.hearNext(json("type", "lot"),
                "Who comes must hear the lot before all else.");
        eve.hearNext(presence("joined", name),
                "Who comes hears all that is told to all, its own `joined` first.");
        long wanted = lot.path("highest").asInt() == amount ? 0 : 1;
        until(() -> ada.hasHeard(bid));
        List<JsonNode> heard = eve.hearAll(begin(), "A new lot is told to all.");
        List<JsonNode> bids = ofType("bid", heard);
        if (bids.size() == wanted) return;
        throw eve.failure(wanted == 0 ? "no bid, as " + lot + " has it"
                : "the bid that is not in " + lot,
                bids.isEmpty() ? "no bid" : shown(bids), -1,
                "A bid stood just when " + name + " came." + ONE_STEP);
    }

    /// Holds a newcomer's thread when it has looked at the board, and begins a lot.
    private void newLotMeanwhile(String second) {
        HttpConnection clerk = connect(null);
        String name = word(7);
        String title = "lot " + word(7);
        Meeting meeting = meeting(1, "read");
        WebSocketClient eve = join(name, connect(clerk));
        meeting.first(() -> eve.hasHeard(second));
        beginMeanwhile(title, clerk, meeting);
        String last = begin();
        List<String> heard =
                ofType("lot", eve.hearAll(last, "A new lot is told to all.")).stream()
                        .map(each -> each.path("title").asString("")).toList();
        int from = heard.indexOf(title);
        if (from < 0 || heard.subList(from + 1, heard.size()).size() != 1) {
            throw eve.failure("the lots as they began, '" + title + "' among them",
                    "lots in this order: " + heard, -1,
                    "'" + title + "' began just when " + name
                            + " had been answered with the lot before, and got lost."
                            + ONE_STEP);
        }
    }

    @Requirement(id = "03.3", points = 2, todo = 2)
    @DisplayName("who goes, by a close frame or a reset, is forgotten, and the others hear it")
    void going() {
        String bob = word(5);
        String cy = word(6);
        String dan = word(7);
        WebSocketClient ada = join(word(4));
        WebSocketClient[] others = {join(bob), join(cy), join(dan), join(dan)};
        begin(ada, others[0], others[1], others[2], others[3]);
        others[0].leave();
        ada.hear(presence("left", bob), "Everybody hears who has gone.");
        isHere(bob, 0);
        others[1].reset();
        ada.hear(presence("left", cy),
                "A reset brings no close frame, but onClose is called all the same.");
        isHere(cy, 0);
        isHere(dan, 2);
        others[2].leave();
        ada.hear(presence("left", dan),
                "Everybody hears who has gone, also where another of that name stays.");
        isHere(dan, 1);
        begin(ada, others[3]);
    }

    private void isHere(String name, int count) {
        Answer answer = get("/bidders").expect(200, DONE_ALREADY);
        if (names(answer).stream().filter(name::equals).count() == count) return;
        String wanted =
                count == 0 ? "without " + name
                        : "with " + name + ", " + count + " times";
        throw answer.failure("\"bidders\" " + wanted, -1,
                "Who goes is to be removed, and nobody else: two may have the same name.");
    }
}
