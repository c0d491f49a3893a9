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
//   participant K as Kernels
//   M->>Q: 100 KB a second
//   Q->>K: as fast as they take it
//   K->>Phone: 32 KB a second
//   Note over Q: the rest stays here
// ```
//
// A market tells prices to 200 readers, which live in a process of their own,
// and to a phone, which the page plays and whose cable it makes slow.

// %%
import com.sun.management.UnixOperatingSystemMXBean;
import io.undertow.server.*;
import io.undertow.websockets.core.*;
import jakarta.websocket.*;
import java.io.IOException;
import java.lang.management.ManagementFactory;
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
//   send that has returned got a message no further than here. What is in
//   there cannot be taken back: it will be read, however old it is.
// - **The reader**: a browser queues messages for a script that is busy.
//
// A cap bounds only the first. Linux lets the second grow to some megabytes on
// a local connection, and hides a slow reader for a while. We ask for a send
// buffer of 16 KiB: what cannot be taken back should be little.
//
// ## Four policies
//
// - `queue`: keep all. Then the heap is the cap, and all readers share it.
// - `drop`: what does not fit is not sent. The reader keeps the old ones.
// - `latest`: of each symbol the newest price replaces the one that waits, in
//   its place in the line. At the end of the line a busy symbol would wait for
//   ever.
// - `cut`: close with 1013, *try again later*. Good where nothing may be
//   missing: the reader comes back with a cursor, as in lesson 07.
//
// **Count bytes, not messages.** A thousand messages may be 20 KB, or 4 GB.
// What is under way counts, too. **One message is under way at a time**; the
// next is sent when the socket has taken it. Who "sends asynchronously" without
// asking whether the last is through has chosen `queue`, and cannot count it.

// %%
enum Policy { QUEUE, DROP, LATEST, CUT, BLOCK, IDLE }

record Price(String type, String symbol, long price, long at, String depth) {}

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
// put it into a queue: this loop never waits for a socket.
//
// The famous wrong answer is `block`: it sends to one after the other, and
// waits, as `getBasicRemote().sendText()` does in a loop. **The slowest reader
// sets the pace for all.** A virtual thread for each reader does not solve it:
// the thread waits at its own socket, and what waits for the thread is a queue
// again, in a pool that has no bound unless you give it one.

// %%
class Market {
    static final int SYMBOLS = 5;
    final Set<Reader> readers = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService clock = Executors
            .newSingleThreadScheduledExecutor(Thread.ofPlatform().daemon().factory());
    private final String depth = "9".repeat(3_900); // the order book
    private long ticks;

    Market() {
        clock.scheduleAtFixedRate(this::tick, 40, 40, TimeUnit.MILLISECONDS);
    }

    static Policy policy(String name) {
        try {
            return Policy.valueOf(name.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException unknown) {
            throw new Problem(400,
                    "'policy' is queue, drop, latest, cut, block or idle.");
        }
    }

    private void tick() {
        String symbol = "S" + ticks++ % SYMBOLS;
        byte[] message = Http.JSON.writeValueAsBytes(new Price("price", symbol,
                100 + ticks % 7, System.currentTimeMillis(), depth));
        for (Reader each : readers) {
            switch (each.policy) {
                case BLOCK -> each.block(message);
                case IDLE -> {}
                default -> each.offer(symbol, message);
            }
        }
    }

    record State(String name, Policy policy, long queued, long sent, int dropped) {}

    List<State> slow() {
        return readers.stream().filter(each -> !each.name.equals("fast"))
                .map(each -> new State(each.name, each.policy, each.queued,
                        each.sent, each.dropped))
                .toList();
    }
}

// %% [markdown]
// ## A long message holds up the others
//
// A frame is not interrupted: a ping that comes after a frame of 4 MB waits until
// that is through. Who answers beats (lesson 06) too late is taken for dead. But
// a message may be sent in fragments, and **only control frames may come between
// them** ([RFC 6455, section 5.4](https://www.rfc-editor.org/rfc/rfc6455#section-5.4)).
// Where another message must pass, cut the long one into messages of your own.
//
// `/film` sends 4 MB in one of the three ways, and ten times a second a ping and
// a short message. It says how long the slowest pong took, or takes already.

// %%
class Film extends Endpoint {
    private static final int PIECES = 64;
    private static final String PIECE = ".".repeat(4 * 1024 * 1024 / PIECES);
    private final Deque<Long> pings = new ConcurrentLinkedDeque<>();
    private volatile long slowest;

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        WebSocketChannel channel = Sockets.channel(session);
        try {
            Sockets.connection(config).setOption(Options.SEND_BUFFER, 16 * 1024);
        } catch (IOException broken) {
            return; // onClose comes as well
        }
        var clock = channel.getIoThread().executeAtInterval(() -> {
            pings.add(System.nanoTime());
            WebSockets.sendPing(ByteBuffer.allocate(0), channel, null);
            WebSockets.sendText("{\"at\":" + System.currentTimeMillis() + "}", channel,
                    null);
        }, 100, TimeUnit.MILLISECONDS);
        channel.addCloseTask(closed -> clock.remove());
        session.addMessageHandler(PongMessage.class, pong -> slowest = Math.max(slowest,
                System.nanoTime() - pings.poll()));
        Thread.startVirtualThread(() -> play(session, channel));
    }

    private void play(Session session, WebSocketChannel channel) {
        var query = session.getRequestParameterMap();
        try {
            var remote = session.getBasicRemote();
            switch (query.get("as").getFirst()) {
                case "frame" -> remote.sendText(PIECE.repeat(PIECES));
                case "fragments" -> {
                    for (int i = 1; i <= PIECES; i++) {
                        remote.sendText(PIECE, i == PIECES);
                    }
                }
                default -> {
                    for (int i = 1; i <= PIECES; i++) remote.sendText(PIECE);
                }
            }
            long now = System.nanoTime();
            long most = Math.max(slowest, now - pings.stream().findFirst().orElse(now));
            WebSockets.sendText("{\"slowestMs\":" + most / 1_000_000 + "}", channel,
                    null);
        } catch (IOException gone) {
            // Then nobody wants to know.
        }
    }
}

// %% [markdown]
// ## What an idle reader costs
//
// A reader that hears nothing costs, too: objects in the heap, buffers in the
// kernel, one descriptor, and no thread. So there is a cap on readers: 5,000
// times a queue of 64 KiB are 320 MiB, and that must fit. It is checked **before
// 101**. Then the answer is an HTTP answer, 503 with `Retry-After`, and costs
// little. What a client *sends* is bounded as well, before it is in memory as a
// whole: lesson 03 closes a message of more than 64 KiB with 1009.

// %%
record Cost(long heap, long descriptors, int threads) {
    /// After a collection, so that garbage does not count.
    static Cost now() {
        System.gc();
        var memory = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        long open = ManagementFactory
                .getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix
                        ? unix.getOpenFileDescriptorCount() : 0;
        return new Cost(memory.getUsed(), open,
                ManagementFactory.getThreadMXBean().getThreadCount());
    }
}

// %% [markdown]
// ## Break it
//
// The phone reads 32 KB a second of the 100 that are for it, for 8 seconds.
//
// **Keep all.** The bars show where its bytes are.
//
// **Drop new ones.** The cap is 64 KiB. What does not fit is not sent.
//
// **Newest of each.** There are five symbols.
//
// **Cut it off.** The first price that does not fit ends the connection.
//
// **Send and wait.** One loop sends to all 201, and the phone reads 8 KB a second.
//
// **4 MB as a frame.** The cable lets 1 MB a second pass.
//
// **4 MB in fragments.** One message in frames of 16 KB.
//
// **4 MB in messages.** 64 messages.
//
// **5,000 idle readers.** They come in place of the 200. Then the phone comes.

// %%
class SlowConsumers {
    private static final int MOST =
            Serve.environment("MAX_READERS", 5_000, 1, 1_000_000);

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
                        exchange -> Objects.requireNonNull(Http.query(exchange, "as")),
                        Film::new))
                .get("/_/page/slow", exchange -> Http.json(exchange, 200,
                        market.slow()))
                .get("/_/page/cost", exchange -> Http.json(exchange, 200,
                        Cost.now())));
    }

    void main() throws IOException {
        if (Child.isChild()) Child.serve(Audience.routes(System.getenv("PRICES")));
        else Serve.run("08 Slow consumers", 8008, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. `./jbang talk 'ws://localhost:8008/prices?policy=drop'`, and hold it by
//    Ctrl-Z. `curl localhost:8008/_/page/slow` shows what waits for it; `fg`
//    lets it read again.
// 2. `MAX_READERS=100 ./jbang lessons/08_slow_consumers.java`: 100 of the 200 are
//    refused. What does `curl -i localhost:8008/prices -H 'Connection: Upgrade'
//    -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H
//    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='` answer?
//
// ## On Monday
//
// - Stop one reader (`kill -STOP` a client), and watch your server's heap for
//   ten minutes. What ends it: a cap, a time-out, or the memory?
// - Search your code for a loop that sends under a lock, and for an executor
//   without a bound on its queue.
// - Does a stream hold a database connection for as long as it is open? With
//   Spring Boot's `open-in-view`, which is on by default, one may
//   ([spring-boot#12319](https://github.com/spring-projects/spring-boot/issues/12319)).
//
// `./jbang notebook 08` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8008, SlowConsumers.routes()).port` shows 8008, the page's port.
// The 200 are a second process, which runs the file, and not your cells.
