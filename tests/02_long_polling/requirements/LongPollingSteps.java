package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Meeting.Second;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;
import tools.jackson.databind.JsonNode;

/// Steps that come while a request is about to wait, or another step is written.
final class LongPollingSteps extends LongPolling {
    /// How often a request may read the order, at most.
    private static final int READS = 4;
    /// How often the rider comes in between while the cook tries again, at most.
    private static final int AGAIN = 3;
    private static final String READ = "after reading";
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

    @Requirement(id = "02.4", points = 3, todo = 3)
    @DisplayName("no step is lost that comes between the look at the order and the wait for the next")
    void race() {
        AsyncClient customer = connection();
        AsyncClient kitchen = besides(customer);
        atEach(READ, nth -> pollsMeanwhile(READ, nth, 1, customer, kitchen));
        atEach(READ, nth -> pollsMeanwhile(READ, nth, 0, customer, kitchen));
        atEach(READ, nth -> finishedMeanwhile(nth, kitchen));
        about(2);
        besides(kitchen);
        atEach(READ, nth -> parksMeanwhile(READ, nth, kitchen, customer));
        atEach(Graded.STEP, nth -> parksMeanwhile(Graded.STEP, nth, kitchen, customer));
        atEach(Graded.STEP, nth -> aheadMeanwhile(nth, kitchen, customer));
        about(3);
        besides(customer);
        atEach(Graded.STEP,
                nth -> pollsMeanwhile(Graded.STEP, nth, 1, customer, kitchen));
    }

    private static void atEach(String place, IntPredicate isHeld) {
        eachTime(place.equals(Graded.STEP) ? STEPS : READS, isHeld);
    }

    private boolean pollsMeanwhile(String place, int nth, int since,
            AsyncClient customer,
            AsyncClient kitchen) {
        transcript.afresh();
        String order = place();
        String step = anyStep();
        boolean isHeld = meanwhile(place, nth, customer,
                () -> poll(customer, order, since, LONG),
                () -> post(kitchen, order, step), kitchen::isThere);
        kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
        Answer answer = customer.get(LOST);
        if (since == 0) expectWhole(answer, step);
        else expectNews(answer, 2, List.of(step));
        if (since == 1) awaitLeft(0, "Who has been answered waits no more.");
        return isHeld;
    }

    /// Expects all news of an order, as it was before a step, or after it.
    private static void expectWhole(Answer answer, String step) {
        answer.expect(200, "There is news for this client.");
        int version = answer.json().path("version").asInt() == 1 ? 1 : 2;
        expectNews(answer, version, List.of("placed", step).subList(0, version));
    }

    /// Finishes an order while a request for more than it has is about to park.
    private boolean finishedMeanwhile(int nth, AsyncClient kitchen) {
        transcript.afresh();
        String order = place();
        boolean isHeld;
        try (AsyncClient ahead = AsyncClient.besides(kitchen)) {
            Meeting meeting = stage.meeting(nth, READ);
            poll(ahead, order, number(3, 9), LONG);
            isHeld = isHeld(meeting, READ, ahead);
            post(kitchen, order, "delivered");
            Second second = meeting.second(kitchen::isThere);
            meeting.letGo();
            kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
            if (second == Second.PASSED) { // else it has parked before, and is to be woken
                expectNothing(ahead.get(FINISHED), "Nothing is new.");
            }
        }
        awaitLeft(0, "Nobody waits for an order that is finished.");
        return isHeld;
    }

    /// Polls while a thread is about to write a step.
    private boolean parksMeanwhile(String place, int nth, AsyncClient kitchen,
            AsyncClient customer) {
        transcript.afresh();
        waiting(); // so that the gauge tells nothing old
        String order = place();
        String step = anyStep();
        boolean isHeld = meanwhile(place, nth, kitchen,
                () -> post(kitchen, order, step),
                () -> poll(customer, order, 1, LONG),
                () -> customer.isThere() || isParked());
        gauge.get(DEADLOCK);
        kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
        expectNews(customer.get(ASLEEP_MEANWHILE), 2, List.of(step));
        return isHeld;
    }

    /// Holds the thread that adds a step at the `nth` of its own, and polls for what comes after
    /// that step.
    ///
    /// @return false where it has not so many
    private boolean aheadMeanwhile(int nth, AsyncClient kitchen, AsyncClient customer) {
        transcript.afresh();
        waiting(); // so that the gauge tells nothing old
        String order = place();
        List<String> steps = anySteps();
        boolean isHeld = meanwhile(Graded.STEP, nth, kitchen,
                () -> post(kitchen, order, steps.get(0)),
                () -> poll(customer, order, 2, LONG),
                () -> customer.isThere() || isParked());
        gauge.get(DEADLOCK);
        kitchen.get(DEADLOCK).expect(200, "The order is not finished.");
        added(order, steps.get(1), 3);
        Answer answer = customer.get(FORGOTTEN);
        if (answer.status() != 204) expectNews(answer, 3, steps.subList(1, 2)); // or woken before
        return isHeld;
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

    /// Sends a request on `one`, and does something else when it has come to a place for the nth
    /// time.
    ///
    /// @param done whether that is done
    /// @return whether it comes there so often
    private boolean meanwhile(String place, int nth, AsyncClient one, Runnable request,
            Runnable other, BooleanSupplier done) {
        Meeting meeting = meetingAt(place, nth, one.line);
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
        transcript.step("(meanwhile, "
                + (place.equals(Graded.STEP) ? "in the middle of your code"
                        : place + " the order")
                + ":)");
    }

    /// Is its request answered, or parked?
    private boolean isOver(AsyncClient one) {
        return one.isThere() || waiting() > before;
    }

    @Requirement(id = "02.2", points = 2, todo = 2)
    @DisplayName("of steps that come at the same time each is kept, and none comes after the last")
    void steps() {
        finish();
        AsyncClient cook = connection();
        AsyncClient rider = besides(cook);
        for (String place : List.of(READ, "before reading", Graded.STEP)) {
            atEach(place, nth -> {
                boolean isHeld = together(place, nth, cook, rider, anyStep());
                expectVersions(rider.get(""), List.of(version(cook), version(rider)));
                return isHeld;
            });
            atEach(place, nth -> {
                boolean isHeld = together(place, nth, cook, rider, "delivered");
                boolean wasFirst =
                        cook.get(DEADLOCK).status() == 200 && version(cook) == 2;
                if (!wasFirst) cook.get("").expect(409,
                        "This step came when the order was delivered. Look and write in one step.");
                return isHeld;
            });
        }
        againAndAgain(cook, rider);
    }

    /// At a step, the rider is held, too, when he has read the order, and the cook goes first.
    private boolean together(String place, int nth, AsyncClient cook, AsyncClient rider,
            String step) {
        transcript.afresh();
        String order = place();
        Meeting meeting = meetingAt(place, nth, cook.line);
        post(cook, order, anyStep());
        boolean isHeld = isHeld(meeting, place, cook);
        post(rider, order, step);
        if (place.equals(
                Graded.STEP)) meeting.secondAt(READ, rider::isThere, cook::isThere);
        else meeting.second(rider::isThere);
        meeting.letGo();
        rider.get(DEADLOCK).expect(200, "The order was not finished before.");
        return isHeld;
    }

    private static void post(AsyncClient on, String order, String step) {
        on.send("POST", order + "/steps", json("step", step));
    }

    /// The rider posts a step each time that the cook has read the order, unless it has to wait.
    private void againAndAgain(AsyncClient cook, AsyncClient rider) {
        transcript.afresh();
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
            transcript.afresh();
            String order = place();
            List<String> steps = anySteps();
            for (int i = 0; i < 3; i++) added(order, steps.get(i), i + 2);
            added(order, last, 5);
            add(order, anyStep()).expect(409, "Nothing comes after " + last + ".");
            add(order, "delivered").expect(409, "Nothing comes after " + last + ".");
        }
        for (String bad : List.of(json("step", word(7)), json("step", "placed"),
                "{}")) {
            post(place() + "/steps", bad).expect(400, DONE_ALREADY);
        }
    }
}
