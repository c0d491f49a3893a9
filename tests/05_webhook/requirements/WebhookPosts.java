package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.DisplayName;
import shared.Graded;

/// Which posts are published, and that each of them is once.
final class WebhookPosts extends Webhook {
    /// How often at most a thread is held where it reads what is published.
    private static final int READS = 5;
    /// How many posts are in a large batch.
    private static final int MANY = 120;
    private static final String READ = "read";
    private static final String TWICE =
            "Both looked whether it is known before either published it. Look and publish in one"
                    + " step that no other thread can enter.";
    private static final String LOST =
            "A post is lost: one thread read the posts, another published, and the first wrote"
                    + " back what it had read. Let only one in at a time.";
    private static final String STUCK =
            "Deliveries at the same instant must not wait for each other for ever.";

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
                        entry(value("media_id", good.id(), "caption", number(1, 99)))));
        expectPosts(id, List.of(),
                "All or nothing: look at the whole batch before you publish any of it.");
        for (String body : List.of(batch(new String[0]),
                batch(good).replace("instagram", "page" + word(2)),
                json("object", word(7), "entry", number(1, 99)),
                batch(entry(json("field", word(7), "value", number(1, 99)))),
                batch(entry(change(new Post(id + "c", word(3))).replace("media\"",
                        "comments\"")),
                        entry(json("field", word(7)))))) {
            isTaken(3, body,
                    "This is nothing that we know or need. An error would have it sent again.");
        }
        expectPosts(id, List.of(),
                "Only the field media of the object instagram is published.");
        boolean isPublished = isTaken(3, batch(
                entry(json("field", word(7)), change(good)), entry(change(other))),
                "The unknown change is ignored, the others are not.");
        if (isPublished) expectPosts(id, List.of(good, other),
                "These posts are new: a batch that was refused or ignored leaves no id"
                        + " behind, and one unknown change does not hide the others.");
        Post bare = new Post(id + "d", word(6));
        isTaken(3, batch("{\"changes\":[" + change(bare) + "]}"),
                "Nothing needs the id and the time of an entry, so they may be missing.");
        refuse("the caption of a known post is a number",
                batch(entry(value("media_id", good.id(), "caption", number(1, 99)),
                        change(new Post(id + "e", word(3))))));
        if (isPublished) expectPosts(id, List.of(good, other, bare),
                "One post is new, and nothing of the batch with the wrong caption.");
        Post blank = new Post(" ".repeat(number(1, 9)), word(6));
        String likely = "A media_id of blanks is not empty.";
        if (isTaken(3, batch(blank), likely)) expectPosts(" ", List.of(blank), likely);
    }

    private void refuse(String what, String body) {
        Answer answer = deliver(body);
        if (answer.status() != 400) transcript.alone();
        answer.expect(400, "It is rightly signed, but " + what + ".");
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
        deliver(batch(new Post(posts[0].id(), word(7)))).expect(200, repeated);
        expectPosts(id, List.of(posts[0]),
                "This post has come three times. It is known by its media_id, not by"
                        + " other bytes, and what is published stays as it is.");
        deliver(batch(entry(change(posts[0]), change(posts[1]), change(posts[0]))))
                .expect(200, "One is known, one is new.");
        expectPosts(id, List.of(posts[0], posts[1]),
                "A known post must not hide the new one beside it.");
        deliver(batch(entry(change(posts[2])),
                entry(change(posts[1]), change(posts[3])),
                entry(), entry(change(new Post(posts[3].id(), word(7))),
                        change(new Post(posts[2].id(), word(7))), change(posts[4]))))
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
            eachTime(READS, nth -> together(READ, nth, one, "a", other, "a")
                    | together(READ, nth, one, "ab", other, "b")
                    | together(READ, nth, one, "ab", other, "c"));
            eachTime(STEPS, nth -> together(Graded.STEP, nth, one, "a", other, "a")
                    | together(Graded.STEP, nth, one, "a", other, "b"));
        }
    }

    /// Expects these posts, each once, in any order.
    private static void expectEach(Answer answer, List<Post> wanted, List<Post> found) {
        Set<Post> different = new HashSet<>(found);
        if (found.size() > different.size()) {
            found.removeIf(different::remove);
            throw answer.failure(shown(found.getFirst()) + " once",
                    answer.shown().lastIndexOf('"' + found.getFirst().id() + '"'),
                    TWICE);
        }
        for (Post each : wanted) {
            if (!different.contains(each)) {
                throw answer.failure(shown(each), answer.shown().lastIndexOf(']'),
                        LOST);
            }
        }
    }

    /// A delivery is held where it reads for the nth time what is published, or at its nth step.
    /// Meanwhile comes
    /// another post, or a copy of one of its own.
    ///
    /// @param first the names of the posts that are held, a letter each
    /// @param second the name of the other post
    /// @return false where it does not read so often
    private boolean together(String place, int nth, AsyncClient one, String first,
            AsyncClient other,
            String second) {
        transcript.afresh();
        String id = word(8);
        List<Post> wanted = new ArrayList<>();
        for (String each : first.split("")) wanted.add(new Post(id + each, word(6)));
        boolean copy = first.contains(second);
        if (!copy) wanted.add(new Post(id + second, word(6)));
        Post next = wanted.getLast();
        Meeting meeting = meetingAt(place, nth, one.line);
        transcript.step("# These two at the same instant:");
        send(one, wanted.subList(0, first.length()).toArray(Post[]::new));
        boolean isHeld = meeting.first(one::isThere);
        send(other, next);
        if (place.equals(READ)) meeting.second(other::isThere);
        else meeting.secondAt(READ, other::isThere, one::isThere);
        other.get(STUCK).expect(200, copy ? "A copy of this is just being published."
                : "This is a new post.");
        expectThere(other.look("/posts").get(STUCK), id, next);
        meeting.letGo();
        one.get(STUCK).expect(200, "These are new posts.");
        Answer answer = get("/posts").expect(200, DONE_ALREADY);
        expectEach(answer, wanted, posts(answer, id));
        return isHeld;
    }

    private void expectThere(Answer answer, String prefix, Post post) {
        if (posts(answer, prefix).contains(post)) return;
        transcript.curl("GET", "/posts", null);
        throw answer.failure(shown(post), answer.shown().lastIndexOf(']'),
                "A delivery of this post has just got its 200, which says that the post"
                        + " is there. If the program ends now, it is lost.");
    }

    private void send(AsyncClient connection, Post... posts) {
        String body = batch(posts);
        connection.send("POST", "/webhook", body, "X-Hub-Signature-256", sign(body));
    }
}
