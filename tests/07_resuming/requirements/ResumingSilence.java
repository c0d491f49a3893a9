package requirements;

import grader.client.Failure;
import grader.requirement.Requirement;
import grader.stage.Patience;
import org.junit.jupiter.api.DisplayName;

/// When the mirror gives a connection up.
final class ResumingSilence extends Resuming {
    private static final int SILENCE_MS = 300;

    /// Whether it failed as a process does that was not given a processor in time.
    private boolean late;

    @Requirement(id = "07.5", points = 3, todo = 4)
    @DisplayName("a connection is given up after silence, and not while bytes come")
    void silence() {
        int silence = Math.min(Patience.ms(SILENCE_MS), 4 * SILENCE_MS);
        for (int more = 2; true; more--, silence *= 2) {
            late = false;
            try {
                silence(silence);
                return;
            } catch (Failure failure) {
                if (more == 0 || !late) throw failure;
            }
        }
    }

    private void silence(int silenceMs) {
        begin(silenceMs);
        open();
        String cursor = word(4);
        item(cursor);
        note("each " + silenceMs / 3 + " ms it sends half of a comment");
        for (int i = 0; i < 8; i++) {
            boolean left = call.isLeft(silenceMs / 3);
            call.write(i % 2 == 0 ? ": still" : " here\n");
            if (left) {
                late = true;
                throw fails("the connection stays",
                        "it was left while bytes came", -1,
                        "Each byte begins the time anew: take the old timer back.");
            }
        }
        long wrote = System.nanoTime(); // before the act: the bytes may be there at once
        item(null);
        expectNews(DONE_ALREADY);
        note("it says nothing any more");
        String dead = "Silence of SILENCE_MS is an end, as any other.";
        if (!call.isLeft(transcript.soon + silenceMs)) {
            throw fails("the connection is given up",
                    "still open " + transcript.within(), -1, dead);
        }
        expectAfter(silenceMs, wrote);
        expectStream(cursor, dead);
        note("it does not answer");
        expectStream(cursor, "An agency that does not answer is silent, too.");
        expectAfter(2 * silenceMs, wrote); // one silence after the other
        open();
        expectState("live", DONE_ALREADY);
    }

    private void expectAfter(int silenceMs, long since) {
        long took = (System.nanoTime() - since) / 1_000_000;
        if (took >= silenceMs) return;
        throw fails("at least " + silenceMs + " ms of silence",
                "it was left after " + took + " ms", -1,
                "SILENCE_MS counts from the last byte.");
    }
}
