package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.client.HttpConnection;
import grader.stage.Pauses;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

@DisplayName("05 Webhook: Instagram's post on Facebook")
class Webhook extends Requirements {
    private static final String SECRET = "It's a Secret to Everybody";
    private static final String TOKEN = "fountain-at-noon";
    /// How often at most a thread is held where it reads what is published.
    private static final int READS = 5;
    /// Bytes of a delivery whose HMAC takes a while, and how many pairs of them are sent.
    private static final int LARGE = 60_000;
    private static final int PAIRS = 40;
    /// How many posts are in a large batch.
    private static final int MANY = 120;

    private static final String SHARED =
            "All are signed rightly, and alone each one passes. Do two threads share a Mac, so"
                    + " that their bytes are mixed? Each call needs its own.";
    private static final String STUCK =
            "Deliveries at the same instant must not wait for each other for ever.";

    private record Post(String id, String caption) {}

    // What Instagram does.

    private static byte[] hmac(String algorithm, String secret, String body) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8),
                    algorithm));
            return mac.doFinal(body.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static String hex(String secret, String body) {
        return HexFormat.of().formatHex(hmac("HmacSHA256", secret, body));
    }

    private static String sign(String body) {
        return "sha256=" + hex(SECRET, body);
    }

    private Answer deliver(String body) {
        return deliver(body, sign(body));
    }

    /// @param signature or null
    private Answer deliver(String body, String signature) {
        return signature == null ? post("/webhook", body)
                : send("POST", "/webhook", body, "Content-Type", "application/json",
                        "X-Hub-Signature-256", signature);
    }

    /// A change with this value.
    private static String value(Object... members) {
        return "{\"field\":\"media\",\"value\":" + json(members) + "}";
    }

    private static String change(Post post) {
        return value("media_id", post.id, "caption", post.caption);
    }

    private String entry(String... changes) {
        return "{\"id\":\"" + word(4) + "\",\"time\":" + number(1, 2_000_000_000)
                + ",\"changes\":[" + String.join(",", changes) + "]}";
    }

    private static String batch(String... entries) {
        return "{\"object\":\"instagram\",\"entry\":[" + String.join(",", entries)
                + "]}";
    }

    private String batch(Post... posts) {
        return batch(entry(Arrays.stream(posts).map(Webhook::change)
                .toArray(String[]::new)));
    }

    // What Facebook shows.

    /// Expects that just these posts are on the page, in this order, of those whose ids begin so.
    private void expectPosts(String prefix, List<Post> wanted, String likely) {
        Answer answer = get("/posts").expect(200, "This part was done already.");
        List<Post> found = posts(answer, prefix);
        if (!found.equals(wanted)) throw unlike(answer, wanted, found, likely);
    }

    private static List<Post> posts(Answer answer, String prefix) {
        List<Post> found = new ArrayList<>();
        for (JsonNode each : answer.json()) {
            Post post = new Post(each.path("id").asString(""),
                    each.path("caption").asString(""));
            if (post.id.startsWith(prefix)) found.add(post);
        }
        return found;
    }

    private static Error unlike(Answer answer, List<Post> wanted, List<Post> found,
            String likely) {
        int same = 0;
        while (same < Math.min(wanted.size(), found.size())
                && found.get(same).equals(wanted.get(same))) same++;
        String shown = answer.shown();
        int body = shown.length() - answer.text().length();
        int at = same == found.size() ? -1
                : nth(shown, '"' + found.get(same).id + '"', same, found);
        String ids = String.join(", ", wanted.stream()
                .map(each -> json("id", each.id, "caption", each.caption)).toList());
        return answer.failure(
                wanted.isEmpty() ? "no new post" : "of the new posts: " + ids,
                Math.max(at, body), likely);
    }

    /// Where the id of the post at `index` stands; the same id may stand there before.
    private static int nth(String shown, String id, int index, List<Post> found) {
        int at = shown.indexOf(id);
        for (int i = 0; i < index; i++) {
            if (id.equals('"' + found.get(i).id + '"')) at = shown.indexOf(id, at + 1);
        }
        return at;
    }

    // The requirements.

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private Answer handshake(String mode, String token, String challenge) {
        List<String> query = new ArrayList<>();
        if (mode != null) query.add("hub.mode=" + encode(mode));
        if (challenge != null) query.add("hub.challenge=" + encode(challenge));
        if (token != null) query.add("hub.verify_token=" + encode(token));
        if (random.nextBoolean()) query = query.reversed();
        return get("/webhook?" + String.join("&", query));
    }

    @Requirement(id = "05.1", points = 2, todo = 1)
    @DisplayName("the handshake echoes the challenge as plain text, to one who knows the token")
    void handshake() {
        for (String challenge : List.of("" + number(1_000_000_000, 2_000_000_000),
                "<script>" + word(3) + "(\"&amp;\")</script>",
                " 0050%25 + a=b&c '" + word(3) + "' \u00e9\u20ac ")) {
            Answer answer = handshake("subscribe", TOKEN, challenge).expect(200,
                    "The mode is subscribe, the token is right, and a challenge is there.");
            answer.expectHeader("Content-Type", "Content-Type: text/plain",
                    type -> type.toLowerCase().matches("text/plain *(;.*)?"),
                    "A browser would run HTML, and anyone can write a link with a challenge.")
                    .expectHeader("Content-Type",
                            "Content-Type: text/plain; charset=utf-8",
                            type -> !type.toLowerCase().replaceAll("[\\s\"]", "")
                                    .matches(".*charset=(?!utf-?8).*"),
                            "The body is in UTF-8, so its type must not say another thing.");
            if (!answer.text().equals(challenge)) {
                throw answer.failure("the body " + challenge,
                        answer.shown().length() - answer.text().length(),
                        "The body is the challenge, character for character, and nothing else.");
            }
        }
        String challenge = "" + number(1_000_000_000, 2_000_000_000);
        String token = "Only the whole token counts, letter for letter.";
        handshake("subscribe", word(9), challenge).expect(403, token);
        handshake("subscribe", TOKEN + word(1), challenge).expect(403, token);
        handshake("subscribe", TOKEN.substring(0, number(1, 9)), challenge)
                .expect(403, token);
        handshake("subscribe", TOKEN.toUpperCase(), challenge).expect(403, token);
        handshake("unsubscribe", TOKEN, challenge).expect(403,
                "The only mode is subscribe.");
        String missing =
                "A parameter that is missing is null. Can your comparison bear it?";
        handshake(null, TOKEN, challenge).expect(403, missing);
        handshake("subscribe", null, challenge).expect(403, missing);
        handshake("subscribe", TOKEN, null).expect(403,
                "Without a challenge there is nothing to echo.");
        handshake("subscribe", TOKEN, challenge).expect(200,
                "What was wrong before does not matter now.");
    }

    @Requirement(id = "05.2", points = 2, todo = 2)
    @DisplayName("a signed post is published, whatever the bytes look like that were signed")
    void published() {
        String id = word(8);
        String text = word(6);
        List<Post> wanted = new ArrayList<>();
        List<String> bodies = new ArrayList<>();
        wanted.add(new Post(id + 1, text));
        bodies.add(batch(wanted.getLast()));
        wanted.add(new Post(id + 2, text));
        bodies.add("""
                {
                  "entry" : [ { "changes" : [
                    { "value": {"caption":"%s",  "media_id" : "%s", "likes": 1.50},
                      "field": "media", "new": null } ] , "time": 1.0e9, "id": "ada" } ],
                  "object": "instagram", "object_id": 1e3
                }
                """.formatted(text, id + 2));
        wanted.add(new Post(id + 3, "caf\u00e9/" + text));
        bodies.add(batch(new Post(id + 3, "caf@" + text)).replace("@", "\\u00e9\\/"));
        wanted.add(new Post(id + 4, "caf\u00e9 \u20ac \ud83d\ude00 " + text));
        bodies.add(batch(wanted.getLast()));
        wanted.add(new Post(id + 5, ""));
        bodies.add("\t" + batch(wanted.getLast()) + "\r\n ");
        for (String body : bodies) {
            deliver(body).expect(200,
                    "The signature is right for these bytes: sign what came, before"
                            + " you parse, decode or trim it.");
        }
        expectPosts(id, wanted,
                "Each post must be there with its caption, in the order in which they"
                        + " came.");
        String body = batch(new Post(id + "z", word(6)));
        while (!sign(body).startsWith("sha256=0")) {
            body = batch(new Post(id + "z", word(6)));
        }
        deliver(body).expect(200,
                "The signature begins with the digit 0, which belongs to it.");
        signedTogether();
    }

    /// Large deliveries, two at a time: both threads are in the midst of their HMAC at once.
    private void signedTogether() {
        String body = json("object", "instagram", "entry", List.of(), word(4),
                "0".repeat(LARGE));
        String[] signature = {"X-Hub-Signature-256", sign(body)};
        transcript.step(
                """
                body='%s'$(printf %%0%dd 0)'"}'
                sum=$(printf %%s "$body" | openssl dgst -r -sha256 -hmac "%s")
                curl -sZ "localhost:%d/webhook?[1-%d]" --json "$body" \\
                  -H "X-Hub-Signature-256: sha256=${sum%% *}" -o /dev/null -w '%%{http_code}\\n' \\
                  | sort | uniq -c"""
                        .formatted(body.split("0")[0], LARGE, SECRET, node.port(),
                                PAIRS * 2));
        try (var one = HttpConnection.open(node, transcript, null);
                var other = HttpConnection.open(node, transcript, one)) {
            for (int i = 0; i < PAIRS; i++) {
                one.send("POST", "/webhook", body, signature);
                other.send("POST", "/webhook", body, signature);
                one.answer().expect(200, SHARED);
                other.answer().expect(200, SHARED);
            }
        }
    }

    @Requirement(id = "05.3", points = 3, todo = 2)
    @DisplayName("without the right signature the answer is 401, and nothing happens")
    void forged() {
        Post post = new Post(word(8), word(6) + " 100");
        String body = batch(post);
        String right = hex(SECRET, body);
        String malformed = "The header is not even of the form sha256=<64 hex digits>.";
        deliver(body, null).expect(401, "The header is missing.");
        deliver(body, "sha256=" + hex(word(20), body)).expect(401,
                "This was signed with another secret.");
        deliver(body.replace("100", "900"), "sha256=" + right).expect(401,
                "One byte has changed since this was signed.");
        deliver(body.replace(",", ", "), "sha256=" + right).expect(401,
                "These are not the bytes that were signed, though they mean the same.");
        deliver(body, "sha256=" + hex(SECRET, "")).expect(401,
                "Only the body has been left out of this signature.");
        for (String wrong : List.of(right, "sha1=" + right, "sha256=",
                "sha256=" + right.substring(0, 62), "sha256=" + right + "00",
                "sha256=" + right.substring(0, 63) + "g",
                "sha256=" + hex(word(20), body) + ", sha256=" + right,
                "sha256=" + Base64.getEncoder()
                        .encodeToString(hmac("HmacSHA256", SECRET, body)))) {
            deliver(body, wrong).expect(401, malformed);
        }
        decoded();
        for (String other : List.of(word(5), "", "{}")) {
            deliver(other, "sha256=" + right).expect(401,
                    "The signature comes first: what is not signed is not even parsed.");
        }
        expectPosts(post.id, List.of(), "What was refused must not be published.");
        deliver(body).expect(200, "This time the signature is right.");
        expectPosts(post.id, List.of(post),
                "What was refused must leave no trace: this id is new.");
        deliver(batch(new Post(post.id + "b", word(6))), "sha256=" + right).expect(401,
                "This was the signature of another body, which has come already.");
        expectPosts(post.id, List.of(post), "What was refused must not be published.");
    }

    /// Bytes that are no UTF-8, and the signature of what they become when they are decoded.
    private void decoded() {
        String text = batch(entry(change(new Post(word(8), "@"))));
        String signature = sign(text.replace('@', '\ufffd'));
        transcript
                .step("printf '" + text.replace("@", "\\377") + "' | curl -i localhost:"
                        + node.port() + "/webhook --json @- -H 'X-Hub-Signature-256: "
                        + signature + "'");
        try (HttpConnection line = HttpConnection.open(node, transcript, null)) {
            line.send("POST", "/webhook",
                    text.replace('@', '\u00ff').getBytes(StandardCharsets.ISO_8859_1),
                    "X-Hub-Signature-256", signature);
            line.answer().expect(401,
                    "These are not the bytes that were signed. Sign the array `body` itself: as"
                            + " a String, different bytes become the same.");
        }
    }

    @Requirement(id = "05.4", points = 3, todo = 3)
    @DisplayName("a batch with a part of the wrong shape is refused as a whole, unknown kinds are ignored")
    void shape() {
        String id = word(8);
        Post good = new Post(id + "a", word(6));
        Post other = new Post(id + "b", word(6));
        refuse("the body is not JSON", word(5));
        refuse("the body is an array", "[" + batch(good) + "]");
        refuse("there is no entry", json("object", "instagram"));
        refuse("entry is a text", json("object", "instagram", "entry", word(4)));
        refuse("object is a number", batch(good).replace("\"instagram\"", "7"));
        refuse("the second entry is a number",
                batch(entry(change(good)), "" + number(1, 9)));
        refuse("changes is a text of the second entry",
                batch(entry(change(good)), json("changes", word(4))));
        refuse("the second entry has no changes",
                batch(entry(change(good)), json("id", word(4))));
        refuse("the second change is a number",
                batch(entry(change(good), "" + number(1, 9))));
        refuse("the second field is a number",
                batch(entry(change(good), json("field", number(1, 9)))));
        refuse("the second change has no field",
                batch(entry(change(good), json("value", Map.of("media_id", id)))));
        refuse("the second change has no value",
                batch(entry(change(good), json("field", "media"))));
        refuse("the second value is a text",
                batch(entry(change(good), json("field", "media", "value", id))));
        refuse("the second value is null", batch(entry(change(good),
                "{\"field\":\"media\",\"value\":null}")));
        refuse("the second post has no media_id",
                batch(entry(change(good)), entry(value("caption", id))));
        refuse("the second post has no caption",
                batch(entry(change(good)), entry(value("media_id", id))));
        refuse("the second media_id is a number", batch(entry(change(good)),
                entry(value("media_id", number(1, 99), "caption", id))));
        refuse("the second media_id is empty", batch(entry(change(good)),
                entry(value("media_id", "", "caption", id))));
        refuse("the second caption is a number", batch(entry(change(good)),
                entry(value("media_id", id, "caption", number(1, 99)))));
        refuse("the second caption is null", batch(entry(change(good)),
                entry(value("media_id", id, "caption", null))));
        refuse("the caption is a number where a post comes again",
                batch(entry(change(good)),
                        entry(value("media_id", good.id, "caption", number(1, 99)))));
        expectPosts(id, List.of(),
                "All or nothing: look at the whole batch before you publish any of it.");
        for (String body : List.of(batch(new String[0]),
                batch(good).replace("instagram", "page" + word(2)),
                json("object", word(7), "entry", number(1, 99)),
                batch(entry(json("field", word(7), "value", number(1, 99)))),
                batch(entry(change(new Post(id + "c", word(3))).replace("media\"",
                        "comments\"")),
                        entry(json("field", word(7)))))) {
            deliver(body).expect(200,
                    "This is nothing that we know or need. An error would have it sent again.");
        }
        expectPosts(id, List.of(),
                "Only the field media of the object instagram is published.");
        deliver(batch(entry(json("field", word(7)), change(good)),
                entry(change(other))))
                .expect(200, "The unknown change is ignored, the others are not.");
        expectPosts(id, List.of(good, other),
                "These posts are new: a batch that was refused or ignored leaves no id"
                        + " behind, and one unknown change does not hide the others.");
        Post bare = new Post(id + "d", word(6));
        deliver(batch("{\"changes\":[" + change(bare) + "]}")).expect(200,
                "Nothing needs the id and the time of an entry, so they may be missing.");
        refuse("the caption of a known post is a number",
                batch(entry(value("media_id", good.id, "caption", number(1, 99)),
                        change(new Post(id + "e", word(3))))));
        expectPosts(id, List.of(good, other, bare),
                "One post is new, and nothing of the batch with the wrong caption.");
        Post blank = new Post(" ".repeat(number(1, 9)), word(6));
        String likely = "A media_id of blanks is not empty.";
        deliver(batch(blank)).expect(200, likely);
        expectPosts(" ", List.of(blank), likely);
    }

    private void refuse(String what, String body) {
        deliver(body).expect(400, "It is rightly signed, but " + what + ".");
    }

    @Requirement(id = "05.5", points = 2, todo = 4)
    @DisplayName("what comes again is 200 and not published again, and hides nothing new in its batch")
    void again() {
        String id = word(8);
        Post[] posts = new Post[6];
        Arrays.setAll(posts, i -> new Post(id + "dbaAcB".charAt(i), word(6)));
        String repeated =
                "It has been published, so the sender may stop sending it: 200.";
        String first = batch(posts[0]);
        deliver(first).expect(200, "This is a new post.");
        deliver(first).expect(200, repeated);
        deliver(batch(new Post(posts[0].id, word(7)))).expect(200, repeated);
        expectPosts(id, List.of(posts[0]),
                "This post has come three times. It is known by its media_id, not by"
                        + " other bytes, and what is published stays as it is.");
        deliver(batch(entry(change(posts[0]), change(posts[1]), change(posts[0]))))
                .expect(200, "One is known, one is new.");
        expectPosts(id, List.of(posts[0], posts[1]),
                "A known post must not hide the new one beside it.");
        deliver(batch(entry(change(posts[2])),
                entry(change(posts[1]), change(posts[3])),
                entry(), entry(change(new Post(posts[3].id, word(7))),
                        change(new Post(posts[2].id, word(7))), change(posts[4]))))
                .expect(200, "Some are known, some are new.");
        expectPosts(id, List.of(posts[0], posts[1], posts[2], posts[3], posts[4]),
                "Every entry and every change counts, in their order, and an id only"
                        + " once in a batch, too: the first counts. `a` and `A` are two ids.");
        deliver(batch(posts[5], posts[4])).expect(200, "One is new, one is known.");
        expectPosts(id, List.of(posts), "The new one comes last.");
        String many = word(9);
        Post[] batch = new Post[MANY];
        Arrays.setAll(batch, i -> new Post(many + i, word(3)));
        deliver(batch(batch)).expect(200, "All are new.");
        deliver(batch(batch)).expect(200, repeated);
        expectPosts(many, List.of(batch),
                "However many have come since, what was published is known.");
    }

    @Requirement(id = "05.6", points = 3, todo = 4)
    @DisplayName("of deliveries at the same instant each post is published once, and none is lost")
    void together() {
        try (var one = new AsyncClient(node, transcript);
                var other = AsyncClient.besides(one)) {
            boolean isHeld = true;
            for (int nth = 1; isHeld && nth <= READS; nth++) {
                isHeld = together(nth, one, "a", other, "a")
                        | together(nth, one, "ab", other, "b")
                        | together(nth, one, "ab", other, "c");
            }
        }
    }

    /// A delivery is held where it reads for the nth time what is published. Meanwhile comes
    /// another post, or a copy of one of its own.
    ///
    /// @param first the names of the posts that are held, a letter each
    /// @param second the name of the other post
    /// @return false where it does not read so often
    private boolean together(int nth, AsyncClient one, String first, AsyncClient other,
            String second) {
        String id = word(8);
        List<Post> wanted = new ArrayList<>();
        for (String each : first.split("")) wanted.add(new Post(id + each, word(6)));
        boolean copy = first.contains(second);
        if (!copy) wanted.add(new Post(id + second, word(6)));
        Post next = wanted.getLast();
        pauses().hold("read", nth);
        transcript.step("# These two at the same instant:");
        send(one, wanted.subList(0, first.length()).toArray(Post[]::new));
        boolean isHeld;
        try (Pauses.Held held = one.arrival(pauses())) {
            pauses().holdNoMore();
            isHeld = held != null;
            meanwhile(held, other, next,
                    copy ? "A copy of this is just being published."
                            : "This is a new post.");
            Answer there = other.look("/posts").get(STUCK);
            if (!posts(there, id).contains(next)) {
                transcript.curl("GET", "/posts", null);
                throw there.failure(json("id", next.id, "caption", next.caption), -1,
                        "A delivery of this post has just got its 200, which says that the post"
                                + " is there. If the program ends now, it is lost.");
            }
        }
        one.get(STUCK).expect(200, "These are new posts.");
        Answer answer = get("/posts").expect(200, "This part was done already.");
        List<Post> found = posts(answer, id);
        if (found.size() != wanted.size() || !found.containsAll(wanted)) {
            throw unlike(answer, wanted, found, found.size() > wanted.size()
                    ? "Both looked whether it is known before either published it. Look and publish"
                            + " in one step that no other thread can enter."
                    : "A post is lost: one thread read the posts, another published, and the first"
                            + " wrote back what it had read. Let only one in at a time.");
        }
        return isHeld;
    }

    /// Delivers while another delivery is held, which is let go if this one waits for it.
    private void meanwhile(Pauses.Held held, AsyncClient connection, Post post,
            String likely) {
        send(connection, post);
        if (held != null) {
            held.letPass(connection::isThere);
            if (!connection.isThere()) held.close();
        }
        connection.get(STUCK).expect(200, likely);
    }

    private void send(AsyncClient connection, Post... posts) {
        String body = batch(posts);
        connection.send("POST", "/webhook", body, "X-Hub-Signature-256", sign(body));
    }
}
