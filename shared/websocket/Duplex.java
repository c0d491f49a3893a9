package shared.websocket;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.Supplier;
import org.xnio.Buffers;
import org.xnio.IoUtils;
import org.xnio.Options;
import org.xnio.StreamConnection;
import org.xnio.conduits.AbstractStreamSinkConduit;
import org.xnio.conduits.AbstractStreamSourceConduit;
import org.xnio.conduits.StreamSinkConduit;
import org.xnio.conduits.StreamSourceConduit;

/// The connection of a WebSocket, below its frames. It hears every byte, of half a frame too,
/// and it sends frames that are encoded already, between those that the container writes: a
/// frame that was begun is finished before another starts (RFC 6455 section 5.4). Everything
/// happens on the connection's I/O thread.
final class Duplex {
    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final StreamConnection connection;
    private final Supplier<ByteBuffer> frames;
    private final Runnable wrong;
    private final Outlet outlet;
    private boolean ended;
    private volatile long heardAt = System.nanoTime();

    /// @param connection already upgraded
    /// @param frames gives the next frame to send, or null where there is none at the moment;
    ///     it is asked only when the socket has taken the one before
    /// @param wrong runs when the client has sent a head that is wrong; what follows is dropped
    Duplex(StreamConnection connection, Supplier<ByteBuffer> frames, Runnable wrong) {
        this.connection = connection;
        this.frames = frames;
        this.wrong = wrong;
        outlet = new Outlet(connection.getSinkChannel().getConduit());
        connection.getSinkChannel().setConduit(outlet);
        connection.getSourceChannel()
                .setConduit(new Inlet(connection.getSourceChannel().getConduit()));
    }

    /// When the last byte was read, in `System.nanoTime()`.
    long heardAt() {
        return heardAt;
    }

    /// Sends as many frames as there are and the socket takes. The rest follows by itself when
    /// it takes more; call this again when there are new ones. A connection that is broken gets
    /// closed.
    void send() {
        try {
            if (!outlet.othersUnderWay && !outlet.sendAll()) outlet.resumeWrites();
        } catch (IOException broken) {
            end();
        }
    }

    /// Closes the connection, on another thread: on its own, XNIO looks through all sockets
    /// that are ready for each one that it closes, too slow where thousands leave at once.
    private void end() {
        if (ended) return;
        ended = true;
        connection.getSourceChannel().suspendReads();
        connection.getWorker().execute(() -> IoUtils.safeClose(connection));
    }

    /// Ends the connection with a TCP reset, as a machine does that has crashed.
    void reset() {
        try {
            connection.setOption(Options.CLOSE_ABORT, true);
        } catch (IOException broken) {
            // Then it is about to end anyway.
        }
        IoUtils.safeClose(connection);
    }

    private final class Inlet extends AbstractStreamSourceConduit<StreamSourceConduit> {
        private final Heads heads = new Heads();

        Inlet(StreamSourceConduit next) {
            super(next);
        }

        /// End of file or a reset: what comes without a close frame is not for the container.
        @Override
        public int read(ByteBuffer target) throws IOException {
            int start = target.position();
            int count = -1;
            try {
                count = next.read(target);
            } catch (IOException reset) {
                // The same as the end.
            }
            if (count < 0) end();
            if (count <= 0) return 0;
            heardAt = System.nanoTime();
            if (heads.areWrong) {
                target.position(start);
                return 0;
            }
            int right = heads.check(target.slice(start, count));
            target.position(start + right);
            if (heads.areWrong) connection.getIoThread().execute(wrong);
            return right;
        }
    }

    /// Follows the heads of the incoming frames, for what the container does not check: control
    /// frames have a mask, too, a length has 63 bits, and no more bytes than it needs (RFC 6455
    /// section 5.2).
    private static final class Heads {
        private int code;
        private int missing;
        private long length;
        private long payload;
        private boolean begun;
        boolean areWrong;

        /// How many of these bytes may go on to the container.
        int check(ByteBuffer bytes) {
            int right = 0;
            while (bytes.hasRemaining() && !areWrong) {
                right = bytes.position();
                if (payload > 0) {
                    int some = (int) Math.min(payload, bytes.remaining());
                    bytes.position(right + some);
                    payload -= some;
                } else {
                    head(bytes.get());
                }
            }
            return areWrong ? right : bytes.position();
        }

        private void head(byte next) {
            if (missing > 0) {
                length = length << 8 | next & 0xff;
                if (--missing == 0) end();
            } else if (!begun) {
                begun = true;
            } else {
                areWrong = next >= 0;
                code = next & 0x7f;
                missing = code == 126 ? 2 : code == 127 ? 8 : 0;
                length = missing == 0 ? code : 0;
                if (missing == 0) end();
            }
        }

        private void end() {
            areWrong |= length < (code == 126 ? 126 : code == 127 ? 65_536 : 0);
            payload = Math.min(length, Long.MAX_VALUE - 4) + 4;
            begun = false;
        }
    }

    /// The container calls `write` for its own frames, and `flush` after it and whenever the
    /// socket takes more.
    private final class Outlet extends AbstractStreamSinkConduit<StreamSinkConduit> {
        private ByteBuffer underWay = NOTHING;
        private boolean othersUnderWay;

        Outlet(StreamSinkConduit next) {
            super(next);
        }

        private boolean sendAll() throws IOException {
            while (finish()) {
                ByteBuffer frame = frames.get();
                if (frame == null) return true;
                underWay = frame;
            }
            return false;
        }

        private boolean finish() throws IOException {
            while (underWay.hasRemaining()) {
                if (next.write(underWay) == 0) return false;
            }
            underWay = NOTHING;
            return true;
        }

        @Override
        public long write(ByteBuffer[] sources, int offset, int length)
                throws IOException {
            if (!finish()) return 0;
            long count = next.write(sources, offset, length);
            othersUnderWay = Buffers.hasRemaining(sources, offset, length);
            return count;
        }

        @Override
        public boolean flush() throws IOException {
            return (othersUnderWay || sendAll()) && next.flush();
        }
    }
}
