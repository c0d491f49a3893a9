///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Writes the lessons as static pages, each with a recording of its wire
//JAVA 25+
//MAIN Site
//SOURCES Grade.java
//SOURCES tools/RawHttp.java
//SOURCES tools/Server.java
//FILES site/site.js=site/site.js
//FILES site/demo.html=site/demo.html
//FILES site/index.html=site/index.html

import grader.repo.Repo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import shared.course.Course;
import shared.page.Page;
import tools.jackson.databind.json.JsonMapper;

/// Writes the course as static pages into `build/site`, or into the folder that it is given: for
/// GitHub Pages or any other server of files. Each page is what a lesson serves itself, with the
/// demo left out. In its place stands a recording from `docs/recordings`, which the tests make:
/// `RECORDING=write ./jbang verify Site`.
class Site {
    private static final String ASSETS = "/_/page/";
    private static final Pattern ASSET =
            Pattern.compile("(href|src)=\"" + ASSETS + "(\\w+\\.(?:css|js))\"");
    private static final String REPOSITORY =
            System.getenv().getOrDefault("REPOSITORY", "&lt;this repository&gt;");

    static void main(String[] args) throws Exception {
        if (args.length > 1 || args.length == 1 && args[0].startsWith("-")) {
            System.err.println(
                    "Usage: ./jbang site [FOLDER]   (build/site where it is left"
                            + " out; REPOSITORY=URL names what to clone)");
            System.exit(2);
        }
        Path folder = args.length == 1 ? Path.of(args[0])
                : Repo.root().resolve("build/site");
        write(folder);
        System.out.println(folder.resolve("index.html"));
    }

    static void write(Path folder) throws Exception {
        List<Course.Lesson> shown = Course.LESSONS.stream()
                .filter(each -> Files.exists(recording(each))).toList();
        Set<String> assets = new HashSet<>();
        Files.createDirectories(folder.resolve("assets"));
        for (Course.Lesson each : shown) {
            System.out.println(each.number() + " " + each.title());
            put(folder, each.name() + ".json", Files.readString(recording(each)));
            page(folder, each, assets);
        }
        put(folder, "assets/site.js", Page.resource("/site/site.js"));
        put(folder, "lessons.json",
                JsonMapper.shared().writeValueAsString(shown.stream()
                        .map(each -> Map.of("name", each.name(), "title", each.title(),
                                "running", true, "done", false))
                        .toList()));
        put(folder, "index.html", Page.resource("/site/index.html")
                .replace("{repository}", REPOSITORY)
                .replace("{rows}", shown.stream().map(Site::row)
                        .collect(Collectors.joining())));
    }

    /// What the wire of a lesson was, which need not be there.
    static Path recording(Course.Lesson lesson) {
        return Repo.root().resolve("docs/recordings/" + lesson.name() + ".json");
    }

    private static String row(Course.Lesson lesson) {
        return "<tr><td><a href=\"%s.html\">%s</a></td><td>%s</td><td>%s</td><td>%s</td></tr>\n"
                .formatted(lesson.name(), lesson.number(), lesson.title(),
                        lesson.shows(),
                        lesson.exercise());
    }

    private static void put(Path folder, String file, String text) throws IOException {
        Files.writeString(folder.resolve(file), text);
    }

    /// Runs a lesson, and keeps its page and what that needs.
    ///
    /// @param kept the assets that other pages have brought
    private static void page(Path folder, Course.Lesson lesson, Set<String> kept)
            throws Exception {
        try (Server server = Server.start("lessons/" + lesson.name() + ".java")) {
            String html = get(server, "/");
            Matcher assets = ASSET.matcher(html);
            while (assets.find()) {
                String asset = assets.group(2);
                if (!kept.add(asset)) continue;
                put(folder, "assets/" + asset, get(server, ASSETS + asset));
            }
            put(folder, lesson.name() + ".html", still(html, lesson));
        }
    }

    private static String get(Server server, String path) throws IOException {
        var answer = RawHttp.ask(server.port, "GET", path, null);
        if (answer.status() == 200) return answer.text();
        throw new IOException(server.url(path) + " answered " + answer.status());
    }

    /// The page without what runs: the lesson's scripts, and the demo.
    private static String still(String html, Course.Lesson lesson) throws IOException {
        String demo = Page.resource("/site/demo.html").replace("{name}", lesson.name())
                .replace("{repository}", REPOSITORY);
        String still = html.replaceAll(" nonce=\"[^\"]*\"", "")
                .replaceFirst(" data-cable=\"[^\"]*\"",
                        " data-recording=\"" + lesson.name() + ".json\"")
                .replaceFirst("(?s)<script>\n.*?</script>\n(?=</head>)",
                        "<script defer src=\"assets/site.js\"></script>\n");
        return ASSET.matcher(still).replaceAll("$1=\"assets/$2\"")
                .replaceFirst("(?s)(<section id=\"demo\"[^>]*>).*?</section>\\s*"
                        + "(?=<section id=\"wire\")",
                        "$1\n" + Matcher.quoteReplacement(demo) + "</section>\n")
                .replaceFirst("aria-label=\"Live demo\"", "aria-label=\"A recording\"")
                .replaceFirst("<strong>On the Wire</strong>",
                        "<strong><a href=\"index.html\">On the Wire</a></strong>");
    }
}
