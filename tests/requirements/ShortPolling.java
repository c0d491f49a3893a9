package requirements;

import grader.Answer;
import grader.Line;
import grader.Requirement;
import grader.Requirements;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

@DisplayName("01 Short polling: a flash sale")
class ShortPolling extends Requirements {
    private static final String WEAK = "W/\"[\\x21\\x23-\\x7e]*\"";
    private static final String ROUNDED_UP =
            "Retry-After counts whole seconds, rounded up, so that nobody comes back too early.";
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

    private void stockIs(int left) {
        put("/stock", json("left", left)).expect(204, "This part was done already.");
    }

    private static boolean isNoCache(String value) {
        return List.of(value.toLowerCase().split("[\\s,]+")).contains("no-cache");
    }

    private static String tagOf(Answer answer) {
        answer.expect(200, "The stock is there, and nobody sent its tag.")
                .expectHeader("ETag", "an ETag", tag -> !tag.isBlank(),
                        "The answer names its news by the tag of the stock.");
        return answer.header("ETag");
    }

    @Requirement(id = "01.1", points = 2, todo = 4)
    @DisplayName("GET /stock tells what is left, with an entity tag and no-cache")
    void stock() {
        int left = number(20, 900);
        stockIs(left);
        Answer answer = get("/stock")
                .expect(200, "The stock is there, and nobody sent a tag.")
                .expectJson("left", left, "The body must be the stock as it is now.")
                .expectJson("asOf", "\"asOf\": the server's time, as in RFC 3339",
                        ShortPolling::isTime,
                        "Answer with the record Stock: it has both members.")
                .expectHeader("Cache-Control", "Cache-Control: no-cache",
                        ShortPolling::isNoCache,
                        "Without no-cache a browser may show an old number without asking.");
        tagOf(answer);
    }

    private static boolean isTime(JsonNode node) {
        try {
            return Instant.parse(node.asString("")).isAfter(Instant.EPOCH);
        } catch (DateTimeParseException e) {
            return false;
        }
    }

    /// Asks until the clock has moved on, so that the next answer would have other bytes.
    private void letTheClockMove() {
        String first = get("/stock").text();
        for (int i = 0; i < 50 && get("/stock").text().equals(first);) i++;
    }

    @Requirement(id = "01.2", points = 3, todo = 2)
    @DisplayName("where the client has the current tag, the answer is 304, without a body")
    void notModified() {
        int left = number(20, 900);
        stockIs(left);
        String tag = tagOf(get("/stock"));
        letTheClockMove();
        String strong = tag.startsWith("W/") ? tag.substring(2) : tag;
        String likely =
                "The tag is the current one, so the client has this news already.";
        for (String list : List.of(tag, strong, "*",
                "\"other-" + word(4) + "\", " + tag,
                strong + ",W/\"" + word(5) + "\"")) {
            Answer answer = get("/stock", "If-None-Match", list);
            answer.expect(304, !tag.equals(answer.header("ETag"))
                    ? "The stock is the same, so its tag must be, too. Does it change with asOf?"
                    : list.equals(tag) ? likely
                    : likely + " The header may hold a list, `*`, or tags without W/.");
            answer.expectNoBody("304 has no body: the client shows what it has.")
                    .expectHeader("ETag", tag,
                            "304 carries the ETag that 200 would have.")
                    .expectHeader("Cache-Control", "Cache-Control: no-cache",
                            ShortPolling::isNoCache,
                            "304 carries the Cache-Control that 200 would have.");
        }
        get("/stock", "If-None-Match", "\"" + word(4) + "\"", "If-None-Match", tag)
                .expect(304, "Several lines of a header are one list.");
        for (String list : List.of("W/\"" + word(6) + "\"", "\"\"",
                "\"*" + word(3) + "\"",
                "\"x" + strong.substring(1))) {
            get("/stock", "If-None-Match", list).expect(200,
                    "None of these tags is the current one. Compare whole tags.");
        }
    }

    @Requirement(id = "01.3", points = 2, todo = 1)
    @DisplayName("the tag is weak, and another stock has another one: no news is hidden")
    void news() {
        int left = number(10, 90) * 10 + number(1, 9); // no tag is the end of this one
        stockIs(left);
        Answer first = get("/stock");
        String old = tagOf(first);
        first.expectHeader("ETag", "ETag: W/\"...\"", tag -> tag.matches(WEAK),
                "A weak tag is W/ and a text in double quotes.");
        for (int now : new int[] {left - 1, 0, left + 1, left + 256,
            number(1_000, 9_999)}) {
            stockIs(now);
            Answer answer = get("/stock", "If-None-Match", old).expect(200,
                    "The stock has changed since that tag was given. Does the tag depend on it?");
            answer.expectJson("left", now, "The body must be the stock as it is now.");
            String fresh = tagOf(answer);
            get("/stock", "If-None-Match", fresh).expect(304,
                    "This tag is the current one. Does it change although the stock does not?");
        }
    }

    @Requirement(id = "01.4", points = 2, todo = 3)
    @DisplayName("a purchase takes from the stock, all of it or nothing")
    void purchase() {
        int left = number(11, 19);
        int first = number(2, 9);
        stockIs(left);
        buy(first).expect(201, "There were enough.")
                .expectJson("left", left - first,
                        "Answer what is left after the purchase.");
        int rest = left - first;
        if (rest > 1) {
            stockIs(rest = number(1, 8));
        }
        buy(rest + 1).expect(409,
                "More were asked for than are left, which is a conflict.");
        buy(rest).expect(201,
                "Just as many as are left may be sold. A purchase that is refused takes nothing.")
                .expectJson("left", 0, "All are sold.");
        buy(1).expect(409, "Nothing is left.");
        Answer stock = get("/stock");
        if (stock.status() == 501) return; // TODO 4, and not what is asked here
        stock.expectJson("left", 0, "The stock cannot fall below 0.");
    }

    private Answer buy(int quantity) {
        return post("/purchases", json("quantity", quantity));
    }

    @Requirement(id = "01.5", points = 2, todo = 4)
    @DisplayName("in a pause GET /stock is 503 and says when to come back")
    void pause() {
        int left = number(20, 900);
        stockIs(left);
        String tag = tagOf(get("/stock"));
        pause(number(40, 60));
        get("/stock", "If-None-Match", tag).expect(503, "A pause wins over 304.");
        buy(1).expect(201, "A pause must not stop purchases.");
        pause(number(20, 30));
        waitOut();
    }

    /// Pauses the sale, and looks at once. The right answer depends on how long that took.
    private void pause(int seconds) {
        long began = System.nanoTime();
        post("/pause", json("seconds", seconds)).expect(204,
                "This part was done already.");
        Answer answer = get("/stock");
        double took = (System.nanoTime() - began) / 1e9;
        if (took >= seconds) return;
        int least = (int) Math.ceil(seconds - took);
        answer.expect(503, "The sale is paused.").expectHeader("Retry-After",
                "Retry-After: " + seconds,
                value -> value.matches("\\d{1,3}") && Integer.parseInt(value) <= seconds
                        && Integer.parseInt(value) >= least,
                ROUNDED_UP + " A new pause replaces the old one.");
    }

    /// Pauses the sale for a second, and looks until it goes on.
    private void waitOut() {
        long began = System.nanoTime();
        post("/pause", json("seconds", 1)).expect(204, "This part was done already.");
        long set = System.nanoTime();
        talk.step("# again and again, until the second is over:");
        talk.curl("GET", "/stock", null);
        try (var line = Line.open(program, talk, null)) {
            while (true) {
                long asked = System.nanoTime();
                Answer answer = line.ask("GET", "/stock", null);
                if (asked - set >= SECOND) {
                    answer.expect(200, "The pause is over.");
                    return;
                }
                if (System.nanoTime() - began < SECOND) {
                    answer.expect(503, "The second is not over yet.");
                }
                if (answer.status() == 503) {
                    answer.expectHeader("Retry-After", "1", ROUNDED_UP);
                }
            }
        }
    }
}
