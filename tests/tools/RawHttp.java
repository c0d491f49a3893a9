import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// A plain socket that sends just the bytes that a test names. Every read has a deadline.
final class RawHttp implements AutoCloseable {
    /// The fields of a WebSocket handshake, with the key of RFC 6455, section 1.3.
    static final String[] UPGRADE = {"Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
    private static final int READ_MS = 30_000;

    /// An HTTP answer. Header names are in lower case.
    record Answer(int status, Map<String, List<String>> headers, byte[] body) {
        String header(String name) {
            return String.join(", ", headers.getOrDefault(name, List.of()));
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }

        @Override
        public String toString() {
            return status + " " + headers + "\n" + text();
        }
    }

    /// A WebSocket frame that came from the server.
    record Frame(int first, byte[] payload) {
        int opcode() { return first & 15; }

        String text() { return new String(payload, StandardCharsets.UTF_8); }

        /// Of a close frame; 0 where it has none.
        int code() {
            return payload.length < 2 ? 0 : ByteBuffer.wrap(payload).getChar();
        }
    }

    final Socket socket;
    private final InputStream in;

    RawHttp(int port) throws IOException {
        socket = new Socket(InetAddress.getByName("127.0.0.1"), port);
        socket.setSoTimeout(READ_MS);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
    }

    /// Sends one request on a connection of its own. `fields` are whole header lines.
    static Answer ask(int port, String method, String target, String body,
            String... fields)
            throws IOException {
        try (RawHttp raw = new RawHttp(port)) {
            return raw.request(method, target, body, fields)
                    .answer(method.equals("HEAD"));
        }
    }

    /// Sends a request with a right Host. A body that is not null is sent as JSON, unless `fields`
    /// name a Content-Type.
    RawHttp request(String method, String target, String body, String... fields)
            throws IOException {
        StringBuilder head = new StringBuilder(method + " " + target + " HTTP/1.1\r\n");
        String all = String.join("\r\n", fields).toLowerCase(Locale.ROOT);
        if (!all.startsWith("host:") && !all.contains("\nhost:")) {
            head.append("Host: localhost:").append(socket.getPort()).append("\r\n");
        }
        byte[] bytes =
                body == null ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
        if (body != null && !all.contains("content-type:")) {
            head.append("Content-Type: application/json\r\n");
        }
        if (body != null) head.append("Content-Length: ").append(bytes.length)
                .append("\r\n");
        for (String field : fields) head.append(field).append("\r\n");
        send(head + "\r\n");
        return send(bytes);
    }

    /// Sends text as it is, as UTF-8; line ends are the caller's.
    RawHttp send(String text) throws IOException {
        return send(text.getBytes(StandardCharsets.UTF_8));
    }

    RawHttp send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
        return this;
    }

    Answer answer() throws IOException {
        return answer(false);
    }

    /// Reads one whole answer: by length, by chunks, or until the end.
    Answer answer(boolean bodiless) throws IOException {
        Answer head = head();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        String length = head.header("content-length");
        if (bodiless || head.status == 204 || head.status == 304
                || head.status == 101) {
            return head;
        } else if (head.header("transfer-encoding").equals("chunked")) {
            for (byte[] chunk = chunk(); chunk.length > 0;
                    chunk = chunk()) body.writeBytes(chunk);
        } else if (!length.isEmpty()) {
            body.writeBytes(bytes(Integer.parseInt(length)));
        } else {
            body.writeBytes(in.readAllBytes());
        }
        return new Answer(head.status, head.headers, body.toByteArray());
    }

    /// Reads the head of an answer only: what an open stream or an upgrade begins with.
    Answer head() throws IOException {
        String status = line();
        if (!status.matches("HTTP/1\\.[01] \\d{3}.*")) {
            throw new AssertionError("no HTTP answer but '" + status + "'");
        }
        Map<String, List<String>> headers = new LinkedHashMap<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            String[] field = line.split(":", 2);
            headers.computeIfAbsent(field[0].toLowerCase(Locale.ROOT),
                    name -> new ArrayList<>())
                    .add(field[1].strip());
        }
        return new Answer(Integer.parseInt(status.substring(9, 12)), headers,
                new byte[0]);
    }

    /// Reads one chunk of a chunked body; empty at its end.
    byte[] chunk() throws IOException {
        byte[] chunk = bytes(Integer.parseInt(line().split(";")[0].strip(), 16));
        if (!line()
                .isEmpty()) throw new AssertionError("a chunk does not end with CRLF");
        return chunk;
    }

    /// Reads up to CRLF or LF; null at the end of the connection before any byte.
    String line() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                if (line.size() == 0) throw new AssertionError("the connection ended");
                break;
            }
            if (next != '\r') line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    byte[] bytes(int count) throws IOException {
        byte[] bytes = in.readNBytes(count);
        if (bytes.length < count) {
            throw new AssertionError(
                    "the connection ended after " + bytes.length + " of " + count
                            + " bytes");
        }
        return bytes;
    }

    /// Waits until the other side closes or resets; whatever it still sends is dropped.
    ///
    /// @return false where it did not within `ms`
    boolean endsWithin(int ms) throws IOException {
        socket.setSoTimeout(ms);
        try {
            in.skip(Long.MAX_VALUE);
            while (in.read() >= 0) in.skip(Long.MAX_VALUE);
            return true;
        } catch (SocketTimeoutException e) {
            return false;
        } catch (SocketException reset) {
            return true;
        } finally {
            if (!socket.isClosed()) socket.setSoTimeout(READ_MS);
        }
    }

    /// Is nothing to be read within `ms`?
    boolean isSilentFor(int ms) throws IOException {
        socket.setSoTimeout(ms);
        try {
            in.mark(1);
            int next = in.read();
            in.reset();
            return next < 0;
        } catch (SocketTimeoutException silent) {
            return true;
        } finally {
            socket.setSoTimeout(READ_MS);
        }
    }

    /// Reads what comes, until nothing does for `ms`.
    byte[] bytesUntilSilent(int ms) throws IOException {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        while (!isSilentFor(ms)) read.writeBytes(bytes(1));
        return read.toByteArray();
    }

    /// The next frame, whatever it is.
    Frame readFrame() throws IOException {
        byte[] head = bytes(2);
        if (head[1] < 0) throw new AssertionError("a server does not mask");
        long size = head[1] < 126 ? head[1] : head[1] == 126
                ? ByteBuffer.wrap(bytes(2)).getChar()
                : ByteBuffer.wrap(bytes(8)).getLong();
        return new Frame(head[0] & 0xff, bytes((int) size));
    }

    /// A text frame of a client.
    static byte[] frame(String text) {
        return frame(0x81, text.getBytes(StandardCharsets.UTF_8));
    }

    /// A frame of a client: its first byte as given, its payload masked.
    static byte[] frame(int first, byte[] payload) {
        byte[] key = {0x37, (byte) 0xfa, 0x21, 0x3d};
        ByteBuffer frame = ByteBuffer.allocate(payload.length + 14).put((byte) first);
        int length = payload.length;
        if (length < 126) frame.put((byte) (0x80 | length));
        else if (length < 65_536) frame.put((byte) 0xfe).putShort((short) length);
        else frame.put((byte) 0xff).putLong(length);
        frame.put(key);
        for (int i = 0; i < length; i++) frame.put((byte) (payload[i] ^ key[i % 4]));
        byte[] bytes = new byte[frame.flip().remaining()];
        frame.get(bytes);
        return bytes;
    }

    /// Closes with a TCP reset, as a crashed client does.
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
