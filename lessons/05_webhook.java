///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Webhook: a payment gateway calls the shop back, signed, until it is heard
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//FILES 05_webhook.java
//FILES 05_webhook.html
//FILES 05_webhook.md

// %% [markdown]
// # 05 - Webhook
//
// A shop must learn that a payment went through, even if the customer has
// closed the page. If it polled (lessons 01, 02), it would ask about each open
// payment for hours. Payment gateways (Stripe, Razorpay) work the other way
// round: the shop **registers a URL once, the gateway calls it**.
//
// That URL is a plain POST route. Anyone can call it, so messages are
// **signed**. The shop may be down, so the gateway **retries**. So a message
// may come twice, and the shop is **idempotent**: it acts only once.
//
// ```mermaid
// sequenceDiagram
//   participant C as Customer
//   participant G as Gateway
//   participant S as Shop
//   S->>G: PUT /endpoint, once
//   C->>G: POST /payments
//   G->>+S: POST, signed
//   S-->>-G: 503
//   Note over G,S: 1 to 2 s: same id, new timestamp
//   G->>+S: POST, signed
//   S-->>-G: 204
// ```
//
// GitHub calls, too: after a push it calls the build server. Here both
// sides are in one process, but they talk through a real socket.

// %%
import io.undertow.server.*;
import java.net.*;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import shared.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## A signature over the raw bytes
//
// An HMAC is a hash of a message and a secret. It proves that somebody who
// knows the secret made the message, and that no byte has changed since. We
// verify the bytes before we parse them, because JSON that is written again
// may differ by a space.
// [Standard Webhooks 1.0.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
// signs `id.timestamp.body`. If the id were not signed, a copy could come
// under a new id. If the timestamp were not, an old copy could claim to be
// fresh. GitHub signs only the body, in `X-Hub-Signature-256`: a copy passes
// at any time, under any `X-GitHub-Delivery`. Our secret is `WEBHOOK_SECRET`,
// or else a random one that the page shows.

// %%
record Secret(byte[] key, String shown) {
    static Secret choose() {
        byte[] key = new byte[32];
        new SecureRandom().nextBytes(key);
        String random = "whsec_" + Base64.getEncoder().encodeToString(key);
        String text = System.getenv("WEBHOOK_SECRET");
        if (text == null) return new Secret(key, random);
        try {
            key = Base64.getDecoder().decode(text.replaceFirst("^whsec_", ""));
            boolean sound = text.startsWith("whsec_") && key.length >= 24;
            if (sound && key.length <= 64) return new Secret(key, "");
        } catch (IllegalArgumentException notBase64) { // refused below
        }
        Serve.fail("WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in Base64.");
        return null;
    }

    String sign(String id, String timestamp, byte[] body) throws Exception {
        var head = (id + "." + timestamp + ".").getBytes(StandardCharsets.ISO_8859_1);
        return "v1," + Base64.getEncoder().encodeToString(hmac(head, body));
    }

    String signPush(byte[] body) throws Exception {
        return "sha256=" + HexFormat.of().formatHex(hmac(body));
    }

    private byte[] hmac(byte[]... parts) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        for (byte[] part : parts) mac.update(part);
        return mac.doFinal();
    }
}

// %% [markdown]
// ## Registering the callback
//
// A sender that calls any URL can be used to attack other servers
// ([server-side request forgery](https://owasp.org/www-community/attacks/Server_Side_Request_Forgery)).
// Ours calls only this machine: `localhost`, `127.x.y.z` or `[::1]`. We refuse
// `127.0.0.1.evil.com`, which is a stranger's name, and `127.1` and
// `2130706433`, which are other forms of `127.0.0.1`. In production it is the
// reverse: see "Addresses, not names" below.

// %%
class WebhookEndpoint {
    static final String OURS = "(?i:localhost)|\\[::1]|127(\\.(0|[1-9]\\d{0,2})){3}";

    static URI parse(byte[] body) {
        String url = Http.text(Http.object(body), "url");
        try {
            URI uri = new URI(new URI(url).toASCIIString());
            if ("http".equalsIgnoreCase(uri.getScheme())
                    && uri.getHost() != null && uri.getHost().matches(OURS)
                    && uri.getRawUserInfo() == null && uri.getRawFragment() == null
                    && uri.getPort() != 0 && uri.getPort() <= 65535) return uri;
        } catch (URISyntaxException malformed) { // refused below
        }
        throw new Problem(400, "'url' must be http to localhost, 127.x.y.z or [::1].");
    }
}

// %% [markdown]
// ## One attempt, 5 seconds
//
// Each attempt sends the same bytes under the same id, so that the shop can
// recognise a copy. The timestamp is new each time, or the shop would refuse a
// late retry. The time-out covers the whole answer: otherwise a receiver that
// sends one byte a second could hold us for ever. Only the head counts, so
// we drop the body. A body over 1 MiB is no valid answer.

// %%
record Attempt(int status, String error, long retryAfter) {}

record Delivery(String id, String payment, byte[] body) {
    static final HttpResponse.BodyHandler<Void> BODY = HttpResponse.BodyHandlers
            .limiting(HttpResponse.BodyHandlers.discarding(), 1 << 20);

    static Delivery of(long amount) {
        String payment = "pay_" + UUID.randomUUID();
        String body = """
                {"type":"payment.succeeded","timestamp":"%s","data":\
                {"payment":"%s","amount":%s,"status":"paid"}}"""
                .formatted(Instant.now(), payment, amount);
        return new Delivery("msg_" + UUID.randomUUID(), payment, body.getBytes());
    }

    HttpRequest request(URI to, Secret secret, Instant at) throws Exception {
        String timestamp = "" + at.getEpochSecond();
        return HttpRequest.newBuilder(to).headers("User-Agent", "gateway/1",
                "Content-Type", "application/json",
                "webhook-id", id, "webhook-timestamp", timestamp,
                "webhook-signature", secret.sign(id, timestamp, body))
                .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
    }

    Attempt attempt(HttpClient client, URI to, Secret secret, Instant at)
            throws Exception {
        for (URI address : Http.addresses(to)) {
            var call = client.sendAsync(request(address, secret, at), BODY);
            try {
                var answer = call.get(5, TimeUnit.SECONDS);
                return new Attempt(answer.statusCode(), null, Http.retryAfter(answer));
            } catch (TimeoutException slow) {
                return new Attempt(0, "no whole answer within 5 s", 0);
            } catch (ExecutionException e) {
                boolean refused = e.getCause() instanceof ConnectException;
                if (!refused) return new Attempt(0, "no valid HTTP answer", 0);
            } finally {
                call.cancel(true);
            }
        }
        return new Attempt(0, "connection refused", 0);
    }
}

// %% [markdown]
// ## Retries that back off
//
// Any 2xx is success. 410 means "never again" and ends the delivery. After
// anything else we try again, 6 attempts in all. A redirect is a failure too,
// because nobody registered its target. The pause before the second attempt is
// 1 to 2 s, before the third 2 to 4 s, and so on. If the answer has
// `Retry-After`, we first wait as it says, up to 32 s. The random part keeps
// failed deliveries from coming back together. Each attempt takes the current
// URL, so a corrected one helps pending deliveries. At most 20,000 are pending;
// 64 call at a time. If the gateway stops, it forgets them.

// %%
record Row(String id, String payment, int attempt, String at, Integer status,
        String error) {}

class Gateway {
    final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    final BlockingQueue<Row> rows = new ArrayBlockingQueue<>(10_000);
    volatile URI endpoint; // null: our own shop
    private final Semaphore pending = new Semaphore(20_000);
    private final Semaphore calling = new Semaphore(64);
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY)
            .followRedirects(HttpClient.Redirect.NEVER).build();

    void accept(Delivery delivery, Secret secret, HttpServerExchange exchange) {
        if (threads.isShutdown() || !pending.tryAcquire()) {
            throw new Problem(503, "The gateway is full.").with("Retry-After", 10);
        }
        URI ours = URI.create("http://127.0.0.1:"
                + exchange.getDestinationAddress().getPort() + "/webhooks/payments");
        threads.submit(() -> deliver(delivery, secret, ours));
    }

    private Void deliver(Delivery delivery, Secret secret, URI ours) throws Exception {
        Thread.sleep(100); // the bank takes its time
        for (int number = 1;; number++) {
            calling.acquire();
            URI to = Objects.requireNonNullElse(endpoint, ours);
            Instant at = Instant.now();
            Attempt made = delivery.attempt(client, to, secret, at);
            calling.release();
            int status = made.status();
            Row row = new Row(delivery.id(), delivery.payment(), number, "" + at,
                    status == 0 ? null : status, made.error());
            while (!rows.offer(row)) rows.poll();
            if (status / 100 == 2 || status == 410 || number == 6) break;
            Thread.sleep(Math.min(made.retryAfter(), 32_000)
                    + ((long) (1000 + 1000 * Math.random()) << number - 1));
        }
        pending.release();
        return null;
    }
}

// %% [markdown]
// ## The shop: verify, dedupe, answer, work later
//
// A message without a valid signature gets 401, and we do not parse it. The
// header may hold several signatures: while a secret changes, a gateway signs
// with the old and the new one. `isEqual` always takes the same time. A
// comparison that stops at the first difference would tell an attacker how
// much of a guess is right. A timestamp over 5 minutes off means a replay, or
// a wrong clock: 400. An unknown event type gets 204: after an error the
// gateway would only repeat it. Slow work, such as a mail, comes after the
// answer: the gateway waits 5 s.

// %%
record Shop(Secret secret, Orders orders) {
    void receive(HttpServerExchange exchange, byte[] body) throws Exception {
        String id = header(exchange, "webhook-id");
        String timestamp = header(exchange, "webhook-timestamp");
        verify(exchange, "webhook-signature", secret.sign(id, timestamp, body));
        long now = Instant.now().getEpochSecond();
        if (!timestamp.matches("\\d{1,12}")
                || Math.abs(now - Long.parseLong(timestamp)) > 300) {
            throw new Problem(400, "The timestamp is more than 5 minutes off.");
        }
        ObjectNode event = Http.object(body);
        if (Http.text(event, "type").equals("payment.succeeded")) {
            orders.add(id, Order.of(event));
        }
        Http.empty(exchange, 204);
    }

    static void verify(HttpServerExchange exchange, String name, String right) {
        for (String one : header(exchange, name).split(" ")) {
            if (MessageDigest.isEqual(right.getBytes(), one.getBytes())) return;
        }
        throw new Problem(401, "The signature is wrong.");
    }

    static String header(HttpServerExchange exchange, String name) {
        var lines = exchange.getRequestHeaders().get(name);
        if (lines != null && lines.size() == 1) return lines.getFirst();
        throw new Problem(401, "The header " + name + " must be there, once.");
    }
}

// %% [markdown]
// ## The same id twice, at the same instant
//
// A message comes **at least once** (unless all attempts fail): if our answer
// gets lost, the gateway sends it again. A shop that looks for the id first
// and stores it later lets two copies pass that come together. We do both
// under one lock. We store no id if we refuse the message, or do not know its
// type. We keep ids for as long as a copy is valid: our gateway retries for 4
// minutes, and a timestamp is good for 5 more. (Others retry for days.) Two
// events about one payment make one order, and must have the same amount. If
// we have no room for an id, we answer 503.

// %%
record Order(String payment, String status, long amount) {
    static Order of(ObjectNode event) {
        if (event.get("data") instanceof ObjectNode data) {
            long amount = Http.integer(data, "amount", 1, 99_999_999);
            String payment = Http.text(data, "payment");
            if (payment.matches("\\S{1,99}") && Http.text(data, "status")
                    .equals("paid")) return new Order(payment, "paid", amount);
        }
        throw new Problem(400, "'data' must be a payment that was paid.");
    }
}

class Orders {
    private final Map<String, Instant> seen = new LinkedHashMap<>();
    private final Map<String, Order> orders = new LinkedHashMap<>();

    synchronized void add(String id, Order order) {
        Instant now = Instant.now();
        var oldest = seen.values().iterator();
        while (oldest.hasNext() && oldest.next().isBefore(now.minusSeconds(600))) {
            oldest.remove();
        }
        if (seen.containsKey(id)) return;
        if (Math.max(seen.size(), orders.size()) >= 100_000) {
            throw new Problem(503, "The shop is full.").with("Retry-After", 600);
        }
        Order made = orders.putIfAbsent(order.payment(), order);
        if (made != null && !made.equals(order)) throw new Problem(409,
                "The payment was of " + made.amount() + ".");
        seen.put(id, now);
    }

    synchronized List<Order> all() {
        return List.copyOf(orders.values());
    }
}

// %% [markdown]
// ## Break it
//
// The buttons are in `05_webhook.html`. `/_/capture` signs a message for
// them, `/_/shop/503` is a shop that is down. The gateway calls the shop
// without the browser, so DevTools do not show it.
//
// - **Take the shop down.** Two attempts get 503. The gap grows, the id stays.
// - **Forge a message.** An invented signature gets 401, a changed amount too.
// - **Replay an old one.** It is 6 minutes old, rightly signed, and gets 400.
// - **Deliver it twice.** Both copies get 204; an error would cause a third.

// %%
class Webhook {
    static HttpHandler routes() {
        Secret secret = Secret.choose();
        Secret github = new Secret("It's a Secret to Everybody".getBytes(), "");
        Orders orders = new Orders();
        Gateway gateway = new Gateway();
        return new Routes()
                .onStop(gateway.threads::shutdownNow)
                .always("Cache-Control", "no-store")
                .page("05_webhook")
                .put("/endpoint", (exchange, body) -> {
                    gateway.endpoint = WebhookEndpoint.parse(body);
                    Http.empty(exchange, 204);
                })
                .post("/payments", (exchange, body) -> {
                    Delivery delivery = Delivery.of(
                            Http.integer(Http.object(body), "amount", 1, 99_999_999));
                    gateway.accept(delivery, secret, exchange);
                    Http.json(exchange, 202, Map.of("id", delivery.payment()));
                })
                .get("/deliveries", exchange -> Http.json(exchange, 200, gateway.rows))
                .post("/webhooks/payments", new Shop(secret, orders)::receive)
                .get("/orders", exchange -> Http.json(exchange, 200, orders.all()))
                .post("/_/github", (exchange, body) -> {
                    Shop.verify(exchange, "X-Hub-Signature-256", github.signPush(body));
                    Http.empty(exchange, 204);
                })
                .post("/_/shop/503", (exchange, body) -> Http.empty(exchange, 503))
                .get("/_/capture", exchange -> {
                    Instant at = Instant.now().minusSeconds(
                            Http.queryInteger(exchange, "age", 0, 0, 3600));
                    Delivery sent = Delivery.of(4200);
                    var request = sent.request(URI.create("http://shop"), secret, at);
                    Http.json(exchange, 200, Map.of("body", new String(sent.body()),
                            "headers", request.headers().map()));
                })
                .get("/_/page/state", exchange -> Http.json(exchange, 200, Map.of(
                        "secret", secret.shown(), "endpoint", "" + gateway.endpoint,
                        "count", orders.all().size(), "orders", latest(orders.all()),
                        "deliveries", latest(gateway.rows))));
    }

    static <T> List<T> latest(Collection<T> all) {
        return all.stream().skip(Math.max(0, all.size() - 50)).toList();
    }

    void main() {
        Serve.run("05 Webhook", 8005, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Be the receiver: `nc -l 9000` (or `nc -l -p 9000`). Register it:
//    `curl -X PUT localhost:8005/endpoint --json '{"url":"http://localhost:9000"}'`
//    Press *Pay*, read the message, wait 5 s. Then press *Register this shop*.
// 2. Verify GitHub's own example, then change one letter of it:
//
// ```
// curl -i localhost:8005/_/github --json 'Hello, World!' -H "X-Hub-Signature-256: \
// sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
// ```
//
// ## What it costs, and when to choose it
//
// A webhook takes one request for a payment, polling takes many. But the
// receiver must have a URL, check signatures and remember ids, and the sender
// must retry. It suits servers: a browser has no URL to call. A delivery may
// come late, in another order, or never, so a shop also polls.
//
// `./jbang notebook 05` opens these cells in Jupyter or `jshell`. There,
// `Serve.start(8005, Webhook.routes()).port` shows 8005, the page's port.
