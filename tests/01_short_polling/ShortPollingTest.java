import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("01 Short polling")
class ShortPollingTest {
    private static final Duration SOON = Duration.ofSeconds(30);
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/01_short_polling.java");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    private static RawHttp.Answer ask(String method, String target, String body,
            String... fields)
            throws Exception {
        return RawHttp.ask(server.port, method, target, body, fields);
    }

    private static RawHttp.Answer stats(String... fields) throws Exception {
        return ask("GET", "/stats", null, fields);
    }

    /// The numbers of visitors and clicks.
    private static List<Integer> numbers(RawHttp.Answer answer) {
        assertTrue(answer.text().matches("\\{\"visitors\":\\d+,\"clicks\":\\d+}"),
                answer::toString);
        return Stream.of(answer.text().split("\\D+")).filter(part -> !part.isEmpty())
                .map(Integer::valueOf).toList();
    }

    /// Has the server an outage that lasts `seconds`, and lets it end with one of a second.
    private static void endOutage() throws Exception {
        ask("POST", "/outage", "{\"seconds\":1}");
        Eventually.see("the outage ends", SOON, () -> stats().status(),
                status -> status == 200);
    }

    @Test
    @DisplayName("the counters start at 0; visits and clicks count, reading does not")
    void counters() throws Exception {
        try (Server own = Server.start("lessons/01_short_polling.java")) {
            String fresh = "{\"visitors\":0,\"clicks\":0}";
            for (int i = 0; i < 3; i++) {
                RawHttp.Answer answer = RawHttp.ask(own.port, "GET", "/stats", null);
                assertEquals(200, answer.status(), answer::toString);
                assertEquals(fresh, answer.text());
                assertEquals("no-cache", answer.header("cache-control"),
                        answer::toString);
                assertEquals("application/json", answer.header("content-type"));
                assertTrue(answer.header("etag").matches("\"[!#-~]+\""),
                        answer::toString);
                RawHttp.ask(own.port, "GET", "/", null);
                RawHttp.ask(own.port, "HEAD", "/stats", null);
                RawHttp.ask(own.port, "GET", "/visits", null);
            }
            RawHttp.ask(own.port, "POST", "/visits", null);
            RawHttp.ask(own.port, "POST", "/clicks", null);
            RawHttp.ask(own.port, "POST", "/clicks", null);
            assertEquals("{\"visitors\":1,\"clicks\":2}",
                    RawHttp.ask(own.port, "GET", "/stats", null).text());
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("a visit or a click is 204, without a body or with any JSON object")
    void counting() throws Exception {
        List<Integer> before = numbers(stats());
        for (String path : List.of("/visits", "/clicks")) {
            assertEquals(204, ask("POST", path, null).status());
            assertEquals(204, ask("POST", path, null, "Content-Length: 0").status());
            assertEquals(204,
                    ask("POST", path, null, "Content-Type: text/plain").status());
            assertEquals(204, ask("POST", path, "{\"unknown\":[1]}").status());
            try (RawHttp raw = new RawHttp(server.port)) {
                raw.send("POST " + path + " HTTP/1.1\r\nHost: localhost:" + server.port
                        + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
                assertEquals(204, raw.answer().status(), "no body, in chunks");
            }
        }
        assertEquals(List.of(before.get(0) + 5, before.get(1) + 5), numbers(stats()));
    }

    @Test
    @DisplayName("a bad request is refused with the right status and counts nothing")
    void refused() throws Exception {
        List<Integer> before = numbers(stats());
        for (String path : List.of("/visits", "/clicks")) {
            for (String body : List.of("{", "[]", "1", "null", "\"x\"", "{} {}",
                    "[".repeat(5_000))) {
                RawHttp.Answer answer = ask("POST", path, body);
                assertEquals(400, answer.status(), () -> body + " got " + answer);
            }
            assertEquals(415,
                    ask("POST", path, "{}", "Content-Type: text/plain").status());
            assertEquals(413, ask("POST", path, " ".repeat(65_537)).status());
            assertEquals(403,
                    ask("POST", path, null, "Origin: http://evil.example").status());
            RawHttp.Answer wrong = ask("PUT", path, null);
            assertEquals(405, wrong.status());
            assertEquals("POST, OPTIONS", wrong.header("allow"));
        }
        assertEquals(405, ask("POST", "/stats", null).status());
        assertEquals(before, numbers(stats()));
    }

    @Test
    @DisplayName("the tag changes when the numbers do, and no two states share one")
    void tags() throws Exception {
        Map<String, String> states = new HashMap<>();
        for (int i = 0; i < 60; i++) {
            RawHttp.Answer now = stats();
            String other = states.put(now.header("etag"), now.text());
            assertEquals(null, other, () -> "the tag of two states: " + now);
            assertEquals(now.header("etag"), stats().header("etag"),
                    "the tag of the same state");
            assertEquals(now.header("etag"),
                    ask("HEAD", "/stats", null).header("etag"));
            ask("POST", i % 3 == 0 ? "/clicks" : "/visits", null);
        }
        assertEquals(60, states.size());
    }

    @Test
    @DisplayName("a tag from before a restart never passes for another state")
    void restart() throws Exception {
        String tag = null;
        for (int clicks : List.of(11, 1)) {
            try (Server own = Server.start("lessons/01_short_polling.java")) {
                for (int i = 0; i < 12; i++) {
                    RawHttp.ask(own.port, "POST", i < clicks ? "/clicks" : "/visits",
                            null);
                }
                RawHttp.Answer now = RawHttp.ask(own.port, "GET", "/stats", null,
                        "If-None-Match: " + tag);
                assertEquals(200, now.status(), now::toString);
                tag = now.header("etag");
            }
        }
    }

    @Test
    @DisplayName("304 where If-None-Match has the tag: alone, weak, in a list, or as *")
    void notModified() throws Exception {
        RawHttp.Answer full = stats();
        String tag = full.header("etag");
        for (String field : List.of(tag, "W/" + tag, "*", " * ", "\"x\", " + tag,
                tag + ",\"x\"",
                "\"x\",\t W/" + tag + " , W/\"y\"", ",, " + tag, "\"a,b\", " + tag,
                "\"\", " + tag, "\"\u00e4\", " + tag, "\"x\"\r\nIf-None-Match: " + tag,
                "\"" + "x".repeat(8_000) + "\"," + tag, "\"x\",".repeat(2_000) + tag)) {
            for (String method : List.of("GET", "HEAD")) {
                RawHttp.Answer answer =
                        ask(method, "/stats", null, "If-None-Match: " + field);
                assertEquals(304, answer.status(), () -> field + " got " + answer);
                assertEquals(tag, answer.header("etag"), answer::toString);
                assertEquals("no-cache", answer.header("cache-control"),
                        answer::toString);
                assertEquals("", answer.header("content-type"), answer::toString);
                assertTrue(List.of("", "" + full.body().length).contains(
                        answer.header("content-length")), answer::toString);
            }
        }
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.request("GET", "/stats", null, "If-None-Match: " + tag);
            raw.request("GET", "/stats", null);
            assertEquals(304, raw.answer().status());
            assertEquals(full.text(), raw.answer().text(), "right behind the 304");
        }
    }

    @Test
    @DisplayName("200 where If-None-Match has another tag, or is nothing that can be read")
    void modified() throws Exception {
        String tag = stats().header("etag");
        String bare = tag.replace("\"", "");
        for (String field : List.of("\"x\"", "W/\"x\"", "\"*\"", bare, "", " ", ",",
                "\"", "w/" + tag,
                "W/" + bare, "W" + tag, "'" + bare + "'", "\"" + bare, bare + "\"",
                "\"" + bare + " \"",
                "x" + tag, "\"x" + bare + "\"", "\"" + bare + "x\"", "**", "\u0000",
                "\u00ff\u00fe",
                "\"" + ",\"".repeat(10_000), "(".repeat(30_000), "\"x\" ".repeat(5_000),
                "%s%n${x}")) {
            RawHttp.Answer answer =
                    ask("GET", "/stats", null, "If-None-Match: " + field);
            boolean refused = field.equals("\u0000") && answer.status() == 400;
            assertTrue(answer.status() == 200 || refused,
                    () -> field + " got " + answer);
        }
        ask("POST", "/visits", null);
        assertEquals(200, stats("If-None-Match: " + tag).status(), "after a visit");
    }

    @Test
    @DisplayName("an outage answers 503 before any 304, says how long in seconds, and ends")
    void outage() throws Exception {
        String tag = stats().header("etag");
        long began = System.nanoTime();
        RawHttp.Answer made = ask("POST", "/outage", "{\"seconds\":2.0,\"unknown\":0}");
        assertEquals(204, made.status(), made::toString);
        try {
            for (String field : List.of(tag, "*", "\"x\"")) {
                RawHttp.Answer down = stats("If-None-Match: " + field);
                assertEquals(503, down.status(), () -> field + " got " + down);
                assertEquals("application/problem+json", down.header("content-type"));
                assertEquals("2", down.header("retry-after"), down::toString);
                assertEquals("", down.header("etag"), down::toString);
            }
            assertEquals(503, ask("HEAD", "/stats", null).status());
            assertEquals(204, ask("POST", "/visits", null).status(),
                    "a visit in an outage");
            assertEquals(204, ask("POST", "/clicks", null).status(),
                    "a click in an outage");
            assertEquals(200, ask("GET", "/", null).status(), "the page in an outage");
            Eventually.see("a second has passed", SOON,
                    () -> stats().header("retry-after"),
                    left -> left.equals("1"));
            long half = System.nanoTime() - began;
            assertTrue(half > 990_000_000L,
                    "rounded up: 1 after " + half / 1_000_000 + " ms");
        } finally {
            Eventually.see("the outage ends", SOON, () -> stats().status(),
                    status -> status == 200);
        }
        long took = (System.nanoTime() - began) / 1_000_000;
        assertTrue(took >= 1_990 && took < 3_500, "over after " + took + " ms");
    }

    @Test
    @DisplayName("a new outage replaces the old one, be it longer or shorter")
    void replaced() throws Exception {
        try {
            for (int seconds : List.of(10, 60, 30, 1)) {
                ask("POST", "/outage", "{\"seconds\":" + seconds + "}");
                RawHttp.Answer down = stats();
                assertEquals(503, down.status(), down::toString);
                assertEquals("" + seconds, down.header("retry-after"), down::toString);
            }
        } finally {
            endOutage();
        }
    }

    @Test
    @DisplayName("an outage of anything but 1 to 60 whole seconds is 400 and changes nothing")
    void badOutage() throws Exception {
        for (String body : List.of("{\"seconds\":0}", "{\"seconds\":61}",
                "{\"seconds\":1.5}",
                "{\"seconds\":-1}", "{\"seconds\":1e400}", "{\"seconds\":\"1\"}",
                "{\"seconds\":null}",
                "{\"seconds\":[1]}", "{\"seconds\":" + "9".repeat(900) + "}",
                "{\"seconds\":NaN}",
                "{}", "[]", "null", "{")) {
            RawHttp.Answer answer = ask("POST", "/outage", body);
            assertEquals(400, answer.status(), () -> body + " got " + answer);
        }
        assertEquals(400, ask("POST", "/outage", null).status(), "no body");
        assertEquals(200, stats().status());
    }

    @Test
    @DisplayName("4,000 visits and clicks at once are all counted, and every answer is one state")
    void race() throws Exception {
        List<Integer> before = numbers(stats());
        Map<String, String> states = new HashMap<>();
        try (ExecutorService clients = Executors.newFixedThreadPool(8)) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                String path = i % 2 == 0 ? "/visits" : "/clicks";
                all.add(clients.submit(() -> {
                    try (RawHttp raw = new RawHttp(server.port)) {
                        for (int j = 0; j < 500; j++) {
                            assertEquals(204,
                                    raw.request("POST", path, null, "Content-Length: 0")
                                            .answer().status());
                            if (j % 5 != 0) continue;
                            RawHttp.Answer now =
                                    raw.request("GET", "/stats", null).answer();
                            synchronized (states) {
                                String other =
                                        states.put(now.header("etag"), now.text());
                                assertTrue(other == null || other.equals(now.text()),
                                        () -> now + " has the tag of " + other);
                            }
                        }
                    }
                    return null;
                }));
            }
            for (Future<?> each : all) each.get(20, TimeUnit.SECONDS);
        }
        assertEquals(List.of(before.get(0) + 2_000, before.get(1) + 2_000),
                numbers(stats()));
    }

    @Test
    @DisplayName("the slow server keeps no client that left, and stops with the others in order")
    void slow() throws Exception {
        try (Server own = Server.start("lessons/01_short_polling.java")) {
            for (int i = 0; i < 20; i++) {
                RawHttp raw = new RawHttp(own.port).request("GET", "/_/slow", null);
                if (i % 2 == 0) raw.reset();
                else raw.close();
            }
            try (RawHttp held = new RawHttp(own.port).request("GET", "/_/slow", null)) {
                RawHttp.ask(own.port, "GET", "/stats", null);
                long began = System.nanoTime();
                assertEquals(143, own.stop("TERM"));
                long took = (System.nanoTime() - began) / 1_000_000;
                assertTrue(took < 2_000, "stopped after " + took + " ms");
                RawHttp.Answer last = held.answer();
                assertTrue(last.status() == 200 || last.status() == 503,
                        last::toString);
            }
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("the page: the careful client's polls come back empty until there is news")
    void demo() throws Exception {
        List<Integer> now = numbers(stats());
        try (Chromium chromium = Chromium.open(server)) {
            chromium.click("start");
            chromium.see("#careful dd:nth-of-type(2)", "^[2-9]$");
            chromium.see("#naive .big",
                    "^visitors " + now.get(0) + ", clicks " + now.get(1) + "$");
            assertEquals("0", chromium.text("#naive dd:nth-of-type(2)"),
                    "empty answers, naive");
            chromium.click("visit");
            chromium.click("click");
            String news = "^visitors " + (now.get(0) + 1) + ", clicks "
                    + (now.get(1) + 1) + "$";
            chromium.see("#careful .big", news);
            chromium.see("#naive .big", news);
            chromium.see("#million",
                    "10 million requests/s, \\d+\\.\\d GB/s naive, \\d+\\.\\d GB/s careful");
            chromium.seeWire("^304, empty$");
            chromium.seeWire("^GET /stats$");
            chromium.seeWire("^GET /stats\\?naive$");
            chromium.see("#wire-lanes", "Naive.*Server.*Careful.*You");
            chromium.screenshot("01-wide-light");
        }
    }

    @Test
    @DisplayName("the page: the size of a poll is what was on the wire, heads and all")
    void sizes() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.page.selectOption("#interval", "100");
            chromium.click("start");
            chromium.see("#careful dd:nth-of-type(2)", "^[3-9]$");
            chromium.click("stop");
            Object drawn = chromium.page.evaluate("""
                    () => {
                      const sizes = (kind, lane) => view.rows.filter((row) => row.kind === kind
                        && row.way.includes(lane)).map((row) => row.size);
                      return ["Naive", "Careful"].map((lane) =>
                        sizes("request", lane).at(-1) + sizes("response", lane).at(-1)).join(" ");
                    }""");
            assertEquals(drawn, chromium.text("#naive dd:last-of-type") + " "
                    + chromium.text("#careful dd:last-of-type"));
        }
    }

    @Test
    @DisplayName("the page: a hidden tab does not poll, and polls at once when it shows again")
    void hidden() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.click("start");
            chromium.see("#careful dd", "^[1-9]$");
            show(chromium, false);
            String before = chromium.text("#careful dd");
            int naive = Integer.parseInt(chromium.text("#naive dd"));
            chromium.see("#naive dd", "^" + (naive + 3) + "$");
            assertEquals(before, chromium.text("#careful dd"), "polls while hidden");
            chromium.page.evaluate("performance.clearResourceTimings()");
            show(chromium, true);
            Object late = chromium.page.evaluate("""
                    async () => {
                      for (let i = 0; i < 1000; i++) {
                        const [poll] = performance.getEntriesByName(location.origin + "/stats");
                        if (poll) return poll.startTime - shownAt;
                        await pause(10);
                      }
                      return Infinity;
                    }""");
            assertTrue(((Number) late).doubleValue() < 200,
                    "polled " + late + " ms after it showed");
        }
    }

    private static void show(Chromium chromium, boolean visible) {
        chromium.page.evaluate("""
                (visible) => {
                  Object.defineProperty(document, "hidden", {
                    value: !visible, configurable: true,
                  });
                  window.shownAt = performance.now();
                  document.dispatchEvent(new Event("visibilitychange"));
                }""", visible);
    }

    @Test
    @DisplayName("the page: the careful client stops at its target and on leaving, the naive not")
    void stops() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.page.selectOption("#interval", "100");
            int target = numbers(stats()).get(0) + 2;
            chromium.page.fill("#target", "" + target);
            chromium.click("start");
            for (int visitors = target - 1; visitors <= target; visitors++) {
                chromium.click("visit");
                chromium.see("#careful .big", "^visitors " + visitors + ",");
            }
            staysSilent(chromium, "after its target");
            chromium.page.fill("#target", "");
            chromium.click("start");
            chromium.see("#careful dd", "^[3-9]$");
            chromium.page
                    .evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))");
            staysSilent(chromium, "after pagehide");
        }
    }

    /// Waits for some naive polls, between which there must not be a careful one.
    private static void staysSilent(Chromium chromium, String when) {
        String before = chromium.text("#careful dd");
        int naive = Integer.parseInt(chromium.text("#naive dd"));
        chromium.page.waitForFunction(
                "n => +document.querySelector('#naive dd').textContent >= n",
                naive + 5);
        assertEquals(before, chromium.text("#careful dd"), "careful polls " + when);
    }

    /// Evaluates JavaScript with `fetch` replaced by `answer`, a function of the request's number.
    private static Object scripted(Chromium chromium, String answer, String script) {
        return chromium.page.evaluate("""
                async () => {
                  const real = window.fetch;
                  const asked = [];
                  const until = async (done) => {
                    for (let i = 0; i < 1000 && !done(); i++) await pause(10);
                  };
                  const answer = %s;
                  window.fetch = async (url, options) => {
                    asked.push({ at: performance.now(), ...options.headers });
                    return answer(asked.length);
                  };
                  const settings = { url: "/x", interval: 100, errors: 0, shown: [], count() {},
                    show(stats) { this.shown.push(stats.visitors); }, done: () => false,
                    failed() { this.errors++; } };
                  try {
                    %s
                  } finally {
                    window.fetch = real;
                  }
                }""".formatted(answer, script));
    }

    @Test
    @DisplayName("the poller: Retry-After says how long to wait, in seconds or as a date")
    void retryAfter() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            for (var each : Map
                    .of("7", 7_000, "0", 40, "soon", 0, "99999999999", 86_400_000)
                    .entrySet()) {
                Object wait = scripted(chromium,
                        """
                        () => new Response("{}", {
                          status: 429, headers: { "Retry-After": "%s" } })"""
                                .formatted(each.getKey()),
                        """
                        const never = new AbortController().signal;
                        return ask(settings, null, never).catch((error) => error.wait);
                        """);
                double ms = ((Number) wait).doubleValue();
                assertTrue(ms == each.getValue() || ms <= 0 && each.getValue() < 100,
                        each.getKey() + " is " + ms + " ms");
            }
            Object date = scripted(chromium,
                    """
                    () => new Response("", { status: 503, headers: {
                      "Retry-After": new Date(Date.now() + 30_000).toUTCString() } })""",
                    """
                    const never = new AbortController().signal;
                    return ask(settings, null, never).catch((error) => error.wait);
                    """);
            double ms = ((Number) date).doubleValue();
            assertTrue(ms > 28_000 && ms <= 30_000, "a date in 30 s is " + ms + " ms");
        }
    }

    @Test
    @DisplayName("the poller: errors double the pause, news ends that, and the tag is sent back")
    void backoff() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            Object seen = scripted(chromium, """
                    (n) => {
                      const tag = (ETag) => ({ headers: { ETag } });
                      if (n === 1) return new Response('{"visitors":1}', tag('"a"'));
                      if (n === 2) return new Response("<html>", tag('"b"'));
                      if (n === 3) throw new TypeError("no network");
                      if (n === 4) return new Response("null", tag('"c"'));
                      if (n !== 6) return new Response(null, { status: 304 });
                      return new Response('{"visitors":2}', tag('"d"'));
                    }""", """
                    const stop = new AbortController();
                    shortPoll(settings, stop);
                    await until(() => asked.length >= 7);
                    stop.abort();
                    const gaps = asked.slice(1).map(({ at }, i) => at - asked[i].at);
                    const factors = gaps.map((gap) =>
                      gap < 200 ? 1 : gap < 400 ? 2 : gap < 800 ? 4 : 8);
                    const tags = asked.map((each) => each["If-None-Match"] ?? null);
                    return JSON.stringify([factors, tags,
                      settings.shown, settings.errors]);
                    """);
            assertEquals("[[1,2,4,8,1,1],[null,'a','a','a','a','a','d'],[1,2],3]",
                    seen.toString().replace("\"\\\"", "'").replace("\\\"\"", "'"));
        }
    }

    @Test
    @DisplayName("the poller: a poll that hangs ends at its deadline, and the next one follows")
    void hanging() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            Object seen = scripted(chromium, "() => new Response('{\"visitors\":1}')", """
                    const real = AbortSignal.timeout;
                    const limits = [];
                    AbortSignal.timeout = (ms) => real.call(AbortSignal, limits.push(ms) && 20);
                    const answering = window.fetch;
                    window.fetch = (url, options) => limits.length > 1 ? answering(url, options)
                      : new Promise((resolve, reject) => options.signal.addEventListener("abort",
                        () => reject(options.signal.reason)));
                    const stop = new AbortController();
                    shortPoll(settings, stop);
                    await until(() => settings.shown.length > 0);
                    stop.abort();
                    AbortSignal.timeout = real;
                    return `${limits[0]} ms, ${settings.errors} error, shown ${settings.shown}`;
                    """);
            assertEquals("5000 ms, 1 error, shown 1", seen);
        }
    }

    @Test
    @DisplayName("the page: each button of Break it shows its failure in the demo and on the wire")
    void breakIt() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.DARK)
                .expecting("status of 503", "is not valid JSON")) {
            chromium.click("slow");
            chromium.see("#outcome",
                    "at most: naive [2-9], careful 1\\..* naive [1-9]\\d* times, careful 0");
            chromium.seeWire("^GET /_/slow\\?naive$");
            chromium.seeWire("^200 OK, held (9\\d\\d ms|[\\d.]+ s)$");
            chromium.click("outage");
            chromium.see("#outcome",
                    "Naive: [4-9] polls got 503.*\"visitors undefined, clicks undefined\""
                            + ".*Careful: 1 poll got 503.*\"visitors \\d+, clicks \\d+\"");
            chromium.seeWire("503 Service Unavailable$");
            chromium.click("garbage");
            chromium.see("#outcome",
                    "Naive: [4-9] uncaught.*Careful: [1-3] caught.*\"visitors \\d+, clicks");
            chromium.seeWire("^GET /_/garbage$");
            chromium.click("forget");
            chromium.see("#outcome",
                    "the naive client polled [4-9] times, the careful one 0 times");
            chromium.screenshot("01-wide-dark");
        }
    }

    @Test
    @DisplayName("the page: a second button ends what the first began, and Stop ends it all")
    void interrupted() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.page.selectOption("#interval", "100");
            chromium.click("start");
            chromium.click("forget");
            chromium.click("slow");
            chromium.click("stop");
            chromium.see("#outcome", "stopped");
            chromium.page.waitForFunction("""
                    () => performance.getEntriesByType("resource")
                      .every((each) => each.startTime < performance.now() - 600)""");
            assertEquals("Both clients have stopped.", chromium.text("#outcome"));
        }
    }

    @Test
    @DisplayName("the wire view: a conditional request sent by hand appears, with its exact bytes")
    void wire() throws Exception {
        try (Chromium chromium = Chromium.open(server, 390, ColorScheme.LIGHT)) {
            String tag = stats("User-Agent: curl/8").header("etag");
            stats("User-Agent: curl/8", "If-None-Match: " + tag);
            chromium.seeWire("^304, empty$");
            chromium.page.locator("#wire-rows .row").nth(2).click();
            chromium.see("#wire-rows .detail pre", "If-None-Match: " + tag);
            chromium.see("#wire-lanes", "curl");
            chromium.page.selectOption("#interval", "100");
            chromium.click("start");
            chromium.see("#careful dd:nth-of-type(2)", "^[2-9]$");
            chromium.screenshot("01-narrow-light");
        }
    }
}
