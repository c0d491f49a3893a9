package grader.build;

import jakarta.websocket.Endpoint;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.Session;
import shared.Routes;
import shared.websocket.Broadcast;
import shared.websocket.Sockets;

/// Tells all clients of a WebSocket what one of them has said.
final class WarmSocket extends Endpoint {
    private static final Broadcast ALL = new Broadcast(10, 1_000);

    static void mount(Routes routes) {
        routes.get("/echo",
                Sockets.upgrade("/echo", "warm", exchange -> {}, WarmSocket::new));
    }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        ALL.add(ALL.member(session, config));
        session.addMessageHandler(String.class, text -> ALL.tell(text.getBytes()));
    }
}
