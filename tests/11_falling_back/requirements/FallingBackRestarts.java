package requirements;

import grader.requirement.Requirement;
import grader.stage.Upstream;
import org.junit.jupiter.api.DisplayName;

/// When the till comes back to the transport that it had.
final class FallingBackRestarts extends FallingBack {
    private static final int STABLE_MS = 200;
    private static final String SAME =
            "After a hello, an end tells of a restart, not of a firewall: the same again.";

    @Requirement(id = "11.3", points = 3, todo = 2)
    @DisplayName("an end after a hello, 502 and 503 lead to the same again, three quick ends to the next")
    void restarts() { inTime(STABLE_MS, this::restarts); }

    private void restarts(int stableMs) {
        Upstream.Call line = begin(LONG_MS, stableMs, LONG_MS, PAUSE_MS);
        late = false;
        for (int round = 1; round <= 5; round++) {
            works(line, "websocket");
            say(line, price(word(5)));
            expectPrices(DONE_ALREADY);
            if (round == 3) {
                note("it keeps the connection for " + 2 * stableMs + " ms");
                expectStays(line, 2 * stableMs, "What works is not left.");
            }
            end(line);
            line = returns(UPGRADE, round < 3 ? SAME
                    : "A line that lasted for STABLE_MS begins the count anew.");
        }
        for (int status : new int[] {503, 502, 503}) {
            answer(line, status);
            line = returns(UPGRADE, status
                    + " tells of a restart: the same again, and no end that counts.");
        }
        works(line, "websocket");
        expectStays(line, stableMs, "What works is not left.");
        end(line);
        line = returns(UPGRADE, SAME);
        late = true;
        for (String transport : new String[] {"websocket", "events"}) {
            String asked = transport.equals("events") ? STREAM : UPGRADE;
            for (int round = 1; round <= 3; round++) {
                if (round == 2) {
                    note("its hello takes " + stableMs + " ms");
                    expectStays(line, stableMs, "FIRST_MS is not over.");
                }
                works(line, transport);
                end(line);
                if (round < 3) line = returns(asked, SAME);
            }
            line = expectAsked(asked.equals(STREAM) ? POLL : STREAM,
                    "Three ends in a row, each soon after its hello: the next lower one.");
        }
        hello(line);
        expectTransport("long", "A hello has come by the long poll.");
    }

    private void works(Upstream.Call line, String transport) {
        accept(line);
        hello(line);
        expectTransport(transport, DONE_ALREADY);
    }

    /// The same transport again, after a pause.
    private Upstream.Call returns(String asked, String likely) {
        long since = actedAt;
        Upstream.Call call = expectAsked(asked, likely);
        expectAfter(PAUSE_MS / 2, since, call, "until it comes back",
                "A supplier that restarts is not called without a pause.");
        return call;
    }
}
