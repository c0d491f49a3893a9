package requirements;

import grader.client.Failure;
import grader.requirement.Requirement;
import grader.stage.Patience;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// When the mirror comes back, and when it does not.
final class ResumingPauses extends Resuming {
    private static final int MOST_SCALE = 4;
    /// How many pauses at the cap. One in four is above 7/8 of it, and in 4,096 all six.
    private static final int AT_CAP = 6;
    private static final int ROUNDS = 3;
    private static final String PAUSE =
            "The nth pause is from half to all of min(CAP_MS, BASE_MS * 2^(n-1)).";

    private boolean isTooLong;

    /// Waits for the return, and expects it not too early.
    ///
    /// @return the pause, in milliseconds
    private double pause(int n) {
        expectStream(null, "After such an end you come back, after a pause.");
        double took = (call.at - endedAt) / 1e6;
        int limit = limit(n);
        if (took >= limit / 2) return took;
        throw fails("pause " + n + " in a row is " + limit / 2 + " to "
                + limit + " ms", Math.round(took) + " ms", -1, PAUSE);
    }

    private double pauseAfterFault(int n) {
        answer(n % 2 == 0 ? 500 : 503);
        return pause(n);
    }

    private void expectBelow(int most, double took, String what, String likely) {
        if (took < most) return;
        isTooLong = true;
        throw fails(what + " under " + most + " ms",
                Math.round(took) + " ms", -1, likely);
    }

    /// What is too long may be so by chance, or because the machine is busy: it is checked once
    /// more, with longer pauses. On a busy machine they are long from the start.
    private void inTimes(Runnable check) {
        int first = Math.clamp((Patience.ms(1_000) + 999) / 1_000, 1, MOST_SCALE);
        for (scale = first; true; scale *= 2) {
            isTooLong = false;
            try {
                check.run();
                return;
            } catch (Failure failure) {
                if (!isTooLong || scale > first) throw failure;
            }
        }
    }

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

    @Requirement(id = "07.3", points = 3, todo = 2)
    @DisplayName("204, 401 and 410 are final; only a connection that lasted begins the count anew")
    void ends() {
        inTimes(() -> {
            begin(LONG_MS);
            for (int n = 1; n <= 6; n++) { // longer than STABLE_MS together
                open();
                item(null);
                if (n % 2 == 0) reset();
                else end();
                pause(n);
            }
            open();
            expectNews(DONE_ALREADY);
            note("it keeps the connection for " + 2 * scale * STABLE_MS + " ms");
            call.isLeft(2 * scale * STABLE_MS);
            end();
            expectBelow(limit(9) / 2, pause(1),
                    "after a connection that lasted, a pause",
                    "A connection that was open for STABLE_MS begins the count anew.");
            for (int n = 2; n <= 3; n++) {
                answer(n == 2 ? 403 : 404);
                pause(n);
            }
        });
        for (int status : List.of(204, 401, 410)) {
            transcript.afresh();
            follow();
            answer(status);
            expectNoMore(status + " is final.");
            expectState("ended", status + " is final.");
        }
        agency.isSettled = true;
    }
}
