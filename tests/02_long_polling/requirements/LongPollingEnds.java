package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import grader.stage.Stage;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// How a wait ends without news: at its deadline, or when the client leaves.
final class LongPollingEnds extends LongPolling {
    /// What counts where `timeout` is missing, and what counts at most, in milliseconds.
    private static final int USUAL = 25_000;
    private static final int MOST = 60_000;
    /// A deadline may be a little off; on a busy machine an answer comes later, but not so late.
    private static final int OFF_MS = 20;
    private static final int LATE_MS = 20_000;
    private static final String SENSELESS =
            "`timeout` must be one whole number. Http.queryInteger sees to it.";

    @Requirement(id = "02.5", points = 2, todo = 4)
    @DisplayName("a request is held no longer than its client waits, then answered with 204")
    void deadline() {
        String order = place();
        int ms = number(220, 300);
        AsyncClient client = connection();
        long began = System.nanoTime();
        poll(client, order, 1, "&timeout=" + ms);
        boolean shows = showsDeadline(ms, began, client);
        Answer answer = client.get("After " + ms + " ms the client waits no more. Does"
                + " `timeout` count in milliseconds?");
        double took = (System.nanoTime() - began) / 1e6;
        expectNothing(answer, "The deadline is no error, and brought no news.");
        if (took < ms - OFF_MS || took > LATE_MS) {
            throw answer.failure("an answer when " + ms + " ms have passed", 0,
                    "It came after " + Math.round(took) + " ms. Is `timeout` read?");
        }
        awaitLeft(0, "At the deadline, take the request out of `waiters`.");
        expectNothing(poll(client, order, 1, "&timeout=0").get(
                "With timeout=0 the client does not wait at all."), "Nothing is new.");
        awaitLeft(0, "With timeout=0 nothing is held.");
        expectNews(poll(client, order, 0, "&timeout=0").get(
                "With timeout=0 the client does not wait at all."), 1,
                List.of("placed"));
        for (String bad : List.of("-1", "-" + number(2, 9999), word(3), "", "1.5",
                "1" + "0".repeat(number(18, 30)),
                number(1, 99) + "s", ms + "&timeout=" + ms)) {
            for (int since = 0; since < 2; since++) {
                poll(client, order, since, "&timeout=" + bad)
                        .get("`timeout` makes no sense here, so do not hold the request.")
                        .expect(400, SENSELESS);
            }
        }
        awaitLeft(0, "Who has been answered waits no more.");
        String finished = place();
        add(finished, "delivered");
        poll(client, finished, number(1, 3), "&timeout=" + word(2))
                .get("The order is finished, so do not hold the request.")
                .expect(400,
                        "`timeout` must be a number, news or not, finished or not.");
        int version = 1;
        List<String> steps = anySteps();
        for (long timeout : new long[] {USUAL, number(1, 9) * (1L << 32), MOST + 1,
            number(40_000, MOST)}) {
            began = System.nanoTime();
            poll(client, order, version,
                    timeout == USUAL ? "" : "&timeout=" + timeout);
            awaitHeld(1, List.of(client));
            if (shows) showsDeadline(Math.min(timeout, MOST), began, client);
            String step = steps.get(version % 3); // not the one before
            added(order, step, ++version);
            expectNews(client.get(ASLEEP), version, List.of(step));
        }
        awaitLeft(0, "Who has been answered waits no more.");
    }

    /// Waits until the program has set the deadline of a request, or answers it: one that sets
    /// it by other means than `holdFor` does not show it.
    ///
    /// @param began when the request was sent
    /// @return whether it shows; then it is right
    private boolean showsDeadline(long ms, long began, AsyncClient client) {
        Long[] told = new Long[1];
        Stage.until(transcript.soon, () -> (told[0] = stage.told("deadline")) != null
                || client.isThere());
        if (told[0] == null) return false;
        long passed = (System.nanoTime() - began) / 1_000_000;
        if (told[0] <= ms + OFF_MS && told[0] >= ms - passed - OFF_MS) return true;
        throw transcript.failure("holdFor(" + ms + ", ...)",
                "holdFor(" + told[0] + ", ...)", -1,
                "A request is held for `timeout`, which is in milliseconds, " + USUAL
                        + " where it is missing, and " + MOST + " at most.");
    }

    @Requirement(id = "02.6", points = 1, todo = 4)
    @DisplayName("a client that leaves is let go at once, and only this one")
    void gone() {
        String order = place();
        List<String> steps = anySteps();
        AsyncClient leaves = poll(order, 1, LONG);
        awaitHeld(1, List.of(leaves));
        added(order, steps.get(0), 2);
        expectNews(leaves.get(ASLEEP), 2, steps.subList(0, 1));
        AsyncClient stays = poll(order, 2, LONG);
        poll(leaves, order, 2, LONG); // the second that is held on this connection
        AsyncClient crashes = poll(order, 2, LONG);
        awaitHeld(3, List.of(stays, leaves, crashes));
        transcript.step("(then the last two clients close their connections)");
        leaves.close();
        crashes.reset();
        if (!isLeft(1)) {
            Answer late = connection().look(order + "?since=2&timeout=1")
                    .get("After 1 ms the client waits no more.");
            if (late.status() == 501) late.expect(204, ""); // TODO 4 is open
        }
        awaitLeft(1, "Nobody reads that answer any more, and yet the request is held."
                + " Http.onGone tells when a client has left; take out this waiter, and no other.");
        added(order, steps.get(1), 3);
        expectNews(stays.get(ASLEEP), 3, steps.subList(1, 2));
        awaitLeft(0, "Who has been answered waits no more.");
    }
}
