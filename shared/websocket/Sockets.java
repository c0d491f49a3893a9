package shared.websocket;

//DEPS io.undertow:undertow-servlet:2.3.26.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final

import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import io.undertow.server.protocol.http.HttpServerConnection;
import io.undertow.servlet.Servlets;
import io.undertow.servlet.handlers.ServletRequestContext;
import io.undertow.util.HeaderMap;
import io.undertow.util.HeaderValues;
import io.undertow.util.Headers;
import io.undertow.util.Methods;
import io.undertow.util.Protocols;
import io.undertow.websockets.core.WebSocketCallback;
import io.undertow.websockets.core.WebSocketChannel;
import io.undertow.websockets.core.WebSockets;
import io.undertow.websockets.jsr.UndertowSession;
import io.undertow.websockets.jsr.WebSocketDeploymentInfo;
import jakarta.servlet.ServletException;
import jakarta.websocket.CloseReason;
import jakarta.websocket.Endpoint;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.HandshakeResponse;
import jakarta.websocket.Session;
import jakarta.websocket.server.HandshakeRequest;
import jakarta.websocket.server.ServerContainer;
import jakarta.websocket.server.ServerEndpointConfig;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.xnio.IoUtils;
import org.xnio.Options;
import org.xnio.StreamConnection;
import org.xnio.XnioIoThread;
import shared.Problem;
import shared.Serve;

/// Brings a Jakarta WebSocket endpoint to a path of [shared.Routes], on the threads and buffers of
/// [Serve]. What Jakarta's container leaves to the application is refused before the upgrade.
public final class Sockets {
    private static final String CONNECTION = StreamConnection.class.getName();

    /// Of what a client sends, in bytes; a longer message ends the connection with 1009.
    private static final int MAX_MESSAGE = 64 * 1024;

    private Sockets() {}

    /// A handler that upgrades. Each connection gets an endpoint of its own from `endpoints`; its
    /// class need not be public, as the container does not create it. On the connection's I/O
    /// thread `onOpen` is called, before any message, and `onClose` once, only after it.
    ///
    /// @param path as given to [shared.Routes#get]
    /// @param subprotocol the one that is selected where the client offers it
    /// @param check throws a [Problem] where the handshake is right but its query is not
    public static HttpHandler upgrade(String path, String subprotocol,
            Consumer<HttpServerExchange> check,
            Supplier<? extends Endpoint> endpoints) {
        var endpoint = ServerEndpointConfig.Builder.create(Endpoint.class, path)
                .subprotocols(List.of(subprotocol))
                .configurator(new Configurator(endpoints)).build();
        var sockets = new WebSocketDeploymentInfo().addEndpoint(endpoint)
                .setWorker(Serve.WORKER).setBuffers(Serve.BUFFERS);
        var deployment = Servlets.newContainer().addDeployment(Servlets.deployment()
                .setClassLoader(Sockets.class.getClassLoader())
                .setContextPath("/").setDeploymentName(path)
                .addServletContextAttribute(
                        WebSocketDeploymentInfo.ATTRIBUTE_NAME, sockets));
        deployment.deploy();
        try {
            HttpHandler container = deployment.start();
            bound((ServerContainer) deployment.getDeployment().getServletContext()
                    .getAttribute(ServerContainer.class.getName()));
            return exchange -> {
                requireUpgrade(exchange);
                check.accept(exchange);
                exchange.setRequestURI(path);
                exchange.setRelativePath(path);
                container.handleRequest(exchange);
            };
        } catch (ServletException e) {
            throw new IllegalStateException(e);
        }
    }

    /// What Undertow takes without a bound: whoever wants less or more says so for its session.
    private static void bound(ServerContainer container) {
        container.setDefaultMaxTextMessageBufferSize(MAX_MESSAGE);
        container.setDefaultMaxBinaryMessageBufferSize(MAX_MESSAGE);
    }

    /// The connection below the session: its bytes, not its frames.
    public static StreamConnection connection(EndpointConfig config) {
        return (StreamConnection) config.getUserProperties().get(CONNECTION);
    }

    /// Undertow's side of the session: its I/O thread, and sending without blocking.
    public static WebSocketChannel channel(Session session) {
        return ((UndertowSession) session).getWebSocketChannel();
    }

    /// Sends a text.
    ///
    /// @param taken runs once, on the connection's I/O thread, when the socket has taken all of it;
    /// where that fails the connection ends
    public static void send(WebSocketChannel channel, byte[] text, Runnable taken) {
        AtomicBoolean done = new AtomicBoolean(); // where it ends, Undertow may tell twice
        WebSockets.sendText(ByteBuffer.wrap(text), channel, new WebSocketCallback<>() {
            @Override
            public void complete(WebSocketChannel same, Void nothing) {
                if (!done.getAndSet(true)) channel.getIoThread().execute(taken);
            }

            @Override
            public void onError(WebSocketChannel same, Void nothing, Throwable broken) {
                IoUtils.safeClose(channel);
            }
        });
    }

    /// Asks for a send buffer of this size in the kernel, in bytes. Linux doubles it.
    public static void sendBuffer(EndpointConfig config, int size) {
        try {
            connection(config).setOption(Options.SEND_BUFFER, size);
        } catch (IOException broken) {
            // The connection ends, and `onClose` is called.
        }
    }

    /// Begins the closing handshake (RFC 6455 section 7). `onClose` is called at once.
    public static void close(Session session, int code) {
        try {
            session.close(
                    new CloseReason(CloseReason.CloseCodes.getCloseCode(code), ""));
        } catch (IOException broken) {
            IoUtils.safeClose(channel(session));
        }
    }

    /// RFC 6455 section 4.2.1 and 4.2.2: an upgrade, of version 13, with a key.
    ///
    /// @throws Problem 426 or 400
    private static void requireUpgrade(HttpServerExchange exchange) {
        HeaderMap request = exchange.getRequestHeaders();
        boolean asks = exchange.getRequestMethod().equals(Methods.GET)
                && exchange.getProtocol().equals(Protocols.HTTP_1_1)
                && lists(request.get(Headers.UPGRADE), "websocket")
                && lists(request.get(Headers.CONNECTION), "upgrade");
        if (!asks || !matches(request.get(Headers.SEC_WEB_SOCKET_VERSION), "13")) {
            exchange.getResponseHeaders()
                    .put(Headers.SEC_WEB_SOCKET_VERSION, "13")
                    .put(Headers.CONNECTION, "Upgrade");
            throw new Problem(426, "Ask for an upgrade to WebSocket, version 13.")
                    .with("Upgrade", "websocket");
        }
        if (!matches(request.get(Headers.SEC_WEB_SOCKET_KEY), "[A-Za-z0-9+/]{22}==")) {
            throw new Problem(400, "Sec-WebSocket-Key must be 16 bytes in Base64.");
        }
        HeaderValues offered = request.get(Headers.SEC_WEB_SOCKET_PROTOCOL);
        if (offered != null) {
            request.put(Headers.SEC_WEB_SOCKET_PROTOCOL, String.join(",", offered));
        }
        request.remove(Headers.SEC_WEB_SOCKET_EXTENSIONS);
    }

    private static boolean lists(HeaderValues lines, String token) {
        return lines != null && List.of(String.join(",", lines).toLowerCase(Locale.ROOT)
                .split("[\\s,]+")).contains(token);
    }

    private static boolean matches(HeaderValues lines, String pattern) {
        return lines != null && lines.size() == 1 && lines.getFirst().matches(pattern);
    }

    /// The container calls `onOpen` on a worker thread, also for a client that has gone meanwhile,
    /// for which it never calls `onClose`. It reads messages when `onOpen` has returned.
    private static final class Ordered extends Endpoint {
        private final Endpoint endpoint;
        private volatile boolean opened;

        Ordered(Endpoint endpoint) {
            this.endpoint = endpoint;
        }

        @Override
        public void onOpen(Session session, EndpointConfig config) {
            XnioIoThread thread = channel(session).getIoThread();
            if (thread == Thread.currentThread()) open(session, config);
            else CompletableFuture.runAsync(() -> open(session, config), thread).join();
        }

        private void open(Session session, EndpointConfig config) {
            opened = session.isOpen();
            if (opened) endpoint.onOpen(session, config);
        }

        @Override
        public void onClose(Session session, CloseReason reason) {
            if (opened) endpoint.onClose(session, reason);
        }

        @Override
        public void onError(Session session, Throwable problem) {
            endpoint.onError(session, problem);
        }
    }

    private static final class Configurator extends ServerEndpointConfig.Configurator {
        private final Supplier<? extends Endpoint> endpoints;

        Configurator(Supplier<? extends Endpoint> endpoints) {
            this.endpoints = endpoints;
        }

        @Override
        public <T> T getEndpointInstance(Class<T> type) {
            return type.cast(new Ordered(endpoints.get()));
        }

        /// The container adds headers of old drafts, and one that RFC 9110 section 8.6 forbids.
        @Override
        public void modifyHandshake(ServerEndpointConfig config,
                HandshakeRequest request, HandshakeResponse response) {
            List.of("Content-Length", "Origin", "Sec-WebSocket-Location")
                    .forEach(response.getHeaders()::remove);
            var exchange = ServletRequestContext.requireCurrent().getExchange();
            config.getUserProperties().put(CONNECTION,
                    ((HttpServerConnection) exchange.getConnection()).getChannel());
        }
    }
}
