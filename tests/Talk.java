///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Talks to a WebSocket: prints what it hears, and sends each line that you type
//JAVA 25+
//RUNTIME_OPTIONS -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
//SOURCES ../shared/course/Course.java

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpTimeoutException;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.time.LocalTime;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import shared.course.Course;

/// What a learner types to talk to a WebSocket from the terminal. Exit code 0 where the connection
/// ended with 1000, 1 where it ended in another way, 2 where it did not begin.
class Talk implements WebSocket.Listener {
    private static final String USAGE = """
            Usage: ./jbang talk [--protocol NAME] URL

            Prints each message, ping and close code with its time, and sends each line that you
            type as a text. The end of the input, Ctrl+D, closes with 1000.

            Example:
              ./jbang talk 'ws://localhost:8003/chat?name=eve'""";
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("HH:mm:ss.SSS ", Locale.ROOT);
    private static final Pattern DETAIL =
            Pattern.compile("\"detail\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)\"");

    private final StringBuilder text = new StringBuilder();
    private int binary;
    private final CompletableFuture<Integer> closed = new CompletableFuture<>();

    static void main(String[] args) throws Exception {
        List<String> words = List.of(args);
        String protocol = "";
        if (words.size() > 1 && words.getFirst().equals("--protocol")) {
            protocol = words.get(1);
            words = words.subList(2, words.size());
        }
        if (words.equals(List.of("--help")) || words.equals(List.of("-h"))) {
            System.out.println(USAGE);
            return;
        }
        if (words.size() != 1) fail(USAGE);
        String url = words.getFirst().replaceAll("^'|'$", ""); // cmd.exe hands them over
        if (!url.matches("wss?://[^/]+.*")) {
            fail("The address of a WebSocket begins with ws:// or wss://.\n\n" + USAGE);
        }
        System.exit(new Talk().talk(url, protocol));
    }

    private static void fail(String why) {
        System.err.println(why);
        System.exit(2);
    }

    /// @return the exit code
    private int talk(String url, String protocol) throws Exception {
        WebSocket socket = connect(url, protocol);
        Thread.ofPlatform().daemon().start(() -> type(socket));
        return closed.get() == WebSocket.NORMAL_CLOSURE ? 0 : 1;
    }

    private WebSocket connect(String url, String protocol) {
        var client =
                HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
        try {
            URI uri = URI.create(url);
            var builder =
                    client.newWebSocketBuilder().connectTimeout(Duration.ofSeconds(10));
            if (!protocol.isEmpty()) builder.subprotocols(protocol);
            return builder.buildAsync(uri, this).join();
        } catch (CompletionException e) {
            fail(why(e.getCause(), URI.create(url)));
        } catch (IllegalArgumentException e) {
            fail("This is no URL of a WebSocket: " + e.getMessage());
        }
        throw new AssertionError("fail does not return");
    }

    /// What went wrong before there was a WebSocket, in a sentence.
    private static String why(Throwable problem, URI uri) {
        if (problem instanceof WebSocketHandshakeException refused) {
            int status = refused.getResponse().statusCode();
            if (status == 101) {
                return "The server's handshake is wrong: "
                        + refused.getCause().getMessage();
            }
            var detail = DETAIL.matcher("" + refused.getResponse().body());
            return "The server refused the handshake with " + status + (detail.find()
                    ? ": " + detail.group(1).replaceAll("\\\\(.)", "$1") : ".");
        }
        if (problem instanceof HttpTimeoutException) {
            return uri.getAuthority() + " did not answer within 10 seconds.";
        }
        if (problem instanceof ConnectException) {
            return problem.getCause() instanceof UnresolvedAddressException
                    ? "There is no host " + uri.getHost() + "."
                    : "Nobody listens at " + uri.getAuthority() + "."
                            + remedy(uri.getPort());
        }
        return "There was no answer in HTTP from " + uri.getAuthority() + ": "
                + problem.getMessage();
    }

    /// How to start the program of the course that listens at a port, if one does.
    private static String remedy(int port) {
        for (Course.Lesson each : Course.LESSONS) {
            if (port == each.port()) return " Start it: ./jbang " + each.alias();
            if (port == each.port() + 1000) {
                return " Start it: ./jbang exercises/" + each.name() + ".java";
            }
        }
        return "";
    }

    /// Sends lines until there are no more, then closes.
    private void type(WebSocket socket) {
        try (var lines = new BufferedReader(
                new InputStreamReader(System.in,
                        System.getProperty("stdin.encoding")))) {
            for (String line = lines.readLine(); line != null;
                    line = lines.readLine()) {
                socket.sendText(line, true).join();
            }
            socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
            closed.completeOnTimeout(1006, 5, TimeUnit.SECONDS);
        } catch (IOException | CompletionException alreadyClosed) {
            // It is told where it is heard.
        }
    }

    private static void say(String what) {
        StringBuilder line = new StringBuilder(LocalTime.now().format(TIME));
        what.codePoints().forEach(c -> { // a stranger's text may hold commands for the terminal
            if (Character.isISOControl(c)) line.append("\\u%04x".formatted(c));
            else line.appendCodePoint(c);
        });
        System.out.println(line);
    }

    @Override
    public void onOpen(WebSocket socket) {
        String protocol = socket.getSubprotocol();
        say("open" + (protocol.isEmpty() ? "" : ", subprotocol " + protocol));
        socket.request(1);
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part,
            boolean last) {
        text.append(part);
        if (last) {
            say("text " + text);
            text.setLength(0);
        }
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part,
            boolean last) {
        binary += part.remaining();
        if (last) {
            say("binary, " + binary + " bytes");
            binary = 0;
        }
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onPing(WebSocket socket, ByteBuffer payload) {
        say("ping" + hex(payload)); // the JDK answers it
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
        say("pong" + hex(payload));
        socket.request(1);
        return null;
    }

    private static String hex(ByteBuffer payload) {
        byte[] bytes = new byte[payload.remaining()];
        payload.get(bytes);
        return bytes.length == 0 ? ""
                : " " + HexFormat.ofDelimiter(" ").formatHex(bytes);
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        say("close " + code + (code == 1006 ? ", no close frame came" : "")
                + (reason.isEmpty() ? "" : " " + reason));
        closed.complete(code);
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable problem) {
        say("the connection broke: " + problem.getMessage());
        closed.complete(1006);
    }
}
