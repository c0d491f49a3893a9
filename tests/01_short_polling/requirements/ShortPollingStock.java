package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// What `GET /stock` tells, and by which tag a client knows that it has this news already.
final class ShortPollingStock extends ShortPolling {
    private static final String WEAK = "W/\"[\\x21\\x23-\\x7e]*\"";
    private static final String SAME =
            "The stock is the same, so its tag must be, too. Does it change with asOf?";
    /// How often a request may read the stock, at most.
    private static final int READS = 3;
    /// A clock may tell whole seconds only.
    private static final int NEXT_SECOND_MS = 1_500;

    @Requirement(id = "01.2", points = 3, todo = 2)
    @DisplayName("GET /stock tells what is left, with a weak tag that changes when this does, and only then")
    void stock() {
        for (int left : new int[] {0, number(20, 900)}) {
            stockIs(left);
            Answer answer = get("/stock")
                    .expect(200, "The stock is there, and nobody sent a tag.")
                    .expectJson("left", left,
                            "The body must be the stock as it is now.")
                    .expectJson("asOf", "\"asOf\": the server's time, as in RFC 3339",
                            ShortPollingStock::isTime,
                            "Answer with the record Stock: it has both members.")
                    .expectNoCache(
                            "Without no-cache a browser may show an old number without asking.");
            tagOf(answer);
        }
        Answer first = get("/stock");
        String tag = tagOf(first);
        first.expectHeader("ETag", "ETag: W/\"...\"", value -> value.matches(WEAK),
                "A weak tag is W/ and a text in double quotes.");
        if (!clockMovesOn()) {
            throw get("/stock").failure("another \"asOf\" after a second", -1,
                    "The stock is the same, and the time that the answer tells is not.");
        }
        get("/stock").expectHeader("ETag", tag, SAME);
        eachItsOwnTag();
        eachTime(READS, nth -> soldMeanwhile(nth, false));
        eachTime(READS, nth -> soldMeanwhile(nth, true));
    }

    /// No news is hidden: no two stocks have the same tag.
    private void eachItsOwnTag() {
        transcript.afresh();
        int left = number(20, 900);
        List<String> known = new ArrayList<>();
        for (int now : new int[] {left, left - 1, 0, left + 1, left + 256,
            number(2_000, 9_999), 1_000_000}) {
            stockIs(now);
            Answer answer = get("/stock");
            String tag = tagOf(answer.expectJson("left", now,
                    "The body must be the stock as it is now."));
            answer.expectHeader("ETag", "a tag that no other stock has had",
                    value -> !known.contains(value),
                    "This is the tag of another stock. Is `left` part of it, all of it?");
            known.add(tag);
            get("/stock").expectHeader("ETag", tag, SAME);
        }
    }

    /// Changes the stock just before a request reads it for the nth time. What the request hears
    /// must be of one moment.
    ///
    /// @param known whether the client has the tag of the stock before the change
    /// @return false where the stock is not read so often
    private boolean soldMeanwhile(int nth, boolean known) {
        transcript.afresh();
        int left = number(100, 900);
        stockIs(left);
        String old = tagOf(get("/stock"));
        try (AsyncClient page = new AsyncClient(node, transcript);
                AsyncClient shop = AsyncClient.besides(page)) {
            Meeting meeting = stage.meeting(nth, "before reading");
            page.send("GET", "/stock", null,
                    known ? new String[] {"If-None-Match", old} : new String[0]);
            boolean isHeld = meeting.first(page::isThere);
            if (isHeld) transcript
                    .step("(meanwhile, just before it reads the stock:)");
            shop.send("PUT", "/stock", json("left", left - 1));
            meeting.second(shop::isThere);
            meeting.letGo();
            Answer answer = page.get("The stock is read, and never told.");
            shop.get("Two requests wait for each other.").expect(204, DONE_ALREADY);
            String now =
                    tagOf(shop.look("/stock").get("The stock is not told any more."));
            if (answer.status() == 501) return false; // TODO 3, and not what is asked here
            expectOneMoment(answer, left, old, now);
            return isHeld;
        }
    }

    /// Expects the stock and its tag, both as they were before a change, or both after it.
    private static void expectOneMoment(Answer answer, int left, String old,
            String now) {
        if (answer.status() != 304) answer.expect(200, "The stock is there.");
        boolean isOld = answer.status() == 304
                || answer.json().path("left").asInt() == left;
        if (!(isOld ? now : old).equals(answer.header("ETag"))) return;
        answer.expectHeader("ETag", isOld ? old : now,
                "The stock changed between two looks at it. Call `sale.stock()` once.");
    }

    private static boolean isTime(JsonNode node) {
        try {
            return Instant.parse(node.asString("")).isAfter(Instant.EPOCH);
        } catch (DateTimeParseException e) {
            return false;
        }
    }

    /// Asks until the clock has moved on, so that the next answer has other bytes.
    ///
    /// @return whether it has
    private boolean clockMovesOn() {
        String first = get("/stock").text();
        transcript.step("# again, until asOf is another one:");
        transcript.curl("GET", "/stock", null);
        try (var line = connect(null)) {
            return Stage.until(NEXT_SECOND_MS,
                    () -> !line.ask("GET", "/stock", null).text().equals(first));
        }
    }

    @Requirement(id = "01.3", points = 3, todo = 3)
    @DisplayName("where the client has the current tag, the answer is 304, without a body")
    void notModified() {
        int left = number(20, 900);
        stockIs(left);
        String tag = tagOf(get("/stock"));
        clockMovesOn();
        String strong = tag.startsWith("W/") ? tag.substring(2) : tag;
        String likely =
                "The tag is the current one, so the client has this news already.";
        for (String list : List.of(tag, strong, "*",
                "\"other-" + word(4) + "\", " + tag,
                strong + ",W/\"" + word(5) + "\"")) {
            Answer answer = get("/stock", "If-None-Match", list);
            String now = answer.header("ETag");
            boolean isSame = now == null || now.equals(tag);
            about(isSame ? 3 : 2);
            answer.expect(304, !isSame ? SAME : list.equals(tag) ? likely
                    : likely + " The header may hold a list, `*`, or tags without W/.");
            answer.expectNoBody("304 has no body: the client shows what it has.")
                    .expectHeader("ETag", tag,
                            "304 carries the ETag that 200 would have.")
                    .expectNoCache(
                            "304 carries the Cache-Control that 200 would have.");
        }
        get("/stock", "If-None-Match", "\"" + word(4) + "\"", "If-None-Match", tag)
                .expect(304, "Several lines of a header are one list.");
        for (String list : List.of("W/\"" + word(6) + "\"", "\"\"",
                "\"*" + word(3) + "\"",
                "\"x" + strong.substring(1), "\"W/" + strong.substring(1))) {
            get("/stock", "If-None-Match", list).expect(200,
                    "None of these tags is the current one. Compare whole tags.");
        }
    }
}
