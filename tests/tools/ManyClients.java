import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// Thousands of clients on one thread: each sends its request and reads what comes.
final class ManyClients implements AutoCloseable {
    private static final int AT_ONCE = 256;

    /// A client, and how much of the awaited text it has read last.
    private static final class Client {
        final SocketChannel channel;
        final ByteBuffer request;
        int matched;
        boolean found;

        Client(SocketChannel channel, ByteBuffer request) {
            this.channel = channel;
            this.request = request;
        }
    }

    private final int port;
    private final Selector selector = Selector.open();
    private final List<Client> clients = new ArrayList<>();
    private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(64 * 1024);
    private byte[] awaited = {0};
    private byte[] reply = {};
    private CompletableFuture<Void> all = new CompletableFuture<>();
    private int missing;
    private int ended;

    ManyClients(int port) throws IOException {
        this.port = port;
        Thread.ofPlatform().daemon().name("crowd").start(this::run);
    }

    /// A GET of the server. `fields` are whole header lines.
    String get(String target, String... fields) {
        StringBuilder request = new StringBuilder(
                "GET " + target + " HTTP/1.1\r\nHost: localhost:" + port + "\r\n");
        for (String field : fields) request.append(field).append("\r\n");
        return request + "\r\n";
    }

    /// Lets `count` more clients connect and send `request`, and waits until each has read
    /// `greeting`. A few hundred connect at a time, as a listening socket's queue is short.
    void join(int count, String request, String greeting) throws Exception {
        byte[] bytes = request.getBytes(StandardCharsets.UTF_8);
        for (int done = 0; done < count; done += AT_ONCE) {
            int some = Math.min(AT_ONCE, count - done);
            await(greeting, () -> {
                for (Client each : clients) each.found = true;
                for (int i = 0; i < some; i++) add(bytes);
                missing = some;
            });
        }
    }

    /// The same for clients whose request is held: nothing comes back.
    void joinSilently(int count, String request) throws Exception {
        byte[] bytes = request.getBytes(StandardCharsets.UTF_8);
        call(() -> {
            for (int i = 0; i < count; i++) add(bytes);
        });
    }

    /// Completes when every client has read `text` after this call.
    CompletableFuture<Void> expect(String text) throws Exception {
        return expect(text, "");
    }

    /// The same; each client sends `then` as soon as it has read `text`.
    CompletableFuture<Void> expect(String text, String then) throws Exception {
        CompletableFuture<Void> future = new CompletableFuture<>();
        call(() -> {
            awaited = text.getBytes(StandardCharsets.UTF_8);
            reply = then.getBytes(StandardCharsets.UTF_8);
            all = future;
            missing = clients.size();
            for (Client each : clients) {
                each.matched = 0;
                each.found = false;
            }
        });
        return future;
    }

    /// Lets the first client send.
    void send(byte[] bytes) throws Exception {
        call(() -> {
            try {
                clients.getFirst().channel.write(ByteBuffer.wrap(bytes));
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /// How many clients the server has cut or let go.
    int ended() throws Exception {
        int[] seen = {0};
        call(() -> seen[0] = ended);
        return seen[0];
    }

    /// Closes all connections, in order or with a TCP reset.
    void leave(boolean reset) throws Exception {
        call(() -> {
            for (Client each : clients) {
                try {
                    if (reset) each.channel.setOption(StandardSocketOptions.SO_LINGER,
                            0);
                    each.channel.close();
                } catch (IOException gone) {
                    ended++;
                }
            }
            clients.clear();
        });
    }

    private void await(String text, Runnable start) throws Exception {
        CompletableFuture<Void> future = new CompletableFuture<>();
        call(() -> {
            awaited = text.getBytes(StandardCharsets.UTF_8);
            reply = new byte[0];
            all = future;
            start.run();
        });
        try {
            future.get(30, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new AssertionError(missing + " clients have not read '" + text + "', "
                    + ended + " were cut");
        }
    }

    private void call(Runnable task) throws Exception {
        CompletableFuture<Void> done = new CompletableFuture<>();
        tasks.add(() -> {
            try {
                task.run();
                done.complete(null);
            } catch (RuntimeException e) {
                done.completeExceptionally(e);
            }
        });
        selector.wakeup();
        done.get(30, TimeUnit.SECONDS);
    }

    private void add(byte[] request) {
        try {
            SocketChannel channel = SocketChannel.open();
            channel.configureBlocking(false);
            Client client = new Client(channel, ByteBuffer.wrap(request));
            channel.register(selector, SelectionKey.OP_CONNECT, client);
            channel.connect(new InetSocketAddress("127.0.0.1", port));
            clients.add(client);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void run() {
        try {
            while (selector.isOpen()) {
                selector.select();
                for (Runnable task = tasks.poll(); task != null;
                        task = tasks.poll()) task.run();
                for (SelectionKey key : selector.selectedKeys()) serve(key);
                selector.selectedKeys().clear();
            }
        } catch (IOException | java.nio.channels.ClosedSelectorException closed) {
            all.completeExceptionally(closed);
        }
    }

    private void serve(SelectionKey key) {
        Client client = (Client) key.attachment();
        if (!key.isValid()) return;
        try {
            if (key.isConnectable() && client.channel.finishConnect()) {
                key.interestOps(SelectionKey.OP_WRITE);
            } else if (key.isWritable()) {
                client.channel.write(client.request);
                if (!client.request.hasRemaining()) key
                        .interestOps(SelectionKey.OP_READ);
            } else if (key.isReadable()) {
                read(client);
            }
        } catch (IOException cut) {
            ended++;
            key.cancel();
        }
    }

    private void read(Client client) throws IOException {
        buffer.clear();
        int count = client.channel.read(buffer);
        if (count < 0) throw new IOException("end");
        buffer.flip();
        while (!client.found && buffer.hasRemaining()) {
            byte next = buffer.get();
            client.matched = next == awaited[client.matched] ? client.matched + 1
                    : next == awaited[0] ? 1 : 0;
            if (client.matched < awaited.length) continue;
            client.matched = 0;
            client.found = true;
            if (reply.length > 0) client.channel.write(ByteBuffer.wrap(reply));
            if (--missing == 0) all.complete(null);
        }
    }

    @Override
    public void close() throws Exception {
        leave(false);
        selector.close();
    }
}
