package shared;

//SOURCES page/[A-Z]*.java
//SOURCES cable/[A-Z]*.java

import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import io.undertow.util.Headers;
import io.undertow.util.HttpString;
import io.undertow.util.Methods;
import io.undertow.util.PathTemplateMatch;
import io.undertow.util.PathTemplateMatcher;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.xnio.IoUtils;
import shared.cable.Cable;
import shared.page.Page;

/// A table of paths and methods. It settles the errors that are the same for every handler, in
/// this order: 404 unknown path or id, 405, 413, 415; what a handler throws as [Problem] comes
/// after. Handlers run on the connection's I/O thread and must not block.
public final class Routes implements HttpHandler {
    /// The largest request body, in bytes; longer ones get 413.
    public static final int MAX_BODY = 64 * 1024;

    /// How much of a body that is too large we still read, in bytes: a client that is busy sending
    /// does not read its answer, and a closed connection would hide it.
    private static final int MAX_DRAIN = 1024 * 1024;

    private static final int BODY_SECONDS = 20;

    /// A handler of a request with a body. The bytes are untouched, as a signature needs them.
    public interface BodyHandler {
        void handle(HttpServerExchange exchange, byte[] body) throws Exception;
    }

    private final PathTemplateMatcher<Map<HttpString, HttpHandler>> paths =
            new PathTemplateMatcher<>();
    private final Map<String, Predicate<String>> known = new LinkedHashMap<>();
    private final Map<HttpString, String> always = new LinkedHashMap<>();
    private final List<Runnable> stops = new ArrayList<>();
    private HttpHandler otherwise = exchange -> {
        throw new Problem(404, "Nothing is at " + exchange.getRequestPath() + ".");
    };
    private Cable cable;

    /// Answers GET, and HEAD with the same headers.
    public Routes get(String path, HttpHandler handler) {
        return add(Methods.GET, path, handler).add(Methods.HEAD, path, handler);
    }

    public Routes post(String path, BodyHandler handler) {
        return add(Methods.POST, path, exchange -> read(exchange, handler));
    }

    public Routes put(String path, BodyHandler handler) {
        return add(Methods.PUT, path, exchange -> read(exchange, handler));
    }

    public Routes delete(String path, BodyHandler handler) {
        return add(Methods.DELETE, path, exchange -> read(exchange, handler));
    }

    /// Answers OPTIONS in place of us, for example a CORS preflight.
    public Routes options(String path, HttpHandler handler) {
        return add(Methods.OPTIONS, path, handler);
    }

    /// Sets a header on every answer, errors too.
    public Routes always(String header, String value) {
        always.put(new HttpString(header), value);
        return this;
    }

    /// Answers 404 to every path whose `{parameter}` the predicate does not know.
    public Routes known(String parameter, Predicate<String> predicate) {
        known.put(parameter, predicate);
        return this;
    }

    /// Answers where nothing of this is at the path, in place of 404.
    public Routes otherwise(HttpHandler handler) {
        otherwise = handler;
        return this;
    }

    /// Runs `action` when the server stops, before connections are cut: the place to tell clients.
    public Routes onStop(Runnable action) {
        stops.add(action);
        return this;
    }

    List<Runnable> stops() {
        return List.copyOf(stops);
    }

    /// Serves all of this at a second port as well, through a [Cable] that the page can freeze,
    /// thaw and cut: its script finds that address in `cable.host`.
    public Routes withCable() {
        try {
            cable = new Cable();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        onStop(cable::close);
        return post("/_/page/cable/{action}", (exchange, body) -> {
            switch (Http.path(exchange, "action")) {
                case "freeze" -> cable.freeze();
                case "thaw" -> cable.thaw();
                case "cut" -> cable.cut();
                case "throttle" -> cable.throttle((int) Http.integer(Http.object(body),
                        "bytesPerSecond", 0, 1_000_000_000));
                case "hold" -> cable.hold(
                        (int) Http.integer(Http.object(body), "bytes", 0, 1_000_000),
                        Duration.ofMillis(
                                Http.integer(Http.object(body), "ms", 0, 600_000)));
                case "network" -> {
                    var network = Http.object(body);
                    cable.refuseUpgrades(network.path("refuses").asBoolean(false));
                    cable.keepUpgraded(network.path("keeps").asBoolean(false));
                    cable.endUpgradedAfter(
                            (int) Http.integer(network, "upgradedMs", 0, 600_000));
                    cable.endAfter((int) Http.integer(network, "ms", 0, 600_000));
                }
                default -> throw new Problem(404, "A cable is frozen, thawed, cut,"
                        + " throttled, holds, or is a network.");
            }
            Http.empty(exchange, 204);
        });
    }

    /// The port of the cable, or 0 where there is none.
    public int cablePort() {
        return cable == null ? 0 : cable.port();
    }

    /// The server listens on this port now.
    void served(int port) {
        if (cable != null) cable.target(port);
    }

    /// Serves the lesson's page at `/`: its source as a notebook, its demo, the wire view.
    /// `name` is the lesson's file name without `.java`, `scripts` the browser side of its
    /// technique as classic JavaScript.
    public Routes page(String name, String... scripts) {
        return new Page(name, scripts).mount(this);
    }

    private Routes add(HttpString method, String path, HttpHandler handler) {
        var methods = paths.get(path);
        if (methods == null) paths.add(path, methods = new LinkedHashMap<>());
        methods.put(method, handler);
        return this;
    }

    @Override
    public void handleRequest(HttpServerExchange exchange) {
        always.forEach(exchange.getResponseHeaders()::put);
        guard(exchange, () -> {
            var match = paths.match(exchange.getRelativePath());
            if (match == null || !match.getParameters().entrySet().stream().allMatch(
                    each -> known.getOrDefault(each.getKey(), id -> true)
                            .test(each.getValue()))) {
                otherwise.handleRequest(exchange);
                return;
            }
            exchange.putAttachment(PathTemplateMatch.ATTACHMENT_KEY, match);
            var methods = match.getValue();
            HttpHandler handler = methods.get(exchange.getRequestMethod());
            if (handler != null) {
                handler.handleRequest(exchange);
                return;
            }
            String allow = methods.keySet().stream()
                    .filter(each -> !each.equals(Methods.OPTIONS))
                    .map(HttpString::toString).collect(Collectors.joining(", "))
                    + ", OPTIONS";
            if (!exchange.getRequestMethod().equals(Methods.OPTIONS)) {
                throw new Problem(405,
                        exchange.getRequestMethod() + " is not one of " + allow
                                + ".")
                        .with("Allow", allow);
            }
            exchange.getResponseHeaders().put(Headers.ALLOW, allow);
            Http.empty(exchange, 204);
        });
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void guard(HttpServerExchange exchange, Work work) {
        try {
            work.run();
        } catch (Problem problem) {
            Http.problem(exchange, problem);
        } catch (Exception | Error fault) {
            System.err.println(Graded.fault(exchange.getRequestMethod() + " "
                    + exchange.getRequestPath(), fault));
            Http.problem(exchange,
                    new Problem(500, "The server failed; its terminal says why."));
        }
    }

    private static void read(HttpServerExchange exchange, BodyHandler handler) {
        if (exchange.getRequestContentLength() > MAX_DRAIN) {
            exchange.setPersistent(false);
            throw tooLarge();
        }
        var body = new ByteArrayOutputStream();
        long[] total = {0};
        var deadline = exchange.getIoThread().executeAfter(
                () -> IoUtils.safeClose(exchange.getConnection()), BODY_SECONDS,
                TimeUnit.SECONDS);
        exchange.addExchangeCompleteListener((done, next) -> {
            deadline.remove();
            next.proceed();
        });
        exchange.getRequestReceiver().receivePartialBytes((same, bytes, last) -> {
            if (exchange.isResponseStarted()) return;
            total[0] += bytes.length;
            if (total[0] <= MAX_BODY) body.writeBytes(bytes);
            if (!last && total[0] <= MAX_DRAIN) return;
            deadline.remove();
            guard(exchange, () -> {
                if (!last) exchange.setPersistent(false);
                if (total[0] > MAX_BODY) throw tooLarge();
                if (total[0] > 0) requireJson(exchange);
                handler.handle(exchange, body.toByteArray());
            });
        }, (same, broken) -> IoUtils.safeClose(exchange.getConnection()));
    }

    private static Problem tooLarge() {
        return new Problem(413, "The body is over " + MAX_BODY + " bytes.");
    }

    private static void requireJson(HttpServerExchange exchange) {
        String type = exchange.getRequestHeaders().getFirst(Headers.CONTENT_TYPE);
        if (type == null
                || !type.toLowerCase(Locale.ROOT)
                        .matches("application/([^;]+\\+)?json *(;.*)?")) {
            throw new Problem(415, "The body must be sent as application/json.");
        }
    }
}
