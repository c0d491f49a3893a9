package requirements;

import grader.client.EventStreamClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Stage;
import org.junit.jupiter.api.DisplayName;

/// What becomes of work that nobody reads.
final class StreamedAnswersGrace extends StreamedAnswers {
    private static final int GRACE_MS = 200;

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
        int made = abandoned(2 * GRACE_MS);
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
}
