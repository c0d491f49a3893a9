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
// A feed, a page of notices, a monitoring dashboard: they only listen.
// The WebSocket of lesson 03 can do that, but when it breaks, the page
// must reconnect by itself, and what was sent meanwhile is lost.
//
// With server-sent events the page makes **one HTTP request, and the
// answer never ends**: the server writes each event onto it. A long poll
// brings one piece of news a request, this brings any number. And the
// browser itself reconnects, and says which event it saw last.
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
// The demo is two tabs on one page. Publish a notice; cut tab A, publish
// more, and compare what the two have received.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.io.*;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import org.xnio.channels.StreamSinkChannel;
import shared.*;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## A blank line ends an event
//
// An event is lines of UTF-8 text, `field: value`. There are no frames:
// HTTP chunks may cut it anywhere, and only the blank line ends it. CRLF,
// CR and LF all end a line
// ([HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)),
// so text with a line break in it would inject fields of its own. We
// write each line of it as `data: `; the browser joins them again with
// LF. The space matters: the browser drops one, else of the text's own.

// %%
interface Event {
    static String lines(String type, String data) {
        String[] lines = data.split("\r\n|\r|\n", -1);
        return "event: " + type + "\ndata: " + String.join("\ndata: ", lines) + "\n\n";
    }

    static String type(ObjectNode body) {
        String type = Http.text(body, "type");
        if (!type.isEmpty() && !type.matches("(?s).*[\r\n\0].*")) return type;
        throw new Problem(400, "'type' must have text, and no CR, LF or NUL.");
    }

    static String data(ObjectNode body) {
        JsonNode data = body.get("data");
        if (data == null) throw new Problem(400, "'data' is missing.");
        String text = data.isString() ? data.stringValue() : data.toString();
        if (StandardCharsets.UTF_8.newEncoder().canEncode(text)) return text;
        throw new Problem(400, "'data' has an unpaired surrogate.");
    }
}

// %% [markdown]
// ## One log for all
//
// We encode an event once and keep the last 1,000. A stream needs no queue
// of its own then: it is a position in this log. 64 MiB hold the largest
// bodies; as line breaks swell to `data: ` lines, the bytes are bounded too.
//
// An id that is used again after a restart would make a tab skip news. So
// we count on from the clock in microseconds: 2^53 leaves room until 2255,
// and no restart falls back while we publish less than a million a second.

// %%
class Log {
    static final int EVENTS = 1_000;
    static final int BYTES = 128 << 20;
    private final byte[][] kept = new byte[EVENTS][];
    private long last = System.currentTimeMillis() * 1_000;
    private long first = last + 1;
    private long size;

    synchronized long append(String lines) {
        String event = "id: " + ++last + "\n" + lines;
        byte[] bytes = event.getBytes(StandardCharsets.UTF_8);
        size += bytes.length;
        for (; last - first >= EVENTS || size > BYTES; first++) {
            size -= kept[slot(first)].length;
            kept[slot(first)] = null;
        }
        kept[slot(last)] = bytes;
        return last;
    }

    /// The next events to write, 16 or 64 KiB of them, with shared bytes.
    synchronized ByteBuffer[] from(long id) throws IOException {
        if (id < first) throw new IOException("fell behind");
        List<ByteBuffer> batch = new ArrayList<>(1);
        for (int room = 65_536; id <= last && room > 0 && batch.size() < 16; id++) {
            batch.add(ByteBuffer.wrap(kept[slot(id)]));
            room -= kept[slot(id)].length;
        }
        return batch.toArray(ByteBuffer[]::new);
    }

    synchronized long last() {
        return last;
    }

    /// Where a tab goes on that saw `id` last; -1 where we do not hold it.
    synchronized long after(String id) {
        long seen = id.matches("[1-9]\\d{0,15}") ? Long.parseLong(id) : -1;
        return seen == last || seen >= first && seen < last ? seen + 1 : -1;
    }

    private static int slot(long id) {
        return (int) (id % EVENTS);
    }
}

// %% [markdown]
// ## A stream is a position, not a thread
//
// `res.send` ends an answer, `res.write` keeps it open, and here it is the
// same: we write to the response channel and do not close it. A channel
// takes what fits into the socket. The rest waits until it is *writable*
// again, together with all that came meanwhile, and no thread waits.
//
// So a slow reader slows nobody. If it falls behind the kept events, we
// cut it: it resumes, or is told that it missed something.

// %%
class EventStream {
    final HttpServerExchange exchange;
    final Set<EventStream> group;
    private final Log log;
    private StreamSinkChannel channel;
    private ByteBuffer[] out = {};
    private boolean blocked;
    long next;
    XnioExecutor.Key beat;

    EventStream(HttpServerExchange exchange, Set<EventStream> group, Log log) {
        this.exchange = exchange;
        this.group = group;
        this.log = log;
    }

    void open(String first) {
        channel = exchange.getResponseChannel();
        channel.getWriteSetter().set(writable -> {
            channel.suspendWrites();
            blocked = false;
            send();
        });
        Http.onGone(exchange, this::leave);
        say(first);
    }

    /// Ticks and comments are not worth a queue: a reader that is behind skips them.
    void say(String text) {
        if (blocked) return;
        out = new ByteBuffer[] {ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))};
        send();
    }

    void send() {
        try {
            if (blocked) log.from(next);
            while (!blocked && (unsent() || more())) {
                channel.write(out, 0, out.length);
                blocked = !channel.flush() || unsent();
                if (blocked) channel.resumeWrites();
            }
        } catch (IOException goneOrBehind) {
            cut();
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

    void end() {
        leave();
        send();
        if (blocked) cut();
        else exchange.endExchange();
    }

    void cut() {
        leave();
        IoUtils.safeClose(exchange.getConnection());
    }

    void leave() {
        group.remove(this);
        beat.remove();
    }
}

// %% [markdown]
// ## Where the reader left off
//
// The browser keeps the id of the last event, and sends it when it
// reconnects. It cannot send headers of the page's own, so a page that
// knows an id from before puts it into the URL; the header is newer and
// wins. An empty id is none: such a tab wants what is new from now on.

// %%
interface Resume {
    static String lastEventId(HttpServerExchange exchange) {
        String query = Http.query(exchange, "lastEventId");
        var header = exchange.getRequestHeaders().get("Last-Event-ID");
        String id = header == null ? "" : String.join(",", header);
        return id.isEmpty() && query != null ? query : id;
    }
}

// %% [markdown]
// ## No gap and no duplicate
//
// A server that first replays and then goes live loses the event between
// the two, or sends it twice. Here is no such switch: a reader takes its
// place in the log, and reads on from there. An id that we do not hold,
// because it is too old or from elsewhere, gets a `reset`: silence would
// look like "you missed nothing".
//
// Publishing wakes each I/O thread once, and each writes to its own
// streams. `DELETE` ends them; the 204 after that stops reconnection.

// %%
class Feed {
    final Log log = new Log();
    final Map<XnioIoThread, Set<EventStream>> streams = new ConcurrentHashMap<>();
    private boolean ended;

    void publish(HttpServerExchange exchange, byte[] body) {
        ObjectNode event = Http.object(body);
        String lines = Event.lines(Event.type(event), Event.data(event));
        long id;
        synchronized (log) {
            ended = false;
            id = log.append(lines);
        }
        streams.forEach((thread, group) ->
                thread.execute(() -> group.forEach(EventStream::send)));
        Http.json(exchange, 202, Map.of("id", id));
    }

    /// Takes the reader's place, and returns how its stream starts; null after the end.
    String join(EventStream stream, String id) {
        synchronized (log) {
            if (ended) return null;
            long next = log.after(id);
            boolean missed = next < 0 && !id.isEmpty();
            stream.next = next < 0 ? log.last() + 1 : next;
            stream.group.add(stream);
            return "retry: 1000\n\n" + (missed ? Event.lines("reset", "{}") : "");
        }
    }

    void end() {
        synchronized (log) {
            ended = true;
            streams.forEach((thread, group) -> {
                List<EventStream> all = List.copyOf(group);
                group.clear();
                thread.execute(() -> all.forEach(EventStream::end));
            });
        }
    }

    int count() {
        return streams.values().stream().mapToInt(Set::size).sum();
    }
}

// %% [markdown]
// ## Ticks and comments
//
// The dashboard asks for `?ticks=1`: every 5 seconds the server sends a
// reading of itself. It has no id, as nobody replays a gauge.
//
// Every 15 seconds each stream gets a comment, a line that starts with a
// colon and that the browser ignores. It keeps proxies from closing a
// connection that looks idle.

// %%
record Gauges(int streams, int threads, long heap) {
    static Gauges read(Feed feed) {
        Runtime jvm = Runtime.getRuntime();
        int threads = ManagementFactory.getThreadMXBean().getThreadCount();
        return new Gauges(feed.count(), threads, jvm.totalMemory() - jvm.freeMemory());
    }
}

record Beat(Feed feed, EventStream stream, boolean ticks, int[] beats) implements Runnable {
    public void run() {
        String gauges = Http.JSON.writeValueAsString(Gauges.read(feed));
        if (ticks) stream.say(Event.lines("tick", gauges));
        if (++beats[0] % 3 == 0) stream.say(": still here\n\n");
    }
}

// %% [markdown]
// ## The head of the answer
//
// `no-cache` and `X-Accel-Buffering: no` ask caches and proxies to pass
// each event on at once; one that collects its answers makes a stream
// look dead. `retry:` is the browser's pause before it reconnects, and
// written at once it takes the head along.

// %%
class Subscription {
    static void follow(HttpServerExchange exchange, Feed feed) {
        String id = Resume.lastEventId(exchange);
        boolean ticks = Http.queryInteger(exchange, "ticks", 0, 0, 1) == 1;
        var group = feed.streams.computeIfAbsent(exchange.getIoThread(),
                thread -> ConcurrentHashMap.newKeySet());
        EventStream stream = new EventStream(exchange, group, feed.log);
        String start = feed.join(stream, id);
        if (start == null) {
            Http.empty(exchange, 204);
            return;
        }
        exchange.getResponseHeaders()
                .put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache")
                .put(new HttpString("X-Accel-Buffering"), "no");
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            stream.beat = exchange.getIoThread().executeAtInterval(
                    new Beat(feed, stream, ticks, new int[1]), 5, TimeUnit.SECONDS);
            stream.open(start);
            if (exchange.getRequestMethod().equals(Methods.HEAD)) stream.end();
        });
    }
}

// %% [markdown]
// ## The browser's side
//
// We use `EventSource`, not `fetch`; DevTools calls its type
// `eventsource`. After an end or a broken connection it reconnects and
// resumes by itself. But **any status other than 200 is final**: a 503
// from a server that restarts, and the page is silent for good. So we
// watch for `CLOSED`, ask with HEAD whether 204 was meant, and else
// begin again. The last id is on each event, not on the source.
//
// On `reset` we load the whole state, which names the id that it
// contains, and go on from there. Ids rise, so one that is not above the
// last is a duplicate.

// %%
interface Subscriber {
    // language=JavaScript
    String SCRIPT = """
            function subscribe(query, { types, show, load, state, last = 0 }) {
              let source = null;
              let timer = null;
              let failures = 0;
              let stopped = false;
              function connect() {
                const resume = last ? `&lastEventId=${last}` : "";
                source = new EventSource(`/events?${query}${resume}`);
                source.addEventListener("open", () => state("open", failures = 0));
                source.addEventListener("error", broken);
                source.addEventListener("reset", reset);
                for (const type of types) source.addEventListener(type, event);
              }
              function event(event) {
                if (event.type !== "tick") {
                  if (Number(event.lastEventId) <= last) return; // seen already
                  last = Number(event.lastEventId);
                }
                show(event);
              }
              async function reset() {
                source.close();
                state("loading");
                try {
                  last = await load();
                  if (!stopped) connect();
                } catch {
                  again();
                }
              }
              async function broken(event) {
                if (event instanceof MessageEvent) return; // an event of the type "error"
                if (source.readyState === EventSource.CONNECTING) return state("reconnecting");
                state("closed");
                const asked = await fetch(`/events?${query}`, { method: "HEAD" }).catch(() => null);
                if (asked?.status === 204) state("ended");
                else again();
              }
              function again() {
                const backoff = Math.min(30, 2 ** failures++) * (0.5 + Math.random());
                if (!stopped) timer = setTimeout(connect, 1000 * backoff);
              }
              connect();
              return function stop() {
                stopped = true;
                clearTimeout(timer);
                source.close();
              };
            }
            """;
}
