import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.SimpleFileServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import shared.course.Course;

/// The static pages, as a server of files hands them out. With `RECORDING=write` in the
/// environment the recordings are made first: each lesson's first experiment, in its own page.
@DisplayName("The site")
@Timeout(1_800)
class SiteTest {
    /// What the wire view has drawn, a row a line, in ASCII.
    private static final String ROWS = """
            question => JSON.stringify({
              question,
              outcome: byId("outcome").textContent.split(" " + question.split(": ")[1])[0],
              lanes: wire.lanes,
              rows: view.rows.slice(-120).map(({ at, kind, label, status, size, ms, text, raw,
                conn, place, dir, empty, way, bars, quiet }) => ({
                at: Math.round(at * 10) / 10, kind, label, status, size, ms,
                text: text?.slice(0, 400), raw: raw.slice(0, 800),
                conn, place, dir, empty, way, quiet,
                bars: bars.map(({ lane, shift, begins, ends }) =>
                  ({ lane, shift, begins, ends })) })),
            }).replaceAll('{"at"', '\\n{"at"').replace(/[^\\n -~]/g, (c) =>
              "\\\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")) + "\\n"
            """;
    private static final int SOME = 5;

    @TempDir static Path folder;
    private static HttpServer server;

    @BeforeAll
    static void write() throws Exception {
        if ("write".equals(System.getenv("RECORDING"))) {
            for (Course.Lesson each : Verify.lessons()) record(each);
        }
        Site.write(folder);
        server = SimpleFileServer.createFileServer(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                folder.toRealPath(), SimpleFileServer.OutputLevel.NONE);
        server.start();
    }

    @AfterAll
    static void stop() {
        if (server != null) server.stop(0);
    }

    private static void record(Course.Lesson lesson) throws Exception {
        try (Server running = Server.start("lessons/" + lesson.name() + ".java");
                Chromium chromium = Chromium.open(running).expecting("")) {
            var page = chromium.page;
            var button = page.locator("#demo [data-expect]").first();
            String question = button.textContent() + ": "
                    + button.getAttribute("data-expect");
            button.click();
            page.locator("#outcome .guess").first().click();
            page.waitForFunction("button => button.ariaBusy === 'false'",
                    button.elementHandle());
            Path file = Files.createDirectories(Site.recording(lesson).getParent())
                    .resolve(lesson.name() + ".json");
            Files.writeString(file, (String) page.evaluate(ROWS, question));
        }
    }

    private static String url(String file) {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/" + file;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#lessons")
    @DisplayName("a lesson's page plays its recording, and shows the bytes of a row")
    void plays(Course.Lesson lesson) {
        assertTrue(Files.exists(Site.recording(lesson)),
                "RECORDING=write ./jbang verify " + lesson.number() + " Site");
        try (Chromium chromium = Chromium.open(url(lesson.name() + ".html"), 1366,
                ColorScheme.LIGHT)) {
            var page = chromium.page;
            page.setViewportSize(1366, 657);
            assertTrue(chromium.text("#asks").endsWith("?"), chromium.text("#asks"));
            page.locator("#play").click();
            page.waitForFunction("some => document.querySelectorAll('#wire-rows .row')"
                    + ".length >= some", SOME);
            chromium.screenshot("site-" + lesson.number());
            page.evaluate("document.querySelector('#wire-rows .row').click()");
            assertEquals(1, page.locator("#wire-rows .detail").count());
            assertEquals(Course.LESSONS.size(), page.locator("#course li").count());
            assertTrue(page.locator("#notebook pre").count() > 5, "its code");
        }
    }

    @Test
    @DisplayName("its first page leads to each lesson")
    void index() {
        try (Chromium chromium = Chromium.open(url(Course.LESSONS.getFirst().name()
                + ".html"), 1366, ColorScheme.LIGHT)) {
            var page = chromium.page;
            page.locator("nav a").first().click();
            page.waitForURL("**/index.html");
            chromium.screenshot("site");
            List<String> links = page.locator("td a").all().stream()
                    .map(each -> each.getAttribute("href")).toList();
            assertEquals(
                    Course.LESSONS.stream().map(each -> each.name() + ".html").toList(),
                    links);
            for (String each : links) assertTrue(Files.exists(folder.resolve(each)),
                    each);
        }
    }
}
