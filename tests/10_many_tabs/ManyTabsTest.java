import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.microsoft.playwright.Page;
import com.microsoft.playwright.TimeoutError;
import com.microsoft.playwright.options.ColorScheme;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("10 Many tabs")
class ManyTabsTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int TABS = 7;
    private static final int EDITS = 40;
    private static final String BUSY = "setTimeout(() => {"
            + "for (const end = performance.now() + 3000; performance.now() < end;); })";
    private static int documents;
    private static Server server;

    private final String doc = "d" + ++documents;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/10_many_tabs.java");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    private static JsonNode get(String path) throws Exception {
        return JsonMapper.shared()
                .readTree(RawHttp.ask(server.port, "GET", path, null).text());
    }

    private int edit() throws Exception {
        String body = "{\"doc\":\"" + doc + "\",\"person\":\"bob\",\"text\":\"hi\"}";
        RawHttp.Answer answer = RawHttp.ask(server.port, "POST", "/edits", body);
        assertEquals(201, answer.status());
        return JsonMapper.shared().readTree(answer.text()).get("n").asInt();
    }

    private void readersAre(int wanted) throws Exception {
        Eventually.see("readers", SOON,
                () -> get("/_/page/readers?doc=" + doc).asInt(), n -> n == wanted);
    }

    private String url(String origin, int tab, String as) {
        return "%s/tab?tab=%s&doc=%s&person=ada&as=%s".formatted(origin, tab, doc, as);
    }

    private Page tab(Chromium chromium, String origin, int n, String as) {
        Page tab = chromium.tab();
        tab.navigate(url(origin, n, as));
        is(tab, "reads|leads|follows");
        return tab;
    }

    private static void is(Page tab, String states) {
        tab.waitForFunction("states => new RegExp(states).test(state)", states);
    }

    private List<Page> share(Chromium chromium) throws Exception {
        List<Page> tabs = new ArrayList<>();
        for (int n = 1; n <= TABS; n++) {
            tabs.add(tab(chromium, server.url(""), n, "shared"));
        }
        is(tabs.getFirst(), "leads");
        readersAre(1);
        return tabs;
    }

    /// Each has heard every event until this one, once and in order.
    private static void heardAll(List<Page> tabs, int last) {
        List<Integer> all = IntStream.rangeClosed(1, last).boxed().toList();
        for (Page tab : tabs) {
            tab.waitForFunction("last => heard.includes(last)", last);
            assertEquals(all,
                    tab.evaluate("last => heard.filter((n) => n <= last)", last));
        }
    }

    @Test
    @DisplayName("seven tabs have one stream, and no event is lost or comes twice while leaders close")
    void closed() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            List<Page> tabs = share(chromium);
            int last = 0;
            for (int i = 0; i < EDITS; i++) {
                last = edit();
                if (i % 10 == 5) tabs.removeFirst().close();
            }
            heardAll(tabs, last);
            readersAre(1);
        }
    }

    @Test
    @DisplayName("a blocked leader delays its followers; they miss nothing, and hear nothing twice")
    void blocked() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            List<Page> tabs = share(chromium);
            tabs.getFirst().evaluate(BUSY);
            int last = 0;
            for (int i = 0; i < EDITS; i++) last = edit();
            heardAll(tabs, last);
        }
    }

    /// A visible page is never frozen, and headless Chromium has no other: so the test says what
    /// the browser would say, and keeps the tab busy meanwhile.
    @Test
    @DisplayName("a leader that will be frozen hands on; when it wakes it has missed nothing")
    void frozen() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            List<Page> tabs = share(chromium);
            Page leader = tabs.removeFirst();
            leader.evaluate("document.dispatchEvent(new Event('freeze'))");
            leader.evaluate(BUSY);
            is(tabs.getFirst(), "leads");
            int last = 0;
            for (int i = 0; i < EDITS; i++) last = edit();
            heardAll(tabs, last);
            leader.evaluate("document.dispatchEvent(new Event('resume'))");
            is(leader, "follows");
            heardAll(List.of(leader), edit());
        }
    }

    @Test
    @DisplayName("with a stream each the seventh tab does not load until another is closed")
    void own() throws Exception {
        try (Chromium chromium = Chromium.open(server)) {
            String other = "http://localhost:" + server.cablePort();
            List<Page> tabs = new ArrayList<>();
            for (int n = 1; n < TABS; n++) tabs.add(tab(chromium, other, n, "own"));
            Page seventh = chromium.tab();
            seventh.evaluate("url => { location = url }", url(other, TABS, "own"));
            assertThrows(TimeoutError.class, () -> seventh.waitForURL("**/tab?*",
                    new Page.WaitForURLOptions().setTimeout(2_000)));
            tabs.getFirst().close();
            seventh.waitForURL("**/tab?*");
            is(seventh, "reads");
            readersAre(TABS - 1);
        }
    }

    @Test
    @DisplayName("over HTTP/2 seven tabs have a stream each, and one leader; who closes is forgotten")
    void http2() throws Exception {
        int port = Eventually.see("the certificate", SOON,
                () -> get("/_/page/secure").get("port").asInt(), made -> made > 0);
        String secure = "https://localhost:" + port;
        try (Chromium chromium = Chromium.open(server)) {
            List<Page> tabs = new ArrayList<>();
            for (int n = 1; n <= TABS; n++) tabs.add(tab(chromium, secure, n, "own"));
            readersAre(TABS);
            assertEquals("h2", tabs.getFirst().evaluate(
                    "performance.getEntriesByType('navigation')[0].nextHopProtocol"));
            while (tabs.size() > 1) tabs.removeLast().close();
            readersAre(1);
            tabs.removeLast().navigate(secure + "/");
            readersAre(0);
            for (int n = 1; n <= TABS;
                    n++) tabs.add(tab(chromium, secure, n, "shared"));
            readersAre(1);
            edit();
            tabs.removeFirst().close();
            heardAll(tabs, edit());
        }
        assertEquals(true, get("/_/page/secure").get("accepted").asBoolean());
    }

    @Test
    @DisplayName("the server: the log from a number on, `Last-Event-ID` first; 200 readers that reset are forgotten")
    void server() throws Exception {
        int last = edit();
        RawHttp stream = new RawHttp(server.port).request("GET",
                "/events?after=0&doc=" + doc, null, "Last-Event-ID: " + last);
        assertEquals(200, stream.head().status());
        String line = stream.line();
        while (!line.startsWith("data:")) line = stream.line();
        assertEquals("{\"n\":2,\"type\":\"here\",\"person\":\"ada\",\"text\":\"\"}",
                line.substring("data:".length()).strip());
        assertEquals(2, get("/log?doc=" + doc).size());
        assertEquals(1, get("/log?after=1&doc=" + doc).size());
        List<RawHttp> readers = new ArrayList<>(List.of(stream));
        for (int i = 0; i < 200; i++) {
            RawHttp reader =
                    new RawHttp(server.port).request("GET", "/events?doc=" + doc, null);
            assertEquals(200, reader.head().status());
            readers.add(reader);
        }
        readersAre(readers.size());
        for (RawHttp reader : readers) {
            reader.socket.setSoLinger(true, 0);
            reader.close();
        }
        readersAre(0);
        assertEquals(400,
                RawHttp.ask(server.port, "GET", "/events?doc=A", null).status());
        assertEquals(400, RawHttp.ask(server.port, "GET", "/log", null).status());
    }

    @Test
    @DisplayName("the page: each experiment asks for a prediction, and its outcome is measured")
    void page() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.LIGHT)
                .expecting("fetched from elsewhere: http")) {
            chromium.experiment("seven", "seventh showed nothing.*It was: nothing");
            chromium.experiment("sockets", "It was: seven");
            chromium.experiment("shared", "predicted: 1. Right");
            chromium.screenshot("10-wide-light");
            chromium.experiment("closes",
                    "missed 0 events, and heard 0 twice.*predicted: nothing. Right");
            chromium.experiment("blocks",
                    "missed 0 events, and heard 0 twice.*It was: when the leader is free");
            chromium.experiment("reload", "It was: gone, then here");
            chromium.click("http2");
            chromium.page.locator("#outcome .guess").first().click();
            chromium.page.waitForFunction("() => /It was: 100|First open/.test("
                    + "document.querySelector('#outcome').textContent)");
            var link = chromium.page.locator("#outcome a");
            if (link.count() > 0) {
                Page opened = chromium.page.waitForPopup(link::click);
                assertEquals("Accepted. Close this tab, and go on.",
                        opened.textContent("body"));
                opened.close();
            }
            chromium.see("#outcome",
                    "had 7 streams. Of 94 more, 93 came.*It was: 100");
        }
    }
}
