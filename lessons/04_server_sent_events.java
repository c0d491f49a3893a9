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
import java.util.function.Supplier;
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
    static final int EVENTS = 1_000;
    static final int BYTES = 128 * 1024 * 1024;
    private final TreeMap<Long, byte[]> kept = new TreeMap<>();
    private int size;
    long last = System.currentTimeMillis() * 1_000;

    synchronized long append(String event) {
        byte[] bytes = ("id: " + ++last + "\n" + event).getBytes(StandardCharsets.UTF_8);
        kept.put(last, bytes);
        size += bytes.length;
        while (kept.size() > EVENTS || size > BYTES) {
            size -= kept.pollFirstEntry().getValue().length;
        }
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
        if (!id.matches("[1-9]\\d{0,15}")) return false;
        return kept.containsKey(Long.parseLong(id)) || id.equals("" + last);
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
    private boolean ended;

    void publish(HttpServerExchange exchange, byte[] body) {
        String event = Event.parse(body);
        synchronized (log) {
            ended = false;
            Http.json(exchange, 202, Map.of("id", log.append(event)));
        }
        streams.forEach((thread, own) ->
                thread.execute(() -> own.forEach(EventStream::send)));
    }

    /// Gives the reader its place; null when the feed has ended.
    String join(EventStream stream, Set<EventStream> own, String lastId) {
        synchronized (log) {
            if (ended) return null;
            own.add(stream);
            boolean held = log.holds(lastId);
            stream.next = 1 + (held ? Long.parseLong(lastId) : log.last);
            boolean reset = !held && !lastId.isEmpty();
            return "retry: 1000\n\n" + (reset ? Event.lines("reset", "{}") : "");
        }
    }

    void end() {
        synchronized (log) {
            ended = true;
            streams.forEach((thread, own) -> {
                List<EventStream> all = List.copyOf(own);
                own.removeAll(all);
                thread.execute(() -> all.forEach(each -> each.exchange.endExchange()));
            });
        }
    }
}

// %% [markdown]
// ## A subscription
//
// The browser sends `Last-Event-ID` when it reconnects. It cannot on a
// first request, so a page that knows an id puts it into the URL, and the
// header wins. `no-cache` and `X-Accel-Buffering` ask proxies to pass each
// event on; one that collects them makes a stream look dead. A comment
// every 15 seconds keeps a quiet one from looking idle.
//
// With `?ticks=1` an interval sends the server's own gauges every 5
// seconds. They have no id, as nobody wants old ones replayed.

// %%
record Subscription(Feed feed, HttpServerExchange exchange, EventStream stream) {
    static void follow(HttpServerExchange exchange, Feed feed) {
        String inQuery = Http.query(exchange, "lastEventId");
        var header = exchange.getRequestHeaders().get("Last-Event-ID");
        String lastId = header == null ? "" : String.join(",", header);
        if (lastId.isEmpty() && inQuery != null) lastId = inQuery;
        boolean ticks = Http.queryInteger(exchange, "ticks", 0, 0, 1) == 1;
        Set<EventStream> own = feed.streams.computeIfAbsent(exchange.getIoThread(),
                thread -> ConcurrentHashMap.newKeySet());
        EventStream stream = new EventStream(exchange, feed.log);
        String start = feed.join(stream, own, lastId);
        if (start == null) {
            Http.empty(exchange, 204);
            return;
        }
        exchange.getResponseHeaders()
                .put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache")
                .put(new HttpString("X-Accel-Buffering"), "no");
    }
}
