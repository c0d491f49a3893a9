///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: an exchange's screens
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 08_slow_consumers.java
//FILES 08_slow_consumers.html=../exercises/08_slow_consumers.html

// %% [markdown]
// # 08 - Exercise: an exchange's screens
//
// An exchange shows prices on the screens of its traders. Each screen shows its
// own user's trades as well. Some screens read slowly, and some stop reading.
//
// **The twist.** Of the prices a slow screen needs only the newest of each
// symbol. Of its trades it needs every one.
//
// ## What it must do
//
// The requests are done already. As it stands, the program works as long as
// every screen reads fast.
//
// | request | what it is |
// |---|---|
// | `GET /screen?user=ada` | a WebSocket: one screen |
// | `POST /prices` | `{"prices":[{"symbol":"ACME","price":12,"note":""}]}`, for all |
// | `POST /trades` | `{"user":"ada","text":"..."}`, for the screens of this user |
// | `GET /screens` | `[{"user":"ada","queued":0}]` |
//
// `queued` is what the socket has not taken yet, in bytes: all that waits, and
// the message that is under way. It is counted already.
//
// 1. **One message at a time.** The next one is given to the socket when that
//    has taken the last. The rest waits in `waiting`, where it can be counted.
// 2. **A price that waits is replaced** by a newer one of the same symbol, which
//    takes its place in the line. Trades replace nothing, and keep their order.
// 3. **`queued` never exceeds `CAP_BYTES`.** A message that does not fit is not
//    put into the line: the screen is cut off. That holds for prices, too, and
//    for a message that is too long by itself.
// 4. **Who is cut off is gone at once** from `/screens`, even if it reads
//    nothing, and what waits for it is forgotten. It is closed with 1013. One
//    that reads nothing never hears that: `CUT_MS` later its connection is
//    ended. All other screens hear everything meanwhile.
//
// With `CAP_BYTES=1000`, and messages of 300 bytes, a screen that reads nothing,
// and whose socket is full,
//
// - holds 900 bytes after a price of ACME, another, a trade and a third price: the
//   first is under way, and the third took the second's place
// - is cut off by the next trade
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/08_slow_consumers.java`. Then grade it: `./jbang grade 08`.
// Stuck? `./jbang hint 08` gives one hint at a time.

// %%
import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.undertow.server.*;
import io.undertow.util.*;
import io.undertow.websockets.core.*;
import jakarta.websocket.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.*;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.JsonNode;

// %% [markdown]
// ## A screen
//
// All of it runs on the connection's own I/O thread: so you need no lock, and
// must not wait. `give` gives a message to the socket. As long as that has
// not taken it, `underWay` is this message; then it is null, and `send` is
// called.
//
// `waiting` keeps the order of its keys. `put` with a key that is there replaces
// its message, in the same place. `pollFirstEntry()` takes the first one out.
//
// `WebSockets.sendClose(code, reason, channel, null)` sends a close, after the
// frame that is being written. `IoUtils.safeClose(channel)` ends the connection.
// `channel.getIoThread().executeAfter(action, n, MILLISECONDS)` runs an action later.

// %%
class Screen extends Endpoint {
    static final int CAP = Serve.environment("CAP_BYTES", 65_536, 1, 1_000_000_000);
    private static final int CUT_MS =
            Serve.environment("CUT_MS", 2_000, 1, 1_000_000);
    private static final int SEND_BUFFER =
            Serve.environment("SEND_BUFFER", 16_384, 1_024, 1_000_000_000);
    private final Exchange exchange;
    private final SequencedMap<Object, byte[]> waiting = new LinkedHashMap<>();
    private byte[] underWay;
    private WebSocketChannel channel;
    String user;

    Screen(Exchange exchange) { this.exchange = exchange; }

    /// A message for this screen.
    ///
    /// @param symbol of a price, or null for a trade
    void hear(String symbol, byte[] message) {
        if (!exchange.screens.contains(this)) return; // it was cut off
        Object key = key(symbol);
        byte[] old = waiting.get(key);
        if (fits(message, old)) {
            waiting.put(key, message);
            send();
        } else {
            cut();
        }
    }

    private void send() {
        // TODO 1: Give the first message that waits to the socket, unless another is
        //   under way.
        while (!waiting.isEmpty()) give(waiting.pollFirstEntry().getValue());
        // END 1
    }

    private Object key(String symbol) {
        // TODO 2: Return a key by which a price replaces an older one that waits, and a
        //   trade nothing.
        return new Object();
        // END 2
    }

    /// @param old what it replaces, or null
    private boolean fits(byte[] message, byte[] old) {
        // TODO 3: Return whether `queued()` stays within `CAP` with this message, in
        //   the place of the old one if there is one.
        return waiting.size() < 10_000;
        // END 3
    }

    private void cut() {
        // TODO 4: Forget what waits, leave the exchange's screens, and say 1013. A
        //   screen that reads nothing gets no close: end its connection `CUT_MS` later.
        WebSockets.sendClose(1013, "too slow", channel, null);
        // END 4
    }

    /// The bytes that the socket has not taken yet.
    long queued() {
        long waits = waiting.values().stream().mapToLong(each -> each.length).sum();
        return waits + (underWay == null ? 0 : underWay.length);
    }

    private void give(byte[] message) {
        underWay = message;
        Sockets.send(channel, message, () -> {
            underWay = null;
            send();
        });
    }

    void run(Runnable action) { channel.getIoThread().execute(action); }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        channel = Sockets.channel(session);
        user = session.getRequestParameterMap().get("user").getFirst();
        Sockets.sendBuffer(config, SEND_BUFFER);
        exchange.screens.add(this);
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        exchange.screens.remove(this);
    }
}

// %% [markdown]
// ## Done already: the exchange

// %%
record Price(String type, String symbol, long price, String note) {}

record Trade(String type, String user, String text) {}

record ScreenState(String user, long queued) {}

class Exchange {
    final Set<Screen> screens = ConcurrentHashMap.newKeySet();

    private static byte[] bytes(Object message) {
        return Http.JSON.writeValueAsBytes(message);
    }

    void prices(HttpServerExchange request, byte[] body) {
        for (JsonNode each : Http.object(body).path("prices")) {
            String symbol = each.path("symbol").asString("");
            byte[] message = bytes(new Price("price", symbol,
                    each.path("price").asLong(0), each.path("note").asString("")));
            for (Screen screen : screens) screen
                    .run(() -> screen.hear(symbol, message));
        }
        Http.empty(request, 204);
    }

    void trades(HttpServerExchange request, byte[] body) {
        var trade = Http.object(body);
        String user = Http.text(trade, "user");
        byte[] message = bytes(new Trade("trade", user, Http.text(trade, "text")));
        for (Screen screen : screens) {
            if (screen.user.equals(user)) screen.run(() -> screen.hear(null, message));
        }
        Http.empty(request, 204);
    }

    /// Asks each screen on its own thread.
    void list(HttpServerExchange request) {
        var asked = screens.stream().map(screen -> {
            var state = new CompletableFuture<ScreenState>();
            screen.run(() -> state
                    .complete(new ScreenState(screen.user, screen.queued())));
            return state;
        }).toList();
        request.dispatch(SameThreadExecutor.INSTANCE, () -> CompletableFuture
                .allOf(asked.toArray(CompletableFuture[]::new))
                .thenRun(() -> Http.json(request, 200,
                        asked.stream().map(CompletableFuture::join).toList())));
    }
}

interface ScreenClient {
    // language=JavaScript
    String SCRIPT = """
            function screen(user, { hear, show }, host = location.host) {
              const socket = new WebSocket(`ws://${host}/screen?user=${user}`);
              socket.onopen = () => show("open");
              socket.onclose = ({ code }) => show(`ended, ${code}`);
              socket.onmessage = ({ data }) => hear(JSON.parse(data));
            }
            """;
}

class SlowConsumers {
    static HttpHandler routes() {
        Exchange exchange = new Exchange();
        return new Routes()
                .withCable()
                .page("08_slow_consumers", ScreenClient.SCRIPT)
                .get("/screen", Sockets.upgrade("/screen", "screen.v1", request -> {
                    if (Http.query(request, "user") != null) return;
                    throw new Problem(400, "'user' is missing.");
                }, () -> new Screen(exchange)))
                .post("/prices", exchange::prices)
                .post("/trades", exchange::trades)
                .get("/_/page/screens", exchange::list) // not on the wire
                .get("/screens", exchange::list);
    }

    void main() {
        Serve.run("08 Slow consumers", 9008, routes());
    }
}
