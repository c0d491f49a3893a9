//DEPS com.microsoft.playwright:playwright:1.62.0
//DEPS org.slf4j:slf4j-nop:2.0.17

import grader.repo.Repo;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.PlaywrightException;
import com.microsoft.playwright.options.ColorScheme;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/// A lesson's page in headless Chromium: the one on the PATH, else Playwright's own download.
/// Where neither can be had, the test is skipped with the remedy; with `CI=true` it fails.
final class Chromium implements AutoCloseable {
    private static final List<String> OPTIONS = List.of("--no-sandbox", "--disable-gpu",
            "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync");
    /// One for each thread that opens pages, as Playwright wants it.
    private static final ThreadLocal<Browser> BROWSER = new ThreadLocal<>();
    private static final Queue<Playwright> ALL = new ConcurrentLinkedQueue<>();
    private static volatile String missing;

    final Page page;
    private final BrowserContext context;
    private final String origin;
    private final List<String> complaints = new ArrayList<>();
    private List<String> expected = List.of();

    private Chromium(String origin, int width, ColorScheme scheme) {
        this.origin = origin;
        context = BROWSER.get().newContext(new Browser.NewContextOptions()
                .setViewportSize(width, width < 600 ? 844 : 900)
                .setIgnoreHTTPSErrors(true) // certificates are made by the lessons
                .setColorScheme(scheme));
        page = context.newPage();
        page.setDefaultTimeout(60_000);
        page.onConsoleMessage(message -> {
            if (message.type().matches(
                    "error|warning")) complaints.add("console: " + message.text());
        });
        page.onPageError(error -> complaints.add("uncaught: " + error));
        page.onRequest(request -> {
            if (!request.url().startsWith(origin.replaceFirst("[^/]*$", ""))
                    && !request.url().startsWith("data:")) {
                complaints.add("fetched from elsewhere: " + request.url());
            }
        });
        page.navigate(origin);
        page.waitForFunction(
                "() => document.querySelector('#wire-totals')?.children.length > 0");
    }

    /// Opens the page of `server` and waits until its wire view watches.
    static Chromium open(Server server) {
        return open(server, 1440, ColorScheme.LIGHT);
    }

    static Chromium open(Server server, int width, ColorScheme scheme) {
        return open(server.url("/"), width, scheme);
    }

    /// @param origin `http://host:port/`, or a page there
    static Chromium open(String origin, int width, ColorScheme scheme) {
        if (BROWSER.get() == null && missing == null) launch();
        if (missing != null
                && "true".equals(System.getenv("CI"))) Assertions.fail(missing);
        Assumptions.assumeTrue(missing == null, missing);
        return new Chromium(origin, width, scheme);
    }

    private static void launch() {
        Optional<Path> installed =
                Stream.of(System.getenv("PATH").split(File.pathSeparator))
                        .flatMap(folder -> Stream
                                .of("chromium", "chromium-browser", "google-chrome")
                                .map(name -> Path.of(folder, name)))
                        .filter(Files::isExecutable).findFirst();
        Map<String, String> environment = new HashMap<>(System.getenv());
        if (installed
                .isPresent()) environment.put("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
        try {
            Playwright playwright = Playwright
                    .create(new Playwright.CreateOptions().setEnv(environment));
            ALL.add(playwright);
            var options = new BrowserType.LaunchOptions().setArgs(OPTIONS);
            installed.ifPresent(options::setExecutablePath);
            BROWSER.set(playwright.chromium().launch(options));
        } catch (PlaywrightException e) {
            missing =
                    "No browser: install chromium so that it is on the PATH, then run this again. ("
                            + e.getMessage().lines().findFirst().orElse("") + ")";
        }
    }

    static void stop() {
        ALL.forEach(Playwright::close);
    }

    /// Console messages that contain one of these are part of the lesson: a browser reports every
    /// failed request there.
    Chromium expecting(String... messages) {
        expected = List.of(messages);
        return this;
    }

    /// Another tab of this browser: it shares connections, locks and channels with this one.
    Page tab() {
        Page tab = context.newPage();
        tab.setDefaultTimeout(60_000);
        return tab;
    }

    /// Clicks; the button of an experiment without guesses asks only whether to run it.
    void click(String id) {
        var button = page.locator("#" + id);
        boolean asks = button.getAttribute("data-expect") != null
                && button.getAttribute("data-guesses") == null;
        button.click();
        if (asks) page.locator("#outcome .guess").click();
    }

    /// Presses the button of an experiment that asks for a prediction, takes the first one, and
    /// waits for what came of it.
    void experiment(String button, String outcome) {
        click(button);
        page.locator("#outcome .guess").first().click();
        see("#outcome", outcome);
        see("#outcome", "You predicted");
    }

    String text(String selector) {
        return page.locator(selector).first().textContent().strip();
    }

    /// Waits until the text of an element matches.
    String see(String selector, String pattern) {
        try {
            page.waitForFunction("([at, pattern]) => new RegExp(pattern).test("
                    + "document.querySelector(at)?.textContent)",
                    List.of(selector, pattern),
                    new Page.WaitForFunctionOptions().setTimeout(60_000));
        } catch (PlaywrightException e) {
            Assertions.fail(selector + " never matched /" + pattern + "/; it says '"
                    + text(selector) + "'");
        }
        return text(selector);
    }

    /// The rows of the wire view so far, a line each: the label, without time and size.
    List<String> wire() {
        return page.locator("#wire-rows .row .label").allTextContents();
    }

    /// Waits for a row of the wire view whose label matches, with or without how long it was held.
    void seeWire(String pattern) {
        try {
            page.waitForFunction(
                    "pattern => [...document.querySelectorAll('#wire-rows .label')]"
                            + ".map(label => label.textContent).some(text => "
                            + "[text, text.replace(/, held [^,]*$/, '')].some("
                            + "each => new RegExp(pattern).test(each)))",
                    pattern);
        } catch (PlaywrightException e) {
            Assertions.fail("no row of the wire view matched /" + pattern + "/; rows: "
                    + wire());
        }
    }

    /// Waits for a row of the wire view whose name, lanes and label, matches.
    void seeRow(String pattern) {
        page.waitForFunction(
                "pattern => [...document.querySelectorAll('#wire-rows .row')]"
                        + ".some(row => new RegExp(pattern).test(row.ariaLabel))",
                pattern);
    }

    /// Keeps a picture in `build/screenshots`.
    void screenshot(String name) {
        page.screenshot(new Page.ScreenshotOptions()
                .setPath(Repo.root().resolve("build/screenshots/" + name + ".png")));
    }

    /// Fails where the page logged an error, threw, or fetched something from elsewhere.
    @Override
    public void close() {
        context.close();
        List<String> unexpected = complaints.stream()
                .filter(text -> expected.stream().noneMatch(text::contains)).toList();
        Assertions.assertEquals(List.of(), unexpected, "the page complained");
    }
}
