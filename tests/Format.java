///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Formats every Java file and writes what the list of lessons tells; --check only reports
//JAVA 25+
//DEPS org.eclipse.jdt:org.eclipse.jdt.core:3.47.0
//MAIN Format
//SOURCES Grade.java
//SOURCES tools/Editors.java

import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.jdt.core.JavaCore;
import org.eclipse.jdt.core.ToolFactory;
import org.eclipse.jdt.core.formatter.CodeFormatter;
import org.eclipse.jdt.core.formatter.DefaultCodeFormatterConstants;
import org.eclipse.jface.text.BadLocationException;
import org.eclipse.jface.text.Document;
import org.eclipse.text.edits.TextEdit;
import shared.course.Course;

/// The one formatter of this repo. It corrects indentation, spaces and lines of code
/// that are too long. Comments, text blocks and all other line breaks are the author's.
/// And it copies what stands in one place to where it is read: from [Course] the lessons to the
/// README, the catalog and the scripts' descriptions; from the heads in shared/ the versions of
/// libraries to the scripts that name them too; and from the solutions the untouched exercises. It
/// lays the projects of editors, see [Editors].
/// Only the course's own files count, not what lies beside them.
class Format {
    private static final List<String> SCRIPTS =
            List.of("lessons", "exercises", "solutions");
    private static final List<String> FOLDERS =
            Stream.concat(SCRIPTS.stream(), Stream.of("shared", "tests")).toList();
    private static final Pattern DEPS =
            Pattern.compile("(?m)^//DEPS ([^:\\s]+:[^:\\s]+):(\\S+)$");
    /// Takes what an editor or a system may lay beside the course's files, too.
    private static final Pattern GLOB =
            Pattern.compile("(?m)^(//SOURCES (?:\\S*/)?)\\*(?=[^/\\s]*$)");
    private static final String NO = JavaCore.DO_NOT_INSERT;
    private static final CodeFormatter FORMATTER =
            ToolFactory.createCodeFormatter(options());

    static void main(String[] args) throws IOException {
        Locale.setDefault(Locale.ROOT);
        boolean reports = List.of(args).equals(List.of("--check"));
        Path root = root();
        if (root == null || args.length > 0 && !reports) {
            System.err.println("Usage, inside the repo: jbang format [--check]");
            System.exit(2);
        }
        if (reports) {
            List<String> found = check(root);
            found.forEach(System.out::println);
            System.exit(found.isEmpty() ? 0 : 1);
        }
        for (var each : wanted(root).entrySet()) {
            Path file = root.resolve(each.getKey());
            if (now(file).equals(each.getValue())) continue;
            Files.createDirectories(file.getParent());
            Files.writeString(file, each.getValue());
            System.out.println(each.getKey());
        }
    }

    private static String read(Path file) throws IOException {
        return Files.readString(file).replace("\r\n", "\n");
    }

    /// As it is, or empty where there is none.
    private static String now(Path file) throws IOException {
        return Files.exists(file) ? Files.readString(file) : "";
    }

    private static String path(Path root, Path file) {
        return root.relativize(file).toString().replace('\\', '/');
    }

    /// One message for each Java file below `root` that is not formatted, and for each copy that
    /// does not say what its origin says.
    static List<String> check(Path root) throws IOException {
        List<String> found = new ArrayList<>();
        for (var each : wanted(root).entrySet()) {
            String text = now(root.resolve(each.getKey()));
            if (!each.getValue().equals(text)) {
                found.add(each.getKey() + firstDifference(text, each.getValue()));
            }
        }
        return found;
    }

    /// The files that this looks after, by their path below `root`, as they ought to be.
    private static Map<String, String> wanted(Path root) throws IOException {
        Map<String, String> files = new TreeMap<>();
        for (Path file : files(root)) {
            files.put(path(root, file),
                    GLOB.matcher(format(file, read(file))).replaceAll("$1[A-Z]*"));
        }
        files.put("README.md", read(root.resolve("README.md")).replaceFirst(
                "(?m)^learner .*\n(\\w+ .*\n)+", Matcher.quoteReplacement(classTable()))
                .replaceFirst(
                        "(?m)(^\\| \\[\\d\\d\\]\\(lessons.*\n)+",
                        Matcher.quoteReplacement(table())));
        files.put("jbang-catalog.json",
                read(root.resolve("jbang-catalog.json")).replaceFirst(
                        "(?s)(\"aliases\": \\{\n).*?( *\"grade\")",
                        "$1" + Matcher.quoteReplacement(aliases()) + "$2"));
        Map<String, String> versions = versions(root);
        for (Course.Lesson each : Course.LESSONS) {
            for (String folder : SCRIPTS) {
                String description = folder.equals("lessons")
                        ? each.title() + ": " + each.shows()
                        : "Exercise: " + each.exercise();
                files.computeIfPresent(folder + "/" + each.name() + ".java",
                        (path, text) -> DEPS.matcher(text).replaceAll(found -> "//DEPS "
                                + found.group(1) + ":"
                                + versions.getOrDefault(found.group(1), found.group(2)))
                                .replaceFirst("(?m)^//DESCRIPTION .*$",
                                        Matcher.quoteReplacement(
                                                "//DESCRIPTION " + description)));
            }
            String solution = files.get("solutions/" + each.name() + ".java");
            if (solution == null) continue;
            Exercise exercise = new Exercise(each.name());
            files.put(path(root, exercise.untouchedFile()), exercise.open(solution));
        }
        files.putAll(Editors.files(SCRIPTS, heads(files)));
        return files;
    }

    /// Each line of a script or of shared/ that asks for a library, once.
    ///
    /// @param files as they ought to be
    private static String heads(Map<String, String> files) {
        return files.entrySet().stream()
                .filter(each -> each.getKey().endsWith(".java")
                        && !each.getKey().startsWith("tests/"))
                .flatMap(each -> DEPS.matcher(each.getValue()).results())
                .map(MatchResult::group).distinct().sorted()
                .collect(Collectors.joining("\n"));
    }

    /// The version of each library, from the one head in shared/ that asks for it.
    private static Map<String, String> versions(Path root) throws IOException {
        Map<String, String> versions = new TreeMap<>();
        for (Path file : files(root.resolve("shared"), "")) {
            DEPS.matcher(read(file)).results().forEach(
                    found -> versions.put(found.group(1), found.group(2)));
        }
        return versions;
    }

    private static String aliases() {
        String alias = """
                    "%s": {
                      "script-ref": "lessons/%s.java",
                      "description": "Lesson %s, %s: %s"
                    },
                """;
        return Course.LESSONS.stream().map(each -> alias.formatted(each.alias(),
                each.name(), each.number(), each.title(), each.shows()))
                .collect(Collectors.joining());
    }

    /// The README's example of a class.
    private static String classTable() {
        int points = Exercise.all().stream()
                .flatMap(each -> Grading.undecided(each).stream())
                .mapToInt(Verdict.Result::points).sum();
        return row("learner", Course.LESSONS.stream().map(Course.Lesson::number),
                "total")
                + row("ada", cells("11", "-", "7"), "18/" + points)
                + row("bob", cells("!"), "0/" + points);
    }

    private static Stream<String> cells(String... first) {
        return Stream.concat(Stream.of(first), Stream.generate(() -> "-"))
                .limit(Course.LESSONS.size());
    }

    private static String row(String learner, Stream<String> cells, String total) {
        return "%-7s%s%8s\n".formatted(learner, cells.map("%6s"::formatted)
                .collect(Collectors.joining()), total);
    }

    /// The README's list: one row for each lesson.
    private static String table() {
        String row = "| [%s](lessons/%s.java) | `./jbang %s` | %s: %s |"
                + " [%s](exercises/%s.java) |\n";
        return Course.LESSONS.stream().map(each -> row.formatted(each.number(),
                each.name(), each.alias(), each.title(), each.shows(),
                each.exercise(), each.name())).collect(Collectors.joining());
    }

    /// The text formatted, with LF line ends and one at the end. Eclipse may need a
    /// second look at its own wraps, so we repeat until nothing changes.
    private static String format(Path file, String text) {
        int kind = CodeFormatter.K_COMPILATION_UNIT;
        String now = text.replace("\r\n", "\n").stripTrailing() + "\n";
        for (int round = 0; round < 5; round++) {
            TextEdit edit = FORMATTER.format(kind, now, 0, now.length(), 0, "\n");
            if (edit == null) throw new IllegalStateException(file + " is not Java.");
            Document document = new Document(now);
            try {
                edit.apply(document);
            } catch (BadLocationException e) {
                throw new IllegalStateException(e);
            }
            if (document.get().equals(now)) return now;
            now = document.get();
        }
        throw new IllegalStateException("No stable format for " + file + ".");
    }

    private static Map<String, String> options() {
        Map<String, String> options =
                DefaultCodeFormatterConstants.getEclipseDefaultSettings();
        JavaCore.setComplianceOptions(JavaCore.VERSION_25, options);
        options.replaceAll(Format::option);
        return options;
    }

    /// The value of one of Eclipse's options; `usual` is its own.
    private static String option(String key, String usual) {
        String name = key.substring(key.lastIndexOf('.') + 1);
        // Comments stay as they are, those at the end of a line where they are.
        if (key.contains(".comment.format_")) return "false";
        if (name.startsWith("preserve_white_space_between_code")) return "true";
        // What the author put on one line stays there, where it fits.
        if (name.equals("keep_code_block_on_one_line")) return "one_line_if_empty";
        if (name.equals("keep_simple_getter_setter_on_one_line")) return "false";
        if (name.startsWith("keep_") && usual.equals("false")) return "true";
        if (name.startsWith("keep_")) return "one_line_preserve";
        // No blank line is added.
        if (name.startsWith("blank_lines_")) return "0";
        // Lines wrap where they must and where the author wrapped them, but not between
        // `if (...)` and its statement; annotations of methods get lines of their own.
        if (name.startsWith("alignment_for_annotations")) return usual;
        if (name.startsWith("alignment_for_compact")) return "0";
        if (name.startsWith("alignment_for_")) return "16";
        return switch (name) {
            case "lineSplit" -> "88";
            case "char" -> "space"; // of tabulation
            case "join_wrapped_lines" -> "false";
            case "number_of_empty_lines_to_preserve" -> "2";
            case "text_block_indentation" -> "3"; // that is: as it is
            case "indent_switchstatements_compare_to_switch" -> "true";
            case "continuation_indentation_for_array_initializer" -> "1";
            case "insert_space_after_opening_brace_in_array_initializer" -> NO;
            case "insert_space_before_closing_brace_in_array_initializer" -> NO;
            case "insert_new_line_after_annotation_on_field" -> NO;
            case "insert_new_line_after_annotation_on_local_variable" -> NO;
            default -> usual;
        };
    }

    private static String firstDifference(String text, String wanted) {
        List<String> has = text.lines().toList();
        List<String> wants = wanted.lines().toList();
        for (int i = 0; i < Math.min(has.size(), wants.size()); i++) {
            if (has.get(i).equals(wants.get(i))) continue;
            String message = ":%d\n  is     %s\n  wanted %s";
            return message.formatted(i + 1, has.get(i), wants.get(i));
        }
        return ": the line ends differ, or blank lines at the end";
    }

    private static List<Path> files(Path root) throws IOException {
        return files(root, FOLDERS.toArray(String[]::new));
    }

    private static List<Path> files(Path root, String... folders) throws IOException {
        List<Path> files = new ArrayList<>();
        for (String folder : folders) {
            Path start = root.resolve(folder);
            if (!Files.isDirectory(start)) continue;
            try (Stream<Path> found = Files.walk(start)) {
                found.filter(file -> isOurs(folder, file)).forEach(files::add);
            }
        }
        return files.stream().sorted().toList();
    }

    /// Is it a script of the list, or a class?
    private static boolean isOurs(String folder, Path file) {
        String name = file.getFileName().toString();
        return Files.isRegularFile(file) && (SCRIPTS.contains(folder)
                ? Course.LESSONS.stream()
                        .anyMatch(each -> name.equals(each.name() + ".java"))
                : name.matches("[A-Z]\\w*\\.java"));
    }

    /// The folder with the catalog, here or above, or null.
    private static Path root() {
        for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
            if (Files.exists(at.resolve("jbang-catalog.json"))) return at;
        }
        return null;
    }
}
