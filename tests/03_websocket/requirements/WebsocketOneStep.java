package requirements;

import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Meeting.Second;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;
import tools.jackson.databind.JsonNode;

/// Bids at the same instant, and lots that begin just then.
final class WebsocketOneStep extends Websocket {
    /// How often at most a thread is held where it reads the board.
    private static final int READS = 4;

    @Requirement(id = "03.6", points = 3, todo = 4)
    @DisplayName("of two equal bids at the same instant one stands, and all hear bids in the order in which they rise")
    void oneStep() {
        WebSocketClient ada = join(word(4));
        WebSocketClient bob = join(word(5), connect(ada.line));
        WebSocketClient eve = join(word(6));
        begin(ada, bob, eve);
        await(true, ada, bob, eve); // the leaving of others might get held
        equalMeanwhile(ada, bob, eve);
        higherMeanwhile(ada, bob, eve);
        lowerMeanwhile(ada, bob, eve);
        lotMeanwhile(ada, bob, eve);
        if (!isOutbid(ada, bob)) return; // 03.5, and not what is asked here
        outbidAtOnce(ada, bob);
        eachTime(READS, nth -> outbidMeanwhile(nth, ada, bob));
        eachTime(STEPS, nth -> equalAtStep(nth, ada, bob, eve));
    }

    /// Holds a bid before the nth step of the learner's code, and an equal one when it has looked
    /// at the board. Then the first goes on, and then the second.
    ///
    /// @return false where there are not so many steps
    private boolean equalAtStep(int nth, WebSocketClient ada, WebSocketClient bob,
            WebSocketClient eve) {
        transcript.afresh();
        begin(ada, bob, eve);
        int amount = number(1_000, 9_000);
        transcript.step("(the next two at the same instant)");
        HttpConnection beside = connect(bob.line); // on the thread of ada
        Meeting meeting = meetingAt(Graded.STEP, nth, beside);
        beside.ask("HEAD", "/_/ready", null);
        ada.say(bid(amount));
        boolean isHeld = meeting.first(() -> knows(ada));
        bob.say(bid(amount));
        meeting.secondAt("read", () -> knows(bob), () -> knows(ada));
        until(() -> knows(ada) && knows(bob));
        expectOne(amount, eve);
        return isHeld;
    }

    private void expectOne(int amount, WebSocketClient eve) {
        List<JsonNode> heard = bidsUntil(amount + 1, eve);
        if (heard.size() == 1) return;
        throw eve.failure("one bid of " + amount, shown(heard), -1,
                "Both have looked at the board before either changed it." + ONE_STEP);
    }

    private void equalMeanwhile(WebSocketClient ada, WebSocketClient bob,
            WebSocketClient eve) {
        int amount = number(1_000, 9_000);
        meet("read", ada, amount, bob, amount);
        expectOne(amount, eve);
    }

    private void higherMeanwhile(WebSocketClient ada, WebSocketClient bob,
            WebSocketClient eve) {
        transcript.afresh();
        begin(ada, bob, eve);
        int low = number(1_000, 9_000);
        int high = low + number(10, 90);
        meet("tell", ada, low, bob, high);
        List<JsonNode> heard = bidsUntil(high + 1, eve);
        if (heard.size() == 2 && heard.getFirst().path("amount").asInt() == low) return;
        throw eve.failure("bids of " + low + " and " + high, shown(heard), -1,
                "A bid was decided before another one, and told after it." + ONE_STEP);
    }

    private void lowerMeanwhile(WebSocketClient ada, WebSocketClient bob,
            WebSocketClient eve) {
        transcript.afresh();
        begin(ada, bob, eve);
        int low = number(1_000, 9_000);
        int high = low + number(10, 90);
        meet("read", ada, high, bob, low);
        List<JsonNode> heard = bidsUntil(high + 1, eve);
        String likely = "A lower bid came while a higher one was decided";
        for (String member : List.of("amount", "id")) {
            List<Long> told =
                    heard.stream().map(each -> each.path(member).asLong()).toList();
            if (!told.stream().sorted().distinct().toList().equals(told)) {
                throw eve.failure("each \"" + member + "\" higher than the one before",
                        shown(heard), -1, likely + "." + ONE_STEP);
            }
        }
        if (!heard.isEmpty() && heard.getLast().path("amount").asInt() == high) return;
        throw eve.failure("a bid of " + high, shown(heard), -1,
                likely + ", which stands all the same." + ONE_STEP);
    }

    private void outbidAtOnce(WebSocketClient ada, WebSocketClient bob) {
        transcript.afresh();
        begin(ada, bob);
        int amount = number(1_000, 9_000);
        meet("read", ada, amount, bob, amount);
        boolean adaWon = ada.hasHeard(bid(amount, ada.name));
        expectOutbid(adaWon ? bob : ada, amount, adaWon ? ada : bob,
                "The bid was compared with one bid, and answered with another.");
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
        transcript.afresh();
        begin(loser, winner);
        winner.say(bid(high));
        loser.hear(bid(high, winner.name), "This bid is the first of its lot.");
    }

    /// Holds a bidder's thread when it has looked at the board, and begins a lot.
    private void lotMeanwhile(WebSocketClient ada, WebSocketClient... others) {
        transcript.afresh();
        begin(ada, others[0], others[1]);
        HttpConnection clerk = connect(ada.line);
        String title = "lot " + word(7);
        int amount = number(1_000, 9_000);
        Meeting meeting = meeting(1, "read");
        ada.say(bid(amount));
        meeting.first(() -> ada.hasHeard(bid(amount, ada.name)));
        beginMeanwhile(title, clerk, meeting);
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
        HttpConnection clerk = connect(loser.line);
        int low = number(1, high);
        Meeting meeting = meeting(nth, "read");
        loser.say(bid(low));
        boolean isHeld = meeting.first(() -> knows(loser));
        beginMeanwhile("lot " + word(7), clerk, meeting);
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
        Meeting meeting = meeting(1, place);
        one.say(bid(first));
        meeting.first(() -> one.hasHeard(bid(first, one.name)));
        other.say(bid(second));
        other.ping();
        Second met = meeting.second(() -> other.hasPonged(A_MOMENT));
        if (met == Second.HELD) until(() -> knows(other));
        meeting.letGo();
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
}
