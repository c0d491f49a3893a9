package shared.supplier;

//SOURCES ../websocket/[A-Z]*.java

import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import io.undertow.util.HeaderMap;
import io.undertow.util.Headers;
import io.undertow.util.SameThreadExecutor;
import jakarta.websocket.CloseReason;
import jakarta.websocket.Endpoint;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.Session;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.xnio.IoUtils;
import shared.Http;
import shared.Problem;
import shared.Routes;
import shared.Serve;
import shared.upstream.EventStream;
import shared.upstream.Kind;
import shared.websocket.Broadcast;
import shared.websocket.Sockets;

/// A small supplier for a page: a feed of prices by four transports, and the networks before it.
/// It takes sales, too, each key once.
public final class Supplier {
    private static final String FEED = "/_/supplier/feed";
    private static final int WAIT_SECONDS = 20;
    private static final int RESTART_SECONDS = 2;
    private static final List<String> ITEMS = List.of("bread", "milk", "eggs", "tea");

    /// Somebody who hears of prices.
    private interface Reader {
        void news(int n);

        void cut();
    }

    private final Broadcast members = new Broadcast(1_000, 1024 * 1024);
    private final HttpHandler sockets = Sockets.upgrade(FEED, "feed.v1",
            Supplier::after, Feeder::new);
    private final List<String> log = new ArrayList<>();
    private final Set<Reader> readers = ConcurrentHashMap.newKeySet();
    private final Map<String, String> sales = new LinkedHashMap<>();
    private volatile Kind best = Kind.WEBSOCKET;
    private volatile boolean restarts;
    private boolean losesAnswer;

    /// Makes the client of those who ask a supplier, too: that takes a while, and the first
    /// request should not wait for it.
    public Supplier() {
        EventStream.CLIENT.version();
    }

    /// Adds its requests to those of a program.
    public Routes mount(Routes routes) {
        return routes.onStop(() -> members.close(1001))
                .get(FEED, this::feed)
                .post("/_/supplier/sales", this::sale)
                .post("/_/supplier/network/{action}", this::act)
                .get("/_/page/supplier", exchange -> Http.json(exchange, 200, sold()));
    }

    private static int after(HttpServerExchange exchange) {
        return (int) Http.queryInteger(exchange, "after", 0, 0, 1_000_000);
    }

    private synchronized List<String> sold() {
        return List.copyOf(sales.values());
    }

    private void act(HttpServerExchange exchange, byte[] body) {
        switch (Http.path(exchange, "action")) {
            case "price" -> publish();
            case "cut" -> readers.forEach(Reader::cut);
            case "restart" -> restart();
            case "lose" -> lose();
            case "open" -> best = Kind.WEBSOCKET;
            case "no-upgrades" -> firewall(Kind.EVENTS);
            case "no-streams" -> firewall(Kind.LONG);
            case "no-waiting" -> firewall(Kind.SHORT);
            default -> throw new Problem(404, "There is no such network.");
        }
        Http.empty(exchange, 204);
    }

    private synchronized void lose() { losesAnswer = true; }

    private void firewall(Kind passes) {
        best = passes;
        readers.forEach(Reader::cut);
    }

    private void restart() {
        restarts = true;
        readers.forEach(Reader::cut);
        Serve.WORKER.getIoThread().executeAfter(() -> restarts = false,
                RESTART_SECONDS, TimeUnit.SECONDS);
    }

    private synchronized void publish() {
        int n = log.size() + 1;
        Map<String, Object> price = new LinkedHashMap<>();
        price.put("type", "price");
        price.put("n", n);
        price.put("item", ITEMS.get(n % ITEMS.size()));
        price.put("cents", 100 + n * 37 % 400);
        log.add(Http.JSON.writeValueAsString(price));
        readers.forEach(each -> each.news(n));
    }

    private void feed(HttpServerExchange exchange) throws Exception {
        Kind kind = asked(exchange.getRequestHeaders());
        if (restarts) throw new Problem(503, "The supplier restarts.");
        boolean passes = kind.ordinal() >= best.ordinal();
        int after = after(exchange);
        switch (kind) {
            case WEBSOCKET -> {
                if (!passes) throw new Problem(403, "This proxy knows no upgrades.");
                sockets.handleRequest(exchange);
            }
            case EVENTS -> {
                if (passes) stream(exchange, after);
                else exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {});
            }
            case LONG -> {
                if (passes) exchange.dispatch(SameThreadExecutor.INSTANCE,
                        () -> join(new Waiter(exchange, after), after));
                else IoUtils.safeClose(exchange.getConnection());
            }
            case SHORT -> answer(exchange, after);
        }
    }

    private static Kind asked(HeaderMap request) {
        if (request.contains(Headers.UPGRADE)) return Kind.WEBSOCKET;
        String accept = request.getFirst(Headers.ACCEPT);
        if (accept != null && accept.contains("text/event-stream")) return Kind.EVENTS;
        return request.contains("Prefer") ? Kind.LONG : Kind.SHORT;
    }

    private synchronized void join(Reader reader, int after) {
        readers.add(reader);
        for (int n = after + 1; n <= log.size(); n++) reader.news(n);
    }

    private static String hello(int after) {
        return "{\"type\":\"hello\",\"n\":" + after + "}";
    }

    private synchronized void answer(HttpServerExchange exchange, int after) {
        List<String> all = new ArrayList<>(List.of(hello(after)));
        all.addAll(log.subList(Math.min(after, log.size()), log.size()));
        Http.send(exchange, 200, "application/json", "[" + String.join(",", all) + "]");
    }

    private void stream(HttpServerExchange exchange, int after) {
        Http.events(exchange, own -> {
            Reader reader = new Reader() {
                @Override
                public void news(int n) {
                    own.send(log.get(n - 1), null, "" + n, null);
                }

                @Override
                public void cut() { IoUtils.safeClose(own); }
            };
            Http.onGone(exchange, () -> readers.remove(reader));
            own.send(hello(after), null, null, null);
            join(reader, after);
        });
    }

    /// A long poll that is held.
    private final class Waiter implements Reader {
        private final HttpServerExchange exchange;
        private final int after;

        Waiter(HttpServerExchange exchange, int after) {
            this.exchange = exchange;
            this.after = after;
            var timer = exchange.getIoThread().executeAfter(() -> news(after),
                    WAIT_SECONDS, TimeUnit.SECONDS);
            Http.onGone(exchange, () -> {
                timer.remove();
                readers.remove(this);
            });
        }

        @Override
        public void news(int n) {
            if (!readers.remove(this)) return;
            exchange.getIoThread().execute(() -> answer(exchange, after));
        }

        @Override
        public void cut() {
            if (readers.remove(this)) IoUtils.safeClose(exchange.getConnection());
        }
    }

    private final class Feeder extends Endpoint implements Reader {
        private Session session;
        private Broadcast.Member member;

        @Override
        public void onOpen(Session session, EndpointConfig config) {
            this.session = session;
            var given = session.getRequestParameterMap().get("after");
            int after = given == null ? 0 : Integer.parseInt(given.getFirst());
            member = members.member(session, config);
            members.add(member);
            tell(hello(after));
            join(this, after);
        }

        private void tell(String json) {
            member.tell(json.getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public void news(int n) { tell(log.get(n - 1)); }

        @Override
        public void cut() { IoUtils.safeClose(Sockets.channel(session)); }

        @Override
        public void onError(Session same, Throwable broken) { cut(); }

        @Override
        public void onClose(Session same, CloseReason reason) {
            readers.remove(this);
            members.remove(member);
        }
    }

    private synchronized void sale(HttpServerExchange exchange, byte[] body) {
        if (restarts) throw new Problem(503, "The supplier restarts.");
        String key = exchange.getRequestHeaders().getFirst("Idempotency-Key");
        if (key == null) throw new Problem(400, "A sale needs an Idempotency-Key.");
        String item = Http.text(Http.object(body), "item");
        sales.putIfAbsent(key, key.replace("\"", "") + " " + item);
        if (losesAnswer) IoUtils.safeClose(exchange.getConnection());
        else Http.json(exchange, 201, Map.of("sold", item));
        losesAnswer = false;
    }
}
