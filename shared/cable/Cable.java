package shared.cable;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/// A TCP relay on 127.0.0.1 that stands between clients and a server and breaks their connections
/// on purpose. It binds first and learns its target later, and it keeps its port when the target
/// changes. An end (FIN) of one side is passed on after the bytes before it, and the other
/// direction goes on. A reset of one side becomes a reset of the other at once; it overtakes what
/// is under way. A side whose bytes the other does not take is not read, so its reset shows late.
///
/// The cable's socket buffers are small, so that it swallows little while nobody reads. A sender's
/// own buffer is not the cable's to choose: Linux gives it 2 MB and more on loopback, unless the
/// sender sets SO_SNDBUF.
///
/// All methods may be called from any thread; after a method has returned nothing goes the old
/// way. One thread, asleep while no byte moves, serves all connections.
public final class Cable implements AutoCloseable {
    /// In bytes, for each socket buffer and for each direction in the cable itself.
    static final int SIZE = 16_384;
    private static final long ORIGIN = System.nanoTime();

    final Selector selector = Selector.open();
    volatile boolean frozen;
    InetSocketAddress target;
    int rate;
    int holdBytes;
    long holdTime;
    boolean refuses;
    long upgradedLife = Long.MAX_VALUE;
    boolean keepsUpgraded;
    private long life = Long.MAX_VALUE;
    private Listener listener = () -> Listener.NOBODY;
    private final ServerSocketChannel port = ServerSocketChannel.open();
    private final Set<Link> links = new LinkedHashSet<>();
    private final ReentrantLock lock = new ReentrantLock(true);
    private final Thread thread;
    private volatile boolean closed;

    /// Hears what the clients send and what they are sent. It is called on any thread, under the
    /// cable's lock: it must be quick, must not throw, and may call the cable.
    public interface Listener {
        /// Hears nothing.
        Seen NOBODY = new Seen() {};

        /// A client has connected.
        Seen opened();

        /// One connection. The buffers are valid during the call only.
        interface Seen {
            /// The cable has read this from the client; whether the server gets it is not said.
            default void read(ByteBuffer fromClient) {}

            /// The cable has written this to the client.
            default void wrote(ByteBuffer toClient) {}

            /// The connection has ended.
            default void closed() {}
        }
    }

    /// Binds a free port at once. Clients that come before the target is known have to wait.
    public Cable() throws IOException {
        port.setOption(StandardSocketOptions.SO_RCVBUF, SIZE);
        port.bind(local(0), 4_096);
        port.configureBlocking(false);
        port.register(selector, SelectionKey.OP_ACCEPT);
        thread = Thread.ofPlatform().daemon().name("cable-" + port()).start(this::run);
    }

    /// Where the clients connect to; the same for the cable's whole life.
    public int port() {
        return port.socket().getLocalPort();
    }

    /// From now on new connections go to this port of 127.0.0.1, and those that wait for a target
    /// as well. Where nobody listens, the client gets a reset.
    public void target(int newPort) {
        change(() -> target = local(newPort));
    }

    /// Nothing moves any more: no byte is read from either side, none is delivered, no FIN or reset
    /// is passed on. New connections are accepted and wait.
    public void freeze() {
        change(() -> frozen = true);
    }

    /// Everything that waited goes on, in order, ends included.
    public void thaw() {
        change(() -> frozen = false);
    }

    public boolean isFrozen() {
        return frozen;
    }

    /// Ends every connection with a TCP reset on both sides, also while frozen. What was under way
    /// is lost. The resets have been sent when this returns.
    public void cut() {
        change(this::resetAll);
    }

    /// Each connection passes at most so many bytes a second from the server to the client, in
    /// pieces of up to 50 ms. After a pause it may be ahead by another 100 ms. 0 is unlimited.
    public void throttle(int bytesPerSecond) {
        change(() -> rate = bytesPerSecond);
    }

    /// What the server sends over a connection waits until there are so many bytes, or so much time
    /// has passed since the first of them, or the server ends. Then all of them go, and the next
    /// byte waits anew. With 0 bytes nothing waits any more, also what has come already.
    public void hold(int bytes, Duration time) {
        change(() -> {
            holdBytes = bytes;
            holdTime = time.toNanos();
        });
    }

    /// Answers 403 to every HTTP/1 request that asks for an upgrade, and ends its connection; the
    /// server does not get to see it. Other requests pass, also later ones of the connection, and
    /// so does what is upgraded already. See [Heads] for what is not understood.
    public void refuseUpgrades(boolean refuse) {
        change(() -> refuses = refuse);
    }

    /// Each connection that begins from now on is ended (a FIN to both sides) so many milliseconds
    /// after the cable accepted it; what has not been delivered by then is lost. While frozen this
    /// waits for the thaw. 0 is never.
    public void endAfter(int ms) {
        change(() -> life = life(ms));
    }

    /// The same for connections that ask for an upgrade from now on, counted from their request.
    public void endUpgradedAfter(int ms) {
        change(() -> upgradedLife = life(ms));
    }

    private static long life(int ms) {
        return ms == 0 ? Long.MAX_VALUE : ms * 1_000_000L;
    }

    /// When a life that begins now ends.
    static long end(long now, long life) {
        return life == Long.MAX_VALUE ? life : now + life;
    }

    /// Passes to connections that ask for an upgrade from now on the head of the answer, and keeps
    /// what comes after it until the server ends.
    public void keepUpgraded(boolean keep) {
        change(() -> keepsUpgraded = keep);
    }

    /// How many connections of clients there are.
    public int open() {
        lock.lock();
        try {
            accept();
            return links.size();
        } finally {
            lock.unlock();
        }
    }

    /// Hears of all connections that begin from now on.
    public void listen(Listener newListener) {
        change(() -> listener = newListener);
    }

    /// Resets all connections and stops to listen. When this returns, the port is free and the
    /// thread has ended; a listener that calls it does not wait for that.
    @Override
    public void close() {
        closed = true;
        cut();
        if (lock.isHeldByCurrentThread()) return;
        try {
            thread.join();
        } catch (InterruptedException stop) {
            Thread.currentThread().interrupt();
        }
    }

    static InetSocketAddress local(int port) {
        try {
            return new InetSocketAddress(
                    InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    /// In nanoseconds, never negative, so that `Long.MAX_VALUE` is never reached.
    private static long now() {
        return System.nanoTime() - ORIGIN;
    }

    void remove(Link link) {
        links.remove(link);
    }

    /// Connections that were made before the change are accepted first: it is for all others.
    private void change(Runnable change) {
        lock.lock();
        try {
            accept();
            change.run();
            links.forEach(link -> link.due = 0);
        } finally {
            lock.unlock();
        }
        selector.wakeup();
    }

    private void accept() {
        try {
            while (port.isOpen()) {
                SocketChannel client = port.accept();
                if (client == null) return;
                begin(client);
            }
        } catch (IOException tooManyFiles) {
            throw new UncheckedIOException(tooManyFiles);
        }
    }

    private void begin(SocketChannel client) {
        long end = end(now(), life);
        Listener.Seen seen = listener.opened();
        try {
            links.add(new Link(this, client, end, seen));
            selector.wakeup();
        } catch (IOException goneAlready) {
            Link.close(client);
            seen.closed();
        }
    }

    /// A channel that is registered is not closed before the selector has seen that, hence the
    /// `selectNow`; and before, the cable's thread has to leave its own `select`.
    private void resetAll() {
        List.copyOf(links).forEach(Link::reset);
        try {
            if (selector.isOpen()) selector.wakeup().selectNow();
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    private void run() {
        long wait = 0;
        try {
            while (!closed) {
                selector.select(wait);
                wait = round();
            }
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        } finally {
            end();
        }
    }

    /// Gives a turn to each connection that a socket or a timer asks for.
    ///
    /// @return how many milliseconds there are to the next timer, 0 where there is none
    private long round() {
        lock.lock();
        try {
            accept();
            for (SelectionKey key : selector.selectedKeys()) {
                if (key.attachment() instanceof Link link) link.due = 0;
            }
            selector.selectedKeys().clear();
            long now = now();
            long next = Long.MAX_VALUE;
            for (Link link : List.copyOf(links)) {
                if (link.due <= now) link.turn(now);
                next = Math.min(next, link.due);
            }
            return next == Long.MAX_VALUE ? 0 : Math.max(0, next - now) / 1_000_000 + 1;
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        lock.lock();
        try {
            closed = true;
            List.copyOf(links).forEach(Link::reset);
            Link.close(port);
            Link.close(selector);
        } finally {
            lock.unlock();
        }
    }
}
