package shared.wire;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;

/// The client's socket of a connection to another server. It shows its bytes to a
/// [Conversation]: those that it sends before it does so, as an answer may be read on another
/// thread before `write` returns.
final class Hop extends Socket {
    private final Conversation seen;

    Hop(Conversation seen) {
        this.seen = seen;
    }

    @Override
    public InputStream getInputStream() throws IOException {
        return new In(super.getInputStream());
    }

    @Override
    public OutputStream getOutputStream() throws IOException {
        return new Out(super.getOutputStream());
    }

    @Override
    public void close() throws IOException {
        try {
            super.close();
        } finally {
            seen.closed();
        }
    }

    private final class In extends InputStream {
        private final InputStream next;

        In(InputStream next) {
            this.next = next;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int count = next.read(target, offset, length);
            if (count > 0) seen.read(ByteBuffer.wrap(target, offset, count));
            if (count < 0) seen.ended();
            return count;
        }

        @Override
        public int available() throws IOException {
            return next.available();
        }

        @Override
        public void close() throws IOException {
            Hop.this.close();
        }
    }

    private final class Out extends OutputStream {
        private final OutputStream next;

        Out(OutputStream next) {
            this.next = next;
        }

        @Override
        public void write(int one) throws IOException {
            write(new byte[] {(byte) one}, 0, 1);
        }

        @Override
        public void write(byte[] source, int offset, int length) throws IOException {
            seen.wrote(ByteBuffer.wrap(source, offset, length));
            next.write(source, offset, length);
        }

        @Override
        public void close() throws IOException {
            Hop.this.close();
        }
    }
}
