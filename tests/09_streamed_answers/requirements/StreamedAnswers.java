package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.client.HttpConnection;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import grader.stage.Meeting;
import grader.stage.Patience;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// 09 Streamed answers: a translator. The grader holds its work before a word.
@DisplayName("09 Streamed answers: a translator")
final class StreamedAnswers extends Requirements {
    private static final int LONG_MS = 600_000;
    private static final int GRACE_MS = 300;
    private static final int SHORT_MS = 300;
    private static final String WORD = "word";
    private static final String NUMBERED = "Each word comes once, with its number.";

    private final List<EventStreamClient> open = new ArrayList<>();
    private HttpConnection line;
    private List<String> source;
    private String path;

    @AfterEach
    void leave() {
        open.forEach(EventStreamClient::close);
    }

    private void begin(int graceMs, int wordMs) {
        node = stage.node(Stage.A,
                Map.of("GRACE_MS", "" + graceMs, "WORD_MS", "" + wordMs));
        transcript.afresh();
        transcript.act("GRACE_MS=" + graceMs + " WORD_MS=" + wordMs
                + " ./jbang exercises/09_streamed_answers.java (started anew)");
        line = connect(null);
        Stage.until(transcript.soon, () -> running() == 0); // of another requirement
        draw();
    }

    private void draw() {
        source = new ArrayList<>();
        for (int i = 0; i < 8; i++) source.add(word(number(3, 7)));
    }

    private String body() {
        return json("text", String.join(" ", source));
    }

    /// Asks for the translation, and reads the head of the answer.
    private EventStreamClient ask(String... headers) {
        transcript.curl("POST", "/translations", body(), headers);
        EventStreamClient reader = EventStreamClient.connect(node, transcript)
                .send("POST", "/translations", body(), headers);
        open.add(reader);
        path = reader.answer().expect(200, DONE_ALREADY).header("Location");
        return reader;
    }

    private EventStreamClient follow(int after) {
        EventStreamClient reader = EventStreamClient.connect(node, transcript)
                .follow(path + "?after=" + after);
        open.add(reader);
        reader.answer().expect(200, DONE_ALREADY);
        return reader;
    }

    private String translated(int n) {
        return '"' + new StringBuilder(source.get(n - 1)).reverse().toString() + '"';
    }

    private void expect(EventStreamClient reader, int from, int to, String likely) {
        for (int n = from; n <= to; n++) {
            reader.expect(n, "message", translated(n), likely);
        }
    }

    private void expectDone(EventStreamClient reader, String how, String likely) {
        reader.expect(reader.id(), how, "", likely);
        reader.expectEnd("After `" + how + "` the stream ends.");
    }

    private JsonNode work() {
        return line.ask("GET", "/work", null).json();
    }

    private int running() {
        return work().path("running").asInt(-1);
    }

    private int made() {
        return work().path("made").asInt(-1);
    }

    private void expectNothingRuns(String likely) {
        Answer answer = get("/work").expect(200, DONE_ALREADY);
        if (answer.json().path("running").asInt(-1) == 0) return;
        throw answer.failure("\"running\" is 0", -1, likely);
    }

    @Requirement(id = "09.1", points = 1, todo = 1)
    @DisplayName("a reader that stays gets each word with its number, and done")
    void healthy() {
        begin(LONG_MS, 0);
        Meeting meeting = held(1);
        EventStreamClient reader = ask();
        meeting.first(() -> false);
        Stage.until(transcript.soon, () -> running() == 1);
        meeting.letGo();
        expect(reader, 1, source.size(), NUMBERED);
        expectDone(reader, "done", DONE_ALREADY);
    }

    @Requirement(id = "09.2", points = 3, todo = 1)
    @DisplayName("who comes back gets all after its number, each word once, and the end, also when all is over")
    void resumes() {
        begin(LONG_MS, 0);
        Meeting meeting = held(4);
        EventStreamClient first = ask();
        if (!meeting.first(() -> running() == 0)) {
            throw transcript.failure("8 words", "fewer", -1, DONE_ALREADY);
        }
        transcript.act("(the work is held before word 4)");
        EventStreamClient back = follow(1);
        expect(back, 2, 3, "What it missed comes first.");
        EventStreamClient level = follow(3);
        meeting.letGo();
        transcript.act("(it goes on)");
        for (EventStreamClient each : List.of(back, level)) {
            expect(each, 4, source.size(), "Then it is a reader like the others.");
            expectDone(each, "done", "It hears the end.");
        }
        first.close();
        EventStreamClient late = follow(source.size() - 2);
        expect(late, source.size() - 1, source.size(), "All is over, but it is kept.");
        expectDone(late, "done", "Who comes when all is over hears the end at once.");

        begin(LONG_MS, 1);
        while (source.size() < 300) source.add(word(number(3, 7)));
        ask();
        transcript.act("(eight readers come while it goes on)");
        List<EventStreamClient> many = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int so = 20 * (i + 1);
            Stage.until(transcript.soon, () -> made() > so);
            many.add(follow(i));
        }
        for (int i = 0; i < many.size(); i++) {
            expect(many.get(i), i + 1, source.size(),
                    "What is missed and what is new are told under one lock.");
        }

        draw();
        held(1);
        ask();
        delete(path).expect(204, DONE_ALREADY);
        if (running() > 0) return; // TODO 3 is open
        expectDone(follow(0), "stopped", "It is over: not all words are there.");
    }

    @Requirement(id = "09.3", points = 3, todo = 2)
    @DisplayName("nobody reads: it goes on for GRACE_MS and then stops; while somebody reads it does not")
    void grace() {
        begin(GRACE_MS, 0);
        Meeting meeting = held(1);
        EventStreamClient one = ask();
        EventStreamClient two = follow(0);
        meeting.first(() -> running() == 0);
        transcript.act("(the work is held before word 1)");
        one.close();
        transcript.act("(the first reader leaves)");
        Stage.until(2 * GRACE_MS, () -> false);
        meeting.letGo();
        transcript.act("(more than GRACE_MS later the work goes on)");
        expect(two, 1, source.size(), NUMBERED);
        expectDone(two, "done", "Somebody is still there.");
        int made = abandoned(4 * GRACE_MS);
        boolean stops = made == 2 || made == 3; // with the word under way, or without
        if (!stops) made = abandoned(10 * GRACE_MS); // a busy machine
        expectMade(made == 2 ? 2 : 3, made,
                "Without a reader for longer than `GRACE_MS` it stops.");

        for (int grace = 3 * GRACE_MS; !returns(grace); grace *= 2);

        begin(LONG_MS, 0);
        expectMade(source.size(), abandoned(GRACE_MS),
                "Within `GRACE_MS` the work goes on.");
    }

    /// A reader that leaves twice, each time for less than the grace.
    ///
    /// @return false where the grader itself was late, and not for the third time
    private boolean returns(int graceMs) {
        begin(graceMs, 0);
        Meeting third = held(3);
        EventStreamClient reader = ask();
        third.first(() -> running() == 0);
        int absence = graceMs * 3 / 5;
        transcript.act(
                "(the work is held before word 3; the reader leaves, comes back after "
                        + absence + " ms, and does both again)");
        long longest = 0;
        for (int i = 0; i < 2; i++) {
            long left = System.nanoTime();
            reader.close();
            Stage.until(absence, () -> false);
            reader = follow(2);
            longest = Math.max(longest, System.nanoTime() - left);
        }
        Stage.until(graceMs * 7 / 10, () -> false);
        third.letGo();
        transcript.act("(" + graceMs * 7 / 10 + " ms later the work goes on)");
        Stage.until(transcript.soon, () -> running() == 0);
        if (longest / 1_000_000 >= graceMs && graceMs < 12 * GRACE_MS) return false;
        expectMade(source.size(), made(),
                "Who comes back in time finds it running; the next absence begins anew.");
        return true;
    }

    private Meeting held(int word) {
        return stage.meeting(word, WORD);
    }

    /// Leaves a translation before its third word, and lets the work go on so much later.
    ///
    /// @return how many words are made in the end
    private int abandoned(int ms) {
        int before = made();
        draw(); // a text of its own
        Meeting meeting = held(3);
        EventStreamClient reader = ask();
        meeting.first(() -> running() == 0);
        transcript.act("(the work is held before word 3)");
        reader.close();
        transcript.act("(the reader leaves)");
        Stage.until(ms, () -> false);
        meeting.letGo();
        transcript.act("(" + ms + " ms later the work goes on)");
        Stage.until(transcript.soon, () -> running() == 0);
        return made() - before;
    }

    private void expectMade(int expected, int made, String likely) {
        if (made == expected) return;
        throw transcript.failure(expected + " words are made", "" + made, -1, likely);
    }

    @Requirement(id = "09.4", points = 3, todo = 3)
    @DisplayName("DELETE stops it at once: when the 204 comes nothing runs, and no word is made any more")
    void stops() {
        begin(LONG_MS, SHORT_MS / 3); // an interrupt frees what is held, too
        int before = made();
        Meeting meeting = held(1);
        EventStreamClient reader = ask();
        meeting.first(() -> running() == 0);
        transcript.act("(the work is held before word 1)");
        delete(path).expect(204, DONE_ALREADY);
        expectNothingRuns("It is down before the answer, whatever the work is at.");
        expectDone(reader, "stopped", "Its readers hear that it was stopped.");
        meeting.letGo();
        transcript.act("(it goes on)");
        delete(path).expect(204, "It is stopped already, and stays so.");
        Stage.until(Patience.ms(SHORT_MS), () -> made() > before);
        expectMade(0, made() - before, "No word is made after the 204.");
    }

    @Requirement(id = "09.5", points = 3, todo = 4)
    @DisplayName("the same key and text: the same translation, also at the same instant; another text: 422; no key: a new one")
    void once() {
        begin(LONG_MS, 0);
        int before = made();
        String[] key = {"Idempotency-Key", "\"" + word(8) + "\""};
        Meeting meeting = stage.meeting(1, "before making").ofBoth();
        transcript.curl("POST", "/translations", body(), key);
        transcript.curl("POST", "/translations", body(), key);
        EventStreamClient one = EventStreamClient.connect(node, transcript);
        EventStreamClient two = one.another();
        open.addAll(List.of(one, two));
        one.send("POST", "/translations", body(), key);
        meeting.first(one::isReadable);
        two.send("POST", "/translations", body(), key);
        meeting.second(two::isReadable);
        meeting.letGo();
        Answer first = one.answer().expect(200, DONE_ALREADY);
        Answer second = two.answer().expect(200, DONE_ALREADY);
        path = first.header("Location");
        if (!path.equals(second.header("Location"))) {
            throw second.failure("Location: " + path, -1,
                    "Both ask at the same instant, and one translation is made.");
        }
        Stage.until(transcript.soon, () -> running() == 0);
        expectMade(source.size(), made() - before, "One is made for all who ask.");
        String known = path;
        ask(key);
        if (!path.equals(known)) {
            throw transcript.failure("Location: " + known, path, -1,
                    "The key is known.");
        }
        send("POST", "/translations", json("text", word(5)), key).expect(422,
                "The same key for another text is a mistake of the client.");
        expectMade(source.size(), made() - before, "One is made for all who ask.");
        ask();
        String fresh = path;
        ask();
        if (fresh.equals(known) || fresh.equals(path)) {
            throw transcript.failure("another Location", path, -1,
                    "Without a key each is a new translation.");
        }
    }
}
