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
// **The twist.** A payment has one outcome; an order passes through many
// steps, and some come almost at once. So an answer lists every step that
// the client has not seen, and none may be skipped. And the client says
// how long it waits in the query, in milliseconds, as clients of the chat
// protocol Matrix do in
// [`/sync`](https://spec.matrix.org/latest/client-server-api/#syncing).
//
// ## What it must do
//
// | request | answer |
// |---|---|
// | `POST /orders` | 201 `{"id":"x7k","version":1,"steps":["placed"]}` |
// | `GET /orders/{id}?since=V&timeout=MS` | 200 with the news, or 204, see below |
// | `POST /orders/{id}/steps {"step":"..."}` | 200 `{"version":n}`, or 409, or 400 |
// | `GET /waiting` | 200 `{"waiting":n}`, the requests held now |
//
// The last is done already, and so is the first but for TODO 1; its
// `Location` has the path of the order.
//
// 1. An order's **version** is the number of its steps. The news after
//    `since` is `{"id","version","steps"}`: the order's version, and every
//    step after the first `since` ones, in order. A step may come again
//    (the cook burnt it): it counts again. `since` is 0 where it is
//    missing, and may be larger than the version; it is read already.
// 2. Where there is news, `GET` answers 200 with it at once. Else the
//    request is **held** until the next step, or its deadline. No step may
//    be lost in between. (A request that comes just while a step is added
//    may count that step as the next one, and hear 204 if it knows it by
//    its `since`.) A finished order (delivered, cancelled) never holds a
//    request: where it has no news, the answer is 204 at once.
// 3. `POST` adds one of `accepted`, `cooking`, `on_its_way`, `delivered`,
//    `cancelled`, in any order; anything else is 400, done already. It
//    answers with the new version and wakes **every** request held for
//    this order, and no other: 200 with its news, or 204 where it has none
//    because its `since` is still ahead. After `delivered` or `cancelled`
//    the answer is 409. Steps that are posted at the same time are all
//    kept, one after the other.
// 4. `timeout` is how long the client waits at most, in milliseconds: a
//    whole number from 0, 25000 where it is missing; above 60000 counts as
//    60000. Negative, fractional, no number, more than 18 digits, or given
//    twice: 400, news or not. At the deadline the answer is 204, without a
//    body; with 0 it comes at once, where there is no news. A request is
//    answered once, and then counts no more in `/waiting`.
// 5. A client that closes its connection is let go at once, and counts no
//    more in `/waiting`.
//
// Every answer carries `Cache-Control: no-store`, which is done already.
// Errors are a `Problem(status, sentence)`. Run this file, open its page,
// and see it come alive with each TODO:
// `./jbang exercises/02_long_polling.java`. Then grade it:
// `./jbang grade 02`. Stuck? `./jbang hint 02` gives one hint at a time.

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
        return new News(id, steps.size(), steps.stream().skip(since).toList());
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

    Row(String id) {
        progress = new Progress(id, List.of("placed"));
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
// ## TODO 2: hold, and let go
//
// `order.newsOrPark(this)`, below, returns what to answer at once, or
// nothing: then this waiter is among `order.waiters`, and whoever takes it
// out (the deadline, a step, a client that leaves) deals with it. `answer`
// makes 204 of news that have no steps, as there may be at the deadline and
// of a finished order.
//
// `Http.queryInteger(exchange, "timeout", 7, 0, 9)` reads a whole number
// from 0 to 9, is 7 where it is missing, and throws a 400 where it is
// anything else. `holdFor(5, action)` runs the action in 5 milliseconds, on
// the one thread that owns this exchange; so it does not run before `begin`
// has returned. `answer` cancels it; where the client has gone, you do, by
// `deadline.remove()`. `Http.onGone(exchange, action)` runs the action when
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
        // TODO 2: Read `timeout`. Answer at once where there is news or no time to
        //   wait, else hold: until the deadline, or until the client is gone.
        long timeout = Math.min(60_000,
                Http.queryInteger(exchange, "timeout", 25_000, 0, Long.MAX_VALUE));
        var news = timeout == 0 ? Optional.of(order.row.read().after(since))
                : order.newsOrPark(this);
        if (news.isPresent()) {
            answer(news.get());
            return;
        }
        holdFor(timeout, () -> {
            if (order.waiters.remove(this)) answer(order.row.read().after(since));
        });
        Http.onGone(exchange, () -> {
            if (order.waiters.remove(this)) deadline.remove();
        });
        // END 2
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

    void refuse() {
        exchange.getIoThread().execute(() -> Http.problem(exchange,
                new Problem(503, "The server stops.").with("Retry-After", 1)));
    }
}

// %% [markdown]
// ## TODO 3 and 4: park, and wake
//
// Requests run on two threads here, so a step can come at any moment
// between two lines of `newsOrPark`, and another one between two lines of
// `add`. Make each of them one step that nothing can come into, by the
// means that you like best. `waiters` is safe to use from many threads,
// and of several who call `waiters.remove(waiter)`, one hears true.

// %%
class Order {
    final Row row;
    final Set<Waiter> waiters = ConcurrentHashMap.newKeySet();

    Order(String id) {
        row = new Row(id);
    }

    Optional<News> newsOrPark(Waiter waiter) {
        // TODO 3: Return what to answer at once, or else put `waiter` among `waiters`
        //   and return nothing: `Optional.empty()`. No step may come in between.
        synchronized (this) {
            Progress now = row.read();
            News news = now.after(waiter.since);
            if (!news.steps().isEmpty() || now.finished()) return Optional.of(news);
            waiters.add(waiter);
            return Optional.empty();
        }
        // END 3
    }

    int add(String step) {
        // TODO 4: Add the step, or throw a 409 where the order is finished. Take every
        //   waiter out of `waiters` and answer it. Return the new version.
        synchronized (this) {
            Progress now = row.read();
            if (now.finished()) throw new Problem(409, "The order is finished.");
            Progress next = now.plus(step);
            row.write(next);
            for (Waiter each : waiters) {
                if (waiters.remove(each)) each.answer(next.after(each.since));
            }
            return next.steps().size();
        }
        // END 4
    }
}

// %% [markdown]
// ## Done already: the restaurant
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
        Order order = new Order(Long.toUnsignedString(random.nextLong(), 36));
        Progress now = order.row.read();
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
        String step = Http.text(Http.object(body), "step");
        if (!STEPS.contains(step)) {
            throw new Problem(400, "'step' must be one of " + STEPS + ".");
        }
        Http.json(exchange, 200, Map.of("version", order(exchange).add(step)));
    }

    void waiting(HttpServerExchange exchange) {
        Http.json(exchange, 200, Map.of("waiting",
                orders.values().stream().mapToInt(each -> each.waiters.size()).sum()));
    }

    void stop() {
        for (Order order : orders.values()) {
            for (Waiter each : order.waiters) {
                if (order.waiters.remove(each)) each.refuse();
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
        Serve.run("02 Long polling", 7002, routes());
    }
}
