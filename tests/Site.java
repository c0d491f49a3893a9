///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Writes the lessons as static pages, each with a recording of its wire
//JAVA 25+
//MAIN Site
//SOURCES Grade.java
//FILES site/site.js=site/site.js
//FILES site/demo.html=site/demo.html
//FILES site/index.html=site/index.html

import grader.repo.Repo;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
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
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

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

    static void write(Path folder) throws IOException, InterruptedException {
        Files.createDirectories(folder.resolve("assets"));
        for (Course.Lesson each : Course.LESSONS) {
            Path recording = recording(each);
            if (!Files.exists(recording)) continue;
            System.out.println(each.number() + " " + each.title());
            Files.write(folder.resolve(each.name() + ".json"),
                    Files.readAllBytes(recording));
            page(folder, each);
        }
        put(folder, "assets/site.js", Page.resource("/site/site.js"));
        put(folder, "lessons.json",
                JsonMapper.shared().writeValueAsString(shown().stream()
                        .map(each -> Map.of("name", each.name(), "title", each.title(),
                                "running", true, "done", false))
                        .toList()));
        put(folder, "index.html", Page.resource("/site/index.html")
                .replace("{repository}", REPOSITORY)
                .replace("{rows}", shown().stream().map(Site::row)
                        .collect(Collectors.joining())));
    }

    /// What the wire of a lesson was, which need not be there.
    static Path recording(Course.Lesson lesson) {
        return Repo.root().resolve("docs/recordings/" + lesson.name() + ".json");
    }

    private static List<Course.Lesson> shown() {
        return Course.LESSONS.stream().filter(each -> Files.exists(recording(each)))
                .toList();
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
    private static void page(Path folder, Course.Lesson lesson)
            throws IOException, InterruptedException {
        ProcessBuilder command =
                new ProcessBuilder(Repo.root().resolve("jbang").toString(),
                        Repo.root().resolve("lessons/" + lesson.name() + ".java")
                                .toString())
                        .redirectError(ProcessBuilder.Redirect.INHERIT);
        command.environment().put("PORT", "0");
        Process process = command.start();
        try (BufferedReader said = process.inputReader()) {
            String ready = said.readLine();
            if (ready == null) throw new IOException(lesson.name() + " did not start");
            String url = ready.replaceFirst("^.*(http://localhost:\\d+)/$", "$1");
            String html = get(url + "/");
            Matcher assets = ASSET.matcher(html);
            while (assets.find()) {
                put(folder, "assets/" + assets.group(2),
                        get(url + ASSETS + assets.group(2)));
            }
            put(folder, lesson.name() + ".html", still(html, lesson));
        } finally {
            process.destroy();
            process.waitFor();
        }
    }

    private static String get(String url) throws IOException, InterruptedException {
        var answer = CLIENT.send(HttpRequest.newBuilder(URI.create(url)).build(),
                BodyHandlers.ofString());
        if (answer.statusCode() == 200) return answer.body();
        throw new IOException(url + " answered " + answer.statusCode());
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
