///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Server-sent events: one answer that never ends, for notices and a dashboard
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 04_server_sent_events.java
//FILES 04_server_sent_events.html
//FILES 04_server_sent_events.md

// %% [markdown]
// # 04 - Server-sent events
//
// A feed or a dashboard only listens. The WebSocket of lesson 03 can bring it
// news, but what is sent while the connection is broken never arrives.
//
// Here the page makes **one HTTP request, and its answer never ends**: the
// server writes one event after the other into it. If the connection breaks,
// the browser asks again by itself, and says which event it saw last.
//
// ```mermaid
// sequenceDiagram
//   Tab->>+Server: GET /events
//   Publisher->>Server: POST /events
//   Server-->>Tab: id: 7, event: notice
//   Server-->>-Tab: the connection breaks
//   Publisher->>Server: POST /events
//   Tab->>+Server: GET /events, Last-Event-ID: 7
//   Server-->>Tab: id: 8, event: notice
// ```
//
// In the demo, cut one of two tabs, and compare what each of them received.

// %%
import static java.nio.charset.StandardCharsets.UTF_8;
import io.undertow.server.*;
import io.undertow.util.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import org.xnio.channels.StreamSinkChannel;
import shared.*;

// %% [markdown]
// ## A blank line ends an event
//
// There are no frames. An event is lines of text, and a blank line ends it.
// CRLF, CR and LF each end a line
// ([HTML, 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)),
// so a text with a line break could pretend to be another field. We put
// `data: ` before each line of a text, and the browser joins them again with
// LF. It drops one space after the colon. We write that space, or a text that
// begins with one would lose it.

// %%
interface Event {
    static String lines(String type, String data) {
        String[] lines = data.split("\r\n|\r|\n", -1);
        return "event: " + type + "\ndata: " + String.join("\ndata: ", lines) + "\n\n";
    }

    static String parse(byte[] body) {
        var event = Http.object(body);
        String type = Http.text(event, "type");
        if (!type.matches("(?!(reset|tick)$)[^\r\n\0]+")) throw new Problem(400,
                "'type' must be one line of text, and no type of the stream's own.");
        var data = event.get("data");
        if (data == null) throw new Problem(400, "'data' is missing.");
        String text = data.isString() ? data.stringValue() : data.toString();
        if (UTF_8.newEncoder().canEncode(text)) return lines(type, text);
        throw new Problem(400, "'data' holds half a surrogate pair.");
    }
}

// %% [markdown]
// ## One log for all
//
// We encode an event once and keep the last 1,000, 128 MiB at most. So a
// stream (one client's answer) needs no queue: it is a position in this log.
// If an id came again after a restart, it would name two events. So ids begin
// at the clock's time in microseconds. (The clock must never be set back.)

// %%
class Log {
    private final SequencedMap<Long, byte[]> kept = new LinkedHashMap<>();
    private final long start = System.currentTimeMillis() * 1_000;
    private int size;
    long last = start;
    boolean ended;

    synchronized long append(String event) {
        byte[] bytes = ("id: " + ++last + "\n" + event).getBytes(UTF_8);
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
        ByteBuffer[] some = new ByteBuffer[Math.clamp(last + 1 - id, 0, 16)];
        if (some.length > 0 && !kept.containsKey(id)) throw new IOException("behind");
        Arrays.setAll(some, i -> ByteBuffer.wrap(kept.get(id + i)));
        return some;
    }

    synchronized boolean holds(String id) {
        return id.equals("" + last) || id.matches("[1-9]\\d{0,15}")
                && kept.containsKey(Long.parseLong(id));
    }

    synchronized Map<String, Long> state() {
        return Map.of("id", last, "published", last - start, "ended", ended ? 1L : 0L);
    }
}

// %% [markdown]
// ## A stream is a position, not a thread
//
// We write as many bytes as the socket takes. When it has room again, we write
// the rest and what came since. So a slow reader slows nobody. A reader that
// falls behind the kept events is cut off, and asks again.

// %%
class EventStream {
    final HttpServerExchange exchange;
    final XnioIoThread thread;
    private final Log log;
    private StreamSinkChannel channel;
    private ByteBuffer[] out = {};
    private boolean blocked;
    long next;

    EventStream(HttpServerExchange exchange, Log log) {
        this.exchange = exchange;
        this.thread = exchange.getIoThread();
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

    void say(String text) {
        if (blocked) return; // not worth a queue
        out = new ByteBuffer[] {UTF_8.encode(text)};
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
            cut();
        }
    }

    void cut() { IoUtils.safeClose(exchange.getConnection()); }

    boolean isHead() { return exchange.getRequestMethod().equals(Methods.HEAD); }

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
// A client that comes back wants the events that it missed, then the new ones.
// A server that does this in two steps can lose an event that comes between
// them, or send it twice. We have one step: a reader takes its place in the log and
// reads on. If we do not hold its id, we send a `reset`; silence would say
// "you missed nothing". A new event wakes each I/O thread once, and each
// thread writes to its own streams.

// %%
class Feed {
    final Log log = new Log();
    final Set<EventStream> streams = ConcurrentHashMap.newKeySet();
    private final Set<XnioIoThread> threads = ConcurrentHashMap.newKeySet();

    void publish(HttpServerExchange exchange, byte[] body) {
        long id = log.append(Event.parse(body));
        for (XnioIoThread own : threads) own.execute(() -> streams.forEach(each -> {
            if (each.thread == own) each.send();
        }));
        Http.json(exchange, 202, Map.of("id", id));
    }

    String join(EventStream stream, String lastId) {
        synchronized (log) {
            if (log.ended) return null;
            boolean held = log.holds(lastId);
            stream.next = 1 + (held ? Long.parseLong(lastId) : log.last);
            threads.add(stream.exchange.getIoThread());
            if (!stream.isHead()) streams.add(stream);
            String reset = held || lastId.isEmpty() ? "" : Event.lines("reset", "{}");
            return "retry: 1000\n\n" + reset;
        }
    }

    void end(boolean forGood) {
        synchronized (log) {
            log.ended = forGood;
            streams.forEach(each -> each.thread.execute(each.exchange::endExchange));
            streams.clear();
        }
    }

    void cut(String tab) {
        for (EventStream each : streams) {
            boolean meant = each.exchange.getQueryString().contains("tab=" + tab);
            if (meant) each.thread.execute(each::cut);
        }
    }
}

// %% [markdown]
// ## A subscription
//
// A browser that reconnects sends `Last-Event-ID`. A page that knows an id
// from before puts it into the URL, because `EventSource` cannot set headers.
// The header wins. `X-Accel-Buffering: no` tells nginx to pass each event on
// at once. A comment every 15 seconds shows proxies that a quiet stream lives.
// `onGone` hears of a connection that ends, not of a laptop that is shut.
// `?ticks=1` adds readings of the server's gauges every 5 seconds. They have
// no id, as nobody needs old ones.

// %%
record Subscription(Feed feed, HttpServerExchange exchange, EventStream stream) {
    void begin() {
        String inUrl = Http.query(exchange, "lastEventId");
        String lastId = exchange.getRequestHeaders().getFirst("Last-Event-ID");
        if (lastId == null || lastId.isEmpty()) lastId = inUrl == null ? "" : inUrl;
        boolean ticks = Http.queryInteger(exchange, "ticks", 0, 0, 1) == 1;
        String start = feed.join(stream, lastId);
        if (start == null) Http.empty(exchange, 204);
        else exchange.dispatch(SameThreadExecutor.INSTANCE, () -> open(start, ticks));
    }

    private void open(String start, boolean ticks) {
        exchange.getResponseHeaders()
                .put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache")
                .put(new HttpString("X-Accel-Buffering"), "no");
        Http.onGone(exchange, () -> feed.streams.remove(stream));
        every(15, () -> stream.say(": still here\n\n"));
        if (ticks) every(5, () -> stream.say(Event.lines("tick", gauges())));
        stream.open(start);
        if (stream.isHead()) exchange.endExchange();
    }

    private void every(int seconds, Runnable work) {
        var timer = exchange.getIoThread().executeAtInterval(
                work, seconds, TimeUnit.SECONDS);
        exchange.addExchangeCompleteListener((done, next) -> {
            timer.remove();
            next.proceed();
        });
    }

    private String gauges() {
        Runtime jvm = Runtime.getRuntime();
        return Http.JSON.writeValueAsString(new TreeMap<>(Map.of(
                "streams", feed.streams.size(), "threads", Thread.activeCount(),
                "heap", jvm.totalMemory() - jvm.freeMemory())));
    }
}

// %% [markdown]
// ## The browser's side
//
// An `EventSource` reconnects and resumes by itself after an end or a cut. But
// **any answer except 200 with `text/event-stream` is final**: one 503 from a
// server that restarts would silence the page for good. Our script then sees
// `CLOSED`, and asks with HEAD for the status. 204 is the intended end.
// Otherwise the script begins again with the id of the last event.
//
// On `reset` the page loads the whole state, with the id of its last event, and
// continues from there. If only resets come, it waits longer each time. An
// event whose id is not above the last one is dropped as a duplicate. A script
// cannot see comments, so a dead network looks like a quiet server. With ticks,
// 15 seconds of silence count as an end.

// %%
interface Subscriber {
    // language=JavaScript
    String SCRIPT = """
            function subscribe(query, page, last = "", failures = 0) {
              const { types, show, load, state, signal } = page;
              if (signal.aborted) return;
              const source = new EventSource(`/events?${query}&lastEventId=${last}`);
              const again = async (seconds) => {
                await pause(1000 * seconds * (0.5 + Math.random()), signal);
                subscribe(query, page, last, failures + 1);
              };
              let timer;
              const end = () => { clearTimeout(timer); source.close(); };
              const silent = () => { end(); state("silent"); again(1); };
              const listen = () => {
                clearTimeout(timer);
                if (query.includes("ticks=1")) timer = setTimeout(silent, 15_000);
              };
              listen();
              signal.onabort = end;
              source.onopen = () => state("open");
              source.onerror = async (event) => {
                if (event instanceof MessageEvent) return; // published as "error"
                state(["reconnecting", "", "closed"][source.readyState]);
                if (source.readyState !== EventSource.CLOSED) return;
                end();
                const late = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
                const head = { method: "HEAD", cache: "no-store", signal: late };
                const answer = await fetch(`/events?${query}`, head).catch(() => null);
                if (answer?.status === 204) return state("ended");
                again(Math.min(30, 2 ** failures));
              };
              source.addEventListener("reset", async () => {
                end();
                last = await load().catch(() => null) ?? last;
                again(failures && Math.min(30, 2 ** failures)); // the first: at once
              });
              const receive = (event) => {
                listen();
                failures = 0; // not when it opens: the next thing may be a reset
                const id = Number(event.lastEventId); // a tick carries the newest one
                if (id > last || event.type === "tick") show(event);
                if (id > last) last = id;
              };
              for (const type of types) source.addEventListener(type, receive);
            }
            """;
}

// %% [markdown]
// ## Break it
//
// - **Cut tab A.** Its connection breaks, and three notices are published.
//   After a second (`retry`) it asks again with `Last-Event-ID` and gets all
//   three. Chromium's DevTools list them in a tab *EventStream*.
// - **Claim an unknown id.** Tab A says that it saw event 1, which we do not
//   hold. To send only new events would hide the gap, so we send `reset`.
// - **Use up six connections.** Over HTTP/1.1 browsers open at most six to a
//   host, for all tabs together. With six streams open, the next request waits.
// - **End it.** `DELETE` ends the streams. Each tab asks once more and gets
//   204, which closes its `EventSource`. Our HEAD finds out why. A notice
//   reopens the feed.

// %%
class ServerSentEvents {
    static HttpHandler routes() {
        Feed feed = new Feed();
        return new Routes()
                .onStop(() -> feed.end(false))
                .always("Cache-Control", "no-store")
                .page("04_server_sent_events", Subscriber.SCRIPT)
                .post("/events", feed::publish)
                .get("/events", exchange -> new Subscription(feed, exchange,
                        new EventStream(exchange, feed.log)).begin())
                .delete("/events", (exchange, body) -> {
                    feed.end(true);
                    Http.empty(exchange, 204);
                })
                .get("/streams", exchange -> Http.json(exchange, 200,
                        Map.of("streams", feed.streams.size())))
                .get("/_/state", exchange -> Http.json(exchange, 200, feed.log.state()))
                .post("/_/cut", (exchange, body) -> {
                    feed.cut(Http.text(Http.object(body), "tab"));
                    Http.empty(exchange, 204);
                });
    }

    void main() {
        Serve.run("04 Server-sent events", 8004, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Run `curl -N 'http://localhost:8004/events?ticks=1'`, and publish. Add
//    `-i --raw` to see the head and the sizes of chunks, too.
// 2. Publish two lines, and find two `data: ` lines in one event:
//    `curl -H 'Content-Type: application/json' -d '{"type":"notice",
//    "data":"one\ntwo"}' http://localhost:8004/events`
// 3. Restart this server: both tabs come back, and get a `reset`.
//
// ## What it costs, and when to choose it
//
// - Browsers: all have it. No headers of your own, no POST, no binary data.
// - Resources: each stream has a socket, about 5 KiB of heap, and no thread.
// - Proxies: it is plain HTTP. Some cut what is idle, or hold events back.
//
// Choose it where only the server talks. If a server listens: a webhook (05).
//
// `./jbang notebook 04` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8004, ServerSentEvents.routes()).port` shows 8004, the
// page's port.
