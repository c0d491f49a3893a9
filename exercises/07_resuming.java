///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a mirror of a news agency
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/upstream/[A-Z]*.java
//FILES 07_resuming.java
//FILES 07_resuming.html=../exercises/07_resuming.html

// %% [markdown]
// # 07 - Exercise: a mirror of a news agency
//
// A local paper shows the news of an agency. Its server reads the agency's
// event stream, and that stream breaks: often, and in many ways.
//
// **The twist.** This time you are the client, and your code is Java. The
// agency is not yours: its cursors can look like anything.
//
// ## What it must do
//
// The requests below are done already, and so is a small agency for the page.
// As it stands, the program works as long as nothing breaks: what is in the
// holes now is wrong, and yours to replace. You may add fields and methods.
//
// | request | what it is |
// |---|---|
// | `GET /news` | `{"items":[{"key":"a1","text":"Rain"}],"state":"live"}` |
// | `POST /follow` | begin anew, with no news and no cursor |
//
// `UPSTREAM` is the URL of the agency's event stream. The URL `snapshot` beside it
// has all of its news: `{"cursor":"x","items":[...]}`. `state` is `live` while a
// connection is open, else `waiting`, and `ended` when you will not come back.
//
// 1. **Pauses grow, at random.** The nth pause in a row is from half of a limit
//    to the whole, at random. The limit is `BASE_MS`, then twice as much each
//    time, `CAP_MS` at most. But a pause is never shorter than `Retry-After`
//    asks for, even if that is above the cap.
// 2. **Some ends are final**: the answers 204, 401 and 410. After every other
//    end you come back. The count goes on over short connections, too. It
//    begins anew after one that was open for `STABLE_MS`.
// 3. **You resume.** At each return you send the last id that you have got, of
//    whatever event. An event `reset` says that the agency does not know it any
//    more. Then leave the stream, load the snapshot at once, and come back with
//    its cursor.
// 4. **Silence is an end, too.** After `SILENCE_MS` without a byte you give the
//    connection up, even if it never got an answer. Any byte counts, also of a
//    comment. And there are never two connections at once.
//
// With `BASE_MS=1000` and `CAP_MS=16000`, the pauses are
//
// - 0.5 to 1 s, 1 to 2 s, 2 to 4 s, 4 to 8 s, 8 to 16 s, and 8 to 16 s again
// - 0.5 to 1 s again, after a connection that lasted
// - 7 s at least, after a 503 with `Retry-After: 7`
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/07_resuming.java`. Then grade it: `./jbang grade 07`.
// Stuck? `./jbang hint 07` gives one hint at a time.

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.util.*;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.IoUtils;
import shared.*;
import shared.upstream.*;
import tools.jackson.databind.JsonNode;

// %% [markdown]
// ## Done already: the desk
//
// Everything that you write runs on one thread, the desk's. So nothing of it
// happens at the same time, and you need no lock. `after` runs an action later,
// on this thread. `cancel(false)` on what it returns takes it back.

// %%
interface Limits {
    int BASE_MS = Serve.environment("BASE_MS", 1_000, 1, 600_000);
    int CAP_MS = Serve.environment("CAP_MS", 16_000, 1, 600_000);
    int STABLE_MS = Serve.environment("STABLE_MS", 10_000, 1, 600_000);
    int SILENCE_MS = Serve.environment("SILENCE_MS", 6_000, 1, 600_000);
}

interface NewsDesk {
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
}

record Item(String key, String text) {
    static Item of(JsonNode json) {
        return new Item(json.path("key").asString(), json.path("text").asString());
    }
}

record Paper(Collection<Item> items, String state) {}

// %% [markdown]
// ## The mirror
//
// `connect()` opens the stream, with the cursor unless it is null. `stream` is
// the one connection. `stream.close()` leaves it: you hear nothing more of it.
// `stream.giveUp()` leaves it as if it had broken, so `ended` is called.
// Either does nothing where it is over already.
//
// `load()` gets the snapshot, puts its news and its cursor into place, and
// connects. If that fails, `ended` is called. To come back, call
// `comeBack()`: it connects, or loads if `isLost`.

// %%
class Mirror implements EventStream.Listener {
    private final SequencedMap<String, Item> items = new LinkedHashMap<>();
    private URI upstream;
    private EventStream stream;
    private Future<?> pause;
    private Future<?> silence;
    private CompletableFuture<HttpResponse<String>> loading;
    private String state = "waiting";
    private String cursor;
    private boolean isLost;
    private int failures;

    void connect() {
        state = "waiting";
        stream = new EventStream(upstream, cursor, NewsDesk::soon, this);
        heard();
    }

    public void opened() {
        state = "live";
    }

    /// The next pause, in milliseconds.
    ///
    /// @param n it is the nth in a row, from 1
    /// @param retryAfterMs what the agency asks for, or 0
    long pause(int n, long retryAfterMs) {
        // TODO 1: Return a random pause, from half of the limit to all of it, but never
        //   less than `retryAfterMs`.
        return Limits.BASE_MS;
        // END 1
    }

    /// The connection has ended, or could not be made.
    ///
    /// @param status of the answer, or 0
    /// @param openMs how long it was open, in milliseconds; 0 if it never was
    public void ended(int status, long openMs, long retryAfterMs) {
        state = "waiting";
        // TODO 2: After a final answer set `state` to "ended", and do no more. Else
        //   count this failure, from 0 again if the connection was stable.
        if (status == 200) failures = 0;
        failures++;
        // END 2
        pause = NewsDesk.after(pause(failures, retryAfterMs), this::comeBack);
    }

    public void event(String type, String id, String data) {
        // TODO 3: Keep the id for the next return, if there is one. On `reset`, close
        //   the stream, set `isLost`, and come back at once.
        if (cursor == null) cursor = id;
        if (type.equals("item")) add(Item.of(Http.JSON.readTree(data)));
        // END 3
    }

    /// Called when a connection is begun, and with each byte that it brings.
    public void heard() {
        // TODO 4: Give the stream up after `SILENCE_MS`, unless this is called again.
        // END 4
    }

    void add(Item item) {
        items.putIfAbsent(item.key(), item); // the snapshot repeats what we have
    }

    void comeBack() {
        if (isLost) load();
        else connect();
    }

    private void load() {
        state = "waiting";
        var request = HttpRequest.newBuilder(upstream.resolve("snapshot")).build();
        loading = EventStream.CLIENT.sendAsync(request, BodyHandlers.ofString())
                .orTimeout(Limits.SILENCE_MS, TimeUnit.MILLISECONDS);
        var own = loading;
        own.whenCompleteAsync((answer, broken) -> {
            if (loading != own) return; // it was begun anew meanwhile
            if (answer == null) ended(0, 0, 0);
            else if (answer.statusCode() == 200) loaded(answer.body());
            else ended(answer.statusCode(), 0, Http.retryAfter(answer));
        }, NewsDesk::soon);
    }

    private void loaded(String json) {
        JsonNode snapshot = Http.JSON.readTree(json);
        snapshot.path("items").forEach(each -> add(Item.of(each)));
        cursor = snapshot.path("cursor").asString();
        isLost = false;
        connect();
    }

    void follow(URI url) {
        upstream = url;
        if (stream != null) stream.close();
        for (Future<?> each : Arrays.asList(pause, silence, loading)) {
            if (each != null) each.cancel(true);
        }
        loading = null;
        items.clear();
        cursor = null;
        isLost = false;
        failures = 0;
        connect();
    }

    Paper news() {
        return new Paper(List.copyOf(items.values()), state);
    }
}

// %% [markdown]
// ## Done already: an agency for the page
//
// It stands in for the real one as long as `UPSTREAM` is not set.

// %%
class Agency {
    private final List<Item> items = new ArrayList<>();
    private final Set<ServerSentEventConnection> streams =
            ConcurrentHashMap.newKeySet();
    private String epoch = "a";
    private String mode = "open";

    Agency() {
        Serve.WORKER.getIoThread().executeAtInterval(() -> {
            if (!mode.equals("freeze")) streams.forEach(each -> each.send(null, null,
                    null, null));
        }, 2, TimeUnit.SECONDS);
    }

    synchronized void act(HttpServerExchange exchange, byte[] body) {
        String action = Http.path(exchange, "action");
        switch (action) {
            case "publish" -> publish();
            case "break" -> streams.forEach(IoUtils::safeClose);
            case "forget" -> {
                epoch += "a";
                streams.forEach(IoUtils::safeClose);
            }
            default -> {
                mode = action;
                if (!mode.equals("freeze")) streams.forEach(IoUtils::safeClose);
            }
        }
        Http.empty(exchange, 204);
    }

    private void publish() {
        Item item = new Item(epoch + items.size(), "News " + (items.size() + 1));
        items.add(item);
        if (!mode.equals("freeze")) streams.forEach(each -> send(each, items.size()));
    }

    private void send(ServerSentEventConnection to, int n) {
        String json = Http.JSON.writeValueAsString(items.get(n - 1));
        to.send(json, "item", epoch + ":" + n, null);
    }

    synchronized void open(HttpServerExchange exchange) {
        switch (mode) {
            case "503" -> throw new Problem(503, "Later.").with("Retry-After", 2);
            case "204" -> Http.empty(exchange, 204);
            case "freeze" -> exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {});
            default -> stream(exchange);
        }
    }

    private void stream(HttpServerExchange exchange) {
        String last = exchange.getRequestHeaders().getFirst("Last-Event-ID");
        Http.events(exchange, own -> {
            Http.onGone(exchange, () -> streams.remove(own));
            own.sendRetry(1_000); // so that the head goes at once
            synchronized (this) {
                boolean isKnown = last != null && last.startsWith(epoch + ":");
                if (last != null && !isKnown) own.send("{}", "reset", null, null);
                int first =
                        isKnown ? Integer.parseInt(last.substring(epoch.length() + 1))
                                : items.size();
                for (int n = first + 1; n <= items.size(); n++) send(own, n);
                streams.add(own);
            }
        });
    }

    synchronized void snapshot(HttpServerExchange exchange) {
        Http.json(exchange, 200, Map.of("items", items, "cursor",
                epoch + ":" + items.size()));
    }
}

class Resuming {
    static HttpHandler routes() {
        Mirror mirror = new Mirror();
        Agency agency = new Agency();
        HttpHandler news = exchange -> later(exchange,
                () -> Http.json(exchange, 200, mirror.news()));
        return new Routes()
                .page("07_resuming")
                .get("/news", news)
                .get("/_/page/news", news) // not on the wire
                .post("/follow", (exchange, body) -> later(exchange, () -> {
                    mirror.follow(upstream(exchange));
                    Http.empty(exchange, 204);
                }))
                .get("/_/agency/stream", agency::open)
                .get("/_/agency/snapshot", agency::snapshot)
                .post("/_/agency/{action}", agency::act);
    }

    private static void later(HttpServerExchange exchange, Runnable action) {
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> NewsDesk.soon(action));
    }

    private static URI upstream(HttpServerExchange exchange) {
        int port = exchange.getConnection().getLocalAddress(InetSocketAddress.class)
                .getPort();
        return URI.create(System.getenv().getOrDefault("UPSTREAM",
                "http://127.0.0.1:" + port + "/_/agency/stream"));
    }

    void main() {
        Serve.run("07 Resuming", 9007, routes());
    }
}
