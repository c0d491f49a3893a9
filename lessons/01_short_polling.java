///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Short polling: the page asks again and again, here for a site's visitors and clicks
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/*.java
//FILES 01_short_polling.java
//FILES 01_short_polling.html

// %% [markdown]
// # 01 - Short polling
//
// A dashboard shows how many people visit a site, and how often they
// click. The numbers change on the server, but in HTTP a server speaks
// only when it is asked. A page that asks once shows old numbers for ever.
//
// Short polling is the plainest way out: the page **asks again and
// again**. Most polls bring nothing, and then the answer should say just
// that: 304, *not modified*, without a body.
//
// ```mermaid
// sequenceDiagram
//   participant B as Browser
//   participant S as Server
//   B->>S: GET /stats
//   S-->>B: 200, ETag "4-7", the numbers
//   Note over B,S: a pause
//   B->>S: GET /stats, If-None-Match "4-7"
//   S-->>B: 304, empty
//   Note over B,S: a pause, a visitor
//   B->>S: GET /stats, If-None-Match "4-7"
//   S-->>B: 200, ETag "5-7", the numbers
// ```
//
// The demo runs a naive client beside a careful one. Press *Start*, then
// *A visitor* now and then, and watch how few answers bring news.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import shared.*;

// %% [markdown]
// ## The numbers, and a name for their state
//
// An entity tag names one state of a resource, so that a client can say
// which one it has. A state that shared its tag with another would be
// taken for it, and the page would keep old numbers. Ours is made of both
// numbers: it changes when they do, and it is right after a restart too.

// %%
record Stats(long visitors, long clicks) {
    Stats visit() {
        return new Stats(visitors + 1, clicks);
    }

    Stats click() {
        return new Stats(visitors, clicks + 1);
    }

    String etag() {
        return "\"" + visitors + "-" + clicks + "\"";
    }
}

// %% [markdown]
// ## Has the client got this already?
//
// `If-None-Match` carries one tag, a list of tags, or `*` for any. A `W/`
// before a tag marks it as weak, which makes no difference here
// ([RFC 9110, section 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
// Proxies add it when they compress, so a plain `equals` on the header
// would answer 200 for ever. What we cannot read matches nothing.

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
// The handler reads both numbers as one snapshot; read one by one, they
// could come from two states. `no-cache` lets caches keep an answer, but
// they must ask us before they use it.
//
// The server remembers nothing about its clients. So any poll may go to
// any server that has the numbers, and a restart cuts nobody off. That
// statelessness is the gain of short polling.
//
// An outage is part of the demo. Its 503 comes before any 304, and
// `Retry-After` says in seconds when it is worth asking again.

// %%
class Site {
    private final AtomicReference<Stats> now =
            new AtomicReference<>(new Stats(0, 0));
    private volatile long outageEnds = System.nanoTime();

    Stats now() {
        return now.get();
    }

    void count(HttpServerExchange exchange, byte[] body, UnaryOperator<Stats> change) {
        Http.object(body);
        now.updateAndGet(change);
        Http.empty(exchange, 204);
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
        answer(exchange, now());
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
// although the last answer is still out, so a slow server gets more to do
// and old answers overtake new ones. In a hidden tab the browser slows
// the timer, to once a minute in Chromium, but nothing ever stops it. And
// nobody catches an error: what `fetch` or `json()` throws ends up as a
// global exception of the page.

// %%
interface NaivePoller {
    // language=JavaScript
    String SCRIPT = """
            function naivePoll({ url, interval, count, show }) {
              return setInterval(async () => {
                const response = await fetch(url, { cache: "no-store" });
                count(response);
                show(await response.json());
              }, interval);
            }
            """;
}

// %% [markdown]
// ## One careful poll
//
// A poll without a deadline may hang for minutes, so the abort signal
// carries one. We send the tag ourselves. Without `no-store` the browser's
// cache does it for us and shows 200 to the script, and we never see 304.
//
// `fetch` resolves as soon as the *head* of the answer is there, whatever
// its status. So we look at `status` and `ok` first. Data travels as
// bytes, and the last of them may still be on their way: `json()` waits
// for the rest of the body, then parses it, and can fail at both.

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
              if (response.status === 304) return { etag };
              if (!response.ok) {
                throw Object.assign(new Error(`status ${response.status}`),
                  { retryAfter: retryAfter(response.headers) });
              }
              return { stats: await response.json(), etag: response.headers.get("ETag") };
            }

            // In milliseconds, a day at most. The header holds seconds or a date.
            function retryAfter(headers) {
              const value = headers.get("Retry-After") ?? 0;
              const ms = 1000 * value;
              const left = Number.isNaN(ms) ? Date.parse(value) - Date.now() : ms;
              return Math.min(86_400_000, Math.max(0, left)) || 0;
            }
            """;
}

// %% [markdown]
// ## Polls in a chain
//
// The next poll is scheduled when the last one is over, so two never
// overlap. After an error the pause doubles, up to 30 seconds, and is
// never shorter than `Retry-After`: a server that comes back should not be
// knocked over again. Some jitter keeps the pages from asking in step.
//
// `stop` is an `AbortController`, the one way to stop: the user's button
// aborts it, and so does the target condition `done`. An answer that comes
// after that is too late and is dropped.

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
                    if (answer.stats) settings.show(answer.stats);
                    if (answer.stats && settings.done(answer.stats)) return stop.abort();
                    etag = answer.etag;
                    errors = 0;
                  } catch (error) {
                    if (signal.aborted) return;
                    settings.failed(error);
                    const backoff = Math.min(30_000, wait * 2 ** ++errors);
                    wait = Math.max(backoff, error.retryAfter ?? 0);
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
// Polls for a tab that nobody sees are wasted. We abort when the tab is
// hidden or left, and poll at once when it shows again, but not before a
// pause after an error is over.

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
// them make the famous mistakes. Keep DevTools open, tabs *Network* and
// *Console*.
//
// **Slow server.** Both clients ask every 200 ms, and an answer takes 100
// or 900 ms, at random. The naive polls pile up, seen as bars side by side
// on the wire. Its number of visitors goes *back*: an old answer came late.
//
// **Outage.** `/stats` answers 503 for 3 seconds. The naive client never
// looks at the status, takes the error for numbers, and shows *undefined*.
// The careful one asks once and obeys `Retry-After`.
//
// **Garbage body.** A proxy's log-in page arrives with status 200.
// `json()` throws. The naive client's errors are in the console, in red,
// and its numbers are stuck. The careful one catches them and goes on.
//
// **Forget to stop.** The user leaves the view, as single-page apps
// navigate: without a new document. The naive timer lives on.

// %%
class Trouble {
    static void slow(HttpServerExchange exchange, Site site) {
        Stats then = site.now();
        int ms = ThreadLocalRandom.current().nextBoolean() ? 100 : 900;
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            var timer = exchange.getIoThread().executeAfter(
                    () -> site.answer(exchange, then), ms, TimeUnit.MILLISECONDS);
            Http.onGone(exchange, timer::remove);
        });
    }

    static void garbage(HttpServerExchange exchange) {
        exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "text/html");
        exchange.getResponseSender().send("<!doctype html><title>Please log in</title>");
    }
}

// %% [markdown]
// ## Routes
//
// `routes()` builds the server side; `main` only serves it. Nothing below
// waits: a handler answers at once, or sets a timer and returns.

// %%
class ShortPolling {
    static HttpHandler routes() {
        Site site = new Site();
        return new Routes()
                .page("01_short_polling", NaivePoller.SCRIPT, CarefulPoll.SCRIPT,
                        ShortPoller.SCRIPT, WhileShown.SCRIPT)
                .get("/stats", site::stats)
                .post("/visits", (exchange, body) ->
                        site.count(exchange, body, Stats::visit))
                .post("/clicks", (exchange, body) ->
                        site.count(exchange, body, Stats::click))
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
TODO
