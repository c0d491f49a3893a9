package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirements;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/// 02 Long polling: a food order on its way. `GET /waiting` is the gauge of the requests that are
/// held.
abstract sealed class LongPolling extends Requirements
        permits LongPollingNews, LongPollingSteps, LongPollingEnds {
    /// Longer than any requirement takes: a request that waits for so long waits for news.
    static final String LONG = "&timeout=60000";
    private static final String EARLY =
            "Nothing is new for this client, so its request must be held.";
    static final String ASLEEP =
            "A step must wake every request that is held for its order.";

    private final List<AsyncClient> opened = new ArrayList<>();
    AsyncClient gauge;
    int before;

    @BeforeEach
    void look() {
        gauge = connection();
        before = waiting();
    }

    /// Leaves nothing behind: where a requirement did not get to its end, requests may still be
    /// held, and the next one would count them.
    @AfterEach
    void leave() {
        stage.letGo();
        opened.remove(gauge);
        boolean held = opened.stream().anyMatch(each -> !each.isThere());
        opened.forEach(AsyncClient::close);
        if (held) Stage.until(transcript.soon, () -> waiting() <= before);
        gauge.close();
    }

    AsyncClient connection() {
        return note(new AsyncClient(node, transcript));
    }

    AsyncClient note(AsyncClient connection) {
        opened.add(connection);
        return connection;
    }

    String place() {
        return placed(post("/orders", "{}"));
    }

    /// Places an order that has passed some steps already.
    String place(List<String> steps) {
        return placed(post("/orders", json("steps", steps)));
    }

    private String placed(Answer answer) {
        String order = answer.expect(201, DONE_ALREADY).header("Location");
        transcript.made(order, "\n# gives " + order);
        return order;
    }

    String anyStep() {
        return anySteps().getFirst();
    }

    /// The steps that do not finish an order, in any order.
    List<String> anySteps() {
        List<String> steps =
                new ArrayList<>(List.of("accepted", "cooking", "on_its_way"));
        Collections.shuffle(steps, random);
        return steps;
    }

    Answer add(String order, String step) {
        return post(order + "/steps", json("step", step));
    }

    void added(String order, String step, int version) {
        add(order, step).expect(200, "The order is not finished, so the step is added.")
                .expectJson("version", version, "Each step raises the version by one.");
    }

    AsyncClient poll(AsyncClient on, String order, long since, String rest) {
        stage.told("deadline"); // forgets that of an earlier request
        on.send("GET", order + "?since=" + since + rest, null);
        transcript.stays();
        return on;
    }

    AsyncClient poll(String order, long since, String rest) {
        return poll(connection(), order, since, rest);
    }

    static Answer expectNews(Answer answer, int version, List<String> steps) {
        return answer.expect(200, "There is news for this client.")
                .expectJson("steps", steps,
                        "Expected is every step after the first `since` ones, in order.")
                .expectJson("version", version,
                        "The version is the number of all steps; the client sends it back.");
    }

    static void expectNothing(Answer answer, String likely) {
        answer.expect(204, likely).expectNoBody("204 has no body.");
    }

    int waiting() {
        return count(gauge.look("/waiting")
                .get("The request for /waiting is not answered."));
    }

    static int count(Answer waiting) {
        return waiting.json().path("waiting").asInt(-1);
    }

    /// Waits until the server holds as many more requests than at first.
    void awaitHeld(int more, List<AsyncClient> polls) {
        boolean areHeld = Stage.until(transcript.soon, () -> {
            if (waiting() >= before + more) return true;
            for (AsyncClient each : polls) {
                if (each.isThere()) throw each.get("").failure(
                        "no answer before the next step", 0, EARLY);
            }
            return false;
        });
        if (!areHeld) throw gaugeSays(before + more,
                "A request that is held must be among the waiters of its order.");
    }

    /// Waits until as many more requests are held than at first, and no others.
    void awaitLeft(int more, String likely) {
        if (isLeft(more)) return;
        throw gaugeSays(before + more, likely);
    }

    boolean isLeft(int more) {
        return Stage.until(transcript.soon, () -> waiting() == before + more);
    }

    private AssertionError gaugeSays(int wanted, String likely) {
        get("/waiting").expectJson("waiting", wanted, likely);
        return transcript.failure("\"waiting\": " + wanted,
                "another number for seconds, and this one just now", -1, likely);
    }
}
