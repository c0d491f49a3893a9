///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Webhook: a payment gateway calls the shop back, signed, again and again until it is heard
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/*.java
//FILES 05_webhook.java
//FILES 05_webhook.html

// %% [markdown]
// # 05 - Webhook
//
// A shop has to know when a payment went through, even if the customer
// has closed the tab. With the polling of lessons 01 and 02 it would ask
// the gateway for every open payment, for hours. So Stripe, Razorpay and
// others turn the call around: the shop **registers a URL once, and the
// gateway sends a POST to it** when something happens.
//
// The endpoint is a plain POST route. Three things make it a webhook:
// anybody can call it, so each message is **signed**; the shop may be
// down, so the gateway **retries**; a retry can repeat what was heard
// already, so the shop must be **idempotent**.
//
// ```mermaid
// sequenceDiagram
//   participant C as Customer
//   participant G as Gateway
//   participant S as Shop
//   S->>G: PUT /endpoint, once
//   C->>G: POST /payments
//   G-->>C: 202
//   G->>+S: POST /webhooks/payments, signed
//   S-->>-G: 503
//   Note over G,S: 1 to 2 s: same id, new timestamp
//   G->>+S: POST /webhooks/payments, signed
//   S-->>-G: 204
// ```
//
// The same shape is everywhere. A post on Instagram appears on Facebook:
// Instagram calls an endpoint that Facebook registered. A push to GitHub
// starts a build: GitHub calls the build server. Here gateway and shop
// live in one process and talk through a real socket. Press *Pay*.

// %%
import io.undertow.server.*;
import io.undertow.util.*;
import java.io.*;
import java.net.*;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import shared.*;

// %% [markdown]
// ## A signature over the raw bytes
//
// The shop and the gateway share a secret. An HMAC proves that a message
// was made by someone who knows it, and that no byte has changed since.
// It covers bytes, not meaning: JSON that was parsed and written again
// may differ in a space, so we sign what was read from the socket.
//
// `isEqual` takes the same time whatever differs. An `equals` that stops
// at the first wrong character tells an attacker how far a guess was
// right.

// %%
class Hmac {
    static byte[] sha256(byte[] key, byte[]... parts) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            for (byte[] part : parts) mac.update(part);
            return mac.doFinal();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    static boolean same(String one, String other) {
        return MessageDigest.isEqual(bytes(one), bytes(other));
    }

    static byte[] bytes(String header) {
        return header.getBytes(StandardCharsets.ISO_8859_1);
    }
}

// %% [markdown]
// ## Standard Webhooks
//
// What to sign, and where to put it, is agreed on in
// [Standard Webhooks 1.0.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
// `id.timestamp.body`. The id is signed, or a copy under a new id would
// count as a new message; the timestamp, or an old copy would look fresh.
//
// The header may carry several signatures, so that a secret can be
// changed while both are valid. One match is enough, and a version that
// we do not know is passed over. The secret comes from `WEBHOOK_SECRET`,
// else we roll one, which the page shows.

// %%
record Secret(byte[] key, boolean given) {
    static Secret choose() {
        String text = System.getenv("WEBHOOK_SECRET");
        byte[] key = text == null ? SecureRandom.getSeed(32) : parse(text);
        if (key.length < 24 || key.length > 64) {
            Serve.fail("WEBHOOK_SECRET must be whsec_ and the Base64 of 24 to 64 bytes.");
        }
        return new Secret(key, text != null);
    }

    static byte[] parse(String text) {
        try {
            if (!text.startsWith("whsec_")) return new byte[0];
            return Base64.getDecoder().decode(text.substring(6));
        } catch (IllegalArgumentException notBase64) {
            return new byte[0];
        }
    }

    String sign(String id, String timestamp, byte[] body) {
        byte[] hmac = Hmac.sha256(key, Hmac.bytes(id + "." + timestamp + "."), body);
        return "v1," + Base64.getEncoder().encodeToString(hmac);
    }

    boolean verifies(String id, String timestamp, byte[] body, String signatures) {
        String right = sign(id, timestamp, body);
        return Arrays.stream(signatures.split(" ")).anyMatch(each -> Hmac.same(right, each));
    }
}

// %% [markdown]
// ## Registering the callback
//
// A sender that calls any URL it is given can be aimed. Ours calls
// nothing but this machine, by its literal names: `127.0.0.1.evil.com`
// is a stranger's name, and `127.1` or `2130706433` are disguises that
// some parsers accept.
//
// Production does the reverse, and refuses exactly these addresses. A
// gateway runs inside a private network, and a customer who registers
// `http://169.254.169.254/` would make it talk to machines that only the
// inside can reach: server-side request forgery
// ([OWASP](https://owasp.org/www-community/attacks/Server_Side_Request_Forgery)).
// There, check the address that is connected to, not the name.

// %%
class Endpoint {
    static final Pattern LOOPBACK = Pattern.compile("(?i)http://"
            + "(localhost|\\[::1]|127(?:\\.(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3})"
            + "(?::(?!0+\\b)(\\d{1,5}))?([/?][!-~&&[^#]]{0,2000})?");

    static URI parse(String url) {
        var parts = LOOPBACK.matcher(url);
        try {
            if (parts.matches()) {
                int port = parts.group(2) == null ? 80 : Integer.parseInt(parts.group(2));
                String rest = Objects.requireNonNullElse(parts.group(3), "/");
                String host = parts.group(1).toLowerCase(Locale.ROOT);
                if (port <= 65535) return new URI("http://" + host + ":" + port + rest);
            }
        } catch (URISyntaxException malformed) {
            // the path or the query: refused like the rest
        }
        throw new Problem(400, "'url' must be http to localhost, 127.x.y.z or [::1].");
    }
}

// %% [markdown]
// ## One attempt
//
// An event becomes bytes once; each attempt sends the same body under
// the same `webhook-id`, with a new timestamp. The receiver gets 5 s for
// its whole answer: a timer on the head alone would let a receiver that
// sends one byte a second hold us for ever. Of the body we read 64 KiB
// at most and drop it, as only the status counts.
//
// A redirect is not followed: it would take the message to a URL that
// nobody registered. The calls run on virtual threads, which may block.

// %%
record Event(String type, String timestamp, Paid data) {
    record Paid(String payment, long amount, String status) {}
}

record Delivery(String id, String payment, byte[] body, URI home) {
    HttpRequest request(URI to, Secret secret, Instant at) {
        String timestamp = "" + at.getEpochSecond();
        return HttpRequest.newBuilder(to)
                .header("User-Agent", "gateway/1")
                .header("Content-Type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", secret.sign(id, timestamp, body))
                .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
    }
}

record Outcome(Integer status, String error) {
    boolean ends() {
        return status != null && (status / 100 == 2 || status == 410);
    }
}

// %%
class Caller {
    final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .proxy(HttpClient.Builder.NO_PROXY)
            .executor(Executors.newVirtualThreadPerTaskExecutor()).build();

    Outcome call(HttpRequest request) throws InterruptedException {
        Future<Integer> status = threads.submit(() -> {
            var answer = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
            try (InputStream body = answer.body()) {
                body.skip(64 * 1024);
            }
            return answer.statusCode();
        });
        try {
            return new Outcome(status.get(5, TimeUnit.SECONDS), null);
        } catch (TimeoutException slow) {
            return new Outcome(null, "no whole answer within 5 s");
        } catch (ExecutionException e) {
            return new Outcome(null, e.getCause() instanceof ConnectException
                    ? "connection refused" : "no valid HTTP answer");
        } finally {
            status.cancel(true);
        }
    }
}

// %% [markdown]
// ## Retries that back off
//
// Any 2xx is success. 410 says "never again" and ends the delivery; a
// real gateway then disables the endpoint as well. All else is retried,
// 3xx, a refused connection and silence included: 6 attempts, 1 to 2 s
// after the first, then twice as long each time. The jitter spreads the
// deliveries that failed together. Without it they return together, and
// push a recovering shop over again.
//
// Each attempt asks for the endpoint anew, so a corrected URL helps what
// is pending. Nothing grows without end: 64 calls at a time, 20,000
// deliveries pending, and of the attempts we list the last 10,000; older
// rows are dropped. A stop forgets all of it. A real gateway keeps it in
// a database, and what failed for good in a dead letter list.

// %%
record Row(String id, String payment, int attempt, String at, Integer status,
        String error) {}

class Ledger {
    private final Deque<Row> rows = new ArrayDeque<>();

    synchronized void add(Row row) {
        if (rows.size() == 10_000) rows.removeFirst();
        rows.addLast(row);
    }

    synchronized List<Row> latest(int count) {
        return rows.stream().skip(Math.max(0, rows.size() - count)).toList();
    }
}

// %%
class Gateway {
    final Secret secret;
    final Ledger ledger = new Ledger();
    final Caller caller = new Caller();
    volatile URI endpoint;
    private final Semaphore pending = new Semaphore(20_000);
    private final Semaphore lines = new Semaphore(64);

    Gateway(Secret secret) {
        this.secret = secret;
    }

    void accept(Delivery delivery) {
        if (!pending.tryAcquire()) {
            throw new Problem(503, "Too many deliveries wait.").with("Retry-After", 10);
        }
        caller.threads.submit(() -> deliver(delivery));
    }

    private Void deliver(Delivery delivery) throws InterruptedException {
        for (int number = 1; number <= 6; number++) {
            double seconds = number == 1 ? 0 : (1 << number - 2) * (1 + Math.random());
            Thread.sleep((long) (seconds * 1000));
            if (attempt(delivery, number).ends()) break;
        }
        pending.release();
        return null;
    }

    private Outcome attempt(Delivery delivery, int number) throws InterruptedException {
        lines.acquire();
        Instant at = Instant.now();
        URI to = endpoint == null ? delivery.home() : endpoint;
        Outcome outcome = caller.call(delivery.request(to, secret, at));
        lines.release();
        ledger.add(new Row(delivery.id(), delivery.payment(), number, at.toString(),
                outcome.status(), outcome.error()));
        return outcome;
    }
}

// %% [markdown]
// ## The shop: verify, dedupe, answer, work later
//
// The order of the checks matters. What is not signed is not even
// parsed. A timestamp more than 5 minutes off is a replay, or a wrong
// clock. Only then do we read the JSON. An event type that we do not
// know is fine: gateways add types, and an error would only make them
// retry.
//
// The answer has to come within the 5 s. Slow work, such as a mail to
// the customer, belongs in a queue after the 204.

// %%
class Shop {
    private final Secret secret;
    final Orders orders = new Orders();

    Shop(Secret secret) {
        this.secret = secret;
    }

    void receive(HttpServerExchange exchange, byte[] body) {
        String id = header(exchange, "webhook-id");
        String timestamp = header(exchange, "webhook-timestamp");
        if (!secret.verifies(id, timestamp, body, header(exchange, "webhook-signature"))) {
            throw unauthorized("The signature does not match.");
        }
        if (!timestamp.matches("\\d{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 300) {
            throw new Problem(400, "The timestamp is more than 5 minutes off.");
        }
        var event = Http.object(body);
        if (Http.text(event, "type").equals("payment.succeeded")) {
            if (!(event.get("data") instanceof ObjectNode data)) {
                throw new Problem(400, "'data' must be an object.");
            }
            Http.integer(data, "amount", 1, 99_999_999);
            orders.paid(id, Http.text(data, "payment"), Http.text(data, "status"));
        }
        Http.empty(exchange, 204);
    }

    static String header(HttpServerExchange exchange, String name) {
        var lines = exchange.getRequestHeaders().get(name);
        if (lines != null && lines.size() == 1) return lines.getFirst();
        throw unauthorized("The header " + name + " must be there, once.");
    }

    static Problem unauthorized(String why) {
        return new Problem(401, why).with("WWW-Authenticate", "Webhook-Signature");
    }
}

// %% [markdown]
// ## The same id twice
//
// Deliveries are **at least once**: an answer that got lost is a retry.
// To look for the id first and note it afterwards lets two copies
// through that arrive at the same instant, so both happen under one
// lock. An id is noted together with its effect; a message that we
// refuse, or whose type we do not know, leaves none, and may come again.
//
// We keep ids for 10 minutes, as a timestamp may be 5 minutes early and
// 5 minutes late. Older copies fail by their timestamp. Retries that go
// on for days, or a second event about the same payment, meet the other
// guard: one order per payment. If we cannot remember, we do not say 2xx.

// %%
record Order(String payment, String status) {}

class Orders {
    static final int MAX = 100_000;
    private final Map<String, Instant> seen = new LinkedHashMap<>();
    private final Map<String, Order> orders = new LinkedHashMap<>();

    synchronized void paid(String id, String payment, String status) {
        if (payment.isBlank() || payment.length() > 200 || !status.equals("paid")) {
            throw new Problem(400, "This is no payment that was paid.");
        }
        Instant now = Instant.now();
        var oldest = seen.values().iterator();
        while (oldest.hasNext() && oldest.next().isBefore(now.minusSeconds(600))) {
            oldest.remove();
        }
        if (seen.containsKey(id)) return;
        if (seen.size() >= MAX || orders.size() >= MAX) {
            throw new Problem(503, "The shop is full.").with("Retry-After", 600);
        }
        seen.put(id, now);
        orders.putIfAbsent(payment, new Order(payment, status));
    }

    synchronized List<Order> all() {
        return List.copyOf(orders.values());
    }
}

// %% [markdown]
// ## GitHub says it in another header
//
// A push webhook of GitHub carries `X-Hub-Signature-256`: `sha256=` and
// the same HMAC in hexadecimal, over the body alone
// ([GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)).
// Without a signed timestamp an old copy never expires, so there the
// receiver remembers the ids for longer.

// %%
class GitHub {
    static final byte[] KEY = Hmac.bytes("It's a Secret to Everybody");

    static void receive(HttpServerExchange exchange, byte[] body) {
        String right = "sha256=" + HexFormat.of().formatHex(Hmac.sha256(KEY, body));
        if (!Hmac.same(right, Shop.header(exchange, "X-Hub-Signature-256"))) {
            throw Shop.unauthorized("The signature does not match.");
        }
        Http.empty(exchange, 204);
    }
}

// %% [markdown]
// ## Break it
//
// The buttons are in `05_webhook.html`.
//
// **Take the shop down.** Two attempts meet a 503, then the shop is back.
// The gap to the next attempt grows, the id stays, and one order is made.
// Choose *slow* or *moved* for the shop and pay, to see silence and a
// redirect fail as well. *Gone* ends at the first 410.
//
// **Forge a message.** A stranger who only knows the URL invents a
// signature; another changes the amount in a message that was signed.
// Both get 401, and there is no order.
//
// **Replay an old one.** A message was recorded 6 minutes ago. Its
// signature is right, and it is refused: 400.
//
// **Deliver twice.** Two copies of one message arrive together. Both get
// 204, since an error would cause a third, and there is one order.
//
// A webhook does not show in DevTools: no browser takes part. *Network*
// lists *Pay*, and the page's own `/_/page/state`, which fills the cards
// and which the wire leaves out.

// %%
class Mishap {
    static void answer(HttpServerExchange exchange, byte[] body) {
        exchange.getResponseHeaders().put(Headers.LOCATION, "/webhooks/payments");
        switch (Http.path(exchange, "mishap")) {
            case "down" -> Http.empty(exchange, 503);
            case "moved" -> Http.empty(exchange, 302);
            case "gone" -> Http.empty(exchange, 410);
            default -> exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
                var late = exchange.getIoThread().executeAfter(
                        () -> Http.empty(exchange, 204), 30, TimeUnit.SECONDS);
                Http.onGone(exchange, late::remove);
            });
        }
    }
}

// %% [markdown]
// ## Routes
//
// The default endpoint needs the port that we listen on, and a free one
// is known only once we do: `pay` learns it from its own connection. The
// 202 leaves before the webhook does, as it says "accepted", not "paid".
// `capture` plays the eavesdropper for the buttons.

// %%
class Webhook {
    final Secret secret = Secret.choose();
    final Gateway gateway = new Gateway(secret);
    final Shop shop = new Shop(secret);

    record State(String secret, URI endpoint, int orders, List<Row> deliveries) {}
}
