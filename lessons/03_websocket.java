///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION WebSocket: one connection on which both sides talk at any time, here a chat
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 03_websocket.java
//FILES 03_websocket.html
//FILES 03_websocket.md

// %% [markdown]
// # 03 - WebSocket
//
// In a chat, anybody may say something at any time. With the long polling of
// lesson 02 each message to a client costs a whole HTTP request with its head,
// and each message from a client costs another one.
//
// A WebSocket needs only one: **one HTTP request turns its TCP connection into
// a channel on which both sides send whenever they like**. After that, a
// message costs its text and 2 to 14 bytes.
//
// ```mermaid
// sequenceDiagram
//   ada->>+Server: GET /chat?name=ada
//   Server->>ada: 101 Switching Protocols
//   bob->>+Server: GET /chat?name=bob
//   Server->>bob: 101 Switching Protocols
//   Server->>ada: bob joined
//   ada->>Server: message "hi"
//   Server->>ada: message 1, from ada
//   Server->>bob: message 1, from ada
// ```
//
// The demo is that chat. Let ada say something and watch the wire: the server
// sends it to bob, who has not asked for it.

// %%
import io.undertow.server.*;
import io.undertow.websockets.core.WebSockets;
import jakarta.websocket.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
import org.xnio.XnioIoThread;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## The handshake is HTTP
//
// Over HTTP/1.1 a WebSocket begins as a GET with `Upgrade: websocket` and a
// key. The answer is 101 with a hash of that key. The hash proves that the
// server speaks WebSocket and does not just repeat what it hears
// ([RFC 6455, section 1.3](https://www.rfc-editor.org/rfc/rfc6455#section-1.3)).
// After that, the TCP connection carries frames (with `wss://`, inside TLS).
// An HTTP status can be sent only before the 101, so we check all we can
// before it: `Sockets.upgrade` answers a plain GET with 426, and `check` a bad
// name with 400. In Chromium's DevTools the request has type *websocket*,
// status 101, and a tab *Messages*.

// %%
class Door {
    static HttpHandler into(Room room) {
        return Sockets.upgrade("/chat", "chat.v1", Door::check, () -> new Guest(room));
    }

    static void check(HttpServerExchange exchange) {
        String name = Objects.toString(Http.query(exchange, "name"), "");
        long length = name.codePoints().count();
        if (length < 1 || length > 40) {
            throw new Problem(400, "'name' must have 1 to 40 characters.");
        }
    }
}

// %% [markdown]
// ## A message says what it is
//
// A WebSocket message has no method, path or status, so ours carry a `type`.
// Each message travels in at least one *frame*: 2 to 14 bytes with its kind
// and length, then the payload. A sender may split a message of any size into
// several frames, but never has to. A frame is drawn near the end of the page.

// %%
record Message(String type, long id, String from, String text, Instant at) {}

record Presence(String type, String name, int online) {}

record Online(String type, int online) {}

record Mistake(String type, String reason) {}

// %% [markdown]
// ## A client is an endpoint
//
// Jakarta's container (the library that speaks WebSocket here) decodes frames,
// joins the parts of a message and answers pings. It calls our code when a
// connection opens, when a message comes, and when the connection ends, with
// or without a close frame. To a message that makes no sense we send an error,
// and its sender stays. But a text over 65,536 bytes ends the connection with
// code 1009, and a binary message with 1003; the container alone would ignore
// binary silently. After a fault of our own code we tell the terminal and
// close with 1011.
//
// A laptop that is shut sends no close frame. So we ping each client every 20
// seconds, and close with 1001 when no byte came from it for 60. We count
// bytes and not frames, because a part of a frame is a sign of life too.
// Successful writes prove nothing: the kernel takes them while it has room.
// The client needs a sign of life from us as well. Its script cannot see
// pings, so we send a message with each ping.

// %%
class Guest extends Endpoint {
    private final Room room;
    private Session session;
    private long pingedAt = System.nanoTime();
    Broadcast.Member member;
    String name;

    Guest(Room room) { this.room = room; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        this.session = session;
        name = session.getRequestParameterMap().get("name").getFirst();
        member = room.broadcast.member(session, config);
        session.setMaxTextMessageBufferSize(65_536);
        session.addMessageHandler(String.class, this::onText);
        session.addMessageHandler(ByteBuffer.class,
                (part, last) -> Sockets.close(session, 1003));
        room.join(this);
    }

    private void onText(String text) {
        try {
            ObjectNode message = Http.object(text.getBytes(StandardCharsets.UTF_8));
            if (!Http.text(message, "type").equals("message")) {
                throw new Problem(400, "'type' must be message.");
            }
            room.say(this, Http.text(message, "text"));
        } catch (Problem problem) {
            hear(new Mistake("error", problem.getMessage()));
        }
    }

    private void hear(Object event) {
        session.getAsyncRemote().sendText(Http.JSON.writeValueAsString(event));
    }

    void check(long now) {
        if (member.silentFor() >= 60e9) Sockets.close(session, 1001);
        else if (now - pingedAt >= 20e9) {
            pingedAt = now;
            WebSockets.sendPing(ByteBuffer.allocate(0), Sockets.channel(session), null);
            hear(new Online("online", room.guests.size()));
        }
    }

    @Override
    public void onError(Session session, Throwable fault) {
        if (fault instanceof IOException) return; // onClose comes as well
        System.err.println(Graded.fault("WebSocket of " + name, fault));
        Sockets.close(session, 1011);
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        room.leave(this);
    }
}

// %% [markdown]
// ## Telling everybody, and who is too slow
//
// Undertow's `getAsyncRemote().sendText` keeps messages in a queue without
// limit. (Tomcat's throws while one is being sent.) One client that stops
// reading would fill the whole heap. So messages for all go another way.
// `Broadcast` encodes a message once and adds it to a chain. It knows how far
// each client has got in the chain, and sends the next message when the
// client's socket has room. All slow clients share one chain, and nobody waits
// for them. A client that is 10,000 messages or 32 MiB behind is closed with 1013.
// If a client talks faster than we can tell the others, we stop reading
// from it for a while, and TCP slows it down.
//
// A message gets its number and its place in the chain under one lock, so
// everybody hears messages in the order of their numbers. If we told everybody
// about each of 8,000 arrivals, that would be 32 million messages. Above 100
// clients we send how many are online, at most 5 times a second, and always
// the last count.

// %%
class Room {
    final Set<Guest> guests = ConcurrentHashMap.newKeySet();
    final Broadcast broadcast = new Broadcast(10_000, 32 * 1024 * 1024);
    private final XnioIoThread clock = Serve.WORKER.getIoThread();
    private long lastId;
    private boolean due;

    Room() {
        clock.executeAtInterval(() -> {
            long now = System.nanoTime();
            for (Guest each : guests) each.check(now);
        }, 1, TimeUnit.SECONDS);
    }

    synchronized void join(Guest guest) {
        broadcast.add(guest.member);
        guests.add(guest);
        announce("joined", guest.name);
    }

    synchronized void leave(Guest guest) {
        broadcast.remove(guest.member);
        guests.remove(guest);
        announce("left", guest.name);
    }

    synchronized void say(Guest guest, String text) {
        tell(new Message("message", ++lastId, guest.name, text, Instant.now()));
        broadcast.slowDown(guest.member);
    }

    private void announce(String type, String name) {
        if (guests.size() <= 100) {
            tell(new Presence(type, name, guests.size()));
        } else if (!due) {
            due = true;
            clock.executeAfter(this::announceCount, 200, TimeUnit.MILLISECONDS);
        }
    }

    private synchronized void announceCount() {
        due = false;
        if (guests.size() > 100) tell(new Online("online", guests.size()));
    }

    private void tell(Object event) {
        broadcast.tell(Http.JSON.writeValueAsBytes(event));
    }
}

// %% [markdown]
// ## Coming back
//
// A `WebSocket` never reconnects by itself, so our script does. Its pause is
// random. It grows with each failure, and with how many were online: if a
// server with 8,000 clients restarts, about 500 come back each second. We stay
// away if we closed the connection ourselves, and if the server refused the
// handshake with 400. After a refusal the script sees only 1006, as with a
// dead network. So it asks for the reason by `fetch`.

// %%
interface ComeBack {
    // language=JavaScript
    String SCRIPT = """
            const here = location.origin.replace("http", "ws"); // https becomes wss
            const pauseAfter = (failures, online) => 500 + Math.random()
              * Math.min(60_000, Math.max(1_000, 2 * online) * 2 ** failures);

            // Why a handshake with this query is refused for good, if it is.
            async function refusal(query) {
              const late = AbortSignal.timeout(5_000);
              return fetch(`/_/door?${query}`, { signal: late })
                .then(async (door) => door.status === 400 && (await door.json()).detail)
                .catch(() => false);
            }
            """;
}

// %% [markdown]
// ## The browser's side
//
// A machine or a network that dies looks like a quiet server. So each
// message restarts a timer: after 50 seconds without any we join anew.
//
// `send` never waits. What the network does not take yet stays in the
// browser's memory. `bufferedAmount` says how much that is, so `say` looks
// first.

// %%
interface ChatClient {
    // language=JavaScript
    String SCRIPT = """
            function chat(name, { hear, show, server = here }) {
              let socket, timer, openedAt, wanted, back, failures = 0, online = 1;
              function join() {
                clearTimeout(timer);
                socket?.close(1000); // one at a time, and only it is heard
                wanted = true;
                openedAt = Infinity;
                const query = "name=" + encodeURIComponent(name);
                const own = new WebSocket(`${server}/chat?${query}`, "chat.v1");
                socket = own;
                own.onopen = () => { openedAt = performance.now(); show("open"); };
                own.onmessage = ({ data }) => own === socket && heard(JSON.parse(data));
                own.onclose = async ({ code }) => {
                  if (own !== socket) return;
                  clearTimeout(timer);
                  const why = openedAt === Infinity && await refusal(query);
                  if (own !== socket) return;
                  if (why) return show(`left, refused: ${why}`);
                  if (!wanted) return show(`left, ${code}`);
                  if (performance.now() - openedAt > 10_000) failures = 0;
                  timer = setTimeout(join, pauseAfter(failures++, online));
                  show(`lost, ${code}`);
                };
                listen();
              }
              function listen() {
                clearTimeout(timer);
                timer = setTimeout(() => {
                  socket.close();
                  socket.onclose({ code: "silent" });
                }, 50_000);
              }
              function heard(event) {
                listen();
                online = event.online ?? online;
                hear(event);
              }
              function leave() {
                wanted = false;
                clearTimeout(timer);
                socket.close(1000);
              }
              function say(text) {
                const open = socket.readyState === WebSocket.OPEN;
                if (!open || socket.bufferedAmount > 1_000_000) return false;
                socket.send(JSON.stringify({ type: "message", text }));
                return true;
              }
              addEventListener("pagehide", () => { back = wanted; leave(); });
              addEventListener("pageshow", (on) => on.persisted && back && join());
              join();
              return { join, leave, say, socket: () => socket };
            }
            """;
}

// %% [markdown]
// ## Break it
//
// The buttons are in `03_websocket.html`. Watch ada's *Messages* in DevTools.
//
// - **Send nonsense.** ada sends a text that is not JSON. After the 101 there
//   is no status 400, so the server sends the error as a message. ada stays.
// - **One byte too many.** A text of 65,537 bytes ends ada's connection with
//   1009. Her client comes back, and bob sees her leave and join.
// - **Freeze the cable.** ada's bytes pass a relay, `shared/cable`. Frozen, it
//   passes no byte and tells nobody, as when a laptop leaves its network. Her
//   browser still says open, `say` succeeds, the server counts two. Thaw it,
//   and everything arrives. If you do not, her page gives up 50 seconds after
//   the last message to it, and the server 60 seconds after her last byte.
// - **Reset it.** Both ends get a TCP reset and no close frame. ada's browser
//   reports 1006, a code that is never sent. bob hears `left` at once: the
//   server always reads from ada's connection, so it notices without a write.
// - **Ignore bufferedAmount.** ada sends 100 texts of 60,000 bytes in one
//   loop. `send` takes them all, and the browser stores them. `say` then
//   refuses.
//
// When the server stops, it closes all connections with 1001, "going away".

// %%
class Websocket {
    static HttpHandler routes() {
        Room room = new Room();
        return new Routes()
                .onStop(() -> room.broadcast.close(1001))
                .withCable()
                .page("03_websocket", ComeBack.SCRIPT, ChatClient.SCRIPT)
                .get("/chat", Door.into(room))
                .get("/_/door", exchange -> {
                    Door.check(exchange);
                    Http.empty(exchange, 204);
                })
                .get("/online", exchange -> Http.json(exchange, 200,
                        Map.of("online", room.guests.size())));
    }

    void main() {
        Serve.run("03 WebSocket", 8003, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. A request without an upgrade gets 426:
//    `curl -i 'http://localhost:8003/chat?name=eve'`. With
//    `-H 'Upgrade: websocket' -H 'Origin: http://evil.example'` it gets 403,
//    as a foreign page would. (A page cannot choose its `Origin`, curl can.)
// 2. Leave the page alone for 20 seconds. The wire shows pings and pongs,
//    which no script can see. Click one: it has two or six bytes.
// 3. Open the page in a second window: who hears what? Or join from a
//    terminal, and type `{"type":"message","text":"hi"}`:
//    `./jbang talk 'ws://localhost:8003/chat?name=eve'`
//
// ## What it costs, and when to choose it
//
// A client costs a socket and about 9 KiB of heap here, even if it is silent.
// The limits are file descriptors, memory, and the number of clients that hear
// each message. The other costs come in operation: load balancers, proxies,
// scaling, authentication. They have a section below.
//
// Choose WebSocket where both sides talk: chat, games, editing together. If
// only the server talks, server-sent events (lesson 04) need less. They are
// plain HTTP; the browser reconnects by itself, and says which event it got
// last.
//
// `./jbang notebook 03` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8003, Websocket.routes()).port` shows 8003, the page's port.
