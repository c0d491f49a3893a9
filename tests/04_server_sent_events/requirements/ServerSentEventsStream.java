package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// What a log looks like as an event stream.
final class ServerSentEventsStream extends ServerSentEvents {
    private static final String DATA =
            "Each line of the text needs a `data: ` of its own, with the blank, as a reader"
                    + " drops one. CRLF, CR and LF end a line, nothing else does.";

    @Requirement(id = "04.1", points = 2, todo = 1)
    @DisplayName("a log is an event stream: from its first line, and on as it grows")
    void stream() {
        Build finished = new Build(number(2, 4)).finished();
        try (EventStreamClient reader = connect()) {
            expectStream(reader.follow(finished.path + "/log").answer());
            finished.expectAfter(0, reader,
                    "A reader without an id gets the log from its first line.");
            expectRetry(reader);
        }
        transcript.afresh();
        Build build = new Build(number(2, 4));
        if (!build.isFollowed()) return; // TODO 4, and not what is asked here
        Build other = new Build(1);
        try (EventStreamClient reader = connect();
                EventStreamClient empty = new Build(0).follow("")) {
            expectStream(reader.follow(build.path + "/log").answer());
            build.say(word(6));
            build.expectAfter(0, reader,
                    "A reader without an id gets the log from its first line.");
            expectRetry(reader);
            int shown = build.size();
            other.say(word(5));
            about(4);
            for (int i = 0; i < 3; i++) {
                build.say(word(6));
                build.expectAfter(shown++, reader,
                        "A stream stays open, and takes each new line of its own build.");
            }
        }
        about(1);
        for (String seen : List.of("1", word(3))) {
            try (EventStreamClient reader = connect()) {
                reader.follow(build.path + "/log", "Last-Event-ID", seen);
                if (reader.answer().status() == 200) expectRetry(reader.skip(NEXT));
            }
        }
        build.finish();
        try (EventStreamClient late = connect()) {
            Answer answer = late.follow(build.path + "/log").answer();
            if (answer.status() == 200) expectStream(answer); // 04.6 asks for the rest
        }
    }

    private static void expectStream(Answer answer) {
        answer.expect(200, "The log is there, and more may come.")
                .expectHeader("Content-Type", "Content-Type: text/event-stream",
                        type -> type.toLowerCase().matches("text/event-stream *(;.*)?"),
                        "EventSource takes no other type.")
                .expectNoCache(
                        "Without no-cache something on the way may keep the answer.");
    }

    /// The reader has had an event, and must have been told before when to come back.
    private void expectRetry(EventStreamClient reader) {
        if (reader.retry().equals("1000") && !reader.isRetryInEvent()) return;
        throw transcript.failure("retry: 1000, and a blank line",
                reader.retry().isEmpty() ? "no retry before the first event"
                        : "retry: " + reader.retry() + (reader.isRetryInEvent()
                                ? ", and no blank line before the first event" : ""),
                -1, "Every stream begins with `retry: 1000` and a blank line.");
    }

    @Requirement(id = "04.2", points = 2, todo = 2)
    @DisplayName("a text arrives unchanged, whatever it holds; only CR, LF and CRLF end a line")
    void text() {
        List<String> texts = new ArrayList<>(List.of("%s\n%s", "%s\r\n%s", "%s\r%s",
                " %s", "", "\n%s", "%s\n\n%s", "%s\n", "\r", "%s\r\n\r%s\n\r%s",
                "  %s\n   %s",
                ":%s", "%s: %s", "data: %s", "%s\nid: 9\nevent: done\n\ndata: %s",
                "50%% %d %n", "%%\n%d %n %s", "\\n%s\\", "\t%s\u00e9\u20ac\ud83d\ude00",
                " %s \t",
                "\"%s\" '<b>&amp;%s</b>'", "%s\u0000%s\u0001\u007f", "%s".repeat(5_000),
                "%s\u2028%s\u0085%s\u000b%s\f",
                "%s\n%s\u2028%s\u0085%s\u000b%s\f"));
        Collections.shuffle(texts, random);
        for (String text : texts) {
            transcript.afresh();
            Build finished = new Build(0);
            finished.say(text.replace("%s", word(3)));
            finished.finish();
            try (EventStreamClient late = finished.follow("")) {
                expectText(finished, 1, late);
            }
        }
        transcript.afresh();
        Build build = new Build(0);
        if (!build.isFollowed()) return; // TODO 4, and not what is asked here
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
}
