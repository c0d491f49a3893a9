package grader.client;

import grader.stage.Node;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import shared.Graded;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;

/// A WebSocket client with a name (RFC 6455), for messages that are JSON objects. What it says and
/// hears is noted as `ada > {...}` and `ada < {...}`. It sits on an [HttpConnection] and not on the
/// JDK's client, which tells neither the I/O thread nor can reset.
public final class WebSocketClient implements AutoCloseable {
    private static final int TEXT = 1;
    private static final int BINARY = 2;
    private static final int CLOSE = 8;
    private static final int PING = 9;
    private static final int PONG = 10;

    /// What has come: a text, or as the last one, how it ended.
    private record Frame(String text, boolean isEnd) {}

    public final HttpConnection line;
    public final String name;
    private final Set<String> asides;
    private final BlockingQueue<Frame> inbox = new LinkedBlockingQueue<>();
    private volatile long pongedAt;
    private volatile boolean silent;
    private volatile long heardAt = System.nanoTime();
    private volatile long longestGap;

    private WebSocketClient(HttpConnection line, String name, Set<String> asides) {
        this.line = line;
        this.name = name;
        this.asides = asides;
    }

    /// Upgrades a connection.
    ///
    /// @param asides types of messages that [#hear] passes over where it waits for another one
    public static WebSocketClient join(HttpConnection line, String name, String path,
            String subprotocol,
            String... asides) {
        line.transcript
                .act("./jbang talk --protocol " + subprotocol + " "
                        + Transcript
                                .quote("ws://localhost:" + line.node.port() + path));
        line.transcript.made(name, "");
        line.ask("GET", path, null, upgrade(subprotocol))
                .expect(101, "The handshake is right, so it must succeed.");
        WebSocketClient peer = new WebSocketClient(line, name, Set.of(asides));
        Thread.ofVirtual().start(peer::read);
        return peer;
    }

    /// The headers of a right handshake, names and values in turn.
    public static String[] upgrade(String subprotocol) {
        return new String[] {"Connection", "Upgrade", "Upgrade", "websocket",
            "Sec-WebSocket-Version", "13",
            "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol", subprotocol};
    }

    public void say(String text) {
        note(" > " + text);
        murmur(text);
    }

    /// Says something of which there is too much to note it.
    public void murmur(String text) {
        send(TEXT, text.getBytes(StandardCharsets.UTF_8));
    }

    /// Sends a ping, which notes nothing. Its pong says that all before it has been read.
    public void ping() {
        pongedAt = 0;
        send(PING, new byte[0]);
    }

    /// Sends a pong that nobody asked for, and which nobody answers (RFC 6455, section 5.5.3). An
    /// end that is gone answers by a reset.
    public void stir() {
        send(PONG, new byte[0]);
    }

    /// Has the pong come, at least so many milliseconds ago?
    public boolean hasPonged(int ms) {
        return pongedAt != 0 && System.nanoTime() - pongedAt > ms * 1_000_000L;
    }

    /// From now on pings are not answered, as by a machine that is there no more.
    public void silent() {
        silent = true;
    }

    /// The longest time in which no frame came, in nanoseconds.
    public long longestGap() {
        return longestGap;
    }

    /// Waits for the next message, whatever it is, and notes nothing.
    ///
    /// @param expected what it ought to be
    /// @param likely why it might not come
    public JsonNode hearUnnoted(String expected, String likely) {
        Frame next = take(line.transcript.soon * 1_000_000L);
        if (next != null && !next.isEnd) return parse(next.text);
        throw failure(expected, next == null ? "nothing " + line.transcript.within()
                : "nothing more: " + next.text, -1, likely);
    }

    /// Waits until the other side has ended the connection with this code, whatever comes before.
    ///
    /// @return what came before
    public List<JsonNode> end(String code, String likely) {
        String wanted = "it was closed with " + code;
        long ends = System.nanoTime() + line.transcript.soon * 1_000_000L;
        List<JsonNode> heard = new ArrayList<>();
        Frame next = take(ends - System.nanoTime());
        while (next != null && !next.isEnd) {
            heard.add(parse(next.text));
            next = take(ends - System.nanoTime());
        }
        if (next != null && next.text.equals(wanted)) return heard;
        throw failure(name + " is closed with " + code, next == null
                ? "it is still open "
                        + line.transcript.within().replace("within", "after")
                : next.text, -1, likely);
    }

    /// Begins the closing handshake, as a page does that is left.
    public void leave() {
        note(" > close 1000");
        send(CLOSE, new byte[] {1000 >> 8, (byte) 1000});
    }

    /// Ends the connection with a TCP reset: no close frame, as from a machine that has crashed.
    public void reset() {
        note(" > (connection reset)");
        line.reset();
    }

    /// Ends the connection, and notes nothing.
    @Override
    public void close() {
        line.close();
    }

    private void note(String what) {
        if (what.startsWith(" > ")) line.transcript.act(name + what);
        else line.transcript.step(name + what);
    }

    /// Waits for a message with the members of `json`, of the same values; others it may have, too.
    /// Asides that differ are passed over. Anything else that comes before it is a failure.
    ///
    /// @param likely why it might not come
    public JsonNode hear(String json, String likely) {
        return await(json, asides, likely).getLast();
    }

    /// As [#hear], but the very next message must be it.
    public JsonNode hearNext(String json, String likely) {
        return await(json, Set.of(), likely).getLast();
    }

    /// Waits for a message with the members of `json`, whatever comes before it.
    ///
    /// @return all that came, that one last
    public List<JsonNode> hearAll(String json, String likely) {
        return await(json, null, likely);
    }

    /// The messages that have come and that nobody has asked for yet.
    public List<JsonNode> heard() {
        return inbox.stream().filter(each -> !each.isEnd).map(each -> parse(each.text))
                .toList();
    }

    /// Has the connection ended?
    public boolean hasEnded() {
        return inbox.stream().anyMatch(Frame::isEnd);
    }

    /// Has a message with the members of `json` come that nobody has asked for yet?
    public boolean hasHeard(String json) {
        JsonNode wanted = parse(json);
        return inbox.stream().anyMatch(
                each -> each.isEnd || differing(wanted, parse(each.text)) == null);
    }

    /// @param passed the types that may come before it; null stands for all
    private List<JsonNode> await(String json, Set<String> passed, String likely) {
        JsonNode wanted = parse(json);
        List<JsonNode> heard = new ArrayList<>();
        StringBuilder before = new StringBuilder();
        long ends = System.nanoTime() + line.transcript.soon * 1_000_000L;
        while (true) {
            Frame next = take(ends - System.nanoTime());
            if (next == null || next.isEnd) {
                String end = next != null ? ": " + next.text
                        : " " + line.transcript.within();
                if (next == null) line.node.spoil();
                String got = (before.isEmpty() ? "nothing" : "nothing more") + end;
                throw failure(json, before + got, -1, likely);
            }
            JsonNode found = parse(next.text);
            String differing = differing(wanted, found);
            heard.add(found);
            if (Graded.todoIn(next.text) > 0) { // never right, whatever is waited for
                throw failure(json, name + " < " + next.text, -1, likely);
            }
            if (differing == null) {
                note(" < " + next.text);
                return heard;
            }
            String shown = name + " < " + next.text;
            if (passed != null
                    && !passed.contains(found.path("type").asString(""))) {
                Matcher member = Pattern
                        .compile("\"" + Pattern.quote(differing) + "\"\\s*:\\s*")
                        .matcher(shown);
                int caret = before.length()
                        + (member.find() ? member.end() : shown.length());
                throw failure(json, before + shown, caret, likely);
            }
            before.append(shown).append('\n');
        }
    }

    /// A requirement that does not hold.
    ///
    /// @param expected a message, or more in words
    public Failure failure(String expected, String got, int caret, String likely) {
        String wanted = expected.startsWith("{") ? name + " < " + expected : expected;
        return line.transcript.failure(wanted, got, caret, likely);
    }

    private Frame take(long nanos) {
        try {
            return inbox.poll(nanos, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private static JsonNode parse(String text) {
        try {
            return JsonMapper.shared().readTree(text);
        } catch (JacksonException e) {
            return MissingNode.getInstance();
        }
    }

    /// The first member of `wanted` that `found` has not, or has with another value; or null.
    private static String differing(JsonNode wanted, JsonNode found) {
        for (Map.Entry<String, JsonNode> each : wanted.properties()) {
            JsonNode value = found.path(each.getKey());
            boolean same = each.getValue().isNumber() && value.isNumber()
                    ? each.getValue().doubleValue() == value.doubleValue()
                    : each.getValue().equals(value);
            if (!same) return each.getKey();
        }
        return null;
    }

    private void read() {
        String end = Node.CONNECTION_ENDED + " without a close frame";
        try {
            line.waitFor(0);
            var text = new ByteArrayOutputStream();
            for (int head = next(); true; head = next()) {
                byte[] payload = line.in.readNBytes((int) length());
                long now = System.nanoTime();
                longestGap = Math.max(longestGap, now - heardAt);
                heardAt = now;
                int code = head & 0x0f;
                if (code == CLOSE) {
                    send(CLOSE, payload);
                    end = payload.length < 2 ? "it was closed without a code"
                            : "it was closed with "
                                    + (ByteBuffer.wrap(payload).getShort() & 0xffff);
                    break;
                }
                if (code == PING && !silent) send(PONG, payload);
                if (code == PONG) pongedAt = System.nanoTime();
                if (code > BINARY) continue;
                if (code == BINARY) text.writeBytes("(binary) ".getBytes());
                text.write(payload);
                if ((head & 0x80) == 0) continue;
                inbox.add(new Frame(text.toString(StandardCharsets.UTF_8), false));
                text.reset();
            }
        } catch (IOException gone) {
            // The same as the end.
        }
        inbox.add(new Frame(end, true));
    }

    private int next() throws IOException {
        int next = line.in.read();
        if (next < 0) throw new IOException("the end");
        return next;
    }

    private long length() throws IOException {
        int code = next();
        if (code > 127) throw new IOException("masked");
        int more = code == 126 ? 2 : code == 127 ? 8 : 0;
        if (more == 0) return code;
        long length = 0;
        for (int i = 0; i < more; i++) length = length << 8 | next();
        if (length > 1 << 24) throw new IOException("too large");
        return length;
    }

    /// One frame, masked with zeros: the mask is for proxies, not for servers.
    private synchronized void send(int code, byte[] payload) {
        int size = payload.length;
        ByteBuffer frame = ByteBuffer.allocate(size + 14).put((byte) (0x80 | code));
        if (size < 126) frame.put((byte) (0x80 | size));
        else if (size < 65_536) frame.put((byte) 254).putShort((short) size);
        else frame.put((byte) 255).putLong(size);
        frame.putInt(0).put(payload).flip();
        byte[] bytes = new byte[frame.remaining()];
        frame.get(bytes);
        line.write(bytes);
    }
}
