///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a food order on its way
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 02_long_polling.java
//FILES 02_long_polling.html=../exercises/02_long_polling.html

// %% [markdown]
// # 02 - Exercise: a food order on its way
//
// A hungry customer watches the order: placed, accepted, cooking, on its
// way, delivered. The page holds one long poll at a time, and the family
// at home follows the same order on other phones.
//
// **The twist.** An order passes through many steps, and some come almost
// at once. So an answer lists every step that the client has not seen.
//
// ## What it must do
//
// ```
// POST /orders {}        201 {"id":"x7","version":1,"steps":["placed"]}
// GET /orders/x7?since=1&timeout=9000
//                        is held, until somebody posts a step:
// POST /orders/x7/steps {"step":"cooking"}
//                        200 {"version":2}, and the one who waits hears
//                        200 {"id":"x7","version":2,"steps":["cooking"]}
// GET /waiting           200 {"waiting":0}, so many are held now
// ```
//
// 1. **News** (TODO 1): the version, which is the number of steps, and
//    every step after the first `since` ones, in order. A step may come
//    twice, and counts twice. `since` is 0 where it is missing, and may be
//    far above the version, up to 2^53: then there is no news.
// 2. **A step** (TODO 2) is added, in whatever order they come. After
//    `delivered` or `cancelled` the order is finished: 409. Steps that come
//    at the same time are all kept, each with a version of its own.
// 3. **Hold and wake** (TODO 2, 3). Where there is news, `GET` is 200 at
//    once. Else it is held. The next step wakes all who are held for this
//    order, and no others: 200, or 204 where `since` is still ahead. A
//    finished order holds nobody: 200 with the news, or 204.
// 4. **No step is lost** that comes while a request is about to be held.
//    (A request that comes while a step is added, and knows it already, may
//    be woken by it, or by the next one.)
// 5. **The deadline** (TODO 4) is `timeout`, in milliseconds: 25000 where
//    it is missing, 60000 at most. Then the answer is 204, without a body.
//    With 0 it comes at once, 200 or 204. Negative, fractional, no number,
//    over 18 digits, or given twice: 400, news or not.
// 6. **A client that leaves** is let go at once. `/waiting` no longer
//    counts those who are answered or have left.
//
// To see it: `./jbang exercises/02_long_polling.java`. To grade it on each
// save: `./jbang watch 02`. Errors are a `Problem(status, sentence)`.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.security.SecureRandom;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.Stream;
import org.xnio.XnioExecutor;
import shared.*;

// %% [markdown]
// ## TODO 1: which steps are news
//
// The cursor is a number, not the last step that the client saw: the same
// step may come twice. It is a `long`, as a client may send up to 2^53.

// %%
record News(String id, int version, List<String> steps) {}

record Progress(String id, List<String> steps) {
    boolean finished() {
        return Set.of("delivered", "cancelled").contains(steps.getLast());
    }

    Progress plus(String step) {
        return new Progress(id,
                Stream.concat(steps.stream(), Stream.of(step)).toList());
    }

    News after(long since) {
        // TODO 1: Return the version, and every step after the first `since` ones.
        throw Problem.todo(1);
        // END 1
    }
}

// %% [markdown]
// ## Done already: the database
//
// One row for each order. It reads and it writes; it locks nothing. What
// you have read may be old by the time you write or park.

// %%
class Row {
    private volatile Progress progress;

    Row(Progress placed) {
        progress = placed;
    }

    Progress read() {
        // The grader may hold a thread here, to let another come in between.
        Pause.at("before reading");
        Progress read = progress;
        Pause.at("after reading");
        return read;
    }

    void write(Progress progress) {
        this.progress = progress;
    }
}

// %% [markdown]
// ## TODO 2 and 3: add a step and wake, look and park
//
// Requests run on two threads here, so a step can come at any moment
// between two lines of `newsOrPark`, and another one between two lines of
// `add`. Make each of them one step that nothing can come into, by the
// means that you like best. `waiters` is safe to use from many threads:
// only one call of `waiters.remove(waiter)` returns true.
//
// `waiter.answer(news)` answers 200, or 204 where the news has no steps.

// %%
class Order {
    final Row row;
    final Set<Waiter> waiters = ConcurrentHashMap.newKeySet();

    Order(Progress placed) {
        row = new Row(placed);
    }

    int add(String step) {
        // TODO 2: Add the step, or throw a 409 where the order is finished. Take every
        //   waiter out of `waiters` and answer it. Return the new version.
        throw Problem.todo(2);
        // END 2
    }

    Optional<News> newsOrPark(Waiter waiter) {
        // TODO 3: Return what to answer at once, or else put `waiter` among `waiters`
        //   and return nothing: `Optional.empty()`. No step may come in between.
        throw Problem.todo(3);
        // END 3
    }
}

// %% [markdown]
// ## TODO 4: let go
//
// `begin` answers at once where it can. Else this waiter is among
// `order.waiters`, and whoever takes it out (the deadline, a step, a
// client that leaves) deals with it.
//
// `holdFor(5, action)` runs the action in 5 milliseconds, on the one thread
// that owns this exchange; so it does not run before `begin` has returned.
// `answer` cancels it. If the client has gone, call `deadline.remove()`
// yourself. `Http.onGone(exchange, action)` runs the action when
// the client has gone.

// %%
class Waiter {
    final Order order;
    final HttpServerExchange exchange;
    final long since;
    XnioExecutor.Key deadline;

    Waiter(Order order, HttpServerExchange exchange, long since) {
        this.order = order;
        this.exchange = exchange;
        this.since = since;
    }

    void begin() {
        long timeout = Math.min(60_000,
                Http.queryInteger(exchange, "timeout", 25_000, 0, Long.MAX_VALUE));
        var news = timeout == 0 ? Optional.of(order.row.read().after(since))
                : order.newsOrPark(this);
        if (news.isPresent()) {
            answer(news.get());
            return;
        }
        try {
            hold(timeout);
        } catch (Problem open) { // TODO 4, which is told when the time is over
            holdFor(timeout, () -> {
                if (order.waiters.remove(this)) refuse(open);
            });
        }
    }

    void hold(long timeout) {
        // TODO 4: At the deadline take this waiter out and answer it. When the client
        //   has gone, take it out and cancel the deadline.
        throw Problem.todo(4);
        // END 4
    }

    /// Runs the action at the deadline, unless it is cancelled before.
    void holdFor(long ms, Runnable atDeadline) {
        Pause.at("deadline", ms); // The grader hears when it is, and need not wait.
        deadline = exchange.getIoThread().executeAfter(atDeadline, ms,
                TimeUnit.MILLISECONDS);
    }

    /// Answers 200, or 204 where there is no news, whichever thread calls it.
    void answer(News news) {
        exchange.getIoThread().execute(() -> {
            if (deadline != null) deadline.remove();
            if (news.steps().isEmpty()) Http.empty(exchange, 204);
            else Http.json(exchange, 200, news);
        });
    }

    void refuse(Problem problem) {
        exchange.getIoThread().execute(() -> Http.problem(exchange, problem));
    }
}

// %% [markdown]
// ## Done already: the restaurant
//
// An order by telephone may have passed some steps already: `POST /orders
// {"steps":["accepted"]}`. Every answer carries `Cache-Control: no-store`.
// A step of another name is a 400.
//
// `dispatch` keeps the exchange open when the handler has returned, until
// the waiter answers. When the server stops, it tells all who wait. Ids are
// random, so nobody guesses one, and none comes again after a restart.

// %%
class Restaurant {
    static final List<String> STEPS =
            List.of("accepted", "cooking", "on_its_way", "delivered", "cancelled");
    final Map<String, Order> orders = new ConcurrentHashMap<>();
    private final SecureRandom random = new SecureRandom();

    void place(HttpServerExchange exchange, byte[] body) {
        Progress now = new Progress(Long.toUnsignedString(random.nextLong(), 36),
                List.of("placed"));
        for (var each : Http.object(body).path("steps")) {
            now = now.plus(known(each.asString("")));
        }
        Order order = new Order(now);
        orders.put(now.id(), order);
        exchange.getResponseHeaders().put(Headers.LOCATION, "/orders/" + now.id());
        Http.json(exchange, 201, now.after(0));
    }

    void follow(HttpServerExchange exchange) {
        long since = Http.queryInteger(exchange, "since", 0, 0, 1L << 53);
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {});
        new Waiter(order(exchange), exchange, since).begin();
    }

    void add(HttpServerExchange exchange, byte[] body) {
        String step = known(Http.text(Http.object(body), "step"));
        Http.json(exchange, 200, Map.of("version", order(exchange).add(step)));
    }

    private static String known(String step) {
        if (STEPS.contains(step)) return step;
        throw new Problem(400, "A step must be one of " + STEPS + ".");
    }

    void waiting(HttpServerExchange exchange) {
        Http.json(exchange, 200, Map.of("waiting",
                orders.values().stream().mapToInt(each -> each.waiters.size()).sum()));
    }

    void stop() {
        Problem stopping = new Problem(503, "The server stops.").with("Retry-After", 1);
        for (Order order : orders.values()) {
            for (Waiter each : order.waiters) {
                if (order.waiters.remove(each)) each.refuse(stopping);
            }
        }
    }

    private Order order(HttpServerExchange exchange) {
        return orders.get(Http.path(exchange, "id"));
    }
}

// %% [markdown]
// ## Done already: the page's client, and the routes
//
// The client asks again at once after news and after a deadline, and
// pauses only after an error.

// %%
interface LongPoller {
    // language=JavaScript
    String SCRIPT = """
            async function follow(id, { timeout, show, empty, failed, signal }) {
              for (let version = 0; !signal.aborted;) {
                try {
                  const response = await fetch(
                    `/orders/${id}?since=${version}&timeout=${timeout}`,
                    { cache: "no-store", signal });
                  if (response.status === 204) {
                    empty();
                  } else if (response.ok) {
                    const news = await response.json();
                    version = news.version;
                    show(news);
                    if (/delivered|cancelled/.test(news.steps.at(-1))) return;
                  } else {
                    failed(response.status, (await response.json()).detail);
                    await pause(2000, signal);
                  }
                } catch (error) {
                  if (!signal.aborted) failed(0, error.message);
                  await pause(2000, signal);
                }
              }
            }
            """;
}

class FoodOrders {
    static HttpHandler routes() {
        Restaurant restaurant = new Restaurant();
        return new Routes()
                .onStop(restaurant::stop)
                .always("Cache-Control", "no-store")
                .page("02_long_polling", LongPoller.SCRIPT)
                .known("id", restaurant.orders::containsKey)
                .post("/orders", restaurant::place)
                .get("/orders/{id}", restaurant::follow)
                .post("/orders/{id}/steps", restaurant::add)
                .get("/waiting", restaurant::waiting);
    }

    void main() {
        Serve.run("02 Long polling", 9002, routes());
    }
}
