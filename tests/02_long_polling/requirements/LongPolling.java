package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.stage.Pauses;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

@DisplayName("02 Long polling: a food order on its way")
class LongPolling extends Requirements {
    /// Longer than any requirement takes: a request that waits for so long waits for news.
    private static final String LONG = "&timeout=60000";
    /// How long it may take until a request that is answered, or left, counts no more.
    private static final int LEFT_MS = 2_000;
    /// How often a request may read the order, at most.
    private static final int READS = 4;
    private static final String READ = "after reading";
    private static final String DEADLOCK =
            "Posting a step is not answered. Do two requests wait for each other?";
    private static final String EARLY =
            "Nothing is new for this client, so its request must be held.";
    private static final String LOST =
            "The step came after the look and before the wait, and nobody woke the request. Look"
                    + " and park in one step, or park and look again.";
    private static final String FINISHED =
            "The order was finished between the look and the wait: nothing wakes this request.";
    private static final String ASLEEP_MEANWHILE =
            "The request came while a step was placed, and nobody woke it. Take out the waiters"
                    + " when the step is written, in one step.";
    private static final String SENSELESS =
            "`timeout` must be one whole number. Http.queryInteger sees to it.";
    private static final String ASLEEP =
            "A step must wake every request that is held for its order.";

    private final List<AsyncClient> opened = new ArrayList<>();
    private AsyncClient gauge;
    private int before;

    @BeforeEach
    void look() {
        gauge = connection();
        before = waiting();
    }

    /// Leaves nothing behind: where a requirement did not get to its end, requests may still be
    /// held, and the next one would count them.
    @AfterEach
    void leave() {
        pauses().reset();
        opened.remove(gauge);
        boolean held = opened.stream().anyMatch(each -> !each.isThere());
        opened.forEach(AsyncClient::close);
        long ends = System.nanoTime() + LEFT_MS * 1_000_000L;
        while (held && waiting() > before
                && System.nanoTime() < ends) Thread.onSpinWait();
        gauge.close();
    }

    private AsyncClient connection() {
        return note(new AsyncClient(node, transcript));
    }

    private AsyncClient note(AsyncClient connection) {
        opened.add(connection);
        return connection;
    }

    private String place() {
        return post("/orders", "{}").expect(201, "This part was done already.")
                .header("Location");
    }

    private String anyStep() {
        return anySteps().getFirst();
    }

    /// The steps that do not finish an order, in any order.
    private List<String> anySteps() {
        List<String> steps =
                new ArrayList<>(List.of("accepted", "cooking", "on_its_way"));
        Collections.shuffle(steps, random);
        return steps;
    }

    private Answer add(String order, String step) {
        return post(order + "/steps", json("step", step));
    }

    private void added(String order, String step, int version) {
        add(order, step).expect(200, "The order is not finished, so the step is added.")
                .expectJson("version", version, "Each step raises the version by one.");
    }

    private AsyncClient poll(AsyncClient on, String order, long since, String rest) {
        return on.send("GET", order + "?since=" + since + rest, null);
    }

    private AsyncClient poll(String order, long since, String rest) {
        return poll(connection(), order, since, rest);
    }

    private static Answer expectNews(Answer answer, int version, List<String> steps) {
        return answer.expect(200, "There is news for this client.")
                .expectJson("steps", steps,
                        "Expected is every step after the first `since` ones, in order.")
                .expectJson("version", version,
                        "The version is the number of all steps; the client sends it back.");
    }

    private static void expectNothing(Answer answer, String likely) {
        answer.expect(204, likely).expectNoBody("204 has no body.");
    }

    private int waiting() {
        return count(gauge.look("/waiting")
                .get("The request for /waiting is not answered."));
    }

    private static int count(Answer waiting) {
        return waiting.json().path("waiting").asInt(-1);
    }

    /// Waits until the server holds as many more requests than at first.
    private void awaitHeld(int more, List<AsyncClient> polls) {
        long ends = System.nanoTime() + SOON * 1_000_000L;
        while (waiting() < before + more) {
            for (AsyncClient each : polls) {
                if (each.isThere()) throw each.get("").failure(
                        "no answer before the next step", 0, EARLY);
            }
            if (System.nanoTime() > ends) throw gaugeSays(before + more,
                    "A request that is held must be among the waiters of its order.");
        }
    }

    /// Waits until as many more requests are held than at first, and no others.
    private void awaitLeft(int more, String likely) {
        long ends = System.nanoTime() + LEFT_MS * 1_000_000L;
        while (waiting() != before + more) {
            if (System.nanoTime() > ends) throw gaugeSays(before + more, likely);
        }
    }

    private AssertionError gaugeSays(int wanted, String likely) {
        get("/waiting").expectJson("waiting", wanted, likely);
        return transcript.failure("\"waiting\": " + wanted,
                "another number for seconds, and this one just now", -1, likely);
    }

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
            expectNews(poll(client, order, since, LONG).get(
                    "There is news, yet the request is held. Is the version compared with"
                            + " `since`?"),
                    version, steps.subList(since, version));
        }
        expectNews(get(order), version, steps);
        for (long since : new long[] {version, version + 1, (1L << 32) + 1, 1L << 53}) {
            expectNothing(get(order + "?since=" + since + "&timeout=0"),
                    "There are no steps after the first " + since + ".");
        }
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
            awaitHeld(all.size() + 1, all);
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

    @Requirement(id = "02.3", points = 3, todo = 3)
    @DisplayName("no step is lost that comes between the look at the order and the wait for the next")
    void race() {
        AsyncClient customer = connection();
        AsyncClient kitchen = besides(customer);
        for (int since : new int[] {1, 0}) {
            boolean reads = true;
            for (int nth = 1; nth <= READS && reads; nth++) {
                String order = place();
                String step = anyStep();
                reads = meanwhile(READ, nth, customer,
                        () -> poll(customer, order, since, LONG),
                        () -> post(kitchen, order, step), kitchen::isThere).isHeld;
                kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
                Answer answer = customer.get(LOST);
                if (since == 0) expectWhole(answer, step);
                else expectNews(answer, 2, List.of(step));
                if (since == 1) awaitLeft(0, "Who has been answered waits no more.");
            }
        }
        finishedMeanwhile(kitchen);
        parksMeanwhile(kitchen, customer);
    }

    /// Expects all news of an order, as it was before a step, or after it.
    private static void expectWhole(Answer answer, String step) {
        answer.expect(200, "There is news for this client.");
        int version = answer.json().path("version").asInt() == 1 ? 1 : 2;
        expectNews(answer, version, List.of("placed", step).subList(0, version));
    }

    /// Finishes an order while a request for more than it has is about to park.
    private void finishedMeanwhile(AsyncClient kitchen) {
        boolean reads = true;
        for (int nth = 1; nth <= READS && reads; nth++) {
            String order = place();
            try (AsyncClient ahead = AsyncClient.besides(kitchen)) {
                Meeting meeting = meanwhile(READ, nth, ahead,
                        () -> poll(ahead, order, number(3, 9), LONG),
                        () -> post(kitchen, order, "delivered"), kitchen::isThere);
                kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
                reads = meeting.isHeld;
                if (meeting.hasPassed) { // else it has parked before, and is to be woken
                    expectNothing(ahead.get(FINISHED), "Nothing is new.");
                }
            }
            awaitLeft(0, "Nobody waits for an order that is finished.");
        }
    }

    /// Polls while a thread is about to write a step.
    private void parksMeanwhile(AsyncClient kitchen, AsyncClient customer) {
        besides(kitchen);
        boolean reads = true;
        for (int nth = 1; nth <= READS && reads; nth++) {
            String order = place();
            String step = anyStep();
            reads = meanwhile(READ, nth, kitchen, () -> post(kitchen, order, step),
                    () -> poll(customer, order, 1, LONG),
                    () -> customer.isThere() || isParked()).isHeld;
            gauge.get(DEADLOCK);
            kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
            expectNews(customer.get(ASLEEP_MEANWHILE), 2, List.of(step));
        }
    }

    /// A connection that is served while the thread of `held` is held, for the gauge as well.
    private AsyncClient besides(AsyncClient held) {
        gauge = note(AsyncClient.besides(held));
        waiting();
        return gauge;
    }

    /// Is a request held, as far as the gauge has told? It is not waited for, as the thread that
    /// serves it may wait for another.
    private boolean isParked() {
        if (!gauge.isThere()) return false;
        if (count(gauge.get(DEADLOCK)) > before) return true;
        gauge.look("/waiting");
        return false;
    }

    /// @param isHeld whether the first request came to the place so often
    /// @param hasPassed whether the other one was through while the first was held
    private record Meeting(boolean isHeld, boolean hasPassed) {}

    /// Sends a request on `one`, and does something else when it has come to a place for the nth
    /// time.
    ///
    /// @param through whether that is done
    private Meeting meanwhile(String place, int nth, AsyncClient one, Runnable request,
            Runnable other, BooleanSupplier through) {
        pauses().hold(place);
        request.run();
        Pauses.Held held = nthArrival(nth, one);
        pauses().holdNoMore();
        if (held == null) held = pauses().next(0);
        if (held != null) transcript.step("(meanwhile, " + place + " the order:)");
        other.run();
        if (held == null) return new Meeting(false, false);
        held.letPass(through);
        boolean hasPassed = through.getAsBoolean();
        held.close();
        return new Meeting(true, hasPassed);
    }

    private Pauses.Held nthArrival(int nth, AsyncClient client) {
        long ends = System.nanoTime() + SOON * 1_000_000L;
        while (System.nanoTime() < ends) {
            Pauses.Held held = pauses().next(5);
            if (held != null && --nth == 0) return held;
            if (held != null) held.close();
            else if (client.isThere() || waiting() > before) return null;
        }
        return null;
    }

    @Requirement(id = "02.4", points = 2, todo = 4)
    @DisplayName("of steps that come at the same time each is kept, and none comes after the last")
    void steps() {
        finish();
        AsyncClient cook = connection();
        AsyncClient rider = besides(cook);
        for (String place : List.of(READ, "before reading")) {
            boolean reads = true;
            for (int nth = 1; nth <= READS && reads; nth++) {
                reads = together(place, nth, cook, rider, anyStep());
                expectVersions(rider, List.of(version(cook), version(rider)));
            }
            reads = true;
            for (int nth = 1; nth <= READS && reads; nth++) {
                reads = together(place, nth, cook, rider, "delivered");
                boolean wasFirst =
                        cook.get(DEADLOCK).status() == 200 && version(cook) == 2;
                if (!wasFirst) cook.get("").expect(409,
                        "This step came when the order was delivered. Look and write in one step.");
            }
        }
        againAndAgain(cook, rider);
    }

    private boolean together(String place, int nth, AsyncClient cook, AsyncClient rider,
            String step) {
        String order = place();
        boolean reads = meanwhile(place, nth, cook, () -> post(cook, order, anyStep()),
                () -> post(rider, order, step), rider::isThere).isHeld;
        rider.get(DEADLOCK).expect(200, "The order was not finished before.");
        return reads;
    }

    private static void post(AsyncClient on, String order, String step) {
        on.send("POST", order + "/steps", json("step", step));
    }

    /// The rider posts a step each time that the cook has read the order, unless it has to wait.
    private void againAndAgain(AsyncClient cook, AsyncClient rider) {
        String order = place();
        List<Integer> versions = new ArrayList<>();
        pauses().hold(READ);
        post(cook, order, anyStep());
        boolean through = true;
        for (int i = 0; i < 3 && through; i++) {
            Pauses.Held held = nthArrival(1, cook);
            pauses().holdNoMore();
            if (held == null) break;
            transcript.step("(meanwhile, " + READ + " the order:)");
            post(rider, order, anyStep());
            held.letPass(rider::isThere);
            through = rider.isThere();
            if (through) pauses().hold(READ);
            held.close();
            versions.add(version(rider));
        }
        pauses().reset();
        versions.add(version(cook));
        expectVersions(rider, versions);
    }

    private static void expectVersions(AsyncClient posted, List<Integer> versions) {
        List<Integer> wanted =
                IntStream.range(2, 2 + versions.size()).boxed().toList();
        if (versions.stream().sorted().toList().equals(wanted)) return;
        throw posted.get("").failure("versions " + wanted + " for the steps, each once",
                -1,
                "They were " + versions
                        + ". Two read the order, then both wrote it, and one step"
                        + " is lost; or its version was read later. Do all in one step.");
    }

    private static int version(AsyncClient posted) {
        return posted.get(DEADLOCK).expect(200, "The order is not finished.")
                .expectJson("version", "\"version\": a whole number",
                        JsonNode::isNumber,
                        "Each step raises the version by one.")
                .json().path("version").asInt();
    }

    private void finish() {
        for (String last : List.of("delivered", "cancelled")) {
            String order = place();
            List<String> steps = anySteps();
            for (int i = 0; i < 3; i++) added(order, steps.get(i), i + 2);
            added(order, last, 5);
            add(order, anyStep()).expect(409, "Nothing comes after " + last + ".");
            add(order, "delivered").expect(409, "Nothing comes after " + last + ".");
            expectNews(get(order + "?since=4"), 5, List.of(last));
            AsyncClient client = connection();
            for (long since : new long[] {5, number(6, 99)}) {
                expectNothing(poll(client, order, since, LONG).get(
                        "The order is finished, so no step will come: do not hold the request."),
                        "Nothing is new.");
            }
        }
        for (String bad : List.of(json("step", word(7)), json("step", "placed"),
                "{}")) {
            post(place() + "/steps", bad).expect(400, "This part was done already.");
        }
    }

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
