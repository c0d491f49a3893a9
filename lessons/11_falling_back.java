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
// A live page works at home, and not in the customer's office. A firewall there
// refuses upgrades; another lets them through and cuts them; a proxy keeps what it
// should pass on. **No status code proves that a transport works. A message does,
// but only for this moment.** A cursor makes it safe to change the transport.
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
record FeedMessage(String type, long n, String text) {}

class PriceFeed {
    private final List<FeedMessage> log = new ArrayList<>();
    private final Set<Consumer<FeedMessage>> readers = new LinkedHashSet<>();

    synchronized FeedMessage add(String type, String text) {
        FeedMessage message = new FeedMessage(type, log.size() + 1, text);
        log.add(message);
        List.copyOf(readers).forEach(reader -> reader.accept(message));
        return message;
    }

    synchronized List<FeedMessage> after(long n) {
        List<FeedMessage> all = new ArrayList<>();
        all.add(new FeedMessage("hello", log.size(), ""));
        all.addAll(log.subList(Math.clamp(n, 0, log.size()), log.size()));
        return all;
    }

    synchronized void join(Consumer<FeedMessage> reader, long after) {
        after(after).forEach(reader);
        readers.add(reader);
    }

    synchronized void leave(Consumer<FeedMessage> reader) { readers.remove(reader); }

    /// Joins for one message at most.
    synchronized boolean joinIfNone(Consumer<FeedMessage> reader, long after) {
        return after == log.size() && readers.add(reader);
    }
}

// %% [markdown]
// ## One address, four transports
//
// The request says how its client wants to hear. `Upgrade: websocket`: by WebSocket.
// `Accept: text/event-stream`: by event stream. `Prefer: wait=20`
// ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)): by long poll.
// None of these: by an answer at once. `Vary` tells this to caches.
//
// A proxy that buffers passes an answer on at its end. The demo's cable does not read
// answers: it waits for the connection's end. So a poll's answer closes it here, and
// the one to its CORS preflight (`OPTIONS`), too. In production keep them open.

// %%
class Transports {
    private static final int MAX_WAIT = 25; // seconds
    private final PriceFeed feed;
    private final HttpHandler sockets;

    Transports(PriceFeed feed) {
        this.feed = feed;
        sockets = Sockets.upgrade("/feed", "feed.v1", Transports::after,
                () -> new FeedSocket(feed));
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

    void allow(HttpServerExchange exchange) { // the CORS preflight
        exchange.setPersistent(false);
        Http.empty(exchange, 204);
    }

    private void stream(HttpServerExchange exchange) {
        long after = after(exchange);
        Http.events(exchange, own -> {
            Consumer<FeedMessage> reader =
                    message -> own.send(Http.JSON.writeValueAsString(message));
            Http.onGone(exchange, () -> feed.leave(reader));
            feed.join(reader, after);
        });
    }

    private void poll(HttpServerExchange exchange, int wait) {
        long after = after(exchange);
        exchange.setPersistent(false);
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            var news = new CompletableFuture<FeedMessage>();
            Consumer<FeedMessage> reader = news::complete;
            if (wait == 0 || !feed.joinIfNone(reader, after)) news.complete(null);
            news.completeOnTimeout(null, wait, TimeUnit.SECONDS);
            Http.onGone(exchange, () -> news.cancel(false));
            news.whenCompleteAsync((message, gone) -> {
                feed.leave(reader);
                if (gone == null) Http.json(exchange, 200, feed.after(after));
            }, exchange.getIoThread());
        });
    }
}

// %% [markdown]
// ## The WebSocket
//
// It carries the same messages, one in each frame.

// %%
class FeedSocket extends Endpoint {
    private final PriceFeed feed;
    private Consumer<FeedMessage> reader;

    FeedSocket(PriceFeed feed) { this.feed = feed; }

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
// Each calls `hear` with every message. It calls `ended` once, unless we closed it.
// Each returns a function that closes it. The first poll does not ask to wait, so
// its hello comes at once.

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
// ## A way works once its hello has come
//
// 101 or 200 is not enough: a proxy may keep all that follows. Without a hello
// in time this way is given up. What comes twice, by two ways, is taken once, by
// its number.

// %%
interface Trial {
    // language=JavaScript
    String SCRIPT = """
            function attempts(host, hear, first) {
              let cursor; // all up to this has been heard

              function take(message) {
                if (message.type === "hello") cursor ??= message.n;
                else if (message.n > cursor) {
                  cursor = message.n;
                  hear(message);
                }
              }

              // Resolves once hello has come; `ended` then with how long it lasted.
              return (i) => new Promise((resolve, reject) => {
                const end = Promise.withResolvers();
                let since, asked = cursor; // where this way's reader is
                const after = asked === undefined ? "" : `after=${asked}`;
                const close = ways[i].open(host, after, {
                  hear(message) {
                    clearTimeout(late);
                    since ??= performance.now();
                    const isNewLog = message.type === "hello" && message.n < asked;
                    if (isNewLog) cursor = message.n; // a poll's next hello says so
                    asked = message.n;
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
            }
            """;
}

// %% [markdown]
// ## Down, and up again
//
// - **No hello: the next way down**, at once. If the lowest brings none either, the
//   server is away: the page pauses, and begins at the top.
// - **An end after hello need not be a firewall.** A server that restarts ends all
//   its connections. So the page tries the same way again, after a pause, with the
//   cursor. Three lives under 3 s in a row are a network that does not want it.
// - **Nothing is remembered for good.** Every few seconds the page tries the better
//   ways, the best first. The old one stays open until the new one says hello. A
//   new one that dies within 3 s is left at once.

// %%
interface Fallback {
    // language=JavaScript
    String SCRIPT = """
            const MS = { first: 2_000, stable: 3_000, climb: 3_000 };

            async function follow(host, { hear, show }) {
              const { first, stable, climb } = MS;
              const open = attempts(host, hear, first);

              async function down(i) { // the first from i on that says hello
                for (; ; i = (i + 1) % ways.length) {
                  const found = await open(i).catch(() => null);
                  if (found) return found;
                  if (i === ways.length - 1) await pause(500 + 1_000 * Math.random());
                }
              }

              async function up(i) { // the best above i that says hello, or nothing
                for (let j = 0; j < i; j++) {
                  const found = await open(j).catch(() => null);
                  if (found) return found;
                }
              }

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
                  next = await down(short < 3 ? link.i : (link.i + 1) % ways.length);
                }
                if (next.i !== link.i) short = next.i < link.i ? 2 : 0; // one life up
                link = next;
              }
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
        PriceFeed feed = new PriceFeed();
        var transports = new Transports(feed);
        var random = new Random();
        XnioExecutor.Key ticker = Serve.WORKER.getIoThread().executeAtInterval(
                () -> feed.add("price",
                        "bread, " + (300 + random.nextInt(90)) + " cents"),
                500, TimeUnit.MILLISECONDS);
        return new Routes()
                .always("Access-Control-Allow-Origin", "*")
                .always("Access-Control-Allow-Headers", "Prefer")
                .onStop(ticker::remove)
                .withCable()
                .page("11_falling_back", Ways.SCRIPT, Trial.SCRIPT, Fallback.SCRIPT)
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
// **Cut upgrades.** 101 passes; 300 ms later the connection is cut. The page falls,
// climbs, and falls again.
//
// **Keep the bytes.** Nothing is passed on, not even 101, before a connection ends.
//
// **End all.** Every connection ends after 600 ms. The page falls, climbs, and falls.
//
// **A restart.** All connections are reset, once; the server is there again at once.
//
// **Open the network.** Up again to the best way. Were prices lost or doubled?
//
// **101 is enough.** The famous wrong answer, beside the page's own client: 101
// passes, and what follows it is kept. (The wire shows what the server sends.)
//
// ## On Monday
//
// - Which of your customers are on a lower way, and for how long?
// - Block upgrades at your own desk. How long is your page deaf?
// - Does your library come back up, or does it remember for good?
//
// `./jbang notebook 11` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8011, FallingBack.routes()).port` shows 8011, the page's port.
