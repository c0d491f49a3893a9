///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a shop's till
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/upstream/[A-Z]*.java
//SOURCES ../shared/supplier/[A-Z]*.java
//FILES 11_falling_back.java
//FILES 11_falling_back.html=../exercises/11_falling_back.html

// %% [markdown]
// # 11 - Exercise: a shop's till
//
// A till follows the prices of a supplier. Each shop has another network, and
// some of them let only a part of the web through. The till finds a way.
//
// **The twist.** You are the client again, in Java. And a till not only reads: it
// tells each sale to the supplier, once.
//
// ## What it must do
//
// Four transports are done already, the best first: `websocket`, `events`, `long`,
// and `short`, which asks every `POLL_MS`. All bring the same: a hello, then prices,
// numbered 1, 2, 3... As it stands, the program works in a good network.
//
// | request | what it is |
// |---|---|
// | `GET /till` | `{"prices":{"bread":310},"transport":"long","n":6}` |
// | `POST /sales` | `{"id":"s1","item":"bread"}`: 202, and goes to the supplier |
// | `GET /sales` | `{"waiting":["s1"]}`: what it has not confirmed yet |
//
// `UPSTREAM` is the URL of the feed. Beside it, `sales` takes the sales.
//
// 1. **A transport works once its hello has come.** Neither 101 nor 200 says so.
//    Without a hello in `FIRST_MS` you give it up. Then the next lower one is tried
//    at once.
// 2. **A restart is no firewall.** After an end that follows a hello, and after 502
//    or 503, the same transport is tried again, after a pause. But after three ends
//    in a row, each less than `STABLE_MS` after its hello, go to the next lower one.
// 3. **You climb back.** After `CLIMB_MS` on a lower transport, the better ones are
//    tried, from the top down. The old one stays open until the new one's hello,
//    then it is closed. Some prices come by both: take each once, in order.
// 4. **A sale arrives once.** The supplier may have taken it, and the answer is lost.
//    So repeat it after a pause, with the same key, its id, until there is an answer
//    that is no 5xx. One sale at a time, in the order of the shop.
//
// For example: 403 to the WebSocket, and the event stream is tried at once. It says
// hello, and ends after an hour: a restart, so it is tried again. `CLIMB_MS` later
// the WebSocket is tried beside it.
//
// Run it, and open its page: `./jbang exercises/11_falling_back.java`. Then grade it:
// `./jbang grade 11`. Stuck? `./jbang hint 11` gives one hint at a time.

// %%
import io.undertow.server.*;
import io.undertow.util.SameThreadExecutor;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import shared.*;
import shared.supplier.Supplier;
import shared.upstream.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## Done already: the desk
//
// Everything that you write runs on one thread, the desk's. So nothing of it
// happens at the same time, and you need no lock. `after` runs an action later,
// on this thread. `afterPause` does so after half of `PAUSE_MS` to all of it, at
// random.

// %%
interface Times {
    int FIRST_MS = Serve.environment("FIRST_MS", 3_000, 1, 600_000);
    int STABLE_MS = Serve.environment("STABLE_MS", 10_000, 1, 600_000);
    int CLIMB_MS = Serve.environment("CLIMB_MS", 30_000, 1, 600_000);
    int PAUSE_MS = Serve.environment("PAUSE_MS", 1_000, 1, 600_000);
}

interface Desk {
    ScheduledExecutorService THREAD = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("desk").factory());

    static void soon(Runnable action) { after(0, action); }

    static Future<?> after(long ms, Runnable action) {
        return THREAD.schedule(() -> {
            try {
                action.run();
            } catch (RuntimeException | Error fault) {
                System.err.println(Graded.fault("the desk", fault));
            }
        }, ms, TimeUnit.MILLISECONDS);
    }

    static void afterPause(Runnable action) {
        after(ThreadLocalRandom.current().nextLong((Times.PAUSE_MS + 1) / 2,
                Times.PAUSE_MS + 1), action);
    }
}

// %% [markdown]
// ## Done already: a line
//
// A line is a transport that was opened: `new Line(Kind.EVENTS, till)` asks for the
// prices after the till's last one. The kinds are `WEBSOCKET`, `EVENTS`, `LONG` and
// `SHORT`; `kind.lower()` is the next one.
//
// `line.close()` leaves it: you hear nothing more of it. `line.giveUp()` leaves
// it as if it had broken, so `ended` is called. Either does nothing where it is
// over already. `works` says whether `works(line)` was called, `workedMs()` how
// long ago: 0 if never.

// %%
class Line implements Transport.Listener {
    final Kind kind;
    boolean works;
    private final Till till;
    private final Transport transport;
    private long worksSince;
    private boolean over;

    Line(Kind kind, Till till) {
        this.kind = kind;
        this.till = till;
        transport = Transport.open(kind, till.upstream, till.last, Desk::soon, this);
    }

    void starts() {
        works = true;
        worksSince = System.nanoTime();
    }

    long workedMs() { return works ? (System.nanoTime() - worksSince) / 1_000_000 : 0; }
    boolean isUp() { return works && !over; }

    void close() {
        over = true;
        transport.close();
    }

    void giveUp() { if (!over) ended(0); }

    public void hello() { till.hello(this); }
    public void price(long n, String item, int cents) { till.price(n, item, cents); }

    public void ended(int status) {
        close();
        till.ended(this, status);
    }
}

// %% [markdown]
// ## The till
//
// `line` is the one by which prices come, or by which we hope for them. `upper` is a
// better one that is tried beside it, or null. `last` is the number of the last
// price that was taken; `take` takes the next one.
//
// `connect(kind)` opens the line. `fall(kind)` goes to the kind below that one; where
// there is none, it pauses and begins at the top. Either sees to it that `begun` is
// called.

// %%
class Till {
    final URI upstream;
    long last;
    private final Map<String, Integer> prices = new TreeMap<>();
    private Line line;
    private Line upper;
    private Future<?> climbing = CompletableFuture.completedFuture(null);
    private int quickEnds;

    Till(URI upstream) {
        this.upstream = upstream;
        connect(Kind.WEBSOCKET);
    }

    void connect(Kind kind) {
        line = new Line(kind, this);
        begun();
    }

    void fall(Kind kind) {
        quickEnds = 0;
        if (kind.lower() != null) connect(kind.lower());
        else Desk.afterPause(() -> connect(Kind.WEBSOCKET));
    }

    /// The line was opened. Nothing has come by it yet.
    void begun() {
        // TODO 1: The line works once `hello` has come, not yet. Where none has come
        //   after `FIRST_MS`, give it up.
        works(line); // there was no exception
        // END 1
    }

    void works(Line own) {
        own.starts();
        if (own.kind != Kind.WEBSOCKET) climbLater();
    }

    void hello(Line own) {
        if (own == upper) {
            quickEnds = 0;
            climbed();
        }
        works(own);
    }

    void ended(Line own, int status) {
        if (own == upper) {
            upper = null;
            if (own.kind.lower() == line.kind) climbLater();
            else climb(own.kind.lower());
        } else if (own == line) {
            climbing.cancel(false);
            if (upper != null) upper.close();
            upper = null;
            boolean refused = status == 502 || status == 503;
            if (own.works || refused) broken(refused);
            else fall(own.kind);
        }
    }

    /// The line was `refused` with 502 or 503; or it worked, and has ended.
    void broken(boolean refused) {
        // TODO 2: Count in `quickEnds` the ends in a row within `STABLE_MS` of their
        //   hello; a refusal is none. After three `fall`, else pause and `connect`.
        fall(line.kind);
        // END 2
    }

    void climbLater() {
        climbing.cancel(false);
        climbing = Desk.after(Times.CLIMB_MS, () -> climb(Kind.WEBSOCKET));
    }

    // TODO 3: `climb` opens `upper`, and gives it up if its hello has not come after
    //   `FIRST_MS`; the rest of a climb is in `ended`. `climbed` is called with its
    //   hello: it takes the place of `line`. `price` takes what is next.
    void climb(Kind better) {}
    void climbed() {}
    void price(long n, String item, int cents) { take(n, item, cents); }
    // END 3

    void take(long n, String item, int cents) {
        prices.put(item, cents);
        last = n;
    }

    record State(Map<String, Integer> prices, String transport, long n) {}

    State state() {
        return new State(prices, line.isUp() ? line.kind.toString() : "none", last);
    }
}

// %% [markdown]
// ## The sales
//
// `post(sale, key)` sends a sale to the supplier. Then `answered` is called, with the
// status of the answer, or 0 if there was none within `FIRST_MS`.

// %%
record Sale(String id, String item) {
    static Sale of(ObjectNode json) {
        String id = Http.text(json, "id");
        if (!id.matches("[\\w-]{1,40}")) {
            throw new Problem(400, "'id' is 1 to 40 letters, digits and hyphens.");
        }
        return new Sale(id, Http.text(json, "item"));
    }
}

class Sales {
    private final URI upstream;
    private final Set<String> known = new HashSet<>();
    private final List<Sale> waiting = new ArrayList<>();
    Sales(URI upstream) { this.upstream = upstream; }

    void sell(Sale sale) {
        if (!known.add(sale.id())) return; // the shop has repeated it
        waiting.add(sale);
        added(sale);
    }

    // TODO 4: `added` posts a sale unless others wait before it. After an answer that
    //   is no 5xx it waits no more, and the next is posted. Else post it again, after a
    //   pause. The key is its id.
    void added(Sale sale) { post(sale, UUID.randomUUID().toString()); }
    void answered(Sale sale, int status) {
        if (status == 201) waiting.remove(sale);
        else Desk.afterPause(() -> added(sale));
    }
    // END 4

    void post(Sale sale, String key) {
        var request = HttpRequest.newBuilder(upstream.resolve("sales"))
                .timeout(Duration.ofMillis(Times.FIRST_MS))
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", "\"" + key + "\"")
                .POST(BodyPublishers.ofString(Http.JSON.writeValueAsString(sale)));
        EventStream.CLIENT.sendAsync(request.build(), BodyHandlers.ofString())
                .whenComplete((answer, broken) -> Desk.soon(() -> answered(sale,
                        answer == null ? 0 : answer.statusCode())));
    }

    List<String> ids() { return waiting.stream().map(Sale::id).toList(); }
}

// %% [markdown]
// ## Routes
//
// The shop opens with the first request. Where `UPSTREAM` is not set, a small
// supplier stands in for the real one.

// %%
class CornerShop {
    private Till till;
    private Sales sales;

    void till(HttpServerExchange exchange) {
        at(exchange, () -> Http.json(exchange, 200, till.state()));
    }

    void sales(HttpServerExchange exchange) {
        at(exchange, () -> Http.json(exchange, 200, Map.of("waiting", sales.ids())));
    }

    void sell(HttpServerExchange exchange, byte[] body) {
        Sale sale = Sale.of(Http.object(body));
        at(exchange, () -> {
            sales.sell(sale);
            Http.empty(exchange, 202);
        });
    }

    private void at(HttpServerExchange exchange, Runnable action) {
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> Desk.soon(() -> {
            if (till == null) {
                sales = new Sales(upstream(exchange));
                till = new Till(upstream(exchange));
            }
            action.run();
        }));
    }

    private static URI upstream(HttpServerExchange exchange) {
        int port = exchange.getConnection().getLocalAddress(InetSocketAddress.class)
                .getPort();
        return URI.create(System.getenv().getOrDefault("UPSTREAM",
                "http://127.0.0.1:" + port + "/_/supplier/feed"));
    }
}

class FallingBack {
    static HttpHandler routes() {
        CornerShop shop = new CornerShop();
        return new Supplier().mount(new Routes()
                .page("11_falling_back")
                .get("/till", shop::till)
                .get("/_/page/till", shop::till) // not on the wire
                .get("/_/page/sales", shop::sales)
                .get("/sales", shop::sales)
                .post("/sales", shop::sell));
    }

    void main() {
        Serve.run("11 Falling back", 9011, routes());
    }
}
