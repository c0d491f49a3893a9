package shared.wire;

import io.undertow.Handlers;
import io.undertow.server.HttpHandler;
import io.undertow.websockets.core.AbstractReceiveListener;
import io.undertow.websockets.core.WebSocketChannel;
import io.undertow.websockets.core.WebSockets;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import shared.Http;

/// What was seen at one or several places, sent to the pages that watch. Its own WebSocket,
/// `/_/page/wire`, sends text messages
/// `{"rows":[Row...],"totals":{...},"dropped":n,"began":ms}`; it neither shows nor counts itself,
/// nor anything else below `/_/page/`. A watcher that cannot keep up loses rows and is told
/// how many. The first message has `"opened":[Row...]` besides, of kind `open`: the requests that
/// are held or stream already, 500 at most; and for a page `"window"`, a number that no other page
/// has that watches. `began` is when the clock of `at` was 0, in milliseconds since 1970, by which
/// rows of several processes compare; it moves where the machine's clock is set, or has slept.
///
/// What another process shows is passed on as it comes (see [Relay]), with one member more:
/// `"from":n`, another number for each run of a process. `{"from":n,"gone":ms}` says that it
/// has ended; `ms` is in milliseconds since 1970.
public final class Wire {
    /// One line of the view. Numbers of connections and exchanges are unique in one Wire.
    ///
    /// @param at when, in milliseconds since the Wire began
    /// @param place where it was seen
    /// @param peer the server at the other end of a connection that the place opened itself, null
    ///     where the place is the server
    /// @param conn the connection's number
    /// @param exchange the number of the request or command that this belongs to, 0 where it is
    ///     unknown
    /// @param kind request, response, frame, event, comment or end; of RESP command, reply or push
    /// @param dir in or out, as the place sees it
    /// @param status of a response, or the code of a close frame, or 1 for a RESP error, else 0
    /// @param size bytes on the wire, HTTP chunk sizes of a stream not counted
    /// @param ms a response: from the request's last byte to the answer's first; a reply: from the
    ///     command's last byte to the reply's last; a frame or event that a server writes: from the
    ///     last request or message that any client sent
    /// @param text the payload of a frame or event
    /// @param raw the first 4 KiB, exact
    record Row(double at, String place, String peer, int conn, int exchange,
            String kind, String dir, String label, int status, long size, Double ms,
            String text, byte[] raw) {}

    private static final int PENDING = 2_000;
    private static final int MAX_WATCHERS = 8;
    private static final int MAX_OPENED = 500;

    final LongAdder requests = new LongAdder();
    final LongAdder bytesIn = new LongAdder();
    final LongAdder bytesOut = new LongAdder();
    final LongAdder empty = new LongAdder();
    final LongAdder messages = new LongAdder();
    final Set<Conversation> open = ConcurrentHashMap.newKeySet();
    /// Answers `/_/page/wire`.
    public final HttpHandler handler = Handlers.websocket((exchange, channel) -> watch(
            channel, Relay.QUERY.equals(exchange.getQueryString())));

    private final List<Watcher> watchers = new CopyOnWriteArrayList<>();
    private final AtomicInteger connections = new AtomicInteger();
    private final AtomicInteger exchanges = new AtomicInteger();
    /// Of other processes, by their ports: the number of their run.
    private final Map<Integer, Integer> followed = new ConcurrentHashMap<>();
    private final AtomicInteger runs = new AtomicInteger();
    private final long began = System.nanoTime();
    private volatile long heard = began;
    private double epoch;

    /// A place whose rows bear this name.
    public Place place(String name) {
        return new Place(this, name);
    }

    /// From now on pages that watch this wire also get what another process shows, which serves
    /// on this port of 127.0.0.1 without TLS, and whose place has a name of its own. To be called
    /// each time that such a process has started. Where nobody listens any more when the next
    /// page comes, the port is forgotten.
    public void follow(int port) {
        int run = runs.incrementAndGet();
        followed.put(port, run);
        watchers.forEach(watcher -> watcher.follow(port, run));
    }

    void forget(int port, int run) {
        followed.remove(port, run);
    }

    int nextConnection() {
        return connections.incrementAndGet();
    }

    int nextExchange() {
        return exchanges.incrementAndGet();
    }

    boolean watched() {
        return !watchers.isEmpty();
    }

    /// Milliseconds since the Wire began.
    double now() {
        return (System.nanoTime() - began) / 1e6;
    }

    /// When the Wire began by the machine's clock as it is now, in milliseconds since 1970. The
    /// thread may have lost some time between two looks at a clock, so this is kept unless it
    /// cannot be right.
    synchronized double began() {
        double before = now();
        Instant time = Instant.now();
        double after = now();
        double wall = time.getEpochSecond() * 1e3 + time.getNano() / 1e6;
        epoch = Math.clamp(epoch, wall - after, wall - before);
        return epoch;
    }

    /// A client has sent a request or a message.
    void heard() {
        heard = System.nanoTime();
    }

    double sinceHeard() {
        return (System.nanoTime() - heard) / 1e6;
    }

    void emit(Row row) {
        for (Watcher watcher : watchers) {
            if (!watcher.pending.offer(row)) watcher.dropped.incrementAndGet();
        }
    }

    private Map<String, Long> totals() {
        return Map.of("requests", requests.sum(), "bytesIn", bytesIn.sum(),
                "bytesOut", bytesOut.sum(), "empty", empty.sum(), "messages",
                messages.sum(),
                "open", (long) open.size());
    }

    private void watch(WebSocketChannel channel, boolean ownRowsOnly) {
        if (watchers.size() >= MAX_WATCHERS) {
            WebSockets.sendClose(1013, "too many watchers", channel, null);
            return;
        }
        Watcher watcher = add(channel, ownRowsOnly);
        channel.addCloseTask(closed -> {
            watchers.remove(watcher);
            watcher.end();
        });
        channel.getReceiveSetter().set(new AbstractReceiveListener() {});
        channel.resumeReceives();
        Thread.ofPlatform().daemon().name("wire").start(watcher);
    }

    private synchronized Watcher add(WebSocketChannel channel, boolean ownRowsOnly) {
        Set<Integer> taken = watchers.stream().map(each -> each.window)
                .collect(Collectors.toSet());
        int free = 0;
        while (!ownRowsOnly && (free == 0 || taken.contains(free))) free++;
        Watcher watcher = new Watcher(channel, ownRowsOnly, free);
        watchers.add(watcher);
        return watcher;
    }

    /// A page that watches: one thread, which blocks when the page does not read.
    private final class Watcher implements Runnable {
        final BlockingQueue<Row> pending = new ArrayBlockingQueue<>(PENDING);
        final AtomicLong dropped = new AtomicLong();
        private final WebSocketChannel channel;
        private final Object turn = new Object();
        private final Map<Integer, Relay> relays = new HashMap<>();
        /// Are other processes to be followed? A page gets this one's rows first.
        private boolean follows;
        private final boolean ownRowsOnly;
        private final int window;

        Watcher(WebSocketChannel channel, boolean ownRowsOnly, int window) {
            this.channel = channel;
            this.ownRowsOnly = ownRowsOnly;
            this.window = window;
        }

        @Override
        public void run() {
            Map<String, Long> told = null;
            try {
                while (channel.isOpen()) {
                    List<Row> rows = new ArrayList<>();
                    Row first = told == null ? null
                            : pending.poll(250, TimeUnit.MILLISECONDS);
                    if (first != null) rows.add(first);
                    pending.drainTo(rows, 200);
                    Map<String, Long> totals = totals();
                    if (rows.isEmpty() && totals.equals(told)) continue;
                    Map<String, Object> batch = new HashMap<>(Map.of("rows", rows,
                            "totals", totals, "dropped", dropped.get(), "began",
                            began()));
                    if (told == null) {
                        batch.put("window", window);
                        batch.put("opened", open.stream()
                                .flatMap(each -> each.opened().stream())
                                .limit(MAX_OPENED).toList());
                    }
                    send(Http.JSON.writeValueAsString(batch));
                    if (told == null) begin();
                    told = totals;
                }
            } catch (IOException | InterruptedException gone) {
                watchers.remove(this);
                end();
            }
        }

        /// Relays have threads of their own.
        private void send(String text) throws IOException {
            synchronized (turn) {
                WebSockets.sendTextBlocking(text, channel);
            }
        }

        private synchronized void begin() {
            follows = !ownRowsOnly && channel.isOpen();
            followed.forEach(this::follow);
        }

        synchronized void follow(int port, int run) {
            if (!follows) return;
            Relay next = new Relay(Wire.this, port, run, this::send);
            Relay last = relays.put(port, next);
            if (last != null) last.end();
            next.begin();
        }

        synchronized void end() {
            follows = false;
            relays.values().forEach(Relay::end);
            relays.clear();
        }
    }
}
