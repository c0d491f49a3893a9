package requirements;

import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// What a reader gets, from the beginning or after a return.
final class StreamedAnswersRead extends StreamedAnswers {
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
}
