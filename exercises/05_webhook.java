///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: Instagram's post on Facebook
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES ../shared/[A-Z]*.java
//FILES 05_webhook.java
//FILES 05_webhook.html=../exercises/05_webhook.html

// %% [markdown]
// # 05 - Exercise: Instagram's post on Facebook
//
// Ada posts a photo on Instagram, and it appears on her Facebook page, too:
// Instagram calls a webhook of Facebook. You write the one that is called.
// The page of this exercise plays Instagram.
//
// **The twist.** [Meta's form](https://developers.facebook.com/docs/graph-api/webhooks/getting-started)
// begins with a handshake, signs the body alone, without an id or a time,
// and delivers batches, of which some posts may be known and some be new.
//
// ## What it must do
//
// ```
// GET /webhook?hub.mode=subscribe&hub.verify_token=T&hub.challenge=C
//                                                200 C
// POST /webhook, X-Hub-Signature-256: sha256=...
//   {"object":"instagram","entry":[{"changes":[{"field":"media",
//     "value":{"media_id":"p1","caption":"A cat"}}]}]}
//                                                200
// GET /posts                                     200 [{"id":"p1","caption":"A cat"}]
// ```
//
// 1. **The handshake** (TODO 1). If the mode is `subscribe`, the token exactly
//    our `VERIFY_TOKEN`, and a challenge given (even an empty one): 200, and
//    the body is the challenge and nothing else, in UTF-8, as `text/plain`:
//    HTML could run a script on our site. Otherwise 403.
// 2. **The signature** (TODO 2) is `sha256=` and the HMAC-SHA256 of the
//    body's bytes, as they came, under `APP_SECRET`, in 64 hex digits of
//    lower case. Whether upper case passes is up to you.
// 3. **Another one**, also none, two, or one of another form: 401, whatever
//    the body says, and nothing happens.
// 4. **The batch** (TODO 3) is as above, with other members or without.
//    `entry`, `changes` and `caption` may be empty; `media_id` not, but it
//    may be blank. If `object` is another string: 200, and we look at
//    nothing else. If a `field` is another string: we pass over this change,
//    and do not look at its `value`. If the body is no JSON, or something
//    that we look at is missing or of another type, even in a known post: 400
//    for the whole batch. Nothing is published, no id counts as known.
// 5. **Once** (TODO 4). Each new `media_id` is published in the order of the
//    batch, with its caption, both character for character. One that was
//    published, or is earlier in this batch, is skipped, whatever its
//    caption is now: 200.
// 6. **At the same instant**, too, each post is published once, and none is
//    lost. A 200 says that the posts of this batch are there. Which of two
//    deliveries comes first is up to you.
//
// To see it: `./jbang exercises/05_webhook.java`. To grade it on each save:
// `./jbang watch 05`. Errors are a `Problem(status, sentence)`.

// %%
import io.undertow.server.*;
import io.undertow.util.Headers;
import java.security.*;
import java.util.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import shared.*;
import tools.jackson.databind.node.ObjectNode;

// %% [markdown]
// ## Done already: what both sides know
//
// In production these two come from the environment or a vault. Here they
// are fixed, so that lines can be pasted. The secret is the one of
// GitHub's example, which signs in the same way. So once TODOs 2 and 3
// are done, this line gets 400 (signed, but not JSON), and 401 if you
// change a letter:
//
// ```
// curl -i localhost:9005/webhook --json 'Hello, World!' -H "X-Hub-Signature-256: \
// sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
// ```
//
// To sign another `$body`, without `sha256=`:
// `printf %s "$body" | openssl dgst -sha256 -hmac "It's a Secret to Everybody"`,
// of which the last word is the signature.

// %%
interface Shared {
    String APP_SECRET = "It's a Secret to Everybody";
    String VERIFY_TOKEN = "fountain-at-noon";
}

// %% [markdown]
// ## TODO 1: the handshake
//
// Anyone could register our URL somewhere. We echo the challenge only for
// one who knows the token, and a sender calls only those who echo it.
//
// `exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "...")` sets a
// header, `exchange.getResponseSender().send("...")` answers 200 with a
// text in UTF-8. A parameter that is absent is null here.

// %%
class Handshake {
    static void answer(HttpServerExchange exchange) {
        String mode = Http.query(exchange, "hub.mode");
        String token = Http.query(exchange, "hub.verify_token");
        String challenge = Http.query(exchange, "hub.challenge");
        // TODO 1: Answer with `challenge` as plain text, or throw a 403.
        throw Problem.todo(1);
        // END 1
    }
}

// %% [markdown]
// ## TODO 2: who wrote this?
//
// `Mac` computes an HMAC; each call needs one of its own, as several
// threads come here. `HexFormat` writes bytes in hex. `MessageDigest.isEqual`
// compares two arrays in a time that does not tell where they differ.

// %%
class Signature {
    /// The header, or null where it is absent or given more than once.
    static String of(HttpServerExchange exchange) {
        var lines = exchange.getRequestHeaders().get("X-Hub-Signature-256");
        return lines == null || lines.size() > 1 ? null : lines.getFirst();
    }

    static void verify(String signature, byte[] body) throws Exception {
        // TODO 2: Throw a 401 unless `signature` is `sha256=` and the HMAC-SHA256
        //   of `body` under APP_SECRET, in hex.
        throw Problem.todo(2);
        // END 2
    }
}

// %% [markdown]
// ## TODO 3: read the whole batch before anything happens
//
// `Http.object(body)` parses an object and `Http.text(object, "field")`
// reads a string of it. Like `objects` below they throw a 400 where it is
// something else. What they do not look at is yours: `value` must be an
// `ObjectNode`, and `media_id` not empty.

// %%
record Post(String id, String caption) {}

class Batch {
    /// The objects of an array.
    static List<ObjectNode> objects(ObjectNode parent, String member) {
        List<ObjectNode> found = new ArrayList<>();
        boolean fits = parent.path(member).isArray();
        for (var each : parent.path(member)) {
            if (each instanceof ObjectNode object) found.add(object);
            else fits = false;
        }
        if (fits) return found;
        throw new Problem(400, "'" + member + "' must be an array of objects.");
    }

    static List<Post> parse(byte[] body) {
        // TODO 3: Return the posts of the batch in their order, or throw a 400.
        throw Problem.todo(3);
        // END 3
    }
}

// %% [markdown]
// ## TODO 4: each post once, and none lost
//
// The wall is as simple as a table in a database: `publish` reads what is
// there, adds a post, and writes it back. Two threads that do so at once
// lose one of two posts. Two that ask `knows` at once both hear no. Two
// threads serve our connections, so both can happen. The three methods
// stay as they are: what is missing is around them.

// %%
class Wall {
    private volatile List<Post> posts = List.of();

    /// All posts, in the order of publication.
    List<Post> all() {
        List<Post> read = posts;
        // The grader may hold a thread here, to let another come in between.
        Pause.at("read");
        return read;
    }

    boolean knows(String id) {
        return all().stream().anyMatch(post -> post.id().equals(id));
    }

    /// Not safe by itself.
    void publish(Post post) {
        List<Post> longer = new ArrayList<>(all());
        longer.add(post);
        posts = List.copyOf(longer);
    }

    void publishNew(List<Post> batch) {
        // TODO 4: Publish each post that is not known, also where two threads do this
        //   at the same instant.
        throw Problem.todo(4);
        // END 4
    }
}

// %% [markdown]
// ## Done already: the order of things, Instagram's side, and the routes
//
// We verify, then parse, then publish. A later step never sees what an earlier
// one refused. A parameter that is given twice is a 400, a body that is too
// large a 413, one of another type a 415. The page's script signs as Instagram
// does; `crypto.subtle` works on `https` and on `localhost` only.

// %%
interface Instagram {
    // language=JavaScript
    String SCRIPT = """
            const APP_SECRET = "%s";
            const VERIFY_TOKEN = "%s";

            async function sign(body, secret = APP_SECRET) {
              const bytes = (text) => new TextEncoder().encode(text);
              const key = await crypto.subtle.importKey("raw", bytes(secret),
                { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
              const mac = await crypto.subtle.sign("HMAC", key, bytes(body));
              return "sha256=" + [...new Uint8Array(mac)]
                .map((byte) => byte.toString(16).padStart(2, "0")).join("");
            }

            const deliver = (body, signature) => fetch("/webhook", {
              method: "POST", body,
              headers: { "Content-Type": "application/json",
                "X-Hub-Signature-256": signature },
            });

            const subscribe = (token, challenge) => fetch("/webhook?" +
              new URLSearchParams({ "hub.mode": "subscribe",
                "hub.verify_token": token, "hub.challenge": challenge }));
            """.formatted(Shared.APP_SECRET, Shared.VERIFY_TOKEN);
}

class CrossPost {
    static HttpHandler routes() {
        Wall wall = new Wall();
        return new Routes()
                .always("Cache-Control", "no-store")
                .page("05_webhook", Instagram.SCRIPT)
                .get("/webhook", Handshake::answer)
                .post("/webhook", (exchange, body) -> {
                    Signature.verify(Signature.of(exchange), body);
                    wall.publishNew(Batch.parse(body));
                    Http.empty(exchange, 200);
                })
                .get("/posts", exchange -> Http.json(exchange, 200, wall.all()))
                .get("/_/page/posts", exchange -> Http.json(exchange, 200, wall.all()));
    }

    void main() {
        Serve.run("05 Webhook", 9005, routes());
    }
}
