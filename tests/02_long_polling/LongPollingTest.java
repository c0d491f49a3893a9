import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("02 Long polling")
class LongPollingTest {
    private static final Duration SOON = Duration.ofSeconds(30);
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/02_long_polling.java");
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

    /// Makes a payment.
    ///
    /// @return its path
    private static String pay() throws Exception {
        return ask("POST", "/payments", "{\"amount\":4200}").header("location");
    }

    private static RawHttp.Answer settle(String path, String status) throws Exception {
        return ask("PUT", path + "/status", "{\"status\":\"" + status + "\"}");
    }

    private static int waiting() throws Exception {
        return Integer
                .parseInt(ask("GET", "/waiting", null).text().replaceAll("\\D", ""));
    }

    private static RawHttp park(String target, String... fields) throws Exception {
        int before = waiting();
        RawHttp raw = new RawHttp(server.port).request("GET", target, null, fields);
        Eventually.see("GET " + target + " is held", SOON, LongPollingTest::waiting,
                now -> now == before + 1);
        return raw;
    }

    private static void nobodyWaits() throws Exception {
        Eventually.see("nobody waits", SOON, LongPollingTest::waiting, now -> now == 0);
    }

    @Test
    @DisplayName("a payment is created with a location, pending, at version 1")
    void create() throws Exception {
        RawHttp.Answer made =
                ask("POST", "/payments", "{\"amount\":1.0,\"unknown\":[{}]}");
        assertEquals(201, made.status(), made::toString);
        String id = made.header("location").replace("/payments/", "");
        assertEquals("{\"id\":\"" + id + "\",\"status\":\"pending\",\"version\":1}",
                made.text());
        assertEquals("no-store", made.header("cache-control"));
    }

    @Test
    @DisplayName("a body that is not a payment is refused with the right status")
    void badBodies() throws Exception {
        for (String body : List.of("{\"amount\":0}", "{\"amount\":100000000}",
                "{\"amount\":1.5}", "{\"amount\":1.00000000000000000000001}",
                "{\"amount\":1e999999999999}",
                "{\"amount\":-1}", "{\"amount\":1e400}", "{\"amount\":\"1\"}",
                "{\"amount\":null}",
                "{\"amount\":" + "9".repeat(900) + "}", "{}", "[]", "1", "null",
                "\"x\"", "{", "{} {}",
                "{\"amount\":NaN}", "[".repeat(5_000))) {
            RawHttp.Answer answer = ask("POST", "/payments", body);
            assertEquals(400, answer.status(), () -> body + " got " + answer);
        }
        assertEquals(400, ask("POST", "/payments", null).status(), "no body");
        assertEquals(415, ask("POST", "/payments", "{\"amount\":1}",
                "Content-Type: text/plain").status());
        assertEquals(201, ask("POST", "/payments", "{\"amount\":1}",
                "Content-Type: Application/JSON; charset=utf-8").status());
        try (RawHttp raw = new RawHttp(server.port)) {
            raw.send("POST /payments HTTP/1.1\r\nHost: localhost:" + server.port
                    + "\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
                    + "{\"amount\":1,\"");
            raw.send(new byte[] {(byte) 0xff});
            assertEquals(400, raw.answer().status(), "invalid UTF-8");
        }
    }

    @Test
    @DisplayName("a body may have 65,536 bytes and not one more, by length or in chunks")
    void bodySize() throws Exception {
        String start = "{\"amount\":1,\"x\":\"";
        String fits = start + "x".repeat(65_536 - start.length() - 2) + "\"}";
        assertEquals(201, ask("POST", "/payments", fits).status());
        assertEquals(413, ask("POST", "/payments", fits + " ").status());
        assertEquals(413, ask("POST", "/payments", "x".repeat(700_000)).status());
        for (int size : List.of(fits.length(), fits.length() + 1, 700_000)) {
            try (RawHttp raw = new RawHttp(server.port)) {
                raw.send("POST /payments HTTP/1.1\r\nHost: localhost:" + server.port
                        + "\r\nContent-Type: application/json\r\n"
                        + "Transfer-Encoding: chunked\r\n\r\n");
                String body = fits + " ".repeat(size - fits.length());
                for (int at = 0; at < size; at += 10_000) {
                    String chunk = body.substring(at, Math.min(size, at + 10_000));
                    raw.send(Integer.toHexString(chunk.length()) + "\r\n" + chunk
                            + "\r\n");
                }
                raw.send("0\r\n\r\n");
                assertEquals(size > 65_536 ? 413 : 201, raw.answer().status(),
                        size + " in chunks");
            }
        }
    }

    @Test
    @DisplayName("a client that knows less is answered at once")
    void known() throws Exception {
        String path = pay();
        String now = "{\"id\":\"" + path.substring(10)
                + "\",\"status\":\"pending\",\"version\":1}";
        assertEquals(now, ask("GET", path, null).text());
        assertEquals(now, ask("GET", path + "?after=0", null).text());
        assertEquals(204,
                ask("GET", path + "?after=1", null, "Prefer: wait=0").status());
    }

    @Test
    @DisplayName("a held request is answered the moment the payment is settled")
    void held() throws Exception {
        String path = pay();
        try (RawHttp waiter = park(path + "?after=1");
                RawHttp head = new RawHttp(server.port)) {
            head.request("HEAD", path + "?after=1", null);
            Eventually.see("HEAD is held too", SOON, LongPollingTest::waiting,
                    now -> now == 2);
            RawHttp.Answer settled = settle(path, "succeeded");
            assertEquals(200, settled.status());
            RawHttp.Answer news = waiter.answer();
            assertEquals(200, news.status());
            assertEquals(settled.text(), news.text());
            assertTrue(news.text().contains("\"status\":\"succeeded\",\"version\":2"),
                    news.text());
            assertEquals("no-store", news.header("cache-control"));
            assertEquals(200, head.answer(true).status());
        }
        nobodyWaits();
    }

    @Test
    @DisplayName("a waiter ahead of the payment is held, and hears 204 when it wakes")
    void ahead() throws Exception {
        String path = pay();
        try (RawHttp waiter = park(path + "?after=9007199254740992")) {
            settle(path, "failed");
            assertEquals(204, waiter.answer().status());
        }
        assertEquals(204, ask("GET", path + "?after=2", null).status(),
                "settled, nothing newer");
        assertEquals(200, ask("GET", path + "?after=1", null).status(),
                "settled, news");
    }

    @Test
    @DisplayName("a settled payment stays as it is: the same word is confirmed, another one is 409")
    void settledOnce() throws Exception {
        String path = pay();
        assertEquals(200, settle(path, "failed").status());
        RawHttp.Answer again = settle(path, "failed");
        assertEquals(200, again.status(), "the same word, repeated");
        assertTrue(again.text().contains("\"version\":2"), again::toString);
        assertEquals(409, settle(path, "succeeded").status());
        assertEquals(400, settle(path, "pending").status());
        assertEquals(400, ask("PUT", path + "/status", "{}").status());
        assertTrue(ask("GET", path, null).text().contains("failed"));
    }

    @Test
    @DisplayName("the deadline is Prefer: wait in seconds; what cannot be read is ignored")
    void prefer() throws Exception {
        String path = pay() + "?after=1";
        for (String wait : List.of("wait=1", "respond-async, Wait=1;x=y",
                "wait = \"1\"", "wait=1,wait=9")) {
            long began = System.nanoTime();
            assertEquals(204, ask("GET", path, null, "Prefer: " + wait).status(), wait);
            long took = (System.nanoTime() - began) / 1_000_000;
            assertTrue(took > 900 && took < 3_000, wait + " took " + took + " ms");
        }
        assertEquals(204, ask("GET", path, null, "Prefer: wait=000").status());
        for (String wait : List.of("wait=-1", "wait=0.5", "wait=x", "wait", "waits=0",
                "await=0", "wait=\"0", "wait=99999999999999999999")) {
            try (RawHttp waiter = park(path, "Prefer: " + wait)) {
                assertTrue(waiter.isSilentFor(50), wait + " is held");
            }
            nobodyWaits();
        }
    }

    @Test
    @DisplayName("without a preference a request is held for 25 seconds")
    void deadline() throws Exception {
        String path = pay() + "?after=1";
        try (RawHttp waiter = new RawHttp(server.port)) {
            waiter.socket.setSoTimeout(30_000);
            long began = System.nanoTime();
            assertEquals(204, waiter.request("GET", path, null).answer().status());
            long took = (System.nanoTime() - began) / 1_000_000;
            assertTrue(took > 24_500 && took < 27_000, "took " + took + " ms");
            assertEquals(200, waiter.request("GET", "/waiting", null).answer().status(),
                    "the connection is used again");
        }
    }

    @Test
    @DisplayName("an unknown payment is 404, whatever the method; a bad cursor is 400")
    void bad() throws Exception {
        for (String method : List.of("GET", "PUT", "DELETE")) {
            assertEquals(404, ask(method, "/payments/none", null).status());
        }
        assertEquals(404,
                ask("PUT", "/payments/none/status", "x".repeat(70_000)).status());
        String path = pay();
        for (String after : List.of("-1", "1.5", "x", "", "9007199254740993",
                "1&after=1",
                "99999999999999999999999", "%00")) {
            assertEquals(400, ask("GET", path + "?after=" + after, null).status(),
                    after);
        }
    }

    @Test
    @DisplayName("a client that closes or resets is gone at once, with nothing written")
    void gone() throws Exception {
        String path = pay() + "?after=1";
        park(path).close();
        nobodyWaits();
        park(path).reset();
        nobodyWaits();
        try (RawHttp half = park(path)) {
            half.socket.shutdownOutput();
            nobodyWaits();
        }
    }

    @Test
    @DisplayName("a second request sent while the first is held is answered after it")
    void pipelined() throws Exception {
        String path = pay();
        try (RawHttp waiter = park(path + "?after=1")) {
            waiter.request("GET", "/waiting", null);
            assertTrue(waiter.isSilentFor(100));
            settle(path, "succeeded");
            assertEquals(200, waiter.answer().status());
            assertEquals("{\"waiting\":0}", waiter.answer().text());
        }
    }

    @Test
    @DisplayName("the waiter over the cap gets 503 with Retry-After, the others stay")
    void cap() throws Exception {
        try (Server small =
                Server.start("lessons/02_long_polling.java", "MAX_WAITERS=2")) {
            String path = RawHttp.ask(small.port, "POST", "/payments", "{\"amount\":1}")
                    .header("location");
            List<RawHttp> held = new ArrayList<>();
            for (int i = 1; i <= 2; i++) {
                int expected = i;
                held.add(new RawHttp(small.port).request("GET", path + "?after=1",
                        null));
                Eventually.see("held", SOON,
                        () -> RawHttp.ask(small.port, "GET", "/waiting", null)
                                .text(),
                        text -> text.equals("{\"waiting\":" + expected + "}"));
            }
            RawHttp.Answer refused =
                    RawHttp.ask(small.port, "GET", path + "?after=1", null);
            assertEquals(503, refused.status());
            assertTrue(refused.header("retry-after").matches("\\d+"),
                    refused::toString);
            assertEquals(200, RawHttp.ask(small.port, "GET", path, null).status(),
                    "news needs no place");
            RawHttp.ask(small.port, "PUT", path + "/status", "{\"status\":\"failed\"}");
            for (RawHttp each : held) {
                assertEquals(200, each.answer().status());
                each.close();
            }
        }
    }

    @Test
    @DisplayName("a server that stops answers its waiters with 503 and Retry-After")
    void stopping() throws Exception {
        try (Server own = Server.start("lessons/02_long_polling.java")) {
            String path = RawHttp.ask(own.port, "POST", "/payments", "{\"amount\":1}")
                    .header("location");
            try (RawHttp waiter =
                    new RawHttp(own.port).request("GET", path + "?after=1", null)) {
                Eventually.see("held", SOON,
                        () -> RawHttp.ask(own.port, "GET", "/waiting", null).text(),
                        text -> text.contains("1"));
                assertEquals(143, own.stop("TERM"));
                RawHttp.Answer last = waiter.answer();
                assertEquals(503, last.status());
                assertTrue(last.header("retry-after").matches("\\d+"), last::toString);
            }
            assertEquals("", own.errors());
        }
    }

    @Test
    @DisplayName("a thousand updates race a thousand re-polling clients, and none is missed")
    void race() throws Exception {
        int payments = 1_000;
        List<String> paths = new ArrayList<>();
        for (int i = 0; i < payments; i++) paths.add(pay());
        Set<String> heard = new TreeSet<>();
        CountDownLatch turn = new CountDownLatch(1);
        try (ExecutorService clients = Executors.newFixedThreadPool(16)) {
            List<Future<?>> settled = new ArrayList<>();
            List<Future<?>> followed = new ArrayList<>();
            for (String path : paths) {
                followed.add(clients.submit(() -> {
                    turn.await();
                    try (RawHttp raw = new RawHttp(server.port)) {
                        raw.request("GET", path + "?after=1", null, "Prefer: wait=50");
                        RawHttp.Answer answer = raw.answer();
                        synchronized (heard) {
                            if (answer.status() == 200) heard.add(path);
                        }
                    }
                    return null;
                }));
                settled.add(clients.submit(() -> {
                    turn.await();
                    return settle(path, "succeeded");
                }));
            }
            turn.countDown();
            for (Future<?> each : followed) each.get(30, TimeUnit.SECONDS);
            for (Future<?> each : settled) each.get(30, TimeUnit.SECONDS);
        }
        assertEquals(payments, heard.size(), "clients that heard of their payment");
        nobodyWaits();
    }

    @Test
    @DisplayName("the page: the short poller is late and wasteful, the long poller neither")
    void demo() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            chromium.click("pay");
            chromium.see("#short dd:nth-of-type(2)", "^[2-9]$");
            chromium.click("succeed");
            chromium.see("#long .big", "succeeded");
            chromium.see("#short .big", "succeeded");
            assertEquals("2", chromium.text("#long dd:nth-of-type(1)"),
                    "requests of the long poller");
            assertEquals("0", chromium.text("#long dd:nth-of-type(2)"),
                    "empty answers");
            chromium.see("#long dd:nth-of-type(3)", "^[\\d.]+ ms$");
            chromium.seeWire("^200 OK, held [\\d.]+ s$");
            chromium.seeWire("^204, empty$");
            chromium.seeWire("^nothing for ");
            chromium.screenshot("02-wide-light");
        }
    }

    @Test
    @DisplayName("the page: each button of Break it shows its failure in the demo and on the wire")
    void breakIt() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.DARK)) {
            chromium.click("miss");
            chromium.see("#outcome",
                    "one step: 200 after \\d+ ms."
                            + " Naive: 200 after ([5-9]|1\\d)\\.\\d s; nobody woke it");
            chromium.seeWire("^200 OK, held [\\d.]+ s$");
            chromium.click("spin");
            chromium.see("#outcome", "^20 requests in ");
            chromium.seeWire("^GET /payments/\\w+$");
            chromium.click("leave");
            chromium.see("#outcome", "held: 0 before, 1 with ours, 0 after");
            chromium.seeWire("^connection closed$");
            chromium.click("six");
            chromium.see("#outcome", "was answered after (3.9|4.\\d) s");
            chromium.screenshot("02-wide-dark");
        }
    }

    /// When the long poller has asked, in ms from its first request: until it ends, or `n` times.
    ///
    /// @param answer JavaScript for the answer to request `n`
    private static double[] asked(Chromium chromium, int n, String answer) {
        List<?> at = (List<?>) chromium.page.evaluate("""
                async () => {
                  const real = window.fetch;
                  const asked = [];
                  const stop = new AbortController();
                  window.fetch = async (url) => {
                    asked.push(performance.now());
                    const n = asked.length;
                    if (n === %d) stop.abort();
                    return %s;
                  };
                  try {
                    await longPoll("x", { signal: stop.signal, show() {}, count() {} });
                    return asked.map((each) => each - asked[0]);
                  } finally {
                    window.fetch = real;
                  }
                }""".formatted(n, answer));
        return at.stream().mapToDouble(each -> ((Number) each).doubleValue()).toArray();
    }

    @Test
    @DisplayName("the long poller: a log-in page is an error each time, 204 no loop, 410 the end")
    void faults() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            double[] login = asked(chromium, 4, "new Response('<html>')");
            assertTrue(login[3] - login[2] >= 2_000, "the third pause is longer: "
                    + Arrays.toString(login));
            double[] empty = asked(chromium, 6, "new Response(null, { status: 204 })");
            assertTrue(empty[5] >= 990, "five a second: " + Arrays.toString(empty));
            for (int status : List.of(400, 401, 403, 404, 410)) {
                assertEquals(1, asked(chromium, 2, "new Response('', { status: "
                        + status + " })").length, "requests after " + status);
            }
            double[] later = asked(chromium, 2,
                    """
                    new Response("", { status: 503, headers: { "Retry-After": "1" } })""");
            assertTrue(later[1] >= 1_490, "chance on top: " + Arrays.toString(later));
            double[] date = asked(chromium, 2, """
                    new Response("", { status: 503, headers: {
                      "Date": "Sun, 06 Nov 1994 08:49:37 GMT",
                      "Retry-After": "Sun, 06 Nov 1994 08:49:39 GMT" } })""");
            assertTrue(date[1] >= 2_490, "by the answer's clock: "
                    + Arrays.toString(date));
        }
    }

    @Test
    @DisplayName("the wire view: a request sent by hand appears, with its exact bytes on a click")
    void wire() throws Exception {
        try (Chromium chromium = Chromium.open(server, 390, ColorScheme.LIGHT)) {
            ask("GET", "/waiting?by=hand", null, "User-Agent: curl/8");
            chromium.seeWire("^GET /waiting\\?by=hand$");
            chromium.page.locator("#wire-rows .row").first().click();
            chromium.see("#wire-rows .detail pre", "GET /waiting\\?by=hand HTTP/1.1");
            chromium.see("#wire-rows .detail pre", "User-Agent: curl/8");
            chromium.see("#wire-lanes", "curl");
            chromium.screenshot("02-narrow-light");
        }
    }
}
