package requirements;

import grader.client.Answer;
import grader.client.Failure;
import grader.client.HttpConnection;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import grader.stage.Patience;
import grader.stage.Stage;
import grader.stage.Upstream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// 07 Resuming: a mirror of a news agency. The agency is the grader.
@DisplayName("07 Resuming: a mirror of a news agency")
final class Resuming extends Requirements {
    private static final int BASE_MS = 50;
    private static final int CAP_MS = 8 * BASE_MS;
    private static final int STABLE_MS = 300;
    private static final int SILENCE_MS = 300;
    private static final int LONG_MS = 600_000;
    private static final int MOST_SCALE = 4;
    /// How many pauses at the cap. One in four is above 7/8 of it, and in 4,096 all six.
    private static final int AT_CAP = 6;
    private static final int ROUNDS = 3;
    private static final String PAUSE =
            "The nth pause is from half to all of min(CAP_MS, BASE_MS * 2^(n-1)).";
    private static final String ONE =
            "There are never two connections at once: leave the old one, and be called once.";

    private Upstream agency;
    private final List<String> keys = new ArrayList<>();
    private Upstream.Call call;
    private long endedAt;
    private String did;
    private int scale;
    private boolean isTooLong;
    /// Between two bytes of the agency that were to keep a connection, in milliseconds.
    private double longestGap;

    /// Has the program follow an agency. It is started anew where it needs other settings, or where
    /// nobody knows what it is doing.
    private void begin(int silenceMs) {
        if (!stage.upstream().isSettled) stage.end("upstream");
        agency = stage.upstream();
        agency.isSettled = false;
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("BASE_MS", "" + scale * BASE_MS);
        settings.put("CAP_MS", "" + scale * CAP_MS);
        settings.put("STABLE_MS", "" + scale * STABLE_MS);
        settings.put("SILENCE_MS", "" + silenceMs);
        settings.put("UPSTREAM",
                "http://127.0.0.1:" + agency.port() + "/wire/stream");
        node = stage.node(Stage.A, settings);
        transcript.afresh();
        Map<String, String> shown = new LinkedHashMap<>(settings);
        shown.put("UPSTREAM", "http://localhost:4000/wire/stream");
        transcript.act(shown.entrySet().stream().map(Object::toString)
                .collect(Collectors.joining(" "))
                + " ./jbang exercises/07_resuming.java");
        follow();
    }

    private void follow() {
        keys.clear();
        post("/follow", null).expect(204, DONE_ALREADY);
        expectStream(null, "Who begins anew has no cursor.");
    }

    private void note(String what) {
        flush();
        transcript.act("(" + what + ")");
    }

    /// An end is noted together with the request that follows it.
    private void flush() {
        if (did != null) transcript.act("(" + did + ")");
        did = null;
    }

    private void ends(String how) {
        flush();
        did = how;
        endedAt = System.nanoTime();
    }

    private void noteRequest() {
        String after = did == null ? "" : did + "; " + Math.round((call.at - endedAt)
                / 1e6) + " ms later ";
        did = null;
        note(after + "the agency gets "
                + request(call.path, call.headers.get("last-event-id")));
    }

    /// Waits for the next request; the one before must have been left by then.
    private Upstream.Call next(String expected, String likely) {
        Upstream.Call before = call;
        call = agency.next(transcript.soon + 2 * scale * CAP_MS);
        if (call == null) {
            flush();
            throw transcript.failure(expected + " at the agency",
                    "nothing " + transcript.within(), -1, likely);
        }
        if (before != null && !before.isLeft(transcript.soon)) {
            flush();
            throw transcript.failure("one connection at a time",
                    call.method + " " + call.path
                            + ", and the one before is still open",
                    -1, ONE);
        }
        return call;
    }

    private void expectStream(String cursor, String likely) {
        String expected = request("/wire/stream", cursor);
        next(expected, likely);
        String got = request(call.path, call.headers.get("last-event-id"));
        if (!got.equals(expected)) {
            flush();
            throw transcript.failure(expected + " at the agency", got,
                    Failure.difference(expected, got), likely);
        }
        noteRequest();
    }

    private static String request(String path, String cursor) {
        return "GET " + path + (cursor == null ? "" : ", Last-Event-ID: " + cursor);
    }

    private void open() {
        note("it answers 200");
        call.begin(200, "Content-Type", "text/event-stream");
    }

    private void send(String text) {
        note("it sends " + text.strip().replace("\n", " | "));
        call.write(text);
    }

    /// Sends news.
    ///
    /// @param id null for none
    private void item(String id) {
        keys.add(word(5));
        send((id == null ? "" : "id: " + id + "\n") + "event: item\ndata: "
                + news(keys.getLast()) + "\n\n");
    }

    private static String news(String key) {
        return json("key", key, "text", "News of " + key);
    }

    private void end() {
        ends("it ends the connection");
        call.end();
    }

    private void reset() {
        ends("it resets the connection");
        call.reset();
    }

    private void answer(int status, String... headers) {
        ends("it answers " + status + (headers.length == 0 ? ""
                : ", " + headers[0] + ": " + headers[1]));
        call.answer(status, "", headers);
    }

    /// Waits for the return, and expects it not too early.
    ///
    /// @return the pause, in milliseconds
    private double pause(int n, String cursor) {
        expectStream(cursor, "After such an end you come back, after a pause.");
        double took = (call.at - endedAt) / 1e6;
        int limit = limit(n);
        if (took >= limit / 2) return took;
        throw transcript.failure("pause " + n + " in a row is " + limit / 2 + " to "
                + limit + " ms", Math.round(took) + " ms", -1, PAUSE);
    }

    private int limit(int n) {
        return Math.min(scale * CAP_MS, scale * BASE_MS << n - 1);
    }

    private void expectBelow(int most, double took, String what, String likely) {
        if (took < most) return;
        isTooLong = true;
        throw transcript.failure(what + " under " + most + " ms",
                Math.round(took) + " ms", -1, likely);
    }

    /// What is too long may be so by chance, or because the machine is busy: it is checked once
    /// more, with longer pauses. On a busy machine they are long from the start.
    private void inTimes(Runnable check) {
        int first = Math.clamp((Patience.ms(1_000) + 999) / 1_000, 1, MOST_SCALE);
        for (scale = first; true; scale *= 2) {
            isTooLong = false;
            try {
                check.run();
                return;
            } catch (Failure failure) {
                if (!isTooLong || scale > first) throw failure;
            }
        }
    }

    private void expectState(String state, String likely) {
        HttpConnection line = connect(null);
        Stage.until(transcript.soon, () -> line.ask("GET", "/news", null).json()
                .path("state").asString("").equals(state));
        Answer news = get("/news").expect(200, DONE_ALREADY);
        if (news.json().path("state").asString("").equals(state)) return;
        throw news.failure("\"state\":\"" + state + "\"", -1, likely);
    }

    private static List<String> keys(JsonNode news) {
        return news.path("items").valueStream()
                .map(each -> each.path("key").asString("")).toList();
    }

    /// Expects all news that were sent, each once, in order.
    private void expectNews(String likely) {
        HttpConnection line = connect(null);
        Stage.until(transcript.soon, () -> keys(line.ask("GET", "/news", null).json())
                .equals(keys));
        Answer news = get("/news").expect(200, DONE_ALREADY);
        if (keys(news.json()).equals(keys)) return;
        throw news.failure("\"items\" with the keys " + String.join(", ", keys), -1,
                likely);
    }

    @Requirement(id = "07.1", points = 1, todo = 3)
    @DisplayName("what a healthy agency sends is in the paper, in order")
    void healthy() {
        scale = 1;
        begin(LONG_MS);
        open();
        expectState("live", DONE_ALREADY);
        for (int i = 1; i <= 3; i++) item("a" + i);
        expectNews("Each event `item` is added.");
        follow();
        open();
        item("b1");
        expectNews("Who begins anew has no news.");
        agency.isSettled = true;
    }

    @Requirement(id = "07.2", points = 3, todo = 1)
    @DisplayName("pauses grow up to the cap, are random, and respect Retry-After")
    void pauses() {
        inTimes(() -> {
            begin(LONG_MS);
            double third = Double.MAX_VALUE;
            double least = Double.MAX_VALUE;
            for (int round = 1; round <= ROUNDS; round++) {
                int most = round < ROUNDS ? 3 : 4 + AT_CAP;
                for (int n = 1; n <= most; n++) {
                    answer(n % 2 == 0 ? 500 : 503);
                    double took = pause(n, null);
                    if (n == 3) third = Math.min(third, took);
                    if (n > 4) least = Math.min(least, took);
                }
                if (round < ROUNDS) follow();
            }
            expectBelow(limit(3), third, "one of " + ROUNDS + " third pauses", PAUSE);
            expectBelow(limit(9) * 7 / 8, least,
                    "one of " + AT_CAP + " pauses at the cap",
                    "At the cap, too, they are random: from half to all of it.");
            int seconds = limit(9) / 1_000 + 1; // above the cap
            answer(503, "Retry-After", "" + seconds);
            expectStream(null, "After 503 you come back, after a pause.");
            double took = (call.at - endedAt) / 1e6;
            if (took < 1_000 * seconds) {
                throw transcript.failure("at least " + 1_000 * seconds
                        + " ms until the next request", Math.round(took) + " ms", -1,
                        "`Retry-After` may ask for more than the limit, and gets it.");
            }
        });
        agency.isSettled = true;
    }

    @Requirement(id = "07.3", points = 3, todo = 2)
    @DisplayName("204, 401 and 410 are final; only a connection that lasted begins the count anew")
    void ends() {
        inTimes(() -> {
            begin(LONG_MS);
            for (int n = 1; n <= 6; n++) { // longer than STABLE_MS together
                open();
                item(null);
                if (n % 2 == 0) reset();
                else end();
                pause(n, null);
            }
            open();
            expectNews(DONE_ALREADY);
            note("it keeps the connection for " + 2 * scale * STABLE_MS + " ms");
            call.isLeft(2 * scale * STABLE_MS);
            end();
            expectBelow(limit(9) / 2, pause(1, null),
                    "after a connection that lasted, a pause",
                    "A connection that was open for STABLE_MS begins the count anew.");
            for (int n = 2; n <= 3; n++) {
                answer(n == 2 ? 403 : 404);
                pause(n, null);
            }
        });
        for (int status : List.of(204, 401, 410)) {
            transcript.afresh();
            follow();
            answer(status);
            expectNoMore(status + " is final.");
            expectState("ended", status + " is final.");
        }
        agency.isSettled = true;
    }

    @Requirement(id = "07.4", points = 3, todo = 3)
    @DisplayName("each return has the last id; reset leads to the snapshot, and on from its cursor")
    void resumes() {
        scale = 1;
        begin(LONG_MS);
        String first = "x" + word(3) + ":" + number(1, 99);
        open();
        item(first);
        item(null);
        expectNews(DONE_ALREADY);
        String last = "An event without an id does not change the cursor.";
        end();
        expectStream(first, last);
        open();
        end();
        expectStream(first,
                "The cursor is sent at each return, not only at the first.");
        open();
        String second = "c" + word(2); // smaller and shorter, if they were compared
        item(second);
        expectNews(DONE_ALREADY);
        end();
        expectStream(second, "The cursor is the last id that came.");
        open();
        String third = "b" + word(1);
        send("id: " + third + "\nevent: ping\ndata: {}\n\n");
        item(null);
        expectNews("Only events `item` are news.");
        end();
        expectStream(third, "The cursor is the last id, of whatever event.");
        open();
        send("event: reset\ndata: {}\n\n");
        String snapshot = "On `reset`, leave the stream, and load the snapshot.";
        expectSnapshot(snapshot);
        answer(503);
        expectSnapshot(
                "As long as it could not be loaded, there is no cursor: load again.");
        String cursor = word(3) + "/" + number(1, 99);
        keys.add(word(5));
        keys.add(word(5));
        note("it answers with all news, two of them new, and the cursor " + cursor);
        call.answer(200, json("cursor", cursor, "items",
                keys.stream()
                        .map(each -> Map.of("key", each, "text", "News of " + each))
                        .toList()),
                "Content-Type", "application/json");
        expectStream(cursor, "After the snapshot you come back with its cursor.");
        open();
        item(word(4));
        expectNews("Of the snapshot, news with a new key are added.");
        expectState("live", DONE_ALREADY);
        expectNoMore(ONE);
        agency.isSettled = true;
    }

    private void expectNoMore(String likely) {
        Upstream.Call more = agency.next(limit(9) / 2);
        flush();
        if (more == null) return;
        throw transcript.failure("no request any more", "GET " + more.path, -1, likely);
    }

    private void expectSnapshot(String likely) {
        next("GET /wire/snapshot", likely);
        if (!call.path.equals("/wire/snapshot")) {
            flush();
            throw transcript.failure("GET /wire/snapshot at the agency",
                    request(call.path, call.headers.get("last-event-id")), -1, likely);
        }
        noteRequest();
    }

    @Requirement(id = "07.5", points = 3, todo = 4)
    @DisplayName("a connection is given up after silence, and not while bytes come")
    void silence() {
        scale = 1;
        int silence = Math.min(Patience.ms(SILENCE_MS), 4 * SILENCE_MS);
        for (int more = 2; true; more--, silence *= 2) {
            longestGap = 0;
            try {
                silence(silence);
                return;
            } catch (Failure failure) {
                if (more == 0 || longestGap < silence * 0.8) throw failure;
            }
        }
    }

    private void silence(int silenceMs) {
        begin(silenceMs);
        open();
        String cursor = word(4);
        item(cursor);
        note("each " + silenceMs / 3 + " ms it sends half of a comment");
        long wrote = System.nanoTime();
        for (int i = 0; i < 8; i++) {
            boolean left = call.isLeft(silenceMs / 3);
            call.write(i % 2 == 0 ? ": still" : " here\n");
            longestGap = Math.max(longestGap, (System.nanoTime() - wrote) / 1e6);
            wrote = System.nanoTime();
            if (left) {
                throw transcript.failure("the connection stays",
                        "it was left while bytes came", -1,
                        "Each byte begins the time anew: take the old timer back.");
            }
        }
        item(null);
        wrote = System.nanoTime();
        expectNews(DONE_ALREADY);
        note("it says nothing any more");
        String dead = "Silence of SILENCE_MS is an end, as any other.";
        if (!call.isLeft(transcript.soon + silenceMs)) {
            throw transcript.failure("the connection is given up",
                    "still open " + transcript.within(), -1, dead);
        }
        expectAfter(silenceMs, wrote);
        expectStream(cursor, dead);
        long asked = call.at;
        note("it does not answer");
        expectStream(cursor, "An agency that does not answer is silent, too.");
        expectAfter(silenceMs, asked);
        open();
        expectState("live", DONE_ALREADY);
    }

    private void expectAfter(int silenceMs, long since) {
        long took = (System.nanoTime() - since) / 1_000_000;
        if (took >= silenceMs) return;
        throw transcript.failure("at least " + silenceMs + " ms of silence",
                "it was left after " + took + " ms", -1,
                "SILENCE_MS counts from the last byte.");
    }
}
