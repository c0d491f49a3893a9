package shared.wire;

import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// Cuts WebSocket frames (RFC 6455 section 5.2).
final class Frames extends Cutter {
    private static final int CLOSE = 8;

    private final Conversation.Exchange exchange;
    private final byte[] head = new byte[14];
    private int length;

    Frames(Conversation conversation, Conversation.Exchange exchange, boolean asks) {
        super(conversation, asks);
        this.exchange = exchange;
    }

    @Override
    void feed(ByteBuffer bytes) {
        if (length < headLength()) {
            if (length == 0) begin();
            left = 1;
            head[length++] = bytes.get(bytes.position());
            take(bytes);
            if (length == headLength()) left = payloadLength();
        } else {
            take(bytes);
        }
        if (length == headLength() && left == 0) end();
    }

    /// Two bytes tell how long the head is: an extended length and a masking key may follow.
    private int headLength() {
        if (length < 2) return 2;
        int code = head[1] & 0x7f;
        return 2 + (code < 126 ? 0 : code == 126 ? 2 : 8) + (isMasked() ? 4 : 0);
    }

    private long payloadLength() {
        int code = head[1] & 0x7f;
        ByteBuffer fields = ByteBuffer.wrap(head);
        return code < 126 ? code : code == 126 ? fields.getShort(2) & 0xffff
                : Math.max(0, fields.getLong(2));
    }

    private boolean isMasked() { return head[1] < 0; }

    private void end() {
        int opcode = head[0] & 0x0f;
        boolean data = opcode < CLOSE;
        count();
        if (data) wire.messages.increment();
        boolean server = conversation.isServer();
        if (data && asks && server) wire.heard();
        if (isKept()) emit(opcode, data && !asks && server);
        length = 0;
    }

    private void emit(int opcode, boolean answer) {
        byte[] raw = kept();
        byte[] payload =
                Arrays.copyOfRange(raw, Math.min(length, raw.length), raw.length);
        for (int i = 0; isMasked() && i < payload.length; i++) {
            payload[i] ^= head[length - 4 + i % 4];
        }
        int code = 0;
        if (opcode == CLOSE && payload.length >= 2) {
            code = ByteBuffer.wrap(payload).getShort() & 0xffff;
            payload = Arrays.copyOfRange(payload, 2, payload.length);
        }
        Charset charset =
                opcode == 2 ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8;
        String title = switch (opcode) {
            case 0 -> "continuation";
            case 1 -> "text";
            case 2 -> "binary";
            case CLOSE -> code == 0 ? "close" : "close " + code;
            case 9 -> "ping";
            case 10 -> "pong";
            default -> "opcode " + opcode;
        };
        boolean last = head[0] < 0;
        wire.emit(conversation.row(this, exchange, "frame",
                last ? title : title + ", more follows", code,
                answer ? wire.sinceHeard() : null, new String(payload, charset)));
    }
}
