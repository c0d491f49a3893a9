///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Heartbeats: both sides speak up, so that silence means death, here of riders on a map
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 06_heartbeats.java
//FILES 06_heartbeats.html
//FILES 06_heartbeats.md

// %% [markdown]
// # 06 - Heartbeats
//
// A connection can be dead, and neither end is told. **Silence is the only
// sign of death. So both sides must speak, and clean up once.**
//
// In 2017 Kubernetes nodes were declared lost, and their work was moved,
// though they ran: for 15 minutes each went on talking to a load balancer
// that was gone ([kubernetes#48638](https://github.com/kubernetes/kubernetes/issues/48638)).
// The remedy was a ping every 30 seconds
// ([kubernetes#95981](https://github.com/kubernetes/kubernetes/pull/95981)).
//
// ```mermaid
// sequenceDiagram
//   ada->>Server: message "at"
//   Server->>ada: ping, message "beat"
//   ada->>Server: pong
//   Server->>ada: ping, message "beat"
//   Server->>Server: two beats without a frame of ada's
//   ada->>ada: two and a half beats without a message
//   Server->>ada: close 1001, reset
// ```
//
// The demo has two riders on a map. Each tells the server where it is, by
// a WebSocket. A board, which is an event stream, tells the page. Ada's
// connection runs through a cable that you can freeze.

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.util.*;
import io.undertow.websockets.core.WebSockets;
import jakarta.websocket.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## Why nobody is told
//
// TCP has no heartbeat. A connection is a memory in two machines. It ends
// when a packet says so: FIN or RST. A phone in a tunnel, a pulled plug, a
// router that has forgotten the connection: they send no packet.
//
// - **`onClose` does not come**: there is nothing to read.
// - **`send` succeeds**: it copies bytes into the kernel's memory. Linux sends
//   them again for 13 to 30 minutes before it gives up (`tcp_retries2`,
//   [tcp(7)](https://man7.org/linux/man-pages/man7/tcp.7.html)).
// - **TCP keep-alive** is off unless a program asks for it. Then Linux waits
//   two hours. And a proxy answers it for the dead client behind it.
//
// So we need a clock. Here a beat takes 2 seconds, to be watched. At work
// 15 to 30 seconds are usual. Stay well below half of every time-out on
// the way: nginx cuts a quiet connection after 60 seconds. A beat as long
// as the time-out comes too late every now and then.

// %%
interface Beat {
    int MS = Serve.environment("BEAT_MS", 2_000, 50, 3_600_000);
}

// %% [markdown]
// ## The handshake, as in lesson 03

// %%
class Door {
    static HttpHandler into(City city) {
        return Sockets.upgrade("/ride", "ride.v1", Door::check, () -> new Rider(city));
    }

    static void check(HttpServerExchange exchange) {
        String name = Objects.toString(Http.query(exchange, "name"), "");
        long length = name.codePoints().count();
        if (length < 1 || length > 40) {
            throw new Problem(400, "'name' must have 1 to 40 characters.");
        }
    }
}

// %% [markdown]
// ## The server asks: ping
//
// A ping must be answered by a pong
// ([RFC 6455, section 5.5.3](https://www.rfc-editor.org/rfc/rfc6455#section-5.5.3)).
// Browsers do that by themselves. So once a beat we send a ping, and any
// byte from the rider counts as life. After two beats of silence the rider
// is gone. Two, because one pong may be late.
//
// Then we send 1001, which it hears if it lives after all, and one beat
// later a reset. A closing handshake would wait for an answer, and the
// dead do not answer.
//
// A page cannot ping, and it never sees the server's pings. So each ping
// comes with a message, `beat`, that a script can see. `beats=off` is for
// the experiment: such a rider lives without a clock, as in many programs.

// %%
class Rider extends Endpoint {
    private final City city;
    private Session session;
    private boolean beats;
    private long askedAt = System.nanoTime();
    Broadcast.Member member;
    String name;

    Rider(City city) { this.city = city; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        this.session = session;
        var query = session.getRequestParameterMap();
        name = query.get("name").getFirst();
        beats = !query.getOrDefault("beats", List.of()).contains("off");
        member = city.members.member(session, config);
        session.setMaxTextMessageBufferSize(4_096);
        session.addMessageHandler(String.class, this::onText);
        session.addMessageHandler(ByteBuffer.class,
                (part, last) -> Sockets.close(session, 1003));
        hear(Map.of("type", "hello", "beatMs", Beat.MS));
        city.comes(this);
    }

    private void onText(String text) {
        try {
            ObjectNode at = Http.object(text.getBytes(StandardCharsets.UTF_8));
            city.tell("at", Map.of("name", name, "x", Http.integer(at, "x", 0, 100),
                    "y", Http.integer(at, "y", 0, 100)));
        } catch (Problem problem) {
            hear(Map.of("type", "error", "reason", problem.getMessage()));
        }
    }

    private void hear(Object message) {
        member.tell(Http.JSON.writeValueAsBytes(message));
    }

    long silentMs() { return member.silentFor() / 1_000_000; }

    void check(long now) {
        if (!beats || !session.isOpen()) return;
        if (silentMs() >= 2L * Beat.MS) {
            Sockets.close(session, 1001); // calls onClose
            thread().executeAfter(member::reset, Beat.MS, TimeUnit.MILLISECONDS);
        } else if (now - askedAt >= Beat.MS * 1_000_000L) {
            askedAt = now;
            WebSockets.sendPing(ByteBuffer.allocate(0), Sockets.channel(session), null);
            hear(Map.of("type", "beat"));
        }
    }

    XnioIoThread thread() { return Sockets.channel(session).getIoThread(); }

    @Override
    public void onError(Session session, Throwable fault) {
        if (fault instanceof IOException) return; // onClose comes as well
        System.err.println(Graded.fault("WebSocket of " + name, fault));
        Sockets.close(session, 1011);
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        city.goes(this, reason.getCloseCode().getCode());
    }
}

// %% [markdown]
// ## Clean up once
//
// A rider can end in three ways at the same instant: it says goodbye, its
// connection breaks, our clock is up. All three come here, and only the
// first finds it in the set. So `gone` is told once, and no counter drifts.
//
// One timer serves all riders: nothing is left of one who is gone. A timer
// for each would have to be removed on every way out. Four looks a beat
// make it two beats and a quarter at most until a dead rider is noticed.

// %%
class City {
    final Broadcast members = new Broadcast(100, 1024 * 1024);
    final Set<Rider> riders = ConcurrentHashMap.newKeySet();
    final Board board = new Board(this);
    final Map<Integer, Integer> ends = new TreeMap<>();

    City() {
        var clock = Serve.WORKER.getIoThread();
        clock.executeAtInterval(() -> {
            long now = System.nanoTime();
            for (Rider each : riders) each.thread().execute(() -> each.check(now));
        }, Math.max(1, Beat.MS / 4), TimeUnit.MILLISECONDS);
        clock.executeAtInterval(board::beat, Beat.MS, TimeUnit.MILLISECONDS);
    }

    synchronized void comes(Rider rider) {
        riders.add(rider);
        tell("here", Map.of("name", rider.name));
    }

    synchronized void goes(Rider rider, int code) {
        if (!riders.remove(rider)) return;
        members.remove(rider.member);
        ends.merge(code, 1, Integer::sum);
        tell("gone", Map.of("name", rider.name, "silentMs", rider.silentMs()));
    }

    synchronized void tell(String type, Object data) { board.tell(type, data); }

    synchronized Map<String, Object> state() {
        return Map.of("beatMs", Beat.MS, "streams", board.streams.size(),
                "ends", new TreeMap<>(ends), "riders", riders.stream()
                        .sorted(Comparator.comparing(each -> each.name))
                        .map(each -> Map.of("name", each.name, "silentMs",
                                each.silentMs()))
                        .toList());
    }
}

// %% [markdown]
// ## A stream cannot be asked
//
// The board is an event stream, as in lesson 04, here by Undertow's own
// class. Its reader has no way to answer. A comment or an event each beat
// keeps proxies awake, and shows the reader that we live. **It does not
// show us that the reader lives**: a few bytes a beat fit into the kernel's
// memory for hours, read or not. `onGone` sees a FIN or a reset only.
//
// So a stream has an age here: we end it after 20 beats. A reader who lives
// comes back by itself, and a dead one is let go. Or let the reader speak,
// by a small POST each beat. `state` has what an operator watches: how many
// are open, the longest silence, and by which codes the others ended.

// %%
class Board {
    private final City city;
    /// When each began, in beats of ours.
    final Map<ServerSentEventConnection, Long> streams = new ConcurrentHashMap<>();
    private long beats;

    Board(City city) { this.city = city; }

    void open(HttpServerExchange exchange) {
        exchange.getResponseHeaders()
                .put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-cache")
                .put(new HttpString("Access-Control-Allow-Origin"), "http://localhost:"
                        + exchange.getDestinationAddress().getPort()); // by the cable
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            var stream = new ServerSentEventConnection(exchange,
                    exchange.getResponseChannel());
            Http.onGone(exchange, () -> IoUtils.safeClose(stream));
            stream.addCloseTask(streams::remove);
            synchronized (city) {
                streams.put(stream, beats);
                send(stream, "state", city.state());
            }
        });
    }

    void tell(String type, Object data) {
        for (var each : streams.keySet()) send(each, type, data);
    }

    private void send(ServerSentEventConnection stream, String type, Object data) {
        stream.send(Http.JSON.writeValueAsString(data), type, null, null);
    }

    void beat() {
        synchronized (city) {
            beats++;
            streams.forEach((stream, began) -> {
                if (beats - began >= 20) IoUtils.safeClose(stream);
            });
            tell("state", city.state());
        }
    }

    void close() { streams.keySet().forEach(IoUtils::safeClose); }
}

// %% [markdown]
// ## The browser's side
//
// The same clock, from the other end. Each message moves a deadline. After
// two and a half beats without one, the client gives the connection up and
// makes a new one. It does not wait for `onclose`, as a dead server does
// not answer a close. How long a beat is, the server says. Until then it
// has 10 seconds, for a handshake can hang as well.

// %%
interface Alive {
    // language=JavaScript
    String SCRIPT = """
            function deadline(dead) {
              let timer;
              return (ms) => {
                clearTimeout(timer);
                timer = ms ? setTimeout(dead, ms) : 0;
              };
            }
            const soon = () => 500 + 1000 * Math.random();
            const sockets = location.origin.replace("http", "ws");

            function ride(name, { hear, show, server = sockets, beats = "on" }) {
              let socket, limit, again;
              const listen = deadline(() => lost("silence"));
              function join() {
                limit = beats === "on" ? 10_000 : 0;
                const query = `name=${encodeURIComponent(name)}&beats=${beats}`;
                const own = new WebSocket(`${server}/ride?${query}`, "ride.v1");
                socket = own;
                own.onopen = () => show("open");
                own.onclose = ({ code }) => own === socket && lost(`close ${code}`);
                own.onmessage = ({ data }) => {
                  if (own !== socket) return;
                  const message = JSON.parse(data);
                  if (message.beatMs && limit) limit = 2.5 * message.beatMs;
                  listen(limit);
                  hear(message);
                };
                listen(limit);
              }
              function lost(why) {
                leave();
                show(`lost by ${why}`);
                again = setTimeout(join, soon());
              }
              function leave() {
                clearTimeout(again);
                listen(0);
                socket.close(1000);
                socket = null; // whatever comes of it is not for us
              }
              function at(x, y) {
                if (isOpen()) socket.send(JSON.stringify({ type: "at", x, y }));
                return isOpen();
              }
              const isOpen = () => socket?.readyState === WebSocket.OPEN;
              join();
              return { at, leave, isOpen };
            }

            function read(url, { hear, show }) {
              let source, limit = 10_000;
              const listen = deadline(() => {
                show("silence");
                source.close();
                setTimeout(open, soon());
              });
              function open() {
                source = new EventSource(url);
                for (const type of ["state", "here", "at", "gone"]) {
                  source.addEventListener(type, (event) => {
                    const data = JSON.parse(event.data);
                    if (data.beatMs) limit = 2.5 * data.beatMs;
                    listen(limit);
                    hear(type, data);
                  });
                }
                listen(limit);
              }
              open();
              return { close: () => { listen(0); source.close(); } };
            }
            """;
}

// %% [markdown]
// ## Break it
//
// **Freeze without beats.** Ada's cable freezes, and nobody has a clock. Her
// page says open, each `send` succeeds, and the server counts her. It would
// go on so for hours. After five seconds we thaw it.
//
// **Freeze with beats.** The same cable, with beats on both sides. Each side
// notices by itself, after two to three beats. No packet told them.
//
// **Freeze a stream.** A second board is read through the cable. Its reader
// notices the silence. The server does not: what it writes succeeds.
//
// **100 visits.** Half of the visitors close, the other half are cut by a
// reset. Afterwards every number is as before.

// %%
class Heartbeats {
    static HttpHandler routes() {
        City city = new City();
        return new Routes()
                .onStop(() -> {
                    city.members.close(1001);
                    city.board.close();
                })
                .withCable()
                .page("06_heartbeats", Alive.SCRIPT)
                .get("/ride", Door.into(city))
                .get("/board", city.board::open)
                .get("/riders", exchange -> Http.json(exchange, 200, city.state()));
    }

    void main() {
        Serve.run("06 Heartbeats", 8006, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. `BEAT_MS=10000 jbang lessons/06_heartbeats.java`: how long does it take
//    now until a frozen rider is gone? What does a shorter beat cost?
// 2. Stop the whole browser with `kill -STOP`, and watch
//    `curl -N localhost:8006/board`. Which code ends the riders? And after
//    `kill -CONT`?
// 3. `curl -N localhost:8006/board`, and Ctrl+Z. When does
//    `curl localhost:8006/riders` count one stream less?
//
// ## On Monday
//
// - Which timer ends each long connection when its other side falls silent?
//   Is there one on *both* sides?
// - Write down the time-outs on the way (load balancer, proxy, server). Is
//   your beat below half of the shortest?
// - Watch the number of connections over a week. If it does not fall back
//   at night, some are dead.
//
// In a kernel, evaluate the cells and type
// `Serve.start(8006, Heartbeats.routes()).port`: it shows 8006, and the
// page is at that port.
