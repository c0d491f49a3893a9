package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.requirement.Requirements;
import java.util.ArrayList;
import java.util.List;

/// 04 Server-sent events: a build's log.
abstract sealed class ServerSentEvents extends Requirements
        permits ServerSentEventsStream, ServerSentEventsResume, ServerSentEventsLive {
    static final String NEXT = "This must be the next event of this log.";

    /// A build, and what it ought to have in its log.
    final class Build {
        final String path = "/builds/" + post("/builds", "{}")
                .expect(201, DONE_ALREADY)
                .expectJson("build", "\"build\": its id", id -> true, DONE_ALREADY)
                .json().path("build").asString();
        final List<String> lines = new ArrayList<>();
        boolean isFinished;

        Build(int count) {
            transcript.made(path, "\n# gives " + path);
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

        /// Finishes it, and counts `done` as the last of its lines.
        Build finished() {
            finish();
            isFinished = true;
            return this;
        }

        /// Can its log be followed while it runs? If not, TODO 4 is open.
        boolean isFollowed() {
            try (EventStreamClient probe = connect()) {
                return probe.send("GET", path + "/log", null).answer().status() != 501;
            }
        }

        /// Asks for the log, and waits until the stream is open.
        EventStreamClient follow(String query, String... headers) {
            EventStreamClient reader = connect().follow(path + "/log" + query, headers);
            reader.answer().expect(200, "The log is there, and more may come.");
            return reader;
        }

        /// The reader must get what comes after number `seen`.
        void expectAfter(int seen, EventStreamClient reader, String likely) {
            for (int i = seen + 1; i <= size(); i++) {
                reader.expect(i, isFinished && i == size() ? "done" : "line",
                        lines.get(i - 1), likely);
            }
        }
    }

    EventStreamClient connect() {
        return EventStreamClient.connect(node, transcript);
    }
}
