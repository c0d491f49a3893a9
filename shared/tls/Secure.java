package shared.tls;

import io.undertow.Undertow;
import io.undertow.UndertowOptions;
import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import java.io.IOException;
import java.net.InetSocketAddress;
import javax.net.ssl.SSLContext;
import shared.HostAndOrigin;
import shared.Http;
import shared.Problem;
import shared.Serve;

/// A second server of a lesson, for HTTPS and HTTP/2 (RFC 9113), on a free port of 127.0.0.1. Its
/// certificate is made anew each time, so a browser warns until somebody has accepted it. The
/// wire view does not show it.
public final class Secure {
    private final HttpHandler routes;
    private final HostAndOrigin hosts = new HostAndOrigin(0);
    private Undertow server;
    private boolean begun;
    private boolean stopped;
    private volatile boolean accepted;

    /// What a page wants to know: 0 is the port until the certificate is made, and somebody has
    /// accepted that once a request has come.
    public record State(int port, boolean accepted) {}

    public Secure(HttpHandler routes) {
        this.routes = routes;
    }

    /// Who asks first begins to make the certificate, and returns at once.
    public synchronized State state() {
        if (!begun) Thread.ofVirtual().start(this::start);
        begun = true;
        int port = server == null ? 0
                : ((InetSocketAddress) server.getListenerInfo().getFirst().getAddress())
                        .getPort();
        return new State(port, accepted);
    }

    private void start() {
        try {
            start(Certificate.forLocalhost());
        } catch (IOException e) {
            System.err.println("No HTTPS: " + e.getMessage());
        }
    }

    private synchronized void start(SSLContext certificate) {
        if (stopped) return;
        server = Undertow.builder().setWorker(Serve.WORKER)
                .setByteBufferPool(Serve.BUFFERS)
                .setServerOption(UndertowOptions.ENABLE_HTTP2, true)
                .addHttpsListener(0, "127.0.0.1", certificate)
                .setHandler(this::check).build();
        server.start();
    }

    private void check(HttpServerExchange exchange) throws Exception {
        accepted = true;
        Problem foreign = hosts.check(exchange);
        if (foreign == null) routes.handleRequest(exchange);
        else Http.problem(exchange, foreign);
    }

    /// Takes no more connections; those that there are end with the process.
    public synchronized void stop() {
        stopped = true;
        if (server != null) server.stop();
        server = null;
    }
}
