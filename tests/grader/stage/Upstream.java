package grader.stage;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// A server that the grader plays, for submissions that are clients. It answers nothing by itself:
/// a requirement takes each request as it comes, and does with it what a server may do in the wild.
/// A connection carries one request: a client that repeats it in silence, on a connection that it
/// has kept, would hide what happened.
public final class Upstream implements Stage.Member {
    private static final int MAX_HEAD = 64 * 1024;

    /// One request, and the connection that it came on.
    public static final class Call {
        private final Socket socket;
        public final String method;
        public final String path;
        /// By their names in small letters; the last of several counts.
        public final Map<String, String> headers;
        public final String body;
        /// When it had come, in `System.nanoTime()`.
        public final long at;

        private Call(Socket socket, InputStream in) throws IOException {
            this.socket = socket;
            String[] head = head(in).split("\r\n");
            String[] line = head[0].split(" ");
            if (line.length != 3) throw new IOException("no request: " + head[0]);
            method = line[0];
            path = line[1];
            headers = new LinkedHashMap<>();
            for (int i = 1; i < head.length; i++) {
                String[] field = head[i].split(": *", 2);
                headers.put(field[0].toLowerCase(Locale.ROOT), field[1]);
            }
            int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
            body = new String(in.readNBytes(length), StandardCharsets.UTF_8);
            at = System.nanoTime();
        }

        private static String head(InputStream in) throws IOException {
            var head = new ByteArrayOutputStream();
            while (!head.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\n")) {
                int next = in.read();
                if (next < 0
                        || head.size() > MAX_HEAD) throw new IOException("no head");
                head.write(next);
            }
            return head.toString(StandardCharsets.ISO_8859_1);
        }

        /// Answers, and ends the connection.
        ///
        /// @param headers names and values in turn
        public void answer(int status, String body, String... headers) {
            begin(status, headers);
            write(body);
            end();
        }

        /// Sends the head of an answer that goes on until the connection ends.
        ///
        /// @param headers names and values in turn
        public void begin(int status, String... headers) {
            StringBuilder head = new StringBuilder(
                    "HTTP/1.1 " + status + " \r\nConnection: close\r\n");
            for (int i = 0; i < headers.length; i += 2) {
                head.append(headers[i]).append(": ").append(headers[i + 1])
                        .append("\r\n");
            }
            write(head + "\r\n");
        }

        /// Sends a part of the answer.
        ///
        /// @return whether the client still takes it, as far as this side can know
        public boolean write(String part) {
            return write(part.getBytes(StandardCharsets.UTF_8));
        }

        /// Sends bytes, such as a frame of WebSocket.
        ///
        /// @return whether the client still takes them, as far as this side can know
        public boolean write(byte[] part) {
            try {
                socket.getOutputStream().write(part);
                return true;
            } catch (IOException gone) {
                return false;
            }
        }

        /// Waits for so many bytes that the client sends after its request, such as a frame.
        ///
        /// @return false where it has left, or sends nothing for `ms`
        public boolean says(int bytes, int ms) {
            try {
                socket.setSoTimeout(Math.max(1, ms));
                return socket.getInputStream().readNBytes(bytes).length == bytes;
            } catch (IOException nothing) {
                return false;
            }
        }

        /// Waits until the client has left, by an end or a reset.
        ///
        /// @return false where it has not within `ms`
        public boolean isLeft(int ms) {
            try {
                socket.setSoTimeout(Math.max(1, ms));
                return socket.getInputStream().read() < 0;
            } catch (SocketTimeoutException stillHere) {
                return false;
            } catch (IOException reset) {
                return true;
            }
        }

        /// Ends the connection in order.
        public void end() {
            close(socket);
        }

        /// Ends the connection by a TCP reset. A client may repeat a request in silence that got no
        /// byte of an answer, so [#begin] comes before.
        public void reset() {
            try {
                socket.setSoLinger(true, 0);
            } catch (IOException gone) {
                // Then it has ended already.
            }
            close(socket);
        }
    }

    /// A requirement has come to its end with every request that there was, so that the next one
    /// may go on with the same program.
    public boolean isSettled;

    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final BlockingQueue<Call> calls = new LinkedBlockingQueue<>();
    private final Reception reception = new Reception(this::read);

    private void read(Socket socket) {
        open.add(socket);
        try {
            socket.setTcpNoDelay(true);
            calls.add(
                    new Call(socket, new BufferedInputStream(socket.getInputStream())));
        } catch (IOException | RuntimeException noRequest) {
            close(socket);
        }
    }

    /// Waits for the next request.
    ///
    /// @return null where none came within `ms`
    public Call next(int ms) {
        try {
            return calls.poll(ms, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    @Override
    public int port() {
        return reception.port();
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is closed as far as it can be.
        }
    }

    @Override
    public void close() {
        reception.close();
        open.forEach(Upstream::close);
    }
}
