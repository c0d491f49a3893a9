///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Formats every Java file and writes the README's table of lessons; --check only reports
//JAVA 25+
//DEPS org.eclipse.jdt:org.eclipse.jdt.core:3.47.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.eclipse.jdt.core.JavaCore;
import org.eclipse.jdt.core.ToolFactory;
import org.eclipse.jdt.core.formatter.CodeFormatter;
import org.eclipse.jdt.core.formatter.DefaultCodeFormatterConstants;
import org.eclipse.jface.text.BadLocationException;
import org.eclipse.jface.text.Document;
import org.eclipse.text.edits.TextEdit;

/// The one formatter of this repo. It corrects indentation, spaces and lines of code
/// that are too long. Comments, text blocks and all other line breaks are the author's.
class Format {
    private static final List<String> FOLDERS =
            List.of("lessons", "exercises", "solutions", "shared", "tests");
    private static final String NO = JavaCore.DO_NOT_INSERT;
    private static final CodeFormatter FORMATTER =
            ToolFactory.createCodeFormatter(options());

    static void main(String[] args) throws IOException {
        boolean reports = List.of(args).equals(List.of("--check"));
        Path root = root();
        if (root == null || args.length > 0 && !reports) {
            System.err.println("Usage, inside the repo: jbang format [--check]");
            System.exit(2);
        }
        if (!reports) {
            rewrite(root);
            writeTable(root);
            return;
        }
        List<String> found = check(root);
        found.forEach(System.out::println);
        System.exit(found.isEmpty() ? 0 : 1);
    }

    /// One message for each Java file below `root` that is not formatted.
    static List<String> check(Path root) throws IOException {
        List<String> found = new ArrayList<>();
        for (Path file : files(root)) {
            String text = Files.readString(file);
            String wanted = format(file, text);
            if (!wanted.equals(text)) {
                found.add(root.relativize(file) + firstDifference(text, wanted));
            }
        }
        return found;
    }

    /// Formats the files in place, and prints which of them that changed.
    private static void rewrite(Path root) throws IOException {
        for (Path file : files(root)) {
            String text = Files.readString(file);
            String wanted = format(file, text);
            if (wanted.equals(text)) continue;
            Files.writeString(file, wanted);
            System.out.println(root.relativize(file));
        }
    }

    /// Writes the README's table of lessons anew, from what the scripts say of themselves.
    private static void writeTable(Path root) throws IOException {
        Path readme = root.resolve("README.md");
        String text = Files.readString(readme);
        Files.writeString(readme, text.replaceFirst("(?m)(^\\| \\[\\d\\d\\].*\n)+",
                Matcher.quoteReplacement(table(root))));
    }

    /// One row for each lesson, in the order of their numbers.
    static String table(Path root) throws IOException {
        StringBuilder rows = new StringBuilder();
        try (Stream<Path> lessons = Files.list(root.resolve("lessons"))) {
            for (Path each : lessons.sorted().toList()) {
                String file = each.getFileName().toString();
                if (!file.endsWith(".java")) continue;
                String alias = file.substring(3, file.length() - 5).replace('_', '-');
                rows.append("| [%s](lessons/%s) | `./jbang %s` | %s | %s |\n".formatted(
                        file.substring(0, 2), file, alias, line(each, "//DESCRIPTION "),
                        exercise(root.resolve("exercises/" + file))));
            }
        }
        return rows.toString();
    }

    private static String exercise(Path file) throws IOException {
        if (!Files.exists(file)) return "";
        String title = line(file, "// # ").replaceFirst("^.*: ", "");
        return "[%s](exercises/%s)".formatted(title, file.getFileName());
    }

    /// What follows `start` in the first line that begins with it.
    private static String line(Path file, String start) throws IOException {
        return Files.readAllLines(file).stream().filter(line -> line.startsWith(start))
                .findFirst().orElseThrow().substring(start.length());
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
        List<Path> files = new ArrayList<>();
        for (String folder : FOLDERS) {
            Path start = root.resolve(folder);
            if (!Files.isDirectory(start)) continue;
            try (Stream<Path> found = Files.walk(start)) {
                found.filter(file -> file.toString().endsWith(".java"))
                        .forEach(files::add);
            }
        }
        return files.stream().sorted().toList();
    }

    /// The folder with the catalog, here or above, or null.
    private static Path root() {
        for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
            if (Files.exists(at.resolve("jbang-catalog.json"))) return at;
        }
        return null;
    }
}
