package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.stage.Pauses;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("04 Server-sent events: a build's log")
class ServerSentEvents extends Requirements {
    private static final String DONE_ALREADY = "This part was done already.";
    private static final String NEXT = "This must be the next event of this log.";
    private static final String HEADER_WINS =
            "The header Last-Event-ID wins over the query,"
                    + " as EventSource keeps asking for the same URL.";
    private static final String DATA =
            "Each line of the text needs a `data: ` of its own, with the blank, as a reader"
                    + " drops one. CRLF, CR and LF end a line, nothing else does.";
    private static final String ONE_STEP =
            " was added while the reader was joining. To read the log and to join must be"
                    + " one step for `append`, or the reader must know what it has already.";
    /// The first write says `retry`, so it is the second that is held.
    private static final String HISTORY = "before writing";
    /// How many lines are added while a reader joins, at most.
    private static final int PLACES = 8;
    private static final String LEAVE = " Does it `leave` when its stream is gone?";

    /// A build, and what it ought to have in its log.
    private final class Build {
        final String path = "/builds/" + post("/builds", null)
                .expect(201, DONE_ALREADY)
                .expectJson("build", "\"build\": its id", id -> true, DONE_ALREADY)
                .json().path("build").asString();
        final List<String> lines = new ArrayList<>();

        Build(int count) {
            for (int i = 0; i < count; i++) say(word(number(3, 8)));
        }

        int size() {
            return lines.size();
        }

        void say(String text) {
            lines.add(text);
            accepted(post(path + "/lines", json("text", text)));
        }

        void accepted(Answer answer) {
            answer.expect(202, "The build is not finished, so it takes one more.")
                    .expectJson("id", size(),
                            "Events are numbered from 1 in each log.");
        }

        /// @return the status
        String finish() {
            String status = random.nextBoolean() ? "passed" : "failed";
            lines.add(status);
            accepted(post(path + "/finish", json("status", status)));
            return status;
        }

        /// Asks for the log, and waits until the stream is open.
        EventStreamClient follow(String query, String... headers) {
            EventStreamClient reader = EventStreamClient.connect(node, transcript)
                    .follow(path + "/log" + query, headers);
            reader.answer().expect(200, "The log is there, and more may come.");
            return reader;
        }

        /// The reader must get the lines after number `seen`.
        void expectAfter(int seen, EventStreamClient reader, String likely) {
            for (int i = seen + 1; i <= size(); i++) {
                reader.expect(i, "line", lines.get(i - 1), likely);
            }
        }
    }

    @Requirement(id = "04.1", points = 2, todo = 2)
    @DisplayName("a log is an event stream: from its first line, and on as it grows")
    void stream() {
        Build build = new Build(number(2, 4));
        Build other = new Build(1);
        try (EventStreamClient reader = EventStreamClient.connect(node, transcript);
                EventStreamClient empty = new Build(0).follow("")) {
            expectStream(reader.follow(build.path + "/log").answer());
            build.say(word(6));
            build.expectAfter(0, reader,
                    "A reader without an id gets the log from its first line.");
            expectRetry(reader);
            int shown = build.size();
            other.say(word(5));
            for (int i = 0; i < 3; i++) {
                build.say(word(6));
                build.expectAfter(shown++, reader,
                        "A stream stays open, and takes each new line of its own build.");
            }
        }
        for (String seen : List.of("1", word(3))) {
            try (EventStreamClient reader =
                    EventStreamClient.connect(node, transcript)) {
                reader.follow(build.path + "/log", "Last-Event-ID", seen);
                if (reader.answer().status() == 200) expectRetry(reader.skip(NEXT));
            }
        }
        build.finish();
        try (EventStreamClient late = EventStreamClient.connect(node, transcript)) {
            Answer answer = late.follow(build.path + "/log").answer();
            if (answer.status() == 200) expectStream(answer); // 04.6 asks for the rest
        }
    }

    private static void expectStream(Answer answer) {
        answer.expect(200, "The log is there, and more may come.")
                .expectHeader("Content-Type", "Content-Type: text/event-stream",
                        type -> type.toLowerCase().matches("text/event-stream *(;.*)?"),
                        "EventSource takes no other type.")
                .expectHeader("Cache-Control", "Cache-Control: no-cache",
                        value -> List.of(value.toLowerCase().split("[\\s,]+"))
                                .contains("no-cache"),
                        "Without no-cache something on the way may keep the answer.");
    }

    /// The reader has had an event, and must have been told before when to come back.
    private void expectRetry(EventStreamClient reader) {
        if (reader.retry().equals("1000")) return;
        throw transcript.failure("retry: 1000",
                reader.retry().isEmpty() ? "no retry before the first event"
                        : "retry: " + reader.retry(),
                -1, "Every stream begins with `retry: 1000` and a blank line.");
    }

    @Requirement(id = "04.2", points = 2, todo = 1)
    @DisplayName("a text arrives unchanged, whatever it holds; only CR, LF and CRLF end a line")
    void text() {
        List<String> texts = new ArrayList<>(List.of("%s\n%s", "%s\r\n%s", "%s\r%s",
                " %s", "", "\n%s", "%s\n\n%s", "%s\n", "\r", "%s\r\n\r%s\n\r%s",
                "  %s\n   %s",
                ":%s", "%s: %s", "data: %s", "%s\nid: 9\nevent: done\n\ndata: %s",
                "50%% %d %n", "\\n%s\\", "\t%s\u00e9\u20ac\ud83d\ude00",
                "%s\u2028%s\u0085%s\u000b%s\f"));
        Collections.shuffle(texts, random);
        Build build = new Build(0);
        try (EventStreamClient live = build.follow("")) {
            for (String text : texts) {
                build.say(text.replace("%s", word(3)));
                expectText(build, build.size(), live);
            }
        }
        try (EventStreamClient late = build.follow("")) {
            build.say(word(4));
            for (int i = 1; i <= build.size(); i++) expectText(build, i, late);
        }
    }

    private static void expectText(Build build, int id, EventStreamClient reader) {
        String text = build.lines.get(id - 1);
        reader.expect(id, "line", text.replaceAll("\r\n?", "\n"),
                DATA);
    }

    @Requirement(id = "04.3", points = 2, todo = 2)
    @DisplayName("a reader that comes back gets what it has missed, and nothing twice")
    void resume() {
        Build build = new Build(number(4, 6));
        int seen = number(1, build.size() - 2);
        int other = number(seen + 1, build.size());
        String likely =
                "The reader has seen event " + seen + ", so it needs those after it.";
        expectResumed(build, seen, likely, "", "Last-Event-ID", "" + seen);
        expectResumed(build, seen, likely, "?lastEventId=" + seen);
        expectResumed(build, seen, HEADER_WINS, "?lastEventId=" + other,
                "Last-Event-ID", "" + seen);
        expectResumed(build, other, HEADER_WINS, "?lastEventId=" + seen,
                "Last-Event-ID", "" + other);
        if (idOfFirst(build, "?lastEventId=" + seen, word(4)).equals("" + (seen + 1))) {
            throw transcript.failure("event: reset", "id: " + (seen + 1), -1,
                    HEADER_WINS);
        }
        expectResumed(build, 0, "An empty lastEventId is none: the whole log.",
                "?lastEventId=");
        expectResumed(build, 0, "An empty Last-Event-ID is none: the whole log.", "",
                "Last-Event-ID", "");
        expectResumed(build, seen, "An empty Last-Event-ID is none: the query counts.",
                "?lastEventId=" + seen, "Last-Event-ID", "");
        expectResumed(build, build.size(),
                "The reader has it all, so only what is new follows.",
                "", "Last-Event-ID", "" + build.size());
    }

    /// The id of the first event that such a reader gets: "" where it has none, "none" where there
    /// is no stream.
    private String idOfFirst(Build build, String query, String seen) {
        try (EventStreamClient reader = EventStreamClient.connect(node, transcript)) {
            reader.follow(build.path + "/log" + query, "Last-Event-ID", seen);
            if (reader.answer().status() != 200) return "none";
            build.say(word(5));
            return reader.skip(NEXT).id();
        }
    }

    /// One more line shows that nothing else came before.
    private void expectResumed(Build build, int seen, String likely, String query,
            String... headers) {
        try (EventStreamClient reader = build.follow(query, headers)) {
            build.say(word(5));
            build.expectAfter(seen, reader, likely);
        }
    }

    @Requirement(id = "04.4", points = 2, todo = 3)
    @DisplayName("an id that is not of this log: reset, then the log from its first line")
    void reset() {
        Build build = new Build(number(2, 4));
        new Build(9);
        int size = build.size();
        for (String id : List.of("0", "-1", "-" + number(2, 9), "0" + size, size + ".0",
                "+" + size, word(4), size + "x", "99999999999", "" + Long.MAX_VALUE,
                "4294967297", "18446744073709551617")) {
            expectReset(build, "", "Last-Event-ID", id);
        }
        int next = build.size() + 1;
        expectReset(build, "", "Last-Event-ID", "" + next); // and then it is given
        if (idOfFirst(build, "", "" + next).isEmpty()) {
            throw transcript.failure("event: line", "an event without an id", -1,
                    "This id was unknown before, and now it is given: no reset.");
        }
        for (String query : List.of("%D9%A1", // an Arabic 1
                "%20" + size, size + "%20", size + "%0Aevent:%20line")) {
            expectReset(build, "?lastEventId=" + query);
        }
        expectReset(new Build(0), "", "Last-Event-ID", "1");
    }

    /// One more line shows that nothing else came before.
    private void expectReset(Build build, String query, String... headers) {
        try (EventStreamClient reader = build.follow(query, headers)) {
            build.say(word(5));
            reader.expect("", "reset", "{}",
                    "This log has given no such id: say so with `reset`, which has no id.");
            build.expectAfter(0, reader, "After `reset` the whole log follows.");
        }
    }

    @Requirement(id = "04.5", points = 3, todo = 4)
    @DisplayName("what is added while a reader joins reaches it, once and in order")
    void join() {
        List<String> places = Arrays.asList("before reading", "after reading",
                "before joining", "before telling", HISTORY);
        Collections.shuffle(places, random);
        for (int i = 0; i < places.size(); i++) join(places.get(i), i % 2);
        joinAgainAndAgain();
        liveInOrder();
    }

    /// Adds a line each time that the joining thread comes to a place, unless it has to wait.
    private void joinAgainAndAgain() {
        String[] places = {"after reading", "before joining", "before writing"};
        Build build = new Build(0);
        try (EventStreamClient reader = EventStreamClient.connect(node, transcript);
                EventStreamClient builder = reader.another()) {
            pauses().hold(places);
            reader.follow(build.path + "/log");
            boolean passed = true;
            for (int i = 0; passed && i < PLACES; i++) {
                Pauses.Held held = arrival(reader);
                pauses().holdNoMore();
                if (held == null) break;
                transcript.step("# in the middle of that:");
                String line = word(5);
                say(builder, build.path + "/lines", json("text", line));
                held.letPass(builder::isReadable);
                passed = builder.isReadable();
                if (passed) pauses().hold(places);
                held.close();
                build.lines.add(line);
                build.accepted(builder.answer());
            }
            pauses().reset();
            reader.answer().expect(200, "The log is there, and more may come.");
            build.say(word(4));
            build.expectAfter(0, reader, "Each event" + ONE_STEP);
        }
    }

    /// Holds a thread that writes a line to a reader, and adds another line.
    private void liveInOrder() {
        Build build = new Build(1);
        try (EventStreamClient reader = build.follow("");
                EventStreamClient builder = reader.another();
                EventStreamClient another = builder.another()) {
            build.expectAfter(0, reader, NEXT);
            String first = word(5);
            String second = word(6);
            pauses().hold("before writing");
            say(builder, build.path + "/lines", json("text", first));
            try (Pauses.Held held = pauses().next(SOON)) {
                pauses().holdNoMore();
                transcript.step("# in the middle of that, before writing:");
                say(another, build.path + "/lines", json("text", second));
                if (held != null) held.letPass(reader::isReadable);
            }
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
    private void join(String place, int seen) {
        Build build = new Build(number(2, 4));
        String line = json("text", word(7));
        try (EventStreamClient reader = EventStreamClient.connect(node, transcript);
                EventStreamClient builder = reader.another()) {
            Runnable joins = () -> reader.follow(build.path + "/log",
                    seen == 0 ? new String[0]
                            : new String[] {"Last-Event-ID", "" + seen});
            Runnable adds = () -> say(builder, build.path + "/lines", line);
            boolean linesFirst = place.equals("before telling");
            if (linesFirst) meanwhile(place, adds, builder, joins, reader);
            else meanwhile(place, joins, reader, adds, builder);
            build.lines.add(JsonMapper.shared().readTree(line).path("text").asString());
            build.accepted(builder.answer());
            reader.answer().expect(200, "The log is there, and more may come.");
            build.say(word(4));
            build.expectAfter(seen, reader, "Event " + (build.size() - 1) + ONE_STEP);
        }
    }

    /// Posts, and does not wait for the answer.
    private void say(EventStreamClient builder, String path, String body) {
        transcript.curl("POST", path, body, "Content-Type", "application/json");
        builder.send("POST", path, body);
    }

    /// Begins the first and holds it at a place, until the second is answered or waits for it.
    private void meanwhile(String place, Runnable begin, EventStreamClient first,
            Runnable between, EventStreamClient second) {
        pauses().hold(place, place.equals(HISTORY) ? 2 : 1);
        begin.run();
        try (Pauses.Held held = arrival(first)) {
            pauses().holdNoMore();
            transcript.step("# in the middle of that, " + place + ":");
            between.run();
            if (held != null) held.letPass(second::isReadable);
        }
        pauses().reset();
    }

    /// @return null where the request is answered, and does not come to the place soon after
    private Pauses.Held arrival(EventStreamClient first) {
        for (int i = 0; i < SOON / 5 && !first.isReadable(); i++) {
            Pauses.Held held = pauses().next(5);
            if (held != null) return held;
        }
        return pauses().next(20);
    }

    @Requirement(id = "04.6", points = 3, todo = 4)
    @DisplayName("done ends the stream, then 204 keeps the reader away; who has left is forgotten")
    void end() {
        Build build = new Build(number(2, 4));
        try (EventStreamClient observer = EventStreamClient.connect(node, transcript);
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
            String likely =
                    "The reader has `done`: 204 keeps EventSource from coming back.";
            get(build.path + "/log", "Last-Event-ID", "" + (lines + 1))
                    .expect(204, likely);
            get(build.path + "/log?lastEventId=" + (lines + 1)).expect(204, likely);
            try (EventStreamClient stranger =
                    EventStreamClient.connect(node, transcript)) {
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
        finishMeanwhile("before reading");
        finishMeanwhile("after reading");
        finishMeanwhile("before joining");
        finishMeanwhile(HISTORY);
    }

    /// Holds the reader's request at a place, and finishes the build meanwhile.
    private void finishMeanwhile(String place) {
        Build build = new Build(number(1, 3));
        String status = random.nextBoolean() ? "passed" : "failed";
        String body = json("status", status);
        try (EventStreamClient reader = EventStreamClient.connect(node, transcript);
                EventStreamClient builder = reader.another()) {
            meanwhile(place, () -> reader.follow(build.path + "/log"), reader,
                    () -> say(builder, build.path + "/finish", body), builder);
            builder.answer().expect(202, DONE_ALREADY);
            reader.answer().expect(200, "The reader has not seen `done` yet.");
            build.expectAfter(0, reader, NEXT);
            expectDone(build.size() + 1, status, reader);
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
        long end = System.nanoTime() + SOON * 1_000_000L;
        while (true) {
            Answer answer = observer.send("GET", "/streams", null).answer();
            boolean right = answer.json().path("streams").doubleValue() == wanted;
            if (right) return;
            if (System.nanoTime() > end) answer.expectJson("streams", wanted, likely);
        }
    }
}
