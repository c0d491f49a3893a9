import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.CsvSource;

/// What every lesson, exercise and solution answers alike, whatever it is about.
@DisplayName("Every lesson, exercise and solution")
@ParameterizedClass(name = "{0}")
@CsvSource({
    "lessons/01_short_polling, 01 Short polling, /stats",
    "lessons/02_long_polling, 02 Long polling, /waiting",
    "lessons/03_websocket, 03 WebSocket, /online",
    "lessons/04_server_sent_events, 04 Server-sent events, /streams",
    "lessons/05_webhook, 05 Webhook, /orders",
    "exercises/01_short_polling, 01 Short polling, /_/page/page.css",
    "exercises/02_long_polling, 02 Long polling, /_/page/page.css",
    "exercises/03_websocket, 03 WebSocket, /_/page/page.css",
    "exercises/04_server_sent_events, 04 Server-sent events, /_/page/page.css",
    "exercises/05_webhook, 05 Webhook, /_/page/page.css",
    "solutions/01_short_polling, 01 Short polling, /_/page/page.css",
    "solutions/02_long_polling, 02 Long polling, /_/page/page.css",
    "solutions/03_websocket, 03 WebSocket, /_/page/page.css",
    "solutions/04_server_sent_events, 04 Server-sent events, /_/page/page.css",
    "solutions/05_webhook, 05 Webhook, /_/page/page.css"})
record ContractTest(String script, String title, String gauge) {
    private static Server server;
    private static String running;

    /// One process for all tests of one lesson.
    private Server server() throws Exception {
        if (!script.equals(running)) {
            if (server != null) server.close();
            server = Server.start(script + ".java");
            running = script;
        }
        return server;
    }

    @AfterEach
    void staysQuiet() throws Exception {
        if (server == null) return;
        assertEquals(List.of(), server.output(),
                "standard output after the ready line");
        assertEquals("", server.errors(), "standard error");
    }

    private RawHttp.Answer ask(String method, String target, String body,
            String... fields)
            throws Exception {
        return RawHttp.ask(server().port, method, target, body, fields);
    }

    private static void problem(int status, RawHttp.Answer answer) {
        assertEquals(status, answer.status(), answer::toString);
        assertEquals("application/problem+json", answer.header("content-type"),
                answer::toString);
        assertTrue(answer.text().contains("\"status\":" + status), answer::toString);
        assertEquals("nosniff", answer.header("x-content-type-options"),
                answer::toString);
        assertEquals("same-origin", answer.header("cross-origin-resource-policy"),
                answer::toString);
    }

    @Test
    @DisplayName("prints one ready line with its title and address")
    void ready() throws Exception {
        assertEquals(title + "  http://localhost:" + server().port + "/",
                server().ready);
    }

    @Test
    @DisplayName("answers 421 to a Host that is missing, foreign, repeated or without the port")
    void host() throws Exception {
        int port = server().port;
        for (String lie : List.of("Host: evil.example", "Host: localhost",
                "Host: evil:" + port,
                "Host: localhost:" + port + "\r\nHost: localhost:" + port,
                "Host: localhost:" + port + ".evil.example", "Host:")) {
            problem(421, ask("GET", gauge, null, lie));
        }
        try (RawHttp raw = new RawHttp(port)) {
            problem(421, raw.send("GET " + gauge + " HTTP/1.1\r\n\r\n").answer());
        }
        try (RawHttp raw = new RawHttp(port)) {
            problem(421, raw.send("GET http://evil.example" + gauge + " HTTP/1.1\r\n"
                    + "Host: localhost:" + port + "\r\n\r\n").answer());
        }
        assertEquals(200, ask("GET", gauge, null, "Host: 127.0.0.1:" + port).status());
    }

    @Test
    @DisplayName("answers 403 to a page of another origin that acts or upgrades, not to one that reads")
    void origin() throws Exception {
        int port = server().port;
        for (String foreign : List.of("null", "http://evil.example",
                "https://localhost:" + port,
                "http://localhost:" + (port + 1), "http://127.0.0.1:" + port)) {
            for (String method : List.of("POST", "PUT", "DELETE", "PATCH")) {
                problem(403, ask(method, gauge, null, "Origin: " + foreign));
            }
            problem(403,
                    ask("GET", gauge, null, "Origin: " + foreign, "Connection: Upgrade",
                            "Upgrade: websocket"));
            assertEquals(200, ask("GET", gauge, null, "Origin: " + foreign).status());
        }
        problem(405, ask("PATCH", gauge, null, "Origin: http://localhost:" + port));
    }

    @Test
    @DisplayName("answers 421 before 403, 403 before 404, 404 before 405, 405 before 413")
    void order() throws Exception {
        String large = "x".repeat(70_000);
        problem(421,
                ask("POST", "/nowhere", large, "Host: evil.example", "Origin: null"));
        problem(403, ask("POST", "/nowhere", large, "Origin: null"));
        problem(404, ask("POST", "/nowhere", large));
        RawHttp.Answer notAllowed = ask("POST", gauge, large);
        problem(405, notAllowed);
        assertTrue(notAllowed.header("allow").contains("GET"), notAllowed::toString);
    }

    @Test
    @DisplayName("answers HEAD as GET without a body, OPTIONS with Allow")
    void head() throws Exception {
        RawHttp.Answer get = ask("GET", gauge, null);
        RawHttp.Answer head = ask("HEAD", gauge, null);
        assertEquals(200, head.status());
        assertEquals(get.header("content-type"), head.header("content-type"));
        assertTrue(ask("OPTIONS", gauge, null).header("allow").contains("GET"));
    }

    @Test
    @DisplayName("serves its own source as a page that nothing may frame, with a new nonce each time")
    void page() throws Exception {
        RawHttp.Answer first = ask("GET", "/", null);
        String policy = first.header("content-security-policy");
        assertEquals(200, first.status());
        assertTrue(policy.contains("default-src 'none'")
                && policy.contains("script-src 'nonce-")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"), policy);
        assertTrue(!policy
                .equals(ask("GET", "/", null).header("content-security-policy")));
        assertTrue(!first.text().matches("(?s).*\\s(style|onclick)=.*"),
                "inline style or handler");
        String source =
                Files.readString(Server.root().resolve(script + ".java"));
        String launch = source.lines()
                .filter(line -> line.contains("static HttpHandler routes()"))
                .findFirst().orElseThrow();
        assertTrue(first.text().contains(launch), "the page shows its own source");
    }

    @Test
    @DisplayName("answers garbage with 400 or an end, and goes on")
    void garbage() throws Exception {
        for (String bytes : List.of("\r\n\r\n", "GET\r\n\r\n",
                "\u0000\u0001\u0002\r\n\r\n",
                "GET / HTTP/9.9\r\n\r\n",
                "GET /%zz HTTP/1.1\r\nHost: localhost:" + server().port
                        + "\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                "GET / HTTP/1.1\r\nX: " + "y".repeat(2_000_000) + "\r\n\r\n")) {
            try (RawHttp raw = new RawHttp(server().port)) {
                try {
                    raw.send(bytes);
                } catch (java.net.SocketException reset) {
                    continue;
                }
                raw.socket.shutdownOutput();
                assertTrue(raw.endsWithin(5_000), "still open after garbage");
            } catch (java.net.SocketException reset) {
                // An answer as good as any other to garbage.
            }
        }
        assertEquals(200, ask("GET", gauge, null).status());
    }

    @Test
    @DisplayName("listens on 127.0.0.1 only")
    void loopback() throws Exception {
        server();
        for (var net : java.net.NetworkInterface.networkInterfaces().toList()) {
            for (InetAddress address : net.inetAddresses().toList()) {
                if (address.getHostAddress().equals("127.0.0.1")) continue;
                try (var socket = new java.net.Socket()) {
                    socket.connect(
                            new java.net.InetSocketAddress(address, server().port),
                            1_000);
                    throw new AssertionError("accepts a connection on " + address);
                } catch (java.io.IOException refused) {
                    assertNotNull(refused);
                }
            }
        }
    }

    @Test
    @DisplayName("says in one sentence that its port is taken or its PORT is wrong, exit code 2")
    void portTaken() throws Exception {
        try (ServerSocket taken =
                new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            fails("PORT=" + taken.getLocalPort(), "" + taken.getLocalPort());
        }
        for (String wrong : List.of("", "-1", "65536", "8e3", "99999999999")) {
            fails("PORT=" + wrong, "PORT");
        }
    }

    private void fails(String setting, String mentioned) throws Exception {
        Process process = Server.launch(script + ".java", setting).start();
        assertTrue(process.waitFor(30, TimeUnit.SECONDS),
                "still running with " + setting);
        String said = new String(process.getErrorStream().readAllBytes());
        assertEquals(2, process.exitValue(), setting + ": " + said);
        assertEquals(1, said.lines().count(), said);
        assertTrue(said.contains(mentioned), said);
        assertEquals("", new String(process.getInputStream().readAllBytes()));
    }

    @Test
    @DisplayName("stops on SIGTERM and SIGINT within 2 s, exit code 128 + the signal's number")
    void stops() throws Exception {
        for (var signal : List.of("TERM", "INT")) {
            try (Server own = Server.start(script + ".java")) {
                long began = System.nanoTime();
                assertEquals(signal.equals("TERM") ? 143 : 130, own.stop(signal));
                assertTrue(System.nanoTime() - began < 2_000_000_000L, "took over 2 s");
                assertEquals("", own.errors());
            }
        }
    }
}
