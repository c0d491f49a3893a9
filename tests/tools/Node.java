import io.undertow.server.HttpServerExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import shared.Http;
import shared.Routes;
import shared.Serve;
import shared.wire.Place;
import shared.wire.Protocol;
import shared.wire.Wire;

/// A server in a process of its own, with a page, that can ask another one and can show what that
/// one shows. Its name is its only argument.
final class Node {
    private static final Wire WIRE = new Wire();

    private Node() {}

    /// @return ready to listen, its process is yet to be started; its port is free
    static ProcessBuilder launch(String name) throws IOException {
        Path folder = Files.createTempDirectory("node");
        Files.writeString(folder.resolve("node.java"),
                "//JAVA 25+\n// %% [markdown]\n// # Node\n");
        Files.writeString(folder.resolve("node.html"), "<p>A node.</p>");
        Files.writeString(folder.resolve("node.md"), "");
        List<String> command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--sun-misc-unsafe-memory-access=allow", "-Xmx64m", "-cp",
                System.getProperty("java.class.path") + java.io.File.pathSeparator
                        + folder,
                "Node", name);
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("PORT", "0");
        return builder;
    }

    public static void main(String[] args) {
        Place place = WIRE.place(args[0]);
        Serve.run(args[0], 0, routes(place), place, null);
    }

    static Routes routes(Place place) {
        return new Routes().page("node")
                .get("/hello", exchange -> Http.send(exchange, 200, "text/plain",
                        "hello"))
                .get("/wait", exchange -> exchange.dispatch(() -> {}))
                .get("/ask", exchange -> exchange.dispatch(() -> ask(exchange, place)))
                .post("/follow", (exchange, body) -> {
                    place.wire.follow(port(exchange));
                    Http.empty(exchange, 204);
                });
    }

    private static int port(HttpServerExchange exchange) {
        return Integer.parseInt(Http.query(exchange, "port"));
    }

    private static void ask(HttpServerExchange exchange, Place place) {
        int port = port(exchange);
        try (Socket socket = place.socket("upstream", Protocol.HTTP)) {
            socket.connect(new InetSocketAddress("127.0.0.1", port));
            OutputStream out = socket.getOutputStream();
            out.write(("GET /hello HTTP/1.1\r\nHost: localhost:" + port
                    + "\r\nUser-Agent: relay"
                    + "\r\nConnection: close\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            byte[] answer = socket.getInputStream().readAllBytes();
            Http.send(exchange, 200, "text/plain", new String(answer));
        } catch (IOException broken) {
            Http.empty(exchange, 502);
        }
    }
}
