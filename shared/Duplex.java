package shared;

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
    private final Outlet outlet;
    private volatile long heardAt = System.nanoTime();

    /// @param connection already upgraded
    /// @param frames gives the next frame to send, or null where there is none at the moment;
    ///     it is asked only when the socket has taken the one before
    Duplex(StreamConnection connection, Supplier<ByteBuffer> frames) {
        this.connection = connection;
        this.frames = frames;
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
        Inlet(StreamSourceConduit next) {
            super(next);
        }

        /// End of file or a reset: what comes before a close frame is not for the container.
        @Override
        public int read(ByteBuffer target) throws IOException {
            int count = -1;
            try {
                count = next.read(target);
            } catch (IOException reset) {
                // The same as the end.
            }
            if (count > 0) heardAt = System.nanoTime();
            if (count < 0) end();
            return Math.max(0, count);
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
