import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/// The yardstick of the fan-out: one thread, one selector, and for each client one write of the
/// same bytes. It reads no more of HTTP than it must, and keeps nothing for a slow client.
///
/// A request makes a client a member and is answered with the greeting. A member that sends
/// anything, or a POST or PUT, makes it write the event to all members. `GET` of the gauge tells
/// how many there are.
final class BareLoop {
    private static final byte[] DONE =
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".getBytes();

    private final String gauge;
    private final boolean once;
    private final byte[] greeting;
    private final ByteBuffer event;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(16 * 1024);
    private final List<SelectionKey> members = new ArrayList<>();

    private BareLoop(String gauge, boolean once, byte[] greeting, byte[] event) {
        this.gauge = "GET " + gauge + " ";
        this.once = once;
        this.greeting = greeting;
        this.event = ByteBuffer.allocateDirect(event.length).put(event).flip();
    }

    /// Arguments: the gauge's path, whether an event ends the membership, and in Base64 the
    /// greeting and the event.
    static void main(String... arguments) throws IOException {
        new BareLoop(arguments[0], Boolean.parseBoolean(arguments[1]),
                Base64.getDecoder().decode(arguments[2]),
                Base64.getDecoder().decode(arguments[3])).run();
    }

    private void run() throws IOException {
        Selector selector = Selector.open();
        ServerSocketChannel server = ServerSocketChannel.open();
        server.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0),
                10_000);
        server.configureBlocking(false);
        server.register(selector, SelectionKey.OP_ACCEPT);
        System.out
                .println("Bare loop  http://localhost:" + server.socket().getLocalPort()
                        + "/");
        while (true) {
            selector.select(key -> {
                try {
                    if (key.isAcceptable()) accept(server, selector);
                    else read(key);
                } catch (IOException gone) {
                    members.remove(key);
                    key.cancel();
                }
            });
        }
    }

    private static void accept(ServerSocketChannel server, Selector selector)
            throws IOException {
        for (SocketChannel client = server.accept(); client != null;
                client = server.accept()) {
            client.configureBlocking(false);
            client.setOption(StandardSocketOptions.TCP_NODELAY, true);
            client.register(selector, SelectionKey.OP_READ);
        }
    }

    private void read(SelectionKey key) throws IOException {
        SocketChannel client = (SocketChannel) key.channel();
        buffer.clear();
        if (client.read(buffer) < 0) {
            client.close();
            throw new IOException("end");
        }
        byte[] head = new byte[Math.min(buffer.flip().remaining(), gauge.length())];
        buffer.get(head);
        String request = new String(head, StandardCharsets.ISO_8859_1);
        if (request.equals(gauge)) {
            String count = "" + members.size();
            client.write(ByteBuffer.wrap(("HTTP/1.1 200 OK\r\nContent-Length: "
                    + count.length() + "\r\n\r\n" + count).getBytes()));
        } else if (key.attachment() != null || request.startsWith("P")) {
            if (key.attachment() == null) client.write(ByteBuffer.wrap(DONE));
            tell();
        } else {
            client.write(ByteBuffer.wrap(greeting));
            members.add(key);
            if (!once) key.attach(this);
        }
    }

    private void tell() throws IOException {
        for (SelectionKey member : members) {
            ((SocketChannel) member.channel()).write(event.rewind());
        }
        if (once) members.clear();
    }
}
