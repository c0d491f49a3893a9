package requirements;

import grader.client.Answer;
import grader.client.AsyncClient;
import grader.client.HttpConnection;
import grader.stage.Pauses;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

@DisplayName("01 Short polling: a flash sale")
class ShortPolling extends Requirements {
    private static final String WEAK = "W/\"[\\x21\\x23-\\x7e]*\"";
    private static final String ROUNDED_UP =
            "Retry-After counts whole seconds, rounded up, so that nobody comes back too early.";
    private static final String DONE_ALREADY = "This part was done already.";
    /// How often a request may read the stock, at most.
    private static final int READS = 3;
    /// How many requests are sent two at a time.
    private static final int PAIRS = 40;
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

    private void stockIs(int left) {
        put("/stock", json("left", left)).expect(204, DONE_ALREADY);
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
        for (int left : new int[] {0, number(20, 900)}) {
            stockIs(left);
            Answer answer = get("/stock")
                    .expect(200, "The stock is there, and nobody sent a tag.")
                    .expectJson("left", left,
                            "The body must be the stock as it is now.")
                    .expectJson("asOf", "\"asOf\": the server's time, as in RFC 3339",
                            ShortPolling::isTime,
                            "Answer with the record Stock: it has both members.")
                    .expectHeader("Cache-Control", "Cache-Control: no-cache",
                            ShortPolling::isNoCache,
                            "Without no-cache a browser may show an old number without asking.");
            tagOf(answer);
        }
        if (!clockMovesOn()) {
            throw get("/stock").failure("another \"asOf\" after a second", -1,
                    "The stock is the same, and the time that the answer tells is not.");
        }
        for (int nth = 1; nth <= READS && soldMeanwhile(nth, false); nth++);
        for (int nth = 1; nth <= READS && soldMeanwhile(nth, true); nth++);
    }

    /// Changes the stock just before a request reads it for the nth time. What the request hears
    /// must be of one moment.
    ///
    /// @param known whether the client has the tag of the stock before the change
    /// @return false where the stock is not read so often
    private boolean soldMeanwhile(int nth, boolean known) {
        int left = number(100, 900);
        stockIs(left);
        String old = tagOf(get("/stock"));
        try (AsyncClient page = new AsyncClient(node, transcript);
                AsyncClient shop = AsyncClient.besides(page)) {
            pauses().hold("before reading", nth);
            page.send("GET", "/stock", null,
                    known ? new String[] {"If-None-Match", old} : new String[0]);
            Pauses.Held held = page.arrival(pauses());
            pauses().holdNoMore();
            if (held != null) transcript
                    .step("(meanwhile, just before it reads the stock:)");
            shop.send("PUT", "/stock", json("left", left - 1));
            if (held != null) {
                held.letPass(shop::isThere);
                held.close();
            }
            Answer answer = page.get("The stock is read, and never told.");
            shop.get("Two requests wait for each other.").expect(204, DONE_ALREADY);
            String now =
                    tagOf(shop.look("/stock").get("The stock is not told any more."));
            if (answer.status() == 501) return false; // TODO 2, and not what is asked here
            if (answer.status() != 304) answer.expect(200, "The stock is there.");
            boolean isOld = answer.status() == 304
                    || answer.json().path("left").asInt() == left;
            if ((isOld ? now : old).equals(answer.header("ETag"))) {
                answer.expectHeader("ETag", isOld ? old : now,
                        "The stock changed between two looks at it. Call `sale.stock()` once.");
            }
            return held != null;
        }
    }

    private static boolean isTime(JsonNode node) {
        try {
            return Instant.parse(node.asString("")).isAfter(Instant.EPOCH);
        } catch (DateTimeParseException e) {
            return false;
        }
    }

    /// Asks until the clock has moved on, so that the next answer has other bytes. A clock may tell
    /// whole seconds only.
    ///
    /// @return whether it has
    private boolean clockMovesOn() {
        String first = get("/stock").text();
        transcript.step("# again, until asOf is another one:");
        transcript.curl("GET", "/stock", null);
        long ends = System.nanoTime() + SECOND * 3 / 2;
        try (var line = HttpConnection.open(node, transcript, null)) {
            while (line.ask("GET", "/stock", null).text().equals(first)) {
                if (System.nanoTime() > ends) return false;
            }
        }
        return true;
    }

    @Requirement(id = "01.2", points = 3, todo = 2)
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
                "\"x" + strong.substring(1), "\"W/" + strong.substring(1))) {
            get("/stock", "If-None-Match", list).expect(200,
                    "None of these tags is the current one. Compare whole tags.");
        }
    }

    @Requirement(id = "01.3", points = 2, todo = 1)
    @DisplayName("the tag is weak, and another stock has another one: no news is hidden")
    void news() {
        int left = number(10, 90) * 10 + number(2, 9); // no tag ends like another
        stockIs(left);
        Answer first = get("/stock");
        String old = tagOf(first);
        first.expectHeader("ETag", "ETag: W/\"...\"", tag -> tag.matches(WEAK),
                "A weak tag is W/ and a text in double quotes.");
        List<String> known = new ArrayList<>(List.of(old));
        for (int now : new int[] {left - 1, 0, left + 1, left + 256,
            number(1_000, 9_999), 1_000_000}) {
            stockIs(now);
            Answer answer = get("/stock", "If-None-Match", String.join(", ", known));
            answer.expect(200,
                    "Each of these tags is of another stock. Is it part of the tag?");
            answer.expectJson("left", now, "The body must be the stock as it is now.");
            String fresh = tagOf(answer);
            known.add(fresh);
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
        buyTogether();
        Answer stock = get("/stock");
        if (stock.status() == 501) return; // TODO 4, and not what is asked here
        stock.expectJson("left", 0, "The stock cannot fall below 0.");
    }

    /// Two buyers at the same instant, and lamps for one, again and again.
    private void buyTogether() {
        String ten = json("left", 10);
        String all = json("quantity", 10);
        transcript.curl("PUT", "/stock", ten, "Content-Type", "application/json");
        transcript.step(
                "curl -sZ 'localhost:" + node.port() + "/purchases?[1-2]' --json '"
                        + all + "'");
        try (var one = HttpConnection.open(node, transcript, null);
                var two = HttpConnection.open(node, transcript, one)) {
            for (int i = 0; i < PAIRS; i++) {
                one.ask("PUT", "/stock", ten).expect(204, DONE_ALREADY);
                one.send("POST", "/purchases", all);
                two.send("POST", "/purchases", all);
                List<Answer> both = List.of(one.answer(), two.answer());
                int winner = both.getFirst().status() == 201 ? 0 : 1;
                both.get(winner).expect(201, "There were enough for one of the two.");
                both.get(1 - winner).expect(409,
                        "Ten lamps were there, and two buyers have"
                                + " got ten each. Look and sell in one step.");
            }
        }
    }

    private Answer buy(int quantity) {
        return post("/purchases", json("quantity", quantity));
    }

    @Requirement(id = "01.5", points = 2, todo = 4)
    @DisplayName("in a pause GET /stock is 503 and says when to come back")
    void pause() {
        stockIs(1);
        int tooMany = buy(2).status();
        int theLast = buy(1).status();
        stockIs(number(20, 900));
        String tag = tagOf(get("/stock"));
        pause(number(40, 60));
        get("/stock", "If-None-Match", tag).expect(503, "A pause wins over 304.");
        stockIs(1);
        buy(2).expect(tooMany, "In a pause a purchase is answered as ever.");
        buy(1).expect(theLast, "In a pause a purchase is answered as ever.");
        get("/stock").expect(503,
                "A purchase does not end the pause, the last one neither.");
        pause(number(20, 30));
        waitOut();
    }

    /// Pauses the sale, and looks at once. The right answer depends on how long that took.
    private void pause(int seconds) {
        long began = System.nanoTime();
        post("/pause", json("seconds", seconds)).expect(204,
                DONE_ALREADY);
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
        post("/pause", json("seconds", 1)).expect(204, DONE_ALREADY);
        long set = System.nanoTime();
        transcript.step("# again and again, until the second is over:");
        transcript.curl("GET", "/stock", null);
        try (var line = HttpConnection.open(node, transcript, null)) {
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
