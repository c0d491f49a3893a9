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
// sign of death. So both sides must speak, and a dead client is removed once.**
//
// In 2017 Kubernetes gave up healthy nodes and moved their work away: they
// waited 15 minutes on a connection to a load balancer that no longer answered
// ([kubernetes#48638](https://github.com/kubernetes/kubernetes/issues/48638)).
// Since 2020 its clients send a ping after 30 seconds of silence
// ([kubernetes#95981](https://github.com/kubernetes/kubernetes/pull/95981)).
//
// ```mermaid
// sequenceDiagram
//   Server->>ada: ping, message "beat"
//   ada->>Server: pong
//   Server->>Server: two beats of silence
//   Server->>ada: close 1001, reset
// ```
//
// Two riders tell the server where they are, by WebSockets. A board, which
// is an event stream, tells the page. Ada's cable can be frozen.

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.websockets.core.WebSockets;
import jakarta.websocket.*;
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
// TCP is silent while nobody speaks. A connection is a memory in two machines.
// It ends when a packet says so: FIN, or RST, a reset. A phone in a tunnel, a
// pulled plug, a router that forgot the connection: they often send none.
//
// - **`onClose` does not come**, or very late: there is nothing to read.
// - **`send` succeeds**: it copies bytes into the kernel's memory. Linux sends
//   them again for 13 to 30 minutes before it gives up (`tcp_retries2`,
//   [tcp(7)](https://man7.org/linux/man-pages/man7/tcp.7.html)).
// - **TCP keep-alive** is off unless a program asks for it. By default Linux
//   then waits two hours. And a proxy answers it for the dead behind it.
//
// So we need a clock. Here a beat takes 2 seconds, to be watched; 15 to 30
// are usual. Stay below half of each time-out on the way (nginx: 60 seconds
// by default). A beat as long as a time-out often comes too late.

// %%
interface Beat {
    int MS = Serve.environment("BEAT_MS", 2_000, 50, 3_600_000);
}

// %% [markdown]
// ## The server asks: ping
//
// A ping must be answered by a pong
// ([RFC 6455, section 5.5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2)).
// Browsers do that by themselves. So once a beat we send a ping, and any
// byte from the rider counts as life. After two beats of silence the rider
// is gone: one pong may be late.
//
// Then we send 1001, which it hears if it lives after all, and 2 seconds
// later a reset: a closing handshake would wait for an answer.
//
// A page can neither ping nor see pings. So with each ping we send a message,
// `beat`. `beats=off` is for the experiment: no clock.

// %%
class Rider extends Endpoint {
    private final City city;
    private Session session;
    private boolean beats;
    private int looks;
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
        hear(Map.of("type", "hello", "beatMs", Beat.MS));
        city.comes(this);
    }

    private void onText(String text) {
        try {
            city.tell("at", At.parse(name, text));
        } catch (Problem problem) {
            hear(Map.of("type", "error", "reason", problem.getMessage()));
        }
    }

    void hear(Object event) { member.tell(Http.JSON.writeValueAsBytes(event)); }
    Alive state() { return new Alive(name, member.silentFor() / 1_000_000); }
    XnioIoThread thread() { return Sockets.channel(session).getIoThread(); }

    void check() { // four times a beat
        if (!beats || !session.isOpen()) return;
        if (state().silentMs() >= 2L * Beat.MS) {
            Sockets.close(session, 1001); // calls onClose
            thread().executeAfter(member::reset, 2, TimeUnit.SECONDS);
        } else if (++looks % 4 == 0) {
            WebSockets.sendPing(ByteBuffer.allocate(0), Sockets.channel(session), null);
            hear(Map.of("type", "beat"));
        }
    }

    @Override
    public void onError(Session session, Throwable fault) {
        if (fault instanceof java.io.IOException) return; // onClose comes as well
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
// A close, a reset and our clock may come at the same instant. Only the first
// of them finds the rider in the set. So `gone` is told once, and no counter
// drifts. One timer serves all riders: a timer for each would have to be
// removed on every way out. With four looks a beat a dead rider is noticed
// after two beats and a quarter at most.

// %%
record At(String name, long x, long y) {
    static At parse(String name, String text) {
        ObjectNode at = Http.object(text.getBytes(StandardCharsets.UTF_8));
        return new At(name, Http.integer(at, "x", 0, 100),
                Http.integer(at, "y", 0, 100));
    }
}

record Alive(String name, long silentMs) {}

record State(List<Alive> riders, int streams, Map<Integer, Integer> ends, int beatMs) {}

class City {
    final Broadcast members = new Broadcast(100, 1024 * 1024);
    final Set<Rider> riders = ConcurrentHashMap.newKeySet();
    final Board board = new Board(this);
    private final Map<Integer, Integer> ends = new TreeMap<>();
    private final List<XnioExecutor.Key> clocks;

    City() {
        var thread = Serve.WORKER.getIoThread();
        clocks = List.of(thread.executeAtInterval(() -> {
            for (Rider each : riders) each.thread().execute(each::check);
        }, Beat.MS / 4, TimeUnit.MILLISECONDS), thread.executeAtInterval(
                () -> tell("state", state()), Beat.MS, TimeUnit.MILLISECONDS));
    }

    synchronized void comes(Rider rider) {
        members.add(rider.member);
        riders.add(rider);
        tell("here", rider.state());
    }

    synchronized void goes(Rider rider, int code) {
        if (!riders.remove(rider)) return;
        members.remove(rider.member);
        ends.merge(code, 1, Integer::sum);
        tell("gone", rider.state());
    }

    synchronized void tell(String type, Object data) {
        String json = Http.JSON.writeValueAsString(data);
        for (var each : board.streams) each.send(json, type, null, null);
    }

    synchronized State state() {
        return new State(riders.stream().map(Rider::state).toList(),
                board.streams.size(), new TreeMap<>(ends), Beat.MS);
    }

    void close() {
        clocks.forEach(XnioExecutor.Key::remove);
        members.close(1001);
        board.streams.forEach(IoUtils::safeClose);
    }
}

// %% [markdown]
// ## A stream cannot be asked
//
// The reader of an event stream cannot answer. A comment or an event each
// beat keeps proxies awake. `EventSource` hides comments, so only an event
// shows a page that we live. **Neither shows us that the reader lives**: a
// write succeeds until the kernel gives up, and for hours if a proxy, or the
// kernel of a stopped program, acknowledges it. `onGone` sees ends and resets only.
//
// So we end each stream after 20 beats. A reader who lives comes back by itself.
// Or let it speak, by a small POST each beat. `state` has what an operator
// watches: how many are open, how silent, and by which codes others ended.

// %%
class Board {
    private final City city;
    final Set<ServerSentEventConnection> streams = ConcurrentHashMap.newKeySet();

    Board(City city) { this.city = city; }

    void open(HttpServerExchange exchange) {
        Http.events(exchange, stream -> {
            var age = exchange.getIoThread().executeAfter(() -> {
                streams.remove(stream);
                exchange.endExchange();
                exchange.getIoThread().executeAfter(() -> // if it cannot be written
                IoUtils.safeClose(exchange.getConnection()), 2, TimeUnit.SECONDS);
            }, 20L * Beat.MS, TimeUnit.MILLISECONDS);
            Http.onGone(exchange, () -> {
                age.remove();
                streams.remove(stream);
            });
            synchronized (city) {
                streams.add(stream);
                stream.send(Http.JSON.writeValueAsString(city.state()), "state", null,
                        null);
            }
        });
    }
}

// %% [markdown]
// ## The browser's side
//
// Each message moves a deadline. After two and a half beats without one, the
// client gives the connection up and makes a new one, without a wait for
// `onclose`: the dead answer no close. The server says how long a beat is.
// Until then the limit is 10 seconds, as a handshake can hang, too.

// %%
interface Client {
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
              let socket, limit;
              const again = deadline(join);
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
                again(soon());
              }
              function leave() {
                again(0);
                listen(0);
                socket?.close(1000);
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

            """;
}

// %% [markdown]
// The board is read in the same way. Its planned end is no death: `EventSource`
// comes back by itself, after a pause that the browser chooses.

// %%
interface BoardReader {
    // language=JavaScript
    String SCRIPT = """
            function read(url, { hear, show }) {
              let source, limit;
              const again = deadline(open);
              const listen = deadline(() => {
                show("silence");
                source.close();
                again(soon());
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
                source.onerror = () => listen(10_000);
                listen(10_000);
              }
              open();
              return { close: () => { listen(0); again(0); source.close(); } };
            }
            """;
}

// %% [markdown]
// ## Break it
//
// **Freeze without beats.** Nobody has a clock. Ada's page says open, each
// `send` succeeds, and the server counts her. The cable thaws after 5 seconds.
//
// **Freeze with beats.** The server counts two beats from ada's last byte, her
// page two and a half from its last message. Either may be first.
//
// **Freeze a stream.** A second board is read through the cable. Its reader
// notices the silence. The server does not: what it writes succeeds.
//
// **20 visits.** Half of the visitors close, the others are cut by a reset.

// %%
class Heartbeats {
    static HttpHandler routes() {
        City city = new City();
        return new Routes()
                .onStop(city::close)
                .withCable()
                .page("06_heartbeats", Client.SCRIPT, BoardReader.SCRIPT)
                .get("/ride", Sockets.upgrade("/ride", "ride.v1", exchange -> {
                    if (Http.query(exchange, "name") != null) return;
                    throw new Problem(400, "'name' is missing.");
                }, () -> new Rider(city)))
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
// 1. `BEAT_MS=10000 ./jbang lessons/06_heartbeats.java`: how long does it take
//    now until a frozen rider is gone? What does a shorter beat cost?
// 2. Close the page. `curl -N localhost:8006/board`, and Ctrl+Z. When does
//    `curl localhost:8006/riders` count one stream less?
//
// ## On Monday
//
// - Which timer ends each long connection when its other side falls silent?
//   Is there one on *both* sides?
// - Write down the time-outs on the way (load balancer, proxy, server). Is
//   your beat below half of the shortest?
// - Watch the number of connections at night. Does it fall back each time?
//
// `./jbang notebook 06` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8006, Heartbeats.routes()).port` shows 8006, the page's port.
