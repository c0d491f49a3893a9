package requirements;

import grader.client.Answer;
import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Patience;
import grader.stage.Stage;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// Who asks to stop it, and who asks for it once more.
final class StreamedAnswersAsked extends StreamedAnswers {
    private static final int SHORT_MS = 300;

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
