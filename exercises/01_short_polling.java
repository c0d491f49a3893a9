///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a flash sale
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 01_short_polling.java
//FILES 01_short_polling.html=../exercises/01_short_polling.html

// %% [markdown]
// # 01 - Exercise: a flash sale
//
// A shop sells a few lamps at half the price. Thousands of pages poll to see
// how many are left. Your server must tell them cheaply, sell each lamp once,
// and say when to come back while the sale is paused.
//
// **The twist.** The answer carries `asOf`, the server's time. So no two
// answers have the same bytes, and yet most bring no news.
//
// ## What it must do
//
// | request | answer |
// |---|---|
// | `POST /purchases {"quantity":q}` | 201 `{"left":n}`, or 409, or 400 |
// | `GET /stock` | 200 `{"left":n,"asOf":"..."}`, or 304, or 503 |
// | `PUT /stock {"left":n}` | 204, done already |
// | `POST /pause {"seconds":s}` | 204, done already |
//
// Each TODO has one requirement, of the same number:
//
// 1. `POST /purchases` takes `quantity`, a whole number from 1 to 10, from
//    the stock: 201 with what is left. Anything else is 400, done already.
//    If fewer are left: 409, and the stock stays as it was.
// 2. `GET /stock` answers 200 with `left` and `asOf`, `Cache-Control:
//    no-cache`, and a **weak** entity tag in `ETag`, such as `W/"..."`.
//    Weak says: this names the same news, not the same bytes
//    ([RFC 9110, section 8.8.1](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.1)).
//    The tag changes when `left` does, and only then. The text in the quotes
//    is up to you, but holds no comma. The tag and the `left` of one answer
//    belong together.
// 3. Where `If-None-Match` is `*`, or holds the current tag, the answer is
//    304 with the same `ETag` and `Cache-Control` and no body, even though
//    `asOf` has moved on. The header may hold several tags, with commas only
//    between them. `W/` makes no difference in this comparison.
// 4. After `POST /pause`, `GET /stock` is 503 for `seconds`, even where it
//    would be 304. `Retry-After` has the seconds that remain, rounded up:
//    never 0, never more than was asked. A new pause replaces the old one,
//    also a longer one. Purchases go on as if there were no pause, and do
//    not end it.
//
// Errors are a `Problem(status, sentence)`; `with` adds a header to it.
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/01_short_polling.java`. Then grade it:
// `./jbang grade 01`. Stuck? `./jbang hint 01` gives one hint at a time.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.TimeUnit;
import shared.*;

// %% [markdown]
// ## TODO 1: sell what is there
//
// All methods that read or change the stock hold the same lock, so two
// buyers never get the same lamp.

// %%
class LampSale {
    private int left = 5;
    private long pauseEnds = System.nanoTime();

    synchronized int sell(int quantity) {
        // TODO 1: Take `quantity` from `left` and return the rest, or throw a 409.
        throw Problem.todo(1);
        // END 1
    }

    Stock stock() {
        // The grader may hold a thread here, to let another come in between.
        Pause.at("before reading");
        synchronized (this) {
            return new Stock(left, Instant.now());
        }
    }

    synchronized void restock(int left) {
        this.left = left;
    }

    synchronized void pause(long seconds) {
        pauseEnds = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    }

    synchronized long pauseNanos() {
        return pauseEnds - System.nanoTime();
    }
}

// %% [markdown]
// ## TODO 2: name the news, not the bytes
//
// `asOf` differs in every answer, so it must not be part of the tag.

// %%
record Stock(int left, Instant asOf) {
    String etag() {
        // TODO 2: Return a weak entity tag that changes only when `left` does.
        throw Problem.todo(2);
        // END 2
    }
}

// %% [markdown]
// ## TODO 3: has the client got this already?
//
// `If-None-Match` is `*`, or holds one tag or several with commas. `matches`
// answers false already where it is absent, and joins several lines.

// %%
class IfNoneMatch {
    static boolean matches(HttpServerExchange exchange, String etag) {
        var lines = exchange.getRequestHeaders().get(Headers.IF_NONE_MATCH);
        return lines != null && holds(String.join(",", lines), etag);
    }

    static boolean holds(String list, String etag) {
        // TODO 3: Return whether `list` holds `etag`, with or without its `W/`.
        throw Problem.todo(3);
        // END 3
    }
}

// %% [markdown]
// ## TODO 4: say when to come back
//
// On 503 alone, clients come back at once, or never. The rest of `Shop` is
// done already. `stock` looks at the sale once: two looks could give the
// tag of one stock and the number of another.

// %%
class Shop {
    final LampSale sale = new LampSale();

    void stock(HttpServerExchange exchange) {
        long nanos = sale.pauseNanos();
        if (nanos > 0) throw paused(nanos);
        Stock stock = sale.stock();
        exchange.getResponseHeaders().put(Headers.ETAG, stock.etag())
                .put(Headers.CACHE_CONTROL, "no-cache");
        if (IfNoneMatch.matches(exchange, stock.etag())) {
            Http.empty(exchange, 304);
        } else {
            Http.json(exchange, 200, stock);
        }
    }

    /// @param nanos that remain of the pause, in billionths of a second
    Problem paused(long nanos) {
        // TODO 4: Return a 503 with `Retry-After`, in whole seconds.
        throw Problem.todo(4);
        // END 4
    }

    void buy(HttpServerExchange exchange, byte[] body) {
        long quantity = Http.integer(Http.object(body), "quantity", 1, 10);
        Http.json(exchange, 201, Map.of("left", sale.sell((int) quantity)));
    }

    void restock(HttpServerExchange exchange, byte[] body) {
        sale.restock((int) Http.integer(Http.object(body), "left", 0, 1_000_000));
        Http.empty(exchange, 204);
    }

    void pause(HttpServerExchange exchange, byte[] body) {
        sale.pause(Http.integer(Http.object(body), "seconds", 1, 60));
        Http.empty(exchange, 204);
    }
}

// %% [markdown]
// ## Done already: the page's client, and the routes
//
// The poller is the careful one of lesson 01 in short: it chains its
// polls, sends the tag, and obeys `Retry-After`.

// %%
interface Poller {
    // language=JavaScript
    String SCRIPT = """
            async function follow({ interval, show, failed, signal }) {
              for (let etag = null; !signal.aborted;) {
                let wait = interval;
                try {
                  const response = await fetch("/stock", {
                    headers: etag ? { "If-None-Match": etag } : {},
                    cache: "no-store", signal,
                  });
                  if (response.ok) {
                    const stock = await response.json(); // may break off
                    etag = response.headers.get("ETag");
                    show(response.status, stock);
                  } else if (response.status === 304) {
                    show(304);
                  } else {
                    wait = (retryAfter(response) || 2000) + 200 * Math.random();
                    failed(response.status, (await response.json()).detail, wait);
                  }
                } catch (error) {
                  if (!signal.aborted) failed(0, error.message, wait = 2000);
                }
                await pause(wait, signal);
              }
            }
            """;
}

class FlashSale {
    static HttpHandler routes() {
        Shop shop = new Shop();
        return new Routes()
                .page("01_short_polling", Poller.SCRIPT)
                .get("/stock", shop::stock)
                .put("/stock", shop::restock)
                .post("/purchases", shop::buy)
                .post("/pause", shop::pause);
    }

    void main() {
        Serve.run("01 Short polling", 9001, routes());
    }
}
