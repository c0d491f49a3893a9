package shared.wire;

import io.undertow.Handlers;
import io.undertow.server.HttpHandler;
import io.undertow.websockets.core.AbstractReceiveListener;
import io.undertow.websockets.core.WebSocketChannel;
import io.undertow.websockets.core.WebSockets;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import shared.Http;
import tools.jackson.databind.JsonNode;

/// What the taps saw, sent to the pages that watch. Its own WebSocket, `/_/page/wire`, sends text
/// messages `{"rows":[Row...],"totals":{...},"dropped":n}`; it neither shows nor counts itself,
/// nor anything else below `/_/page/`. A watcher that cannot keep up loses rows and is told
/// how many.
public final class Wire {
    /// One line of the view.
    ///
    /// @param at when, in milliseconds since the server began
    /// @param conn the connection's number
    /// @param exchange the number of the request that this belongs to, 0 where it is unknown
    /// @param kind request, response, frame, event, comment or end
    /// @param dir in or out, as the server sees it
    /// @param status of a response, or the code of a close frame, else 0
    /// @param size bytes on the wire, HTTP chunk sizes of a stream not counted
    /// @param ms a response: from the request's last byte read to the answer's first written; a
    ///     frame or event: from the last request or message that anyone sent
    /// @param text the payload of a frame or event
    /// @param raw the first 4 KiB, exact
    record Row(double at, int conn, int exchange, String kind, String dir, String label,
            int status,
            long size, Double ms, String text, byte[] raw) {}

    private static final int PENDING = 2_000;
    private static final int MAX_WATCHERS = 8;

    final LongAdder requests = new LongAdder();
    final LongAdder bytesIn = new LongAdder();
    final LongAdder bytesOut = new LongAdder();
    final LongAdder empty = new LongAdder();
    final LongAdder messages = new LongAdder();
    final LongAdder open = new LongAdder();
    /// Answers `/_/page/wire`.
    public final HttpHandler handler =
            Handlers.websocket((exchange, channel) -> watch(channel));

    private final List<Watcher> watchers = new CopyOnWriteArrayList<>();
    private final AtomicInteger connections = new AtomicInteger();
    private final AtomicInteger exchanges = new AtomicInteger();
    private final long began = System.nanoTime();
    private volatile long heard = began;

    int nextConnection() {
        return connections.incrementAndGet();
    }

    int nextExchange() {
        return exchanges.incrementAndGet();
    }

    boolean watched() {
        return !watchers.isEmpty();
    }

    /// Milliseconds since the server began.
    double now() {
        return (System.nanoTime() - began) / 1e6;
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
                "open", open.sum());
    }

    private void watch(WebSocketChannel channel) {
        if (watchers.size() >= MAX_WATCHERS) {
            WebSockets.sendClose(1013, "too many watchers", channel, null);
            return;
        }
        Watcher watcher = new Watcher(channel);
        watchers.add(watcher);
        channel.addCloseTask(closed -> watchers.remove(watcher));
        channel.getReceiveSetter().set(new AbstractReceiveListener() {});
        channel.resumeReceives();
        Thread.ofPlatform().daemon().name("wire").start(watcher);
    }

    /// A page that watches: one thread, which blocks when the page does not read.
    private final class Watcher implements Runnable {
        final BlockingQueue<Row> pending = new ArrayBlockingQueue<>(PENDING);
        final AtomicLong dropped = new AtomicLong();
        private final WebSocketChannel channel;

        Watcher(WebSocketChannel channel) {
            this.channel = channel;
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
                    told = totals;
                    JsonNode batch =
                            Http.JSON.valueToTree(Map.of("rows", rows, "totals", totals,
                                    "dropped", dropped.get()));
                    WebSockets.sendTextBlocking(batch.toString(), channel);
                }
            } catch (IOException | InterruptedException gone) {
                watchers.remove(this);
            }
        }
    }
}
