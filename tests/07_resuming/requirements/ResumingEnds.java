package requirements;

import grader.requirement.Requirement;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// When the mirror does not come back, and when it counts anew.
final class ResumingEnds extends Resuming {
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
