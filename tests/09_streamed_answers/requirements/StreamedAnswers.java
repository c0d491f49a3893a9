package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.client.HttpConnection;
import grader.requirement.Requirements;
import grader.requirement.SideBySide;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import tools.jackson.databind.JsonNode;

/// 09 Streamed answers: a translator. The grader holds its work before a word.
@SideBySide
abstract sealed class StreamedAnswers extends Requirements
        permits StreamedAnswersRead, StreamedAnswersGrace, StreamedAnswersAsked {
    static final int LONG_MS = 600_000;
    private static final String WORD = "word";
    static final String NUMBERED = "Each word comes once, with its number.";

    final List<EventStreamClient> open = new ArrayList<>();
    HttpConnection line;
    List<String> source;
    String path;

    @AfterEach
    void leave() {
        open.forEach(EventStreamClient::close);
    }

    void begin(int graceMs, int wordMs) {
        node = stage.node(Stage.A,
                Map.of("GRACE_MS", "" + graceMs, "WORD_MS", "" + wordMs));
        transcript.afresh();
        transcript.act("GRACE_MS=" + graceMs + " WORD_MS=" + wordMs
                + " ./jbang exercises/09_streamed_answers.java (started anew)");
        line = connect(null);
        Stage.until(transcript.soon, () -> running() == 0); // of another requirement
        draw();
    }

    void draw() {
        source = new ArrayList<>();
        for (int i = 0; i < 8; i++) source.add(word(number(3, 7)));
    }

    String body() {
        return json("text", String.join(" ", source));
    }

    /// Asks for the translation, and reads the head of the answer.
    EventStreamClient ask(String... headers) {
        transcript.curl("POST", "/translations", body(), headers);
        EventStreamClient reader = EventStreamClient.connect(node, transcript)
                .send("POST", "/translations", body(), headers);
        open.add(reader);
        path = reader.answer().expect(200, DONE_ALREADY).header("Location");
        return reader;
    }

    EventStreamClient follow(int after) {
        EventStreamClient reader = EventStreamClient.connect(node, transcript)
                .follow(path + "?after=" + after);
        open.add(reader);
        reader.answer().expect(200, DONE_ALREADY);
        return reader;
    }

    private String translated(int n) {
        return '"' + new StringBuilder(source.get(n - 1)).reverse().toString() + '"';
    }

    void expect(EventStreamClient reader, int from, int to, String likely) {
        for (int n = from; n <= to; n++) {
            reader.expect(n, "message", translated(n), likely);
        }
    }

    void expectDone(EventStreamClient reader, String how, String likely) {
        reader.expect(reader.id(), how, "", likely);
        reader.expectEnd("After `" + how + "` the stream ends.");
    }

    private JsonNode work() {
        return line.ask("GET", "/work", null).json();
    }

    int running() {
        return work().path("running").asInt(-1);
    }

    int made() {
        return work().path("made").asInt(-1);
    }

    void expectNothingRuns(String likely) {
        Answer answer = get("/work").expect(200, DONE_ALREADY);
        if (answer.json().path("running").asInt(-1) == 0) return;
        throw answer.failure("\"running\" is 0", -1, likely);
    }

    Meeting held(int word) {
        return stage.meeting(word, WORD);
    }

    void expectMade(int expected, int made, String likely) {
        if (made == expected) return;
        throw transcript.failure(expected + " words are made", "" + made, -1, likely);
    }
}
