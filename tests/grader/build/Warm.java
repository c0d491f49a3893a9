package grader.build;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import shared.Http;
import shared.Routes;
import shared.Serve;

/// Does once what submissions do, so that the JVM which runs it can archive the classes.
final class Warm {
    private static final String JSON = "Connection: close\r\nContent-Length: 2\r\n"
            + "Content-Type: application/json\r\n\r\n{}";
    private static final String UPGRADE =
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    /// A text and a close frame, masked with zeros.
    private static final byte[] FRAMES =
            {(byte) 0x81, (byte) 0x81, 0, 0, 0, 0, 'a', (byte) 0x88, (byte) 0x80, 0, 0,
                0, 0};

    private Warm() {}

    static void main() throws Exception {
        Routes routes = new Routes()
                .get("/", exchange -> Http.json(exchange, 200,
                        Http.object("{\"a\":[1.5,\"b\",null]}".getBytes())))
                .post("/", (exchange, body) -> Http.integer(Http.object(body), "a", 1,
                        2));
        boolean upgrades = hasWebSockets();
        if (upgrades) WarmSocket.mount(routes);
        Serve serve = Serve.start(0, routes);
        ask(serve, "GET /", JSON, new byte[0]);
        ask(serve, "POST /", JSON, new byte[0]);
        if (upgrades) ask(serve, "GET /echo", UPGRADE, FRAMES);
        URI uri = URI.create("http://localhost:" + serve.port + "/");
        HttpClient.newHttpClient()
                .sendAsync(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofLines())
                .join().body().forEach(line -> {});
        System.exit(0);
    }

    /// Only those exercises have the container that ask for it.
    private static boolean hasWebSockets() {
        try {
            Class.forName("io.undertow.websockets.jsr.UndertowSession");
            return true;
        } catch (ClassNotFoundException | LinkageError none) {
            return false;
        }
    }

    private static void ask(Serve serve, String line, String fields, byte[] then)
            throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), serve.port)) {
            socket.getOutputStream().write((line + " HTTP/1.1\r\nHost: localhost:"
                    + serve.port + "\r\n" + fields).getBytes());
            socket.getOutputStream().write(then);
            socket.getInputStream().readAllBytes();
        }
    }
}
