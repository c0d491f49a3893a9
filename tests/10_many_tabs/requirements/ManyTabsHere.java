package requirements;

import grader.client.Failure;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.stage.Patience;
import grader.stage.Stage;
import org.junit.jupiter.api.DisplayName;

/// Who is here, with many tabs and over a reload.
@DisplayName("10 Many tabs: a shared document")
final class ManyTabsHere extends ManyTabs {
    private static final int SHORT_MS = 500;
    private static final int MOST_MS = 2_000;
    private static final int RELOADS = 20;
    private static final String ONE_PERSON =
            "Tabs come and go, and the person is here all the time: only her first tab tells"
                    + " `here`, only her last one `gone`.";
    private static final String NEXT_ABSENCE =
            "Each absence has all of `GRACE_MS`. A timer of an earlier one must not end it.";

    /// The longest time in which someone was away who came back, in nanoseconds.
    private long away;

    @Requirement(id = "10.1", points = 1, todo = 1)
    @DisplayName("a person with one tab is here, edits, and is gone")
    void healthy() {
        begin(1);
        String ada = "ada" + word(3);
        WebSocketClient tab = open(ada);
        hears("here", ada, "Who comes is told to all.");
        expectTabs(ada, 1, "Who comes is one of `here`.");
        edits(tab, DONE_ALREADY);
        goes(tab, false, -1);
        hears("gone", ada, "Who goes is told to all.");
        expectTabs(ada, -1, "Who is gone is none of `here`.");
        nothingElse("She came once, and went once.");
    }

    @Requirement(id = "10.2", points = 3, todo = 1)
    @DisplayName("a person with three tabs is here once, and gone once, when the last of them is")
    void onePerson() {
        begin(1);
        String ada = "ada" + word(3);
        WebSocketClient first = open(ada);
        hears("here", ada, "Who comes is told to all.");
        WebSocketClient second = open(ada);
        nothingElse(ONE_PERSON);
        WebSocketClient third = open(ada);
        edits(third, ONE_PERSON);
        expectTabs(ada, 3, "She is here, once, and these are all her tabs.");
        goes(first, false, 2);
        settled();
        expectTabs(ada, 2, "Two of her tabs are still open.");
        edits(third, ONE_PERSON);
        nothingElse(ONE_PERSON);
        goes(third, true, 1);
        settled();
        expectTabs(ada, 1, "One of her tabs is still open.");
        edits(second, ONE_PERSON);
        WebSocketClient other = open("cat" + word(3));
        hears("here", other.name, "Another name is another person.");
        goes(second, false, -1);
        hears("gone", ada, "Her last tab has gone.");
        expectTabs(ada, -1, "Who is gone is none of `here`.");
        expectTabs(other.name, 1, "Another name is another person.");
        nothingElse("She is gone once.");
        open(ada);
        hears("here", ada, "Who comes again after that is here again.");
        nothingElse(ONE_PERSON);
    }

    /// What waits for a millisecond's grace has happened.
    private void settled() {
        Stage.until(transcript.soon, () -> timers() <= 0);
    }

    @Requirement(id = "10.3", points = 3, todo = 2)
    @DisplayName("a reload tells nothing; gone is told GRACE_MS after the last tab, whatever was before; no timer is left")
    void reloads() {
        int grace = Math.min(Patience.ms(SHORT_MS), MOST_MS);
        for (int more = 2; true; more--, grace *= 2) {
            away = 0;
            try {
                begin(grace);
                staleTimers(grace);
                break;
            } catch (Failure failure) {
                if (more == 0 || away < grace * 1_000_000L) throw failure;
            }
            if (away < grace * 1_000_000L || more == 0) break; // else it was due
        }
        noTimerLeft();
    }

    private void staleTimers(int grace) {
        String ada = "ada" + word(3);
        String cat = "cat" + word(3);
        String dan = "dan" + word(3);
        WebSocketClient one = open(ada);
        hears("here", ada, DONE_ALREADY);
        long left = System.nanoTime();
        goes(one, true, 0);
        WebSocketClient two = open(ada);
        away(left);
        transcript.act("(a reload)");
        nothingElse(AWAY);
        WebSocketClient other = open(cat);
        hears("here", cat, DONE_ALREADY);
        long catLeft = System.nanoTime();
        goes(other, false, 0);
        hears("gone", cat,
                "She has a tab again, so the timer of her reload has nothing to"
                        + " tell. Who left after it is the next who is gone.");
        expectAfter(catLeft, grace, cat);
        expectTabs(ada, 1, "She has come back.");

        WebSocketClient dans = open(dan);
        hears("here", dan, DONE_ALREADY);
        left = System.nanoTime();
        goes(two, false, 0);
        WebSocketClient three = open(ada);
        goes(dans, true, 0);
        transcript.act("(" + ada + " has reloaded, and " + dan + " has left)");
        Stage.until(grace / 4, () -> false);
        long leftAgain = System.nanoTime();
        goes(three, false, 0);
        away(left);
        hears("gone", dan, NEXT_ABSENCE);
        hears("gone", ada, "Her last tab has gone, and did not come back.");
        expectAfter(leftAgain, grace, ada);
        nothingElse("Each is gone once.");
        expectTabs(ada, -1, "Who is gone is none of `here`.");
        expectTimers(0, "Nobody is away any more.");
    }

    private void away(long left) {
        away = Math.max(away, System.nanoTime() - left);
    }

    private void expectAfter(long left, int grace, String person) {
        long ms = (System.nanoTime() - left) / 1_000_000;
        if (ms >= grace - 2) return; // a clock may be a little early
        throw bob.failure("no `gone` of " + person + " before " + grace + " ms",
                "`gone` after " + ms + " ms", -1, NEXT_ABSENCE);
    }

    /// With a grace so long that nobody is gone.
    private void noTimerLeft() {
        begin(LONG_MS);
        int timers = timers();
        String ada = "ada" + word(3);
        WebSocketClient tab = open(ada);
        hears("here", ada, DONE_ALREADY);
        WebSocketClient second = open(ada);
        goes(second, false, 1);
        expectTimers(timers, "She still has a tab, so nobody waits for her.");
        goes(tab, false, 0);
        expectTabs(ada, 0, AWAY);
        for (int i = 0; i < RELOADS; i++) {
            WebSocketClient again = open(ada);
            if (i + 1 < RELOADS) goes(again, i % 2 == 0, 0);
        }
        transcript.act("(" + RELOADS + " times)");
        expectTabs(ada, 1, AWAY);
        expectTimers(timers, "She is back: cancel the timer that waits for her.");
        nothingElse(AWAY);
    }
}
