///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a build's log, live
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 04_server_sent_events.java
//FILES 04_server_sent_events.html=../exercises/04_server_sent_events.html

// %% [markdown]
// # 04 - Exercise: a build's log, live
//
// A build runs for minutes and writes its log line by line. Many people
// follow it in their browsers; some come late, some lose the connection.
//
// **The twist.** A log is not a feed. Its readers want it from the first
// line, and it has an end: `done`, after which nobody needs to ask again.
//
// ## What it must do
//
// ```
// POST /builds                               201 {"build":1}
// POST /builds/1/lines {"text":"a\nb"}       202 {"id":1}
// POST /builds/1/finish {"status":"passed"}  202 {"id":2}
// GET /builds/1/log                          200 and these lines, with a
//   retry: 1000                                  blank line after each:
//   id: 1, event: line, data: a, data: b         four lines
//   id: 2, event: done, data: passed             three lines
// GET /streams                               200 {"streams":0}
// ```
//
// 1. **The stream** (TODO 1) has `Content-Type: text/event-stream` and
//    `Cache-Control: no-cache`. It begins at once with `retry: 1000` and a
//    blank line. Then comes the whole log, then each new event as it
//    happens. The order of an event's fields is up to you.
// 2. **A text** (TODO 2) may hold LF, CR and CRLF, anywhere. Nothing else
//    ends a line, not even U+2028. Each line has its own `data: `, an empty
//    one, too: the text `a`, LF gives `data: a` and `data: `.
// 3. **Who comes back** (TODO 1, 3) says what it has seen: `Last-Event-ID: 7`,
//    or `?lastEventId=7`, as a page cannot set headers. Event 8 comes next.
//    The header wins. An empty header or parameter counts as none.
// 4. **An id that this log has not given** (TODO 3), such as `0`, `-1`,
//    `07`, `+7` or one beyond its end: after `retry` come `event: reset`
//    and `data: {}`, without an id, and then the whole log.
// 5. **In between** (TODO 4). A line that is added while a reader joins
//    reaches it, too, once and in order.
// 6. **The end.** After `done` every stream ends, also one that opens later,
//    or at that moment. `EventSource` then comes back with the id of `done`,
//    in header or query: 204 makes it stop. All others get a stream. `GET
//    /streams` counts the open streams, without those that have ended or
//    whose reader has left.
//
// To see it: `./jbang exercises/04_server_sent_events.java`. To grade it on
// each save: `./jbang watch 04`.

// %%
import static java.nio.charset.StandardCharsets.UTF_8;
import io.undertow.server.*;
import io.undertow.util.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Consumer;
import org.xnio.*;
import org.xnio.channels.StreamSinkChannel;
import shared.*;

// %% [markdown]
// ## TODO 1: the answer, put together
//
// `stream.write(text)` sends text and never blocks. The answer is on its
// way when this method returns; until then it can set headers, or answer
// without the stream: `Http.empty(exchange, 204)`. A query parameter is
// `Http.query(exchange, name)`, null where it is absent.
// `build.log.numberOf(id)` turns an id to a number, and
// `build.log.isOver(number)` tells whether that is `done`.
// `build.follow(0, stream)` sends the whole log.

// %%
record LogRequest(HttpServerExchange exchange, Build build, LogStream stream) {
    void begin() {
        // TODO 1: Answer 204 to those who have `done`. Else set both headers, write
        //   `retry`, `reset` where it is due, and have `build.follow` send the rest.
        String inUrl = Http.query(exchange, "lastEventId");
        String lastId = exchange.getRequestHeaders().getFirst("Last-Event-ID");
        if (lastId == null || lastId.isEmpty()) lastId = inUrl;
        int seen = build.log.numberOf(lastId == null ? "" : lastId);
        if (build.log.isOver(seen)) {
            Http.empty(exchange, 204);
            return;
        }
        exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache");
        stream.write("retry: 1000\n\n");
        if (seen < 0) stream.write("event: reset\ndata: {}\n\n");
        build.follow(Math.max(seen, 0), stream);
        // END 1
    }
}

// %% [markdown]
// ## TODO 2: an event, as it goes on the wire
//
// A text with line ends must not become fields of the event. An event is
// encoded once, when it is added, for all its readers. That of one line is
// done already.

// %%
record Event(int id, String type, String wire) {
    static Event of(int id, String type, String data) {
        return new Event(id, type, wire(id, type, data));
    }

    boolean isLast() { return type.equals("done"); }

    private static String wire(int id, String type, String data) {
        if (!data.contains("\n") && !data.contains("\r")) {
            return "id: " + id + "\nevent: " + type + "\ndata: " + data + "\n\n";
        }
        // TODO 2: Return the same for a text of several lines: each of them has a
        //   `data: ` of its own.
        String[] lines = data.split("\r\n|\r|\n", -1);
        return "id: " + id + "\nevent: " + type
                + "\ndata: " + String.join("\ndata: ", lines) + "\n\n";
        // END 2
    }
}

// %% [markdown]
// ## TODO 3: which event has this id?
//
// Ids come from outside, so they may be anything. An id is text: only the
// very digits that we gave are an id of ours.

// %%
class Log {
    private final List<Event> events = new ArrayList<>();

    synchronized int numberOf(String id) {
        if (id.isEmpty()) return 0;
        // TODO 3: Return the number of the event with this id, and -1 where no event
        //   in `events` has it.
        boolean given = id.matches("[1-9][0-9]{0,8}")
                && Integer.parseInt(id) <= events.size();
        return given ? Integer.parseInt(id) : -1;
        // END 3
    }

    synchronized Event add(String type, String data) {
        if (isOver(events.size())) throw new Problem(409, "This build is finished.");
        Event event = Event.of(events.size() + 1, type, data);
        events.add(event);
        return event;
    }

    // At a Pause the grader may hold a thread; elsewhere it does nothing.
    List<Event> after(int number) {
        Pause.at("before reading");
        List<Event> later = copyAfter(number);
        Pause.at("after reading");
        return later;
    }

    private synchronized List<Event> copyAfter(int number) {
        return List.copyOf(events.subList(number, events.size()));
    }

    synchronized boolean isFinished() { return isOver(events.size()); }

    synchronized boolean isOver(int number) {
        return number > 0 && number == events.size() && events.getLast().isLast();
    }
}

// %% [markdown]
// ## TODO 4: from the past to the present, without a gap
//
// `append` adds an event and tells it to all `readers`, under the lock of
// this build. A new reader first needs what is in the log already. What if
// a line comes between the two? The grader tries: at each `Pause` it may
// hold a thread, to let another come in between. `stream.write` may be
// called under a lock, as it never waits. The log of a build that is
// finished is done already.

// %%
class Build {
    final Log log = new Log();
    private final Set<Consumer<Event>> readers = ConcurrentHashMap.newKeySet();

    synchronized int append(String type, String data) {
        Event event = log.add(type, data);
        Pause.at("before telling");
        readers.forEach(each -> each.accept(event));
        return event.id();
    }

    void follow(int seen, LogStream stream) {
        if (log.isFinished()) { // nothing more will come
            log.after(seen).forEach(event -> stream.write(event.wire()));
            stream.end();
            return;
        }
        // TODO 4: Write each event after number `seen` to the stream, once, in order:
        //   `log.after(seen)`, then new ones. `join` a reader, and `leave` with the
        //   same one by `stream.whenGone`. After the last event, `end` the stream.
        Consumer<Event> reader = event -> {
            stream.write(event.wire());
            if (event.isLast()) stream.end();
        };
        synchronized (this) {
            log.after(seen).forEach(reader);
            join(reader);
        }
        stream.whenGone(() -> leave(reader));
        // END 4
    }

    void join(Consumer<Event> reader) {
        Pause.at("before joining");
        readers.add(reader);
    }

    void leave(Consumer<Event> reader) { readers.remove(reader); }

    int streams() { return readers.size(); }
}

// %% [markdown]
// ## Done already: the stream
//
// Whatever the socket does not take waits here, so a slow reader blocks
// nobody. It never waits for more than one log.

// %%
class LogStream {
    static final Set<LogStream> OPEN = ConcurrentHashMap.newKeySet();
    private final HttpServerExchange exchange;
    private final Queue<String> waiting = new ConcurrentLinkedQueue<>();
    private final Queue<Runnable> farewells = new ConcurrentLinkedQueue<>();
    private volatile boolean ended;
    private StreamSinkChannel channel;
    private ByteBuffer out = ByteBuffer.allocate(0);
    private boolean gone;

    LogStream(HttpServerExchange exchange) { this.exchange = exchange; }

    /// Sends text as soon as the socket takes it. Any thread may call this.
    void write(String text) {
        Pause.at("before writing");
        waiting.add(text);
        exchange.getIoThread().execute(this::send);
    }

    /// Ends the answer after all that has been written.
    void end() {
        ended = true;
        exchange.getIoThread().execute(this::send);
    }

    /// Runs `action` when the stream has ended, or the reader has left.
    void whenGone(Runnable action) {
        farewells.add(action);
        exchange.getIoThread().execute(this::send);
    }

    /// Begins the answer, unless there is another.
    void open() {
        boolean used = !waiting.isEmpty() || !farewells.isEmpty();
        if (!used || exchange.isResponseStarted()) return;
        if (exchange.getRequestMethod().equals(Methods.HEAD)) ended = true;
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            OPEN.add(this);
            whenGone(() -> OPEN.remove(this));
            Http.onGone(exchange, this::leave);
            channel = exchange.getResponseChannel();
            channel.getWriteSetter().set(writable -> send());
            send();
        });
    }

    private void leave() {
        gone = true;
        send();
    }

    /// Runs on the connection's own I/O thread only.
    private void send() {
        if (gone) {
            for (Runnable each; (each = farewells.poll()) != null;) each.run();
        } else if (channel != null) try {
            do {
                channel.write(out);
                boolean sent = channel.flush() && !out.hasRemaining();
                if (!sent) {
                    channel.resumeWrites();
                    return;
                }
                channel.suspendWrites();
            } while (more());
            if (ended && waiting.isEmpty()) {
                exchange.endExchange();
                leave();
            }
        } catch (IOException broken) {
            IoUtils.safeClose(exchange.getConnection());
        }
    }

    private boolean more() {
        StringBuilder text = new StringBuilder();
        for (String next; (next = waiting.poll()) != null;) text.append(next);
        out = UTF_8.encode(text.toString());
        return out.hasRemaining();
    }
}

// %% [markdown]
// ## Done already: the builds
//
// What a request says is checked here, what it does is in `Build`. Events
// of a log are numbered from 1. After `done` nothing is added any more: 409.

// %%
class Builds {
    private final Map<String, Build> builds = new ConcurrentHashMap<>();

    boolean has(String id) { return builds.containsKey(id); }

    synchronized void create(HttpServerExchange exchange, byte[] body) {
        int id = builds.size() + 1;
        builds.put("" + id, new Build());
        Http.json(exchange, 201, Map.of("build", id));
    }

    private Build of(HttpServerExchange exchange) {
        return builds.get(Http.path(exchange, "b"));
    }

    void add(HttpServerExchange exchange, byte[] body) {
        String text = Http.text(Http.object(body), "text");
        Http.json(exchange, 202, Map.of("id", of(exchange).append("line", text)));
    }

    void finish(HttpServerExchange exchange, byte[] body) {
        String status = Http.text(Http.object(body), "status");
        if (!status.matches("passed|failed")) {
            throw new Problem(400, "'status' must be passed or failed.");
        }
        Http.json(exchange, 202, Map.of("id", of(exchange).append("done", status)));
    }

    void log(HttpServerExchange exchange) {
        LogStream stream = new LogStream(exchange);
        new LogRequest(exchange, of(exchange), stream).begin();
        stream.open();
    }

    void streams(HttpServerExchange exchange) {
        int sum = builds.values().stream().mapToInt(Build::streams).sum();
        Http.json(exchange, 200, Map.of("streams", sum));
    }
}

// %% [markdown]
// ## Done already: the page's client, and the routes
//
// `EventSource` does not tell which status ended it. So the page asks once
// more: 204 is the end, 501 says which TODO is open.

// %%
interface Follower {
    // language=JavaScript
    String SCRIPT = """
            function follow(build, last, { who, show, state, failed, signal }) {
              const path = `/builds/${build}/log?who=${who}&lastEventId=`;
              const source = new EventSource(path + last);
              signal.addEventListener("abort", () => source.close());
              source.onopen = () => state("open");
              for (const type of ["line", "done", "reset"]) {
                source.addEventListener(type, (event) => {
                  last = event.lastEventId;
                  show(event);
                });
              }
              source.onerror = async () => {
                state("reconnecting");
                if (source.readyState !== EventSource.CLOSED) return;
                const once = new AbortController();
                const answer = await fetch(path + last, { signal: once.signal });
                if (answer.status === 204) state("ended");
                else if (answer.ok) failed("Nobody knows: now it is 200.");
                else failed((await answer.json()).detail);
                once.abort();
              };
            }
            """;
}

class ServerSentEvents {
    static HttpHandler routes() {
        Builds builds = new Builds();
        return new Routes()
                .onStop(() -> LogStream.OPEN.forEach(LogStream::end))
                .known("b", builds::has)
                .page("04_server_sent_events", Follower.SCRIPT)
                .post("/builds", builds::create)
                .post("/builds/{b}/lines", builds::add)
                .post("/builds/{b}/finish", builds::finish)
                .get("/builds/{b}/log", builds::log)
                .get("/streams", builds::streams);
    }

    void main() {
        Serve.run("04 Server-sent events", 7004, routes());
    }
}
