///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a shared document
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//SOURCES ../shared/websocket/[A-Z]*.java
//FILES 10_many_tabs.java
//FILES 10_many_tabs.html=../exercises/10_many_tabs.html

// %% [markdown]
// # 10 - Exercise: a shared document
//
// Several people write one document, as in a web office, and each may have
// several tabs of it. Your server tells all tabs who is here: once a person.
//
// **The twist.** A tab that is hidden hears nothing. When it is shown again, it
// hears all that it missed.
//
// ## What it must do
//
// | request | what it is |
// |---|---|
// | `GET /doc?person=ada` | a WebSocket: one tab of ada's |
// | `GET /people` | `{"people":[{"person":"ada","tabs":2}],"timers":0}` |
// | `DELETE /people/ada` | puts ada out: 204; 404 if she is not here |
//
// The requests are done already. What happens is numbered from 1, without a gap.
// A tab hears a `hello` with the last number, then all that happens after it:
//
// ```
// {"type":"hello","n":7,"people":["bob"]}
// {"n":8,"type":"here","person":"ada"}
// {"n":9,"type":"edit","person":"ada","text":"Dear all"}
// {"n":10,"type":"gone","person":"ada"}
// ```
//
// 1. **Tabs connect, people are here.** Ada's first tab tells `here`. The end of
//    her last one tells `gone`. Those between tell nothing.
// 2. **A reload does not flicker.** After her last tab closes, ada is away for
//    `GRACE_MS`: she is still in `people`, and `DELETE` works. If a tab of hers
//    comes in that time, nothing is told. Her next absence has all of `GRACE_MS`
//    again. As long as nobody is away, `timers` is 0.
// 3. **Too many tabs, and out.** A person with `MAX_TABS` open gets no other: 429,
//    with a sentence. (Tabs that come at the same instant may both pass.) A person
//    who is put out is gone at once: told once, no grace, all tabs closed with
//    1008. She may come again, and is `here` again.
// 4. **Hidden and shown.** A hidden tab hears nothing. Shown, it hears all that it
//    missed, its own edits too, once and in order, and then what happens. It may
//    say `hidden` or `shown` twice. It counts as a tab all the time.
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/10_many_tabs.java`. Then grade it: `./jbang grade 10`.
// Stuck? `./jbang hint 10` gives one hint at a time.

// %%
import io.undertow.server.*;
import jakarta.websocket.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.xnio.*;
import shared.*;
import shared.websocket.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## Done already: the log
//
// It keeps all that has happened. `after(7)` are the events from number 8 on.

// %%
record DocEvent(long n, byte[] json) {}

class EventLog {
    private final List<DocEvent> events = new ArrayList<>();

    synchronized DocEvent add(String type, String person, String text) {
        long n = last() + 1;
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("n", n);
        event.put("type", type);
        event.put("person", person);
        if (text != null) event.put("text", text);
        events.add(new DocEvent(n, Http.JSON.writeValueAsBytes(event)));
        return events.getLast();
    }

    synchronized long last() { return events.size(); }

    List<DocEvent> after(long n) {
        List<DocEvent> found;
        synchronized (this) {
            found = List.copyOf(events.subList((int) n, events.size()));
        }
        Pause.at("after"); // The grader may hold a thread here: may another one pass?
        return found;
    }
}

// %% [markdown]
// ## Done already: timers that can be counted
//
// `Timeout.after(ms, lock, action)` runs the action once, on an I/O thread that
// holds the lock. `Timeout.cancel(timeout)` takes it back; null does nothing. If
// you hold the lock when you cancel, the action will not run any more.

// %%
class Timeout {
    static final AtomicInteger COUNT = new AtomicInteger();
    private static final XnioIoThread CLOCK = Serve.WORKER.getIoThread();
    private final Object lock;
    private XnioExecutor.Key key;
    private boolean over;

    private Timeout(Object lock) { this.lock = lock; }

    static Timeout after(long ms, Object lock, Runnable action) {
        Timeout timeout = new Timeout(lock);
        COUNT.incrementAndGet();
        synchronized (lock) {
            timeout.key = CLOCK.executeAfter(() -> {
                synchronized (lock) {
                    if (timeout.isFirst()) action.run();
                }
            }, ms, TimeUnit.MILLISECONDS);
        }
        return timeout;
    }

    static void cancel(Timeout timeout) {
        if (timeout == null) return;
        synchronized (timeout.lock) {
            if (timeout.isFirst()) timeout.key.remove();
        }
    }

    private boolean isFirst() {
        if (over) return false;
        over = true;
        COUNT.decrementAndGet();
        return true;
    }
}

// %% [markdown]
// ## Done already: the desk, and what happens at it
//
// The desk itself is the lock, `synchronized`. A thread that holds it may call
// all methods. `tabs` are the tabs that are open, `tabsOf("ada")` are hers.
// `comes` and `goes` call `changed` when they have added or removed a tab.
//
// `here` are the people of `GET /people` and of `hello`. `here.add` and
// `here.remove` say whether that has changed anything.
//
// `happens` puts an event into the log, and tells it to all tabs but those
// whose field `hidden` is set.

// %%
record Hello(String type, long n, List<String> people) {}

record Present(String person, int tabs) {}

record People(List<Present> people, int timers) {}

abstract class FrontDesk {
    final Broadcast members = new Broadcast(100, 1024 * 1024);
    final EventLog log = new EventLog();
    final Set<Tab> tabs = ConcurrentHashMap.newKeySet();
    final Set<String> here = new LinkedHashSet<>();

    abstract void changed(String person, boolean comes);

    synchronized void comes(Tab tab) {
        tab.tell(new Hello("hello", log.last(), List.copyOf(here)));
        tabs.add(tab);
        changed(tab.person, true);
    }

    synchronized void goes(Tab tab) {
        if (tabs.remove(tab)) changed(tab.person, false);
    }

    synchronized void edits(Tab tab, String text) {
        if (tabs.contains(tab)) happens("edit", tab.person, text);
    }

    synchronized void happens(String type, String person, String text) {
        DocEvent event = log.add(type, person, text);
        for (Tab each : tabs) if (!each.hidden) each.hear(event);
    }

    synchronized List<Tab> tabsOf(String person) {
        return tabs.stream().filter(each -> each.person.equals(person)).toList();
    }

    synchronized boolean isHere(String person) { return here.contains(person); }

    synchronized People state() {
        return new People(here.stream()
                .map(each -> new Present(each, tabsOf(each).size())).toList(),
                Timeout.COUNT.get());
    }
}

// %% [markdown]
// ## The document
//
// `changed`, `admit` and `putOut` are `synchronized`; `turns` is not.
// `grace` is for your timers, `heard` of a tab for the last number it has heard.
//
// `tab.end(1008)` closes a tab, a little later. Then `goes` is called, which
// does nothing for a tab that is not in `tabs`. `tab.hear(event)` tells an event
// to one tab.

// %%
class Document extends FrontDesk {
    static final int GRACE_MS = Serve.environment("GRACE_MS", 3_000, 1, 3_600_000);
    static final int MAX_TABS = Serve.environment("MAX_TABS", 3, 1, 1_000);
    private final Map<String, Timeout> grace = new HashMap<>();

    /// Tells who is here. A tab of hers has come, or has gone.
    private void look(String person, boolean comes) {
        // TODO 1: Tell "here" if she was not here, and "gone" if she has no tab left.
        // At first:
        //     if (comes) here.add(person);
        //     else here.remove(person);
        //     happens(comes ? "here" : "gone", person, null);
        if (comes) {
            if (here.add(person)) happens("here", person, null);
        } else if (tabsOf(person).isEmpty() && here.remove(person)) {
            happens("gone", person, null);
        }
        // END 1
    }

    @Override
    synchronized void changed(String person, boolean comes) {
        // TODO 2: When her last tab has gone, `look` only `GRACE_MS` later, by a
        //   Timeout. When a tab of hers comes before that, cancel the Timeout.
        // At first:
        //     look(person, comes);
        Timeout.cancel(grace.remove(person));
        if (comes) {
            look(person, true);
        } else if (tabsOf(person).isEmpty()) {
            grace.put(person, Timeout.after(GRACE_MS, this, () -> {
                grace.remove(person);
                look(person, false);
            }));
        }
        // END 2
    }

    // TODO 3: `admit` throws a new Problem(429, "...") where she has `MAX_TABS` open.
    //   After `putOut` she is gone, and all her tabs are closed with 1008.
    // At first:
    //     synchronized void admit(String person) {}
    //     synchronized void putOut(String person) {
    //         tabsOf(person).forEach(tab -> tab.end(1008));
    //     }
    synchronized void admit(String person) {
        if (tabsOf(person).size() < MAX_TABS) return;
        throw new Problem(429, "You have " + MAX_TABS + " tabs already. Close one.");
    }

    synchronized void putOut(String person) {
        for (Tab tab : tabsOf(person)) {
            tabs.remove(tab);
            tab.end(1008);
        }
        Timeout.cancel(grace.remove(person));
        look(person, false);
    }
    // END 3

    /// The tab says that it is hidden, or shown.
    void turns(Tab tab, boolean hidden) {
        // TODO 4: Note whether it is hidden. When it is shown, let it hear what it has
        //   missed, while nothing else can happen.
        // At first:
        //     tab.hidden = hidden;
        synchronized (this) {
            if (tab.hidden == hidden) return;
            tab.hidden = hidden;
            if (hidden) tab.heard = log.last();
            else log.after(tab.heard).forEach(tab::hear);
        }
        // END 4
    }
}

// %% [markdown]
// ## Done already: a tab is an endpoint
//
// Any thread may call `hear` and `end`. `end` closes the connection on its own
// I/O thread.

// %%
class Tab extends Endpoint {
    private final Document document;
    private Session session;
    private Broadcast.Member member;
    String person;
    volatile boolean hidden;
    volatile long heard;

    Tab(Document document) { this.document = document; }

    @Override
    public void onOpen(Session session, EndpointConfig config) {
        this.session = session;
        person = session.getRequestParameterMap().get("person").getFirst();
        member = document.members.member(session, config);
        session.addMessageHandler(String.class, text -> attempt(() -> says(text)));
        document.members.add(member);
        attempt(() -> document.comes(this));
    }

    private void says(String text) {
        ObjectNode message = Http.object(text.getBytes(StandardCharsets.UTF_8));
        switch (Http.text(message, "type")) {
            case "edit" -> document.edits(this, Http.text(message, "text"));
            case "hidden" -> document.turns(this, true);
            case "shown" -> document.turns(this, false);
            default -> throw new Problem(400, "'type' is edit, hidden or shown.");
        }
    }

    private void attempt(Runnable action) {
        try {
            action.run();
        } catch (Problem problem) {
            tell(Map.of("type", "error", "reason", problem.getMessage()));
        } catch (RuntimeException fault) {
            System.err.println(Graded.fault("tab of " + person, fault));
        }
    }

    void tell(Object message) {
        member.tell(Http.JSON.writeValueAsBytes(message));
    }

    void hear(DocEvent event) { member.tell(event.json()); }

    void end(int code) {
        Sockets.channel(session).getIoThread()
                .execute(() -> Sockets.close(session, code));
    }

    @Override
    public void onError(Session session, Throwable fault) {
        end(1011);
    }

    @Override
    public void onClose(Session session, CloseReason reason) {
        document.members.remove(member);
        attempt(() -> document.goes(this));
    }
}

// %% [markdown]
// ## Done already: the page's client, and the routes

// %%
interface DocumentClient {
    // language=JavaScript
    String SCRIPT = """
            function openTab(person, { hear, shows }) {
              const url = `ws://${location.host}/doc?person=${person}`;
              const socket = new WebSocket(url, "doc.v1");
              let opened = false;
              socket.onopen = () => { opened = true; shows("open"); };
              socket.onclose = ({ code }) =>
                shows(opened ? `closed, ${code}` : "refused; the wire says why");
              socket.onmessage = ({ data }) => hear(JSON.parse(data));
              const say = (message) => socket.send(JSON.stringify(message));
              return {
                edit: (text) => say({ type: "edit", text }),
                hide: () => say({ type: "hidden" }),
                reveal: () => say({ type: "shown" }),
                leave: () => socket.close(1000),
              };
            }
            """;
}

class ManyTabs {
    private static void check(Document document, HttpServerExchange exchange) {
        String person = Objects.toString(Http.query(exchange, "person"), "");
        if (!person.matches("[a-z]{1,20}")) {
            throw new Problem(400, "'person' is 1 to 20 letters from a to z.");
        }
        document.admit(person);
    }

    static HttpHandler routes() {
        Document document = new Document();
        HttpHandler people = exchange -> Http.json(exchange, 200, document.state());
        return new Routes()
                .onStop(() -> document.members.close(1001))
                .page("10_many_tabs", DocumentClient.SCRIPT)
                .known("person", document::isHere)
                .get("/doc", Sockets.upgrade("/doc", "doc.v1",
                        exchange -> check(document, exchange), () -> new Tab(document)))
                .delete("/people/{person}", (exchange, body) -> {
                    document.putOut(Http.path(exchange, "person"));
                    Http.empty(exchange, 204);
                })
                .get("/_/page/people", people) // not on the wire
                .get("/people", people);
    }

    void main() {
        Serve.run("10 Many tabs", 7010, routes());
    }
}
