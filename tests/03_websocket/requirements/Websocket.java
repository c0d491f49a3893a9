package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.stage.Pauses;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

@DisplayName("03 WebSocket: a live auction")
class Websocket extends Requirements {
    private static final String PATH = "/auction?name=";
    private static final String PROTOCOL = "auction.v1";
    private static final String HAMMER = "%F0%9F%94%A8";
    /// Two code points, which readers take for one character.
    private static final String ACCENTED = "e%CC%81";
    private static final String ERROR = json("type", "error");
    private static final String ONE_STEP =
            " Hold one lock from the look at the board until all is told.";
    /// How long we wait for what a right program may also do without, in milliseconds.
    private static final int A_WHILE = 2_000;
    /// What we leave to a program that does not decide where it reads.
    private static final int A_MOMENT = 200;
    /// How many bids come at once.
    private static final int BURST = 30;
    /// How often at most a thread is held where it reads the board.
    private static final int READS = 4;

    private final List<AutoCloseable> open = new ArrayList<>();

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
    }

    private HttpConnection line(HttpConnection other) {
        HttpConnection line = HttpConnection.open(node, transcript, other);
        open.add(line);
        return line;
    }

    private WebSocketClient join(String name, HttpConnection line) {
        WebSocketClient peer = WebSocketClient.join(line, name, PATH + name, PROTOCOL,
                "joined", "left");
        open.add(peer);
        return peer;
    }

    private WebSocketClient join(String name) {
        return join(name, line(null));
    }

    /// Begins a new lot: nothing of an old one matters any more, and all who are here hear it.
    ///
    /// @return what they hear
    private String begin() {
        return begin("lot " + word(6));
    }

    private String begin(String title) {
        post("/lots", json("title", title)).expect(204, "This part was done already.");
        return lot(title, 0, null);
    }

    /// Begins a new lot and waits until all of these know it.
    private void begin(WebSocketClient... peers) {
        begin("lot " + word(6), peers);
    }

    private void begin(String title, WebSocketClient... peers) {
        await(false, peers);
        String lot = begin(title);
        for (WebSocketClient each : peers) each.hearAll(lot,
                "A new lot is told to all.");
    }

    private static String lot(String title, int highest, String bidder) {
        return json("type", "lot", "title", title, "highest", highest, "bidder",
                bidder);
    }

    private static String bid(int amount) {
        return json("type", "bid", "amount", amount);
    }

    private static String bid(int amount, String bidder) {
        return json("type", "bid", "amount", amount, "bidder", bidder);
    }

    private static String outbid(int highest, String bidder) {
        return json("type", "outbid", "highest", highest, "bidder", bidder);
    }

    private static String presence(String type, String name) {
        return json("type", type, "name", name);
    }

    private static List<String> names(Answer answer) {
        return answer.json().path("bidders").valueStream().map(JsonNode::asString)
                .toList();
    }

    @Requirement(id = "03.1", points = 1, todo = 1)
    @DisplayName("the handshake upgrades a name of 1 to 40 characters, and answers 400 to any other")
    void handshake() {
        String likely = "One code point is one character, however many bytes it takes.";
        for (String name : List.of(word(1), word(40), HAMMER.repeat(number(21, 40)),
                ACCENTED.repeat(20), "%20")) {
            knock(name).expect(101, "This name has 1 to 40 characters. " + likely)
                    .expectHeader("Sec-WebSocket-Protocol", PROTOCOL,
                            "This part was done already.");
        }
        String twice = word(5);
        for (String name : List.of("", word(41), twice + "&name=" + twice,
                HAMMER.repeat(41),
                ACCENTED.repeat(20) + "e", word(4) + "&name=" + word(4))) {
            knock(name).expect(400,
                    "The name must be given once and have 1 to 40 characters. "
                            + likely);
        }
        Answer answer = knock("/auction", line(null));
        answer.expect(400, "A handshake without a name is refused.");
    }

    private Answer knock(String name) {
        return knock(PATH + name, line(null));
    }

    private Answer knock(String path, HttpConnection line) {
        transcript.curl("GET", path, null, WebSocketClient.upgrade(PROTOCOL));
        return line.ask("GET", path, null, WebSocketClient.upgrade(PROTOCOL));
    }

    @Requirement(id = "03.2", points = 3, todo = 2)
    @DisplayName("who comes first hears the lot as it stands, misses nothing from then on, and is told to all")
    void coming() {
        String first = begin();
        String ada = word(5);
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
        Answer here = get("/bidders").expect(200, "This part was done already.");
        if (!names(here).containsAll(List.of(ada, bob))) {
            throw here.failure("\"bidders\" with " + ada + " and " + bob, -1,
                    "Who comes is to be added.");
        }
        newLotMeanwhile(second);
        bidMeanwhile();
        beforeJoined(false);
        beforeJoined(true);
    }

    /// Holds a newcomer's thread that tells of it, and lets a bid come, or somebody go.
    private void beforeJoined(boolean goes) {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5), line(ada.line));
        begin(ada, bob);
        int amount = number(1_000, 9_000);
        String name = word(9);
        pauses().hold("tell");
        transcript.step("(the next two at the same instant)");
        WebSocketClient eve = join(name, line(ada.line));
        Pauses.Held held = arrival(() -> eve.hasHeard(presence("joined", name)));
        String told = goes ? presence("left", ada.name) : bid(amount, ada.name);
        if (goes) {
            ada.leave();
        } else {
            ada.say(bid(amount));
            ada.ping();
        }
        BooleanSupplier isTold = () -> bob.hasHeard(told);
        letMeet(held, goes ? isTold : () -> ada.hasPonged(A_MOMENT),
                () -> until(isTold));
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
        HttpConnection door = line(ada.line);
        pauses().hold("tell");
        transcript.step("(the next two at the same instant)");
        ada.say(bid(amount));
        Pauses.Held held = arrival(() -> ada.hasHeard(bid));
        String name = word(8);
        WebSocketClient eve = join(name, door);
        letMeet(held, () -> eve.hasHeard(presence("joined", name)), () -> {});
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

    private static List<JsonNode> ofType(String type, List<JsonNode> messages) {
        return messages.stream()
                .filter(each -> each.path("type").asString("").equals(type)).toList();
    }

    /// Holds a newcomer's thread when it has looked at the board, and begins a lot.
    private void newLotMeanwhile(String second) {
        HttpConnection clerk = line(null);
        String name = word(7);
        String title = "lot " + word(7);
        pauses().hold("read");
        transcript.step("(the next two at the same instant)");
        WebSocketClient eve = join(name, line(clerk));
        Pauses.Held held = arrival(() -> eve.hasHeard(second));
        beginMeanwhile(title, clerk, held);
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
        Answer answer = get("/bidders").expect(200, "This part was done already.");
        if (names(answer).stream().filter(name::equals).count() == count) return;
        String wanted =
                count == 0 ? "without " + name
                        : "with " + name + ", " + count + " times";
        throw answer.failure("\"bidders\" " + wanted, -1,
                "Who goes is to be removed, and nobody else: two may have the same name.");
    }

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
    }

    @Requirement(id = "03.5", points = 2, todo = 4)
    @DisplayName("a higher bid is told to all, the bidder too; of any other one only its sender hears, that it is outbid")
    void bids() {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5));
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
        id = stands(bob, amount, "{\"note\":\"" + word(3) + "\",\"amount\":" + amount
                + ".0,\"type\":\"bid\"}", id, all);
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
        for (WebSocketClient each : all) {
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

    @Requirement(id = "03.6", points = 3, todo = 4)
    @DisplayName("of two equal bids at the same instant one stands, and all hear bids in the order in which they rise")
    void oneStep() {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5), line(ada.line));
        WebSocketClient eve = join(word(6));
        begin(ada, bob, eve);
        await(true, ada, bob, eve); // the leaving of others might get held
        int amount = number(1_000, 9_000);
        meet("read", ada, amount, bob, amount);
        List<JsonNode> heard = bidsUntil(amount + 1, eve);
        if (heard.size() != 1) {
            throw eve.failure("one bid of " + amount, shown(heard), -1,
                    "Both have looked at the board before either changed it."
                            + ONE_STEP);
        }
        begin(ada, bob, eve);
        int low = number(1_000, 9_000);
        int high = low + number(10, 90);
        meet("tell", ada, low, bob, high);
        heard = bidsUntil(high + 1, eve);
        if (heard.size() != 2 || heard.getFirst().path("amount").asInt() != low) {
            throw eve.failure("bids of " + low + " and " + high,
                    shown(heard), -1,
                    "A bid was decided before another one, and told after it."
                            + ONE_STEP);
        }
        begin(ada, bob, eve);
        meet("read", ada, high, bob, low);
        heard = bidsUntil(high + 1, eve);
        for (String member : List.of("amount", "id")) {
            List<Long> told =
                    heard.stream().map(each -> each.path(member).asLong()).toList();
            if (!told.stream().sorted().distinct().toList().equals(told)) {
                throw eve.failure("each \"" + member + "\" higher than the one before",
                        shown(heard), -1,
                        "A lower bid came while a higher one was decided." + ONE_STEP);
            }
        }
        if (heard.getLast().path("amount").asInt() != high) {
            throw eve.failure("a bid of " + high, shown(heard), -1,
                    "A lower bid came while a higher one was decided, which stands all the same."
                            + ONE_STEP);
        }
        lotMeanwhile(ada, bob, eve);
        if (!isOutbid(ada, bob)) return; // 03.5, and not what is asked here
        begin(ada, bob);
        meet("read", ada, amount, bob, amount);
        boolean adaWon = ada.hasHeard(bid(amount, ada.name));
        expectOutbid(adaWon ? bob : ada, amount, adaWon ? ada : bob,
                "The bid was compared with one bid, and answered with another.");
        for (int nth = 1; nth <= READS && outbidMeanwhile(nth, ada, bob); nth++);
    }

    /// Is a bid that is too low answered at all?
    private boolean isOutbid(WebSocketClient loser, WebSocketClient winner) {
        begin(loser, winner, 2);
        loser.say(bid(1));
        String wanted = outbid(2, winner.name);
        until(() -> loser.hasHeard(wanted));
        return loser.hasHeard(wanted);
    }

    /// Begins a new lot, for which one of the two bids.
    private void begin(WebSocketClient loser, WebSocketClient winner, int high) {
        begin(loser, winner);
        winner.say(bid(high));
        loser.hear(bid(high, winner.name), "This bid is the first of its lot.");
    }

    /// Begins a lot while a thread is held, and lets both go on.
    private void beginMeanwhile(String title, HttpConnection clerk, Pauses.Held held) {
        transcript.curl("POST", "/lots", json("title", title), "Content-Type",
                "application/json");
        clerk.send("POST", "/lots", json("title", title));
        letMeet(held, clerk::isAnswered, () -> {});
        clerk.answer().expect(204, "This part was done already.");
    }

    /// Holds a bidder's thread when it has looked at the board, and begins a lot.
    private void lotMeanwhile(WebSocketClient ada, WebSocketClient... others) {
        begin(ada, others[0], others[1]);
        HttpConnection clerk = line(ada.line);
        String title = "lot " + word(7);
        int amount = number(1_000, 9_000);
        pauses().hold("read");
        transcript.step("(the next two at the same instant)");
        ada.say(bid(amount));
        Pauses.Held held = arrival(() -> ada.hasHeard(bid(amount, ada.name)));
        beginMeanwhile(title, clerk, held);
        until(() -> knows(ada));
        join(word(8)).hearNext(json("type", "lot", "title", title),
                "This lot began while a bid was decided. Who comes now must hear of it."
                        + ONE_STEP);
    }

    /// Holds the thread of a bid that is too low where it reads the board for the nth time, and
    /// begins a lot.
    ///
    /// @return false where it does not read so often
    private boolean outbidMeanwhile(int nth, WebSocketClient loser,
            WebSocketClient winner) {
        int high = number(1_000, 9_000);
        begin(loser, winner, high);
        HttpConnection clerk = line(loser.line);
        int low = number(1, high);
        pauses().hold("read", nth);
        transcript.step("(the next two at the same instant)");
        loser.say(bid(low));
        Pauses.Held held = arrival(() -> knows(loser));
        boolean isHeld = held != null;
        beginMeanwhile("lot " + word(7), clerk, held);
        until(() -> knows(loser));
        if (loser.hasHeard(bid(low, loser.name))) return isHeld; // it is of the new lot
        expectOutbid(loser, high, winner,
                "The bid was compared with one lot, and answered from another.");
        return isHeld;
    }

    private static void expectOutbid(WebSocketClient loser, int highest,
            WebSocketClient winner,
            String likely) {
        JsonNode answer = loser.hearAll(json("type", "outbid"),
                "A bid that does not stand is outbid.").getLast();
        if (answer.path("highest").asInt() == highest
                && answer.path("bidder").asString("").equals(winner.name)) return;
        throw loser.failure(outbid(highest, winner.name), loser.name + " < " + answer,
                -1, likely + ONE_STEP);
    }

    /// Lets one bid, holds its thread at `place`, and lets the other bid meanwhile.
    private void meet(String place, WebSocketClient one, int first,
            WebSocketClient other, int second) {
        pauses().hold(place);
        transcript.step("(the next two at the same instant)");
        one.say(bid(first));
        Pauses.Held held = arrival(() -> one.hasHeard(bid(first, one.name)));
        other.say(bid(second));
        other.ping();
        letMeet(held, () -> other.hasPonged(A_MOMENT), () -> until(() -> knows(other)));
        until(() -> knows(one) && knows(other));
    }

    private static boolean knows(WebSocketClient bidder) {
        return bidder.hasHeard(json("type", "bid", "bidder", bidder.name))
                || bidder.hasHeard(json("type", "outbid"));
    }

    /// What this one hears of bids before its own one of `amount`.
    private List<JsonNode> bidsUntil(int amount, WebSocketClient peer) {
        peer.say(bid(amount));
        List<JsonNode> heard = peer.hearAll(bid(amount, peer.name),
                "This bid is higher than all before.");
        return ofType("bid", heard.subList(0, heard.size() - 1));
    }

    private static String shown(List<JsonNode> messages) {
        return messages.stream().map(JsonNode::toString)
                .collect(Collectors.joining("\n"));
    }

    /// Waits until these peers are here, each of those with the same name, too.
    ///
    /// @param alone whether to wait until nobody else is
    private void await(boolean alone, WebSocketClient... peers) {
        HttpConnection line = line(null);
        until(() -> {
            List<String> others =
                    new ArrayList<>(names(line.ask("GET", "/bidders", null)));
            boolean here =
                    Arrays.stream(peers).allMatch(each -> others.remove(each.name));
            return here && (!alone || others.isEmpty());
        });
    }

    /// Waits for what only a wrong program does not bring about; whether it did shows later.
    private static void until(BooleanSupplier done) {
        long ends = System.nanoTime() + A_WHILE * 1_000_000L;
        while (!done.getAsBoolean() && System.nanoTime() < ends) {
            LockSupport.parkNanos(200_000);
        }
    }

    /// Waits until a thread is held, or is done without having come by.
    private Pauses.Held arrival(BooleanSupplier done) {
        var held = new AtomicReference<Pauses.Held>();
        until(() -> {
            held.set(pauses().next(1));
            return held.get() != null || done.getAsBoolean();
        });
        return held.get();
    }

    /// Waits until another thread waits for a lock of the held one, or is held as well, or is done,
    /// and lets all go on: the second one before the first.
    ///
    /// @param between what the second one leads to
    private void letMeet(Pauses.Held first, BooleanSupplier done, Runnable between) {
        Pauses.Held second = first == null ? null
                : arrival(() -> done.getAsBoolean() || first.blocksAnother(1));
        pauses().reset();
        if (second != null) {
            second.close();
            between.run();
        }
        if (first != null) first.close();
    }
}
