///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Webhook: a payment gateway calls the shop back, signed, until it is heard
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
//   G-->>C: 202
//   G->>+S: POST, signed
//   S-->>-G: 503
//   Note over G,S: 1 to 2 s: same id, new timestamp
//   G->>+S: POST, signed
//   S-->>-G: 204
// ```
//
// A post on Instagram appears on Facebook: Instagram calls an endpoint
// of Facebook. A push to GitHub starts a build: GitHub calls the build
// server. Here gateway and shop share one process, and talk through a
// real socket. Press *Pay* and watch the wire.

// %%
import io.undertow.server.*;
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
// was parsed and written again may differ by a space. So we verify what
// was read from the wire, before we parse it.
//
// [Standard Webhooks 1.0.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
// signs `id.timestamp.body`. A copy under a new id would count as a new
// message, and one without a timestamp would stay fresh for ever. GitHub
// signs a push by the same idea under another header,
// `X-Hub-Signature-256`, but the body alone: a copy stays valid, so its
// receivers remember ids for as long as a replay would hurt.

// %%
record Secret(byte[] key) {
    String sign(String id, String timestamp, byte[] body) {
        byte[] start = (id + "." + timestamp + ".").getBytes(StandardCharsets.ISO_8859_1);
        return "v1," + Base64.getEncoder().encodeToString(hmac(start, body));
    }

    String signLikeGitHub(byte[] body) {
        return "sha256=" + HexFormat.of().formatHex(hmac(body));
    }

    private byte[] hmac(byte[]... parts) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            for (byte[] part : parts) mac.update(part);
            return mac.doFinal();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    static Secret parse(String text) {
        try {
            byte[] key = Base64.getDecoder().decode(text.replaceFirst("^whsec_", ""));
            boolean sound = key.length >= 24 && key.length <= 64;
            if (sound && text.startsWith("whsec_")) return new Secret(key);
        } catch (IllegalArgumentException notBase64) {
            // refused below
        }
        Serve.fail("WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in Base64.");
        return null;
    }
}

// %% [markdown]
// ## Registering the callback
//
// A sender that calls any URL it is given can be aimed at others. Ours
// calls this machine only, by its literal names: `127.0.0.1.evil.com` is a
// stranger, and `127.1` and `2130706433` are disguises.
//
// Production does the reverse and refuses these addresses. A gateway
// stands inside a private network, and a customer who registers
// `http://169.254.169.254/` makes it call what outsiders cannot reach:
// [server-side request forgery](https://owasp.org/www-community/attacks/Server_Side_Request_Forgery).
// It must check the address that it connects to, not the name.

// %%
class Endpoint {
    static final Pattern OURS =
            Pattern.compile("localhost|\\[::1]|127(\\.(0|[1-9]\\d{0,2})){3}");

    static URI parse(String url) {
        try {
            URI uri = new URI(new URI(url).toASCIIString());
            String host = Objects.requireNonNullElse(uri.getHost(), "");
            if (OURS.matcher(host).matches() && uri.getRawUserInfo() == null
                    && "http".equalsIgnoreCase(uri.getScheme())
                    && uri.getPort() != 0 && uri.getPort() <= 65535
                    && uri.getRawFragment() == null) return uri;
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
record Delivery(String id, String payment, byte[] body) {
    static Delivery of(long amount) {
        String payment = "pay_" + UUID.randomUUID();
        String body = """
                {"type":"payment.succeeded","timestamp":"%s","data":\
                {"payment":"%s","amount":%d,"status":"paid"}}"""
                .formatted(Instant.now(), payment, amount);
        return new Delivery("msg_" + UUID.randomUUID(), payment,
                body.getBytes(StandardCharsets.UTF_8));
    }

    Map<String, String> signature(Secret secret, Instant at) {
        String timestamp = "" + at.getEpochSecond();
        return Map.of("webhook-id", id, "webhook-timestamp", timestamp,
                "webhook-signature", secret.sign(id, timestamp, body));
    }

    HttpRequest request(URI to, Secret secret, Instant at) {
        var request = HttpRequest.newBuilder(to)
                .header("User-Agent", "gateway/1")
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofByteArray(body));
        signature(secret, at).forEach(request::header);
        return request.build();
    }
}

// %% [markdown]
// ## One attempt, 5 seconds
//
// The time-out covers the whole answer. A timer on its head alone would
// let a receiver that sends a byte a second hold us for ever. The body is
// dropped, as the status is the answer; over 1 MiB it is none. A redirect
// is not followed, as nobody registered where it leads.

// %%
record Row(String id, String payment, int attempt, String at, Integer status,
        String error) {
    boolean ends() {
        return status != null && (status / 100 == 2 || status == 410);
    }
}

class Caller {
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .proxy(HttpClient.Builder.NO_PROXY).build();

    Row attempt(int number, Delivery sent, HttpRequest request, Instant at)
            throws InterruptedException {
        var call = client.sendAsync(request, HttpResponse.BodyHandlers.limiting(
                HttpResponse.BodyHandlers.discarding(), 1 << 20));
        Integer status = null;
        String error = null;
        try {
            status = call.get(5, TimeUnit.SECONDS).statusCode();
        } catch (TimeoutException slow) {
            error = "no whole answer within 5 s";
        } catch (ExecutionException e) {
            boolean refused = e.getCause() instanceof ConnectException;
            error = refused ? "connection refused" : "no valid HTTP answer";
        } finally {
            call.cancel(true);
        }
        return new Row(sent.id(), sent.payment(), number, "" + at, status, error);
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
// is pending. Deliveries block, on virtual threads: 20,000 may be pending
// and 64 calling. We keep the last 10,000 rows and drop older ones. A stop
// forgets it all; a real gateway keeps deliveries in a database, and what
// failed for good in a dead letter list.

// %%
class Gateway {
    final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    final Secret secret;
    volatile URI endpoint;
    private final Caller caller = new Caller();
    private final Semaphore pending = new Semaphore(20_000);
    private final Semaphore calling = new Semaphore(64);
    private final Deque<Row> rows = new ArrayDeque<>();

    Gateway(Secret secret) {
        this.secret = secret;
    }

    void accept(Delivery delivery) {
        if (threads.isShutdown() || !pending.tryAcquire()) {
            throw new Problem(503, "The gateway is full.").with("Retry-After", 10);
        }
        threads.submit(() -> deliver(delivery));
    }

    private Void deliver(Delivery delivery) throws InterruptedException {
        Thread.sleep(100); // the bank takes its time
        for (int number = 1; !attempt(number, delivery).ends() && number < 6; number++) {
            Thread.sleep((long) (1000 * (1 + Math.random())) << number - 1);
        }
        pending.release();
        return null;
    }

    private Row attempt(int number, Delivery delivery) throws InterruptedException {
        calling.acquire();
        Instant at = Instant.now();
        HttpRequest request = delivery.request(endpoint, secret, at);
        Row row = caller.attempt(number, delivery, request, at);
        calling.release();
        synchronized (rows) {
            if (rows.size() == 10_000) rows.removeFirst();
            rows.addLast(row);
        }
        return row;
    }

    List<Row> latest(int count) {
        synchronized (rows) {
            return rows.stream().skip(Math.max(0, rows.size() - count)).toList();
        }
    }
}

// %% [markdown]
// ## The shop: verify, dedupe, answer, work later
//
// What is not signed is not even parsed: 401. The header may carry several
// signatures, so that a secret can be changed while the old one counts; a
// version that we do not know never matches. `isEqual` always takes the
// same time; an `equals` that stops at the first difference tells an
// attacker how much of a guess was right.
//
// A signed timestamp over 5 minutes off is a replay or a wrong clock: 400.
// An event type that we do not know gets 204: gateways add types, and an
// error would only make them retry. Slow work, such as a mail to the
// customer, comes after the answer, or it uses up the gateway's 5 s.

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
// Delivery is **at least once**: an answer that gets lost causes a retry.
// A shop that first looks for the id and notes it later lets two copies
// through that arrive together. We do both under one lock. A message that
// is refused, or has no effect, leaves no id.
//
// Ids are kept for 10 minutes, as a timestamp may be 5 minutes early or
// late; older copies fail by their timestamp. A second event about the
// same payment meets the other guard: one order per payment. What we
// cannot remember we do not confirm: 503, and the gateway retries.

// %%
record Order(String payment, String status) {
    static Order of(ObjectNode event) {
        if (event.get("data") instanceof ObjectNode data) {
            Http.integer(data, "amount", 1, 99_999_999);
            String payment = Http.text(data, "payment");
            boolean paid = Http.text(data, "status").equals("paid");
            if (paid && payment.matches("\\S{1,200}")) return new Order(payment, "paid");
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
        seen.put(id, now);
        orders.putIfAbsent(order.payment(), order);
    }

    synchronized List<Order> all() {
        return List.copyOf(orders.values());
    }
}

// %% [markdown]
// ## Break it
//
// The buttons are in `05_webhook.html`. DevTools do not show a webhook,
// as no browser takes part: *Network* lists *Pay*, and the page's own
// `/_/page/state`, which fills the cards and which the wire leaves out.
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
// ## Routes
//
// Until an endpoint is registered it is our own shop. With `PORT=0` its
// port is known only when we listen, so we read it from the connection of
// the first payment. `/_/capture` is the eavesdropper of the buttons,
// `/_/shop/503` a shop that is down.

// %%
class Webhook {
    static HttpHandler routes() {
        String given = System.getenv("WEBHOOK_SECRET");
        byte[] random = new byte[32];
        new SecureRandom().nextBytes(random);
        String fresh = "whsec_" + Base64.getEncoder().encodeToString(random);
        Secret secret = Secret.parse(given == null ? fresh : given);
        Gateway gateway = new Gateway(secret);
        Shop shop = new Shop(secret);
        Serve.onStop(gateway.threads::shutdownNow);
        return new Routes();
    }

    void main() {
        Serve.run("05 Webhook", 8005, routes());
    }
}

// %% [markdown]
// ## Try it
//
// 1. Be the receiver: `nc -l 9000` (or `nc -l -p 9000`), and register it:
//    `curl -X PUT localhost:8005/endpoint --json '{"url":"http://localhost:9000"}'`
//    Press *Pay*. The signed message appears; if nobody answers, a row
//    says so after 5 s.
// 2. Verify GitHub's own example, then change one letter of it:
//
// ```
// curl -i localhost:8005/_/github --json 'Hello, World!' -H "X-Hub-Signature-256: \
// sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
// ```
//
// ## What it costs, and when to choose it
//
// | | polling (01, 02) | webhook |
// |---|---|---|
// | requests | many a payment | one a payment |
// | the receiver | anyone, behind any firewall | has a URL, checks signatures |
// | while it is down | asks later | the sender must retry |
//
// A webhook suits servers that wait for rare news of others: payments,
// pushes, posts. A browser has no URL to call; it hears from its own
// server by lessons 01 to 04. Deliveries come late, twice, or in another
// order, and some never: who must not lose a payment also asks the
// gateway now and then about those that stayed open.
//
// In a kernel, evaluate the cells and type
// `Serve.start(8005, Webhook.routes()).port`: it shows 8005, and the page
// is at that port.
