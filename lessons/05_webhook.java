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
// A shop must learn that a payment went through, even if the customer
// has closed the page. By polling, as in lessons 01 and 02, it would ask
// about every open payment for hours. Stripe, Razorpay and others turn
// the call around: the shop **registers a URL once, and the gateway
// sends a POST to it** when something has happened.
//
// That URL is a plain POST route. Three things make it a webhook. Anyone
// can call it, so messages are **signed**. The shop may be down, so the
// gateway **retries**. A retry can repeat what was heard before, so the
// shop is **idempotent**.
//
// ```mermaid
// sequenceDiagram
//   participant C as Customer
//   participant G as Gateway
//   participant S as Shop
//   S->>G: PUT /endpoint, once
//   C->>G: POST /payments
//   G-->>C: 202 Accepted
//   G->>+S: POST, signed
//   S-->>-G: 503, the shop is down
//   Note over G,S: 1 to 2 s: same id, new timestamp
//   G->>+S: POST, signed
//   S-->>-G: 204
// ```
//
// A post on Instagram appears on Facebook: Instagram calls an endpoint
// of Facebook. A push to GitHub starts a build: GitHub calls the build
// server. Here gateway and shop share one process, but talk through a
// real socket. Press *Pay* and watch it on the wire.

// %%
import io.undertow.server.*;
import java.io.*;
import java.net.*;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import shared.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## A signature over the raw bytes
//
// An HMAC proves that a message was made by one who knows the secret, and
// that no byte has changed since. It covers bytes, not meaning: JSON that
// was parsed and written again may differ by a space. So we sign what is
// on the wire, before any parsing.
//
// `isEqual` always takes the same time. An `equals` that stops at the
// first difference tells an attacker how much of a guess was right.

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
// ## Id, timestamp, body
//
// [Standard Webhooks 1.0.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
// signs `id.timestamp.body`. A copy under a new id would count as a new
// message, and one without a timestamp would stay fresh for ever.
//
// The header may carry several signatures, so that a secret can be
// changed while the old one still counts. One match is enough; a version
// that we do not know never matches. The secret is `WEBHOOK_SECRET` from
// the environment, else random and shown on the page.

// %%
record Secret(byte[] key, String shown) {
    static Secret choose() {
        String given = System.getenv("WEBHOOK_SECRET");
        if (given != null) return new Secret(parse(given), "");
        byte[] key = new byte[32];
        new SecureRandom().nextBytes(key);
        return new Secret(key, "whsec_" + Base64.getEncoder().encodeToString(key));
    }

    static byte[] parse(String text) {
        try {
            byte[] key = Base64.getDecoder().decode(text.replaceFirst("^whsec_", ""));
            boolean sound = key.length >= 24 && key.length <= 64;
            if (sound && text.startsWith("whsec_")) return key;
        } catch (IllegalArgumentException notBase64) {
            // refused below
        }
        Serve.fail("WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in Base64.");
        return null;
    }

    String sign(String id, String timestamp, byte[] body) {
        byte[] hmac = Hmac.sha256(key, Hmac.bytes(id + "." + timestamp + "."), body);
        return "v1," + Base64.getEncoder().encodeToString(hmac);
    }

    boolean verifies(String id, String timestamp, byte[] body, String signatures) {
        String right = sign(id, timestamp, body);
        return Arrays.stream(signatures.split(" ")).anyMatch(one -> Hmac.same(right, one));
    }
}

// %% [markdown]
// ## Registering the callback
//
// A sender that calls any URL it is given can be aimed at others. Ours
// calls this machine only, under its literal names: `127.0.0.1.evil.com`
// is a stranger, and `127.1` and `2130706433` are disguises.
//
// Production does the reverse and refuses these addresses. A gateway
// stands inside a private network, so a customer who registers
// `http://169.254.169.254/` makes it call machines that outsiders cannot
// reach: server-side request forgery
// ([OWASP](https://owasp.org/www-community/attacks/Server_Side_Request_Forgery)).
// It must check the address that it connects to, not the name.

// %%
class Endpoint {
    static final Pattern OURS =
            Pattern.compile("localhost|\\[::1]|127(\\.(0|[1-9]\\d{0,2})){3}");

    static URI parse(String url) {
        try {
            URI uri = new URI(new URI(url).toASCIIString());
            boolean plain = "http".equalsIgnoreCase(uri.getScheme())
                    && uri.getRawUserInfo() == null && uri.getRawFragment() == null
                    && uri.getPort() != 0 && uri.getPort() <= 65535;
            String host = Objects.requireNonNullElse(uri.getHost(), "");
            if (plain && OURS.matcher(host).matches()) return uri;
        } catch (URISyntaxException malformed) {
            // refused below
        }
        throw new Problem(400, "'url' must be http to localhost, 127.x.y.z or [::1].");
    }
}

// %% [markdown]
// ## A message is bytes, made once
//
// Each attempt sends the same body under the same `webhook-id`, so that
// the shop knows it again. The timestamp is new each time, or the shop
// would refuse a late attempt, and so is the signature over it.

// %%
record Event(String type, String timestamp, Paid data) {
    record Paid(String payment, long amount, String status) {}
}

record Delivery(String id, String payment, byte[] body) {
    static Delivery of(long amount) {
        String payment = "pay_" + UUID.randomUUID();
        byte[] body = Http.JSON.writeValueAsBytes(new Event("payment.succeeded",
                Instant.now().toString(), new Event.Paid(payment, amount, "paid")));
        return new Delivery("msg_" + UUID.randomUUID(), payment, body);
    }

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

// %% [markdown]
// ## One attempt, 5 seconds
//
// The time-out covers the whole answer. A timer on its head alone would
// let a receiver that sends a byte a second hold us for ever. We read
// 64 KiB of the body at most and drop them: the status is the answer. A
// redirect is not followed, as nobody registered where it leads. Calls
// block, so they run on virtual threads.

// %%
record Row(String id, String payment, int attempt, String at, Integer status,
        String error) {
    boolean ends() {
        return status != null && (status / 100 == 2 || status == 410);
    }
}

class Caller {
    final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .proxy(HttpClient.Builder.NO_PROXY).build();

    Row attempt(int number, Delivery delivery, URI to, Secret secret)
            throws InterruptedException {
        Instant at = Instant.now();
        var call = threads.submit(() -> send(delivery.request(to, secret, at)));
        Integer status = null;
        String error = null;
        try {
            status = call.get(5, TimeUnit.SECONDS);
        } catch (TimeoutException slow) {
            error = "no whole answer within 5 s";
        } catch (ExecutionException e) {
            error = e.getCause() instanceof ConnectException
                    ? "connection refused" : "no valid HTTP answer";
        } finally {
            call.cancel(true);
        }
        return new Row(delivery.id(), delivery.payment(), number, "" + at, status, error);
    }

    private int send(HttpRequest request) throws IOException, InterruptedException {
        var answer = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
        try (InputStream body = answer.body()) {
            body.skip(64 * 1024);
        }
        return answer.statusCode();
    }
}

// %% [markdown]
// ## Retries that back off
//
// Any 2xx is success. 410 means "never again" and ends the delivery; a
// real gateway disables the endpoint too. All else is retried: 6 attempts,
// 1 to 2 s after the first, then twice as long each time. The jitter
// spreads deliveries that failed together, or they would return together
// and push a recovering shop over again.
//
// Each attempt asks for the endpoint anew, so a corrected URL helps what
// is pending. 64 calls run at a time, 20,000 deliveries may be pending,
// and we list the last 10,000 attempts; older rows are dropped. A stop
// forgets it all. A real gateway keeps deliveries in a database, and what
// failed for good in a dead letter list.

// %%
class Gateway {
    final Caller caller = new Caller();
    final Secret secret;
    volatile URI endpoint;
    private final Semaphore pending = new Semaphore(20_000);
    private final Semaphore calls = new Semaphore(64);
    private final Deque<Row> rows = new ArrayDeque<>();

    Gateway(Secret secret) {
        this.secret = secret;
    }

    void accept(Delivery delivery) {
        try {
            if (pending.tryAcquire()) {
                caller.threads.submit(() -> deliver(delivery));
                return;
            }
        } catch (RejectedExecutionException stopping) {
            // the same answer as when it is full
        }
        throw new Problem(503, "The gateway takes no more.").with("Retry-After", 10);
    }

    private Void deliver(Delivery delivery) throws InterruptedException {
        Row row = null;
        for (int number = 1; number <= 6 && (row == null || !row.ends()); number++) {
            double seconds = number == 1 ? 0.1 : (1 << number - 2) * (1 + Math.random());
            Thread.sleep((long) (seconds * 1000));
            calls.acquire();
            row = caller.attempt(number, delivery, endpoint, secret);
            calls.release();
            add(row);
        }
        pending.release();
        return null;
    }

    private synchronized void add(Row row) {
        if (rows.size() == 10_000) rows.removeFirst();
        rows.addLast(row);
    }

    synchronized List<Row> latest(int count) {
        return rows.stream().skip(Math.max(0, rows.size() - count)).toList();
    }
}

// %% [markdown]
// ## The shop: verify, dedupe, answer, work later
//
// What is not signed is not even parsed: 401. A signed timestamp that is
// over 5 minutes off is a replay or a wrong clock: 400. An event type
// that we do not know gets 204: gateways add types, and an error would
// only make them retry. Slow work, such as a mail to the customer, is
// done after the answer, or it uses up the gateway's 5 s.

// %%
class Shop {
    final Orders orders = new Orders();
    private final Secret secret;

    Shop(Secret secret) {
        this.secret = secret;
    }

    void receive(HttpServerExchange exchange, byte[] body) {
        String id = header(exchange, "webhook-id");
        String timestamp = header(exchange, "webhook-timestamp");
        require(secret.verifies(id, timestamp, body, header(exchange, "webhook-signature")));
        long now = Instant.now().getEpochSecond();
        if (!timestamp.matches("\\d{1,12}") || Math.abs(now - Long.parseLong(timestamp)) > 300) {
            throw new Problem(400, "The timestamp is more than 5 minutes off.");
        }
        ObjectNode event = Http.object(body);
        if (Http.text(event, "type").equals("payment.succeeded")) {
            if (!(event.get("data") instanceof ObjectNode data)) {
                throw new Problem(400, "'data' must be an object.");
            }
            Http.integer(data, "amount", 1, 99_999_999);
            orders.add(id, new Order(Http.text(data, "payment"), Http.text(data, "status")));
        }
        Http.empty(exchange, 204);
    }

    static String header(HttpServerExchange exchange, String name) {
        var lines = exchange.getRequestHeaders().get(name);
        require(lines != null && lines.size() == 1 && !lines.getFirst().isEmpty());
        return lines.getFirst();
    }

    static void require(boolean genuine) {
        if (!genuine) throw new Problem(401, "A signature is missing or does not match.");
    }
}

// %% [markdown]
// ## The same id twice, at the same instant
//
// Delivery is **at least once**: an answer that gets lost causes a retry.
// A shop that first looks for the id and notes it later lets two copies
// through that arrive together. We do both under one lock. A message that
// is refused, or has no effect, leaves no id.
//
// Ids are kept for 10 minutes, as a timestamp may be 5 minutes early or
// late; older copies fail by their timestamp. A second event about the
// same payment meets the other guard: one order per payment. What we
// could not remember we do not confirm: 503, and the gateway retries.

// %%
record Order(String payment, String status) {}

class Orders {
    static final int MAX = 100_000;
    private final Map<String, Instant> seen = new LinkedHashMap<>();
    private final Map<String, Order> orders = new LinkedHashMap<>();

    synchronized void add(String id, Order order) {
        if (order.payment().isBlank() || order.payment().length() > 200
                || !order.status().equals("paid")) {
            throw new Problem(400, "This is not a payment that was paid.");
        }
        Instant now = Instant.now();
        var oldest = seen.values().iterator();
        while (oldest.hasNext() && oldest.next().isBefore(now.minusSeconds(600))) {
            oldest.remove();
        }
        if (seen.containsKey(id)) return;
        if (seen.size() == MAX || orders.size() == MAX) {
            throw new Problem(503, "The shop is full.").with("Retry-After", 600);
        }
        seen.put(id, now);
        orders.putIfAbsent(order.payment(), order);
    }

    synchronized List<Order> all() {
        return List.copyOf(orders.values());
    }
}

// %% [markdown]
// ## GitHub: the same idea under another header
//
// A push webhook carries `X-Hub-Signature-256`: `sha256=` and the HMAC of
// the body in hexadecimal
// ([GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)).
// No timestamp is signed, so an old copy never expires, and the receiver
// has to remember ids for as long as a replay would hurt.

// %%
class GitHub {
    static final byte[] KEY = Hmac.bytes("It's a Secret to Everybody");

    static void receive(HttpServerExchange exchange, byte[] body) {
        String right = "sha256=" + HexFormat.of().formatHex(Hmac.sha256(KEY, body));
        Shop.require(Hmac.same(right, Shop.header(exchange, "X-Hub-Signature-256")));
        Http.empty(exchange, 204);
    }
}

// %% [markdown]
// ## Break it
//
// The buttons and cards are in `05_webhook.html`.
//
// **Take the shop down.** Two attempts meet 503, then the shop is back.
// The gap grows, the id stays, and one order is made.
//
// **Forge a message.** A stranger invents a signature; another changes
// the amount in a message that was signed. Both get 401 and no order.
//
// **Replay an old one.** A message was recorded 6 minutes ago. Its
// signature is right, and it is refused: 400.
//
// **Deliver it twice.** Two copies of a message arrive together. Both get
// 204, as an error would cause a third, and there is one order.
//
// DevTools do not show a webhook, as no browser takes part. *Network*
// lists *Pay*, and the page's own `/_/page/state`, which fills the cards
// and which the wire leaves out.
//
// ## Routes
//
// With `PORT=0` nobody knows our port before we listen, so the endpoint
// that stands until one is registered is read from the first payment's
// own connection. `/_/capture` is the eavesdropper of the buttons, and
// `/_/shop/503` a shop that is down.

// %%
class Webhook {
    static HttpHandler routes() {
        Secret secret = Secret.choose();
        Gateway gateway = new Gateway(secret);
        Shop shop = new Shop(secret);
        Serve.onStop(gateway.caller.threads::shutdownNow);
        return new Routes()
                .page("05_webhook")
                .known("status", Set.of("302", "410", "503")::contains)
                .put("/endpoint", (exchange, body) -> {
                    gateway.endpoint = Endpoint.parse(Http.text(Http.object(body), "url"));
                    Http.empty(exchange, 204);
                })
                .post("/payments", (exchange, body) -> pay(gateway, exchange, body))
                .get("/deliveries", exchange ->
                        Http.json(exchange, 200, gateway.latest(10_000)))
                .post("/webhooks/payments", shop::receive)
                .get("/orders", exchange -> Http.json(exchange, 200, shop.orders.all()))
                .post("/_/github", GitHub::receive)
                .post("/_/shop/{status}", (exchange, body) ->
                        Http.empty(exchange, Integer.parseInt(Http.path(exchange, "status"))))
                .get("/_/capture", exchange -> capture(secret, exchange))
                .get("/_/page/state", exchange -> Http.json(exchange, 200, Map.of(
                        "secret", secret.shown(), "endpoint", "" + gateway.endpoint,
                        "orders", shop.orders.all(), "deliveries", gateway.latest(10))));
    }

    static void pay(Gateway gateway, HttpServerExchange exchange, byte[] body) {
        Delivery delivery =
                Delivery.of(Http.integer(Http.object(body), "amount", 1, 99_999_999));
        if (gateway.endpoint == null) gateway.endpoint = shop(exchange);
        gateway.accept(delivery);
        Http.json(exchange, 202, Map.of("id", delivery.payment()));
    }

    static URI shop(HttpServerExchange exchange) {
        int port = exchange.getDestinationAddress().getPort();
        return URI.create("http://127.0.0.1:" + port + "/webhooks/payments");
    }

    static void capture(Secret secret, HttpServerExchange exchange) {
        long age = Http.queryInteger(exchange, "age", 0, 0, 3600);
        Delivery delivery = Delivery.of(4200);
        var request = delivery.request(shop(exchange), secret,
                Instant.now().minusSeconds(age));
        Http.json(exchange, 200, Map.of("payment", delivery.payment(),
                "headers", request.headers().map(),
                "body", new String(delivery.body(), StandardCharsets.UTF_8)));
    }

    void main() {
        Serve.run("05 Webhook", 8005, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Be the receiver: run `nc -l 9005` (some need `nc -l -p 9005`), and
//    register it with `curl -X PUT localhost:8005/endpoint -H
//    'Content-Type: application/json' -d '{"url":"http://localhost:9005/"}'`.
//    Press *Pay*: the signed message appears in your terminal. Do not
//    answer, and a row says so after 5 s.
// 2. Verify GitHub's own example, then change one letter of it:
//
// ```
// curl -i localhost:8005/_/github -d 'Hello, World!' -H 'Content-Type: application/json' \
//   -H 'X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
// ```
//
// ## What it costs, and when to choose it
//
// | | polling (01, 02) | webhook |
// |---|---|---|
// | requests | many a payment | one a payment |
// | news arrives | within an interval, or at once | at once |
// | the receiver | any client, behind any firewall | a public, signed endpoint |
// | while it is down | asks later | the sender must retry |
//
// A webhook suits servers that want rare news of others: payments,
// pushes, posts. A browser has no URL to call, so the page still hears
// from its own server by lessons 01 to 04. Deliveries come late, twice, or
// in another order, and some never: a shop that must not lose a payment
// also asks the gateway now and then about what stayed open.
//
// In a kernel, evaluate the cells and type
// `Serve.start(8005, Webhook.routes()).port`: it shows 8005, and the page
// is at that port.
