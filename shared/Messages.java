package shared;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// Cuts HTTP/1.1 messages: a head, then a body whose length the head tells (RFC 9112
/// section 6). It follows the framing only; what a message means is its subclass's part.
abstract class Messages extends Cutter {
    private static final int MAX_HEAD = 1024 * 1024;
    private static final byte[] NONE = {};

    private enum State {
        HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, REST, LOST
    }

    private State state = State.HEAD;
    private byte[] text = NONE;
    private int length;

    Messages(Wire wire, boolean incoming) {
        super(wire, incoming);
    }

    /// A head is complete: the message's first line and its fields.
    ///
    /// @return false where no body can follow, whatever the fields say
    abstract boolean head(String head);

    /// The message is complete.
    abstract void end();

    /// Consumes up to `left` bytes of the body.
    void content(ByteBuffer bytes) {
        take(bytes);
    }

    @Override
    final void feed(ByteBuffer bytes) {
        switch (state) {
            case HEAD -> {
                if (length == 0) begin();
                if (collect(bytes, "\r\n\r\n")) startBody(takeText());
            }
            case LENGTH -> {
                content(bytes);
                if (left == 0) finish();
            }
            case CHUNK_SIZE -> {
                if (collect(bytes, "\n")) {
                    String digits = takeText().split("[;\r\n]", 2)[0].strip();
                    boolean hex = digits.matches("[0-9a-fA-F]{1,15}");
                    left = hex ? Long.parseLong(digits, 16) : 0;
                    state = left == 0 ? State.TRAILER : State.CHUNK;
                }
            }
            case CHUNK -> {
                content(bytes);
                if (left == 0) state = State.CHUNK_END;
            }
            case CHUNK_END -> {
                if (collect(bytes, "\n")) {
                    takeText();
                    state = State.CHUNK_SIZE;
                }
            }
            case TRAILER -> {
                if (collect(bytes, "\n") && takeText().isBlank()) finish();
            }
            case REST -> {
                left = bytes.remaining();
                content(bytes);
            }
            case LOST -> bytes.position(bytes.limit());
        }
    }

    private void startBody(String head) {
        boolean body = head(head);
        String declared = field(head, "content-length");
        left = declared.matches("\\d{1,18}") ? Long.parseLong(declared) : 0;
        boolean chunked = field(head, "transfer-encoding").endsWith("chunked");
        if (body && chunked) state = State.CHUNK_SIZE;
        else if (body && left > 0) state = State.LENGTH;
        else if (body && !incoming && declared.isEmpty()) state = State.REST;
        else finish();
    }

    private void finish() {
        state = State.HEAD;
        end();
    }

    /// The value of a header field in lower case, empty where it is absent.
    static String field(String head, String name) {
        int at = head.toLowerCase().indexOf("\r\n" + name + ":");
        if (at < 0) return "";
        int from = at + name.length() + 3;
        return head.substring(from, head.indexOf('\r', from)).strip().toLowerCase();
    }

    /// Collects bytes until they end with `mark`; false where more are needed.
    private boolean collect(ByteBuffer bytes, String mark) {
        while (bytes.hasRemaining()) {
            if (length == text.length) {
                text = Arrays.copyOf(text, Math.max(256, length * 2));
            }
            text[length++] = bytes.get();
            if (endsWith(mark)) return true;
        }
        if (length > MAX_HEAD) state = State.LOST;
        return false;
    }

    private boolean endsWith(String mark) {
        int from = length - mark.length();
        if (from < 0) return false;
        for (int i = 0; i < mark.length(); i++) {
            if (text[from + i] != mark.charAt(i)) return false;
        }
        return true;
    }

    /// What was collected, taken into the message; its buffer is let go.
    private String takeText() {
        String collected = new String(text, 0, length, StandardCharsets.ISO_8859_1);
        left = length;
        take(ByteBuffer.wrap(text, 0, length));
        text = NONE;
        length = 0;
        return collected;
    }
}
