import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import grader.repo.Repo;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;
import shared.course.Course;

/// What every lesson, exercise and solution answers alike, whatever it is about. One process of
/// each answers all of it, and the last test ends it.
@DisplayName("Every lesson, exercise and solution")
@EachLesson
@ParameterizedClass(name = "{0}")
@MethodSource("scripts")
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
record ContractTest(String script) {
    private static final List<String> FOLDERS =
            List.of("lessons", "exercises", "solutions");
    private static final int LAST = Integer.MAX_VALUE;
    /// Answered by all of them.
    private static final String PATH = "/_/page/page.css";
    private static Server server;
    private static long startedIn;

    static Stream<String> scripts() {
        return Verify.lessons().stream().flatMap(each -> FOLDERS.stream()
                .map(folder -> folder + "/" + each.name() + ".java"));
    }

    @BeforeParameterizedClassInvocation
    static void start(String script) throws Exception {
        long began = System.nanoTime();
        File elsewhere = new File(System.getProperty("java.io.tmpdir"));
        server = Server.start(Server.launch(script).directory(elsewhere));
        startedIn = System.nanoTime() - began;
    }

    @AfterParameterizedClassInvocation
    static void end() throws Exception {
        server.close();
    }

    private Course.Lesson lesson() {
        return Course.LESSONS.stream().filter(each -> script.contains(each.name()))
                .findFirst().orElseThrow();
    }

    @AfterEach
    void staysQuiet() throws Exception {
        assertEquals(List.of(), server.output(),
                "standard output after the ready line");
        assertEquals("", server.errors(), "standard error");
    }

    private RawHttp.Answer ask(String method, String target, String body,
            String... fields)
            throws Exception {
        return RawHttp.ask(server.port, method, target, body, fields);
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
    @DisplayName("prints one ready line with its title and address; its usual port is that of its number")
    void ready() throws Exception {
        Course.Lesson lesson = lesson();
        assertEquals(lesson.number() + " " + lesson.title() + "  http://localhost:"
                + server.port + "/", server.ready);
        int usual = lesson.port() + 1_000 * List.of("lessons/", "exercises/")
                .indexOf(script.replaceFirst("/.*", "/"));
        String source = Files.readString(Repo.root().resolve(script));
        assertTrue(source.contains(", " + usual + ", routes())"), "port " + usual);
    }

    @Test
    @DisplayName("answers 421 to a Host that is missing, foreign, repeated or without the port")
    void host() throws Exception {
        int port = server.port;
        for (String lie : List.of("Host: evil.example", "Host: localhost",
                "Host: evil:" + port,
                "Host: localhost:" + port + "\r\nHost: localhost:" + port,
                "Host: localhost:" + port + ".evil.example", "Host:")) {
            problem(421, ask("GET", PATH, null, lie));
        }
        try (RawHttp raw = new RawHttp(port)) {
            problem(421, raw.send("GET " + PATH + " HTTP/1.1\r\n\r\n").answer());
        }
        try (RawHttp raw = new RawHttp(port)) {
            problem(421, raw.send("GET http://evil.example" + PATH + " HTTP/1.1\r\n"
                    + "Host: localhost:" + port + "\r\n\r\n").answer());
        }
        for (String own : List.of("127.0.0.1:", "LocalHost:")) {
            assertEquals(200, ask("GET", PATH, null, "Host: " + own + port).status());
        }
    }

    @Test
    @DisplayName("knows itself on port 80 and behind a proxy, where the Host has no port")
    void defaultPort() throws Exception {
        if (!isFirst()) return; // all call Serve.run
        String shop = "PUBLIC=http://Shop.example:80";
        try (Server behind = Server.start(script, shop)) {
            knowsItself(behind.port, "shop.example");
        }
        assumeTrue(canHave(80));
        try (Server web = Server.start(script, "PORT=80")) {
            knowsItself(web.port, "localhost");
        }
    }

    private static boolean canHave(int port) {
        try (var socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
            return socket.isBound();
        } catch (IOException taken) {
            return false;
        }
    }

    private static void knowsItself(int port, String name) throws IOException {
        for (String host : List.of(name, name + ":80", name.toUpperCase(Locale.ROOT))) {
            var answer = RawHttp.ask(port, "PATCH", PATH, null, "Host: " + host,
                    "Origin: http://" + name);
            assertEquals(405, answer.status(), answer::toString);
        }
        problem(403, RawHttp.ask(port, "PATCH", PATH, null, "Host: " + name,
                "Origin: https://" + name));
        problem(421, RawHttp.ask(port, "PATCH", PATH, null, "Host: " + name + ":443"));
    }

    /// Some things need not be asked of every script.
    private boolean isFirst() {
        return script.equals(scripts().findFirst().orElseThrow());
    }

    @Test
    @DisplayName("answers 403 to a page of another origin that acts or upgrades, not to one that reads")
    void origin() throws Exception {
        int port = server.port;
        for (String foreign : List.of("null", "http://evil.example",
                "https://localhost:" + port,
                "http://localhost:" + (port + 1), "http://127.0.0.1:" + port)) {
            for (String method : List.of("POST", "PUT", "DELETE", "PATCH")) {
                problem(403, ask(method, PATH, null, "Origin: " + foreign));
            }
            problem(403,
                    ask("GET", PATH, null, "Origin: " + foreign, "Connection: Upgrade",
                            "Upgrade: websocket"));
            assertEquals(200, ask("GET", PATH, null, "Origin: " + foreign).status());
        }
        for (String own : List.of("localhost:", "LocalHost:")) {
            problem(405, ask("PATCH", PATH, null, "Origin: http://" + own + port));
        }
    }

    @Test
    @DisplayName("answers 421 before 403, 403 before 404, 404 before 405, 405 before 413")
    void order() throws Exception {
        String large = "x".repeat(70_000);
        problem(421,
                ask("POST", "/nowhere", large, "Host: evil.example", "Origin: null"));
        problem(403, ask("POST", "/nowhere", large, "Origin: null"));
        problem(404, ask("POST", "/nowhere", large));
        RawHttp.Answer notAllowed = ask("POST", PATH, large);
        problem(405, notAllowed);
        assertTrue(notAllowed.header("allow").contains("GET"), notAllowed::toString);
    }

    @Test
    @DisplayName("answers HEAD as GET without a body, OPTIONS with Allow")
    void head() throws Exception {
        RawHttp.Answer get = ask("GET", PATH, null);
        RawHttp.Answer head = ask("HEAD", PATH, null);
        assertEquals(200, head.status());
        assertEquals(get.header("content-type"), head.header("content-type"));
        assertTrue(ask("OPTIONS", PATH, null).header("allow").contains("GET"));
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
                Files.readString(Repo.root().resolve(script));
        String launch = source.lines()
                .filter(line -> line.contains("static HttpHandler routes()"))
                .findFirst().orElseThrow();
        assertTrue(first.text().contains(launch), "the page shows its own source");
        assertTrue(first.text().contains("./jbang grade " + lesson().number()),
                "the page says how to grade its exercise");
    }

    @Test
    @DisplayName("answers garbage with 400 or an end, and goes on")
    void garbage() throws Exception {
        for (String bytes : List.of("\r\n\r\n", "GET\r\n\r\n",
                "\u0000\u0001\u0002\r\n\r\n",
                "GET / HTTP/9.9\r\n\r\n",
                "GET /%zz HTTP/1.1\r\nHost: localhost:" + server.port
                        + "\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                "GET / HTTP/1.1\r\nX: " + "y".repeat(2_000_000) + "\r\n\r\n")) {
            try (RawHttp raw = new RawHttp(server.port)) {
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
        assertEquals(200, ask("GET", PATH, null).status());
    }

    @Test
    @DisplayName("listens on 127.0.0.1 only")
    void loopback() throws Exception {
        for (var net : java.net.NetworkInterface.networkInterfaces().toList()) {
            for (InetAddress address : net.inetAddresses().toList()) {
                if (address.getHostAddress().equals("127.0.0.1")) continue;
                try (var socket = new java.net.Socket()) {
                    socket.connect(
                            new java.net.InetSocketAddress(address, server.port),
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
        fails("PORT=" + server.port, "" + server.port);
        if (!isFirst()) return; // all call Serve.run
        for (String wrong : List.of("", "-1", "65536", "8e3", "99999999999")) {
            fails("PORT=" + wrong, "PORT");
        }
    }

    private void fails(String setting, String mentioned) throws Exception {
        Process process = Server.launch(script, setting).start();
        String said = new String(process.getErrorStream().readAllBytes());
        assertEquals(2, process.waitFor(), setting + ": " + said);
        assertEquals(1, said.lines().count(), said);
        assertTrue(said.contains(mentioned), said);
        assertEquals("", new String(process.getInputStream().readAllBytes()));
    }

    @Test
    @Order(LAST)
    @DisplayName("stops on SIGTERM and SIGINT within 2 s, exit code 128 + the signal's number")
    void stops() throws Exception {
        boolean term = !script.startsWith("exercises/"); // so a lesson sees both
        long began = System.nanoTime();
        assertEquals(term ? 143 : 130, server.stop(term ? "TERM" : "INT"));
        long took = System.nanoTime() - began;
        // On a machine that is busy with other things, everything takes longer.
        assertTrue(took < Math.max(2_000_000_000L, startedIn), took / 1e9 + " s");
    }
}
