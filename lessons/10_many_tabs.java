///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Many tabs: the seventh stream hangs; tabs that elect a leader share one
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/tabs/[A-Z]*.java
//SOURCES ../shared/tls/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 10_many_tabs.java
//FILES 10_many_tabs.html
//FILES 10_many_tabs.md

// %% [markdown]
// # 10 - Many tabs
//
// A reader opens your page in a seventh tab, and it does not load. No error, no
// log line. **Over HTTP/1.1 all tabs share six connections to a server** (Chrome,
// Firefox, Safari), and the six tabs before it hold one each. Here tabs learn to
// share one stream. And a count of connections is no count of people.
//
// It happened to webpack's hot reload, one stream for each tab: the seventh tab
// loaded for ever, until another was closed
// ([the report](https://github.com/webpack/webpack-hot-middleware/issues/298)).
//
// ```mermaid
// sequenceDiagram
//   participant Follower
//   participant Leader
//   participant Server
//   Leader->>Server: GET /events?after=2
//   Server-->>Leader: id 3
//   Leader-->>Follower: 3, by BroadcastChannel
//   Note over Leader: closed
//   Follower->>Server: GET /events?after=3
//   Note over Follower: now the leader
// ```

// %%
import io.undertow.server.*;
import jakarta.websocket.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Consumer;
import shared.*;
import shared.tabs.Tab;
import shared.tls.Secure;
import shared.websocket.*;

// %% [markdown]
// ## A document, and who is here
//
// What happens to a document is a log, as in lesson 07, but in memory. Each reader
// is told what it asks for, then what is new, in one step.
//
// **People are counted naively:** each connection counts as one. A reload ends
// one connection and opens another, so it tells everybody that ada is gone, and
// that she is here. Seven tabs of hers are here seven times. The exercise is to
// do better.

// %%
record DocEvent(int n, String type, String person, String text) {}

class Doc {
    private final List<DocEvent> log = new ArrayList<>();
    private final Map<Consumer<DocEvent>, String> readers = new LinkedHashMap<>();

    synchronized int add(String type, String person, String text) {
        DocEvent event = new DocEvent(log.size() + 1, type, person, text);
        log.add(event);
        readers.keySet().forEach(reader -> reader.accept(event));
        return event.n();
    }

    synchronized List<DocEvent> after(int n) {
        return List.copyOf(log.subList(Math.min(n, log.size()), log.size()));
    }

    synchronized void join(Consumer<DocEvent> reader, String person, int after) {
        after(after).forEach(reader);
        readers.put(reader, person);
        add("here", person, "");
    }

    synchronized void leave(Consumer<DocEvent> reader) {
        String person = readers.remove(reader);
        if (person != null) add("gone", person, "");
    }

    synchronized int readers() { return readers.size(); }
}

// %% [markdown]
// ## How to hear it
//
// By an event stream. (The WebSocket is only for the experiment *Seven WebSockets*:
// its person is always ada, and it begins at event 1.) `EventSource` comes back by
// itself, with the last id in a header. A tab that opens a stream anew gives the
// number in the URL, `after`. `GET /log` has the same events as a plain answer.

// %%
class Docs {
    private final Map<String, Doc> byName = new ConcurrentHashMap<>();

    Doc get(String name) {
        if (name == null || !name.matches("[a-z0-9][a-z0-9-]{0,39}")) {
            throw new Problem(400,
                    "'doc' must be 1 to 40 of a-z, 0-9 and -, and begin with no -.");
        }
        return byName.computeIfAbsent(name, it -> new Doc());
    }

    Doc of(HttpServerExchange exchange) { return get(Http.query(exchange, "doc")); }

    static int after(HttpServerExchange exchange) {
        String last = exchange.getRequestHeaders().getFirst("Last-Event-ID");
        return last != null && last.matches("\\d{1,9}") ? Integer.parseInt(last)
                : (int) Http.queryInteger(exchange, "after", 0, 0, 999_999_999);
    }

    static String person(String named) { return named == null ? "ada" : named; }

    void events(HttpServerExchange exchange) {
        Doc doc = of(exchange);
        int after = after(exchange);
        String person = person(Http.query(exchange, "person"));
        Http.events(exchange, stream -> {
            Consumer<DocEvent> reader = event -> stream.send(
                    Http.JSON.writeValueAsString(event), null, "" + event.n(), null);
            Http.onGone(exchange, () -> doc.leave(reader));
            doc.join(reader, person, after);
        });
    }

    void edit(HttpServerExchange exchange, byte[] body) {
        var edit = Http.object(body);
        int n = get(Http.text(edit, "doc")).add("edit",
                person(Http.text(edit, "person")), Http.text(edit, "text"));
        Http.json(exchange, 201, Map.of("n", n));
    }
}

class Socket extends Endpoint {
    private final Docs docs;
    private Doc doc;
    private Consumer<DocEvent> reader;

    Socket(Docs docs) { this.docs = docs; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        doc = docs.get(session.getRequestParameterMap().get("doc").getFirst());
        reader = event -> Sockets.send(Sockets.channel(session),
                Http.JSON.writeValueAsBytes(event), () -> {});
        doc.join(reader, "ada", 0);
    }

    @Override
    public void onClose(Session session, CloseReason reason) { doc.leave(reader); }
}

// %% [markdown]
// ## Once and in order
//
// **The number makes all that follows safe.** A tab takes event n + 1 after n, and
// nothing else. An event that it has had already, it drops. If it sees a gap, it
// asks for the log. So it does not matter by which way an event comes, or how often.
//
// This holds as long as the log lives. A server that has lost it counts from 1
// again, and a tab that has heard 57 drops the new 1 to 57. Lesson 07 has the
// remedy: the epoch in the id, and `reset`.

// %%
interface InOrder {
    // language=JavaScript
    String SCRIPT = """
            function inOrder(doc, hear) {
              const own = { last: 0, take, catchUp }; // all up to `last` has been heard
              let newest = 0;
              let asking = false;

              function take(event) { // or only a number, `n`
                newest = Math.max(newest, event.n);
                if (event.n <= own.last) return;
                if (event.n > own.last + 1 || !event.type) return catchUp();
                own.last = event.n;
                hear(event);
              }

              async function catchUp() {
                if (asking) return;
                asking = true;
                try {
                  const from = own.last;
                  const log = await fetch(`/log?doc=${doc}&after=${from}`,
                    { signal: AbortSignal.timeout(10_000) });
                  (await log.json()).forEach(take);
                  if (own.last === from && from < newest) throw new Error("not there");
                  asking = false;
                  if (own.last < newest) catchUp();
                } catch { // no answer, or not what is missing: again, a little later
                  await new Promise((later) => setTimeout(later, spread()));
                  asking = false;
                  catchUp();
                }
              }
              return own;
            }

            const spread = () => 1_000 + 2_000 * Math.random(); // not all at once
            """;
}

// %% [markdown]
// ## One stream for all tabs
//
// The tabs elect a leader. `navigator.locks` gives a lock to one tab at a time,
// and to the next in line when that tab closes, crashes or lets go. The one that
// has it opens the stream, from its own last event on, and tells the others by
// `BroadcastChannel`.
//
// **A lock in `localStorage` is no lock**: between reading and writing it another
// tab does the same, and a tab that crashed never lets go. `beforeunload` does
// not help: a crash does not call it, and phones often do not.
//
// Nobody hears anything while a leader sleeps. So it lets go before: on `pagehide`,
// when its page goes into the back/forward cache, and on `freeze`. (Chromium on a
// desktop freezes no tab that holds a lock. Safari and Firefox have no `freeze`.)

// %%
interface Leader {
    // language=JavaScript
    String SCRIPT = """
            function shared(doc, person, { hear, show }) {
              const channel = new BroadcastChannel(doc);
              const own = inOrder(doc, hear);
              let letGo; // of the lock, or of the place in line

              function lead(resign) {
                const from = `doc=${doc}&person=${person}&after=${own.last}`;
                const source = new EventSource(`/events?${from}`);
                source.onopen = () => {
                  show("leads");
                  channel.postMessage({ n: own.last });
                };
                source.onmessage = ({ data }) => {
                  const event = JSON.parse(data);
                  channel.postMessage(event);
                  own.take(event);
                };
                source.onerror = () => { // 2: it will not come back by itself
                  if (source.readyState !== 2) return;
                  rest();
                  setTimeout(stand, spread());
                };
                letGo = () => {
                  source.close();
                  resign();
                };
              }

              function stand() {
                if (letGo) return; // it does already
                const line = new AbortController();
                letGo = () => line.abort();
                show("follows");
                navigator.locks
                  .request(doc, { signal: line.signal }, () => new Promise(lead))
                  .catch((why) => why.name === "AbortError" || show(`${why}`));
                own.catchUp(); // it may have slept
              }

              function rest() {
                letGo?.();
                letGo = null;
                show("rests");
              }

              channel.onmessage = ({ data }) => own.take(data);
              addEventListener("pagehide", rest);
              addEventListener("pageshow", stand);
              document.addEventListener("freeze", rest);
              document.addEventListener("resume", stand);
              stand();
            }
            """;
}

// %% [markdown]
// ## HTTP/2 has a limit, too
//
// Over HTTP/2 one connection carries many streams, so the six are no limit. But
// there is another: a server says how many streams it allows at a time
// (`SETTINGS_MAX_CONCURRENT_STREAMS`, [RFC 9113, section
// 6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)). Ours says nothing;
// then Chromium and Firefox take 100. The next request waits, again without an
// error.
//
// Browsers speak HTTP/2 over TLS only. So a second server has a certificate of
// its own, which your browser asks you to accept after each start.

// %%
class ManyTabs {
    static Routes document(Docs docs) {
        return Tab.mount(new Routes(), InOrder.SCRIPT, Leader.SCRIPT)
                .get("/events", docs::events)
                .get("/log", exchange -> Http.json(exchange, 200,
                        docs.of(exchange).after(Docs.after(exchange))))
                .get("/socket", Sockets.upgrade("/socket", "doc.v1", docs::of,
                        () -> new Socket(docs)))
                .post("/edits", docs::edit);
    }

    static HttpHandler routes() {
        Docs docs = new Docs();
        Secure secure = new Secure(document(docs).get("/", exchange -> Http.send(
                exchange, 200, "text/plain", "Accepted. Close this tab, and go on.")));
        return document(docs).withCable().onStop(secure::stop)
                .page("10_many_tabs")
                .get("/_/page/readers", exchange -> Http.json(exchange, 200,
                        docs.of(exchange).readers()))
                .get("/_/page/secure", exchange -> Http.json(exchange, 200,
                        secure.state()));
    }

    void main() {
        Serve.run("10 Many tabs", 8010, routes());
    }
}

// %% [markdown]
// ## Break it
//
// Each experiment has a document of its own. The tabs are small pages in frames
// (`shared/tabs`). They reach the server by a second port, so this page keeps its
// own connections.
//
// **Seven tabs.** Each has a stream of its own. The seventh comes last.
//
// **Seven WebSockets.** Each tab has a WebSocket in place of its stream.
//
// **One stream.** The same seven tabs, and a leader.
//
// **Close the leader.** While 30 edits are made in two seconds.
//
// **Block the leader.** It is in a window, and computes for three seconds. Tabs
// in frames share one thread with this page, so a frame cannot show this.
//
// **Over HTTP/2.** Seven tabs with one stream each, and then 94 streams more.
//
// **Reload.** Bob reads, and ada reloads her only tab.
//
// ## Try it
//
// 1. Open `http://localhost:8010/tab?tab=1&doc=x&person=ada&as=own` in seven
//    tabs, and then with `as=shared`. This makes an edit: `curl
//    localhost:8010/edits -H 'Content-Type: application/json' -d
//    '{"doc":"x","person":"bob","text":"hi"}'`.
//
// ## On Monday
//
// - Open your page seven times. Does the seventh load? Over which HTTP does the
//   browser speak to you? Its network view has a column *Protocol*; in Chrome a
//   right click on the head of the table shows it.
// - Reload it. What do the others see?
// - What does your server count: people, tabs, or connections?
//
// `./jbang notebook 10` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8010, ManyTabs.routes()).port` shows 8010, the page's port.
