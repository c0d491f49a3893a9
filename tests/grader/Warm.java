package grader;

import java.net.InetAddress;
import java.net.Socket;
import shared.Http;
import shared.Routes;
import shared.Serve;

/// Does once what submissions do, so that the JVM which runs it can archive the classes.
final class Warm {
    private Warm() {}

    static void main() throws Exception {
        Serve serve = Serve.start(0,
                new Routes().get("/", exchange -> Http.json(exchange, 200,
                        Http.object("{\"a\":[1.5,\"b\",null]}".getBytes())))
                        .post("/", (exchange, body) -> Http.integer(Http.object(body),
                                "a", 1, 2)));
        for (String method : new String[] {"GET", "POST"}) {
            try (Socket socket =
                    new Socket(InetAddress.getLoopbackAddress(), serve.port)) {
                socket.getOutputStream()
                        .write((method + " / HTTP/1.1\r\nHost: localhost:"
                                + serve.port
                                + "\r\nContent-Length: 2\r\nConnection: close\r\n"
                                + "Content-Type: application/json\r\n\r\n{}")
                                .getBytes());
                socket.getInputStream().readAllBytes();
            }
        }
        System.exit(0);
    }
}
