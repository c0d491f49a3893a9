package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.client.HttpConnection;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Meeting.Second;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// Steps that come while a request is about to wait, or another step is written.
final class LongPollingSteps extends LongPolling {
    /// How often a request may read the order, at most.
    private static final int READS = 4;
    /// How often the rider comes in between while the cook tries again, at most.
    private static final int AGAIN = 3;
    /// How often another request parks while one is answered.
    private static final int ANSWERS = 2;
    /// How many steps come one after the other, or two at a time.
    private static final int TIMES = 300;
    private static final String READ = "after reading";
    private static final String ANSWER = "before answering";
    private static final String DEADLOCK =
            "Posting a step is not answered. Do two requests wait for each other?";
    private static final String LOST =
            "The step came after the look and before the wait, and nobody woke the request. Look"
                    + " and park in one step, or park and look again.";
    private static final String FINISHED =
            "The order was finished between the look and the wait: nothing wakes this request.";
    private static final String ASLEEP_MEANWHILE =
            "The request came while a step was placed, and nobody woke it. Take out the waiters"
                    + " when the step is written, in one step.";

    private static final String FORGOTTEN =
            "The request came while those were answered who had waited for a step; it is not one"
                    + " of them, and the next step did not wake it. Take out just those.";

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
                        () -> post(kitchen, order, step), kitchen::isThere);
                kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
                Answer answer = customer.get(LOST);
                if (since == 0) expectWhole(answer, step);
                else expectNews(answer, 2, List.of(step));
                if (since == 1) awaitLeft(0, "Who has been answered waits no more.");
            }
        }
        finishedMeanwhile(kitchen);
        about(4);
        parksMeanwhile(kitchen, customer);
        for (int i = 0; i < ANSWERS && parksBeforeAnAnswer(kitchen, customer); i++);
        about(3);
        again();
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
                Meeting meeting = stage.meeting(nth, READ);
                poll(ahead, order, number(3, 9), LONG);
                reads = isHeld(meeting, READ, ahead);
                post(kitchen, order, "delivered");
                Second second = meeting.second(kitchen::isThere);
                meeting.letGo();
                kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
                if (second == Second.PASSED) { // else it has parked before, and is to be woken
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
                    () -> customer.isThere() || isParked(before));
            gauge.get(DEADLOCK);
            kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
            expectNews(customer.get(ASLEEP_MEANWHILE), 2, List.of(step));
        }
    }

    /// Polls while the one who waits for a step is about to be answered.
    ///
    /// @return whether the program answers by `answer`
    private boolean parksBeforeAnAnswer(AsyncClient kitchen, AsyncClient customer) {
        String order = place();
        List<String> steps = anySteps();
        AsyncClient waits = poll(order, 1, LONG);
        awaitHeld(1, List.of(waits));
        int[] held = new int[1];
        boolean isHeld = meanwhile(ANSWER, 1, kitchen,
                () -> post(kitchen, order, steps.get(0)),
                () -> {
                    held[0] = waiting();
                    poll(customer, order, 2, LONG);
                },
                () -> customer.isThere() || isParked(held[0]));
        gauge.get(DEADLOCK);
        kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
        expectNews(waits.get(ASLEEP), 2, steps.subList(0, 1));
        added(order, steps.get(1), 3);
        Answer answer = customer.get(FORGOTTEN);
        if (answer.status() != 204) expectNews(answer, 3, steps.subList(1, 2)); // or woken before
        waits.close();
        return isHeld;
    }

    /// Steps and requests at the same instant, again and again, without any place to be held at.
    /// Some requests have the step already that is just being added.
    private void again() {
        atFullSpeed();
        String order = place();
        String body = json("step", anyStep());
        transcript.step(
                "# These two at the same instant, again and again, with the next `since`:");
        transcript.curl("POST", order + "/steps", body);
        transcript.curl("GET", order + "?since=1" + LONG, null);
        AsyncClient kitchen = connection();
        AsyncClient phone = besides(kitchen);
        for (int version = 1; version < TIMES;) {
            boolean isAhead = random.nextBoolean();
            int since = isAhead ? version + 1 : version;
            if (isAhead) kitchen.write("POST", order + "/steps", body);
            phone.write("GET", order + "?since=" + since + LONG, null);
            if (!isAhead) kitchen.write("POST", order + "/steps", body);
            version += expectStep(kitchen, version + 1);
            if (isAhead) {
                kitchen.write("POST", order + "/steps", body);
                version += expectStep(kitchen, version + 1);
            }
            Answer answer = phone.get(LOST);
            if (isAhead && answer.status() == 204) continue;
            answer.expect(200, "There is news for this client.").expectJson("version",
                    version, "This step is news for this client.");
        }
    }

    private static int expectStep(AsyncClient kitchen, int version) {
        kitchen.get(DEADLOCK).expect(200, "The order is not finished.")
                .expectJson("version", version, "Each step raises the version by one.");
        return 1;
    }

    /// A connection that is served while the thread of `held` is held, for the gauge as well.
    private AsyncClient besides(AsyncClient held) {
        gauge = note(AsyncClient.besides(held));
        waiting();
        return gauge;
    }

    /// Are more requests held than these, as far as the gauge has told? It is not waited for, as the thread that
    /// serves it may wait for another.
    private boolean isParked(int these) {
        if (!gauge.isThere()) return false;
        if (count(gauge.get(DEADLOCK)) > these) return true;
        gauge.look("/waiting");
        return false;
    }

    /// Sends a request on `one`, and does something else when it has come to a place for the nth
    /// time.
    ///
    /// @param done whether that is done
    /// @return whether it comes there so often
    private boolean meanwhile(String place, int nth, AsyncClient one, Runnable request,
            Runnable other, BooleanSupplier done) {
        Meeting meeting = stage.meeting(nth, place);
        request.run();
        boolean isHeld = isHeld(meeting, place, one);
        other.run();
        meeting.second(done);
        meeting.letGo();
        return isHeld;
    }

    private boolean isHeld(Meeting meeting, String place, AsyncClient one) {
        boolean isHeld = meeting.first(() -> isOver(one));
        if (isHeld) noteMeanwhile(place);
        return isHeld;
    }

    private void noteMeanwhile(String place) {
        transcript.step(
                "(meanwhile, " + (place.equals(ANSWER) ? ANSWER : place + " the order")
                        + ":)");
    }

    /// Is its request answered, or parked?
    private boolean isOver(AsyncClient one) {
        return one.isThere() || waiting() > before;
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
                expectVersions(rider.get(""), List.of(version(cook), version(rider)));
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
        manyTogether();
    }

    /// The same at full speed: two who post one step after the other, and do not wait.
    private void manyTogether() {
        atFullSpeed();
        String order = place();
        String body = json("step", anyStep());
        transcript.step("curl -sZ 'localhost:" + node.port() + order + "/steps?[1-"
                + 2 * TIMES + "]' --json '" + body + "'");
        List<Integer> versions = new ArrayList<>();
        try (HttpConnection one = connect(null); HttpConnection two = connect(one)) {
            for (int i = 0; i < TIMES; i++) {
                one.send("POST", order + "/steps", body);
                two.send("POST", order + "/steps", body);
            }
            Answer last = null;
            for (int i = 0; i < TIMES; i++) {
                for (HttpConnection each : List.of(one, two)) {
                    last = each.answer();
                    versions.add(version(last));
                }
            }
            expectVersions(last, versions);
        }
    }

    private boolean together(String place, int nth, AsyncClient cook, AsyncClient rider,
            String step) {
        String order = place();
        boolean reads = meanwhile(place, nth, cook, () -> post(cook, order, anyStep()),
                () -> post(rider, order, step), rider::isThere);
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
        Meeting meeting = stage.meeting(1, READ);
        post(cook, order, anyStep());
        boolean isHeld = meeting.first(() -> isOver(cook));
        for (int i = 0; i < AGAIN && isHeld; i++) {
            noteMeanwhile(READ);
            post(rider, order, anyStep());
            meeting.second(rider::isThere);
            versions.add(version(rider));
            isHeld = meeting.again(() -> isOver(cook));
        }
        meeting.letGo();
        versions.add(version(cook));
        expectVersions(cook.get(""), versions);
    }

    private static void expectVersions(Answer posted, List<Integer> versions) {
        List<Integer> wanted =
                IntStream.range(2, 2 + versions.size()).boxed().toList();
        List<Integer> sorted = versions.stream().sorted().toList();
        if (sorted.equals(wanted)) return;
        int at = 0;
        while (sorted.get(at).equals(wanted.get(at))) at++;
        throw posted.failure("versions " + wanted.getFirst() + " to " + wanted.getLast()
                + " for the steps, each once", -1,
                "There was no " + wanted.get(at)
                        + ", but " + sorted.get(at)
                        + ". Two read the order, then both wrote"
                        + " it, and one step is lost; or its version was read later. Do all in"
                        + " one step.");
    }

    private static int version(AsyncClient posted) {
        return version(posted.get(DEADLOCK));
    }

    private static int version(Answer posted) {
        return posted.expect(200, "The order is not finished.")
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
            about(4);
            add(order, anyStep()).expect(409, "Nothing comes after " + last + ".");
            add(order, "delivered").expect(409, "Nothing comes after " + last + ".");
            about(3);
            expectNews(get(order + "?since=4"), 5, List.of(last));
            AsyncClient client = connection();
            for (long since : new long[] {5, number(6, 99)}) {
                expectNothing(poll(client, order, since, LONG).get(
                        "The order is finished, so no step will come: do not hold the request."),
                        "Nothing is new.");
            }
        }
        about(4);
        for (String bad : List.of(json("step", word(7)), json("step", "placed"),
                "{}")) {
            post(place() + "/steps", bad).expect(400, DONE_ALREADY);
        }
    }
}
