///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Short polling: the page asks again and again, here for a site's visitors and clicks
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 01_short_polling.java
//FILES 01_short_polling.html
//FILES 01_short_polling.md

// %% [markdown]
// # 01 - Short polling
//
// A dashboard shows how many people visit a site, and how often they
// click. The numbers change on the server, but in HTTP a server speaks
// only when it is asked. A page that asks once shows old numbers for ever.
//
// Short polling is the plainest way out: the page **asks again and
// again**. Most polls bring nothing new, and the answer can say just that:
// 304, *not modified*, without a body.
//
// ```mermaid
// sequenceDiagram
//   Browser->>Server: GET /stats
//   Server-->>Browser: 200, ETag "4-7", the numbers
//   Note over Browser,Server: a pause
//   Browser->>Server: GET /stats, If-None-Match "4-7"
//   Server-->>Browser: 304, empty
//   Note over Browser,Server: a pause, in which a visitor comes
//   Browser->>Server: GET /stats, If-None-Match "4-7"
//   Server-->>Browser: 200, ETag "5-7", the numbers
// ```
//
// The demo runs a naive client beside a careful one. Press *Start*, then
// *A visitor* now and then, and watch how few answers bring news.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import shared.*;

// %% [markdown]
// ## The numbers, and a name for their state
//
// An entity tag names one state, so that a client can say which one it
// has. If two states shared a tag, the page would keep old numbers. Ours
// is made of both numbers, which is right after a restart too.

// %%
record Stats(long visitors, long clicks) {
    String etag() {
        return "\"" + visitors + "-" + clicks + "\"";
    }
}

// %% [markdown]
// ## Has the client got this already?
//
// `If-None-Match` carries one tag, a list of tags, or `*` for any
// ([RFC 9110, section 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
// Some proxies put `W/` before a tag, for weak; it makes no difference
// here. A plain `equals` on the header would then answer 200 for ever.

// %%
class IfNoneMatch {
    static final Pattern TAG =
            Pattern.compile("\\G[ \t,]*(?:W/)?(\"[^\"]*\")[ \t]*(?=,|\\z)");

    static boolean matches(HttpServerExchange exchange, String etag) {
        var lines = exchange.getRequestHeaders().get(Headers.IF_NONE_MATCH);
        String list = lines == null ? "" : String.join(",", lines).strip();
        return list.equals("*") || TAG.matcher(list).results()
                .anyMatch(tag -> tag.group(1).equals(etag));
    }
}

// %% [markdown]
// ## The server's side
//
// The server remembers nothing about its clients: any poll may go to any
// server that has the numbers. This statelessness is the technique's gain.
//
// Both numbers are read as one snapshot, or we could send a state that
// never was. `no-cache` lets a cache keep an answer, but it must ask us
// before each use. In an outage, which the demo causes, 503 comes before
// any 304, and `Retry-After` says in how many seconds to ask again. (It may
// also be a date; `retryAfter` in `page.js` reads both.)

// %%
class Site {
    final AtomicReference<Stats> now = new AtomicReference<>(new Stats(0, 0));
    private volatile long outageEnds = System.nanoTime();

    Routes.BodyHandler count(int visitors, int clicks) {
        return (exchange, body) -> {
            Http.object(body);
            now.updateAndGet(stats -> new Stats(stats.visitors() + visitors,
                    stats.clicks() + clicks));
            Http.empty(exchange, 204);
        };
    }

    void outage(HttpServerExchange exchange, byte[] body) {
        long seconds = Http.integer(Http.object(body), "seconds", 1, 60);
        outageEnds = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        Http.empty(exchange, 204);
    }

    void stats(HttpServerExchange exchange) {
        long left = outageEnds - System.nanoTime();
        if (left > 0) {
            throw new Problem(503, "The statistics are down.")
                    .with("Retry-After", Math.ceilDiv(left, 1_000_000_000));
        }
        answer(exchange, now.get());
    }

    void answer(HttpServerExchange exchange, Stats stats) {
        exchange.getResponseHeaders().put(Headers.CACHE_CONTROL, "no-cache")
                .put(Headers.ETAG, stats.etag());
        if (IfNoneMatch.matches(exchange, stats.etag())) Http.empty(exchange, 304);
        else Http.json(exchange, 200, stats);
    }
}

// %% [markdown]
// ## The browser's side, a first attempt
//
// These lines work until something goes wrong. `setInterval` asks again
// while the last answer is still out, so a slow server gets more to do and
// new answers are overwritten by old ones. A hidden tab slows the timer,
// down to once a minute in Chromium, which may later freeze the tab, but
// the page itself never stops. And whatever `fetch` or `json()` throws,
// nobody catches: it ends on the console.

// %%
interface NaivePoller {
    // language=JavaScript
    String SCRIPT = """
            function naivePoll(settings) {
              return setInterval(async () => {
                const response = await fetch(settings.url, { cache: "no-store" });
                settings.count(response);
                settings.show(await response.json());
              }, settings.interval);
            }
            """;
}

// %% [markdown]
// ## One careful poll
//
// A poll without a deadline may hang for minutes, so ours has one. We send
// the tag ourselves and say `no-store`. Otherwise the browser's cache does
// it for us, hides each 304, and hands the script a 200 of its own.
//
// `fetch` resolves when the *head* of the answer is there, whatever its
// status, so we check `status` and `ok`. Data travels as bytes, and some
// may still be on their way: `json()` waits for the rest of the body and
// then parses it. It can fail at both.

// %%
interface CarefulPoll {
    // language=JavaScript
    String SCRIPT = """
            async function ask({ url, count }, etag, signal) {
              const response = await fetch(url, {
                headers: etag ? { "If-None-Match": etag } : {},
                cache: "no-store",
                signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
              });
              count(response);
              if (response.status === 304) return null;
              if (!response.ok) {
                throw Object.assign(new Error(`status ${response.status}`),
                  { wait: retryAfter(response) });
              }
              const stats = await response.json();
              return { stats, etag: response.headers.get("ETag") };
            }
            """;
}

// %% [markdown]
// ## Polls in a chain
//
// The next poll is scheduled when the last one is over, so two never
// overlap. After an error the pause doubles, up to 30 seconds, and is
// never shorter than `Retry-After`, or all pages together knock the server
// over as it comes back. Jitter on top, a fifth at most, keeps them from
// asking in step. (On 401 and 403 a real page would stop and say so.)
//
// `stop` is an `AbortController`: the user's button aborts it, and so does
// the target condition `done`. An answer that comes later is dropped.

// %%
interface ShortPoller {
    // language=JavaScript
    String SCRIPT = """
            function shortPoll(settings, stop) {
              let etag = null;
              let errors = 0;
              let earliest = 0;
              whileShown(stop.signal, async (signal) => {
                await pause(earliest - performance.now(), signal);
                while (!signal.aborted) {
                  let wait = settings.interval;
                  try {
                    const answer = await ask(settings, etag, signal);
                    if (signal.aborted) return;
                    if (answer) {
                      settings.show(answer.stats);
                      if (settings.done(answer.stats)) return stop.abort();
                      etag = answer.etag;
                    }
                    errors = 0;
                  } catch (error) {
                    if (signal.aborted) return;
                    settings.failed(error);
                    const backoff = Math.min(30_000, wait * 2 ** ++errors);
                    wait = Math.max(wait, backoff, error.wait ?? 0);
                    earliest = performance.now() + wait;
                  }
                  await pause(wait * (1 + 0.2 * Math.random()), signal);
                }
              });
            }
            """;
}

// %% [markdown]
// ## Nobody looks, nobody asks
//
// Polls for a tab that nobody sees are wasted. We abort when it is hidden
// or left, and poll at once when it shows again, unless the pause after an
// error is not over yet.

// %%
interface WhileShown {
    // language=JavaScript
    String SCRIPT = """
            function whileShown(stop, run) {
              let running = new AbortController();
              function turn() {
                running.abort();
                if (document.hidden || stop.aborted) return;
                running = new AbortController();
                run(running.signal);
              }
              document.addEventListener("visibilitychange", turn, { signal: stop });
              addEventListener("pagehide", () => running.abort(), { signal: stop });
              stop.addEventListener("abort", turn, { once: true });
              turn();
            }
            """;
}

// %% [markdown]
// ## Break it
//
// The buttons and cards of the demo are in `01_short_polling.html`. Four of
// them make the famous mistakes. Keep DevTools open, tab *Console*.
//
// **Slow server.** Both ask every 200 ms; an answer takes 100 or 900 ms, at
// random. Naive polls pile up: on the wire, bars stand side by side. The
// naive number of visitors goes *back* when an old answer comes late.
//
// **Outage.** `/stats` answers 503 for 2 seconds. The naive client never
// looks at the status, takes the error for numbers, and shows *undefined*.
// The careful one asks once and obeys `Retry-After`.
//
// **Garbage body.** A log-in page arrives in place of JSON, with status 200.
// `json()` throws: see the console for the naive client, whose numbers are
// stuck. The careful one catches the error, backs off, and goes on.
//
// **Forget to stop.** The user leaves the view as in a single-page app,
// without a new document. The naive timer lives on.

// %%
class Trouble {
    static void slow(HttpServerExchange exchange, Site site) {
        Stats then = site.now.get();
        int ms = ThreadLocalRandom.current().nextBoolean() ? 100 : 900;
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            var timer = exchange.getIoThread().executeAfter(
                    () -> site.answer(exchange, then), ms, TimeUnit.MILLISECONDS);
            Http.onGone(exchange, timer::remove);
        });
    }

    static void garbage(HttpServerExchange exchange) {
        exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "text/html");
        exchange.getResponseSender().send("<!doctype html><title>Log in</title>");
    }
}

// %% [markdown]
// ## Routes
//
// `routes()` builds the server side; `main` only serves it.

// %%
class ShortPolling {
    static HttpHandler routes() {
        Site site = new Site();
        return new Routes()
                .page("01_short_polling", NaivePoller.SCRIPT, CarefulPoll.SCRIPT,
                        ShortPoller.SCRIPT, WhileShown.SCRIPT)
                .get("/stats", site::stats)
                .post("/visits", site.count(1, 0))
                .post("/clicks", site.count(0, 1))
                .post("/outage", site::outage)
                .get("/_/slow", exchange -> Trouble.slow(exchange, site))
                .get("/_/garbage", Trouble::garbage);
    }

    void main() {
        Serve.run("01 Short polling", 8001, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Press *Start* with DevTools open, tab *Network*: naive polls get 200,
//    careful ones 304. Look at another tab for a while, and come back:
//    only the naive lane of the wire went on.
// 2. Type a number into *stop at*, press *A visitor* until it is reached,
//    and see which client stops.
// 3. Put the tag of your numbers in place of `"0-0"`. Press *A click*, and
//    send the same again.
//    `curl -i -H 'If-None-Match: "9-9", "0-0"' http://localhost:8001/stats`
//
// ## What it costs, and when to choose it
//
// Short polls do not mean short connections: HTTP/1.1 keeps them alive,
// here for 60 s after an answer.
// Click rows of the wire, and the same few connection numbers return. What
// each poll costs is its head and the server's work.
//
// The cards measure it: in Chromium about 780 bytes for a naive poll and its answer,
// 700 for a careful one, and just 25 of them are the numbers. (That is
// HTTP/1.1; 2 and 3 send a field that repeats as a short index.) A 304 saves
// more where bodies are large. Let a million users ask ten times a second:
// 10 million requests and 7 GB, 56 Gbit, each second, nearly all of it to
// hear that nothing is new.
//
// News waits for the next poll: half the interval on average, at worst all
// of it, the jitter and three network transits. Choose short
// polling where that is good enough and users are few, or most polls bring
// news. For rare news that should arrive at once, the server holds the
// request: lesson 02.
//
// `./jbang notebook 01` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8001, ShortPolling.routes()).port` shows 8001, and the page
// is at that port.
