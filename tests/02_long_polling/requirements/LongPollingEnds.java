package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// How a wait ends without news: at its deadline, or when the client leaves.
final class LongPollingEnds extends LongPolling {
    private static final String SENSELESS =
            "`timeout` must be one whole number. Http.queryInteger sees to it.";

    @Requirement(id = "02.5", points = 2, todo = 2)
    @DisplayName("a request is held no longer than its client waits, then answered with 204")
    void deadline() {
        String order = place();
        int ms = number(220, 300);
        AsyncClient client = connection();
        long began = System.nanoTime();
        poll(client, order, 1, "&timeout=" + ms);
        Answer answer = client.get("After " + ms + " ms the client waits no more. Does"
                + " `timeout` count in milliseconds?");
        double took = (System.nanoTime() - began) / 1e6;
        expectNothing(answer, "The deadline is no error, and brought no news.");
        if (took < ms - 20) {
            throw answer.failure("no answer before " + ms + " ms have passed", 0,
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
        for (String timeout : List.of("", "&timeout=" + (number(1, 9) * (1L << 32)))) {
            poll(client, order, version, timeout);
            awaitHeld(1, List.of(client));
            String step = steps.get(version);
            added(order, step, ++version);
            expectNews(client.get(ASLEEP), version, List.of(step));
        }
        awaitLeft(0, "Who has been answered waits no more.");
    }

    @Requirement(id = "02.6", points = 1, todo = 2)
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
        awaitLeft(1, "Nobody reads that answer any more, and yet the request is held."
                + " Http.onGone tells when a client has left; take out this waiter, and no other.");
        added(order, steps.get(1), 3);
        expectNews(stays.get(ASLEEP), 3, steps.subList(1, 2));
        awaitLeft(0, "Who has been answered waits no more.");
    }
}
