///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Slow consumers: where a slow reader's bytes wait, how many, and what is dropped
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/nodes/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 08_slow_consumers.java
//FILES 08_slow_consumers.html
//FILES 08_slow_consumers.md

// %% [markdown]
// # 08 - Slow consumers
//
// Some reader is always slower than you write: a phone in a tunnel, a tab that
// was put to sleep, a laptop on a train. **Its bytes wait somewhere. Choose
// where, how many, and what to drop.**
//
// In 2017 a third of all sessions at Discord stalled. Their servers kept the
// events for them in memory, until that was full, and crashed
// ([incident report](https://discordstatus.com/incidents/dj3l6lw926kl)).
//
// ```mermaid
// sequenceDiagram
//   participant M as Market
//   participant Q as Our queue
//   participant K as Kernel
//   M->>Q: 50 KB a second
//   Q->>K: as fast as it takes
//   K->>Phone: 16 KB a second
//   Note over Q: 34 KB a second stay here
// ```
//
// A market tells prices to a phone, whose cable can be made slow, and to two
// hundred readers beside it, which live in a process of their own.

// %%
import io.undertow.server.*;
import io.undertow.websockets.core.*;
import jakarta.websocket.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import shared.*;
import shared.nodes.*;
import shared.websocket.*;

// %% [markdown]
// ## Three places where bytes wait
//
// - **Our queue**, in the heap: what we have not given to the socket yet. We
//   can count it, bound it, and throw away what is old.
// - **The kernels**, ours and the reader's, and all that is between them. A
//   send that returned is no further than here. What is in there cannot be
//   taken back: it will be read, however old.
// - **The reader**: a browser queues messages for a script that is busy.
//
// A cap bounds only the first. Linux gives a local connection up to some
// megabytes of the second, so a slow reader stays unseen for a minute. We ask
// for 16 KiB: what cannot be taken back should be little.
//
// ## Four policies
//
// - `queue`: keep all. The heap is the cap, and all readers share it.
// - `drop`: what does not fit is not sent. Good for what nobody adds up.
// - `latest`: of each symbol the newest price replaces the one that waits. It
//   takes that one's place in the line, or busy symbols would wait for ever.
// - `cut`: close with 1013, *try again later*. Good where no event may be
//   missing, with the cursor of lesson 07.
//
// **Count bytes, not messages**: a thousand messages are 20 KB, or 4 GB. What
// is under way counts, too. And one frame is in flight at a time: the next is
// sent when the socket has taken the last. A library that "sends async" without
// a limit is `queue` by another name.

// %%
enum Policy { QUEUE, DROP, LATEST, CUT, BLOCK }

record Price(String type, String symbol, long price, double at, String depth) {}

class Reader extends Endpoint {
    private static final int CAP = 64 * 1024;
    private final Market market;
    private final SequencedMap<Object, byte[]> waiting = new LinkedHashMap<>();
    private byte[] underWay = {};
    private WebSocketChannel channel;
    Policy policy;
    String name;
    volatile long queued;
    volatile long sent;
    volatile int dropped;

    Reader(Market market) { this.market = market; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        var query = session.getRequestParameterMap();
        name = query.getOrDefault("name", List.of("reader")).getFirst();
        policy = Market
                .policy(query.getOrDefault("policy", List.of("latest")).getFirst());
        channel = Sockets.channel(session);
        try {
            Sockets.connection(config).setOption(Options.SEND_BUFFER, 16 * 1024);
        } catch (IOException broken) {
            return; // onClose comes as well
        }
        market.readers.add(this);
    }

    /// On any thread.
    void offer(String symbol, byte[] message) {
        channel.getIoThread().execute(() -> {
            Object key = policy == Policy.LATEST ? symbol : new Object();
            byte[] old = waiting.get(key);
            long after = queued + message.length - (old == null ? 0 : old.length);
            if (after <= CAP || policy == Policy.QUEUE) {
                waiting.put(key, message); // in the place of an old one, if there is one
                queued = after;
                send();
            } else if (policy == Policy.CUT) {
                WebSockets.sendClose(1013, "too slow", channel, null);
                market.readers.remove(this);
            } else {
                dropped++;
            }
        });
    }

    private void send() {
        if (underWay.length > 0 || waiting.isEmpty()) return;
        underWay = waiting.pollFirstEntry().getValue();
        WebSockets.sendText(ByteBuffer.wrap(underWay), channel,
                new WebSocketCallback<>() {
                    @Override
                    public void complete(WebSocketChannel same, Void nothing) {
                        channel.getIoThread().execute(Reader.this::taken);
                    }

                    @Override
                    public void onError(WebSocketChannel same, Void nothing,
                            Throwable broken) {
                        market.readers.remove(Reader.this);
                    }
                });
    }

    /// The socket has taken the frame.
    private void taken() {
        sent += underWay.length;
        queued -= underWay.length;
        underWay = new byte[0];
        send();
    }

    /// The famous wrong answer: waits until the socket has taken it.
    void block(byte[] message) {
        try {
            WebSockets.sendTextBlocking(ByteBuffer.wrap(message), channel);
            sent += message.length;
        } catch (IOException gone) {
            market.readers.remove(this);
        }
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        market.readers.remove(this);
    }
}

// %% [markdown]
// ## One loop for all, and nobody waits
//
// A price becomes bytes once, and is offered to each reader. To offer is to
// put it into a queue: this loop never waits for a socket. The famous wrong
// answer, `block`, sends to one after the other under a lock, as `synchronized`
// around `getBasicRemote().sendText()` does. **The slowest reader then sets the
// pace for all.** A virtual thread for each reader does not solve it: each
// waits at its own socket, and what waits before the thread is a queue again.

// %%
class Market {
    static final int SYMBOLS = 20;
    final Set<Reader> readers = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService clock = Executors
            .newSingleThreadScheduledExecutor(Thread.ofPlatform().daemon().factory());
    private final String depth = "9".repeat(900); // the order book
    private long ticks;

    Market() {
        clock.scheduleAtFixedRate(this::tick, 20, 20, TimeUnit.MILLISECONDS);
    }

    static Policy policy(String name) {
        try {
            return Policy.valueOf(name.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException unknown) {
            throw new Problem(400, "'policy' is queue, drop, latest, cut or block.");
        }
    }

    private void tick() {
        String symbol = "S" + ticks++ % SYMBOLS;
        byte[] message = Http.JSON.writeValueAsBytes(new Price("price", symbol,
                100 + ticks % 7, System.currentTimeMillis(), depth));
        for (Reader each : readers) {
            if (each.policy == Policy.BLOCK) each.block(message);
            else each.offer(symbol, message);
        }
    }

    record State(String name, Policy policy, long queued, long sent, int dropped) {}

    Map<String, Object> state() {
        Runtime jvm = Runtime.getRuntime();
        return Map.of("heap", jvm.totalMemory() - jvm.freeMemory(), "readers",
                readers.size(), "slow", readers.stream()
                        .filter(each -> !each.name.startsWith("fast"))
                        .map(each -> new State(each.name, each.policy, each.queued,
                                each.sent, each.dropped))
                        .toList());
    }
}

// %% [markdown]
// ## A long message blocks the short ones
//
// A frame cannot be interrupted: a ping that comes after 4 MB waits until they
// are through. But a message may be sent in fragments, and **control frames may
// come between them** ([RFC 6455, section 5.4](https://www.rfc-editor.org/rfc/rfc6455#section-5.4)).
// Other messages may not: for those, cut the message into several of yours.
//
// `/film` sends 4 MB, in one frame or in 64, pings ten times a second, and says
// how long the slowest pong took. A browser answers pings by itself.

// %%
class Film extends Endpoint {
    private static final int SIZE = 4 * 1024 * 1024;
    private final Deque<Long> pings = new ConcurrentLinkedDeque<>();
    private long slowest;

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        int pieces = Integer.parseInt(
                session.getRequestParameterMap().get("pieces").getFirst());
        WebSocketChannel channel = Sockets.channel(session);
        var clock = channel.getIoThread().executeAtInterval(() -> {
            pings.add(System.nanoTime());
            WebSockets.sendPing(ByteBuffer.allocate(0), channel, null);
        }, 100, TimeUnit.MILLISECONDS);
        channel.addCloseTask(closed -> clock.remove());
        session.addMessageHandler(PongMessage.class, pong -> slowest = Math.max(slowest,
                System.nanoTime() - pings.poll()));
        session.addMessageHandler(String.class, done -> hear(session));
        Thread.startVirtualThread(() -> play(session, pieces));
    }

    private void play(Session session, int pieces) {
        String piece = ".".repeat(SIZE / pieces);
        try {
            for (int i = 1; i <= pieces; i++) {
                session.getBasicRemote().sendText(piece, i == pieces);
            }
        } catch (IOException gone) {
            // Then nobody wants to know.
        }
    }

    private void hear(Session session) {
        session.getAsyncRemote()
                .sendText("{\"slowestMs\":" + slowest / 1_000_000 + "}");
    }
}

// %% [markdown]
// ## Caps before the upgrade
//
// A thousand readers of 64 KB each are 64 MB: the product is what must fit. So
// there is a cap on readers, too, and it is checked **before 101**. Then the
// answer is an HTTP answer, 503 with `Retry-After`, and costs nothing. In the
// other direction, what a client sends is bounded before it is in memory:
// lesson 03 closes a message of more than 64 KiB with 1009.

// %%
class SlowConsumers {
    private static final int MOST =
            Serve.environment("MAX_READERS", 6_000, 1, 1_000_000);

    static HttpHandler routes() throws IOException {
        Market market = new Market();
        HttpHandler prices = Sockets.upgrade("/prices", "prices.v1", exchange -> {
            Market.policy(Objects.requireNonNullElse(Http.query(exchange, "policy"),
                    "latest"));
            if (market.readers.size() < MOST) return;
            throw new Problem(503, "There are " + MOST + " readers already.")
                    .with("Retry-After", 1);
        }, () -> new Reader(market));
        Serve beside = Serve.start(0, new Routes().get("/prices", prices));
        Child audience = new Child("SlowConsumers", Map.of("PRICES",
                "ws://localhost:" + beside.port + "/prices?name=fast&policy="));
        audience.start();
        return audience.mount(new Routes()
                .onStop(beside::stop)
                .withCable()
                .page("08_slow_consumers")
                .get("/prices", prices)
                .get("/film", Sockets.upgrade("/film", "film.v1",
                        exchange -> Http.queryInteger(exchange, "pieces", 1, 1, 64),
                        Film::new))
                .get("/gauges", exchange -> Http.json(exchange, 200, market.state())));
    }

    void main() throws IOException {
        if (Child.isChild()) Child.serve(Audience.routes(System.getenv("PRICES")));
        else Serve.run("08 Slow consumers", 8008, routes());
    }
}
