package shared.cable;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;

/// One connection through the cable: the client's socket, the target's, and the bytes on their way
/// between them. Everything happens under the cable's lock.
final class Link {
    private static final long NEVER = Long.MAX_VALUE;
    private static final long PIECES_PER_SECOND = 20;
    private static final long AHEAD = 100_000_000;
    private static final byte[] FORBIDDEN =
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n"
                    + "Connection: close\r\n\r\n").getBytes(US_ASCII);

    private final Cable cable;
    private final SocketChannel client;
    private final SelectionKey clientKey;
    private long endAt;
    private final Cable.Listener.Seen seen;
    private final Heads heads = new Heads();
    private final Pipe up = new Pipe();
    private final Pipe down = new Pipe();
    private SocketChannel server;
    private SelectionKey serverKey;
    private boolean connected;
    private boolean closed;
    private long now;
    private long heldUntil = NEVER;
    private long pacedUntil;
    private boolean keeps;
    private boolean hasAnswered;
    /// When it wants its next turn, in the cable's time.
    long due;

    /// @param endAt in the cable's time
    Link(Cable cable, SocketChannel client, long endAt, Cable.Listener.Seen seen)
            throws IOException {
        this.cable = cable;
        this.client = client;
        this.endAt = endAt;
        this.seen = seen;
        clientKey = prepare(client);
    }

    private SelectionKey prepare(SocketChannel socket) throws IOException {
        socket.configureBlocking(false);
        socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
        socket.setOption(StandardSocketOptions.SO_SNDBUF, Cable.SIZE);
        return socket.register(cable.selector, 0, this);
    }

    /// Moves what can be moved now without waiting, and says what to wait for.
    void turn(long time) {
        now = time;
        try {
            if (!cable.frozen) move();
        } catch (IOException broken) {
            reset();
        }
        if (!closed) plan();
    }

    private void move() throws IOException {
        if (now >= endAt) {
            end();
        } else if (isConnected()) {
            readClient();
            if (!cable.frozen) readServer();
            if (!cable.frozen) up.write(server, up.free);
            if (!cable.frozen) writeClient();
            if (up.passed && down.passed) end();
        }
    }

    private boolean isConnected() throws IOException {
        if (connected || cable.target == null) return connected;
        if (server == null) {
            server = SocketChannel.open();
            serverKey = prepare(server);
            server.setOption(StandardSocketOptions.SO_RCVBUF, Cable.SIZE);
            server.connect(cable.target);
        }
        connected = server.finishConnect();
        if (connected && server.getLocalAddress().equals(server.getRemoteAddress())) {
            throw new ConnectException("nobody listens; the socket has met itself");
        }
        return connected;
    }

    private void readClient() throws IOException {
        ByteBuffer some = up.read(client, Cable.SIZE);
        if (some.hasRemaining()) seen.read(some.asReadOnlyBuffer());
        if (heads.askForUpgrade(some)) {
            if (cable.refuses) refuse();
            endAt = Math.min(endAt, Cable.end(now, cable.upgradedLife));
            keeps = cable.keepsUpgraded;
        }
        int kept = cable.refuses && !up.ended ? heads.unfinished() : 0;
        up.free = Math.max(0, up.bytes.position() - kept);
    }

    private void readServer() throws IOException {
        down.read(server, Math.max(Cable.SIZE, cable.holdBytes));
        int held = down.bytes.position() - down.free;
        if (keeps && !down.ended) {
            if (!hasAnswered) passHead();
        } else if (down.ended || held >= cable.holdBytes || now >= heldUntil) {
            down.free += held;
            heldUntil = NEVER;
        } else if (held > 0 && heldUntil == NEVER) {
            heldUntil = now + cable.holdTime;
        }
    }

    private void passHead() {
        int end = US_ASCII.decode(down.bytes.duplicate().flip()).toString()
                .indexOf("\r\n\r\n");
        if (end < 0) return;
        down.free = end + 4;
        hasAnswered = true;
    }

    private void writeClient() throws IOException {
        ByteBuffer some = down.write(client, mayGoDown());
        if (!some.hasRemaining()) return;
        if (cable.rate > 0) {
            pacedUntil = Math.max(pacedUntil, now - AHEAD)
                    + some.remaining() * 1_000_000_000L / cable.rate;
        }
        seen.wrote(some.asReadOnlyBuffer());
    }

    private int mayGoDown() {
        if (cable.rate == 0) return down.free;
        if (now < pacedUntil) return 0;
        return (int) Math.min(down.free, Math.max(1, cable.rate / PIECES_PER_SECOND));
    }

    /// The answer goes the way of what the server sends; the server gets a FIN.
    private void refuse() {
        up.bytes.clear();
        up.ended = true;
        down.room(down.bytes.position() + FORBIDDEN.length);
        down.bytes.put(FORBIDDEN);
        down.ended = true;
    }

    private void plan() {
        due = NEVER;
        int ofClient = 0;
        int ofServer = 0;
        if (!cable.frozen) {
            boolean paced = cable.rate > 0 && down.free > 0 && now < pacedUntil;
            due = Math.min(endAt, Math.min(heldUntil, paced ? pacedUntil : NEVER));
            if (connected && up.hasRoom(Cable.SIZE)) ofClient |= SelectionKey.OP_READ;
            if (mayGoDown() > 0) ofClient |= SelectionKey.OP_WRITE;
            if (!connected) ofServer |= SelectionKey.OP_CONNECT;
            if (connected && down.hasRoom(Math.max(Cable.SIZE, cable.holdBytes))) {
                ofServer |= SelectionKey.OP_READ;
            }
            if (up.free > 0) ofServer |= SelectionKey.OP_WRITE;
        }
        clientKey.interestOps(ofClient);
        if (serverKey != null) serverKey.interestOps(ofServer);
    }

    /// A FIN to both sides. What they have sent and nobody has read is dropped: a socket that is
    /// closed with unread bytes sends a reset instead.
    private void end() throws IOException {
        for (SocketChannel socket : new SocketChannel[] {client, server}) {
            if (socket == null || !socket.isConnected()) continue;
            socket.shutdownOutput();
            int reads = 8;
            while (reads-- > 0 && socket.read(up.bytes.clear()) > 0);
        }
        close();
    }

    /// Ends it at once, with a reset to both sides.
    void reset() {
        for (SocketChannel socket : new SocketChannel[] {client, server}) {
            if (socket == null) continue;
            try {
                socket.setOption(StandardSocketOptions.SO_LINGER, 0);
            } catch (IOException gone) {
                // Then its other end knows already.
            }
        }
        close();
    }

    private void close() {
        if (closed) return;
        closed = true;
        due = NEVER;
        close(client);
        close(server);
        cable.remove(this);
        seen.closed();
    }

    static void close(AutoCloseable socket) {
        try {
            if (socket != null) socket.close();
        } catch (Exception broken) {
            // It is closed all the same.
        }
    }

    /// The bytes of one direction that are in the cable.
    private static final class Pipe {
        ByteBuffer bytes = ByteBuffer.allocate(Cable.SIZE);
        /// How many of them may go on.
        int free;
        /// No more will come.
        boolean ended;
        /// The end, too, has gone on.
        boolean passed;

        boolean hasRoom(int most) {
            return !ended && bytes.position() < most;
        }

        /// @return what is new
        ByteBuffer read(SocketChannel from, int most) throws IOException {
            int start = bytes.position();
            if (hasRoom(most)) {
                if (!bytes.hasRemaining()) room(Math.min(most, 2 * start));
                ended = from.read(bytes) < 0;
            }
            return bytes.slice(start, bytes.position() - start);
        }

        void room(int size) {
            if (size > bytes.capacity()) bytes =
                    ByteBuffer.allocate(size).put(bytes.flip());
        }

        /// @return what has gone
        ByteBuffer write(SocketChannel to, int most) throws IOException {
            int count = most == 0 ? 0 : to.write(bytes.slice(0, most));
            ByteBuffer gone = ByteBuffer.allocate(count).put(0, bytes, 0, count);
            if (count > 0) bytes.flip().position(count).compact();
            free -= count;
            if (ended && !passed && bytes.position() == 0) {
                to.shutdownOutput();
                passed = true;
            }
            return gone;
        }
    }
}
