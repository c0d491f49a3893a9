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
// In a chat, news comes from every side at any time. With the long
// polling of lesson 02 each piece of it costs a request, head and all,
// and what a client says itself travels in yet another one.
//
// A WebSocket asks once: **one HTTP request turns its TCP connection into
// a channel on which both sides send whenever they like**. From then on a
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
// The demo is that chat. Let ada say something and watch the wire: the
// server speaks to bob, and bob has asked for nothing.

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
// The connection begins as a GET that asks for `Upgrade: websocket`. The
// answer is 101, with a hash of the client's key: proof that the server
// speaks WebSocket and does not just echo
// ([RFC 6455, section 1.3](https://www.rfc-editor.org/rfc/rfc6455#section-1.3)).
// From then on the TCP connection carries frames (`wss://`: over TLS). What
// is wrong is said before, while a status can say it: `Sockets.upgrade`
// answers a plain GET with 426, we a bad name with 400. In Chromium's DevTools
// the request has type *websocket*, status 101, and a tab *Messages*.

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
// A WebSocket message has no method, path or status, so ours carry a
// `type`. Each travels in at least one frame: 2 to 14 bytes with its kind
// and length, and the payload. To cut it into more frames is allowed at
// any size and never required.

// %%
record Message(String type, long id, String from, String text, Instant at) {}

record Presence(String type, String name, int online) {}

record Online(String type, int online) {}

record Mistake(String type, String reason) {}

// %% [markdown]
// ## A client is an endpoint
//
// Jakarta's container unmasks frames, puts fragments together, answers
// pings, and calls an `Endpoint` when its connection opens, has a message
// or ends, by a close frame or by a reset. What makes no sense is answered
// with an error, and its sender stays. What breaks the rules ends the
// connection: a text over 65,536 bytes with 1009, binary with 1003, which
// the container would ignore in silence. A fault of our own is told on the
// terminal, and ends it with 1011.
//
// A laptop that is shut sends no farewell. We ping every 20 seconds, and
// end with 1001 what was silent for 60. Any byte is a sign of life, a part
// of a frame as well, so we look below the frames. Our own writes prove
// nothing: they succeed as long as the kernel has room. The client needs a
// sign of life as well. No script sees pings, so each comes with a message.

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
// Undertow's `getAsyncRemote().sendText` queues without bound (Tomcat's
// throws): one client that stops reading takes the whole heap. So what is
// for all goes another way. `Broadcast` encodes a message once and hangs it
// on a chain. A client remembers the link it has reached, and takes the next
// one when its socket has room. A thousand slow clients share the same links,
// and nobody waits for them; who is 10,000 messages or 32 MiB behind is cut
// off with 1013. And who talks faster than all can be told is not read
// for a while, so that TCP slows it down.
//
// Under one lock a message gets its number and its place in the chain:
// numbers rise in the order in which everybody hears them. To tell all
// about each of 8,000 arrivals would be 32 million messages. Above 100 we
// send the count instead, at most 5 times a second, and always the last.

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
// `new WebSocket` never reconnects by itself. We do, after a pause that
// grows, and is drawn from a window that fits how many were online: of
// 8,000 clients of a restarted server about 500 come back each second. A
// close that we asked for is final, and so is a handshake that is refused
// with 400. A script sees 1006, as for a dead network: it asks by `fetch`.

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
// A server that has died without a word looks like a quiet one. So each
// message moves a deadline: after 50 seconds of silence we join anew.
//
// `send` never blocks: what the network does not take waits in the
// browser's memory. `bufferedAmount` says how much, so we look first.

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
// **Send nonsense.** Text that is not JSON gets an error, and ada stays: a
// channel has no status 400, so errors are messages too.
//
// **One byte too many.** A text of 65,537 bytes ends ada's connection with
// 1009. Her client comes back, and bob sees her leave and join.
//
// **Freeze the cable.** Ada's bytes pass a relay, `shared/cable`. Frozen,
// it passes none and tells nobody, as when a laptop leaves its network.
// Her browser says open, `say` says sent, the server counts two. Thaw it,
// and everything arrives. Leave it, and within 50 seconds of the last
// message her page gives the connection up, and within 60 the server.
//
// **Reset it.** Both ends get a TCP reset. No close frame comes: ada's
// browser makes up 1006, a code that never travels. Bob hears `left` at
// once, though nothing was sent to ada: reading noticed it.
//
// **Ignore bufferedAmount.** 100 texts of 60,000 bytes in one loop: `send`
// takes them all and the browser stores them. Then `say` says no.
//
// At shutdown everybody is told 1001, "going away", and comes back later.

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
// 1. Ask without an upgrade: `curl -i 'http://localhost:8003/chat?name=eve'`
//    gets 426. A page cannot fake its origin, curl can: with
//    `-H 'Upgrade: websocket' -H 'Origin: http://evil.example'` it is
//    refused with 403, as a foreign page would be.
// 2. Leave the page alone for 20 seconds: pings and pongs cross the wire,
//    which no script can see. Click one for its two or six bytes.
// 3. Open the page in a second window. Names may repeat; who hears what?
//
// ## What it costs, and when to choose it
//
// - **Resources**: a client costs a socket and about 9 KiB of heap here,
//   silent or not. **Limits** are file descriptors, memory and fan-out.
// - **Load balancers** spread connections, not messages: a new server gets
//   only new ones. **Sticky sessions** are for transports of many requests.
// - **Scaling**: two servers need a broker, or each room lives on one.
// - **Authentication**: `new WebSocket` cannot set headers, and a cookie may
//   come along from a page that is not ours: so we check `Origin`.
// - **Proxies** must forward `Upgrade`, with patience beyond our pings.
// - **Testing**: Autobahn, Playwright for pages, else the JDK's own client.
// - **Dropped connections**: reconnect; where all are blocked, poll (01, 02).
// - **Clean-up**: `onClose` comes at the end, after silence by the pings.
//
// Choose WebSocket where both sides talk: chat, games, editing together.
// If only the server talks, server-sent events (lesson 04) need less:
// they are plain HTTP, and the browser reconnects and says where it was.
//
// `./jbang notebook 03` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8003, Websocket.routes()).port` shows 8003, and the page is
// at that port.
