package shared;

import io.undertow.server.HttpServerExchange;
import io.undertow.util.HeaderMap;
import io.undertow.util.Headers;
import io.undertow.util.HttpString;
import io.undertow.util.Methods;
import java.net.InetSocketAddress;
import java.util.Set;

/// Refuses what a foreign page may have sent: a request for another `Host`, which is how DNS
/// rebinding shows (RFC 9110 section 15.5.20), and one that acts or upgrades, where its `Origin`
/// is another page's (RFC 6455 section 10.2).
final class HostAndOrigin {
    private static final Set<HttpString> SAFE =
            Set.of(Methods.GET, Methods.HEAD, Methods.OPTIONS);

    private HostAndOrigin() {}

    /// @return 421 or 403, or null where the request may pass
    static Problem check(HttpServerExchange exchange) {
        int port = exchange.getConnection().getLocalAddress(InetSocketAddress.class)
                .getPort();
        HeaderMap request = exchange.getRequestHeaders();
        var hosts = request.get(Headers.HOST);
        Set<String> own = Set.of("localhost:" + port, "127.0.0.1:" + port);
        if (hosts == null || hosts.size() != 1 || !own.contains(hosts.getFirst())
                || !own.contains(authority(exchange, hosts.getFirst()))) {
            return new Problem(421, "The Host header must be localhost:" + port
                    + " or 127.0.0.1:" + port + ".");
        }
        var origins = request.get(Headers.ORIGIN);
        boolean acts = !SAFE.contains(exchange.getRequestMethod())
                || request.contains(Headers.UPGRADE);
        String scheme = exchange.getConnection().getSslSessionInfo() == null ? "http://"
                : "https://";
        if (acts && origins != null && (origins.size() != 1
                || !origins.getFirst().equals(scheme + hosts.getFirst()))) {
            return new Problem(403, "A page of another origin may not do this.");
        }
        return null;
    }

    /// The host of an absolute-form target (RFC 9112 section 3.2.2), which overrides Host.
    private static String authority(HttpServerExchange exchange, String host) {
        return exchange.isHostIncludedInRequestURI()
                ? exchange.getRequestURI().replaceFirst("^[^:]*://([^/?#]*).*", "$1")
                : host;
    }
}
