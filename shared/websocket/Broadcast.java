package shared.websocket;

import io.undertow.websockets.core.WebSocketChannel;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.Session;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.xnio.IoUtils;
import org.xnio.XnioIoThread;

/// Tells many WebSocket clients the same, each at its own pace. A text becomes a frame once,
/// for all. The frames form a chain, and a client is a place in it: what was not sent to a slow
/// client yet is kept once, not once for each. A client whose place falls too far behind is cut
/// off with 1013. Nothing here blocks.
public final class Broadcast {
    private static final int PROTOCOL_ERROR = 1002;
    private static final int TRY_AGAIN_LATER = 1013;

    /// How many texts that are for a client alone may wait for it.
    private static final int MAX_OWN = 100;

    /// How many texts may be said while some clients were not even told of the one before.
    private static final int MAX_AHEAD = 100;

    /// A frame, and how many frames and bytes came before its end.
    private static final class Line {
        final ByteBuffer frame;
        final long number;
        final long bytes;
        volatile Line next;

        Line(long number, long bytes, ByteBuffer frame) {
            this.number = number;
            this.bytes = bytes;
            this.frame = frame;
        }
    }

    /// A client. It hears what is told after [Broadcast#add].
    public final class Member {
        private final Session session;
        private final WebSocketChannel channel;
        private final Duplex duplex;
        private final Queue<Line> own = new ConcurrentLinkedQueue<>();
        private Line at;

        private Member(Session session, EndpointConfig config) {
            this.session = session;
            channel = Sockets.channel(session);
            duplex = new Duplex(Sockets.connection(config), this::next,
                    () -> Sockets.close(session, PROTOCOL_ERROR));
        }

        /// Tells this client alone, in the order of the calls with what all are told. Any thread
        /// may call this. Who leaves 100 of these unread is cut off, as they would fill the heap.
        public void tell(byte[] text) {
            synchronized (Broadcast.this) {
                own.add(new Line(last.number, last.bytes, frame(text)));
            }
            XnioIoThread thread = channel.getIoThread();
            if (thread == Thread.currentThread()) sendOwn();
            else thread.execute(this::sendOwn);
        }

        private void sendOwn() {
            duplex.send();
            if (own.size() > MAX_OWN) Sockets.close(session, TRY_AGAIN_LATER);
        }

        /// Nanoseconds since the last byte of this client was read, pongs and half frames
        /// included.
        public long silentFor() {
            return System.nanoTime() - duplex.heardAt();
        }

        /// Ends the connection without a close frame, by a TCP reset.
        public void reset() {
            duplex.reset();
        }

        private ByteBuffer next() {
            if (channel.isCloseFrameSent()) return null;
            Line first = own.peek();
            if (first != null && (at == null || first.number <= at.number)) {
                return own.poll().frame;
            }
            if (at == null || at.next == null) return null;
            at = at.next;
            return at.frame.duplicate();
        }

        /// Sends what the socket takes.
        private void send(Line end) {
            duplex.send();
            boolean late = end.number - at.number > maxMessages
                    || end.bytes - at.bytes > maxBytes;
            if (late) Sockets.close(session, TRY_AGAIN_LATER);
        }
    }

    /// The members on one I/O thread, and how far all of them were told. However many texts came
    /// meanwhile, it is woken once.
    private final class Circle {
        final XnioIoThread thread;
        final Set<Member> members = ConcurrentHashMap.newKeySet();
        private final AtomicBoolean woken = new AtomicBoolean();
        volatile long told = last.number;

        Circle(XnioIoThread thread) {
            this.thread = thread;
        }

        void wake() {
            if (!woken.getAndSet(true)) thread.execute(this::send);
        }

        private void send() {
            woken.set(false);
            Line end = last;
            for (Member each : members) each.send(end);
            told = end.number;
            resume();
        }
    }

    private final long maxMessages;
    private final long maxBytes;
    private final Map<XnioIoThread, Circle> circles = new ConcurrentHashMap<>();
    private final Queue<WebSocketChannel> resting = new ArrayDeque<>();
    private volatile Line last = new Line(0, 0, ByteBuffer.allocate(0));

    /// @param maxMessages how many texts a client may be behind
    /// @param maxBytes how many bytes of them
    public Broadcast(long maxMessages, long maxBytes) {
        this.maxMessages = maxMessages;
        this.maxBytes = maxBytes;
    }

    /// A client that hears nothing yet; call this in `onOpen`.
    public Member member(Session session, EndpointConfig config) {
        return new Member(session, config);
    }

    /// From now on the member hears what is told. One that was closed meanwhile is left out; call
    /// this on its I/O thread.
    public synchronized void add(Member member) {
        if (!member.session.isOpen()) return;
        member.at = last;
        circle(member).members.add(member);
    }

    private Circle circle(Member member) {
        return circles.computeIfAbsent(member.channel.getIoThread(), Circle::new);
    }

    /// Call this in `onClose`. What is not sent yet, such as a close frame, and the farewell of
    /// the other side have 5 seconds.
    public void remove(Member member) {
        circle(member).members.remove(member);
        member.channel.getIoThread().executeAfter(
                () -> IoUtils.safeClose(member.channel), 5, TimeUnit.SECONDS);
    }

    /// Tells all members, in the order of the calls.
    public synchronized void tell(byte[] text) {
        last.next = new Line(last.number + 1, last.bytes + text.length, frame(text));
        last = last.next;
        for (Circle each : circles.values()) each.wake();
    }

    /// One unmasked text frame (RFC 6455 section 5.2).
    private static ByteBuffer frame(byte[] text) {
        int size = text.length;
        ByteBuffer frame = ByteBuffer.allocate(size + 10).put((byte) 0x81);
        if (size < 126) frame.put((byte) size);
        else if (size < 65_536) frame.put((byte) 126).putShort((short) size);
        else frame.put((byte) 127).putLong(size);
        return frame.put(text).flip();
    }

    /// Reads no more from a member who talks faster than all can be told, until they were told.
    /// Its TCP connection then slows it down. Call this after [#tell].
    public synchronized void slowDown(Member speaker) {
        if (!isBehind()) return;
        speaker.channel.suspendReceives();
        resting.add(speaker.channel);
    }

    private synchronized void resume() {
        while (!resting.isEmpty() && !isBehind()) resting.poll().resumeReceives();
    }

    private boolean isBehind() {
        return circles.values().stream()
                .anyMatch(each -> last.number - each.told > MAX_AHEAD);
    }

    /// Closes all connections with a code, and waits until that is written, a second at most.
    public void close(int code) {
        CompletableFuture.allOf(circles.values().stream()
                .map(circle -> CompletableFuture.runAsync(() -> {
                    for (Member each : circle.members) {
                        Sockets.close(each.session, code);
                    }
                }, circle.thread)).toArray(CompletableFuture[]::new))
                .completeOnTimeout(null, 1, TimeUnit.SECONDS).join();
    }
}
