package shared;

import io.undertow.server.HttpServerExchange;
import io.undertow.util.HeaderMap;
import io.undertow.util.Headers;
import io.undertow.util.HttpString;
import io.undertow.util.Methods;
import java.net.InetSocketAddress;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/// Refuses what a foreign page may have sent: a request for another `Host`, which is how DNS
/// rebinding shows (RFC 9110 section 15.5.20), and one that acts or upgrades, where its `Origin`
/// is another page's (RFC 6455 section 10.2).
public final class HostAndOrigin {
    private static final Set<HttpString> SAFE =
            Set.of(Methods.GET, Methods.HEAD, Methods.OPTIONS);
    private static final Pattern ORIGIN =
            Pattern.compile("(?i)(https?://)([a-z0-9.-]+(?::\\d{1,5})?)");

    /// Further origins at which the server is reached, through a proxy or a cable, such as
    /// `https://shop.example`: `PUBLIC` has them, with commas.
    private final Set<String> origins = new HashSet<>();
    private final Set<String> authorities = new HashSet<>();

    /// @param cablePort the port of a cable before this server, or 0
    public HostAndOrigin(int cablePort) {
        String listed = System.getenv().getOrDefault("PUBLIC", "");
        for (String each : listed.isBlank() ? new String[0] : listed.split(",")) {
            var origin = ORIGIN.matcher(each.strip());
            if (!origin.matches()) {
                Serve.fail("PUBLIC must list origins such as https://shop.example,"
                        + " but it has '" + each.strip() + "'.");
            }
            add(origin.group(1), origin.group(2));
        }
        if (cablePort != 0) add("http://", "localhost:" + cablePort);
    }

    private void add(String scheme, String authority) {
        origins.add(usual(scheme + authority));
        authorities.add(usual(scheme, authority));
    }

    /// An authority as a client would write it (RFC 9110 section 4.2.3): a host's letters are
    /// small, and the port that its scheme has anyway is left out.
    private static String usual(String scheme, String authority) {
        String small = authority.toLowerCase(Locale.ROOT);
        String port = scheme.equalsIgnoreCase("https://") ? ":443" : ":80";
        return small.endsWith(port) ? small.substring(0, small.length() - port.length())
                : small;
    }

    /// The same of an origin; one that is none stays as it is.
    private static String usual(String origin) {
        var parts = ORIGIN.matcher(origin);
        return parts.matches()
                ? parts.group(1).toLowerCase(Locale.ROOT)
                        + usual(parts.group(1), parts.group(2))
                : origin;
    }

    /// @return 421 or 403, or null where the request may pass
    public Problem check(HttpServerExchange exchange) {
        int port = exchange.getConnection().getLocalAddress(InetSocketAddress.class)
                .getPort();
        String scheme = exchange.getConnection().getSslSessionInfo() == null ? "http://"
                : "https://";
        HeaderMap request = exchange.getRequestHeaders();
        var hosts = request.get(Headers.HOST);
        String host = hosts == null || hosts.size() != 1 ? ""
                : usual(scheme, hosts.getFirst());
        Set<String> own = Set.of(usual(scheme, "localhost:" + port),
                usual(scheme, "127.0.0.1:" + port));
        if (!isKnown(host, own)
                || !isKnown(usual(scheme, authority(exchange, host)), own)) {
            return new Problem(421, "The Host header must be localhost:" + port
                    + " or 127.0.0.1:" + port + ".");
        }
        var sent = request.get(Headers.ORIGIN);
        boolean acts = !SAFE.contains(exchange.getRequestMethod())
                || request.contains(Headers.UPGRADE);
        if (acts && sent != null && (sent.size() != 1
                || !isOwn(scheme, usual(sent.getFirst()), host, own))) {
            return new Problem(403, "A page of another origin may not do this.");
        }
        return null;
    }

    private boolean isKnown(String authority, Set<String> own) {
        return own.contains(authority) || authorities.contains(authority);
    }

    /// A page of the host that it asks, or of another one that is ours.
    private boolean isOwn(String scheme, String origin, String host,
            Set<String> own) {
        return origin.equals(scheme + host) || origins.contains(origin)
                || authorities.contains(host)
                        && own.stream()
                                .anyMatch(each -> origin.equals(scheme + each));
    }

    /// The host of an absolute-form target (RFC 9112 section 3.2.2), which overrides Host.
    private static String authority(HttpServerExchange exchange, String host) {
        return exchange.isHostIncludedInRequestURI()
                ? exchange.getRequestURI().replaceFirst("^[^:]*://([^/?#]*).*", "$1")
                : host;
    }
}
