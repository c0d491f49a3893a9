package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.requirement.Requirement;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// Who is it that delivers? The handshake, and the signature.
final class WebhookSender extends Webhook {
    private static final String TOKEN = "fountain-at-noon";
    /// Bytes of a delivery whose HMAC takes a while, and how many pairs of them are sent.
    private static final int LARGE = 60_000;
    private static final int PAIRS = 40;
    private static final String AT_ONCE =
            "All are signed rightly, and alone each one passes.";
    private static final String SHARED = AT_ONCE
            + " Do two threads share a Mac, so that their bytes are mixed? Each call needs its"
            + " own.";

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
                " 0050%25 + a=b&c '" + word(3) + "' \u00e9\u20ac ",
                "\"" + word(3) + "\\n\t\u0001\n\ud83d\ude00\"", word(1).repeat(2_000),
                "")) {
            Answer answer = handshake("subscribe", TOKEN, challenge).expect(200,
                    "Mode and token are right, and a challenge is there, be it empty.");
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
        for (String odd : List.of(" ", "\"'\\", "<b>&amp;</b>", "\t\r\n\u0000\u007f",
                "\ud83d\ude00", "\u00a0", "\\n%20+", text.repeat(2_000))) {
            wanted.add(new Post(id + 6 + odd, odd + text + odd));
            bodies.add(batch(wanted.getLast()));
        }
        boolean isPublished = true;
        for (String body : bodies) {
            isPublished &= isTaken(2, body,
                    "The signature is right for these bytes: sign what came, before"
                            + " you parse, decode or trim it.");
        }
        about(3);
        if (isPublished) expectPosts(id, wanted,
                "Each post must be there with its id and its caption, as they came, whatever"
                        + " characters are in them.");
        about(2);
        String body = batch(new Post(id + "z", word(6)));
        while (!sign(body).startsWith("sha256=0")) {
            body = batch(new Post(id + "z", word(6)));
        }
        isTaken(2, body,
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
        try (var one = connect(null);
                var other = connect(one)) {
            for (int i = 0; i < PAIRS; i++) {
                one.send("POST", "/webhook", body, signature);
                other.send("POST", "/webhook", body, signature);
                for (HttpConnection each : List.of(one, other)) {
                    Answer answer = each.answer();
                    if (isLater(2, answer)) continue;
                    answer.expect(200, answer.status() == 401 ? SHARED : AT_ONCE);
                }
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
        for (String wrong : List.of(right, "sha1=" + right, "sha512=" + right,
                "sha256=",
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
        expectPosts(post.id(), List.of(), "What was refused must not be published.");
        boolean isPublished = isTaken(2, body, "This time the signature is right.");
        if (isPublished) expectPosts(post.id(), List.of(post),
                "What was refused must leave no trace: this id is new.");
        deliver(batch(new Post(post.id() + "b", word(6))), "sha256=" + right).expect(
                401,
                "This was the signature of another body, which has come already.");
        if (isPublished) expectPosts(post.id(), List.of(post),
                "What was refused must not be published.");
    }

    /// Bytes that are no UTF-8, and the signature of what they become when they are decoded.
    private void decoded() {
        String text = batch(entry(change(new Post(word(8), "@"))));
        String signature = sign(text.replace('@', '\ufffd'));
        transcript
                .step("printf '" + text.replace("@", "\\377") + "' | curl -i localhost:"
                        + node.port() + "/webhook --json @- -H 'X-Hub-Signature-256: "
                        + signature + "'");
        try (HttpConnection line = connect(null)) {
            line.send("POST", "/webhook",
                    text.replace('@', '\u00ff').getBytes(StandardCharsets.ISO_8859_1),
                    "X-Hub-Signature-256", signature);
            line.answer().expect(401,
                    "These are not the bytes that were signed. Sign the array `body` itself: as"
                            + " a String, different bytes become the same.");
        }
    }
}
