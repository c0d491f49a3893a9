///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Long polling: the server holds a request until it has news, here of a payment
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 02_long_polling.java
//FILES 02_long_polling.html
//FILES 02_long_polling.md

// %% [markdown]
// # 02 - Long polling
//
// A shop's page waits for the result of a payment. With the short polling of
// lesson 01 it asks again and again. Most answers bring nothing, and news
// comes late: if the page asks every 20 seconds, an update that comes 1 second
// after a poll waits 19 seconds.
//
// With long polling the server waits in place of the page. The page asks once,
// and the **server holds the request until there is something to say**. After
// the answer the page asks again.
//
// ```mermaid
// sequenceDiagram
//   Browser->>+Server: GET /payments/k3f9?after=0
//   Server-->>-Browser: 200, version 1
//   Browser->>+Server: GET /payments/k3f9?after=1
//   Note over Browser,Server: held: nothing to say yet
//   Bank->>Server: PUT /payments/k3f9/status
//   Server-->>-Browser: 200, version 2
// ```
//
// The demo runs a short and a long poller on the same payment. Press *Pay*,
// wait a little, and let the bank answer. Then compare how many requests each
// poller sent, and how late it was.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.security.SecureRandom;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.xnio.XnioExecutor;
import shared.*;

// %% [markdown]
// ## The cursor is a version
//
// The client must say what it already knows, or the server cannot know what is
// new to it. To compare the data itself is not enough: a value that goes from
// A to B and back to A between two polls looks unchanged. So the server
// numbers each state, and the client sends the last number back. Such a number
// is called a *cursor*.

// %%
record Snapshot(String id, String status, long version) {
    boolean settled() {
        return !status.equals("pending");
    }
}

// %% [markdown]
// ## A waiter is an object, not a thread
//
// A *waiter* is a request that we hold. Undertow, our HTTP server, calls a
// request and its answer an *exchange*. An exchange ends when its handler
// returns. But if the handler calls `dispatch`, the exchange stays open,
// without a thread, until somebody answers. That costs a few kilobytes of
// heap. If each waiter blocked a thread of a small pool, the pool would soon
// be empty. Virtual threads would do, but need more memory. An exchange is not
// thread-safe, so here only its I/O thread, one of a few, answers it.

// %%
class Waiter {
    final Payment payment;
    final HttpServerExchange exchange;
    final long after;
    XnioExecutor.Key deadline;

    Waiter(Payment payment, HttpServerExchange exchange, long after) {
        this.payment = payment;
        this.exchange = exchange;
        this.after = after;
    }

    void answer() {
        Snapshot now = payment.now();
        if (now.version() > after) Http.json(exchange, 200, now);
        else Http.empty(exchange, 204);
    }

    void refuse(String why) {
        Http.problem(exchange, new Problem(503, why).with("Retry-After", 1));
    }
}

// %% [markdown]
// ## Check and park in one step
//
// To *park* a request means to add it to the waiters. A server that first
// checks for news and then parks misses an update between the two: it does not
// find the waiter, so nobody wakes it. We do both steps under one lock. Then
// the check sees an update that comes before it, and an update after the
// parking wakes the waiter.
//
// News, the deadline and a client that leaves can come at the same moment.
// Only one of them can remove the waiter from the set, and that one acts.

// %%
class Payment {
    private final Set<Waiter> waiters = new HashSet<>();
    private Snapshot now;

    Payment(String id) {
        now = new Snapshot(id, "pending", 1);
    }

    synchronized Snapshot now() {
        return now;
    }

    synchronized boolean park(Waiter waiter) {
        boolean news = now.version() > waiter.after || now.settled();
        return !news && waiters.add(waiter);
    }

    synchronized void parkUnchecked(Waiter waiter) {
        waiters.add(waiter); // only for "Break it"
    }

    synchronized boolean remove(Waiter waiter) {
        return waiters.remove(waiter);
    }

    synchronized List<Waiter> removeAll() {
        List<Waiter> all = List.copyOf(waiters);
        waiters.clear();
        return all;
    }

    synchronized List<Waiter> settle(String status) {
        if (now.status().equals(status)) return List.of(); // a repeated PUT
        if (now.settled()) throw new Problem(409, "It is " + now.status() + ".");
        now = new Snapshot(now.id(), status, now.version() + 1);
        return removeAll();
    }
}

// %% [markdown]
// ## Holding, and letting go
//
// A wait ends when news comes, when its deadline passes, when the client
// closes the connection, or when the server stops. The deadline is no error,
// so we answer 204: success without content. In this API it means "nothing
// new, ask again". 408 would blame the client, and 504 is for gateways. Our 25
// seconds are below the 30 that RFC 6202 calls safer
// ([section 5.5](https://www.rfc-editor.org/rfc/rfc6202#section-5.5)).
//
// `Prefer: wait=10` says how many seconds the client is ready to wait
// ([RFC 7240, section 4.3](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)).
// We allow 50 at most: nginx, by default, gives up after 60 with 504. `wait=0`
// makes a short poll. Undertow alone does not notice that the client of a held
// request leaves; `onGone` does. Anybody can make us hold requests, so there is
// a limit.

// %%
class Waiting {
    static final int MAX = Serve.environment("MAX_WAITERS", 20_000, 0, 1_000_000);
    final AtomicInteger count = new AtomicInteger();
    volatile boolean stopping;

    void hold(Waiter waiter, int seconds) {
        if (seconds == 0 || !waiter.payment.park(waiter)) waiter.answer();
        else keep(waiter, seconds);
    }

    void keep(Waiter waiter, int seconds) {
        if (count.incrementAndGet() > MAX || stopping) {
            leave(waiter, () -> waiter.refuse("Too many requests are held."));
            return;
        }
        waiter.deadline = waiter.exchange.getIoThread().executeAfter(
                () -> leave(waiter, waiter::answer), seconds, TimeUnit.SECONDS);
        Http.onGone(waiter.exchange, () -> leave(waiter, () -> {}));
    }

    void leave(Waiter waiter, Runnable answer) {
        if (waiter.payment.remove(waiter)) end(waiter, answer);
    }

    void end(Waiter waiter, Runnable answer) {
        count.decrementAndGet();
        if (waiter.deadline != null) waiter.deadline.remove();
        answer.run();
    }
}

// %% [markdown]
// ## The server's side, put together
//
// The bank settles a payment once. If our answer gets lost, the bank sends its
// PUT again. A PUT with the same status gets 200 and changes nothing
// ([RFC 9110, section 9.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2)).
// A PUT with another status gets 409, conflict. Ids are random: numbers from 1
// can be guessed, and after a restart Ada's page would hear of Bob's payment.
//
// To wake the waiters, we give each answer to the I/O thread of its exchange.
// An answer is true for one moment and one client, so `no-store` forbids caches
// to keep it. (Old payments are never removed here.
// A shop would have a database.)

// %%
class Desk {
    final Map<String, Payment> payments = new ConcurrentHashMap<>();
    final Waiting waiting = new Waiting();
    private final SecureRandom random = new SecureRandom();

    void pay(HttpServerExchange exchange, byte[] body) {
        Http.integer(Http.object(body), "amount", 1, 99_999_999);
        String id = Long.toUnsignedString(random.nextLong(), 36);
        payments.put(id, new Payment(id));
        exchange.getResponseHeaders().put(Headers.LOCATION, "/payments/" + id);
        Http.json(exchange, 201, payments.get(id).now());
    }

    void follow(HttpServerExchange exchange) {
        long after = Http.queryInteger(exchange, "after", 0, 0, 1L << 53);
        Waiter waiter = new Waiter(payment(exchange), exchange, after);
        exchange.dispatch(SameThreadExecutor.INSTANCE,
                () -> waiting.hold(waiter, Http.preferredWait(exchange, 25, 50)));
    }

    void settle(HttpServerExchange exchange, byte[] body) {
        String status = Http.text(Http.object(body), "status");
        if (!Set.of("succeeded", "failed").contains(status)) {
            throw new Problem(400, "'status' must be succeeded or failed.");
        }
        Payment payment = payment(exchange);
        wake(payment.settle(status), Waiter::answer);
        Http.json(exchange, 200, payment.now());
    }

    void stop() {
        waiting.stopping = true;
        for (Payment each : payments.values()) {
            wake(each.removeAll(), waiter -> waiter.refuse("The server stops."));
        }
    }

    private void wake(List<Waiter> waiters, Consumer<Waiter> answer) {
        for (Waiter each : waiters) {
            each.exchange.getIoThread().execute(
                    () -> waiting.end(each, () -> answer.accept(each)));
        }
    }

    Payment payment(HttpServerExchange exchange) {
        return payments.get(Http.path(exchange, "id"));
    }
}

// %% [markdown]
// ## The browser's side
//
// The client asks again after news and after a deadline, but at most five
// times a second, in case a proxy answers at once. After an error it first
// waits as long as `Retry-After` asks (`retryAfter` in `page.js` reads it),
// then for a random time that grows from 0.5 s to 45 s at most. Otherwise all
// clients would come back at once.
//
// `fetch` succeeds when the head of the answer is there. `response.json()`
// then waits for the body and parses it. We reset `errors` only after that: a
// log-in page with status 200 is an error as well.
//
// The client stops when the payment is settled, when `signal` is aborted (the
// user leaves the page), and on a status such as 404, which would be the same
// next time. Chromium's cache lets one request at a time fetch a URL; others
// to the same URL wait, for up to 20 s. `cache: "no-store"` avoids that.

// %%
interface LongPoller {
    // language=JavaScript
    String SCRIPT = """
            const final = [400, 401, 403, 404, 410];

            async function longPoll(id, { signal, show, count }) {
              for (let version = 0, errors = 0; !signal.aborted;) {
                const next = performance.now() + 200; // not earlier
                let response;
                try {
                  response = await fetch(`/payments/${id}?after=${version}`, {
                    signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
                    cache: "no-store",
                  });
                  count(response);
                  if (final.includes(response.status)) return;
                  if (!response.ok) throw new Error(`status ${response.status}`);
                  if (response.status !== 204) { // 204: nothing new
                    const payment = await response.json();
                    version = payment.version;
                    show(payment);
                    if (payment.status !== "pending") return; // the target condition
                  }
                  errors = 0;
                  await pause(next - performance.now(), signal);
                } catch (error) {
                  const backoff = 1000 * Math.min(30, 2 ** errors++);
                  const asked = response ? retryAfter(response) : 0;
                  await pause(asked + backoff * (0.5 + Math.random()), signal);
                }
              }
            }
            """;
}

// %% [markdown]
// ## Break it
//
// The buttons of the demo are in `02_long_polling.html`.
//
// - **Miss the wake-up.** The handler below checks for news. Then it does
//   other work until the bank has answered. Only after that does it park the
//   request. Nobody wakes that request: it gets the news at its deadline,
//   after 5 s.
// - **Forget the cursor.** Without `after`, the server takes every state for
//   news and holds nothing. The client asks in a loop at full speed. The demo
//   stops it after 20 requests.
// - **Leave while held.** A client leaves while its request is held. The
//   number in `GET /waiting` goes up by one, and back at once.
// - **Use up six connections.** Over HTTP/1.1 a browser opens at most six
//   connections to one host, for all its tabs together. Six held polls take
//   all of them, so every other request to that host waits. HTTP/2 sends many
//   requests over one connection, usually 100 or more at once.

// %%
class Naive {
    static void follow(Waiter waiter, Waiting waiting) {
        boolean news = waiter.payment.now().version() > waiter.after;
        waiter.exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            if (news) waiter.answer();
            else busy(waiter, waiting);
        });
    }

    static void busy(Waiter waiter, Waiting waiting) {
        if (waiter.payment.now().settled()) {
            waiter.payment.parkUnchecked(waiter);
            waiting.keep(waiter, 5);
        } else waiter.exchange.getIoThread().executeAfter(
                () -> busy(waiter, waiting), 100, TimeUnit.MILLISECONDS);
    }
}

// %% [markdown]
// ## Putting it together
//
// `routes()` builds the server side; `main` only serves it.

// %%
class LongPolling {
    static HttpHandler routes() {
        Desk desk = new Desk();
        return new Routes()
                .onStop(desk::stop)
                .always("Cache-Control", "no-store")
                .page("02_long_polling", LongPoller.SCRIPT)
                .known("id", desk.payments::containsKey)
                .post("/payments", desk::pay)
                .get("/payments/{id}", desk::follow)
                .put("/payments/{id}/status", desk::settle)
                .get("/waiting", exchange -> Http.json(exchange, 200,
                        Map.of("waiting", desk.waiting.count.get())))
                .get("/_/naive/{id}", exchange -> Naive.follow(
                        new Waiter(desk.payment(exchange), exchange, 1), desk.waiting));
    }

    void main() {
        Serve.run("02 Long polling", 8002, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Open DevTools, tab *Network*, and press *Pay*. The long poll stays
//    *pending*; the short polls come and go, most with status 204.
// 2. Set the short poller to 20 s, press *Pay*, and let the bank answer a
//    second later. Compare the staleness of the two.
// 3. Press *Pay* and hold a request by hand, with the payment's id in place of
//    ID. It gets 200 when the bank answers, or else 204 after 5 s:
//    `curl -i -H 'Prefer: wait=5' 'http://localhost:8002/payments/ID?after=1'`
//
// ## What it costs, and when to choose it
//
// If a request is waiting, news takes one transit (the way from server to
// client). News that comes just after an answer takes three: that answer must
// arrive, the next request must come back, then the news travels. A lost
// packet makes it longer
// ([RFC 6202, section 2.2](https://www.rfc-editor.org/rfc/rfc6202#section-2.2)).
// Each piece of news costs a whole request with its head.
//
// | | short polling | long polling |
// |---|---|---|
// | empty answers | nearly all | one per deadline |
// | staleness | up to the interval | one to three transits |
// | requests held | none | one per waiting client |
// | server code | a plain GET | a set of waiters, a deadline |
//
// Long polling suits rare news that should arrive at once: a payment, a
// finished job, a login approved on a phone. It works through any proxy that
// waits as long as we hold. If news comes all the time, choose server-sent
// events (lesson 04), or WebSocket (lesson 03) if the client talks as well. A
// bank tells a shop's *server* by webhook (lesson 05). The page must still
// hear it from that server.
//
// `./jbang notebook 02` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8002, LongPolling.routes()).port` shows 8002, the page's
// port. (Stop the script first, or take another port.)
