import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.build.ClassPath;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

@Isolated
@DisplayName("With 512 MB of heap, a lesson's server")
class LoadTest {
    private static final int MANY = 8_000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static Server start(String name) throws Exception {
        return Server.start("lessons/" + name + ".java", "-R=-Xmx512m");
    }

    private static int gauge(Server server, String path) throws Exception {
        return Integer.parseInt(RawHttp.ask(server.port, "GET", path, null).text()
                .replaceAll("\\D", ""));
    }

    private static void settlesAt(Server server, String path, int wanted,
            Duration deadline)
            throws Exception {
        Eventually.see("GET " + path, deadline, () -> gauge(server, path),
                n -> n == wanted);
    }

    /// Java threads of the server, as its JVM counts them.
    private static long threads(Server server) throws Exception {
        Process jcmd = new ProcessBuilder(
                ClassPath.tool("jcmd"), "" + server.process.pid(), "Thread.print")
                .start();
        return new String(jcmd.getInputStream().readAllBytes()).lines()
                .filter(line -> line.contains("java.lang.Thread.State:")).count();
    }

    private static void within(CompletableFuture<Void> done, String what)
            throws Exception {
        try {
            done.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (java.util.concurrent.TimeoutException e) {
            throw new AssertionError(what + " within " + PATIENCE.toSeconds() + " s");
        }
    }

    @Test
    @DisplayName("holds 8,000 long polls on the threads of 500, answers all, and forgets who leaves")
    void polls() throws Exception {
        try (Server server = start("02_long_polling");
                ManyClients crowd = new ManyClients(server.port)) {
            String path =
                    RawHttp.ask(server.port, "POST", "/payments", "{\"amount\":1}")
                            .header("location");
            String poll = crowd.get(path + "?after=1", "Prefer: wait=50");
            crowd.joinSilently(500, poll);
            settlesAt(server, "/waiting", 500, PATIENCE);
            long threads = threads(server);
            crowd.joinSilently(MANY - 500, poll);
            settlesAt(server, "/waiting", MANY, PATIENCE);
            assertEquals(threads, threads(server), "threads at " + MANY);
            CompletableFuture<Void> answers = crowd.expect("\"succeeded\"");
            RawHttp.ask(server.port, "PUT", path + "/status",
                    "{\"status\":\"succeeded\"}");
            within(answers, "all " + MANY + " are answered");
            crowd.leave(false);
            String other =
                    RawHttp.ask(server.port, "POST", "/payments", "{\"amount\":1}")
                            .header("location");
            for (boolean reset : new boolean[] {false, true}) {
                crowd.joinSilently(MANY,
                        crowd.get(other + "?after=1", "Prefer: wait=50"));
                settlesAt(server, "/waiting", MANY, PATIENCE);
                crowd.leave(reset);
                settlesAt(server, "/waiting", 0, PATIENCE);
            }
            assertEquals("", server.errors());
        }
    }

    @Test
    @DisplayName("holds 8,000 event streams on the threads of 500, reaches all, and forgets who leaves")
    void streams() throws Exception {
        try (Server server = start("04_server_sent_events");
                ManyClients crowd = new ManyClients(server.port)) {
            crowd.join(500, crowd.get("/events"), "retry: 1000");
            settlesAt(server, "/streams", 500, PATIENCE);
            publish(server, "first");
            long threads = threads(server);
            crowd.join(MANY - 500, crowd.get("/events"), "retry: 1000");
            settlesAt(server, "/streams", MANY, PATIENCE);
            CompletableFuture<Void> news = crowd.expect("data: second");
            publish(server, "second");
            within(news, "all " + MANY + " hear the event");
            assertEquals(threads, threads(server), "threads at " + MANY);
            for (boolean reset : new boolean[] {false, true}) {
                crowd.leave(reset);
                settlesAt(server, "/streams", 0, PATIENCE);
                crowd.join(reset ? 1 : MANY, crowd.get("/events"), "retry: 1000");
            }
            assertEquals("", server.errors());
        }
    }

    private static void publish(Server server, String data) throws Exception {
        assertEquals(202, RawHttp.ask(server.port, "POST", "/events",
                "{\"type\":\"message\",\"data\":\"" + data + "\"}").status());
    }

    @Test
    @DisplayName("holds 8,000 WebSocket clients on the threads of 500, reaches all, and forgets who leaves")
    void sockets() throws Exception {
        try (Server server = start("03_websocket");
                ManyClients crowd = new ManyClients(server.port)) {
            crowd.join(500, upgrade(crowd), "101 Switching");
            settlesAt(server, "/online", 500, PATIENCE);
            say(server, "first");
            settlesAt(server, "/online", 500, PATIENCE);
            long threads = threads(server);
            crowd.join(MANY - 500, upgrade(crowd), "101 Switching");
            settlesAt(server, "/online", MANY, PATIENCE);
            CompletableFuture<Void> news = crowd.expect("second");
            say(server, "second");
            within(news, "all " + MANY + " hear the message");
            settlesAt(server, "/online", MANY, PATIENCE);
            assertEquals(threads, threads(server), "threads at " + MANY);
            for (boolean reset : new boolean[] {false, true}) {
                crowd.leave(reset);
                settlesAt(server, "/online", 0, PATIENCE);
                crowd.join(reset ? 1 : MANY, upgrade(crowd), "101 Switching");
            }
            assertEquals("", server.errors());
        }
    }

    private static String upgrade(ManyClients crowd) {
        return crowd.get("/chat?name=crowd", RawHttp.UPGRADE);
    }

    /// Says one thing in the chat and leaves.
    private static void say(Server server, String text) throws Exception {
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.request("GET", "/chat?name=crowd", null, RawHttp.UPGRADE).head();
            raw.send(RawHttp.frame("{\"type\":\"message\",\"text\":\"" + text + "\"}"));
            StringBuilder heard = new StringBuilder();
            while (heard.indexOf("\"text\":\"" + text) < 0) {
                heard.append(new String(raw.bytes(1), StandardCharsets.ISO_8859_1));
            }
        }
    }

    @Test
    @DisplayName("lets an event stream that does not read delay nobody and exhaust nothing")
    void stalledStream() throws Exception {
        try (Server server = start("04_server_sent_events");
                ManyClients crowd = new ManyClients(server.port);
                RawHttp stalled = new RawHttp(server.port)) {
            stalled.send(crowd.get("/events"));
            crowd.join(10, crowd.get("/events"), "retry: 1000");
            settlesAt(server, "/streams", 11, PATIENCE);
            String filler = "x".repeat(60_000);
            for (int i = 0; i < 2_500; i++) {
                CompletableFuture<Void> heard = crowd.expect("event " + i + ".");
                publish(server, "event " + i + "." + filler);
                within(heard, "event " + i + " reaches those who read");
            }
            settlesAt(server, "/streams", 10, PATIENCE);
            assertTrue(stalled.endsWithin(10_000), "the laggard's stream ends");
            assertEquals("", server.errors());
        }
    }

    @Test
    @DisplayName("lets a WebSocket client that does not read delay nobody and exhaust nothing")
    void stalledSocket() throws Exception {
        try (Server server = start("03_websocket");
                ManyClients crowd = new ManyClients(server.port);
                RawHttp stalled = new RawHttp(server.port);
                RawHttp speaker = new RawHttp(server.port)) {
            stalled.send(upgrade(crowd)).head();
            crowd.join(10, upgrade(crowd), "101 Switching");
            speaker.send(upgrade(crowd)).head();
            Thread.ofVirtual().start(() -> {
                try {
                    speaker.endsWithin(120_000);
                } catch (java.io.IOException closed) {
                    assertTrue(speaker.socket.isClosed());
                }
            });
            settlesAt(server, "/online", 12, PATIENCE);
            String filler = "x".repeat(60_000);
            for (int i = 0; i < 1_200; i++) {
                CompletableFuture<Void> heard = crowd.expect("message " + i + ".");
                speaker.send(RawHttp.frame(
                        "{\"type\":\"message\",\"text\":\"message " + i + "." + filler
                                + "\"}"));
                within(heard, "message " + i + " reaches those who read");
            }
            settlesAt(server, "/online", 11, PATIENCE);
            assertTrue(stalled.endsWithin(10_000), "the laggard is cut");
            assertEquals("", server.errors());
        }
    }
}
