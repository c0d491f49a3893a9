package shared.wire;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;

/// Cuts the bytes of one direction of a connection into units: messages, events or frames.
/// It counts the bytes of each, and keeps the first of them while somebody watches.
abstract class Cutter {
    /// How many bytes of one unit a row carries.
    static final int KEPT = 4096;

    final Conversation conversation;
    final Wire wire;
    /// Are these the client's bytes, so requests?
    final boolean asks;

    /// How many bytes of the current part are still to come.
    long left;
    private long size;
    private ByteArrayOutputStream kept;

    Cutter(Conversation conversation, boolean asks) {
        this.conversation = conversation;
        this.asks = asks;
        wire = conversation.wire;
    }

    /// Consumes some bytes, at least one. Whoever calls it calls again while bytes remain:
    /// in between, another cutter may have taken over.
    abstract void feed(ByteBuffer bytes);

    /// A new unit begins.
    final void begin() {
        size = 0;
        kept = wire.watched() ? new ByteArrayOutputStream(256) : null;
    }

    /// Consumes up to `left` bytes into the unit.
    final void take(ByteBuffer bytes) {
        int count = (int) Math.min(left, bytes.remaining());
        if (kept != null) {
            byte[] some = new byte[Math.min(count, KEPT - kept.size())];
            bytes.get(bytes.position(), some);
            kept.writeBytes(some);
        }
        bytes.position(bytes.position() + count);
        left -= count;
        size += count;
    }

    /// Was the unit seen from its beginning?
    final boolean isKept() { return kept != null; }

    final byte[] kept() {
        return kept == null ? new byte[0] : kept.toByteArray();
    }

    final long size() {
        return size;
    }

    /// Does the place read these bytes? Else it writes them.
    final boolean isIncoming() { return asks == conversation.isServer(); }

    /// The unit is whole: its bytes count.
    final void count() {
        (isIncoming() ? wire.bytesIn : wire.bytesOut).add(size);
    }
}
