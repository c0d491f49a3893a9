import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import shared.cable.Cable;

@DisplayName("The cable")
class CableTest {
    private static final InetAddress LOCAL = InetAddress.getLoopbackAddress();
    private static final Duration HOUR = Duration.ofHours(1);
    private static final String HEAD = "GET /x HTTP/1.1\r\nHost: a\r\n";
    private static final String ASKS =
            HEAD + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    private final List<AutoCloseable> opened = new ArrayList<>();
    private final BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    private final BlockingQueue<Integer> begun = new LinkedBlockingQueue<>();
    private final AtomicInteger last = new AtomicInteger();
    private final AtomicLong bytesRead = new AtomicLong();
    private volatile Runnable onRead = () -> {};
    private Cable cable;
    private ServerSocket server;

    @BeforeEach
    void plugIn() throws Exception {
        cable = keep(new Cable());
        server = serve();
        cable.target(server.getLocalPort());
        cable.listen(this::watch);
    }

    @AfterEach
    void unplug() throws Exception {
        for (AutoCloseable one : opened.reversed()) one.close();
    }

    /// Tells what the cable says of the connection with this number.
    private Cable.Listener.Seen watch() {
        int number = last.incrementAndGet();
        begun.add(number);
        return new Cable.Listener.Seen() {
            @Override
            public void read(ByteBuffer some) {
                bytesRead.addAndGet(some.remaining());
                if (some.remaining() < 100) seen.add(number + ">" + text(some));
                onRead.run();
            }

            @Override
            public void wrote(ByteBuffer some) {
                if (some.remaining() < 100) seen.add(number + "<" + text(some));
            }

            @Override
            public void closed() {
                seen.add(number + ".");
            }
        };
    }

    private static String text(ByteBuffer some) {
        return ISO_8859_1.decode(some).toString();
    }

    private <T extends AutoCloseable> T keep(T one) {
        opened.add(one);
        return one;
    }

    private ServerSocket serve() throws IOException {
        ServerSocket one = keep(new ServerSocket(0, 1_000, LOCAL));
        one.setSoTimeout(10_000);
        return one;
    }

    private Socket client() throws IOException {
        return ready(new Socket(LOCAL, cable.port()));
    }

    private Socket far() throws IOException {
        return ready(server.accept());
    }

    private Socket ready(Socket socket) throws IOException {
        socket.setSoTimeout(10_000);
        socket.setTcpNoDelay(true);
        return keep(socket);
    }

    private static void send(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(ISO_8859_1));
    }

    private static void assertComes(String text, Socket socket) throws IOException {
        byte[] bytes = socket.getInputStream().readNBytes(text.length());
        assertEquals(text, new String(bytes, ISO_8859_1));
    }

    private static void assertEnds(Socket socket) throws IOException {
        assertEquals(-1, socket.getInputStream().read());
    }

    private static void assertReset(Socket socket) {
        var thrown =
                assertThrows(SocketException.class,
                        () -> socket.getInputStream().read());
        assertEquals("Connection reset", thrown.getMessage());
    }

    /// Neither a byte nor an end nor a reset has come so far.
    private static void assertSilent(Socket socket) throws IOException {
        socket.setSoTimeout(1);
        assertThrows(SocketTimeoutException.class,
                () -> socket.getInputStream().read());
        socket.setSoTimeout(10_000);
    }

    /// What was sent before has been seen by the cable when this returns: its thread has accepted
    /// one connection after the other, and looks at all sockets before each.
    private void letGoRound() throws Exception {
        for (int i = 0; i < 3; i++) {
            begun.clear();
            client();
            assertNotNull(begun.poll(10, TimeUnit.SECONDS),
                    "the cable does not accept");
        }
    }

    /// Passes over what the cable tells before.
    private void assertSeen(String wanted) throws Exception {
        String next;
        do {
            next = seen.poll(10, TimeUnit.SECONDS);
            assertNotNull(next, "not told: " + wanted);
        } while (!next.equals(wanted));
    }

    private static long since(long start) {
        return (System.nanoTime() - start) / 1_000_000;
    }

    private static byte[] random(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    /// Sends on a thread of its own, then ends.
    private static CompletableFuture<Void> sendAll(Socket socket, byte[] bytes) {
        return sendAll(socket, bytes, true);
    }

    private static CompletableFuture<Void> sendAll(Socket socket, byte[] bytes,
            boolean ends) {
        return CompletableFuture.runAsync(() -> {
            try {
                socket.getOutputStream().write(bytes);
                if (ends) socket.shutdownOutput();
            } catch (IOException broken) {
                throw new java.io.UncheckedIOException(broken);
            }
        }, Thread::startVirtualThread);
    }

    @Test
    @DisplayName("passes 2 MB both ways at once unharmed, and each end")
    void passes() throws Exception {
        Socket client = client();
        Socket far = far();
        byte[] up = random(2_000_000);
        byte[] down = random(2_000_001);
        var sent = List.of(sendAll(client, up), sendAll(far, down));
        var atFar = CompletableFuture.supplyAsync(() -> readAll(far),
                Thread::startVirtualThread);
        assertArrayEquals(down, readAll(client));
        assertArrayEquals(up, atFar.get(20, TimeUnit.SECONDS));
        for (var one : sent) one.get(1, TimeUnit.SECONDS);
        assertSeen("1.");
        assertEquals(0, cable.open());
    }

    private static byte[] readAll(Socket socket) {
        try {
            return socket.getInputStream().readAllBytes();
        } catch (IOException broken) {
            throw new java.io.UncheckedIOException(broken);
        }
    }

    @Test
    @DisplayName("passes a half-close on; the other direction goes on")
    void halfClose() throws Exception {
        Socket client = client();
        Socket far = far();
        send(client, "question");
        client.shutdownOutput();
        assertComes("question", far);
        assertEnds(far);
        send(far, "answer");
        assertComes("answer", client);
        far.close();
        assertEnds(client);
    }

    @Test
    @DisplayName("makes a reset of one side a reset of the other")
    void resets() throws Exception {
        for (boolean fromClient : new boolean[] {true, false}) {
            Socket client = client();
            Socket far = far();
            Socket breaks = fromClient ? client : far;
            breaks.setSoLinger(true, 0);
            breaks.close();
            assertReset(fromClient ? far : client);
        }
    }

    @Test
    @DisplayName("frozen: sends succeed and nothing comes, no end either; a thaw delivers in order")
    void freezes() throws Exception {
        Socket client = client();
        Socket far = far();
        send(client, "before ");
        assertComes("before ", far);
        cable.freeze();
        assertTrue(cable.isFrozen());
        send(client, "up");
        client.shutdownOutput();
        send(far, "down");
        far.shutdownOutput();
        Socket late = client();
        send(late, "late");
        letGoRound();
        assertSilent(far);
        assertSilent(client);
        assertEquals("before ".length(), bytesRead.get());
        cable.thaw();
        assertFalse(cable.isFrozen());
        assertComes("up", far);
        assertEnds(far);
        assertComes("down", client);
        assertEnds(client);
        assertComes("late", far());
    }

    @Test
    @DisplayName("frozen: keeps back a reset, too")
    void freezesReset() throws Exception {
        Socket client = client();
        Socket far = far();
        cable.freeze();
        client.setSoLinger(true, 0);
        client.close();
        letGoRound();
        assertSilent(far);
        cable.thaw();
        assertReset(far);
    }

    @Test
    @DisplayName("reads not one byte more when freeze() has returned, in the midst of a flood")
    void freezesAtOnce() throws Exception {
        Socket client = client();
        Socket far = far();
        var flood = CompletableFuture.runAsync(() -> {
            while (true) sendAll(client, random(100_000), false).join();
        }, Thread::startVirtualThread);
        far.getInputStream().readNBytes(100_000);
        var rest = CompletableFuture.supplyAsync(() -> readAll(far),
                Thread::startVirtualThread);
        for (int i = 0; i < 20; i++) {
            cable.freeze();
            long before = bytesRead.get();
            letGoRound();
            assertEquals(before, bytesRead.get());
            cable.thaw();
        }
        cable.cut();
        assertThrows(ExecutionException.class, () -> flood.get(10, TimeUnit.SECONDS));
        assertThrows(ExecutionException.class, () -> rest.get(10, TimeUnit.SECONDS));
    }

    /// The wait is for code that is wrong: where it is right, `freeze` cannot return before.
    @Test
    @DisplayName("freeze() returns when the read that is under way has ended")
    void freezeWaits() throws Exception {
        Socket client = client();
        Socket far = far();
        var early = new CompletableFuture<Boolean>();
        onRead = () -> {
            Thread freezer = Thread.ofVirtual().start(cable::freeze);
            try {
                early.complete(freezer.join(Duration.ofMillis(100)));
            } catch (InterruptedException stop) {
                early.completeExceptionally(stop);
            }
        };
        send(client, "x");
        assertFalse(early.get(10, TimeUnit.SECONDS));
        cable.thaw();
        assertComes("x", far);
    }

    @Test
    @DisplayName("frozen: takes less than 100 KB from a sender that has a small buffer, in either direction")
    void smallBuffers() throws Exception {
        try (var listening = ServerSocketChannel.open()) {
            listening.bind(new InetSocketAddress(LOCAL, 0));
            cable.target(listening.socket().getLocalPort());
            SocketChannel client =
                    keep(SocketChannel
                            .open(new InetSocketAddress(LOCAL, cable.port())));
            listening.socket().setSoTimeout(10_000);
            SocketChannel far = ready(listening.socket().accept()).getChannel();
            ready(client.socket());
            cable.freeze();
            int up = fill(client);
            int down = fill(far);
            assertTrue(up < 100_000 && down < 100_000, up + " and " + down + " bytes");
            cable.thaw();
            assertEquals(up, far.socket().getInputStream().readNBytes(up).length);
            assertEquals(down,
                    client.socket().getInputStream().readNBytes(down).length);
        }
    }

    /// With the buffer that Linux gives to a sender on loopback it takes 2 MB and more; only the
    /// sender can ask for less. The wait at the end is for buffers that are too large.
    ///
    /// @return how many bytes the system takes
    private static int fill(SocketChannel socket) throws IOException {
        socket.setOption(StandardSocketOptions.SO_SNDBUF, 16_384);
        socket.configureBlocking(false);
        int all = 0;
        try (Selector selector = Selector.open()) {
            socket.register(selector, SelectionKey.OP_WRITE);
            while (selector.select(100) > 0) {
                selector.selectedKeys().clear();
                all += socket.write(ByteBuffer.allocate(1_000));
            }
        }
        socket.configureBlocking(true);
        return all;
    }

    @Test
    @DisplayName("cut: a reset on both sides, with what was under way, frozen or not")
    void cuts() throws Exception {
        for (boolean frozen : new boolean[] {false, true}) {
            Socket client = client();
            Socket far = far();
            if (frozen) cable.freeze();
            if (frozen) send(client, "lost");
            cable.cut();
            assertEquals(0, cable.open());
            assertReset(client);
            assertReset(far);
            cable.thaw();
        }
        Socket client = client();
        send(client, "whole again");
        assertComes("whole again", far());
    }

    @Test
    @DisplayName("cut: the resets have been sent when it returns")
    void cutsAtOnce() throws Exception {
        for (int i = 0; i < 20; i++) {
            try (var client = SocketChannel
                    .open(new InetSocketAddress(LOCAL, cable.port()))) {
                client.configureBlocking(false);
                cable.cut();
                assertThrows(SocketException.class,
                        () -> client.read(ByteBuffer.allocate(1)));
            }
        }
    }

    @Test
    @DisplayName("throttle: 20 KB at 20 KB/s take their time and come whole; the other way is free")
    void throttles() throws Exception {
        cable.throttle(20_000);
        Socket client = client();
        Socket far = far();
        byte[] bytes = random(20_000);
        long start = System.nanoTime();
        sendAll(far, bytes);
        assertArrayEquals(bytes, readAll(client));
        assertTrue(since(start) >= 800, since(start) + " ms");
        byte[] many = random(1_000_000);
        sendAll(client, many);
        assertArrayEquals(many, readAll(far));
    }

    @Test
    @DisplayName("throttle(0) sets free what waits")
    void throttleEnds() throws Exception {
        cable.throttle(1);
        Socket client = client();
        Socket far = far();
        send(far, "x".repeat(1_000));
        assertComes("x", client);
        cable.throttle(0);
        assertComes("x".repeat(999), client);
    }

    @Test
    @DisplayName("hold: bytes wait until so many have come, then go in one piece")
    void holdsCount() throws Exception {
        cable.hold(10, HOUR);
        Socket client = client();
        Socket far = far();
        send(far, "123456789");
        letGoRound();
        assertSilent(client);
        send(far, "0");
        assertComes("1234567890", client);
        assertEquals("1<1234567890", seen.poll(10, TimeUnit.SECONDS));
        send(far, "again");
        letGoRound();
        assertSilent(client);
        cable.hold(0, Duration.ZERO);
        assertComes("again", client);
        cable.hold(1_000_000, HOUR);
        byte[] bytes = random(999_999);
        sendAll(far, bytes);
        assertArrayEquals(bytes, readAll(client));
    }

    @Test
    @DisplayName("hold: or until the time has passed")
    void holdsTime() throws Exception {
        cable.hold(1_000, Duration.ofMillis(200));
        Socket client = client();
        Socket far = far();
        for (int i = 0; i < 2; i++) {
            long start = System.nanoTime();
            send(far, "held");
            assertComes("held", client);
            assertTrue(since(start) >= 200, since(start) + " ms");
        }
    }

    @Test
    @DisplayName("refuses an upgrade with 403, in pieces and as a later request, too")
    void refuses() throws Exception {
        cable.refuseUpgrades(true);
        for (String before : new String[] {"", HEAD + "\r\n"}) {
            Socket client = client();
            Socket far = far();
            send(client, before);
            assertComes(before, far);
            for (String piece : ASKS.split("(?<=\n)")) {
                send(client, piece);
                assertSeen(last.get() + ">" + piece);
            }
            String answer = new String(readAll(client), ISO_8859_1);
            assertTrue(answer.startsWith("HTTP/1.1 403 Forbidden\r\n"), answer);
            assertTrue(answer.endsWith("\r\n\r\n"), answer);
            assertEnds(far);
        }
    }

    @Test
    @DisplayName("refuses no plain request, no word in a body, no offer of h2c, nothing upgraded")
    void refusesNothingElse() throws Exception {
        Socket upgraded = client();
        Socket farUpgraded = far();
        send(upgraded, ASKS);
        assertComes(ASKS, farUpgraded);
        cable.refuseUpgrades(true);
        Socket client = client();
        Socket far = far();
        String[] pass = {HEAD + "\r\n",
            HEAD + "Content-Length: " + ASKS.length() + "\r\n\r\n" + ASKS,
            HEAD + "Upgrade: h2c\r\n\r\n", HEAD + "X-Upgrade: websocket\r\n\r\n",
            HEAD + "X: " + "y".repeat(20_000) + "\r\n\r\n"};
        for (String one : pass) {
            send(client, one);
            assertComes(one, far);
        }
        send(upgraded, ASKS);
        assertComes(ASKS, farUpgraded);
    }

    @Test
    @DisplayName("ends a connection so long after it began, with a FIN to both sides")
    void ends() throws Exception {
        Socket first = client();
        Socket farFirst = far();
        cable.endAfter(200);
        long start = System.nanoTime();
        Socket client = client();
        Socket far = far();
        send(client, "up");
        assertComes("up", far);
        assertEnds(client);
        assertEnds(far);
        assertTrue(since(start) >= 200, since(start) + " ms");
        cable.endAfter(0);
        send(first, "goes on");
        assertComes("goes on", farFirst);
    }

    @Test
    @DisplayName("ends what is upgraded so long after its request, with a FIN to both sides, nothing else")
    void endsUpgraded() throws Exception {
        cable.endUpgradedAfter(200);
        Socket plain = client();
        Socket farPlain = far();
        Socket client = client();
        Socket far = far();
        Socket later = client();
        Socket farLater = far();
        send(client, HEAD + "\r\n");
        assertComes(HEAD, far);
        letGoRound();
        assertSilent(client);
        long start = System.nanoTime();
        send(client, ASKS);
        send(far, "101");
        assertComes("101", client);
        assertEnds(client);
        assertTrue(since(start) >= 200, since(start) + " ms");
        assertComes("\r\n" + ASKS, far);
        assertEnds(far);
        send(plain, HEAD + "\r\n");
        assertComes(HEAD + "\r\n", farPlain);
        cable.endUpgradedAfter(0);
        send(later, ASKS);
        assertComes(ASKS, farLater);
        letGoRound();
        assertSilent(later);
    }

    @Test
    @DisplayName("keeps what follows the head of the answer to an upgrade, until the server ends")
    void keepsUpgraded() throws Exception {
        cable.keepUpgraded(true);
        Socket client = client();
        Socket far = far();
        Socket plain = client();
        Socket farPlain = far();
        send(client, ASKS);
        assertComes(ASKS, far);
        send(far, "HTTP/1.1 101 Y\r\n\r");
        letGoRound();
        assertSilent(client);
        send(far, "\nframe");
        assertComes("HTTP/1.1 101 Y\r\n\r\n", client);
        send(client, "up");
        assertComes("up", far);
        send(far, "\r\n\r\n");
        letGoRound();
        assertSilent(client);
        far.close();
        assertComes("frame\r\n\r\n", client);
        assertEnds(client);
        send(plain, HEAD + "\r\n");
        assertComes(HEAD, farPlain);
        send(farPlain, "HTTP/1.1 200 Y\r\n\r\nbody");
        assertComes("HTTP/1.1 200 Y\r\n\r\nbody", plain);
    }

    @Test
    @DisplayName("new connections go to the new target, the others stay where they are")
    void changesTarget() throws Exception {
        Socket old = client();
        Socket farOld = far();
        int port = cable.port();
        server = serve();
        cable.target(server.getLocalPort());
        Socket client = client();
        send(client, "new");
        assertComes("new", far());
        send(old, "old");
        assertComes("old", farOld);
        assertEquals(port, cable.port());
    }

    @Test
    @DisplayName("connections wait for a target; one that refuses makes them a reset")
    void targets() throws Exception {
        try (Cable early = new Cable()) {
            Socket client = ready(new Socket(LOCAL, early.port()));
            send(client, "early");
            assertEquals(1, early.open());
            early.target(server.getLocalPort());
            assertComes("early", far());
            server.close();
            assertReset(ready(new Socket(LOCAL, early.port())));
        }
    }

    @Test
    @DisplayName("close() resets all and leaves neither port nor thread")
    void closes() throws Exception {
        Socket client = client();
        Socket far = far();
        cable.freeze();
        cable.close();
        assertReset(client);
        assertReset(far);
        assertThrows(ConnectException.class, this::client);
        new ServerSocket(cable.port(), 1, LOCAL).close();
        String name = "cable-" + cable.port();
        assertFalse(Thread.getAllStackTraces().keySet().stream()
                .anyMatch(thread -> thread.getName().equals(name)));
        cable.close();
        cable.thaw();
        cable.cut();
        assertEquals(0, cable.open());
    }

    @Test
    @DisplayName("bears 300 connections at once, made while frozen")
    void many() throws Exception {
        cable.freeze();
        List<Socket> clients = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            clients.add(client());
            send(clients.get(i), "%03d".formatted(i));
        }
        assertEquals(300, cable.open());
        cable.thaw();
        for (int i = 0; i < 300; i++) {
            Socket far = far();
            send(far, new String(far.getInputStream().readNBytes(3), ISO_8859_1));
        }
        for (int i = 0; i < 300; i++) assertComes("%03d".formatted(i), clients.get(i));
        assertEquals(300, cable.open());
    }

    @Test
    @DisplayName("tells of each connection what was read from the client and written to it")
    void listens() throws Exception {
        Socket first = client();
        Socket farFirst = far();
        Socket second = client();
        Socket farSecond = far();
        send(first, "a");
        assertComes("a", farFirst);
        send(second, "b");
        assertComes("b", farSecond);
        send(farSecond, "c");
        assertComes("c", second);
        onRead = cable::freeze;
        send(first, "not delivered");
        assertEquals("1>a", seen.poll(10, TimeUnit.SECONDS));
        assertEquals("2>b", seen.poll(10, TimeUnit.SECONDS));
        assertEquals("2<c", seen.poll(10, TimeUnit.SECONDS));
        assertEquals("1>not delivered", seen.poll(10, TimeUnit.SECONDS));
        letGoRound();
        assertSilent(farFirst);
        cable.thaw();
        assertComes("not delivered", farFirst);
        cable.cut();
        assertTrue(seen.containsAll(List.of("1.", "2.")), seen.toString());
    }

    @Test
    @DisplayName("lets a listener change everything, and close it, too")
    void listenerActs() throws Exception {
        for (Runnable act : List.<Runnable>of(cable::cut, cable::close)) {
            Socket client = client();
            Socket far = far();
            onRead = act;
            send(client, "x");
            assertReset(far);
            assertReset(client);
        }
    }
}
