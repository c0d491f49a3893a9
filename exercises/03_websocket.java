///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a live auction
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 03_websocket.java
//FILES 03_websocket.html=../exercises/03_websocket.html

// %% [markdown]
// # 03 - Exercise: a live auction
//
// A hall full of people bids for one lot after the other, each connected
// by a WebSocket. Your server lets them in, tells everybody every bid, and
// says to a single one what concerns nobody else.
//
// **The twist.** Only a higher bid stands. Two people may bid the same at
// the same instant, on two threads, and only one of the bids stands.
//
// ## What it must do
//
// After `GET /auction?name=ada`, ada says (`>`) and hears (`<`) JSON texts.
// `all` is everybody who is here at that moment:
//
// ```
// ada < {"type":"lot","title":"A lamp","highest":0,"bidder":null}
// all < {"type":"joined","name":"ada"}
// ada > {"type":"bid","amount":1250}
// all < {"type":"bid","amount":1250,"bidder":"ada","id":1}
// bob > {"type":"bid","amount":1250}
// bob < {"type":"outbid","highest":1250,"bidder":"ada"}
// bob > 1300!
// bob < {"type":"error","reason":"..."}
// all < {"type":"left","name":"ada"}
// ```
//
// 1. **The handshake** (TODO 1). `name` must be given once and have 1 to 40
//    code points, else 400. Two people may have the same name.
// 2. **A bidder who comes** (TODO 2) hears two messages before all others:
//    the `lot` on the board, with its highest bid, and its own `joined`.
//    From that `lot` on it hears every new lot and every later bid, once.
// 3. **A bidder who goes**, by a close frame or a reset, is forgotten, and
//    all others hear `left`. `GET /bidders` lists the names of all who are
//    here; a name with two connections is listed twice.
// 4. **A bid** (TODO 3) is an object with the `type` `bid` and an `amount`,
//    a whole number from 1 to 99,999,999; `1.0` is 1, other members do not
//    matter. Any other text gets an `error` with a reason that is not
//    empty. Its sender stays, and nobody else hears it.
// 5. **A bid stands** (TODO 4) if it is higher than the lot's highest, even
//    if that is the bidder's own. `id` is a whole number that rises with each
//    bid, over all lots; gaps do not matter. Any other bid, an equal one too,
//    gets an `outbid`, for its sender only: the highest bid, and who made it.
// 6. **One step.** All hear the same bids in the same order, each higher
//    than the one before. A bid is for the lot that is on the board when it
//    is decided, and never brings an old one back. An `outbid` may come
//    before the higher `bid`.
//
// To see it: `./jbang exercises/03_websocket.java`. To grade it on each
// save: `./jbang watch 03`.

// %%
import io.undertow.server.*;
import jakarta.websocket.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## TODO 1: the handshake is HTTP
//
// A wrong request is refused before the upgrade, while a status can still be
// sent. `Http.query(exchange, "name")` returns the parameter, null where it
// is absent, and throws a 400 where it is given twice.

// %%
class Door {
    static HttpHandler into(Auction auction) {
        return Sockets.upgrade("/auction", "auction.v1", Door::check,
                () -> new Bidder(auction));
    }

    static void check(HttpServerExchange exchange) {
        // TODO 1: Throw a 400 unless `name` is given once and has 1 to 40 code points.
        throw Problem.todo(1);
        // END 1
    }
}

// %% [markdown]
// ## Done already: what is said, and the board
//
// `new Lot("A lamp")` has no bid yet, `lot.with(1250, "ada")` is the same
// lot with a new highest bid. The board in the hall shows it to all.

// %%
record Lot(String type, String title, int highest, String bidder) {
    Lot(String title) {
        this("lot", title, 0, null);
    }

    Lot with(int amount, String bidder) {
        return new Lot("lot", title, amount, bidder);
    }
}

record Presence(String type, String name) {}

record Bid(String type, int amount, String bidder, long id) {}

record Outbid(String type, int highest, String bidder) {}

record Mistake(String type, String reason) {}

class Board {
    private volatile Lot lot = new Lot("A lamp");

    Lot lot() {
        Lot read = lot;
        Pause.at("read"); // The grader may hold a thread here, to let another pass.
        return read;
    }

    void show(Lot lot) {
        this.lot = lot;
    }
}

// %% [markdown]
// ## TODO 2: who comes, who goes
//
// `tell` says something to all who were added and not removed, in the order
// of the calls; `bidder.answer` says it to one. Threads of several clients
// come here at once. What one of them reads from the board is old as soon
// as another changes it. The simplest way is to hold the lock that `begin`
// holds, `synchronized (this)`, from the first look at the board until all
// is told.

// %%
class Hall {
    final Broadcast broadcast = new Broadcast(10_000, 32 * 1024 * 1024);
    final Board board = new Board();
    private final Set<Bidder> bidders = ConcurrentHashMap.newKeySet();

    void comesOrGoes(Bidder bidder, boolean comes) {
        // TODO 2: Answer who comes with the lot, and `add`; `remove` who goes; then
        //   tell all a `Presence`, "joined" or "left". All of it in one step.
        throw Problem.todo(2);
        // END 2
    }

    synchronized void begin(Lot lot) {
        board.show(lot);
        tell(lot);
    }

    void add(Bidder bidder) {
        broadcast.add(bidder.member);
        bidders.add(bidder);
    }

    void remove(Bidder bidder) {
        broadcast.remove(bidder.member);
        bidders.remove(bidder);
    }

    void tell(Object message) {
        Pause.at("tell"); // The grader may hold a thread here, too.
        broadcast.tell(Http.JSON.writeValueAsBytes(message));
    }

    synchronized List<String> names() {
        return bidders.stream().map(each -> each.name).sorted().toList();
    }
}

// %% [markdown]
// ## TODO 3: is it a bid?
//
// A channel has no status 400, but a `Problem` will do: whoever calls this
// makes it an `error` for the sender. `Http.object(bytes)` parses an object,
// `Http.text(object, "type")` reads a string and `Http.integer(object,
// "amount", 1, 9)` a whole number; each throws a `Problem` of its own.

// %%
class Bids {
    static int amount(String text) {
        // TODO 3: Return the amount of the bid in `text`, or throw a Problem.
        throw Problem.todo(3);
        // END 3
    }
}

// %% [markdown]
// ## TODO 4: only a higher bid stands
//
// An auction is a hall, so this is the same lock. Two threads that both
// find the board at 10.00 would both let a bid of 11.00 stand; and if we
// told of bids without the lock, somebody would hear the last one first.

// %%
class Auction extends Hall {
    private long lastId;

    void bid(Bidder bidder, int amount) {
        // TODO 4: If the bid is higher than the lot's highest, show it on the board and
        //   tell all a `Bid` with the next id; else answer an `Outbid`. In one step.
        throw Problem.todo(4);
        // END 4
    }
}

// %% [markdown]
// ## Done already: a bidder is an endpoint
//
// The container calls `onClose` after a close frame, and after a reset. Any
// thread may call `answer`; a bidder who leaves over 100 unread is cut off. A
// text over 65,536 bytes closes 1009, binary closes 1003. A TODO that is
// open sends an `error` and closes 1011.

// %%
class Bidder extends Endpoint {
    private final Auction auction;
    private Session session;
    Broadcast.Member member;
    String name;

    Bidder(Auction auction) {
        this.auction = auction;
    }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        this.session = session;
        name = session.getRequestParameterMap().get("name").getFirst();
        member = auction.broadcast.member(session, config);
        session.setMaxTextMessageBufferSize(65_536);
        session.addMessageHandler(String.class,
                text -> attempt(() -> auction.bid(this, Bids.amount(text))));
        session.addMessageHandler(ByteBuffer.class,
                (part, last) -> Sockets.close(session, 1003));
        attempt(() -> auction.comesOrGoes(this, true));
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        attempt(() -> auction.comesOrGoes(this, false));
    }

    private void attempt(Runnable action) {
        try {
            action.run();
        } catch (Problem problem) {
            answer(new Mistake("error", problem.getMessage()));
            if (problem.isTodo()) Sockets.close(session, 1011);
        } catch (RuntimeException fault) {
            System.err.println(Graded.fault("WebSocket of " + name, fault));
            Sockets.close(session, 1011);
        }
    }

    void answer(Object message) {
        member.tell(Http.JSON.writeValueAsBytes(message));
    }
}

// %% [markdown]
// ## Done already: the page's client, and the routes
//
// `POST /lots {"title":"A lamp"}` begins a lot, which all hear. A GET
// without an upgrade gets 426; the subprotocol is `auction.v1`. A browser
// does not tell a page why a handshake was refused. So the page asks
// `/_/door`, which makes the same check without an upgrade.

// %%
interface AuctionClient {
    // language=JavaScript
    String SCRIPT = """
            function enter(name, { hear, show }) {
              const server = location.origin.replace("http", "ws");
              const query = `name=${encodeURIComponent(name)}`;
              const socket = new WebSocket(`${server}/auction?${query}`, "auction.v1");
              let entered = false;
              socket.onopen = () => { entered = true; show("here"); };
              socket.onmessage = ({ data }) => hear(JSON.parse(data));
              socket.onclose = async ({ code }) => {
                show(`gone, ${code}`);
                if (entered) return;
                const door = await fetch(`/_/door?${query}`);
                if (!door.ok) show("refused", (await door.json()).detail);
              };
              return {
                isHere: () => socket.readyState === WebSocket.OPEN,
                bid: (amount) => socket.send(JSON.stringify({ type: "bid", amount })),
                say: (text) => socket.send(text),
                leave: () => socket.close(1000),
              };
            }
            """;
}

class LiveAuction {
    static HttpHandler routes() {
        Auction auction = new Auction();
        return new Routes()
                .onStop(() -> auction.broadcast.close(1001))
                .page("03_websocket", AuctionClient.SCRIPT)
                .get("/auction", Door.into(auction))
                .get("/bidders", exchange -> Http.json(exchange, 200,
                        Map.of("bidders", auction.names())))
                .post("/lots", (exchange, body) -> {
                    auction.begin(new Lot(Http.text(Http.object(body), "title")));
                    Http.empty(exchange, 204);
                })
                .get("/_/door", exchange -> {
                    Door.check(exchange);
                    Http.empty(exchange, 204);
                });
    }

    void main() {
        Serve.run("03 WebSocket", 9003, routes());
    }
}
