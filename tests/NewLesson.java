///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Lays the files of a new lesson and its exercise, so that verify says what is still to do
//JAVA 25+
//MAIN NewLesson
//SOURCES Grade.java

import grader.repo.Exercise;
import grader.repo.Repo;
import grader.report.Terminal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import shared.course.Course;

/// Makes files from those in `tests/template`, and adds the lesson to the list. Nothing that is
/// there is changed but the list. Exit code 0 where it has, 2 where it could not.
@Command(name = "./jbang new-lesson", sortOptions = false,
        description = "Lays the files of a new lesson and its exercise: they run, and"
                + " `./jbang verify NN` says what is still to do.",
        footer = {"", "Example:",
            "  ./jbang new-lesson 06 heartbeats --title Heartbeats"})
class NewLesson implements Callable<Integer> {
    private static final String LIST = "shared/course/Course.java";
    private static final String END = ");\n\n    private Course() {}";

    @Parameters(index = "0", paramLabel = "NN",
            description = "The next number.") String number;
    @Parameters(index = "1", paramLabel = "NAME",
            description = "Small letters and _, such as slow_consumers.") String name;
    @Option(names = "--title", paramLabel = "TITLE",
            description = "As the learner reads it; else made from the name.") String title;
    @Option(names = {"-h", "--help"}, usageHelp = true,
            description = "Show this help.") boolean help;

    static void main(String... arguments) {
        System.exit(Terminal.command(new NewLesson()).execute(arguments));
    }

    @Override
    public Integer call() throws IOException {
        String next = "%02d".formatted(Course.LESSONS.size() + 1);
        if (!number.equals(next)) return fail("The next lesson is " + next + ".");
        if (!name.matches("[a-z][a-z0-9]*(_[a-z0-9]+)*")) {
            return fail("'" + name + "' is no name: small letters and _, please.");
        }
        String words = name.replace('_', ' ');
        var lesson = new Course.Lesson(number + "_" + name, title != null ? title
                : Character.toUpperCase(words.charAt(0)) + words.substring(1),
                "(to do: what it shows, in a line)", "(to do: the story)", Set.of());
        Map<String, String> files = files(lesson);
        for (String each : files.keySet()) {
            if (Files.exists(Repo.root().resolve(each))) {
                return fail(each + " is there already, so nothing was made.");
            }
        }
        String list = Repo.read(Repo.root().resolve(LIST));
        if (!list.contains(END)) return fail(LIST + " does not end with its list.");
        files.put(LIST, list.replace(END, """
                ,
                            new Lesson("%s", "%s",
                                    "%s",
                                    "%s", Set.of())""".formatted(lesson.name(),
                lesson.title(), lesson.shows(), lesson.exercise()) + END));
        for (var each : files.entrySet()) {
            Path file = Repo.root().resolve(each.getKey());
            Files.createDirectories(file.getParent());
            Repo.replace(file, each.getValue().getBytes(StandardCharsets.UTF_8));
            System.out.println(each.getKey());
        }
        System.out.println("\nNow: ./jbang format, then ./jbang verify " + number
                + " says what is still to do.");
        return 0;
    }

    private static int fail(String sentence) {
        System.err.println(sentence);
        return 2;
    }

    /// The text of each new file by its path below the repo.
    private static Map<String, String> files(Course.Lesson lesson) {
        String name = lesson.name();
        String tests = "tests/" + name + "/";
        Map<String, String> files = new LinkedHashMap<>();
        files.put("lessons/" + name + ".java", template("lesson.java", lesson));
        files.put("lessons/" + name + ".html", template("lesson.html", lesson));
        files.put("lessons/" + name + ".md", template("lesson.md", lesson));
        String solution = template("solution.java", lesson);
        files.put("solutions/" + name + ".java", solution);
        String untouched = new Exercise(name).open(solution);
        files.put("exercises/" + name + ".java", untouched);
        files.put(tests + "untouched.java.txt", untouched);
        files.put("exercises/" + name + ".html", template("exercise.html", lesson));
        files.put(tests + "requirements/" + lesson.type() + ".java",
                template("requirements.java", lesson));
        files.put(tests + lesson.type() + "Test.java", template("test.java", lesson));
        for (String each : new String[] {"hints.md", "wrong.md", "right.md"}) {
            files.put(tests + each, template(each, lesson));
        }
        files.put(tests + "wording.txt", "");
        return files;
    }

    private static String template(String file, Course.Lesson lesson) {
        return Repo.read(Repo.root().resolve("tests/template/" + file + ".txt"))
                .replace("{name}", lesson.name()).replace("{number}", lesson.number())
                .replace("{title}", lesson.title()).replace("{type}", lesson.type());
    }
}
