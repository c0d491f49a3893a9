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
    @DisplayName("news is every step that the client has not seen, and the version")
    void news() {
        String again = anyStep();
        List<String> more = List.of(again, anyStep(), again, anyStep(), again);
        List<String> steps = new ArrayList<>(List.of("placed"));
        steps.addAll(more);
        expectNews(place(more), steps);
        transcript.afresh();
        String order = place();
        for (String step : more) {
            if (add(order, step).status() == 501) return; // TODO 2, and not what is asked here
        }
        expectNews(order, steps);
        AsyncClient client = connection();
        for (int since = 0; since < steps.size(); since++) {
            about(3);
            Answer answer = poll(client, order, since, LONG).get(
                    "There is news, yet the request is held. Is the version compared with"
                            + " `since`?");
            if (answer.status() == 501) return; // TODO 3, and not what is asked here
            about(1);
            expectNews(answer, steps.size(), steps.subList(since, steps.size()));
        }
        expectNews(get(order), steps.size(), steps);
        about(3);
        awaitLeft(0, "Who has been answered waits no more.");
    }

    /// Asks without waiting.
    private void expectNews(String order, List<String> steps) {
        int version = steps.size();
        for (int since = 0; since < version; since++) {
            expectNews(get(order + "?since=" + since + "&timeout=0"), version,
                    steps.subList(since, version));
        }
        for (long since : new long[] {version, version + 1, (1L << 32) + 1, 1L << 53}) {
            expectNothing(get(order + "?since=" + since + "&timeout=0"),
                    "There are no steps after the first " + since + ".");
        }
    }

    @Requirement(id = "02.3", points = 2, todo = 3)
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
            about(2);
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
        about(3);
        for (String end : List.of("delivered", "cancelled")) finished(end);
    }

    /// Nobody waits for an order that is finished.
    private void finished(String last) {
        transcript.afresh();
        String order = place(List.of(anyStep(), anyStep(), last));
        expectNews(get(order + "?since=3"), 4, List.of(last));
        AsyncClient client = connection();
        for (long since : new long[] {4, number(5, 99)}) {
            expectNothing(poll(client, order, since, LONG).get(
                    "The order is finished, so no step will come: do not hold the request."),
                    "Nothing is new.");
        }
    }
}
