package requirements;

import grader.requirement.Requirement;
import grader.stage.Upstream;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// How sales come to the supplier.
final class FallingBackSales extends FallingBack {
    private static final String AGAIN =
            "Nobody knows whether it was taken: the same sale again, with the same key.";
    private static final String IN_TURN =
            "One sale at a time, in the order of the shop: the next has to wait.";

    private final List<String> waiting = new ArrayList<>();

    @Requirement(id = "11.5", points = 3, todo = 4)
    @DisplayName("a sale is repeated with its key until it is answered, and the next waits for it")
    void sales() {
        Upstream.Call line = begin(LONG_MS, LONG_MS, LONG_MS, PAUSE_MS);
        accept(line);
        hello(line);
        waiting.clear();
        for (int i = 1; i <= 3; i++) sell();
        Upstream.Call sale =
                arrives("The first sale is posted at once, and its key is its id.");
        note("it takes the sale, and the answer is lost");
        sale = isLost(sale);
        sale = isLost(sale);
        for (int status : new int[] {503, 500}) {
            answer(sale, status);
            sale = again(AGAIN);
        }
        sell();
        expectWaiting("Until there is an answer, a sale waits.");
        isDone(sale, 201);
        sale = arrives(IN_TURN);
        answer(sale, 503);
        sale = again(AGAIN);
        isDone(sale, 201);
        sale = arrives(IN_TURN);
        isDone(sale, 409);
        sale = arrives("409 is an answer, too: the next sale is posted.");
        isDone(sale, 201);
        expectWaiting("After an answer that is no 5xx a sale waits no more.");
        sell();
        isDone(arrives("When no other waits, a sale is posted at once."), 201);
        expectWaiting("After 201 a sale waits no more.");
    }

    private void sell() {
        waiting.add("s" + word(5));
        post("/sales", json("id", waiting.getLast(), "item", word(4)))
                .expect(202, DONE_ALREADY);
    }

    private Upstream.Call arrives(String likely) {
        return expect("POST /wire/sales, Idempotency-Key: \"" + waiting.getFirst()
                + "\"", likely);
    }

    private Upstream.Call again(String likely) {
        long since = actedAt;
        Upstream.Call call = arrives(likely);
        expectAfter(PAUSE_MS / 2, since, call, "until it is repeated",
                "A supplier in trouble is not asked without a pause.");
        return call;
    }

    /// The head of an answer has come, and no more.
    private Upstream.Call isLost(Upstream.Call sale) {
        note("it resets the connection");
        actedAt = System.nanoTime();
        sale.begin(201, "Content-Length", "10");
        sale.reset();
        return again(AGAIN);
    }

    private void isDone(Upstream.Call sale, int status) {
        answer(sale, status);
        waiting.removeFirst();
    }

    private void expectWaiting(String likely) {
        expectSoon("/sales", "\"waiting\":" + json("waiting", waiting)
                .replaceFirst("^\\{\"waiting\":(.*)}$", "$1"),
                sales -> sales.path("waiting").valueStream()
                        .map(each -> each.asString("")).toList().equals(waiting),
                likely);
    }
}
