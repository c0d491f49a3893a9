///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Resuming: a killed server, 300 clients that come back, and no goal lost or told twice
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/nodes/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 07_resuming.java
//FILES 07_resuming.html
//FILES 07_resuming.md

// %% [markdown]
// # 07 - Resuming
//
// Every connection breaks some day: a deploy, a crash, a train in a tunnel.
// **Spread the returns in time. To resume, send the server's cursor back. A
// server that does not know it says reset.**
//
// In 2022 so many clients came back to Mattermost's server at once that its web
// app froze. The remedy was a random pause
// ([mattermost-webapp#10960](https://github.com/mattermost/mattermost-webapp/pull/10960)).
//
// ```mermaid
// sequenceDiagram
//   Ticker-->>ada: goal, cursor 3f9a-41
//   Note over Ticker: killed, and started anew
//   Note over ada: a random pause
//   ada->>Ticker: GET /ticker?after=3f9a-41
//   Ticker-->>ada: goals 3f9a-42, 3f9a-43
// ```
//
// Here a ticker tells the goals of a handball match. It is a process of its
// own, which the page can kill. Ada resumes; bob only reconnects.

// %%
import com.fasterxml.jackson.annotation.JsonInclude;
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import jakarta.websocket.*;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Consumer;
import shared.*;
import shared.nodes.*;
import shared.websocket.*;

// %% [markdown]
// ## A cursor is the server's word
//
// A client that comes back says what it saw last. Three bad ways to say it:
//
// - **A time.** Two goals may have the same one, and clocks differ.
// - **A number from a database sequence.** Transaction 7 may commit before 6.
//   A client that asks for all after 7 never gets 6.
// - **A bare number.** A server that lost its log counts from 1 again. Then 17
//   names another goal, or none yet.
//
// Ours is `EPOCH-N`. A new log draws a new epoch. (Four digits are easy to read
// here; you take a whole UUID.) One lock covers both: the goal gets its number, and
// is stored. A client must not parse a cursor: it hands back what it got.

// %%
@JsonInclude(JsonInclude.Include.NON_NULL) // a reset has a type only
record Goal(String type, String team, String cursor) {}

record Score(String cursor, long home, long away) {}

// %% [markdown]
// A goal is in the file before anybody hears of it, and a line counts once it
// has its line end. So a killed process loses nothing that it told. (For a
// power cut each write needs a `force()`, too.)

// %%
class GoalLog {
    private static final int MOST = 10_000;
    private final String epoch;
    private final FileChannel file;
    private final List<Goal> goals = new ArrayList<>();
    final Map<String, Goal> byKey = new HashMap<>();
    private long size;

    GoalLog(Path path) throws IOException {
        file = FileChannel.open(path, StandardOpenOption.CREATE,
                StandardOpenOption.WRITE);
        String text = Files.readString(path).replaceFirst("[^\n]++\\z", "");
        size = text.getBytes().length; // without a line that was torn by a kill
        List<String> lines = text.lines().toList();
        epoch = lines.isEmpty() ? UUID.randomUUID().toString().substring(0, 4)
                : lines.getFirst();
        if (lines.isEmpty()) write(epoch);
        else lines.subList(1, lines.size()).forEach(this::keep);
    }

    private void write(String line) throws IOException {
        size += file.write(ByteBuffer.wrap((line + "\n").getBytes()), size);
    }

    private Goal keep(String line) {
        String[] parts = line.split(" ", 2);
        Goal goal = new Goal("goal", parts[0], epoch + "-" + (goals.size() + 1));
        goals.add(goal);
        if (!parts[1].isEmpty()) byKey.put(parts[1], goal);
        return goal;
    }

    Goal add(String team, String key) throws IOException {
        if (goals.size() == MOST) throw new Problem(409, "The match is over.");
        write(team + " " + key);
        return keep(team + " " + key);
    }

    /// All goals after a cursor, or null where it is none of this log.
    List<Goal> after(String cursor) {
        if (!cursor.matches(epoch + "-(0|[1-9]\\d{0,5})")) return null;
        int n = Integer.parseInt(cursor.substring(epoch.length() + 1));
        return n > goals.size() ? null : List.copyOf(goals.subList(n, goals.size()));
    }

    Score score() {
        long home = goals.stream().filter(goal -> goal.team().equals("home")).count();
        return new Score(epoch + "-" + goals.size(), home, goals.size() - home);
    }
}

// %% [markdown]
// ## Missed, then live, in one step
//
// A goal that falls between "send what was missed" and "add to the listeners"
// is lost. Were the steps the other way round, it could come twice. So we do
// both under one lock, which telling a goal needs, too.
//
// A cursor that we do not know gets `reset`. **Silence would say "you missed
// nothing".** The client leaves this connection, and loads the snapshot: the
// state, with the cursor at which it is true. Then it comes back with that.

// %%
class Ticker {
    final GoalLog log;
    final Broadcast viewers = new Broadcast(1_000, 1024 * 1024);
    final Set<ServerSentEventConnection> streams = ConcurrentHashMap.newKeySet();

    Ticker(Path file) throws IOException { log = new GoalLog(file); }

    synchronized void join(String after, Consumer<Goal> hear, Runnable stay) {
        List<Goal> missed = after == null ? List.of() : log.after(after);
        if (missed == null) hear.accept(new Goal("reset", null, null));
        else missed.forEach(hear);
        stay.run();
    }

    synchronized Goal goal(String team, String key) throws IOException {
        Goal known = log.byKey.get(key);
        if (known != null && known.team().equals(team)) return known;
        if (known != null) throw new Problem(422, "This key came with the other team.");
        Goal goal = log.add(team, key);
        viewers.tell(Http.JSON.writeValueAsBytes(goal));
        streams.forEach(each -> Stream.send(each, goal));
        return goal;
    }

    synchronized Score snapshot() { return log.score(); }

    void post(HttpServerExchange exchange, byte[] body) throws IOException {
        String team = Http.text(Http.object(body), "team");
        if (!Set.of("home", "away").contains(team)) {
            throw new Problem(400, "'team' must be home or away.");
        }
        String key = exchange.getRequestHeaders().getFirst("Idempotency-Key");
        Http.json(exchange, 201, goal(team, key == null ? "" : key));
    }

    void close() {
        viewers.close(1001);
        streams.forEach(ServerSentEventConnection::shutdown);
    }
}

// %% [markdown]
// ## Two ways to listen
//
// A WebSocket client puts its cursor into the URL. An `EventSource` that comes
// back sends it as `Last-Event-ID`; a page that is loaded anew uses the URL.
// An `EventSource` waits for as long as `retry` says. (Browsers may wait longer;
// Chromium does not.) One `retry` for all brings all back at once. So **we draw
// one for each connection**.

// %%
class Viewer extends Endpoint {
    private final Ticker ticker;
    private Broadcast.Member member;

    Viewer(Ticker ticker) { this.ticker = ticker; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        member = ticker.viewers.member(session, config);
        var after = session.getRequestParameterMap().get("after");
        ticker.join(after == null ? null : after.getFirst(),
                goal -> member.tell(Http.JSON.writeValueAsBytes(goal)),
                () -> ticker.viewers.add(member));
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        ticker.viewers.remove(member);
    }
}

interface Stream {
    static void open(Ticker ticker, HttpServerExchange exchange) {
        String inUrl = Http.query(exchange, "after");
        String header = exchange.getRequestHeaders().getFirst("Last-Event-ID");
        String after = header == null || header.isEmpty() ? inUrl : header;
        Http.events(exchange, own -> {
            Http.onGone(exchange, () -> ticker.streams.remove(own));
            own.sendRetry(ThreadLocalRandom.current().nextLong(500, 1_500));
            ticker.join(after, goal -> send(own, goal),
                    () -> ticker.streams.add(own));
        });
    }

    static void send(ServerSentEventConnection to, Goal goal) {
        to.send(Http.JSON.writeValueAsString(goal), goal.type(), goal.cursor(), null);
    }
}

// %% [markdown]
// ## The browser's side
//
// **Pause n, from 0, is random between 0 and `base * 2^n`, at most `cap`.**
// Without the random part all clients of a dead server knock together. `base`
// decides how thinly they are spread: 300 clients, and a server that does 40
// handshakes a second, need 300 / 40 = 7.5, so about 8 seconds.
//
// Three lines are easily wrong:
//
// - The pauses begin anew only after a connection that *lasted*. Reset in
//   `onopen`, they never grow where a server accepts us and dies at once.
// - Each message moves the cursor. Else each return gets the same goals again.
// - A handler that is added in `onopen` to something that outlives the socket
//   is there twice after the first return: each goal counts twice.

// %%
interface ResumingClient {
    // language=JavaScript
    String SCRIPT = """
            const wait = (failures, base, cap = 30_000) =>
              Math.random() * Math.min(cap, base * 2 ** failures);

            function follow(name, { hear, show, base = 2_000, cap, lasts = 5_000 }) {
              let cursor, socket, openedAt = Infinity, failures = 0;

              async function load() {
                const state = await (await fetch("/snapshot")).json();
                if (!state.cursor) throw new Error(state.title); // 503
                hear(state);
                cursor = state.cursor;
                join();
              }
              function join() {
                const query = `name=${name}&after=${encodeURIComponent(cursor)}`;
                const url = `${location.origin.replace("http", "ws")}/ticker?${query}`;
                const own = socket = new WebSocket(url, "ticker.v1");
                own.onopen = () => {
                  openedAt = performance.now();
                  show("open");
                };
                own.onclose = () => own === socket && lost();
                own.onmessage = ({ data }) => {
                  if (own !== socket) return;
                  const message = JSON.parse(data);
                  if (message.type === "reset") {
                    show("reset");
                    cursor = socket = null; // its end is not for us
                    own.close();
                    lost();
                  } else {
                    hear(message);
                    cursor = message.cursor;
                  }
                };
              }
              function lost() {
                if (performance.now() - openedAt > lasts) failures = 0;
                openedAt = Infinity;
                const ms = wait(failures++, base, cap);
                show(`comes back in ${Math.round(ms)} ms`);
                setTimeout(cursor ? join : () => load().catch(lost), ms);
              }
              load().catch(lost);
            }
            """;
}

// %% [markdown]
// ## A command that may come twice
//
// The answer to a POST can get lost. The client does not know then whether the
// goal counts, and posts it again with the same `Idempotency-Key` ([IETF draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
// The key is in the goal's line: both are stored, or neither. What is sold as
// "exactly once" is this: at least once, and the second time changes nothing.

// %%
interface Press {
    // language=JavaScript
    String SCRIPT = """
            async function post(team) {
              const key = `"${crypto.randomUUID()}"`; // of the goal, not of the attempt
              for (let failures = 0; ; failures++) {
                const answer = await fetch("/events", {
                  method: "POST", body: JSON.stringify({ team }),
                  headers: { "Content-Type": "application/json",
                    "Idempotency-Key": key },
                }).catch(() => ({ status: 503, headers: new Headers() }));
                if (answer.status < 500) return answer;
                await pause(retryAfter(answer) + wait(failures, 500));
              }
            }
            """;
}

// %% [markdown]
// ## Break it
//
// **Kill the ticker.** It is down for a second, and while it starts. Three goals
// fall before bob is back. Ada resumes; bob connects, without a cursor.
//
// **300, a fixed pause.** Three hundred more clients, in Java, resume as ada
// does; but each comes back after one second. The wire view leaves them out, as it
// would show nothing else. Each bar counts who came back in one second.
//
// **300, random pauses.** Each draws from 0 to 8 seconds, then from 0 to 16.
//
// **Lose the log.** The ticker is started anew with an empty file. Ada's
// cursor is from the old epoch.
//
// **503.** An `EventSource` comes back by itself, as lesson 04 says. But while
// the ticker is down, the server before it answers 503.
//
// **Post a goal twice.** First with the same key, then without any.

// %%
class Resuming {
    private static final int BASE_MS = Serve.environment("BASE_MS", 8_000, 1, 600_000);

    static long spread(int failures) { // as `wait` above
        return ThreadLocalRandom.current().nextLong(
                Math.min(4L * BASE_MS, (long) BASE_MS << Math.min(failures, 10)));
    }

    static HttpHandler routes() throws IOException {
        Path file = Serve.data().resolve("ticker.log");
        Child node = new Child("Resuming", Map.of("DATA", file.getParent().toString()));
        node.start();
        var routes = new Routes()
                .page("07_resuming", ResumingClient.SCRIPT, Press.SCRIPT)
                .delete("/_/log", (exchange, body) -> {
                    Files.deleteIfExists(file);
                    Http.empty(exchange, 204);
                });
        Crowd.mount(routes, node.port(),
                Map.of("fixed", failures -> 1_000, "spread", Resuming::spread));
        return node.mount(routes);
    }

    /// What the second process serves.
    static HttpHandler ticker() throws IOException {
        Ticker ticker = new Ticker(Serve.data().resolve("ticker.log"));
        return new Routes()
                .onStop(ticker::close)
                .get("/ticker", Sockets.upgrade("/ticker", "ticker.v1",
                        exchange -> Http.query(exchange, "after"),
                        () -> new Viewer(ticker)))
                .get("/events", exchange -> Stream.open(ticker, exchange))
                .get("/snapshot", exchange -> Http.json(exchange, 200,
                        ticker.snapshot()))
                .post("/events", ticker::post);
    }

    void main() throws IOException {
        if (Child.isChild()) Child.serve(ticker());
        else Serve.run("07 Resuming", 8007, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. `curl -N localhost:8007/events` while the page is in view, and kill the
//    ticker. Which id came last? With it in place of ID,
//    `curl -N localhost:8007/events -H 'Last-Event-ID: ID'` goes on after it.
// 2. `BASE_MS=1000 ./jbang lessons/07_resuming.java`: how many of the 300 come
//    in the fullest second now?
//
// ## On Monday
//
// - Kill a server in a test environment, and count its handshakes by the
//   second. How many of them can it take?
// - What does your client do when it comes back: does it know what it missed,
//   and does the server say so when it does not?
// - Search your code for a back-off that is reset in `onopen`, for a handler
//   that is added there, and for a retry without a random part.
//
// `./jbang notebook 07` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8007, Resuming.routes()).port` shows 8007, the page's port. The
// ticker is a second process: it runs the file, and not your cells.
