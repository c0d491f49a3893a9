package shared.page;

//FILES page.css
//FILES page.js
//FILES wire.js=../wire/wire.js
//SOURCES ../course/Course.java
//DEPS org.commonmark:commonmark:0.32.0
//DEPS org.commonmark:commonmark-ext-gfm-tables:0.32.0
//DEPS org.webjars:highlightjs:11.11.1
//DEPS org.webjars.npm:uplot:1.6.30

import io.undertow.server.HttpServerExchange;
import io.undertow.util.Headers;
import io.undertow.util.HttpString;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.commonmark.ext.gfm.tables.TablesExtension;
import org.commonmark.parser.Parser;
import org.commonmark.renderer.html.HtmlRenderer;
import shared.Http;
import shared.Routes;
import shared.course.Course;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/// The page of a lesson: its own source file as a notebook, the live demo, the wire view. The
/// source lies on the class path, because each lesson embeds itself with `//FILES`, and so does
/// the demo: `NAME.html`, a fragment of HTML whose script may call the lesson's scripts. A lesson's
/// `NAME.md` follows its cells: what it leaves out, and what it is called elsewhere. The first cell
/// stands before the demo where the page is narrow.
public final class Page {
    private static final Map<String, String> ASSETS = Map.of(
            "page.css", "/page.css",
            "page.js", "/page.js",
            "wire.js", "/wire.js",
            "highlight.js", webJar("org.webjars/highlightjs", "highlight.min.js"),
            "uplot.js", webJar("org.webjars.npm/uplot", "dist/uPlot.iife.min.js"),
            "uplot.css", webJar("org.webjars.npm/uplot", "dist/uPlot.min.css"));
    private static final SecureRandom RANDOM = new SecureRandom();

    private final String name;
    private final String script;
    private Routes routes;
    private String html;

    /// @param name of the lesson's or exercise's file, without `.java`
    /// @param scripts the browser side of the technique, as classic JavaScript
    public Page(String name, String... scripts) {
        this.name = name;
        script = String.join("\n", scripts);
    }

    /// Serves it at `/`, and what it needs below `/_/page/`.
    public Routes mount(Routes routes) {
        this.routes = routes;
        return routes.get("/", this::page)
                .get("/_/page/lessons", this::lessons)
                .get("/_/page/{asset}", this::asset)
                .known("asset", ASSETS::containsKey);
    }

    private void page(HttpServerExchange exchange) throws IOException {
        byte[] random = new byte[16];
        RANDOM.nextBytes(random);
        int cable = routes.cablePort();
        String nonce = Base64.getEncoder().encodeToString(random);
        var headers = exchange.getResponseHeaders();
        headers.put(Headers.CACHE_CONTROL, "no-store");
        headers.put(new HttpString("Referrer-Policy"), "same-origin");
        headers.put(new HttpString("Content-Security-Policy"),
                """
                default-src 'none'; script-src 'nonce-%s'; style-src 'self'; connect-src 'self'%s; \
                img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'%s"""
                        .formatted(nonce, cable == 0 ? ""
                                : " ws://localhost:%1$s http://localhost:%1$s"
                                        .formatted(cable),
                                cable == 0 ? ""
                                        : "; frame-src http://localhost:%s https://localhost:*"
                                                .formatted(cable)));
        if (html == null) html = render();
        Http.send(exchange, 200, "text/html; charset=utf-8",
                html.replace("{nonce}", nonce));
    }

    /// Where all lessons stand: `[{"name","title","port","running","done"}]`.
    private void lessons(HttpServerExchange exchange) {
        JsonNode progress = progress();
        Http.json(exchange, 200, Course.LESSONS.stream().map(each -> Map.of(
                "name", each.name(), "title", each.title(), "port", each.port(),
                "running", isRunning(each.port()),
                "done", progress.path(each.name()).path("done").asBoolean(false)))
                .toList());
    }

    private static boolean isRunning(int port) {
        try (Socket probe = new Socket()) {
            probe.connect(new InetSocketAddress("127.0.0.1", port), 100);
            return true;
        } catch (IOException nobody) {
            return false;
        }
    }

    /// What the grader has noted of this learner, wherever in the repo the program was started.
    private static JsonNode progress() {
        Path at = Path.of("").toAbsolutePath();
        for (; at != null; at = at.getParent()) {
            Path file = at.resolve(".progress/progress.json");
            try {
                if (Files.exists(
                        file)) return Http.JSON.readTree(Files.readAllBytes(file));
            } catch (IOException | JacksonException halfWritten) {
                break;
            }
        }
        return Http.JSON.createObjectNode();
    }

    private void asset(HttpServerExchange exchange) throws IOException {
        String asset = Http.path(exchange, "asset");
        exchange.getResponseHeaders().put(Headers.CACHE_CONTROL, "no-cache");
        Http.send(exchange, 200, asset.endsWith(".css") ? "text/css; charset=utf-8"
                : "text/javascript; charset=utf-8", resource(ASSETS.get(asset)));
    }

    /// The path of a file in a WebJar, whose folder has the version for a name.
    private static String webJar(String artifact, String file) {
        String pom = "/META-INF/maven/" + artifact + "/pom.properties";
        var properties = new Properties();
        try (InputStream in = Page.class.getResourceAsStream(pom)) {
            properties.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return "/META-INF/resources/webjars/" + properties.getProperty("artifactId")
                + "/" + properties.getProperty("version") + "/" + file;
    }

    /// A text on the class path.
    public static String resource(String path) throws IOException {
        try (InputStream in = Page.class.getResourceAsStream(path)) {
            if (in == null) {
                throw new IOException(path + " is not on the class path, where"
                        + " ./jbang puts it: start the script by ./jbang.");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private String render() throws IOException {
        String source = resource("/" + name + ".java");
        boolean isExercise = source.contains("\n//DESCRIPTION Exercise");
        String beside = isExercise ? "" : resource("/" + name + ".md");
        String title =
                source.lines().filter(line -> line.startsWith("// # ")).findFirst()
                        .map(line -> line.substring(5)).orElse(name);
        String cells = notebook(source).replaceFirst("</h1>", "</h1>"
                + commands(isExercise).replace("$", "\\$"));
        int intro = cells.indexOf("</section>") + "</section>".length();
        return SHELL
                .replace("{cable}", "" + routes.cablePort())
                .replace("{name}", name)
                .replace("{title}", escape(title))
                .replace("{intro}", cells.substring(0, intro))
                .replace("{notebook}", cells.substring(intro) + prose(beside))
                .replace("{demo}", resource("/" + name + ".html").replace("<script>",
                        "<script nonce=\"{nonce}\" type=\"module\">"))
                .replace("{script}", script);
    }

    /// What a learner types beside the page.
    private String commands(boolean isExercise) {
        String number = name.substring(0, 2);
        StringBuilder list = new StringBuilder("<ul class=\"commands\">");
        if (isExercise) {
            command(list, "Its lesson", "lessons/" + name + ".java");
            command(list, "Grade it", "grade " + number);
            command(list, "Grade on save", "watch " + number);
            command(list, "A hint", "hint " + number);
        } else if (Course.LESSONS.stream().anyMatch(each -> each.name().equals(name))) {
            command(list, "Its exercise", "exercises/" + name + ".java");
            command(list, "Grade it", "grade " + number);
        }
        return list + "</ul>";
    }

    private static void command(StringBuilder list, String label, String argument) {
        list.append("""
                <li>%s <code>./jbang %s</code> <button class="copy">Copy</button></li>
                """.formatted(label, argument));
    }

    /// Renders the cells of the percent format: `// %%` begins code, `// %% [markdown]` prose.
    static String notebook(String source) {
        StringBuilder cells = new StringBuilder();
        String[] parts = source.split("(?m)^(?=// %%)");
        for (int i = 1; i < parts.length; i++) {
            String text = parts[i].substring(parts[i].indexOf('\n') + 1);
            if (parts[i].startsWith("// %% [markdown]")) {
                cells.append(prose(text.replaceAll("(?m)^// ?", "")));
            } else {
                cells.append("<section class=\"code\">").append(pre(text))
                        .append("</section>\n");
            }
            if (i == 1) {
                cells.append(
                        "<details class=\"code head\"><summary>What JBang reads at the top of"
                                + " the file</summary>")
                        .append(pre(parts[0])).append("</details>\n");
            }
        }
        return cells.toString();
    }

    private static String prose(String markdown) {
        var tables = List.of(TablesExtension.create());
        var read = Parser.builder().extensions(tables).build().parse(markdown);
        return "<section class=\"prose\">" + HtmlRenderer.builder().extensions(tables)
                .escapeHtml(true).build().render(read) + "</section>\n";
    }

    private static String pre(String text) {
        return "<pre><code>" + escape(text.strip()) + "</code></pre>";
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    private static final String SHELL = """
            <!doctype html>
            <html lang="en" data-name="{name}" data-cable="localhost:{cable}">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{title} - On the Wire</title>
            <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
            viewBox='0 0 16 16'%3E%3Cpath d='M1 5h14l-4-4M15 11H1l4 4' fill='none' \
            stroke='%230a7' stroke-width='2'/%3E%3C/svg%3E">
            <link rel="stylesheet" href="/_/page/uplot.css">
            <link rel="stylesheet" href="/_/page/page.css">
            <script nonce="{nonce}" defer src="/_/page/highlight.js"></script>
            <script nonce="{nonce}" defer src="/_/page/uplot.js"></script>
            <script nonce="{nonce}" defer src="/_/page/wire.js"></script>
            <script nonce="{nonce}" defer src="/_/page/page.js"></script>
            <script nonce="{nonce}">
            {script}</script>
            </head>
            <body>
            <a class="skip" href="#notebook">Skip to the text</a>
            <main>
            <nav aria-label="The course"><strong>On the Wire</strong>
            <ol id="course"></ol>
            <span id="course-says" role="status"></span>
            <details id="contents"><summary>Contents</summary><ol></ol></details>
            </nav>
            <article id="intro">
            {intro}</article>
            <aside>
            <section id="demo" aria-label="Live demo">
            {demo}</section>
            <section id="wire" aria-labelledby="wire-title">
            <header><h2 id="wire-title">Wire</h2>
            <p id="wire-state" role="status">Connecting to the tap.</p>
            <button id="wire-latency" aria-expanded="false">Latency</button>
            <button id="wire-clear">Clear</button></header>
            <dl id="wire-totals"></dl>
            <div id="wire-plot" hidden></div>
            <div id="wire-lanes" aria-hidden="true"></div>
            <ol id="wire-rows" tabindex="0" aria-label="What was on the wire, newest last; \
            arrow keys go from row to row"></ol>
            <button id="wire-newest" hidden>Newer rows below</button>
            </section>
            </aside>
            <article id="notebook" tabindex="-1">
            {notebook}</article>
            </main>
            </body>
            </html>
            """;
}
