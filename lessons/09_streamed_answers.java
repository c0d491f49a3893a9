///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Streamed answers: an assistant's tokens, and what a closed page leaves running
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//FILES 09_streamed_answers.java
//FILES 09_streamed_answers.html
//FILES 09_streamed_answers.md

// %% [markdown]
// # 09 - Streamed answers
//
// An assistant writes its answer word by word, and each word costs money. The
// reader closes the page after the third. **A closed page stops no work unless
// you stop it.** And a page that comes back wants the rest, not a new answer.
//
// In 2023 some users of ChatGPT saw the titles of others' chats: requests had been
// cancelled before Redis replied, and the next request on the same connection got
// the reply
// ([OpenAI's report](https://openai.com/index/march-20-chatgpt-outage/)).
//
// ```mermaid
// sequenceDiagram
//   Page->>Server: POST /answers
//   Server-->>Page: id 1, id 2, id 3
//   Note over Page: closed
//   Note over Server: goes on, for 2 seconds at most
//   Page->>Server: GET /answers/x?after=3
//   Server-->>Page: id 4, id 5
// ```

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.util.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.locks.LockSupport;
import shared.*;

// %% [markdown]
// ## A slow writer
//
// There is no model here: the words come from a list, one every 60 ms. It is like
// a real one: it is slow, each token has its price, and it does not know who
// listens. Not every token is ASCII.

// %%
interface Model {
    int TOKEN_MS = Serve.environment("TOKEN_MS", 60, 1, 60_000);
    int LENGTH = 80;
    List<String> WORDS = List.of("A", "caf\u00e9", "in", "Z\u00fcrich", "has",
            "\ud83c\udf70", "and", "costs", "\u20ac", "more.");

    static String token(String question, int n) {
        return WORDS.get(Math.floorMod(question.hashCode() + n, WORDS.size())) + " ";
    }
}

// %% [markdown]
// ## The log belongs to the answer, not to the request
//
// The answer is a log of its tokens. Each reader, who may come late or come
// again, is told what is there and then what is new. That is one step under one
// lock, as in lesson 07.

// %%
record Work(int running, int made, int forNobody) {}

class TokenLog {
    private final List<String> tokens = new ArrayList<>();
    private final Set<ServerSentEventConnection> readers = new HashSet<>();
    private long nobodySince = System.nanoTime();
    private String end; // null, done or stopped
    private int forNobody;

    synchronized void add(String token) {
        if (end != null) return;
        tokens.add(token);
        if (readers.isEmpty()) forNobody++;
        for (var each : List.copyOf(readers)) tell(each, tokens.size());
    }

    private void tell(ServerSentEventConnection reader, int n) {
        reader.send(Http.JSON.writeValueAsString(tokens.get(n - 1)), null, "" + n,
                null);
    }

    private void bye(ServerSentEventConnection reader) {
        reader.send(end, end, "" + tokens.size(), null);
        reader.shutdown();
    }

    synchronized void end(String how) {
        if (end != null) return;
        end = how;
        List.copyOf(readers).forEach(this::bye);
        readers.clear();
    }

    synchronized void join(ServerSentEventConnection reader, int after) {
        for (int n = after + 1; n <= tokens.size(); n++) tell(reader, n);
        if (end == null) readers.add(reader);
        else bye(reader);
    }

    synchronized void leave(ServerSentEventConnection reader) {
        if (!readers.remove(reader)) return;
        if (readers.isEmpty()) nobodySince = System.nanoTime();
    }

    synchronized long aloneMs() {
        return readers.isEmpty() ? (System.nanoTime() - nobodySince) / 1_000_000 : 0;
    }

    synchronized boolean goesOn() { return end == null; }

    synchronized Work state() {
        return new Work(goesOn() ? 1 : 0, tokens.size(), forNobody);
    }
}

// %% [markdown]
// ## Who stops the work?
//
// Not the reader's socket: `onGone` sees it close, but that ends no thread. Not
// `CompletableFuture.cancel`: it interrupts nothing. (A client that cancels must
// also close its connection to Redis or over HTTP/1.1: the rest of the reply still
// comes on it.) Here the work itself looks, before each token, if it is wanted.
//
// A reader that has gone may be back in a second: a tunnel, a reload. So the
// work goes on for `GRACE_MS`, and then stops.

// %%
class Answer extends TokenLog {
    static final int GRACE_MS = Serve.environment("GRACE_MS", 2_000, 1, 600_000);
    final String id = UUID.randomUUID().toString();
    final String question;
    private final boolean stops;

    /// @param stops whether it stops when nobody reads
    Answer(String question, boolean stops) {
        this.question = question;
        this.stops = stops;
        Thread.startVirtualThread(this::work);
    }

    private void work() {
        for (int n = 0; isWanted(n); n++) {
            LockSupport.parkNanos(Model.TOKEN_MS * 1_000_000L);
            add(Model.token(question, n));
        }
    }

    private synchronized boolean isWanted(int made) {
        if (made == Model.LENGTH) end("done");
        else if (stops && aloneMs() > GRACE_MS) end("stopped");
        return goesOn();
    }
}

// %% [markdown]
// ## POST makes it, GET goes on with it
//
// `POST /answers` answers with the stream itself, and with `Location`: where it
// goes on. `GET /answers/{id}?after=n` has all after token n.
//
// **A POST that is repeated makes a second answer**, and a second click or a
// client's retry repeats it. So a client may send an `Idempotency-Key`: the same
// key and question give the same answer, from its first token. The same key with
// another question is an error, 422.

// %%
class Answers {
    final Map<String, Answer> byId = new ConcurrentHashMap<>();
    private final Map<String, Answer> byKey = new ConcurrentHashMap<>();

    void post(HttpServerExchange exchange, byte[] body) {
        String question = Http.text(Http.object(body), "question");
        boolean stops = !"never".equals(Http.query(exchange, "grace"));
        String key = exchange.getRequestHeaders().getFirst("Idempotency-Key");
        Answer answer = key == null ? make(question, stops)
                : byKey.computeIfAbsent(key, one -> make(question, stops));
        if (!answer.question.equals(question)) {
            throw new Problem(422, "This key was for another question.");
        }
        exchange.getResponseHeaders().put(Headers.LOCATION, "/answers/" + answer.id);
        open(exchange, answer, 0);
    }

    private Answer make(String question, boolean stops) {
        Answer answer = new Answer(question, stops);
        byId.put(answer.id, answer);
        return answer;
    }

    Answer get(HttpServerExchange exchange) {
        Answer answer = byId.get(Http.path(exchange, "id"));
        if (answer == null) throw new Problem(404, "There is no such answer.");
        return answer;
    }

    void resume(HttpServerExchange exchange) {
        open(exchange, get(exchange),
                (int) Http.queryInteger(exchange, "after", 0, 0, Model.LENGTH));
    }

    void stop(HttpServerExchange exchange) {
        get(exchange).end("stopped");
        Http.empty(exchange, 204);
    }

    private static void open(HttpServerExchange exchange, Answer answer, int after) {
        Http.events(exchange, reader -> {
            Http.onGone(exchange, () -> answer.leave(reader));
            reader.send(null, null, null, null); // the head goes before the first token
            answer.join(reader, after);
        });
    }

    /// Of all answers together.
    Work work() {
        return byId.values().stream().map(Answer::state).reduce(new Work(0, 0, 0),
                (one, next) -> new Work(one.running() + next.running(),
                        one.made() + next.made(),
                        one.forNobody() + next.forNobody()));
    }
}

// %% [markdown]
// ## The browser's side
//
// `EventSource` sends GET only, and no header of ours. So the page reads the
// stream by `fetch`. **A chunk is what has just arrived**: it may end inside an
// event, inside a line, and inside a character. Two rules make any cut harmless
// (our lines end in LF only):
//
// - `TextDecoder` with `stream: true` keeps half a character for the next chunk.
// - What stands behind the last blank line is kept, too.
//
// `AbortController` closes the connection, or on HTTP/2 the stream. That says
// that nobody reads here. It does not say: stop.

// %%
interface EventParser {
    // language=JavaScript
    String SCRIPT = """
            async function* chunks(body) { // Safari has no `for await` for a stream
              const reader = body.getReader();
              for (let next; !(next = await reader.read()).done;) yield next.value;
            }

            async function* events(chunks) {
              const decoder = new TextDecoder();
              let text = "";
              for await (const chunk of chunks) {
                text += decoder.decode(chunk, { stream: true });
                const parts = text.split(/\\n\\n/);
                text = parts.pop(); // not ended yet
                yield* parts.map(event);
              }
            }

            function event(block) {
              const fields = { event: "message" };
              for (const line of block.split("\\n")) {
                const at = line.indexOf(":");
                const value = line.slice(at + 1).replace(/^ /, "");
                if (at > 0) fields[line.slice(0, at)] = value;
              }
              return fields;
            }

            // The famous wrong answer: a chunk is taken for some whole events.
            function naive(chunk) {
              return new TextDecoder().decode(chunk).split("\\n\\n").map(event);
            }
            """;
}

// %% [markdown]
// ## Break it
//
// **Close it, with no end.** `?grace=never`; the page stops reading after a second.
//
// **Close it.** The same, without `?grace=never`.
//
// **Close it, and come back.** A second later, with the last id.
//
// **Small pieces.** The cable lets 50 bytes pass at a time. Two readers get the
// same chunks.
//
// **A buffer on the way.** The cable holds what comes for 3 s, or until it has
// 4 KB, as a proxy that compresses may.
//
// **Ask twice.** The same POST, without a key and with one.
//
// **Stop it.** By `DELETE`, after a second of reading.

// %%
class StreamedAnswers {
    static HttpHandler routes() {
        Answers answers = new Answers();
        return new Routes()
                .withCable()
                .page("09_streamed_answers", EventParser.SCRIPT)
                .post("/answers", answers::post)
                .get("/answers/{id}", answers::resume)
                .delete("/answers/{id}", (exchange, body) -> answers.stop(exchange))
                .get("/work", exchange -> Http.json(exchange, 200, answers.work()))
                .get("/_/page/work", exchange -> Http.json(exchange, 200,
                        answers.work()));
    }

    void main() {
        Serve.run("09 Streamed answers", 8009, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. `curl -N localhost:8009/answers -H 'Content-Type: application/json' -d
//    '{"question":"why"}'`, and Ctrl+C. `curl localhost:8009/work`, again and
//    again, tells when it has stopped.
//
// ## On Monday
//
// - Close the page in the middle of a long request, and look at the server's
//   log. When does the work end?
// - Does your client of a model, or of a database, stop what it has asked for
//   when you cancel? Or does it only stop listening?
// - What does a reload cost: a new answer, or the rest of the old one?
//
// `./jbang notebook 09` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8009, StreamedAnswers.routes()).port` shows 8009, the page's port.
