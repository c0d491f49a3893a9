package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.stage.Stage;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// What does not fit, and what becomes of a screen that is cut off.
final class SlowConsumersCap extends SlowConsumers {
    private static final int CAP = 60_000;
    private static final int CUT_MS = 200;
    private static final int TRIES = 5;
    private static final int HUGE = 65_000;
    private static final String CUT_OFF =
            "A message that does not fit cuts the screen off, whatever it is.";

    /// Has the line hold just as much as it may.
    private void brim(String user) {
        int tries = TRIES; // the kernel may take one more message meanwhile
        do {
            String own = trades++ + " ";
            int other = json("type", "trade", "user", user, "text", own).length();
            murmur("/trades", json("user", user, "text",
                    own + "n".repeat((int) (CAP - queued(user) - other))));
        } while (queued(user) != CAP && queued(user) >= 0 && --tries > 0);
        transcript.act("(a trade for " + user + " that fills the line, to " + CAP
                + " bytes)");
        expectQueued(user, CAP + ", and not one byte less", queued(user) == CAP,
                "A message that just fits is put into the line.");
    }

    @Requirement(id = "08.4", points = 3, todo = 3)
    @DisplayName("what waits stays within the cap, to the byte; what does not fit cuts the screen off, with 1013")
    void cap() {
        begin(CAP, LONG_MS);
        String user = "ada" + word(3);
        stalled(user);
        fill(user, FILLED);
        publish(price("ACME", 1, 100));
        brim(user);
        long most = 0;
        for (int tries = TRIES; tries > 0 && queued(user) >= 0; tries--) {
            murmur("/prices", prices(price("ACME", 2, 1_000 * (TRIES + 1 - tries))));
            most = Math.max(most, queued(user));
        }
        transcript.act("(a longer price of ACME)");
        expectQueued(user, "never more than " + CAP, most <= CAP,
                "A newer price may be longer than the one that it replaces.");
        expectScreens(user, 0, CUT_OFF);
        WebSocketClient fast = fast("bob" + word(3));
        murmur("/trades", json("user", fast.name, "text", "n".repeat(CAP)));
        transcript.act("(a trade of " + CAP + " bytes for " + fast.name + ")");
        fast.end("1013", "It does not fit, though nothing waits.");
    }

    /// Sends trades, after each a price of ACME, until one does not fit. The first alone is more
    /// than the kernels take, so it is under way for as long as nobody reads.
    ///
    /// @param left how many screens of the user there are then
    /// @return how many
    private int overflow(String user, int left) {
        int n = 0;
        while (n < 4 && screens(user).size() > left) {
            longTrade(user, HUGE);
            murmur("/prices", prices(price("ACME", n++, 5)));
        }
        transcript.act("(trades of 65 KB for " + user
                + ", after each a price of ACME, until one does not fit)");
        expectScreens(user, left,
                "Who reads nothing does not hear the close, and is gone all the same.");
        return n;
    }

    @Requirement(id = "08.5", points = 3, todo = 4)
    @DisplayName("who is cut off is gone at once, though it reads nothing, and its connection ends; the others hear everything meanwhile")
    void cut() {
        begin(2 * HUGE + 10_000, LONG_MS, 1_024);
        String gone = "ada" + word(3);
        WebSocketClient reads = stalled(gone);
        int sent = overflow(gone, 0);
        thaw();
        List<JsonNode> heard =
                trades(reads.end("1013", "Who reads again is told why it ended."));
        if (heard.size() >= sent) {
            throw reads.failure("what was given to the socket, and no more", "all", -1,
                    "What waits for a screen that is cut off is forgotten.");
        }
        expectTrades(reads, heard, 0);

        begin(2 * HUGE + 10_000, CUT_MS, 1_024);
        int first = trades;
        WebSocketClient quick = fast("bob" + word(3));
        String user = "eve" + word(3);
        WebSocketClient other = fast(user);
        WebSocketClient slow = slow(user);
        throttle(1);
        int n = overflow(user, 1);
        expectTrades(other, trades(other.hearAll(json("price", n - 1),
                "A screen that is slow must not delay another.")), first);
        for (int i = 0; i < n; i++) {
            quick.hearNext(json("type", "price", "price", i),
                    "A screen that is slow must not delay another.");
        }
        boolean ended = Stage.until(transcript.soon, () -> {
            slow.stir();
            return slow.hasEnded();
        });
        if (ended) return;
        throw slow.failure("its connection ends after " + CUT_MS + " ms",
                "it is still open", -1,
                "Who reads nothing would keep its connection for ever.");
    }
}
