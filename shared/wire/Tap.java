package shared.wire;

import io.undertow.server.protocol.http.HttpOpenListener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.xnio.Buffers;
import org.xnio.ChannelListener;
import org.xnio.ChannelListeners;
import org.xnio.IoUtils;
import org.xnio.StreamConnection;
import org.xnio.channels.StreamSinkChannel;
import org.xnio.channels.StreamSourceChannel;
import org.xnio.conduits.AbstractStreamSinkConduit;
import org.xnio.conduits.AbstractStreamSourceConduit;
import org.xnio.conduits.ConduitReadableByteChannel;
import org.xnio.conduits.ConduitWritableByteChannel;
import org.xnio.conduits.StreamSinkConduit;
import org.xnio.conduits.StreamSourceConduit;

/// Sits between Undertow and the socket, and shows every byte that passes to a [Conversation].
/// On a TLS connection it sits above TLS, and shows what was decrypted or is about to be
/// encrypted.
public final class Tap {
    private Tap() {}

    /// Taps a new connection, then hands it to Undertow.
    public static void open(StreamConnection connection, Place place,
            HttpOpenListener http) {
        Conversation seen = place.conversation();
        var source = connection.getSourceChannel();
        var sink = connection.getSinkChannel();
        source.setConduit(new Source(source.getConduit(), seen));
        sink.setConduit(new Sink(sink.getConduit(), seen));
        http.handleEvent(connection);
        ChannelListener<? super StreamConnection> undertows =
                connection.getCloseListener();
        connection.setCloseListener(closed -> {
            ChannelListeners.invokeChannelListener(closed, undertows);
            seen.closed();
        });
        if (!connection.isOpen()) seen.closed();
    }

    private static final class Source
            extends AbstractStreamSourceConduit<StreamSourceConduit> {
        private final Conversation seen;

        Source(StreamSourceConduit next, Conversation seen) {
            super(next);
            this.seen = seen;
        }

        @Override
        public int read(ByteBuffer target) throws IOException {
            int start = target.position();
            int count = super.read(target);
            if (count > 0) seen.read(target.slice(start, count));
            return count;
        }

        @Override
        public long read(ByteBuffer[] targets, int offset, int length)
                throws IOException {
            for (int i = offset; i < offset + length; i++) {
                if (targets[i].hasRemaining()) return read(targets[i]);
            }
            return 0;
        }

        @Override
        public long transferTo(long position, long count, FileChannel target)
                throws IOException {
            return target.transferFrom(new ConduitReadableByteChannel(this), position,
                    count);
        }

        @Override
        public long transferTo(long count, ByteBuffer through, StreamSinkChannel target)
                throws IOException {
            return IoUtils.transfer(new ConduitReadableByteChannel(this), count,
                    through, target);
        }
    }

    private static final class Sink
            extends AbstractStreamSinkConduit<StreamSinkConduit> {
        private static final ThreadLocal<ByteBuffer> TOGETHER =
                ThreadLocal.withInitial(() -> ByteBuffer.allocateDirect(4 * 1024));

        private final Conversation seen;

        Sink(StreamSinkConduit next, Conversation seen) {
            super(next);
            this.seen = seen;
        }

        @Override
        public int write(ByteBuffer source) throws IOException {
            int start = source.position();
            int count = super.write(source);
            if (count > 0) seen.wrote(source.slice(start, count));
            return count;
        }

        /// An answer comes in pieces: head and body, or the size of a chunk, its bytes and its end.
        /// To copy a few bytes costs less than to hand the system several buffers; large ones
        /// stay where they are, gathered, as to split them would cost a system call each.
        @Override
        public long write(ByteBuffer[] sources, int offset, int length)
                throws IOException {
            ByteBuffer together = TOGETHER.get().clear();
            if (Buffers.remaining(sources, offset, length) > together.remaining()) {
                int[] starts = starts(sources, offset, length);
                long count = super.write(sources, offset, length);
                wrote(sources, offset, starts);
                return count;
            }
            for (int i = offset; i < offset + length; i++) {
                together.put(sources[i].duplicate());
            }
            int count = write(together.flip());
            for (int i = offset, left = count; left > 0; i++) {
                int some = Math.min(left, sources[i].remaining());
                sources[i].position(sources[i].position() + some);
                left -= some;
            }
            return count;
        }

        @Override
        public int writeFinal(ByteBuffer source) throws IOException {
            int start = source.position();
            int count = super.writeFinal(source);
            if (count > 0) seen.wrote(source.slice(start, count));
            return count;
        }

        @Override
        public long writeFinal(ByteBuffer[] sources, int offset, int length)
                throws IOException {
            int[] starts = starts(sources, offset, length);
            long count = super.writeFinal(sources, offset, length);
            wrote(sources, offset, starts);
            return count;
        }

        @Override
        public long transferFrom(FileChannel file, long position, long count)
                throws IOException {
            return file.transferTo(position, count,
                    new ConduitWritableByteChannel(this));
        }

        @Override
        public long transferFrom(StreamSourceChannel from, long count,
                ByteBuffer through)
                throws IOException {
            return IoUtils.transfer(from, count, through,
                    new ConduitWritableByteChannel(this));
        }

        private static int[] starts(ByteBuffer[] sources, int offset, int length) {
            int[] starts = new int[length];
            for (int i = 0; i < length; i++) starts[i] = sources[offset + i].position();
            return starts;
        }

        private void wrote(ByteBuffer[] sources, int offset, int[] starts) {
            for (int i = 0; i < starts.length; i++) {
                ByteBuffer source = sources[offset + i];
                int count = source.position() - starts[i];
                if (count > 0) seen.wrote(source.slice(starts[i], count));
            }
        }
    }
}
