package grader;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A client on one raw connection. It sends requests in turn, and reads an event stream as its
/// bytes come (WHATWG HTML 9.2.6); it keeps the exact bytes of the event at hand. Every wait has
/// an end: [Requirements#SOON].
public final class EventReader implements AutoCloseable {
    private static final int MAX_TRIES = 100;

    /// @param id the last id that was given up to here, "" before any
    /// @param type `message` where the event names none
    private record Event(String id, String type, String data) {}

    private final Program program;
    private final Talk talk;
    private final Socket socket;
    private long deadline;
    private final byte[] buffer = new byte[8192];
    private int position;
    private int limit;

    /// Bytes left in the body, or in its chunk; -1 before the first chunk.
    private long left;
    private boolean chunked;

    private final ByteArrayOutputStream raw = new ByteArrayOutputStream();
    private boolean afterCr;
    private boolean begun;
    private String lastId = "";
    private String retry = "";

    private EventReader(Program program, Talk talk, Socket socket) {
        this.program = program;
        this.talk = talk;
        this.socket = socket;
    }

    public static EventReader connect(Program program, Talk talk) {
        try {
            Socket socket =
                    new Socket(InetAddress.getByName("127.0.0.1"), program.port());
            socket.setTcpNoDelay(true);
            return new EventReader(program, talk, socket);
        } catch (IOException e) {
            throw talk.failure("a connection", "nothing: " + e.getMessage(), -1,
                    "The program takes no connections any more.");
        }
    }

    /// A connection that another I/O thread serves than this one, so that it is answered while this
    /// one is held.
    public EventReader another() {
        String own = thread();
        List<EventReader> same = new ArrayList<>();
        try {
            while (true) {
                EventReader next = connect(program, talk);
                if (!next.thread().equals(own) || same.size() == MAX_TRIES) return next;
                same.add(next);
            }
        } finally {
            same.forEach(EventReader::close);
        }
    }

    private String thread() {
        String run = send("GET", "/_/thread", null).answer().header(Program.RUN_HEADER);
        return run == null ? "" : run.replaceFirst(".* ", "");
    }

    /// Sends a request. It is not noted, and its answer is not awaited.
    ///
    /// @param json or null
    /// @param headers names and values in turn
    public EventReader send(String method, String path, String json,
            String... headers) {
        StringBuilder head = new StringBuilder(method + " " + path
                + " HTTP/1.1\r\nHost: localhost:" + program.port() + "\r\n");
        for (int i = 0; i < headers.length; i += 2) {
            head.append(headers[i] + ": " + headers[i + 1] + "\r\n");
        }
        byte[] body =
                (json == null ? "" : json).getBytes(StandardCharsets.UTF_8);
        if (json != null) {
            head.append("Content-Type: application/json\r\nContent-Length: "
                    + body.length + "\r\n");
        }
        var request = new ByteArrayOutputStream();
        request.writeBytes((head + "\r\n").getBytes(StandardCharsets.UTF_8));
        request.writeBytes(body);
        try {
            socket.getOutputStream().write(request.toByteArray());
        } catch (IOException e) {
            throw gone(e);
        }
        deadline = System.nanoTime() + Requirements.SOON * 1_000_000L;
        return this;
    }

    /// Asks for an event stream, and notes that; does not wait for the answer.
    ///
    /// @param headers names and values in turn
    public EventReader follow(String path, String... headers) {
        StringBuilder line = new StringBuilder("curl -N ");
        for (int i = 0; i < headers.length; i += 2) {
            line.append("-H '" + headers[i] + ": " + headers[i + 1] + "' ");
        }
        String url = "http://localhost:" + program.port() + path;
        talk.step(line + (path.matches("[\\w/.-]+") ? url : "'" + url + "'"));
        return send("GET", path, null, headers);
    }

    /// Has something come that was not read yet?
    public boolean isReadable() {
        try {
            return position < limit || socket.getInputStream().available() > 0;
        } catch (IOException e) {
            return true;
        }
    }

    /// Waits for the answer: for its head only, where it is an event stream.
    public Answer answer() {
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        try {
            String status = headLine();
            for (String line = headLine(); !line.isEmpty(); line = headLine()) {
                String[] field = line.split(":", 2);
                headers.add(Map.entry(field[0], field[field.length - 1].strip()));
            }
            Matcher found =
                    Pattern.compile("HTTP/1\\.[01] (\\d{3})( .*)?").matcher(status);
            int code = found.matches() ? Integer.parseInt(found.group(1)) : 0;
            Answer head = new Answer(talk, code, status, headers, new byte[0]);
            String length = head.header("Content-Length");
            chunked = head.header("Transfer-Encoding") != null;
            left = code == 204 || code == 304 ? 0
                    : chunked ? -1
                    : length != null ? Long.parseLong(length) : Long.MAX_VALUE;
            String type = head.header("Content-Type");
            if (code == 200 && (type == null || !type.contains("json"))) return head;
            var body = new ByteArrayOutputStream();
            for (int next = bodyByte(); next >= 0; next = bodyByte()) body.write(next);
            return new Answer(talk, code, status, headers, body.toByteArray());
        } catch (SocketTimeoutException e) {
            program.spoil("no answer");
            throw talk.failure("an answer", "nothing within " + seconds(), -1,
                    "The request is never answered. Does something block?");
        } catch (IOException e) {
            throw gone(e);
        }
    }

    /// The next event must be this one. Comments and unknown fields are passed over, as in a
    /// browser.
    ///
    /// @param id "" where none was given so far
    /// @param data its line ends are LF
    /// @param likely why it might be missing, or another
    public EventReader expect(Object id, String type, String data, String likely) {
        String wanted = (id.equals("") ? "" : "id: " + id + "\n") + "event: " + type
                + "\ndata: " + data.replace("\n", "\ndata: ") + "\n";
        Event event = next(wanted, likely);
        if (event == null) {
            throw talk.failure(wanted, shown() + "(the stream ends)", shown().length(),
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

    /// The stream must end here, without another event.
    public void expectEnd(String likely) {
        String wanted = "the end of the stream";
        if (next(wanted, likely) == null) return;
        throw talk.failure(wanted, shown(), 0, likely);
    }

    /// What the last `retry` field said, in milliseconds, or "".
    public String retry() {
        return retry;
    }

    /// A failure whose caret is at a value of the event at hand.
    private Failure differs(String wanted, String field, int skipped, int column,
            String likely) {
        Matcher found =
                Pattern.compile("(?<![^\r\n])" + field + "(: ?|(?=[\r\n]))")
                        .matcher(shown());
        int caret = 0;
        for (int i = 0; i <= skipped && found.find(); i++) caret = found.end() + column;
        return talk.failure(wanted, shown(), Math.min(caret, shown().length()), likely);
    }

    private String shown() {
        return raw.toString(StandardCharsets.UTF_8);
    }

    private static String seconds() {
        return Requirements.SOON / 1000 + " s";
    }

    private Failure gone(IOException e) {
        return talk.failure("an answer",
                "nothing: the connection ended (" + e.getMessage() + ")", -1,
                "The server closed the connection without an answer.");
    }

    /// Reads up to the blank line of the next event.
    ///
    /// @return null where the stream ends before
    private Event next(String wanted, String likely) {
        deadline = System.nanoTime() + Requirements.SOON * 1_000_000L;
        raw.reset();
        String type = "";
        String id = null;
        StringBuilder data = new StringBuilder();
        try {
            for (String line = line(); line != null; line = line()) {
                if (line.isEmpty() && !data.isEmpty()) {
                    data.setLength(data.length() - 1);
                    return new Event(lastId, type.isEmpty() ? "message" : type,
                            "" + data);
                }
                if (line.isEmpty()) {
                    type = "";
                    id = null;
                    raw.reset();
                    continue;
                }
                String[] field = line.split(":", 2);
                String value = field.length < 2 ? "" : field[1].replaceFirst("^ ", "");
                switch (field[0]) {
                    case "data" -> data.append(value).append('\n');
                    case "event" -> type = value;
                    case "id" -> {
                        if (id != null && !id.equals(value)) {
                            throw talk.failure(wanted, shown(), shown().length() - 1,
                                    "No blank line ends this event, so it runs into the next.");
                        }
                        id = value;
                        if (value.indexOf(0) < 0) lastId = value;
                    }
                    case "retry" -> retry = value.matches("[0-9]+") ? value : retry;
                    default -> { // a comment, or unknown
                    }
                }
            }
        } catch (SocketTimeoutException e) {
            program.spoil("no event");
            String part = raw.size() == 0 ? "" : ", after\n" + shown();
            throw talk.failure(wanted, "nothing more within " + seconds() + part, -1,
                    data.isEmpty() ? likely : "No blank line ends this event.");
        } catch (IOException reset) {
            // This is an end, too.
        }
        return null;
    }

    /// A line of the stream without its end, which is CR, LF, or CRLF; null where the stream ends.
    private String line() throws IOException {
        var line = new ByteArrayOutputStream();
        while (true) {
            int next = bodyByte();
            if (next < 0) return null;
            boolean secondHalf = afterCr && next == '\n';
            if (!secondHalf || raw.size() > 0) raw.write(next);
            afterCr = next == '\r';
            if (secondHalf) continue;
            if (next == '\r' || next == '\n') break;
            line.write(next);
        }
        String text = line.toString(StandardCharsets.UTF_8);
        boolean marked = !begun && text.startsWith("\ufeff");
        begun = true;
        return marked ? text.substring(1) : text;
    }

    /// The next byte of the body, without the marks of the chunks; -1 at its end.
    private int bodyByte() throws IOException {
        if (chunked && left <= 0) {
            if (left == 0
                    && !headLine().isEmpty()) throw new EOFException("broken chunk");
            left = Long.parseLong(headLine().replaceFirst("[; ].*", ""), 16);
            if (left == 0) {
                chunked = false;
                while (!headLine().isEmpty());
            }
        }
        if (left <= 0) return -1;
        left--;
        return socketByte();
    }

    private String headLine() throws IOException {
        var line = new ByteArrayOutputStream();
        for (int next = socketByte(); next != '\n'; next = socketByte()) {
            if (next < 0) throw new EOFException("end of file");
            if (next != '\r') line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    private int socketByte() throws IOException {
        if (position == limit) {
            long ms = (deadline - System.nanoTime()) / 1_000_000;
            if (ms <= 0) throw new SocketTimeoutException();
            socket.setSoTimeout((int) ms);
            position = 0;
            limit = Math.max(0, socket.getInputStream().read(buffer));
            if (limit == 0) return -1;
        }
        return buffer[position++] & 0xff;
    }

    /// Leaves as a client does that has crashed: with a TCP reset.
    public void reset() {
        try {
            socket.setSoLinger(true, 0);
        } catch (IOException e) {
            // Then it leaves in order.
        }
        close();
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // It is closed as far as it can be.
        }
    }
}
