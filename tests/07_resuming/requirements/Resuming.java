package requirements;

import grader.client.Failure;
import grader.requirement.Requirements;
import grader.requirement.SideBySide;
import grader.stage.Patience;
import grader.stage.Stage;
import grader.stage.Upstream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// 07 Resuming: a mirror of a news agency. The agency is the grader.
@SideBySide
abstract sealed class Resuming extends Requirements
        permits ResumingNews, ResumingPauses, ResumingEnds, ResumingSilence {
    static final int BASE_MS = 50;
    static final int CAP_MS = 8 * BASE_MS;
    static final int STABLE_MS = 300;
    static final int LONG_MS = 600_000;
    private static final int MOST_SCALE = 4;
    static final String PAUSE =
            "The nth pause is from half to all of min(CAP_MS, BASE_MS * 2^(n-1)).";
    static final String ONE =
            "There are never two connections at once: leave the old one, and be called once.";

    Upstream agency;
    final List<String> keys = new ArrayList<>();
    Upstream.Call call;
    /// The agency has done something to which a request is the answer.
    long endedAt;
    private String did;
    /// By how much all times are longer than usual.
    int scale = 1;
    private boolean isTooLong;

    /// Has the program follow an agency. It is started anew where it needs other settings, or where
    /// nobody knows what it is doing.
    void begin(int silenceMs) {
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

    void follow() {
        keys.clear();
        post("/follow", null).expect(204, DONE_ALREADY);
        expectStream(null, "Who begins anew has no cursor.");
    }

    void note(String what) {
        flush();
        transcript.act("(" + what + ")");
    }

    /// An end is noted together with the request that follows it.
    private void flush() {
        if (did != null) transcript.act("(" + did + ")");
        did = null;
    }

    Failure fails(String expected, String got, int caret, String likely) {
        flush();
        return transcript.failure(expected, got, caret, likely);
    }

    private void ends(String how) {
        flush();
        did = how;
        endedAt = System.nanoTime();
    }

    void noteRequest() {
        String after = did == null ? "" : did + "; " + Math.round((call.at - endedAt)
                / 1e6) + " ms later ";
        did = null;
        note(after + "the agency gets "
                + request(call.path, call.headers.get("last-event-id")));
    }

    /// Waits for the next request; the one before must have been left by then.
    void next(String expected, String likely) {
        Upstream.Call before = call;
        call = agency.next(transcript.soon + 2 * scale * CAP_MS);
        if (call == null) {
            throw fails(expected + " at the agency",
                    "nothing " + transcript.within(), -1, likely);
        }
        if (before != null && !before.isLeft(transcript.soon)) {
            throw fails("one connection at a time",
                    call.method + " " + call.path
                            + ", and the one before is still open",
                    -1, ONE);
        }
    }

    void expectStream(String cursor, String likely) {
        String expected = request("/wire/stream", cursor);
        next(expected, likely);
        String got = request(call.path, call.headers.get("last-event-id"));
        if (!got.equals(expected)) {
            throw fails(expected + " at the agency", got,
                    Failure.difference(expected, got), likely);
        }
        noteRequest();
    }

    static String request(String path, String cursor) {
        return "GET " + path + (cursor == null ? "" : ", Last-Event-ID: " + cursor);
    }

    void open() {
        note("it answers 200");
        call.begin(200, "Content-Type", "text/event-stream");
    }

    void send(String text) {
        note("it sends " + text.strip().replace("\n", " | "));
        call.write(text);
    }

    /// Sends news.
    ///
    /// @param id null for none
    void item(String id) {
        keys.add(word(5));
        send((id == null ? "" : "id: " + id + "\n") + "event: item\ndata: "
                + news(keys.getLast()) + "\n\n");
    }

    private static String news(String key) {
        return json("key", key, "text", "News of " + key);
    }

    void end() {
        ends("it ends the connection");
        call.end();
    }

    void reset() {
        ends("it resets the connection");
        call.reset();
    }

    void answer(int status, String... headers) {
        ends("it answers " + status + (headers.length == 0 ? ""
                : ", " + headers[0] + ": " + headers[1]));
        call.answer(status, "", headers);
    }

    int limit(int n) {
        return Math.min(scale * CAP_MS, scale * BASE_MS << n - 1);
    }

    /// Waits for the return, and expects it not too early.
    ///
    /// @return the pause, in milliseconds
    double pause(int n) {
        expectStream(null, "After such an end you come back, after a pause.");
        double took = (call.at - endedAt) / 1e6;
        int limit = limit(n);
        if (took >= limit / 2) return took;
        throw fails("pause " + n + " in a row is " + limit / 2 + " to "
                + limit + " ms", Math.round(took) + " ms", -1, PAUSE);
    }

    double pauseAfterFault(int n) {
        answer(n % 2 == 0 ? 500 : 503);
        return pause(n);
    }

    void expectBelow(int most, double took, String what, String likely) {
        if (took < most) return;
        isTooLong = true;
        throw fails(what + " under " + most + " ms",
                Math.round(took) + " ms", -1, likely);
    }

    /// What is too long may be so by chance, or because the machine is busy: it is checked once
    /// more, with longer pauses. On a busy machine they are long from the start.
    void inTimes(Runnable check) {
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

    void expectState(String state, String likely) {
        expectSoon("/news", "\"state\":\"" + state + "\"",
                news -> news.path("state").asString("").equals(state), likely);
    }

    /// Expects all news that were sent, each once, in order.
    void expectNews(String likely) {
        expectSoon("/news", "\"items\" with the keys " + String.join(", ", keys),
                news -> news.path("items").valueStream()
                        .map(each -> each.path("key").asString("")).toList()
                        .equals(keys),
                likely);
    }

    void expectNoMore(String likely) {
        Upstream.Call more = agency.next(limit(9) / 2);
        flush();
        if (more == null) return;
        throw fails("no request any more", "GET " + more.path, -1, likely);
    }
}
