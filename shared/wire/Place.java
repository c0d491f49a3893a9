package shared.wire;

import java.net.Socket;

/// One end of connections, such as a server: a row says at which place its bytes were seen.
public final class Place {
    /// The view that shows what is seen here.
    public final Wire wire;
    final String name;

    Place(Wire wire, String name) {
        this.wire = wire;
        this.name = name;
    }

    /// Follows an HTTP connection that somebody else reads and writes, for example a relay.
    public Conversation conversation() {
        return conversation(Protocol.HTTP);
    }

    /// The same for another protocol. This place is the server: what it reads are requests.
    public Conversation conversation(Protocol protocol) {
        return new Conversation(this, null, protocol);
    }

    /// A socket, not connected yet, for a connection that this place opens itself: what it
    /// writes are requests. A TLS socket that is laid over it shows nothing readable.
    ///
    /// @param peer the name of the other end
    public Socket socket(String peer, Protocol protocol) {
        return new Hop(new Conversation(this, peer, protocol));
    }
}
