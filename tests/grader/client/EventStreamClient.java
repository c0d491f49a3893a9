package grader.client;

import grader.stage.Node;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A client that sends requests in turn on one [HttpConnection], and reads an event stream as its
/// bytes come (WHATWG HTML 9.2.6); it keeps the exact bytes of the event at hand. Every wait has an
/// end: [Transcript#soon].
public final class EventStreamClient implements AutoCloseable {
    /// @param id the last id that was given up to here, "" before any
    /// @param type `message` where the event names none
    private record Event(String id, String type, String data) {}

    public final HttpConnection line;
    private long deadline;

    /// Bytes left in the body, or in its chunk; -1 before the first chunk.
    private long left;
    private boolean chunked;

    private final ByteArrayOutputStream raw = new ByteArrayOutputStream();
    private boolean afterCr;
    private boolean begun;
    private String lastId = "";
    private String retry = "";
    private boolean retryInEvent;

    private EventStreamClient(HttpConnection line) {
        this.line = line;
    }

    public static EventStreamClient connect(Node node, Transcript transcript) {
        return new EventStreamClient(HttpConnection.open(node, transcript, null));
    }

    /// A connection that another I/O thread serves than this one, so that it is answered while this
    /// one is held.
    public EventStreamClient another() {
        return new EventStreamClient(
                HttpConnection.open(line.node, line.transcript, line));
    }

    /// Sends a request. It is not noted, and its answer is not awaited.
    ///
    /// @param json or null
    /// @param headers names and values in turn
    public EventStreamClient send(String method, String path, String json,
            String... headers) {
        line.waitFor(line.transcript.soon);
        line.send(method, path, json, headers);
        return this;
    }

    /// Asks for an event stream, and notes that; does not wait for the answer.
    ///
    /// @param headers names and values in turn
    public EventStreamClient follow(String path, String... headers) {
        StringBuilder curl = new StringBuilder("curl -N ");
        for (int i = 0; i < headers.length; i += 2) {
            String value = headers[i + 1]; // curl drops an empty field, but for this form
            curl.append("-H ").append(Transcript.quote(
                    headers[i] + (value.isEmpty() ? ";" : ": " + value))).append(' ');
        }
        String url = "http://localhost:" + line.node.port() + path;
        line.transcript.step(curl + Transcript.quote(url));
        line.transcript.stays();
        return send("GET", path, null, headers);
    }

    /// Has something come that was not read yet?
    public boolean isReadable() {
        return line.isAnswered();
    }

    /// Waits for the answer: for its head only, where it is an event stream.
    public Answer answer() {
        Answer head = line.head();
        String type = head.header("Content-Type");
        if (head.status() != 200 || type != null && type.contains("json")) {
            return line.withBody(head);
        }
        String length = head.header("Content-Length");
        chunked = head.header("Transfer-Encoding") != null;
        left = chunked ? -1 : length != null ? Long.parseLong(length) : Long.MAX_VALUE;
        return head;
    }

    /// The next event must be this one. Comments and unknown fields are passed over, as in a
    /// browser.
    ///
    /// @param id "" where none was given so far
    /// @param data its line ends are LF
    /// @param likely why it might be missing, or another
    public EventStreamClient expect(Object id, String type, String data,
            String likely) {
        String wanted = (id.equals("") ? "" : "id: " + id + "\n") + "event: " + type
                + "\ndata: " + data.replace("\n", "\ndata: ") + "\n";
        Event event = next(wanted, likely);
        if (event == null) {
            throw line.transcript.failure(wanted, shown() + "(the stream ends)",
                    shown().length(),
                    likely);
        }
        if (!event.id.equals("" + id)) throw differs(wanted, "id", 0, 0, likely);
        if (!event.type.equals(type)) throw differs(wanted, "event", 0, 0, likely);
        if (event.data.equals(data)) return this;
        int at = Math.max(0, Failure.difference(data, event.data));
        String same = event.data.substring(0, at);
        throw differs(wanted, "data", (int) same.chars().filter(c -> c == '\n').count(),
                at - same.lastIndexOf('\n') - 1, likely);
    }

    /// Reads an event, whatever it is.
    public EventStreamClient skip(String likely) {
        next("an event", likely);
        return this;
    }

    /// The stream must end here, without another event.
    public void expectEnd(String likely) {
        String wanted = "the end of the stream";
        if (next(wanted, likely) == null) return;
        throw line.transcript.failure(wanted, shown(), 0, likely);
    }

    /// The last id that was given, or "".
    public String id() {
        return lastId;
    }

    /// What the last `retry` field said, in milliseconds, or "".
    public String retry() {
        return retry;
    }

    /// Has an event followed a `retry` field without a blank line between them?
    public boolean isRetryInEvent() {
        return retryInEvent;
    }

    /// A failure whose caret is at a value of the event at hand.
    private Failure differs(String wanted, String field, int skipped, int column,
            String likely) {
        Matcher found =
                Pattern.compile("(?<![^\r\n])" + field + "(: ?|(?=[\r\n]))")
                        .matcher(shown());
        int caret = 0;
        for (int i = 0; i <= skipped && found.find(); i++) caret = found.end() + column;
        return line.transcript.failure(wanted, shown(),
                Math.min(caret, shown().length()),
                likely);
    }

    private String shown() {
        return raw.toString(StandardCharsets.UTF_8);
    }

    /// Reads up to the blank line of the next event.
    ///
    /// @return null where the stream ends before
    private Event next(String wanted, String likely) {
        deadline = System.nanoTime() + line.transcript.soon * 1_000_000L;
        raw.reset();
        String type = "";
        String id = null;
        StringBuilder data = new StringBuilder();
        boolean hasRetry = false;
        try {
            for (String next = line(); next != null; next = line()) {
                if (next.isEmpty() && !data.isEmpty()) {
                    data.setLength(data.length() - 1);
                    retryInEvent |= hasRetry;
                    return new Event(lastId, type.isEmpty() ? "message" : type,
                            "" + data);
                }
                if (next.isEmpty()) {
                    type = "";
                    id = null;
                    hasRetry = false;
                    raw.reset();
                    continue;
                }
                String[] field = next.split(":", 2);
                String value = field.length < 2 ? "" : field[1].replaceFirst("^ ", "");
                switch (field[0]) {
                    case "data" -> data.append(value).append('\n');
                    case "event" -> type = value;
                    case "id" -> {
                        if (id != null && !id.equals(value)) {
                            throw line.transcript.failure(wanted, shown(),
                                    shown().length() - 1,
                                    "No blank line ends this event, so it runs into the next.");
                        }
                        id = value;
                        if (value.indexOf(0) < 0) lastId = value;
                    }
                    case "retry" -> {
                        hasRetry = true;
                        if (value.matches("[0-9]+")) retry = value;
                    }
                    default -> { // a comment, or unknown
                    }
                }
            }
        } catch (SocketTimeoutException e) {
            line.node.spoil();
            String part = raw.size() == 0 ? "" : ", after\n" + shown();
            throw line.transcript.failure(wanted,
                    "nothing more " + line.transcript.within() + part,
                    -1,
                    data.isEmpty() ? likely : "No blank line ends this event.");
        } catch (IOException reset) {
            // This is an end, too.
        }
        return null;
    }

    /// A line of the stream without its end, which is CR, LF, or CRLF; null where the stream ends.
    private String line() throws IOException {
        var text = new ByteArrayOutputStream();
        while (true) {
            int next = bodyByte();
            if (next < 0) return null;
            boolean secondHalf = afterCr && next == '\n';
            if (!secondHalf || raw.size() > 0) raw.write(next);
            afterCr = next == '\r';
            if (secondHalf) continue;
            if (next == '\r' || next == '\n') break;
            text.write(next);
        }
        String read = text.toString(StandardCharsets.UTF_8);
        boolean marked = !begun && read.startsWith("\ufeff");
        begun = true;
        return marked ? read.substring(1) : read;
    }

    /// The next byte of the body, without the marks of the chunks; -1 at its end.
    private int bodyByte() throws IOException {
        if (chunked && left <= 0) {
            left = line.size();
            chunked = left > 0;
            if (!chunked) while (!line.headLine().isEmpty());
        }
        if (left <= 0) return -1;
        left--;
        long ms = (deadline - System.nanoTime()) / 1_000_000;
        if (ms <= 0) throw new SocketTimeoutException();
        line.waitFor((int) ms);
        int next = line.in.read();
        if (chunked && left == 0 && !line.headLine().isEmpty()) {
            throw new EOFException("broken chunk");
        }
        return next;
    }

    /// Leaves as a client does that has crashed: with a TCP reset.
    public void reset() {
        line.reset();
    }

    @Override
    public void close() {
        line.close();
    }
}
