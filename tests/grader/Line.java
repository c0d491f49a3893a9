package grader;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// An HTTP connection that stays open, and whose I/O thread in the submission is known: a thread
/// that is held there holds all of its connections. Nothing is noted here.
public final class Line implements AutoCloseable {
    private static final int TRIES = 200;
    private static final int MAX_BODY = 1024 * 1024;

    final Program program;
    final Talk talk;
    final Socket socket;
    final InputStream in;
    private final String thread;

    private Line(Program program, Talk talk) throws IOException {
        this.program = program;
        this.talk = talk;
        socket = new Socket(InetAddress.getByName("127.0.0.1"), program.port());
        socket.setSoTimeout(Requirements.SOON);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
        thread = ask("HEAD", "/_/ready", null).header(Program.RUN_HEADER);
    }

    /// Connects, on another I/O thread than `other`, where there is one.
    ///
    /// @param other or null
    public static Line open(Program program, Talk talk, Line other) {
        try {
            Line line = new Line(program, talk);
            for (int i = 0; i < TRIES && line.sharesThreadWith(other); i++) {
                line.close();
                line = new Line(program, talk);
            }
            return line;
        } catch (IOException e) {
            throw talk.failure("a connection", "nothing: " + e.getMessage(), -1,
                    "The server takes no connections.");
        }
    }

    private boolean sharesThreadWith(Line other) {
        return other != null && Objects.equals(thread, other.thread);
    }

    /// Sends a request, and reads its whole answer.
    public Answer ask(String method, String path, String body, String... headers) {
        send(method, path, body, headers);
        return answer(method.equals("HEAD"));
    }

    /// Sends a request. Its answer is read by [#answer].
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn
    public void send(String method, String path, String body, String... headers) {
        byte[] bytes =
                body == null ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
        StringBuilder head = new StringBuilder(method + " " + path + " HTTP/1.1\r\n"
                + "Host: localhost:" + program.port() + "\r\n");
        if (body != null) {
            head.append("Content-Type: application/json\r\nContent-Length: ")
                    .append(bytes.length).append("\r\n");
        }
        for (int i = 0; i < headers.length; i += 2) {
            head.append(headers[i]).append(": ").append(headers[i + 1]).append("\r\n");
        }
        write((head + "\r\n").getBytes(StandardCharsets.UTF_8));
        write(bytes);
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

    public Answer answer() {
        return answer(false);
    }

    private Answer answer(boolean bodiless) {
        try {
            String statusLine = line();
            if (!statusLine.matches("HTTP/1\\.1 \\d{3}.*")) {
                throw talk.failure("an HTTP answer", statusLine, 0,
                        "This is no HTTP answer.");
            }
            int status = Integer.parseInt(statusLine.substring(9, 12));
            List<Map.Entry<String, String>> headers = new ArrayList<>();
            for (String line = line(); !line.isEmpty(); line = line()) {
                String[] field = line.split(": *", 2);
                headers.add(Map.entry(field[0], field.length < 2 ? "" : field[1]));
            }
            Answer head = new Answer(talk, status, statusLine, headers, new byte[0]);
            if (bodiless || status < 200 || status == 204 || status == 304) return head;
            return new Answer(talk, status, statusLine, headers, body(head));
        } catch (SocketTimeoutException e) {
            program.spoil("no answer");
            throw talk.failure("an answer",
                    "nothing within " + Requirements.SOON / 1000 + " s", -1,
                    "The request is never answered. Does something loop or wait?");
        } catch (IOException e) {
            throw talk.failure("an answer", "nothing: the connection ended", -1,
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
            line();
        }
        line();
        return body.toByteArray();
    }

    private int size() throws IOException {
        return Integer.parseInt(line().split(";")[0].strip(), 16);
    }

    private String line() throws IOException {
        var line = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) throw new IOException("the end");
            if (next != '\r') line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8);
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
