///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: smart meters
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 06_heartbeats.java
//FILES 06_heartbeats.html=../exercises/06_heartbeats.html

// %% [markdown]
// # 06 - Exercise: smart meters
//
// Electricity meters report to a control room by WebSocket. A meter that
// breaks says no goodbye. Your server must notice, and tell the room once.
//
// **The twist.** A meter may sleep to save its battery. It says for how
// long: `{"type":"sleep","ms":60000}`.
//
// ## What it must do
//
// | request | what it is |
// |---|---|
// | `GET /meter?name=m1` | a WebSocket: one meter |
// | `GET /room` | an event stream: `here`, `reading`, `gone` |
// | `GET /meters` | `{"meters":[{"name":"m1","silentMs":9}],"streams":1,"timers":1}` |
//
// The requests are done already, and so are the pings: once a beat each
// meter gets a ping and `{"type":"beat"}`. A beat is `BEAT_MS` milliseconds
// long, 15000 if the environment does not say. As it stands, the program
// works as long as every meter says goodbye.
//
// 1. **Gone is told once** for each stay. A close, an error and a time-out may
//    meet: `goes` is called for each of them, also on different threads.
//    When all have gone, `meters` is empty and `timers` is 0, at once.
// 2. **A meter may come again** while its old connection is still open: it has
//    noticed the break before you. It takes the old one's place, not asleep. The
//    old connection is ended, by `end()`. The room hears neither `here` nor
//    `gone`. And when the old connection goes, however late, the new one
//    stays.
// 3. **A meter is due two beats after its last frame.** Then `end()` it: not
//    before, and at most a beat later. A frame is a text or a pong, so one
//    that only answers pings stays. To come counts as a frame.
// 4. **A meter that sleeps is due two beats after the end of its sleep**, or
//    after its last frame, whichever is later. A new sleep replaces the old
//    one, even if it ends earlier.
//
// With beats of 10 seconds, a meter that sends these and nothing else, not
// even pongs, is
//
// - due at 20 s: a reading at 0 s
// - due at 80 s: `sleep` for 60 s at 0 s; a reading at 30 s changes nothing
// - due at 26 s: `sleep` for 60 s at 0 s, `sleep` for 1 s at 5 s
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/06_heartbeats.java`. Then grade it: `./jbang grade 06`.
// Stuck? `./jbang hint 06` gives one hint at a time.

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.websockets.core.WebSockets;
import jakarta.websocket.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.xnio.*;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## Done already: a meter is an endpoint
//
// `heardAt` is when its last frame came, in `System.nanoTime()`. `sleepsUntil`
// and `timer` are for you. Any thread may call `end()`: it calls `room.goes`,
// and closes the connection with 1001. `onClose` and `onError` call it, too.

// %%
interface Beat {
    int MS = Serve.environment("BEAT_MS", 15_000, 50, 3_600_000);
    long NANOS = MS * 1_000_000L;
}

record Reading(String name, long kwh) {}

record Alive(String name, long silentMs) {}

record State(List<Alive> meters, int streams, int timers) {}

class Meter extends Endpoint {
    private final Room room;
    private Session session;
    Broadcast.Member member;
    String name;
    volatile long heardAt = System.nanoTime();
    volatile long sleepsUntil = heardAt;
    volatile Timer timer;

    Meter(Room room) {
        this.room = room;
    }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        this.session = session;
        name = session.getRequestParameterMap().get("name").getFirst();
        member = room.members.member(session, config);
        session.addMessageHandler(String.class, this::onText);
        session.addMessageHandler(PongMessage.class,
                pong -> heardAt = System.nanoTime());
        room.members.add(member);
        room.comes(this);
    }

    private void onText(String text) {
        heardAt = System.nanoTime();
        try {
            ObjectNode message = Http.object(text.getBytes(StandardCharsets.UTF_8));
            if (Http.text(message, "type").equals("sleep")) {
                room.sleeps(this, Http.integer(message, "ms", 0, 86_400_000));
            } else {
                room.tell("reading",
                        new Reading(name, Http.integer(message, "kwh", 0, 1_000_000)));
            }
        } catch (Problem problem) {
            hear(Map.of("type", "error", "reason", problem.getMessage()));
        }
    }

    private void hear(Object message) {
        member.tell(Http.JSON.writeValueAsBytes(message));
    }

    void beat() {
        Sockets.channel(session).getIoThread().execute(() -> {
            if (!session.isOpen()) return;
            WebSockets.sendPing(ByteBuffer.allocate(0), Sockets.channel(session), null);
            hear(Map.of("type", "beat"));
        });
    }

    void end() {
        room.goes(this);
        Sockets.channel(session).getIoThread().execute(() -> {
            Sockets.close(session, 1001);
            room.members.remove(member);
        });
    }

    @Override
    public void onError(Session session, Throwable fault) {
        end();
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        room.goes(this);
        room.members.remove(member);
    }

    Alive state() {
        return new Alive(name, (System.nanoTime() - heardAt) / 1_000_000);
    }
}

// %% [markdown]
// ## Done already: timers that can be counted
//
// `Timer.after(nanos, action)` runs the action once, on an I/O thread, which
// must not wait. `cancel()` takes it back; once it has run, this does nothing.

// %%
class Timer {
    static final AtomicInteger COUNT = new AtomicInteger();
    private static final XnioIoThread CLOCK = Serve.WORKER.getIoThread();
    private XnioExecutor.Key key;
    private boolean over;

    static Timer after(long nanos, Runnable action) {
        Timer timer = new Timer();
        COUNT.incrementAndGet();
        synchronized (timer) {
            timer.key = CLOCK.executeAfter(() -> {
                if (timer.isFirst()) action.run();
            }, Math.max(0, nanos), TimeUnit.NANOSECONDS);
        }
        return timer;
    }

    void cancel() {
        if (isFirst()) key.remove();
    }

    private synchronized boolean isFirst() {
        if (over) return false;
        over = true;
        COUNT.decrementAndGet();
        return true;
    }
}

// %% [markdown]
// ## The room
//
// Threads of several meters come here at once. Their timers come, too. The
// simplest way is one lock, `synchronized`, as it stands there already: a
// thread that holds it may call the other methods as well.
//
// `meters` has one meter for each name. `meters.remove(name, meter)` removes
// only this one, and says whether it was there.

// %%
class Room {
    final Broadcast members = new Broadcast(100, 1024 * 1024);
    final Map<String, Meter> meters = new ConcurrentHashMap<>();
    final Set<ServerSentEventConnection> streams = ConcurrentHashMap.newKeySet();

    Room() {
        Serve.WORKER.getIoThread().executeAtInterval(
                () -> meters.values().forEach(Meter::beat), Beat.MS,
                TimeUnit.MILLISECONDS);
    }

    synchronized void goes(Meter meter) {
        // TODO 1: Forget the meter, and tell the room that it is gone: once, and only
        //   if it is the one in `meters`. Cancel its timer.
        meters.remove(meter.name);
        tell("gone", meter.state());
        // END 1
    }

    synchronized void comes(Meter meter) {
        // TODO 2: If its name is here already, take the place of the old meter and end
        //   that one. Else tell the room "here". In both cases `watch` the new meter.
        meters.put(meter.name, meter);
        tell("here", meter.state());
        watch(meter);
        // END 2
    }

    synchronized void watch(Meter meter) {
        // TODO 3: End the meter if it is due. Else look again when it will be, by a
        //   Timer.
        // END 3
    }

    synchronized void sleeps(Meter meter, long ms) {
        // TODO 4: Note until when it sleeps. Its timer may have to ring at another
        //   time.
        // END 4
    }

    synchronized void tell(String type, Object data) {
        String json = Http.JSON.writeValueAsString(data);
        for (var each : streams) each.send(json, type, null, null);
    }

    State state() {
        return new State(meters.values().stream().map(Meter::state).toList(),
                streams.size(), Timer.COUNT.get());
    }
}

// %% [markdown]
// ## Done already: the stream, the page's client, and the routes

// %%
class RoomStream {
    static void open(Room room, HttpServerExchange exchange) {
        Http.events(exchange, stream -> {
            Http.onGone(exchange, () -> room.streams.remove(stream));
            room.streams.add(stream);
            stream.send("{}", "open", null, null);
        });
    }
}

interface MeterClient {
    // language=JavaScript
    String SCRIPT = """
            function meter(name, { hear, show }, host = location.host) {
              const socket = new WebSocket(`ws://${host}/meter?name=${name}`);
              socket.onopen = () => show("here");
              socket.onclose = ({ code }) => show(`ended, ${code}`);
              socket.onmessage = ({ data }) => hear(JSON.parse(data).type);
              const say = (message) => socket.send(JSON.stringify(message));
              return {
                read: (kwh) => say({ type: "reading", kwh }),
                sleep: (ms) => say({ type: "sleep", ms }),
                leave: () => socket.close(1000),
              };
            }
            """;
}

class Heartbeats {
    static HttpHandler routes() {
        Room room = new Room();
        return new Routes()
                .onStop(() -> room.members.close(1001))
                .onStop(() -> room.streams.forEach(IoUtils::safeClose))
                .withCable()
                .page("06_heartbeats", MeterClient.SCRIPT)
                .get("/meter", Sockets.upgrade("/meter", "meter.v1", exchange -> {
                    if (Http.query(exchange, "name") != null) return;
                    throw new Problem(400, "'name' is missing.");
                }, () -> new Meter(room)))
                .get("/room", exchange -> RoomStream.open(room, exchange))
                .get("/meters", exchange -> Http.json(exchange, 200, room.state()));
    }

    void main() {
        Serve.run("06 Heartbeats", 9006, routes());
    }
}
