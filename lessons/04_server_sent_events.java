///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Server-sent events: one answer that never ends, for notices and a dashboard
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/*.java
//FILES 04_server_sent_events.java
//FILES 04_server_sent_events.html

// %% [markdown]
// # 04 - Server-sent events
//
// Feeds, notices and monitoring dashboards only listen. The WebSocket of
// lesson 03 can bring them news, but when it breaks, the page must connect
// again by itself, and what was sent meanwhile is lost to it.
//
// Here the page makes **one HTTP request, and its answer never ends**: the
// server writes any number of events onto it, one way only. If it breaks,
// the browser itself asks again, and says which event it saw last.
//
// ```mermaid
// sequenceDiagram
//   participant T as Tab
//   participant S as Server
//   participant P as Publisher
//   T->>+S: GET /events
//   P->>S: POST /events
//   S-->>T: id: 7, event: notice
//   S-->>-T: the connection breaks
//   P->>S: POST /events
//   T->>+S: GET /events, Last-Event-ID: 7
//   S-->>T: id: 8, event: notice
// ```
//
// The demo is two tabs on one page. Publish; then cut tab A, publish more,
// and compare what the two have received.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import org.xnio.channels.StreamSinkChannel;
import shared.*;

// %% [markdown]
// ## A blank line ends an event
//
// There are no frames: an event is lines of text, chunks may cut it
// anywhere, and a blank line ends it. CRLF, CR and LF all end a line
// ([HTML, 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)),
// so text that holds one would inject fields. Each line of it gets its own
// `data: `, and the browser joins them again. The browser drops one space
// after the colon; without ours it would be one of the text.

// %%
interface Event {
    static String lines(String type, String data) {
        String[] lines = data.split("\r\n|\r|\n", -1);
        return "event: " + type + "\ndata: " + String.join("\ndata: ", lines) + "\n\n";
    }

    static String parse(byte[] body) {
        var event = Http.object(body);
        String type = Http.text(event, "type");
        if (type.isEmpty() || type.matches("(?s).*[\r\n\0].*")) {
            throw new Problem(400, "'type' must be text without CR, LF and NUL.");
        }
        var data = event.get("data");
        if (data == null) throw new Problem(400, "'data' is missing.");
        return lines(type, data.isString() ? Http.text(event, "data") : data.toString());
    }
}

// %% [markdown]
// ## One log for all
//
// An event is encoded once, and the last 1,000 are kept. A stream needs no
// queue then: it is a position in this log. 1,000 bodies of 64 KiB fit;
// line breaks swell to `data: ` lines, so the bytes have a bound as well.
//
// An id used again after a restart would name two events. So we count on
// from the clock in microseconds: below 2^53 until 2255, and never back,
// unless we publish a million a second or somebody sets the clock back.

// %%
class Log {
    private final TreeMap<Long, byte[]> kept = new TreeMap<>();
    private int size;
    long last = System.currentTimeMillis() * 1_000;
    boolean ended;

    synchronized long append(String event) {
        byte[] bytes = ("id: " + ++last + "\n" + event).getBytes(StandardCharsets.UTF_8);
        kept.put(last, bytes);
        size += bytes.length;
        while (kept.size() > 1_000 || size > 128 * 1024 * 1024) {
            size -= kept.pollFirstEntry().getValue().length;
        }
        ended = false;
        return last;
    }

    /// Up to 16 events, in buffers of the reader's own over the same bytes.
    synchronized ByteBuffer[] from(long id) throws IOException {
        if (id <= last && !kept.containsKey(id)) throw new IOException("fell behind");
        return kept.tailMap(id).values().stream().limit(16)
                .map(ByteBuffer::wrap).toArray(ByteBuffer[]::new);
    }

    /// The newest id counts as held even before the first event.
    synchronized boolean holds(String id) {
        return id.matches("[1-9]\\d{0,15}")
                && (kept.containsKey(Long.parseLong(id)) || id.equals("" + last));
    }
}

// %% [markdown]
// ## A stream is a position, not a thread
//
// Node's `res.send` ends an answer, `res.write` keeps it open; our channel
// stays open until we end the exchange. It takes what fits into the socket.
// The rest waits until it is writable, then goes out with what came since.
//
// So a slow reader slows nobody. One that falls behind the kept events is
// cut; it comes back, and resumes or hears that it missed some.

// %%
class EventStream {
    final HttpServerExchange exchange;
    private final Log log;
    private StreamSinkChannel channel;
    private ByteBuffer[] out = {};
    private boolean blocked;
    long next;

    EventStream(HttpServerExchange exchange, Log log) {
        this.exchange = exchange;
        this.log = log;
    }

    void open(String start) {
        channel = exchange.getResponseChannel();
        channel.getWriteSetter().set(writable -> {
            channel.suspendWrites();
            blocked = false;
            send();
        });
        say(start);
    }

    /// Sends what has no id; a reader that is behind goes without.
    void say(String text) {
        if (blocked) return;
        out = new ByteBuffer[] {StandardCharsets.UTF_8.encode(text)};
        send();
    }

    void send() {
        try {
            if (blocked) log.from(next); // throws if it fell behind
            while (!blocked && (unsent() || more())) {
                channel.write(out, 0, out.length);
                blocked = !channel.flush() || unsent();
                if (blocked) channel.resumeWrites();
            }
        } catch (IOException behindOrGone) {
            IoUtils.safeClose(exchange.getConnection());
        }
    }

    private boolean unsent() {
        return out.length > 0 && out[out.length - 1].hasRemaining();
    }

    private boolean more() throws IOException {
        out = log.from(next);
        next += out.length;
        return out.length > 0;
    }
}

// %% [markdown]
// ## No gap, no duplicate
//
// A server that replays first and goes live then loses the event between
// the two, or sends it twice. Here is no seam: a reader takes its place in
// the log, and reads on. An id that we do not hold gets a `reset`, as
// silence would say "you missed nothing".
//
// An event wakes each I/O thread once, to write to the thread's own streams.

// %%
class Feed {
    final Log log = new Log();
    final Map<Executor, Set<EventStream>> streams = new ConcurrentHashMap<>();

    void publish(HttpServerExchange exchange, byte[] body) {
        long id = log.append(Event.parse(body));
        streams.forEach((thread, own) ->
                thread.execute(() -> own.forEach(EventStream::send)));
        Http.json(exchange, 202, Map.of("id", id));
    }

    /// Gives a reader its place, and returns what it hears first.
    String join(EventStream stream, String lastId) {
        synchronized (log) {
            if (log.ended) return null;
            boolean held = log.holds(lastId);
            stream.next = 1 + (held ? Long.parseLong(lastId) : log.last);
            own(stream.exchange).add(stream);
            boolean reset = !held && !lastId.isEmpty();
            return "retry: 1000\n\n" + (reset ? Event.lines("reset", "{}") : "");
        }
    }

    void end() {
        synchronized (log) {
            log.ended = true;
            streams.forEach((thread, own) -> {
                List<EventStream> all = List.copyOf(own);
                own.clear();
                thread.execute(() -> all.forEach(each -> each.exchange.endExchange()));
            });
        }
    }

    Set<EventStream> own(HttpServerExchange exchange) {
        return streams.computeIfAbsent(exchange.getIoThread(),
                thread -> ConcurrentHashMap.newKeySet());
    }

    List<EventStream> all() {
        return streams.values().stream().flatMap(Set::stream).toList();
    }
}

// %% [markdown]
// ## A subscription
//
// The browser sends `Last-Event-ID` when it reconnects. A page that knows
// an id from before puts it into the URL, as it cannot set the header; the
// header wins. `no-cache` and `X-Accel-Buffering` ask proxies to pass each
// event on at once. A comment every 15 seconds keeps a quiet stream from
// looking dead, and `onGone` notices a reader that left.
//
// `?ticks=1` adds the server's own gauges every 5 seconds. They have no
// id, as nobody wants old ones replayed.

// %%
record Subscription(Feed feed, HttpServerExchange exchange, EventStream stream) {
    void begin() {
        String inUrl = Http.query(exchange, "lastEventId");
        var header = exchange.getRequestHeaders().get("Last-Event-ID");
        String lastId = header == null ? "" : String.join(",", header);
        boolean ticks = Http.queryInteger(exchange, "ticks", 0, 0, 1) == 1;
        String start = feed.join(stream, lastId.isEmpty() && inUrl != null ? inUrl : lastId);
        if (start == null) {
            Http.empty(exchange, 204);
            return;
        }
        exchange.getResponseHeaders()
                .put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache")
                .put(new HttpString("X-Accel-Buffering"), "no");
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            onEnd(() -> feed.own(exchange).remove(stream));
            every(15, () -> stream.say(": still here\n\n"));
            if (ticks) every(5, () -> stream.say(Event.lines("tick", gauges())));
            Http.onGone(exchange, () -> {});
            stream.open(start);
            if (exchange.getRequestMethod().equals(Methods.HEAD)) exchange.endExchange();
        });
    }

    private void every(int seconds, Runnable work) {
        var timer = exchange.getIoThread().executeAtInterval(work, seconds, TimeUnit.SECONDS);
        onEnd(timer::remove);
    }

    private void onEnd(Runnable work) {
        exchange.addExchangeCompleteListener((done, next) -> {
            work.run();
            next.proceed();
        });
    }

    private String gauges() {
        Runtime jvm = Runtime.getRuntime();
        return Http.JSON.writeValueAsString(Map.of("streams", feed.all().size(),
                "threads", ManagementFactory.getThreadMXBean().getThreadCount(),
                "heap", jvm.totalMemory() - jvm.freeMemory()));
    }
}

// %% [markdown]
// ## The browser's side
//
// `EventSource` instead of `fetch`: it reconnects and resumes by itself
// after an end or a cut. But **any status except 200 is final**, so a 503
// while a server restarts would silence the page for good. We see that as
// `CLOSED`, ask with HEAD whether 204, the intended end, was meant, and
// else begin again. The last id is on the event, not on the source.
//
// On `reset` we load the whole state, which says up to which id it goes,
// and go on from there. Ids rise, so a lower one is a duplicate.

// %%
interface Subscriber {
    // language=JavaScript
    String SCRIPT = """
            function subscribe(query, page, last = 0, failures = 0) {
              const { types, show, load, state, signal } = page;
              const resume = last ? `&lastEventId=${last}` : "";
              const source = new EventSource(`/events?${query}${resume}`);
              const again = (id) => signal.aborted || subscribe(query, page, id, failures + 1);
              signal.addEventListener("abort", () => source.close());
              source.onopen = () => state("open", (failures = 0));
              source.onerror = async (event) => {
                if (event instanceof MessageEvent) return; // published as "error"
                const closed = source.readyState === EventSource.CLOSED;
                state(closed ? "closed" : "reconnecting");
                if (!closed) return; // the browser's own retry
                const head = { method: "HEAD", cache: "no-store", signal };
                const answer = await fetch(`/events?${query}`, head).catch(() => null);
                if (answer?.status === 204) return state("ended");
                await pause(Math.min(30_000, 1000 * 2 ** failures) * (0.5 + Math.random()), signal);
                again(last);
              };
              source.addEventListener("reset", async () => {
                source.close();
                again((await load().catch(() => pause(1000, signal))) ?? last);
              });
              const receive = (event) => {
                const id = Number(event.lastEventId); // a tick carries the newest one
                if (id > last || event.type === "tick") show(event);
                last = Math.max(id, last);
              };
              for (const type of types) source.addEventListener(type, receive);
            }
            """;
}

// %% [markdown]
// ## Break it
//
// **Cut tab A.** Its socket is reset, and three notices are published while
// it is away. It comes back after `retry` with the header `Last-Event-ID`,
// and gets these three. In DevTools, tab *EventStream* of a request shows
// events as they arrive.
//
// **Unknown id.** Tab A claims an id that nobody gave. It is told `reset`.
//
// **Use up six connections.** Over HTTP/1.1 a browser opens six to a host,
// all tabs together. With six streams open the next request has to wait.
//
// **End it.** `DELETE` ends the streams; each tab asks again, and 204 sets
// its `readyState` to 2 for good. The next notice reopens the feed.

// %%
class Cut {
    static void reset(EventStream stream) {
        var connection = stream.exchange.getConnection();
        try {
            connection.setOption(Options.CLOSE_ABORT, true);
        } catch (IOException gone) {
            return;
        }
        IoUtils.safeClose(connection);
    }
}

class ServerSentEvents {
    static HttpHandler routes() {
        Feed feed = new Feed();
        Serve.onStop(feed::end);
        return new Routes()
                .page("04_server_sent_events", Subscriber.SCRIPT)
                .post("/events", feed::publish)
                .get("/events", exchange -> new Subscription(feed, exchange,
                        new EventStream(exchange, feed.log)).begin())
                .delete("/events", (exchange, body) -> {
                    feed.end();
                    Http.empty(exchange, 204);
                })
                .get("/streams", exchange -> Http.json(exchange, 200, Map.of("streams", feed.all().size())))
                .get("/_/state", exchange -> Http.json(exchange, 200, Map.of("id", feed.log.last)))
                ;
    }

    void main() {
        Serve.run("04 Server-sent events", 8004, routes());
    }
}
