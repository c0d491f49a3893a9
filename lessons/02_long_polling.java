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
// A shop's page waits to hear whether a payment went through. With the
// short polling of lesson 01 it asks again and again, is mostly told
// nothing, and still learns late: at an interval of 20 seconds, an
// update that comes 1 second after a poll waits 19 seconds for the next.
//
// Long polling turns the wait around. The page asks once, and the
// **server holds the request until there is something to say**. Then the
// page asks again.
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
// The demo runs a short and a long poller on the same payment. Press
// *Pay*, wait a little, let the bank answer, and compare what each of
// the two sent, and how late it was.

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
// The client must say what it already knows, or the server cannot tell
// news from old. To compare the data itself is not enough: a value that
// goes from A to B and back to A between two polls looks unchanged. So
// the server numbers each state, and the client sends the number back.

// %%
record Snapshot(String id, String status, long version) {
    boolean settled() {
        return !status.equals("pending");
    }
}

// %% [markdown]
// ## A waiter is an object, not a thread
//
// Undertow, our HTTP server, calls a request and its answer an
// *exchange*. It ends when its handler returns, unless the handler has
// called `dispatch`: then it lives on, without a thread, until somebody
// answers. That costs a few kilobytes of heap. Were each waiter a blocked
// thread of a small pool, the pool would soon be used up; virtual threads
// would do, at more memory. One of the server's few I/O threads owns each
// exchange, and answers are given there.

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
// A server that checks for news first and parks the request afterwards
// misses the update that lands in between: the waiter was not there yet,
// so nobody wakes it. We do both under one lock. An update either comes
// before the check and is seen, or it finds the waiter parked.
//
// News, the deadline and a client that leaves can meet. Whoever takes
// the waiter out of the set deals with it, and only one can.

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
// A waiter leaves with news, at its deadline, because its client closed
// the connection, or because the server stops. The deadline is no error:
// 204 means success without content, and in this API "nothing new, ask
// again"; 408 would blame the client, 504 is a gateway's word. 25 seconds
// stay below the 30 that RFC 6202 calls safer
// ([section 5.5](https://www.rfc-editor.org/rfc/rfc6202#section-5.5)).
//
// `Prefer: wait=10` says how long the client is ready to wait
// ([RFC 7240, section 4.3](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)).
// We cap it at 50, well below the 60 s after which nginx, by default, gives
// up and answers 504; `wait=0` makes a short poll. Nothing is read while we
// hold, so `onGone` listens for a client that leaves. And since strangers
// can use waiters up, there is a cap.

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
// The bank settles a payment once. A PUT may be repeated, as when its
// answer was lost, so the same word again is confirmed and changes nothing
// ([RFC 9110, section 9.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2));
// another word is a conflict. Ids are random. Numbers from 1 can be guessed,
// and begin again when the server does: Ada's page would be told of Bob's
// payment.
//
// To wake the waiters we hand each answer to the I/O thread of its
// exchange; no handler ever blocks. Every answer is true for one moment
// and one client, so `no-store` keeps all caches out. (Old payments are
// never removed here. A shop would have a database.)

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
// The client asks again after news and after a deadline, five times a
// second at most: a proxy that answers too soon must not make it a loop.
// After an error it pauses, from 0.5 s up to 45. What `Retry-After` asks for
// comes first (`retryAfter` in `page.js` reads both of its forms), and some
// chance on top, or all would come back in one instant; for thousands, widen
// it, as lesson 03 does.
//
// `fetch` resolves when the head of the answer is there;
// `response.json()` waits for the body and parses it. Only then an answer
// counts: a log-in page with status 200 is an error as well.
//
// The client stops when the payment is settled, when `signal` is aborted
// (the user leaves the page), and on an answer that will be the same next
// time. Chromium lets one request at a time fetch a URL into its cache, and
// others to the same URL wait, for up to 20 s; `cache: "no-store"` keeps
// the cache out of it.

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
                  if (response.status !== 204) { // the deadline, or settled
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
// **Miss the wake-up.** The handler below checks for news, is busy
// elsewhere until the bank has answered, and only then parks. Nobody
// wakes the request: the news lies there until its deadline of 5 s.
//
// **Forget the cursor.** Without `after`, every answer is news. The held
// request turns into a loop at full speed; the demo stops it after 20.
//
// **Leave while held.** A client goes away in the middle of its wait.
// `GET /waiting` goes up by one and back at once.
//
// **Use up six connections.** Over HTTP/1.1 a browser opens six
// connections to one host, for all its tabs together. Six held polls
// stall every other request to it. HTTP/2 shares one connection, usually
// for 100 or more requests at once.

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
//    second later. Compare the two stalenesses.
// 3. Press *Pay* and hold a request by hand, with the payment's id in
//    place of ID; 204 comes after 5 s, or 200 as soon as the bank answers:
//    `curl -i -H 'Prefer: wait=5' 'http://localhost:8002/payments/ID?after=1'`
//
// ## What it costs, and when to choose it
//
// News takes one network transit (one way, server to client) when a
// request is waiting. News that comes just after an answer left waits for
// that answer to arrive and the next request to come back, then travels
// itself: three transits, more if a packet is lost
// ([RFC 6202, section 2.2](https://www.rfc-editor.org/rfc/rfc6202#section-2.2)).
// And each message costs a whole request, head and all.
//
// | | short polling | long polling |
// |---|---|---|
// | empty answers | nearly all | one per deadline |
// | staleness | up to the interval | one to three transits |
// | requests held | none | one per waiting client |
// | server code | a plain GET | a set of waiters, a deadline |
//
// Long polling suits rare news that should arrive at once: a payment, a
// finished job, a login approved on a phone. It needs only proxies that
// wait as long as we hold. For a steady flow choose server-sent events, or
// WebSocket where the client talks back. A bank tells a *server* by
// webhook (lesson 05); the page still has to hear it from that server.
//
// `./jbang notebook 02` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8002, LongPolling.routes()).port` shows 8002, and the page
// is at that port. (Stop the script first, or take another port.)
