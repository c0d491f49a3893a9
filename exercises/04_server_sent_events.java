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
// Your server must show each of them every line, once and in order.
//
// **The twist.** A log is not a feed. Its readers want it from the first
// line, and it has an end: after the last line comes `done`, and nobody
// needs to ask again.
//
// ## What it must do
//
// | request | answer |
// |---|---|
// | `POST /builds` | 201 `{"build":b}`, done already |
// | `POST /builds/{b}/lines {"text":t}` | 202 `{"id":n}`, once TODO 1 is done |
// | `POST /builds/{b}/finish {"status":s}` | 202 `{"id":n}`, once TODO 1 is done |
// | `GET /builds/{b}/log` | an event stream, or 204, see below |
// | `GET /streams` | `{"streams":n}`, done already |
//
// Each build has a log of its own. Its events are numbered from 1 without
// a gap. A line is an event `line`, its data the text. Finishing adds one
// more, `done`, its data the status, `passed` or `failed`; from then on
// both are 409. All this is done already, and so are the answers 400 to a
// wrong body and 404 to an unknown build.
//
// 1. `GET /builds/{b}/log` answers 200 with `Content-Type:
//    text/event-stream`, `Cache-Control: no-cache`, and at once `retry:
//    1000` and a blank line. Then comes the whole log from its first line,
//    then each new event as it happens. Each event has `id`, `event` and
//    `data`, in any order, and ends with a blank line.
// 2. A text may hold LF, CR and CRLF, anywhere; they separate its lines, and
//    nothing else does, not even U+2028. Each line has its own `data: `, an
//    empty one too: the text `a`, LF has two lines, and gives `data: a` and
//    `data: `. So a reader gets the text unchanged, but for LF in place of
//    CR and CRLF.
// 3. A reader that has seen a part says so: `Last-Event-ID: 7`, or
//    `?lastEventId=7`, as a page cannot set headers. The header wins; an
//    empty one, of either, counts as none. The stream goes on with event 8.
// 4. An id that this log has not given, such as `0`, `-1`, `07`, `+7` or
//    one beyond its end: after `retry` the stream says `event: reset` and
//    `data: {}`, without an id, and then the whole log follows.
// 5. A line that is added while a reader joins reaches it, too, once and
//    in order.
// 6. After `done` the stream ends, for those who come later, too, and
//    where `done` comes while a reader joins. `EventSource` does not know
//    that this was the end, and comes back with the id of `done`, in the
//    header or the query: 204 makes it stop. All others get a stream. `GET
//    /streams` counts the readers that are joined now: not one whose stream
//    has ended, nor one who has left.
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/04_server_sent_events.java`. Then grade it:
// `./jbang grade 04`. Stuck? `./jbang hint 04` gives one hint at a time.

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
// ## TODO 1: an event, as it goes on the wire
//
// A text with line ends must not become fields of the event. An event is
// encoded once, when it is added, for all its readers.

// %%
record Event(int id, String type, String wire) {
    static Event of(int id, String type, String data) {
        return new Event(id, type, wire(id, type, data));
    }

    boolean isLast() { return type.equals("done"); }

    private static String wire(int id, String type, String data) {
        // TODO 1: Return the lines `id`, `event` and `data`, and the blank line that
        //   ends an event. Each line of `data` has a `data: ` of its own.
        throw Problem.todo(1);
        // END 1
    }
}

// %% [markdown]
// ## TODO 2: the answer, put together
//
// `stream.write(text)` sends text and never blocks. The answer is on its
// way when this method returns; until then it can set headers, or answer
// without the stream: `Http.empty(exchange, 204)`. A query parameter is
// `Http.query(exchange, name)`, null where it is absent. TODO 3 turns an
// id to a number, and `log.isOver(number)` tells whether that is `done`.
// `build.follow(0, stream)` sends the whole log.

// %%
record Reading(HttpServerExchange exchange, Build build, EventStream stream) {
    void begin() {
        // TODO 2: Answer 204 to those who have `done`. Else set both headers, write
        //   `retry`, `reset` where it is due, and have `build.follow` send the rest.
        throw Problem.todo(2);
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
        // TODO 3: Return the number of the event with this id, 0 where `id` is empty,
        //   and -1 where no event in `events` has it.
        throw Problem.todo(3);
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
// called under a lock, as it never waits.

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

    void follow(int seen, EventStream stream) {
        // TODO 4: Write each event after number `seen` to the stream, once, in order:
        //   `log.after(seen)`, then new ones. `join` a reader, and `leave` with the
        //   same one by `stream.whenGone`. After the last event, `end` the stream.
        throw Problem.todo(4);
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
class EventStream {
    static final Set<EventStream> OPEN = ConcurrentHashMap.newKeySet();
    private final HttpServerExchange exchange;
    private final Queue<String> waiting = new ConcurrentLinkedQueue<>();
    private final Queue<Runnable> farewells = new ConcurrentLinkedQueue<>();
    private volatile boolean ended;
    private StreamSinkChannel channel;
    private ByteBuffer out = ByteBuffer.allocate(0);
    private boolean gone;

    EventStream(HttpServerExchange exchange) { this.exchange = exchange; }

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
// What a request says is checked here; what it does is in `Build`.

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
        EventStream stream = new EventStream(exchange);
        new Reading(exchange, of(exchange), stream).begin();
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
                .onStop(() -> EventStream.OPEN.forEach(EventStream::end))
                .known("b", builds::has)
                .page("04_server_sent_events", Follower.SCRIPT)
                .post("/builds", builds::create)
                .post("/builds/{b}/lines", builds::add)
                .post("/builds/{b}/finish", builds::finish)
                .get("/builds/{b}/log", builds::log)
                .get("/streams", builds::streams);
    }

    void main() {
        Serve.run("04 Server-sent events", 9004, routes());
    }
}
