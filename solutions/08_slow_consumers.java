///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Solution: an exchange's screens
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
// | `POST /prices` | `{"prices":[{"symbol":"ACME","price":12,"note":"..."}]}`, for all |
// | `POST /trades` | `{"user":"ada","text":"..."}`, for the screens of this user |
// | `GET /screens` | `[{"user":"ada","queued":0}]` |
//
// 1. **One frame at a time.** The next frame is given to the socket when it has
//    taken the last one. The rest waits in `waiting`, where it can be counted.
// 2. **`queued` counts bytes**: of all messages that wait, and of the one that
//    is under way. It is 0 again when all were taken.
// 3. **A price that waits is replaced** by a newer one of the same symbol, which
//    takes its place in the line. Trades are never replaced, and keep their
//    order.
// 4. **`queued` never exceeds `CAP_BYTES`.** A message that does not fit cuts
//    the screen off: `cut()`. What it has got until then has no hole.
//    A price that replaces a longer one always fits.
//
// With `CAP_BYTES=1000`, and messages of 300 bytes, a screen that reads nothing
//
// - keeps two prices of ACME and one trade: the first price is under way, and
//   a third one of ACME replaces the second
// - is cut off by a fourth message that replaces none
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/08_slow_consumers.java`. Then grade it: `./jbang grade 08`.
// Stuck? `./jbang hint 08` gives one hint at a time.

// %%
import io.undertow.server.*;
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
// All of it runs on the connection's own I/O thread, which must not wait, so
// you need no lock. `give(message)` gives a message to the socket, and calls
// `taken()` when the socket has taken it: at once, or much later.
//
// `waiting` keeps the order of its keys. `put` with a key that is there replaces
// the value in its place; `pollFirstEntry()` takes the first one out. As a key
// take the symbol of a price; a trade gets one that nothing else has.

// %%
class Screen extends Endpoint {
    static final int CAP = Serve.environment("CAP_BYTES", 65_536, 1, 1_000_000_000);
    private final Exchange exchange;
    private final SequencedMap<Object, byte[]> waiting = new LinkedHashMap<>();
    private byte[] underWay;
    private WebSocketChannel channel;
    private StreamConnection connection;
    String user;
    volatile long queued;

    Screen(Exchange exchange) { this.exchange = exchange; }

    /// A message for this screen.
    ///
    /// @param symbol of a price, or null for a trade
    void hear(String symbol, byte[] message) {
        // TODO 1: Put the message into `waiting`, a price in the place of an older one,
        //   and count its bytes. If it does not fit, `cut()`. Then `send()`.
        // At first:
        //     give(message);
        Object key = symbol == null ? new Object() : symbol;
        byte[] old = waiting.get(key);
        long after = queued + message.length - (old == null ? 0 : old.length);
        if (after > CAP) {
            cut();
            return;
        }
        waiting.put(key, message);
        queued = after;
        send();
        // END 1
    }

    private void send() {
        if (underWay != null || waiting.isEmpty()) return;
        underWay = waiting.pollFirstEntry().getValue();
        give(underWay);
    }

    private void taken() {
        if (underWay == null) return;
        queued -= underWay.length;
        underWay = null;
        send();
    }
}
