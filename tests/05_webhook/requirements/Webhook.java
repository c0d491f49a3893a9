package requirements;

import grader.client.Answer;
import grader.requirement.Requirements;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import shared.Graded;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// 05 Webhook: Instagram's post on Facebook.
abstract sealed class Webhook extends Requirements
        permits WebhookSender, WebhookPosts {
    private static final int SHOWN = 200;
    static final String SECRET = "It's a Secret to Everybody";

    record Post(String id, String caption) {}

    // What Instagram does.

    static byte[] hmac(String algorithm, String secret, String body) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8),
                    algorithm));
            return mac.doFinal(body.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    static String hex(String secret, String body) {
        return HexFormat.of().formatHex(hmac("HmacSHA256", secret, body));
    }

    static String sign(String body) {
        return "sha256=" + hex(SECRET, body);
    }

    Answer deliver(String body) {
        return deliver(body, sign(body));
    }

    /// @param signature or null
    Answer deliver(String body, String signature) {
        return signature == null ? post("/webhook", body)
                : send("POST", "/webhook", body, "X-Hub-Signature-256", signature);
    }

    /// Delivers what is signed rightly, and expects 200.
    ///
    /// @return false where a TODO after number `todo` is open, which is not asked here
    boolean isTaken(int todo, String body, String likely) {
        Answer answer = deliver(body);
        if (isLater(todo, answer)) return false;
        if (answer.status() != 200) transcript.alone();
        answer.expect(200, likely);
        return true;
    }

    /// Is it the answer of a TODO after this one, which is still open?
    static boolean isLater(int todo, Answer answer) {
        return Graded.todoIn(answer.text()) > todo;
    }

    /// A change with this value.
    static String value(Object... members) {
        return "{\"field\":\"media\",\"value\":" + json(members) + "}";
    }

    static String change(Post post) {
        return value("media_id", post.id, "caption", post.caption);
    }

    String entry(String... changes) {
        return "{\"id\":\"" + word(4) + "\",\"time\":" + number(1, 2_000_000_000)
                + ",\"changes\":[" + String.join(",", changes) + "]}";
    }

    static String batch(String... entries) {
        return "{\"object\":\"instagram\",\"entry\":[" + String.join(",", entries)
                + "]}";
    }

    String batch(Post... posts) {
        return batch(entry(Arrays.stream(posts).map(Webhook::change)
                .toArray(String[]::new)));
    }

    // What Facebook shows.

    /// Expects that just these posts are on the page, in this order, of those whose ids begin so.
    void expectPosts(String prefix, List<Post> wanted, String likely) {
        Answer answer = get("/posts").expect(200, DONE_ALREADY);
        List<Post> found = posts(answer, prefix);
        if (!found.equals(wanted)) throw unlike(answer, wanted, found, likely);
    }

    static List<Post> posts(Answer answer, String prefix) {
        List<Post> found = new ArrayList<>();
        for (JsonNode each : answer.json()) {
            Post post = new Post(each.path("id").asString(""),
                    each.path("caption").asString(""));
            if (post.id.startsWith(prefix)) found.add(post);
        }
        return found;
    }

    static AssertionError unlike(Answer answer, List<Post> wanted, List<Post> found,
            String likely) {
        int same = 0;
        while (same < Math.min(wanted.size(), found.size())
                && found.get(same).equals(wanted.get(same))) same++;
        String shown = answer.shown();
        int body = shown.length() - answer.text().length();
        int at = same == found.size() ? shown.lastIndexOf(']')
                : nth(shown, quoted(found.get(same).id), same, found);
        String expected = wanted.isEmpty() ? "no new post"
                : same == wanted.size() ? "no more than " + same + " new posts"
                : "new post " + (same + 1) + " of " + wanted.size() + ": "
                        + shown(wanted.get(same));
        boolean areThere = found.size() == wanted.size() && found.containsAll(wanted);
        return answer.failure(expected, Math.max(at, body), areThere
                ? "These are the posts, but in another order. They are published in the order in"
                        + " which they came, and those of a batch in its order."
                : likely);
    }

    /// A post as JSON, a long one in part.
    static String shown(Post post) {
        String caption = post.caption.length() <= SHOWN ? post.caption
                : post.caption.substring(0, SHOWN) + "... (" + post.caption.length()
                        + " characters)";
        return json("id", post.id, "caption", caption);
    }

    private static String quoted(String text) {
        return JsonMapper.shared().writeValueAsString(text);
    }

    /// Where the id of the post at `index` stands; the same id may stand there before.
    private static int nth(String shown, String id, int index, List<Post> found) {
        int at = shown.indexOf(id);
        for (int i = 0; i < index; i++) {
            if (id.equals(quoted(found.get(i).id))) at = shown.indexOf(id, at + 1);
        }
        return at;
    }
}
