package shared.wire;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;

/// What is said on one connection: requests and their answers, and what an answer may open,
/// an event stream or a WebSocket. It always follows along, so that it is in step when
/// somebody begins to watch, but it makes rows only while somebody does. Its methods may be
/// called on any thread; they neither block nor throw.
public final class Conversation {
    static final byte[] NONE = {};

    /// A request and what becomes of it. `quiet` ones belong to the page itself.
    static final class Exchange {
        static final Exchange UNKNOWN =
                new Exchange(0, NONE, true, false, false);

        final int number;
        /// The request's, by which a page that comes later knows whose this is.
        final byte[] requestHead;
        final boolean get;
        final boolean head;
        final boolean quiet;
        /// Is a push its reply?
        boolean confirmed;
        long readAt;

        Exchange(int number, byte[] requestHead, boolean get, boolean head,
                boolean quiet) {
            this.number = number;
            this.requestHead = requestHead;
            this.get = get;
            this.head = head;
            this.quiet = quiet;
        }
    }

    final Wire wire;
    final Queue<Exchange> unanswered = new ArrayDeque<>(2);
    private final Place place;
    private final String peer;
    private final int number;
    private Cutter up;
    private Cutter down;
    private Exchange answering;
    private boolean counted;

    /// @param peer the server that the place is a client of; null where it is the server
    Conversation(Place place, String peer, Protocol protocol) {
        this.place = place;
        this.peer = peer;
        wire = place.wire;
        number = wire.nextConnection();
        if (protocol == Protocol.RESP) {
            up = new Resp(this, true);
            down = new Resp(this, false);
        } else {
            Requests requests = new Requests();
            up = requests;
            down = new Answers(requests);
        }
    }

    boolean isServer() { return peer == null; }

    /// The place has read these bytes. They are consumed.
    public synchronized void read(ByteBuffer bytes) {
        feed(isServer(), bytes);
    }

    /// The place has written these bytes. They are consumed.
    public synchronized void wrote(ByteBuffer bytes) {
        feed(!isServer(), bytes);
    }

    /// Whoever takes the bytes may make another cutter take over, so it is looked up each time.
    private void feed(boolean toServer, ByteBuffer bytes) {
        while (bytes.hasRemaining()) (toServer ? up : down).feed(bytes);
    }

    /// The server has ended the connection, which may end its answer, too.
    synchronized void ended() {
        if (down instanceof Messages messages) messages.ended();
        closed();
    }

    /// The connection is gone; so is a request that was held, a stream, a WebSocket. Another
    /// call does nothing.
    public synchronized void closed() {
        count(false);
        Exchange lost = unanswered.isEmpty() ? answering : unanswered.peek();
        if (lost != null && !lost.quiet && wire.watched()) {
            wire.emit(new Wire.Row(wire.now(), place.name, peer, number, lost.number,
                    "end", "", "connection closed", 0, 0, null, null, new byte[0]));
        }
        unanswered.clear();
        answering = null;
    }

    /// Connections that only the page itself uses do not count as open.
    void count(boolean wanted) {
        if (counted == wanted) return;
        counted = wanted;
        if (wanted) wire.open.add(this);
        else wire.open.remove(this);
    }

    /// What is held or streams just now: its request, and the status 0 where it has no answer yet.
    synchronized List<Wire.Row> opened() {
        List<Exchange> all = new ArrayList<>(unanswered);
        if (answering != null) all.add(answering);
        return all.stream().filter(each -> !each.quiet && each.requestHead != NONE)
                .map(each -> new Wire.Row(wire.now(), place.name, peer, number,
                        each.number, "open", "", each.get ? "GET" : "",
                        each == answering ? 200 : 0, each.requestHead.length, null,
                        null,
                        Arrays.copyOf(each.requestHead,
                                Math.min(each.requestHead.length, Cutter.KEPT))))
                .toList();
    }

    Wire.Row row(Cutter unit, Exchange exchange, String kind, String title, int status,
            Double ms, String text) {
        return new Wire.Row(wire.now(), place.name, peer, number, exchange.number, kind,
                unit.isIncoming() ? "in" : "out", title, status, unit.size(), ms, text,
                unit.kept());
    }

    private final class Requests extends Messages {
        private Exchange reading;
        private String title;

        Requests() {
            super(Conversation.this, true);
        }

        @Override
        boolean head() {
            boolean quiet = startsWith(0, "get /_/page/");
            reading = new Exchange(wire.nextExchange(), wholeHead(),
                    startsWith(0, "get "), startsWith(0, "head "), quiet);
            title = isKept() ? firstLine(0).replaceFirst(" HTTP/1..$", "") : null;
            unanswered.add(reading);
            Conversation.this.count(!quiet);
            return true;
        }

        /// The request is read whole, or is answered before it is.
        @Override
        void end() {
            if (reading == null) return;
            Exchange read = reading;
            reading = null;
            read.readAt = System.nanoTime();
            if (read.quiet) return;
            count();
            wire.requests.increment();
            if (isServer()) wire.heard();
            if (isKept()) wire.emit(row(this, read, "request", title, 0, null, null));
        }
    }

    private final class Answers extends Messages {
        private static final int SWITCHING_PROTOCOLS = 101;

        private final Requests requests;
        private String title;
        private int status;
        private Double held;
        private Events events;

        Answers(Requests requests) {
            super(Conversation.this, false);
            this.requests = requests;
        }

        private boolean isInterim() {
            return status / 100 == 1 && status != SWITCHING_PROTOCOLS;
        }

        @Override
        boolean head() {
            status = (int) decimal(9);
            if (isInterim()) return false;
            title = isKept() ? firstLine(9) : null;
            if (unanswered.size() == 1) requests.end();
            answering = unanswered.isEmpty() ? Exchange.UNKNOWN : unanswered.poll();
            boolean timed = answering.readAt != 0;
            held = timed ? (System.nanoTime() - answering.readAt) / 1e6 : null;
            boolean body = !answering.head && status != 204 && status != 304
                    && status != SWITCHING_PROTOCOLS;
            if (body && isEventStream()) {
                emit();
                events = new Events(Conversation.this, answering);
            }
            return body;
        }

        @Override
        void content(ByteBuffer bytes) {
            if (events == null) {
                take(bytes);
                return;
            }
            int limit = bytes.limit();
            int count = (int) Math.min(left, bytes.remaining());
            bytes.limit(bytes.position() + count);
            while (bytes.hasRemaining()) events.feed(bytes);
            bytes.limit(limit);
            left -= count;
        }

        @Override
        void end() {
            if (isInterim()) return;
            if (events == null) {
                emit();
            } else if (wire.watched()) {
                wire.emit(row(this, answering, "end", "stream ended", 0, null, null));
            }
            events = null;
            if (status != SWITCHING_PROTOCOLS) {
                answering = null;
                return;
            }
            up = answering.quiet ? new Nothing() : frames(true);
            down = answering.quiet ? new Nothing() : frames(false);
        }

        private Frames frames(boolean ask) {
            return new Frames(Conversation.this, answering, ask);
        }

        private void emit() {
            if (answering.quiet) return;
            count();
            boolean empty = status == 204 || status == 304;
            if (empty && answering.get) wire.empty.increment();
            if (isKept()) {
                wire.emit(row(this, answering, "response", title, status, held, null));
            }
        }
    }

    /// Passes over the wire view's own WebSocket.
    private final class Nothing extends Cutter {
        Nothing() {
            super(Conversation.this, false);
        }

        @Override
        void feed(ByteBuffer bytes) {
            bytes.position(bytes.limit());
        }
    }
}
