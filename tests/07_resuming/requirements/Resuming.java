package requirements;

import grader.client.Failure;
import grader.requirement.Requirements;
import grader.stage.Stage;
import grader.stage.Upstream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// 07 Resuming: a mirror of a news agency. The agency is the grader.
abstract sealed class Resuming extends Requirements
        permits ResumingNews, ResumingPauses, ResumingSilence {
    static final int BASE_MS = 50;
    static final int CAP_MS = 8 * BASE_MS;
    static final int STABLE_MS = 300;
    static final int LONG_MS = 600_000;
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
