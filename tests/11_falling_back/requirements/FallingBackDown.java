package requirements;

import grader.requirement.Requirement;
import grader.stage.Upstream;
import org.junit.jupiter.api.DisplayName;

/// When the till goes to a lower transport.
final class FallingBackDown extends FallingBack {
    private static final int FIRST_MS = 200;
    private static final String BEFORE =
            "It has ended before its hello, so it does not work: the next lower one, at once.";

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
}
