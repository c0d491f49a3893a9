package shared.wire;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// Cuts HTTP/1.1 messages: a head, then a body whose length the head tells (RFC 9112
/// section 6). It follows the framing only; what a message means is its subclass's part.
/// All requests pass here, watched or not, so that it makes no strings that nobody needs.
abstract class Messages extends Cutter {
    private static final int MAX_HEAD = 1024 * 1024;
    private static final int MAX_LINE = 15;
    private static final byte[] NONE = {};

    private enum State {
        HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, REST, LOST
    }

    private State state = State.HEAD;
    private byte[] text = NONE;
    private int length;
    private int lineLength;
    private long contentLength;
    private boolean chunked;
    private boolean eventStream;

    Messages(Conversation conversation, boolean asks) {
        super(conversation, asks);
    }

    /// A head is complete.
    ///
    /// @return false where no body can follow, whatever the fields say
    abstract boolean head();

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
                if (collectHead(bytes)) startBody();
            }
            case LENGTH -> {
                content(bytes);
                if (left == 0) finish();
            }
            case CHUNK_SIZE -> {
                if (collectLine(bytes)) {
                    left = hex();
                    enter(left == 0 ? State.TRAILER : State.CHUNK);
                }
            }
            case CHUNK -> {
                content(bytes);
                if (left == 0) enter(State.CHUNK_END);
            }
            case CHUNK_END -> {
                if (collectLine(bytes)) enter(State.CHUNK_SIZE);
            }
            case TRAILER -> {
                if (!collectLine(bytes)) return;
                if (lineLength == 0) finish();
                else enter(State.TRAILER);
            }
            case REST -> {
                left = bytes.remaining();
                content(bytes);
            }
            case LOST -> bytes.position(bytes.limit());
        }
    }

    private void startBody() {
        contentLength = -1;
        chunked = eventStream = false;
        for (int at = 0; at < length; at = nextLine(at)) readField(at);
        left = length;
        take(ByteBuffer.wrap(text, 0, length));
        boolean body = head();
        left = contentLength;
        if (body && chunked) enter(State.CHUNK_SIZE);
        else if (body && left > 0) enter(State.LENGTH);
        else if (body && !asks && left < 0) enter(State.REST);
        else finish();
    }

    /// The sender has ended the connection: so ends a body of unknown length.
    final void ended() {
        if (state == State.REST) finish();
    }

    private void finish() {
        enter(State.HEAD);
        end();
    }

    private void enter(State next) {
        state = next;
        text = NONE;
        length = 0;
        lineLength = 0;
    }

    /// Notes the three fields that tell how the body ends and what it is.
    private void readField(int at) {
        if (startsWith(at, "content-length:")) contentLength = decimal(at + 15);
        else if (startsWith(at, "transfer-encoding:")) chunked = true;
        else if (startsWith(at, "content-type: text/event-stream")) eventStream = true;
    }

    /// Does the head hold `lower` here, whatever the case?
    final boolean startsWith(int at, String lower) {
        if (at + lower.length() > length) return false;
        for (int i = 0; i < lower.length(); i++) {
            int wanted = lower.charAt(i);
            int found = text[at + i];
            if (wanted >= 'a') found |= 0x20;
            if (found != wanted) return false;
        }
        return true;
    }

    private int nextLine(int at) {
        int next = at;
        while (next < length && text[next] != '\n') next++;
        return next + 1;
    }

    /// The number at a place of the head, 0 where there is none.
    final long decimal(int at) {
        long value = 0;
        for (int i = at; i < length && i < at + 19 && text[i] != '\r'; i++) {
            if (text[i] >= '0' && text[i] <= '9') value = value * 10 + text[i] - '0';
            else if (text[i] != ' ') break;
        }
        return value;
    }

    /// The first line of the head, without its first `skip` characters.
    final String firstLine(int skip) {
        int end = Math.max(skip, nextLine(0) - 2);
        return new String(text, skip, end - skip, StandardCharsets.ISO_8859_1);
    }

    /// The whole head, for who wants to keep it.
    final byte[] wholeHead() {
        return text;
    }

    final boolean isEventStream() {
        return eventStream;
    }

    /// Collects a head up to its blank line; blank lines before it do not count.
    private boolean collectHead(ByteBuffer bytes) {
        int from = bytes.position();
        int limit = bytes.limit();
        boolean whole = false;
        int at = from;
        while (at < limit && !whole) {
            byte next = bytes.get(at++);
            if (next == '\n') {
                whole = lineLength == 0 && length + at - from > 2;
                lineLength = 0;
            } else if (next != '\r') {
                lineLength++;
            }
        }
        int count = at - from;
        if (length + count > text.length) text = Arrays.copyOf(text, length + count);
        bytes.get(text, length, count);
        length += count;
        if (!whole && length > MAX_HEAD) state = State.LOST;
        return whole;
    }

    /// Collects a line of the chunked coding, the start of it where it is long.
    private boolean collectLine(ByteBuffer bytes) {
        if (length == 0) text = new byte[MAX_LINE];
        while (bytes.hasRemaining()) {
            byte next = bytes.get();
            if (next == '\n') return true;
            if (next != '\r') lineLength++;
            if (length < MAX_LINE) text[length++] = next;
        }
        return false;
    }

    /// The hexadecimal number that the collected line begins with.
    private long hex() {
        long value = 0;
        for (int i = 0; i < length; i++) {
            int digit = Character.digit(text[i], 16);
            if (digit < 0) break;
            value = value * 16 + digit;
        }
        return value;
    }
}
