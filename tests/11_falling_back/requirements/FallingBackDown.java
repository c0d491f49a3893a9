package requirements;

import grader.requirement.Requirement;
import grader.stage.Upstream;
import org.junit.jupiter.api.DisplayName;

/// When the till goes to a lower transport, and when it does not.
final class FallingBackDown extends FallingBack {
    private static final int FIRST_MS = 200;
    private static final int STABLE_MS = 200;
    private static final String BEFORE =
            "It has ended before its hello, so it does not work: the next lower one, at once.";
    private static final String SAME =
            "After a hello, an end tells of a restart, not of a firewall: the same again.";

    @Requirement(id = "11.1", points = 1, todo = 3)
    @DisplayName("in a good network prices come by the WebSocket, and a sale arrives")
    void healthy() {
        Upstream.Call line = begin(LONG_MS, LONG_MS, LONG_MS, LONG_MS);
        accept(line);
        hello(line);
        expectTransport("websocket", DONE_ALREADY);
        String item = word(5);
        say(line, price(item));
        say(line, price(word(4)));
        say(line, price(item));
        expectPrices("Each price is taken.");
        String id = word(6);
        post("/sales", json("id", id, "item", item)).expect(202, DONE_ALREADY);
        Upstream.Call sale = supplier.next(transcript.soon);
        if (sale == null || !sale.path.equals("/wire/sales")) {
            throw transcript.failure("POST /wire/sales at the supplier",
                    sale == null ? "nothing " + transcript.within()
                            : sale.method + " " + sale.path,
                    -1, "A sale that nothing waits before is posted.");
        }
        note("the supplier gets POST /wire/sales");
        answer(sale, 201);
        expectSoon("/sales", "\"waiting\":[]", each -> each.path("waiting").isEmpty(),
                "After 201 a sale waits no more.");
    }

    @Requirement(id = "11.2", points = 3, todo = 1)
    @DisplayName("a transport works once its hello has come; without one, the next lower is tried")
    void down() {
        endsBefore();
        inTime(FIRST_MS, this::silence);
    }

    /// Pauses are never over: who pauses does not come at once.
    private void endsBefore() {
        Upstream.Call upgrade = begin(LONG_MS, LONG_MS, LONG_MS, LONG_MS);
        answer(upgrade, 403);
        Upstream.Call stream = expectAsked(STREAM,
                "An upgrade that is refused does not work: the next lower one, at once.");
        accept(stream);
        end(stream);
        Upstream.Call first = expectAsked(POLL, BEFORE);
        note("a proxy answers 200 with a page of its own");
        first.answer(200, "<p>Welcome!</p>", "Content-Type", "text/html");
        Upstream.Call second = expectAsked(POLL, BEFORE);
        hello(second, price(word(5)));
        expectTransport("short", "The fourth transport is `short`.");
        expectPrices(DONE_ALREADY);
    }

    private void silence(int firstMs) {
        String silent = "No hello in FIRST_MS: give it up, whatever was answered.";
        Upstream.Call upgrade = begin(firstMs, LONG_MS, LONG_MS, LONG_MS);
        accept(upgrade);
        expectStays(upgrade, firstMs / 2, "A hello may take FIRST_MS.");
        end(upgrade);
        Upstream.Call stream = expectAsked(STREAM, BEFORE);
        late = false;
        accept(stream);
        Upstream.Call poll = expectAsked(POLL, silent);
        expectAfter(firstMs, actedAt, poll, "for the hello",
                "Each line has FIRST_MS of its own, from when it was opened.");
        expectLeft(stream, silent);
        late = true;
        hello(poll, price(word(5)));
        Upstream.Call waits = expectAsked(WAIT,
                "A hello has come in time, so the long poll goes on.");
        expectTransport("long", "A hello has come by the long poll.");
        expectStays(waits, 2 * firstMs, "What works is not given up.");
        hello(waits, price(word(5)));
        expectAsked(WAIT, "What works is not given up.");
        expectPrices(DONE_ALREADY);
    }

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
