///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a translator
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//FILES 09_streamed_answers.java
//FILES 09_streamed_answers.html=../exercises/09_streamed_answers.html

// %% [markdown]
// # 09 - Exercise: a translator
//
// A translator is paid by the word. It works slowly, and tells each word as soon
// as it is there. Its readers close their pages, come back, and ask twice.
//
// **The twist.** A translation outlives its readers for a while, but not for
// ever: nobody pays for words that nobody reads.
//
// ## What it must do
//
// Requests, stream and translator are done already. As it stands, the program
// works as long as each reader stays to the end.
//
// | request | what it is |
// |---|---|
// | `POST /translations` | `{"text":"good day"}`: an event stream; `Location` |
// | `GET /translations/{id}?after=1` | the same translation, after word 1 |
// | `DELETE /translations/{id}` | 204: it is wanted no more |
// | `GET /work` | `{"running":1,"made":2}`: translations that go on, words of all |
//
// Each word is an event with its number as the id. The last event is `done`, or
// `stopped`, and then the stream ends.
//
// 1. **A reader that comes back gets what it missed**: each word after the number
//    that it names, once, and then what is new. If all is over, the end, too.
// 2. **Nobody reads: the work goes on for `GRACE_MS`**, and then it stops; the
//    word under way may still be made. A reader that is back before then finds it
//    running. As long as one reader is there, it does not stop.
// 3. **`DELETE` stops it at once.** When the 204 comes, `running` is down already,
//    and `made` does not grow any more. Its readers hear `stopped`.
// 4. **Asked twice, made once.** The same `Idempotency-Key` and text: the same
//    translation, from its first word, even if both ask at the same instant, or
//    it is over. The same key and another text: 422. Without a key each is new.
//
// For example `POST /translations {"text":"good day"}` answers
//
//     id:1
//     data:"doog"
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/09_streamed_answers.java`. Then grade it: `./jbang grade 09`.
// Stuck? `./jbang hint 09` gives one hint at a time.

// %%
import io.undertow.server.*;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.util.*;
import java.util.*;
import java.util.concurrent.*;
import shared.*;

// %% [markdown]
// ## A translation
//
// `work` runs on a thread of its own, and asks `isWanted` before each word. Change
// the fields, and call `tell`, `end` and `bye`, only while you hold the lock.
//
// `tell` sends a word to a reader, by its number from 1. `end` ends it all: it
// tells the readers, and forgets them. After it, `how` is not null any more.

// %%
class Translation {
    private static final int GRACE_MS =
            Serve.environment("GRACE_MS", 3_000, 1, 600_000);
    final String id = UUID.randomUUID().toString();
    final String text;
    private final List<String> source;
    private final List<String> words = new ArrayList<>();
    private final Set<ServerSentEventConnection> readers = new HashSet<>();
    private long aloneSince = System.nanoTime();
    private final Thread worker;
    private String how; // done or stopped; null while it goes on

    Translation(String text) {
        this.text = text;
        source = List.of(text.split(" "));
        worker = Thread.startVirtualThread(this::work);
    }

    /// @param after the number of the last word that the reader has, or 0
    synchronized void join(ServerSentEventConnection reader, int after) {
        // TODO 1: Tell the reader the words after this number. Then add it to the
        //   readers; if all is over already, say `bye` to it instead.
        // At first:
        //     readers.add(reader);
        for (int n = after + 1; n <= words.size(); n++) tell(reader, n);
        if (how == null) readers.add(reader);
        else bye(reader);
        // END 1
    }

    synchronized void leave(ServerSentEventConnection reader) {
        if (!readers.remove(reader)) return;
        if (readers.isEmpty()) aloneSince = System.nanoTime();
    }

    private synchronized boolean isWanted() {
        // TODO 2: No reader for longer than `GRACE_MS`? Then end it as "stopped".
        // At first:
        //     // As long as there are words, they are made.
        long aloneMs = (System.nanoTime() - aloneSince) / 1_000_000;
        if (readers.isEmpty() && aloneMs > GRACE_MS) end("stopped");
        // END 2
        if (words.size() == source.size()) end("done");
        return how == null;
    }

    synchronized void stop() {
        // TODO 3: Stop it, so that it is over when this returns.
        // At first:
        //     worker.interrupt();
        end("stopped");
        // END 3
    }

    private void work() {
        while (isWanted()) add(Translator.translate(source.get(words.size())));
    }

    private synchronized void add(String word) {
        if (how != null) return;
        words.add(word);
        List.copyOf(readers).forEach(each -> tell(each, words.size()));
    }

    private void tell(ServerSentEventConnection reader, int n) {
        reader.send(Http.JSON.writeValueAsString(words.get(n - 1)), null, "" + n, null);
    }

    private void end(String how) {
        if (this.how != null) return;
        this.how = how;
        List.copyOf(readers).forEach(this::bye);
        readers.clear();
    }

    private void bye(ServerSentEventConnection reader) {
        reader.send("", how, null, null);
        reader.shutdown();
    }

    synchronized Work state() { return new Work(how == null ? 1 : 0, words.size()); }
}

// %% [markdown]
// ## The translations, and their keys

// %%
class Translations {
    private final Map<String, Translation> byId = new ConcurrentHashMap<>();
    private final Map<String, Translation> byKey = new ConcurrentHashMap<>();

    /// @param key or null
    private Translation asked(String key, String text) {
        if (key == null) return make(text);
        // TODO 4: Return the translation of this key, or make it; one for all who ask
        //   at the same instant. With another text throw a new Problem(422, "...").
        // At first:
        //     return byKey.getOrDefault(key, make(text));
        Translation translation = byKey.computeIfAbsent(key, first -> make(text));
        if (translation.text.equals(text)) return translation;
        throw new Problem(422, "This key was for another text.");
        // END 4
    }

    private Translation make(String text) {
        Pause.at("before making"); // The grader may hold a thread here.
        Translation translation = new Translation(text);
        byId.put(translation.id, translation);
        return translation;
    }

    void post(HttpServerExchange exchange, byte[] body) {
        Translation translation =
                asked(exchange.getRequestHeaders().getFirst("Idempotency-Key"),
                        Http.text(Http.object(body), "text"));
        exchange.getResponseHeaders().put(Headers.LOCATION,
                "/translations/" + translation.id);
        open(exchange, translation, 0);
    }

    Translation get(HttpServerExchange exchange) {
        Translation translation = byId.get(Http.path(exchange, "id"));
        if (translation != null) return translation;
        throw new Problem(404, "There is no such translation.");
    }

    void resume(HttpServerExchange exchange) {
        open(exchange, get(exchange),
                (int) Http.queryInteger(exchange, "after", 0, 0, 1_000_000));
    }

    private static void open(HttpServerExchange exchange, Translation translation,
            int after) {
        Http.events(exchange, reader -> {
            Http.onGone(exchange, () -> translation.leave(reader));
            reader.send(null, null, null, null); // the head goes before the first word
            translation.join(reader, after);
        });
    }

    Work work() {
        return byId.values().stream().map(Translation::state).reduce(new Work(0, 0),
                (one, next) -> new Work(one.running() + next.running(),
                        one.made() + next.made()));
    }
}

record Work(int running, int made) {}

// %% [markdown]
// ## Done already: the translator
//
// It is slow, and it ignores an interrupt, as a blocked read of a `Socket` does on
// a platform thread. It spells each word backwards.

// %%
interface Translator {
    int WORD_MS = Serve.environment("WORD_MS", 400, 0, 60_000);

    static String translate(String word) {
        Pause.at("word"); // The grader may hold the work here.
        long end = System.nanoTime() + WORD_MS * 1_000_000L;
        while (System.nanoTime() < end) {
            try {
                Thread.sleep(1);
            } catch (InterruptedException ignored) {
                // The word is paid for already.
            }
        }
        return new StringBuilder(word).reverse().toString();
    }
}

interface TranslationClient {
    // language=JavaScript
    String SCRIPT = """
            async function* chunks(body) {
              const reader = body.getReader();
              for (let next; !(next = await reader.read()).done;) yield next.value;
            }

            async function* events(chunks) {
              const decoder = new TextDecoder();
              let text = "";
              for await (const chunk of chunks) {
                text += decoder.decode(chunk, { stream: true });
                const parts = text.split("\\n\\n");
                text = parts.pop();
                for (const part of parts) {
                  const fields = part.split("\\n").map((line) => line.split(/:(.*)/));
                  yield { event: "message", ...Object.fromEntries(fields) };
                }
              }
            }
            """;
}

class StreamedAnswers {
    static HttpHandler routes() {
        Translations all = new Translations();
        return new Routes()
                .page("09_streamed_answers", TranslationClient.SCRIPT)
                .post("/translations", all::post)
                .get("/translations/{id}", all::resume)
                .delete("/translations/{id}", (exchange, body) -> {
                    all.get(exchange).stop();
                    Http.empty(exchange, 204);
                })
                .get("/_/page/work", exchange -> Http.json(exchange, 200, all.work()))
                .get("/work", exchange -> Http.json(exchange, 200, all.work()));
    }

    void main() {
        Serve.run("09 Streamed answers", 7009, routes());
    }
}
