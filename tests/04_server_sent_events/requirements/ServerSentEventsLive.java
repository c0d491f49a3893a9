package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;
import tools.jackson.databind.json.JsonMapper;

/// From the past to the present and to the end, without a gap.
final class ServerSentEventsLive extends ServerSentEvents {
    private static final String ONE_STEP =
            " was added while the reader was joining. To read the log and to join must be"
                    + " one step for `append`, or the reader must know what it has already.";
    /// The first write says `retry`, so it is the second that is held.
    private static final String HISTORY = "before writing";
    /// How many lines are added while a reader joins, at most.
    private static final int PLACES = 8;
    private static final String LEAVE = " Does it `leave` when its stream is gone?";

    @Requirement(id = "04.5", points = 3, todo = 4)
    @DisplayName("what is added while a reader joins reaches it, once and in order")
    void join() {
        List<String> places = Arrays.asList("before reading", "after reading",
                "before joining", "before telling", HISTORY);
        Collections.shuffle(places, random);
        for (int i = 0; i < places.size(); i++) {
            join(places.get(i), places.get(i).equals(HISTORY) ? 2 : 1, i % 2);
        }
        eachTime(STEPS, nth -> join(Graded.STEP, nth, 0));
        joinAgainAndAgain();
        liveInOrder();
    }

    /// Adds a line each time that the joining thread comes to a place, unless it has to wait.
    private void joinAgainAndAgain() {
        String[] places = {"after reading", "before joining", "before writing"};
        transcript.afresh();
        Build build = new Build(0);
        try (EventStreamClient reader = connect();
                EventStreamClient builder = reader.another()) {
            Meeting meeting = stage.meeting(1, places);
            reader.follow(build.path + "/log");
            boolean isHeld = meeting.first(reader::isReadable);
            for (int i = 0; isHeld && i < PLACES; i++) {
                transcript.step("# in the middle of that:");
                String line = word(5);
                say(builder, build.path + "/lines", json("text", line));
                meeting.second(builder::isReadable);
                build.lines.add(line);
                build.accepted(builder.answer());
                isHeld = meeting.again(reader::isReadable);
            }
            meeting.letGo();
            reader.answer().expect(200, "The log is there, and more may come.");
            build.say(word(4));
            build.expectAfter(0, reader, "Each event" + ONE_STEP);
        }
    }

    /// Holds a thread that writes a line to a reader, and adds another line.
    private void liveInOrder() {
        transcript.afresh();
        Build build = new Build(1);
        try (EventStreamClient reader = build.follow("");
                EventStreamClient builder = reader.another();
                EventStreamClient another = builder.another()) {
            build.expectAfter(0, reader, NEXT);
            String first = word(5);
            String second = word(6);
            Meeting meeting = stage.meeting(1, "before writing");
            say(builder, build.path + "/lines", json("text", first));
            meeting.first(() -> false);
            transcript.step("# in the middle of that, before writing:");
            say(another, build.path + "/lines", json("text", second));
            meeting.second(reader::isReadable);
            meeting.letGo();
            build.lines.add(first);
            build.accepted(builder.answer());
            build.lines.add(second);
            build.accepted(another.answer());
            build.expectAfter(1, reader,
                    "Two lines were added almost at once. To add and to tell must be one step.");
        }
    }

    /// Holds the reader's request at a place, and adds a line meanwhile; or the other way round.
    /// Where the program has the second wait, it comes after the first.
    ///
    /// @return whether the first is held there
    private boolean join(String place, int nth, int seen) {
        transcript.afresh();
        Build build = new Build(number(2, 4));
        String line = json("text", word(7));
        try (EventStreamClient reader = connect();
                EventStreamClient builder = reader.another()) {
            Runnable joins = () -> reader.follow(build.path + "/log",
                    seen == 0 ? new String[0]
                            : new String[] {"Last-Event-ID", "" + seen});
            Runnable adds = () -> say(builder, build.path + "/lines", line);
            boolean linesFirst = place.equals("before telling");
            boolean isHeld =
                    linesFirst ? meanwhile(place, nth, adds, builder, joins, reader)
                            : meanwhile(place, nth, joins, reader, adds, builder);
            build.lines.add(JsonMapper.shared().readTree(line).path("text").asString());
            build.accepted(builder.answer());
            reader.answer().expect(200, "The log is there, and more may come.");
            build.say(word(4));
            build.expectAfter(seen, reader, "Event " + (build.size() - 1) + ONE_STEP);
            return isHeld;
        }
    }

    /// Posts, and does not wait for the answer.
    private void say(EventStreamClient builder, String path, String body) {
        transcript.curl("POST", path, body);
        builder.send("POST", path, body);
    }

    /// Begins the first and holds it at a place, until the second is answered or waits for it.
    ///
    /// @return whether the first is held there
    private boolean meanwhile(String place, int nth, Runnable begin,
            EventStreamClient first, Runnable between, EventStreamClient second) {
        Meeting meeting = meetingAt(place, nth, first.line);
        begin.run();
        boolean isHeld = meeting.first(first::isReadable);
        transcript.step("# in the middle of that"
                + (place.equals(Graded.STEP) ? ":" : ", " + place + ":"));
        between.run();
        meeting.second(second::isReadable);
        meeting.letGo();
        return isHeld;
    }

    @Requirement(id = "04.6", points = 3, todo = 4)
    @DisplayName("done ends the stream, then 204 keeps the reader away; who has left is forgotten")
    void end() {
        Build build = new Build(number(2, 4));
        try (EventStreamClient observer = connect();
                EventStreamClient live = build.follow("");
                EventStreamClient second = build.follow("", "Last-Event-ID", "1")) {
            streamsAre(2, observer,
                    "Two read, all others have left. Does each reader `join`?" + LEAVE);
            if (random.nextBoolean()) second.reset();
            else second.close();
            streamsAre(1, observer,
                    "A reader has closed its connection." + LEAVE);
            int lines = build.size();
            String status = build.finish();
            build.lines.removeLast();
            build.expectAfter(0, live, NEXT);
            expectDone(lines + 1, status, live);
            streamsAre(0, observer,
                    "The only reader has had `done`." + LEAVE);
            for (int seen : new int[] {0, lines - 1, lines}) {
                String[] headers = seen == 0 ? new String[0]
                        : new String[] {"Last-Event-ID", "" + seen};
                try (EventStreamClient late = build.follow("", headers)) {
                    build.expectAfter(seen, late, NEXT);
                    expectDone(lines + 1, status, late);
                }
            }
            streamsAre(0, observer,
                    "A reader that came after `done` is still counted, though nothing more comes"
                            + " for it." + LEAVE);
            about(1);
            String likely =
                    "The reader has `done`: 204 keeps EventSource from coming back.";
            try (EventStreamClient back = connect();
                    EventStreamClient page = connect()) {
                back.follow(build.path + "/log", "Last-Event-ID", "" + (lines + 1))
                        .answer()
                        .expect(204, likely);
                page.follow(build.path + "/log?lastEventId=" + (lines + 1)).answer()
                        .expect(204, likely);
            }
            try (EventStreamClient stranger = connect()) {
                Answer answer = stranger.follow(build.path + "/log", "Last-Event-ID",
                        "" + (lines + number(2, 9))).answer();
                if (answer.status() == 204) { // another status is 04.4's matter
                    answer.expect(200,
                            "This id was never given: 204 is for the id of `done`.");
                }
            }
            post(build.path + "/lines", json("text", word(3))).expect(409,
                    DONE_ALREADY);
        }
        about(4);
        finishMeanwhile("before reading", 1);
        finishMeanwhile("after reading", 1);
        finishMeanwhile("before joining", 1);
        finishMeanwhile(HISTORY, 2);
        eachTime(STEPS, nth -> finishMeanwhile(Graded.STEP, nth));
    }

    /// Holds the reader's request at a place, and finishes the build meanwhile.
    ///
    /// @return false where it does not come there so often
    private boolean finishMeanwhile(String place, int nth) {
        transcript.afresh();
        Build build = new Build(number(1, 3));
        String status = random.nextBoolean() ? "passed" : "failed";
        String body = json("status", status);
        try (EventStreamClient reader = connect();
                EventStreamClient builder = reader.another()) {
            boolean isHeld = meanwhile(place, nth,
                    () -> reader.follow(build.path + "/log"),
                    reader, () -> say(builder, build.path + "/finish", body), builder);
            builder.answer().expect(202, DONE_ALREADY);
            reader.answer().expect(200, "The reader has not seen `done` yet.");
            build.expectAfter(0, reader, NEXT);
            expectDone(build.size() + 1, status, reader);
            return isHeld;
        }
    }

    private static void expectDone(int id, String status, EventStreamClient reader) {
        reader.expect(id, "done", status,
                "After the last line comes `done`, with an id of its own and the status.")
                .expectEnd(
                        "After `done` the stream ends, for those who come late or just then, too.");
    }

    /// Asks until the gauge says so.
    private void streamsAre(int wanted, EventStreamClient observer, String likely) {
        transcript.curl("GET", "/streams", null);
        boolean isSo = Stage.until(transcript.soon, () -> streams(observer).json()
                .path("streams").doubleValue() == wanted);
        if (!isSo) streams(observer).expectJson("streams", wanted, likely);
    }

    private static Answer streams(EventStreamClient observer) {
        return observer.send("GET", "/streams", null).answer();
    }
}
