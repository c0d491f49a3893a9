///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Falling back: a ticker through hostile networks, by the best way there is
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 11_falling_back.java
//FILES 11_falling_back.html
//FILES 11_falling_back.md

// %% [markdown]
// # 11 - Falling back
//
// It works at home, and not in the customer's office. A firewall there refuses
// upgrades; another lets them through and cuts them; a proxy keeps what it
// should pass on. **No status tells you that a transport works; a message does,
// and only until the next.** A cursor makes it safe to change the transport.
//
// In 2012 somebody behind an antivirus program that kept bytes reported that the
// engine below Socket.IO changed to a WebSocket, and updates stopped
// ([the report](https://github.com/socketio/engine.io/issues/123)).
//
// ```mermaid
// sequenceDiagram
//   Page->>Server: GET /feed?after=6, Upgrade
//   Server-->>Page: 101
//   Note over Page: no hello within 2 s
//   Page->>Server: GET /feed?after=6, text/event-stream
//   Server-->>Page: hello
//   Server-->>Page: 7
// ```

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import jakarta.websocket.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Consumer;
import org.xnio.XnioExecutor;
import shared.*;
import shared.websocket.*;

// %% [markdown]
// ## One log, one cursor, one envelope
//
// Each price has a number, and each transport carries the same text:
// `{"type":"price","n":7,"text":"bread 3.10"}`. So a client can leave one transport
// after number 7, and ask another for what comes after 7.
//
// **Every transport begins with `hello`, at once.** Without it a client could not
// tell a feed that has no news from one that does not arrive.

// %%
record Message(String type, long n, String text) {}

class Feed {
    private final List<Message> log = new ArrayList<>();
    private final Set<Consumer<Message>> readers = new LinkedHashSet<>();

    synchronized Message add(String type, String text) {
        Message message = new Message(type, log.size() + 1, text);
        log.add(message);
        List.copyOf(readers).forEach(reader -> reader.accept(message));
        return message;
    }

    synchronized List<Message> after(long n) {
        List<Message> all = new ArrayList<>();
        all.add(new Message("hello", log.size(), ""));
        all.addAll(log.subList((int) Math.clamp(n, 0, log.size()), log.size()));
        return all;
    }

    synchronized void join(Consumer<Message> reader, long after) {
        after(after).forEach(reader);
        readers.add(reader);
    }

    synchronized void leave(Consumer<Message> reader) { readers.remove(reader); }

    /// Joins for one message at most.
    synchronized boolean joinIfNone(Consumer<Message> reader, long after) {
        return after >= log.size() && readers.add(reader);
    }
}

// %% [markdown]
// ## One address, four transports
//
// What a client asks for says how it wants to hear: `Upgrade`, then a WebSocket;
// `Accept: text/event-stream`, then an event stream; `Prefer: wait=20`
// ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)), then a long
// poll; nothing of these, then an answer at once. `Vary` tells caches so.
//
// A proxy that collects an answer passes it on when it ends. The demo's cable knows
// no HTTP, and sees only a connection's end. So here each poll ends its own, and so
// does the browser's question before it. Elsewhere keep connections open.

// %%
class Transports {
    private static final int MAX_WAIT = 25; // seconds
    private final Feed feed;
    private final HttpHandler sockets;

    Transports(Feed feed) {
        this.feed = feed;
        sockets = Sockets.upgrade("/feed", "feed.v1", Transports::after,
                () -> new Socket(feed));
    }

    static long after(HttpServerExchange exchange) {
        return Http.queryInteger(exchange, "after", Integer.MAX_VALUE, 0,
                Integer.MAX_VALUE);
    }

    void open(HttpServerExchange exchange) throws Exception {
        HeaderMap asked = exchange.getRequestHeaders();
        exchange.getResponseHeaders().put(Headers.CACHE_CONTROL, "no-store")
                .put(Headers.VARY, "Accept, Prefer, Upgrade");
        String accept = Objects.toString(asked.getFirst(Headers.ACCEPT), "");
        String upgrade = asked.getFirst(Headers.UPGRADE); // Java's client asks for h2c
        if ("websocket".equalsIgnoreCase(upgrade)) sockets.handleRequest(exchange);
        else if (accept.startsWith("text/event-stream")) stream(exchange);
        else poll(exchange, Http.preferredWait(exchange, 0, MAX_WAIT));
    }

    void allow(HttpServerExchange exchange) { // the browser's question before `Prefer`
        exchange.setPersistent(false);
        Http.empty(exchange, 204);
    }

    private void stream(HttpServerExchange exchange) {
        long after = after(exchange);
        Http.events(exchange, own -> {
            Consumer<Message> reader = message -> own.send(
                    Http.JSON.writeValueAsString(message), null, "" + message.n(),
                    null);
            Http.onGone(exchange, () -> feed.leave(reader));
            feed.join(reader, after);
        });
    }

    private void poll(HttpServerExchange exchange, int wait) {
        long after = after(exchange);
        exchange.setPersistent(false);
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            var poll = new Poll(exchange, feed, after);
            if (wait == 0 || !feed.joinIfNone(poll, after)) poll.answer();
            else poll.until(wait);
        });
    }
}

/// A poll that waits for the first message, or for the end of its time.
class Poll implements Consumer<Message> {
    private final HttpServerExchange exchange;
    private final Feed feed;
    private final long after;
    private XnioExecutor.Key timer;
    private boolean over;

    Poll(HttpServerExchange exchange, Feed feed, long after) {
        this.exchange = exchange;
        this.feed = feed;
        this.after = after;
    }

    void until(int seconds) {
        timer = exchange.getIoThread().executeAfter(this::answer, seconds,
                TimeUnit.SECONDS);
        Http.onGone(exchange, this::leave);
    }

    private void leave() {
        over = true;
        feed.leave(this);
        if (timer != null) timer.remove();
    }

    @Override
    public void accept(Message first) { exchange.getIoThread().execute(this::answer); }

    void answer() { // on the I/O thread only
        if (over) return;
        leave();
        Http.json(exchange, 200, feed.after(after));
    }
}

class Socket extends Endpoint {
    private final Feed feed;
    private Consumer<Message> reader;

    Socket(Feed feed) { this.feed = feed; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        var after = session.getRequestParameterMap().get("after");
        reader = message -> Sockets.send(Sockets.channel(session),
                Http.JSON.writeValueAsBytes(message), () -> {});
        feed.join(reader, after == null ? Integer.MAX_VALUE
                : Long.parseLong(after.getFirst()));
    }

    @Override
    public void onClose(Session session, CloseReason reason) { feed.leave(reader); }
}

// %% [markdown]
// ## Four ways for the page
//
// Each calls `hear` with every message, and `ended` once, where it was not closed
// by us. It returns what closes it. The first poll does not ask to wait, so its
// hello comes at once.

// %%
interface Ways {
    // language=JavaScript
    String SCRIPT = """
            function byWebSocket(host, after, { hear, ended }) {
              const socket = new WebSocket(`ws://${host}/feed?${after}`, "feed.v1");
              socket.onmessage = ({ data }) => hear(JSON.parse(data));
              socket.onclose = () => ended();
              return () => {
                socket.onclose = null;
                socket.close();
              };
            }

            function byEventStream(host, after, { hear, ended }) {
              const source = new EventSource(`http://${host}/feed?${after}`);
              source.onmessage = ({ data }) => hear(JSON.parse(data));
              source.onerror = () => { // it would come back by itself, and hide that
                source.close();
                ended();
              };
              return () => source.close();
            }

            function byPolls(host, after, { hear, ended }, wait, ms) {
              const left = new AbortController();
              const poll = async (headers) => {
                const url = `http://${host}/feed?${after}`;
                const answer = await fetch(url, { headers, signal: left.signal });
                if (!answer.ok) throw new Error(answer.status);
                for (const message of await answer.json()) {
                  hear(message);
                  after = `after=${message.n}`;
                }
              };
              (async () => {
                const later = wait ? { Prefer: `wait=${wait}` } : {};
                for (await poll({}); ; await poll(later)) {
                  await pause(ms, left.signal);
                }
              })().catch(() => left.signal.aborted || ended());
              return () => left.abort();
            }

            const ways = [
              { name: "WebSocket", open: byWebSocket },
              { name: "event stream", open: byEventStream },
              { name: "long poll", open: (...all) => byPolls(...all, 20, 100) },
              { name: "short poll", open: (...all) => byPolls(...all, 0, 1_000) },
            ];
            """;
}

// %% [markdown]
// ## Down, and up again
//
// - **No hello in time, or an end before it: the next way down.** 101 is not
//   enough: a proxy may keep all that follows.
// - **An end after hello need not be a firewall.** A server that restarts ends all
//   its connections. So the same way again, after a pause, with the cursor. Only
//   three short lives in a row count as a network that does not want it. A server
//   that is away for longer refuses all four ways: the page waits at the lowest.
// - **Nothing is remembered for good.** Each few seconds the page tries the ways
//   above its own. The old one stays open until the new one has said hello. What
//   comes by both is taken once, by its number. If the new one dies soon, once
//   is enough to leave it.

// %%
interface Fallback {
    // language=JavaScript
    String SCRIPT = """
            const MS = { first: 2_000, stable: 5_000, climb: 3_000 };

            function follow(host, { hear, show }, { first, stable, climb } = MS) {
              let cursor; // all up to this has been heard

              function take(message) {
                if (message.type === "hello") cursor ??= message.n;
                else if (message.n > cursor) {
                  cursor = message.n;
                  hear(message);
                }
              }

              // Resolves once hello has come; `ended` then with how long it lasted.
              const open = (i) => new Promise((resolve, reject) => {
                const end = Promise.withResolvers();
                let since;
                const asked = cursor;
                const after = asked === undefined ? "" : `after=${asked}`;
                const close = ways[i].open(host, after, {
                  hear(message) {
                    clearTimeout(late);
                    since ??= performance.now();
                    const isNewLog = message.type === "hello" && message.n < asked;
                    if (isNewLog) cursor = message.n;
                    take(message);
                    resolve({ i, close, ended: end.promise });
                  },
                  ended() {
                    clearTimeout(late);
                    end.resolve(performance.now() - since);
                    reject(new Error("it ended")); // unless hello has come
                  },
                });
                const late = setTimeout(() => {
                  close();
                  reject(new Error("no hello"));
                }, first);
              });

              async function down(i) { // the first from i on that says hello
                for (; ; i++) {
                  try {
                    return await open(Math.min(i, ways.length - 1));
                  } catch {
                    if (i >= ways.length) await pause(500 + 1_000 * Math.random());
                  }
                }
              }

              async function up(i) { // the best above i that says hello, or nothing
                for (let j = 0; j < i; j++) {
                  const found = await open(j).catch(() => null);
                  if (found) return found;
                }
              }

              async function run() {
                let link = await down(0);
                for (let short = 0; ;) {
                  show(ways[link.i].name);
                  const waits = link.i > 0 ? [link.ended, pause(climb)] : [link.ended];
                  const lasted = await Promise.race(waits);
                  let next;
                  if (lasted === undefined) {
                    next = await up(link.i);
                    if (!next) continue;
                    link.close();
                  } else {
                    short = lasted < stable ? short + 1 : 0;
                    await pause(250 + 250 * Math.random());
                    next = await down(short < 3 ? link.i : link.i + 1);
                  }
                  if (next.i !== link.i) short = next.i < link.i ? 2 : 0; // one life up
                  link = next;
                }
              }
              run();
            }
            """;
}

// %% [markdown]
// ## The server's routes
//
// The page reaches the feed by the cable, which is another origin: so the answers
// allow that (CORS). A command needs no transport of its own: it is a POST with a
// key, sent again until it is answered (lesson 07).

// %%
class FallingBack {
    static HttpHandler routes() {
        Feed feed = new Feed();
        var transports = new Transports(feed);
        XnioExecutor.Key ticker = Serve.WORKER.getIoThread().executeAtInterval(
                () -> feed.add("price", String.format(Locale.ROOT, "bread %.2f",
                        3 + Math.random())),
                500, TimeUnit.MILLISECONDS);
        return new Routes()
                .always("Access-Control-Allow-Origin", "*")
                .always("Access-Control-Allow-Headers", "Prefer")
                .onStop(ticker::remove)
                .withCable()
                .page("11_falling_back", Ways.SCRIPT, Fallback.SCRIPT)
                .get("/feed", transports::open)
                .options("/feed", transports::allow);
    }

    void main() {
        Serve.run("11 Falling back", 8011, routes());
    }
}

// %% [markdown]
// ## Break it
//
// **Refuse upgrades.** 403, as some firewalls do.
//
// **Cut upgrades.** The cable lets 101 pass, and ends the connection after 300 ms.
//
// **Keep the bytes.** It passes nothing on, not even 101, before a connection ends.
//
// **End all.** Every connection ends after 700 ms.
//
// **A restart.** All connections are reset, once; the server is there again at once.
//
// **Open the network.** From the lowest way up again.
//
// **101 is enough.** The famous wrong answer: it opens, and from then on the bytes
// are kept.
//
// ## On Monday
//
// - Which of your customers are on a lower way, and for how long?
// - Block upgrades at your own desk. How long is your page deaf?
// - Does your library come back up, or does it remember for good?
//
// `./jbang notebook 11` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8011, FallingBack.routes()).port` shows 8011, the page's port.
