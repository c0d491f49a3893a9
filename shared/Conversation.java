package shared;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;

/// The bytes of one connection, cut into what they mean: HTTP/1.1 messages (RFC 9112 section 6),
/// the events of an event stream (WHATWG HTML 9.2), WebSocket frames (RFC 6455 section 5.2). It
/// always follows the framing, so that it is in step when someone begins to watch, but it keeps
/// bytes and makes rows only while someone does.
final class Conversation {
    /// How many bytes of one message a row carries.
    private static final int KEPT = 4096;

    private static final int MAX_HEAD = 64 * 1024;

    /// A request and what became of it. `quiet` ones belong to the page itself.
    private static final class Exchange {
        final int number;
        final String method;
        final boolean quiet;
        long readAt;

        Exchange(int number, String method, boolean quiet) {
            this.number = number;
            this.method = method;
            this.quiet = quiet;
        }
    }

    private enum State {
        HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, REST, FRAME_HEAD, FRAME, OPAQUE
    }

    private final Wire wire;
    private final int number;
    private final Side in = new Side(true);
    private final Side out = new Side(false);
    private final Queue<Exchange> unanswered = new ArrayDeque<>(2);
    private Exchange answering;
    private boolean counted;

    Conversation(Wire wire) {
        this.wire = wire;
        number = wire.nextConnection();
    }

    synchronized void read(ByteBuffer bytes) {
        in.feed(bytes);
    }

    synchronized void wrote(ByteBuffer bytes) {
        out.feed(bytes);
    }

    synchronized void closed() {
        if (counted) wire.open.decrement();
        counted = false;
        Exchange lost = unanswered.isEmpty() ? answering : unanswered.peek();
        if (lost != null && !lost.quiet && wire.watched()) {
            wire.emit(new Wire.Row(wire.now(), number, lost.number, "end", "", "connection closed",
                    0, 0, null, null, new byte[0]));
        }
        unanswered.clear();
        answering = null;
    }

    /// One direction. A unit is one message, frame or event: `size` counts its bytes, `kept`
    /// holds the first of them while someone watches.
    private final class Side {
        private final boolean incoming;
        private State state = State.HEAD;
        private byte[] head = new byte[0];
        private int headLength;
        private long left;
        private long size;
        private ByteArrayOutputStream kept;
        private boolean stream;
        private int newlines;
        private Exchange exchange;
        private String label;
        private int status;
        private Double held;

        Side(boolean incoming) {
            this.incoming = incoming;
        }

        void feed(ByteBuffer bytes) {
            while (bytes.hasRemaining()) {
                switch (state) {
                    case HEAD -> head(bytes);
                    case LENGTH -> {
                        take(bytes);
                        if (left == 0) endMessage();
                    }
                    case CHUNK_SIZE -> {
                        if (collect(bytes, "\n")) {
                            String line = takeHead().split("[;\r\n]", 2)[0].strip();
                            left = line.matches("[0-9a-fA-F]{1,15}") ? Long.parseLong(line, 16) : 0;
                            state = left == 0 ? State.TRAILER : State.CHUNK;
                        }
                    }
                    case CHUNK -> {
                        if (stream) events(bytes);
                        else take(bytes);
                        if (left == 0) state = State.CHUNK_END;
                    }
                    case CHUNK_END -> {
                        if (collect(bytes, "\n")) {
                            takeHead();
                            state = State.CHUNK_SIZE;
                        }
                    }
                    case TRAILER -> {
                        if (collect(bytes, "\n") && takeHead().isBlank()) endMessage();
                    }
                    case REST -> {
                        left = bytes.remaining();
                        if (stream) events(bytes);
                        else take(bytes);
                    }
                    case FRAME_HEAD -> frameHead(bytes);
                    case FRAME -> {
                        take(bytes);
                        if (left == 0) endFrame();
                    }
                    case OPAQUE -> bytes.position(bytes.limit());
                }
            }
        }

        private void begin() {
            size = 0;
            kept = wire.watched() ? new ByteArrayOutputStream(256) : null;
        }

        /// Counts and keeps up to `left` bytes.
        private void take(ByteBuffer bytes) {
            int count = (int) Math.min(left, bytes.remaining());
            ByteBuffer part = bytes.slice(bytes.position(), count);
            bytes.position(bytes.position() + count);
            left -= count;
            size += count;
            if (kept == null) return;
            byte[] some = new byte[Math.min(count, KEPT - Math.min(KEPT, kept.size()))];
            part.get(some);
            kept.writeBytes(some);
        }

        /// Collects bytes until they end with `mark`; false where more are needed.
        private boolean collect(ByteBuffer bytes, String mark) {
            while (bytes.hasRemaining()) {
                if (headLength == head.length) {
                    head = Arrays.copyOf(head, Math.max(256, headLength * 2));
                }
                head[headLength++] = bytes.get();
                if (endsWith(mark)) return true;
                if (headLength == MAX_HEAD) {
                    state = State.OPAQUE;
                    return false;
                }
            }
            return false;
        }

        private boolean endsWith(String mark) {
            int from = headLength - mark.length();
            if (from < 0) return false;
            for (int i = 0; i < mark.length(); i++) {
                if (head[from + i] != mark.charAt(i)) return false;
            }
            return true;
        }

        /// The collected bytes, counted into the unit; the buffer is let go.
        private String takeHead() {
            String text = new String(head, 0, headLength, StandardCharsets.ISO_8859_1);
            left = headLength;
            take(ByteBuffer.wrap(head, 0, headLength));
            head = new byte[0];
            headLength = 0;
            return text;
        }

        private void head(ByteBuffer bytes) {
            if (headLength == 0) begin();
            if (!collect(bytes, "\r\n\r\n")) return;
            String text = takeHead();
            if (incoming) requestHead(text);
            else responseHead(text);
        }

        private void requestHead(String text) {
            String[] line = text.stripLeading().split("[ \r\n]", 3);
            boolean quiet = line.length > 1 && line[1].startsWith("/_/page/");
            exchange = new Exchange(wire.nextExchange(), line[0], quiet);
            label = line[0] + " " + (line.length > 1 ? line[1] : "");
            if (counted == quiet) {
                if (quiet) wire.open.decrement();
                else wire.open.increment();
                counted = !quiet;
            }
            unanswered.add(exchange);
            body(text, false);
        }

        private void responseHead(String text) {
            label = text.substring(Math.min(text.length(), 9), text.indexOf('\r'));
            status = label.matches("\\d{3}.*") ? Integer.parseInt(label.substring(0, 3)) : 0;
            if (status == 100) return;
            if (in.label != null && unanswered.size() == 1) in.endRequest();
            exchange = answering = unanswered.poll();
            if (exchange == null) exchange = new Exchange(0, "", false);
            held = exchange.readAt == 0 ? null : (System.nanoTime() - exchange.readAt) / 1e6;
            stream = field(text, "content-type").startsWith("text/event-stream");
            if (status == 101) {
                endMessage();
                in.state = state = exchange.quiet ? State.OPAQUE : State.FRAME_HEAD;
                return;
            }
            boolean bodiless = exchange.method.equals("HEAD") || status == 204 || status == 304;
            if (stream && !bodiless) {
                emitMessage();
                newlines = 2;
            }
            body(text, bodiless);
        }

        private void body(String text, boolean bodiless) {
            String length = field(text, "content-length");
            left = length.matches("\\d{1,18}") ? Long.parseLong(length) : 0;
            if (bodiless) endMessage();
            else if (field(text, "transfer-encoding").endsWith("chunked")) state = State.CHUNK_SIZE;
            else if (left > 0) state = State.LENGTH;
            else if (incoming || !length.isEmpty()) endMessage();
            else state = State.REST;
        }

        private static String field(String head, String name) {
            int at = head.toLowerCase().indexOf("\r\n" + name + ":");
            if (at < 0) return "";
            int from = at + name.length() + 3;
            return head.substring(from, head.indexOf('\r', from)).strip().toLowerCase();
        }

        private void endMessage() {
            state = State.HEAD;
            if (incoming) {
                endRequest();
            } else if (!stream) {
                emitMessage();
            } else if (exchange != null && wire.watched() && !exchange.quiet) {
                wire.emit(row("end", "stream ended", 0, null, null));
            }
            if (!incoming && status != 101) answering = null;
        }

        /// The request is read whole, or is answered before it is.
        private void endRequest() {
            exchange.readAt = System.nanoTime();
            if (!exchange.quiet) {
                wire.requests.increment();
                wire.heard();
            }
            emitMessage();
            label = null;
        }

        private void emitMessage() {
            if (exchange.quiet) return;
            (incoming ? wire.bytesIn : wire.bytesOut).add(size);
            boolean poll = exchange.method.equals("GET") && (status == 204 || status == 304);
            if (!incoming && poll) wire.empty.increment();
            if (kept == null) return;
            wire.emit(incoming ? row("request", label, 0, null, null)
                    : row("response", label, status, held, null));
        }

        private Wire.Row row(String kind, String title, int code, Double ms, String text) {
            return new Wire.Row(wire.now(), number, exchange.number, kind, incoming ? "in" : "out",
                    title, code, size, ms, text, kept == null ? new byte[0] : kept.toByteArray());
        }

        /// Cuts a stream at its blank lines. Only CR and LF matter, so no byte is decoded.
        private void events(ByteBuffer bytes) {
            while (left > 0 && bytes.hasRemaining()) {
                if (newlines == 2) {
                    begin();
                    newlines = 0;
                }
                int end = bytes.position();
                int stop = (int) Math.min(bytes.limit(), end + left);
                while (end < stop && newlines < 2) {
                    byte next = bytes.get(end++);
                    if (next == '\n') newlines++;
                    else if (next != '\r') newlines = 0;
                }
                long after = left - (end - bytes.position());
                left = end - bytes.position();
                take(bytes);
                left = after;
                if (newlines == 2) endEvent();
            }
        }

        private void endEvent() {
            wire.messages.increment();
            wire.bytesOut.add(size);
            if (kept == null) return;
            String text = kept.toString(StandardCharsets.UTF_8);
            boolean comment = text.startsWith(":");
            boolean caused = text.startsWith("id:") || text.contains("\nid:");
            String name = text.lines().filter(line -> line.startsWith("event: ")).findFirst()
                    .map(line -> line.substring(7)).orElse("message");
            String title = comment ? "comment" : text.contains("data") ? "event: " + name : "retry";
            wire.emit(row(comment ? "comment" : "event", title, 0,
                    caused ? wire.sinceHeard() : null, text));
        }

        private void frameHead(ByteBuffer bytes) {
            if (headLength == 0) begin();
            while (bytes.hasRemaining() && headLength < frameHeadLength()) {
                if (headLength == head.length) head = Arrays.copyOf(head, 14);
                head[headLength++] = bytes.get();
            }
            if (headLength < frameHeadLength()) return;
            ByteBuffer fields = ByteBuffer.wrap(head);
            int code = head[1] & 0x7f;
            long payload = code < 126 ? code
                    : code == 126 ? fields.getShort(2) & 0xffff : fields.getLong(2);
            left = headLength;
            take(ByteBuffer.wrap(head, 0, headLength));
            left = payload;
            state = State.FRAME;
            if (left <= 0) endFrame();
        }

        private int frameHeadLength() {
            if (headLength < 2) return 2;
            int code = head[1] & 0x7f;
            return 2 + (code < 126 ? 0 : code == 126 ? 2 : 8) + (head[1] < 0 ? 4 : 0);
        }

        private void endFrame() {
            int opcode = head[0] & 0x0f;
            boolean data = opcode < 3;
            (incoming ? wire.bytesIn : wire.bytesOut).add(size);
            if (data) wire.messages.increment();
            if (data && incoming) wire.heard();
            if (kept != null) {
                exchange = answering == null ? new Exchange(0, "", false) : answering;
                byte[] payload = Arrays.copyOfRange(kept.toByteArray(), headLength, kept.size());
                for (int i = 0; head[1] < 0 && i < payload.length; i++) {
                    payload[i] ^= head[headLength - 4 + i % 4];
                }
                boolean coded = opcode == 8 && payload.length >= 2;
                int code = coded ? (payload[0] & 0xff) << 8 | payload[1] & 0xff : 0;
                String text = new String(payload, coded ? 2 : 0, payload.length - (coded ? 2 : 0),
                        opcode == 2 ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
                String name = switch (opcode) {
                    case 0 -> "continuation";
                    case 1 -> "text";
                    case 2 -> "binary";
                    case 8 -> "close" + (coded ? " " + code : "");
                    case 9 -> "ping";
                    case 10 -> "pong";
                    default -> "opcode " + opcode;
                };
                wire.emit(row("frame", name + (head[0] < 0 ? "" : ", more follows"), code,
                        data && !incoming ? wire.sinceHeard() : null, text));
            }
            headLength = 0;
            state = State.FRAME_HEAD;
        }
    }
}
