package requirements;

import grader.requirement.Requirement;
import org.junit.jupiter.api.DisplayName;

/// When the mirror comes back.
final class ResumingPauses extends Resuming {
    /// How many pauses at the cap. One in four is above 7/8 of it, and in 4,096 all six.
    private static final int AT_CAP = 6;
    private static final int ROUNDS = 3;

    @Requirement(id = "07.2", points = 3, todo = 1)
    @DisplayName("pauses grow up to the cap, are random, and respect Retry-After")
    void pauses() {
        inTimes(() -> {
            begin(LONG_MS);
            double third = Double.MAX_VALUE;
            for (int round = 1; round <= ROUNDS; round++) {
                if (round > 1) follow();
                pauseAfterFault(1);
                pauseAfterFault(2);
                third = Math.min(third, pauseAfterFault(3));
            }
            expectBelow(limit(3), third, "one of " + ROUNDS + " third pauses", PAUSE);
            pauseAfterFault(4);
            double least = Double.MAX_VALUE;
            for (int n = 5; n <= 4 + AT_CAP; n++) {
                least = Math.min(least, pauseAfterFault(n));
            }
            expectBelow(limit(9) * 7 / 8, least,
                    "one of " + AT_CAP + " pauses at the cap",
                    "At the cap, too, they are random: from half to all of it.");
            int seconds = limit(9) / 1_000 + 1; // above the cap
            answer(503, "Retry-After", "" + seconds);
            expectStream(null, "After 503 you come back, after a pause.");
            double took = (call.at - endedAt) / 1e6;
            if (took < 1_000 * seconds) {
                throw fails("at least " + 1_000 * seconds
                        + " ms until the next request", Math.round(took) + " ms", -1,
                        "`Retry-After` may ask for more than the limit, and gets it.");
            }
        });
        agency.isSettled = true;
    }
}
