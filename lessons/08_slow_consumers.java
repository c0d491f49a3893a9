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
// In 2017 a third of Discord's sessions stalled. Their servers kept the events
// for them in memory, until that was full, and crashed
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
// A market tells prices to 200 readers in a process of their own, and to a phone.
// The page plays the phone, and slows its cable.

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
// - **The kernels**, ours and the reader's, and every proxy between them. What the
//   socket has taken, we cannot take back: it will be read, however old it is by
//   then.
// - **The reader.** A browser hands over each message as it comes. What the script
//   has not finished waits in the page, and WebSocket's API cannot tell the server.
//
// A cap bounds only the first. Linux lets the second grow to some megabytes on
// a local connection, and so hides a slow reader for a while. We ask for a send
// buffer of 16 KiB. (Linux doubles it. The cost: a distant reader gets at most
// one buffer in each round trip.)

// %%
enum Policy {
    queue, drop, latest, cut, block, idle; // the last two are to break it

    static Policy of(String name) {
        for (Policy each : values()) if (each.name().equals(name)) return each;
        throw new Problem(400, "'policy' is one of " + List.of(values()) + ".");
    }
}

// %% [markdown]
// ## Four policies
//
// - `queue`: keep all. Then the heap is the cap, and all readers share it.
// - `drop`: what does not fit is not sent. The reader must be told; ours is not.
// - `latest`: of each symbol a newer price takes the *place* of the older one in
//   the line. At the end of it, a busy symbol might wait for ever. Right where each
//   message is a whole value; after a lost *change* the reader needs a snapshot.
// - `cut`: close with 1013, *try again later*. Right where nothing may be
//   missing and the reader is slow for a while: it comes back with a cursor, as
//   in lesson 07. A reader that is always too slow must get less.
//
// **Count bytes, not messages.** A thousand messages may be 20 KB, or 4 GB. What
// is being sent counts, too.

// %%
class Backlog {
    private static final int CAP = 64 * 1024;
    final Policy policy;
    private final SequencedMap<Object, byte[]> line = new LinkedHashMap<>();
    volatile long bytes; // with what is under way
    volatile int replaced;
    volatile int dropped;

    Backlog(Policy policy) { this.policy = policy; }

    /// @return false where the reader is to be cut off
    boolean offer(String symbol, byte[] message) {
        Object key = policy == Policy.latest ? symbol : new Object();
        byte[] old = line.get(key);
        long after = bytes + message.length - (old == null ? 0 : old.length);
        if (after > CAP && policy != Policy.queue) {
            dropped++;
            return policy != Policy.cut;
        }
        line.put(key, message); // in the place of the old one, if there is one
        bytes = after;
        if (old != null) replaced++;
        return true;
    }

    /// @return null where nothing waits
    byte[] first() {
        var first = line.pollFirstEntry();
        return first == null ? null : first.getValue();
    }

    void taken(byte[] message) { bytes -= message.length; }

    void forget() { while (!line.isEmpty()) taken(first()); }
}

// %% [markdown]
// ## One message under way at a time
//
// The next message is sent when the socket has taken the one before. Who sends
// it without waiting for that has chosen `queue`, in a place that they cannot
// count. ("It sends asynchronously" says only that we do not wait.)
//
// All but `block` runs on the connection's I/O thread, so there is no lock.
// **A close frame waits behind the bytes before it.** Who reads nothing never
// gets it: ten seconds later we end the TCP connection.

// %%
class Reader extends Endpoint {
    private final Set<Reader> readers;
    WebSocketChannel channel;
    private byte[] underWay;
    private boolean cut;
    Backlog backlog;
    String name;
    volatile long sent;

    Reader(Set<Reader> readers) { this.readers = readers; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        var query = session.getRequestParameterMap();
        name = query.getOrDefault("name", List.of("reader")).getFirst();
        backlog = new Backlog(Policy.of(query.get("policy").getFirst()));
        channel = Sockets.channel(session);
        Sockets.sendBuffer(config, 16 * 1024);
        session.setMaxTextMessageBufferSize(1_024); // what it sends
        readers.add(this); // it counts until its connection has ended
        channel.addCloseTask(ended -> readers.remove(this));
    }

    void offer(String symbol, byte[] message) {
        channel.getIoThread().execute(() -> {
            if (cut) return;
            if (backlog.offer(symbol, message)) send();
            else cut();
        });
    }

    private void send() {
        if (underWay != null || (underWay = backlog.first()) == null) return;
        Sockets.send(channel, underWay, this::taken);
    }

    private void taken() {
        sent += underWay.length;
        backlog.taken(underWay);
        underWay = null;
        send();
    }

    private void cut() {
        cut = true;
        backlog.forget();
        WebSockets.sendClose(1013, "too slow", channel, null);
        channel.getIoThread().executeAfter(() -> IoUtils.safeClose(channel), 10,
                TimeUnit.SECONDS);
    }

    /// The famous wrong answer: waits until the socket has taken it.
    void block(byte[] message) throws IOException {
        WebSockets.sendTextBlocking(ByteBuffer.wrap(message), channel);
        sent += message.length;
    }
}

// %% [markdown]
// ## One loop for all, and nobody waits
//
// A price becomes bytes once. To offer it is a task for the reader's I/O thread.
// That thread has a queue without a cap, too: so nothing on it may ever wait.
//
// The famous wrong answer is `block`: it sends to one after the other, and
// waits, as `getBasicRemote().sendText()` does in a loop. **The slowest reader
// sets the pace for all**; one that reads nothing stops them. A virtual thread
// for each reader frees the others. But what waits for that thread is a queue
// again: it needs a cap and a policy, too.

// %%
record Price(String type, String symbol, long price, long at, String depth) {}

class Market {
    private static final int SYMBOLS = 5;
    final Set<Reader> readers = ConcurrentHashMap.newKeySet();
    final ScheduledExecutorService clock = Executors
            .newSingleThreadScheduledExecutor(Thread.ofPlatform().daemon().factory());
    private final String depth = "9".repeat(3_900); // the order book
    private long ticks;

    Market() {
        clock.scheduleWithFixedDelay(this::tick, 40, 40, TimeUnit.MILLISECONDS);
    }

    private void tick() {
        String symbol = "S" + ticks++ % SYMBOLS;
        byte[] message = Http.JSON.writeValueAsBytes(new Price("price", symbol,
                100 + ticks % 7, System.currentTimeMillis(), depth));
        for (Reader each : readers) {
            try {
                if (each.backlog.policy == Policy.block) each.block(message);
                else if (each.backlog.policy
                        != Policy.idle) each.offer(symbol, message);
            } catch (Exception broken) { // of this one, and not of the others
                IoUtils.safeClose(each.channel);
            }
        }
    }

    record Slow(String name, long queued, long sent, int replaced, int dropped) {}

    /// All but the 200, whose name is `fast`.
    Map<String, Object> gauges() {
        return Map.of("readers", readers.size(), "slow", readers.stream()
                .filter(each -> !each.name.equals("fast"))
                .map(each -> new Slow(each.name, each.backlog.bytes, each.sent,
                        each.backlog.replaced, each.backlog.dropped))
                .toList());
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
// `/film` sends 4 MB in one of the three ways. Meanwhile it pings 100 ms after
// each pong, and sends a short message 100 ms after the last is through. In the
// end it tells how many pongs came meanwhile.

// %%
class Film extends Endpoint {
    private static final int PIECES = 64;
    private static final String PIECE = ".".repeat(4 * 1024 * 1024 / PIECES);
    private WebSocketChannel channel;
    private volatile int pongs;

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        channel = Sockets.channel(session);
        Sockets.sendBuffer(config, 16 * 1024);
        session.addMessageHandler(PongMessage.class, pong -> {
            pongs++;
            soon(this::ping);
        });
        String how = session.getRequestParameterMap().get("as").getFirst();
        Thread.startVirtualThread(() -> play(session.getBasicRemote(), how));
    }

    private void soon(Runnable action) {
        channel.getIoThread().executeAfter(action, 100, TimeUnit.MILLISECONDS);
    }

    private void ping() {
        WebSockets.sendPing(ByteBuffer.allocate(0), channel, null);
    }

    private void tell() {
        Sockets.send(channel, "{}".getBytes(), () -> soon(this::tell));
    }

    private void play(RemoteEndpoint.Basic remote, String how) {
        String message = how.equals("frame") ? PIECE.repeat(PIECES) : PIECE;
        soon(this::ping);
        soon(this::tell);
        try {
            if (how.equals("frame")) {
                remote.sendText(message);
            } else {
                for (int i = 1; i <= PIECES; i++) {
                    remote.sendText(message, i == PIECES || how.equals("messages"));
                }
            }
            String text = "{\"pongs\":" + pongs + "}";
            Sockets.send(channel, text.getBytes(), () -> {});
        } catch (Exception gone) {
            IoUtils.safeClose(channel);
        }
    }
}

// %% [markdown]
// ## What an idle reader costs
//
// A reader that hears nothing costs, too: about 9 KB in the heap, a socket in the
// kernel, and one descriptor, but no thread. **So there is a cap on readers.**
// 5,000 of them are 45 MB here, and their queues of 64 KiB another 312 MiB, if no
// two share a message. The cap is checked before the upgrade, so a
// plain 503 with `Retry-After` says no. (Handshakes at the same moment may all
// pass that check, and so exceed the cap.)
//
// What a client *sends* is bounded as well, before it is in memory as a whole: a
// text of more than 1 KB to `/prices` ends the connection with 1009.
//
// ## Break it
//
// The phone reads 32 KB a second of the 100 that are for it, for 8 seconds.
//
// **Keep all.** The bars show where its bytes are.
//
// **Drop new ones.** The cap is 64 KiB, two seconds of its reading.
//
// **Newest of each.** At most five prices wait, and one is under way: 24 KB.
//
// **Cut it off.** The first price that does not fit ends the connection.
//
// **Send and wait.** One loop sends to all 201, and the phone reads 8 KB a second.
//
// **4 MB as a frame.** The cable lets 1 MB a second pass.
//
// **4 MB in fragments.** One message, in many frames.
//
// **4 MB in messages.** 64 messages.
//
// **5,000 idle readers.** They are all that fit. Then the phone comes.

// %%
class SlowConsumers {
    private static final int MOST =
            Serve.environment("MAX_READERS", 5_000, 1, 1_000_000);

    static HttpHandler routes() throws IOException {
        Market market = new Market();
        HttpHandler prices = Sockets.upgrade("/prices", "prices.v1", exchange -> {
            Policy.of(Http.query(exchange, "policy"));
            if (market.readers.size() < MOST) return;
            throw new Problem(503, "There are " + MOST + " readers already.")
                    .with("Retry-After", 1);
        }, () -> new Reader(market.readers));
        Serve beside = Serve.start(0, new Routes().get("/prices", prices));
        Child audience = new Child("SlowConsumers", Map.of("PRICES",
                "ws://localhost:" + beside.port + "/prices?name=fast&policy="));
        audience.start();
        return audience.mount(new Routes()
                .onStop(beside::stop)
                .onStop(market.clock::shutdownNow)
                .withCable()
                .page("08_slow_consumers")
                .get("/prices", prices)
                .get("/film", Sockets.upgrade("/film", "film.v1", exchange -> {
                    String how = String.valueOf(Http.query(exchange, "as"));
                    if (how.matches("frame|fragments|messages")) return;
                    throw new Problem(400, "'as' is frame, fragments or messages.");
                }, Film::new))
                .get("/_/page/gauges", exchange -> Http.json(exchange, 200,
                        market.gauges()))
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
// 1. `./jbang talk 'ws://localhost:8008/prices?policy=drop'`, and Ctrl+Z.
//    `curl localhost:8008/_/page/gauges` shows what waits for it. `fg` goes on.
// 2. `MAX_READERS=200 ./jbang lessons/08_slow_consumers.java`, and open the page.
//    In *Keep all* the 200 are all that fit: what does the phone get now?
//
// ## On Monday
//
// - Stop one client (`kill -STOP`), and watch your server's heap for ten
//   minutes. What ends it: a cap, a time-out, or the memory?
// - Search your code for a loop that sends under a lock, and for an executor
//   without a bound on its queue.
// - Does a stream hold a database connection for as long as it is open? With
//   Spring Boot's `open-in-view`, which is on by default, one can
//   ([spring-boot#12319](https://github.com/spring-projects/spring-boot/issues/12319)).
//
// `./jbang notebook 08` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8008, SlowConsumers.routes()).port` shows 8008, the page's port.
// The 200 are a second process, which runs the file, and not your cells.
