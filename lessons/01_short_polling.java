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
// A dashboard shows how many people visit a site, and how often they click.
// The numbers change on the server, but in HTTP a server speaks only when it
// is asked. A page that asks once shows old numbers for ever.
//
// Short polling is the simplest solution: the page **asks again and again**.
// Each of these requests is a *poll*. Most polls bring nothing new. A careful
// client then gets 304, *not modified*, without a body.
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
// The demo runs a naive client beside a careful one. Press *Start*, then *A
// visitor* now and then, and watch how few answers bring news.

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
// An entity tag (`ETag`) is a name for one state of the numbers. The client
// sends the tag back to say which state it has. If two states had the same
// tag, a page with the old numbers would never get the new ones. Our tag
// consists of both numbers, so it is still right after the server restarts.

// %%
record Stats(long visitors, long clicks) {
    String etag() {
        return "\"" + visitors + "-" + clicks + "\"";
    }
}

// %% [markdown]
// ## Has the client got this already?
//
// `If-None-Match` is the header in which the client sends the tag back. It
// holds one tag, a list of tags, or `*` for any tag
// ([RFC 9110, section 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
// Some proxies put `W/` before a tag, which marks it as weak. We ignore that
// mark. If we compared the whole header by `equals`, a tag with the mark would
// get 200 each time.

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
// The server remembers nothing about its clients, so any server that has the
// numbers can answer any poll. This is the strength of short polling.
//
// We read both numbers as one snapshot. If we read one after the other, we
// could send a pair of numbers that never existed.
//
// `no-cache` allows a cache to keep an answer, but the cache must ask us
// before each use. The demo can cause an outage: then each poll gets 503, even
// if the client has the current tag. `Retry-After` says in how many seconds
// the client may ask again. (The header may also hold a date; `retryAfter` in
// `page.js` reads both forms.)

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
// These lines work until something goes wrong. `setInterval` sends the next
// poll even if the last one is not answered yet. So a slow server gets still
// more to do, and an old answer that arrives late replaces a newer one. In a
// hidden tab Chromium slows the timer to once a second, after some minutes to
// once a minute, and later it may freeze the tab. But the page itself never
// stops asking. Nobody catches what `fetch` or `json()` throws: it ends on the
// console.

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
// A poll without a deadline may hang for minutes, so ours ends after 5
// seconds. Our script sends the tag itself, and `no-store` keeps the browser's
// cache out. A cache that sends the tag hides each 304, and gives the script a
// 200 of its own.
//
// `fetch` succeeds when the *head* of an answer is there, whatever the status.
// So we check `status` and `ok`. The body travels as bytes, and some may still
// be on their way. `json()` waits for the rest of them and then parses them.
// Both steps can fail.

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
// We schedule the next poll when the last one is over, so two polls never
// overlap. After an error the pause doubles, up to 30 seconds, and it is never
// shorter than `Retry-After`. Otherwise all pages together could overload the
// server again as it comes back. We make each pause up to a fifth longer at
// random. This *jitter* keeps pages from asking all at the same moment. (On
// 401 and 403 a real page would stop and tell its user.)
//
// `stop` is an `AbortController`. The *Stop* button aborts it, and so does our
// code when `done` says that the numbers have reached the target. We drop an
// answer that arrives after that.

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
// Polls for a tab that nobody sees are wasted. We abort them when the tab is
// hidden or the user leaves the page. When the tab is shown again, we poll at
// once, or as soon as the pause after an error is over.

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
// The demo's page is in `01_short_polling.html`. Four of its buttons each
// cause a famous problem. Keep the tab *Console* of DevTools open.
//
// **Slow server.** The interval is 200 ms. An answer takes 100 or 900
// ms, at random. Naive polls pile up: on the wire, their bars stand side by
// side. The naive client's number of visitors goes *back* when an old answer
// arrives late.
//
// **Outage.** `/stats` answers 503 for 2 seconds. The naive client never looks
// at the status, takes the error for numbers, and shows *undefined*. The
// careful client waits as long as `Retry-After` says, and keeps its numbers.
//
// **Garbage body.** A log-in page arrives in place of JSON, with status 200,
// and `json()` throws. The naive client does not catch the error: see the
// console. Its numbers stay as they were. The careful client catches the
// error, makes a longer pause, and goes on.
//
// **Forget to stop.** The user leaves the view, but the document stays, as in
// a single-page app. The naive timer goes on asking.

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
// 1. Open the tab *Network* of DevTools and press *Start*: naive polls get
//    200, careful polls 304. Look at another tab for a while and come back.
//    The wire shows that only the naive client went on.
// 2. Type a number into *stop at*, press *A visitor* until it is reached, and
//    see which client stops.
// 3. Replace `"0-0"` by the tag of your numbers: this request gets 304. Then
//    press *A click* and send it again: it gets 200.
//    `curl -i -H 'If-None-Match: "9-9", "0-0"' http://localhost:8001/stats`
//
// ## What it costs, and when to choose it
//
// A short poll does not need a connection of its own: HTTP/1.1 keeps a
// connection open, here for 60 s after an answer. Click rows of the wire: the
// same few connection numbers return. The cost of a poll is its head and the
// server's work.
//
// The cards show the measured sizes. In Chromium a naive poll and its answer
// have about 780 bytes, and only 25 of these are the numbers. A careful poll
// and its answer have about 700. (That is HTTP/1.1. HTTP/2 and HTTP/3 send a
// header field that repeats as a short index.) A 304 saves more if bodies are
// large. If a million users ask ten times a second, that makes 10 million
// requests and 7 GB, or 56 Gbit, each second. Nearly all of it says that
// nothing is new.
//
// News waits for the next poll. On average it waits half the interval. At
// worst it waits the whole interval, the jitter, and three transits (a transit
// is the way through the network, once). Choose short polling if users can
// wait that long and are few, or if most polls bring news. If news is rare and
// should arrive at once, let the server hold the request: lesson 02.
//
// `./jbang notebook 01` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8001, ShortPolling.routes()).port` shows 8001, the page's
// port.
