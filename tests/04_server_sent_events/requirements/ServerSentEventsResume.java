package requirements;

import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// A reader that comes back with the last id that it has seen.
final class ServerSentEventsResume extends ServerSentEvents {
    private static final String HEADER_WINS =
            "The header Last-Event-ID wins over the query,"
                    + " as EventSource keeps asking for the same URL.";

    @Requirement(id = "04.3", points = 2, todo = 1)
    @DisplayName("a reader that comes back gets what it has missed, and nothing twice")
    void resume() {
        resume(new Build(number(4, 6)).finished());
        transcript.afresh();
        Build build = new Build(number(4, 6));
        if (!build.isFollowed()) return; // TODO 4, and not what is asked here
        resume(build);
        expectResumed(build, build.size(),
                "The reader has it all, so only what is new follows.",
                "", "Last-Event-ID", "" + build.size());
    }

    private void resume(Build build) {
        int seen = number(1, build.size() - 2);
        int other = number(seen + 1, build.size() - 1);
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
    }

    /// The id of the first event that such a reader gets: "" where it has none, "none" where there
    /// is no stream.
    private String idOfFirst(Build build, String query, String seen) {
        try (EventStreamClient reader = connect()) {
            reader.follow(build.path + "/log" + query, "Last-Event-ID", seen);
            if (reader.answer().status() != 200) return "none";
            if (!build.isFinished) build.say(word(5));
            return reader.skip(NEXT).id();
        }
    }

    /// One more line shows that nothing else came before.
    private void expectResumed(Build build, int seen, String likely, String query,
            String... headers) {
        try (EventStreamClient reader = build.follow(query, headers)) {
            if (!build.isFinished) build.say(word(5));
            build.expectAfter(seen, reader, likely);
        }
    }

    @Requirement(id = "04.4", points = 2, todo = 3)
    @DisplayName("an id that is not of this log: reset, then the log from its first line")
    void reset() {
        new Build(9);
        reset(new Build(number(2, 4)).finished());
        transcript.afresh();
        Build build = new Build(number(2, 4));
        if (!build.isFollowed()) return; // TODO 4, and not what is asked here
        reset(build);
        transcript.afresh();
        build = new Build(number(2, 4));
        int next = build.size() + 1;
        expectReset(build, "", "Last-Event-ID", "" + next); // and then it is given
        if (idOfFirst(build, "", "" + next).isEmpty()) {
            throw transcript.failure("event: line", "an event without an id", -1,
                    "This id was unknown before, and now it is given: no reset.");
        }
        expectReset(new Build(0), "", "Last-Event-ID", "1");
    }

    private void reset(Build build) {
        int size = build.size();
        for (String id : List.of("0", "-1", "-" + number(2, 9), "0" + size, size + ".0",
                "+" + size, "" + (size + number(20, 99)), word(4), size + "x",
                "99999999999", "" + Long.MAX_VALUE,
                "4294967297", "18446744073709551617")) {
            expectReset(build, "", "Last-Event-ID", id);
        }
        for (String query : List.of("%D9%A1", // an Arabic 1
                "%20" + size, size + "%20", size + "%0Aevent:%20line")) {
            expectReset(build, "?lastEventId=" + query);
        }
    }

    /// One more line shows that nothing else came before.
    private void expectReset(Build build, String query, String... headers) {
        try (EventStreamClient reader = build.follow(query, headers)) {
            if (!build.isFinished) build.say(word(5));
            about(3);
            reader.expect("", "reset", "{}",
                    "This log has given no such id: say so with `reset`, which has no id.");
            about(1);
            build.expectAfter(0, reader, "After `reset` the whole log follows.");
        }
    }
}
