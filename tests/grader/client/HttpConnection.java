package grader.client;

import grader.stage.Node;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import shared.Graded;

/// An HTTP connection that stays open, and whose I/O thread in the submission is known: a thread
/// that is held there holds all of its connections. Nothing is noted here.
public final class HttpConnection implements AutoCloseable {
    private static final int TRIES = 200;
    private static final int MAX_BODY = 1024 * 1024;

    final Node node;
    final Transcript transcript;
    private final Socket socket;
    final InputStream in;
    private final String thread;
    private String once = "";

    private interface Reading {
        Answer answer() throws IOException;
    }

    private HttpConnection(Node node, int port, Transcript transcript)
            throws IOException {
        this.node = node;
        this.transcript = transcript;
        socket = new Socket(InetAddress.getByName("127.0.0.1"), port);
        waitFor(transcript.soon);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
        thread = ask("HEAD", "/_/ready", null).header(Graded.RUN_HEADER);
    }

    /// Connects, on another I/O thread than `other`, where there is one.
    ///
    /// @param other or null
    public static HttpConnection open(Node node, Transcript transcript,
            HttpConnection other) {
        HttpConnection line = open(node, node.port(), transcript);
        for (int i = 0; i < TRIES && line.sharesThreadWith(other); i++) {
            line.close();
            line = open(node, node.port(), transcript);
        }
        return line;
    }

    /// Connects by another port that leads to the node, such as that of a cable.
    public static HttpConnection open(Node node, int port, Transcript transcript) {
        try {
            return new HttpConnection(node, port, transcript);
        } catch (IOException e) {
            throw transcript.failure("a connection", "nothing: " + e.getMessage(), -1,
                    "The server takes no connections.");
        }
    }

    private boolean sharesThreadWith(HttpConnection other) {
        return other != null && Objects.equals(thread, other.thread);
    }

    /// Adds a header to the next request.
    public void once(String header, Object value) {
        once = header + ": " + value + "\r\n";
    }

    /// Sends a request, and reads its whole answer.
    public Answer ask(String method, String path, String body, String... headers) {
        send(method, path, body, headers);
        return method.equals("HEAD") ? head() : answer();
    }

    /// Sends a request. Its answer is read by [#answer].
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn
    public void send(String method, String path, String body, String... headers) {
        send(method, path, body == null ? null : body.getBytes(StandardCharsets.UTF_8),
                headers);
    }

    /// The same with any bytes for a body.
    public void send(String method, String path, byte[] body, String... headers) {
        StringBuilder head = new StringBuilder(method + " " + path + " HTTP/1.1\r\n"
                + "Host: localhost:" + node.port() + "\r\n" + once);
        once = "";
        if (body != null) {
            head.append("Content-Type: application/json\r\nContent-Length: ")
                    .append(body.length).append("\r\n");
        }
        for (int i = 0; i < headers.length; i += 2) {
            head.append(headers[i]).append(": ").append(headers[i + 1]).append("\r\n");
        }
        var request = new ByteArrayOutputStream();
        request.writeBytes((head + "\r\n").getBytes(StandardCharsets.UTF_8));
        if (body != null) request.writeBytes(body);
        write(request.toByteArray());
    }

    /// How long a read may wait for a byte, in milliseconds; 0 for as long as it takes.
    void waitFor(int ms) {
        try {
            socket.setSoTimeout(ms);
        } catch (SocketException gone) {
            // Reading says so.
        }
    }

    void write(byte[] bytes) {
        try {
            socket.getOutputStream().write(bytes);
        } catch (IOException gone) {
            // Reading says so.
        }
    }

    /// Has any byte come that was not read yet?
    public boolean isAnswered() {
        try {
            return in.available() > 0;
        } catch (IOException gone) {
            return true;
        }
    }

    /// Waits for an answer, and reads the whole of it.
    public Answer answer() {
        return withBody(head());
    }

    /// Waits for an answer, and reads its head only.
    Answer head() {
        return reading(null, () -> {
            String statusLine = headLine();
            if (!statusLine.matches("HTTP/1\\.1 \\d{3}.*")) {
                throw transcript.failure("an HTTP answer", statusLine, 0,
                        "This is no HTTP answer.");
            }
            List<Map.Entry<String, String>> headers = new ArrayList<>();
            for (String line = headLine(); !line.isEmpty(); line = headLine()) {
                String[] field = line.split(": *", 2);
                headers.add(Map.entry(field[0], field.length < 2 ? "" : field[1]));
            }
            return new Answer(transcript, Integer.parseInt(statusLine.substring(9, 12)),
                    statusLine, headers, new byte[0]);
        });
    }

    /// Reads what belongs to a head that was read.
    Answer withBody(Answer head) {
        int status = head.status();
        if (status < 200 || status == 204 || status == 304) return head;
        return reading(head,
                () -> new Answer(transcript, status, head.statusLine(), head.headers(),
                        body(head)));
    }

    /// @param head what was read of the answer before, or null
    private Answer reading(Answer head, Reading read) {
        try {
            return read.answer();
        } catch (SocketTimeoutException e) {
            node.spoil();
            if (head != null) throw head.failure("the end of the answer", -1,
                    "The answer has begun, and did not end " + transcript.within()
                            + ". Is it a stream that stays open?");
            throw transcript.failure("an answer",
                    "nothing " + transcript.within(), -1,
                    "The request is never answered. Does something loop or wait, or does"
                            + " a path lead to no answer?");
        } catch (IOException e) {
            throw transcript.failure("an answer", "nothing: " + Node.CONNECTION_ENDED,
                    -1,
                    "The server closed the connection without an answer.");
        }
    }

    private byte[] body(Answer head) throws IOException {
        String length = head.header("Content-Length");
        if (length != null) return in.readNBytes(Integer.parseInt(length));
        if (head.header("Transfer-Encoding") == null) return in.readNBytes(MAX_BODY);
        var body = new ByteArrayOutputStream();
        for (int size = size(); size > 0; size = size()) {
            body.write(in.readNBytes(size));
            headLine();
        }
        headLine();
        return body.toByteArray();
    }

    /// The size of the next chunk.
    int size() throws IOException {
        return Integer.parseInt(headLine().split(";")[0].strip(), 16);
    }

    /// A line without its end, CRLF or LF.
    String headLine() throws IOException {
        var line = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) throw new IOException("the end");
            if (next != '\r') line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8);
    }

    /// Leaves as a client does that crashes: with a TCP reset.
    public void reset() {
        try {
            socket.setSoLinger(true, 0);
        } catch (SocketException gone) {
            // Then it has ended already.
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
