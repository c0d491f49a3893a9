package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// What a client hears, and when: the news that it has not seen.
final class LongPollingNews extends LongPolling {
    @Requirement(id = "02.1", points = 2, todo = 1)
    @DisplayName("where there is news, it is told at once: every step that the client has not seen")
    void news() {
        String order = place();
        List<String> steps = new ArrayList<>(List.of("placed"));
        String again = anyStep();
        for (String step : List.of(again, anyStep(), again, anyStep(), again)) {
            add(order, step);
            steps.add(step);
        }
        int version = steps.size();
        AsyncClient client = connection();
        for (int since = 0; since < version; since++) {
            about(3);
            Answer answer = poll(client, order, since, LONG).get(
                    "There is news, yet the request is held. Is the version compared with"
                            + " `since`?");
            about(1);
            expectNews(answer, version, steps.subList(since, version));
        }
        expectNews(get(order), version, steps);
        for (long since : new long[] {version, version + 1, (1L << 32) + 1, 1L << 53}) {
            expectNothing(get(order + "?since=" + since + "&timeout=0"),
                    "There are no steps after the first " + since + ".");
        }
        about(3);
        awaitLeft(0, "Who has been answered waits no more.");
    }

    @Requirement(id = "02.2", points = 2, todo = 4)
    @DisplayName("a request is held until the next step, which wakes all that wait for this order")
    void woken() {
        String order = place();
        String other = place();
        AsyncClient elsewhere = poll(other, 1, LONG);
        List<AsyncClient> clients = new ArrayList<>();
        for (int i = number(2, 4); i > 0; i--) clients.add(connection());
        AsyncClient ahead = connection();
        List<AsyncClient> all = new ArrayList<>(clients);
        all.add(ahead);
        List<String> steps = anySteps();
        for (int version = 1; version < 3; version++) {
            for (AsyncClient each : clients) poll(each, order, version, LONG);
            int by = version == 1 ? 1 : number(2, 9); // after the step, or beyond it
            poll(ahead, order, version + by, LONG);
            about(3);
            awaitHeld(all.size() + 1, all);
            about(4);
            String step = steps.get(version);
            added(order, step, version + 1);
            for (AsyncClient each : clients) {
                expectNews(each.get(ASLEEP), version + 1, List.of(step));
            }
            expectNothing(ahead.get(ASLEEP + " One that is still ahead hears 204."),
                    "`since` is still above the version: woken, but without news.");
            awaitLeft(1,
                    "Who is woken waits no more; the requests for another order do.");
        }
        String last = random.nextBoolean() ? "delivered" : "cancelled";
        added(other, last, 2);
        expectNews(elsewhere.get(ASLEEP), 2, List.of(last));
        awaitLeft(0, "Who is woken waits no more: take it out of `waiters`.");
    }
}
