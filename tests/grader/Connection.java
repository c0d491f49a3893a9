package grader;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// A connection that stays open: requests follow one another on it, an answer may be held, and it
/// can be left while it is. A server's I/O thread owns it; while that thread is held by [Pauses],
/// only connections of another thread are served.
public final class Connection implements AutoCloseable {
    private static final int SOON = Requirements.SOON;
    private static final int TRIES = 64;

    private final Program program;
    private final Talk talk;
    private final Socket socket;
    private final InputStream in;
    private final String thread;
    private CompletableFuture<Answer> answer;

    public Connection(Program program, Talk talk) {
        this.program = program;
        this.talk = talk;
        try {
            socket = new Socket(InetAddress.getByName("127.0.0.1"), program.port());
            socket.setTcpNoDelay(true);
            in = new BufferedInputStream(socket.getInputStream());
        } catch (IOException e) {
            throw talk.failure("a connection", "none: " + e.getMessage(), -1,
                    "The server takes no connections any more.");
        }
        thread = "" + write("HEAD", "/_/thread", null).get("The server is stuck.")
                .header(Program.RUN_HEADER);
    }

    /// A connection that another I/O thread serves than `other`.
    public static Connection besides(Connection other) {
        List<Connection> unfit = new ArrayList<>();
        try {
            Connection next = new Connection(other.program, other.talk);
            while (next.thread.equals(other.thread) && unfit.size() < TRIES) {
                unfit.add(next);
                next = new Connection(other.program, other.talk);
            }
            return next;
        } finally {
            unfit.forEach(Connection::close);
        }
    }

    /// Sends a request, and notes it. The answer to the one before must have been read.
    ///
    /// @param body JSON, or null
    public Connection send(String method, String path, String body) {
        String type = "Content-Type: application/json";
        if (body == null) talk.curl(method, path, null);
        else talk.curl(method, path, body, type.split(": "));
        return write(method, path, body);
    }

    /// Sends a GET that is not worth a note.
    public Answer peek(String path) {
        return write("GET", path, null)
                .get("The request for " + path + " is not answered.");
    }

    private Connection write(String method, String path, String body) {
        byte[] bytes =
                body == null ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
        String head = method + " " + path + " HTTP/1.1\r\nHost: localhost:"
                + program.port() + "\r\n"
                + (body == null ? ""
                        : "Content-Type: application/json\r\nContent-Length: "
                                + bytes.length + "\r\n")
                + "\r\n";
        var coming = new CompletableFuture<Answer>();
        answer = coming;
        try {
            socket.getOutputStream().write(head.getBytes(StandardCharsets.UTF_8));
            socket.getOutputStream().write(bytes);
        } catch (IOException e) {
            coming.completeExceptionally(e);
            return this;
        }
        Thread.ofVirtual().start(() -> {
            try {
                coming.complete(read(method.equals("HEAD")));
            } catch (IOException | RuntimeException e) {
                coming.completeExceptionally(e);
            }
        });
        return this;
    }

    /// Has the answer to the last request come?
    public boolean isThere() {
        return answer.isDone();
    }

    /// Waits for the answer to the last request, some seconds at most.
    ///
    /// @param likely why there might be none
    public Answer get(String likely) {
        try {
            return answer.get(SOON, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            program.spoil("held");
            throw talk.failure("an answer", "nothing within " + SOON / 1000 + " s", -1,
                    likely);
        } catch (ExecutionException e) {
            throw talk.failure("an answer",
                    "nothing: the connection ended (" + e.getCause().getMessage() + ")",
                    -1, "The server closed the connection without an answer.");
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private Answer read(boolean bodiless) throws IOException {
        String status = line();
        String[] parts = status.split(" ", 3);
        if (!status.matches("HTTP/1\\.[01] \\d{3}.*")) {
            throw new IOException("no HTTP answer but " + status);
        }
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            String[] field = line.split(":", 2);
            headers.add(Map.entry(field[0], field[field.length - 1].strip()));
        }
        int code = Integer.parseInt(parts[1]);
        Answer head = new Answer(talk, code, status, headers, new byte[0]);
        if (bodiless || code == 204 || code == 304) return head;
        return new Answer(talk, code, status, headers,
                body(head.header("Transfer-Encoding"), head.header("Content-Length")));
    }

    private byte[] body(String encoding, String length) throws IOException {
        if (length != null) return in.readNBytes(Integer.parseInt(length));
        if (encoding == null) return in.readAllBytes();
        var body = new ByteArrayOutputStream();
        int size = -1;
        while (size != 0) {
            size = Integer.parseInt(line().split(";")[0].strip(), 16);
            body.writeBytes(in.readNBytes(size));
            line();
        }
        return body.toByteArray();
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) throw new IOException("end of the stream");
            if (next != '\r') line.append((char) next);
        }
        return line.toString();
    }

    /// Leaves, in the middle of an answer or not.
    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // Then it is gone as well.
        }
    }

    /// Leaves as a client does that crashes: without a farewell.
    public void reset() {
        try {
            socket.setSoLinger(true, 0);
        } catch (IOException e) {
            // It is closed in the common way, then.
        }
        close();
    }
}
