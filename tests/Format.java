///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Formats every Java file; --check only reports
//JAVA 25+
//DEPS org.eclipse.jdt:org.eclipse.jdt.core:3.47.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.eclipse.jdt.core.JavaCore;
import org.eclipse.jdt.core.ToolFactory;
import org.eclipse.jdt.core.formatter.CodeFormatter;
import org.eclipse.jdt.core.formatter.DefaultCodeFormatterConstants;
import org.eclipse.jface.text.BadLocationException;
import org.eclipse.jface.text.Document;
import org.eclipse.text.edits.TextEdit;

/// The one formatter of this repo. It corrects indentation, spaces and lines that are too
/// long, and leaves to the author where lines break, what fits on one line, and comments.
class Format {
    private static final List<String> FOLDERS =
            List.of("lessons", "exercises", "solutions", "shared", "tests");
    private static final CodeFormatter FORMATTER = ToolFactory.createCodeFormatter(options());

    static void main(String[] args) throws IOException {
        Path root = root();
        if (List.of(args).equals(List.of("--check"))) {
            List<String> found = check(root);
            found.forEach(System.out::println);
            if (!found.isEmpty()) System.exit(1);
        } else if (args.length == 0) {
            for (Path file : files(root)) {
                String text = Files.readString(file);
                String formatted = format(text);
                if (formatted.equals(text)) continue;
                Files.writeString(file, formatted);
                System.out.println(root.relativize(file));
            }
        } else {
            System.err.println("Usage: jbang format [--check]");
            System.exit(2);
        }
    }

    /// One message for each file below `root` that is not formatted.
    static List<String> check(Path root) throws IOException {
        List<String> found = new ArrayList<>();
        for (Path file : files(root)) {
            String text = Files.readString(file);
            String formatted = format(text);
            if (formatted.equals(text)) continue;
            found.add(root.relativize(file) + firstDifference(text, formatted));
        }
        return found;
    }

    /// The text of a Java file, formatted.
    static String format(String text) {
        String unix = text.replace("\r\n", "\n");
        TextEdit edit = FORMATTER.format(
                CodeFormatter.K_COMPILATION_UNIT | CodeFormatter.F_INCLUDE_COMMENTS,
                unix, 0, unix.length(), 0, "\n");
        if (edit == null) throw new IllegalArgumentException("This does not parse as Java.");
        Document document = new Document(unix);
        try {
            edit.apply(document);
        } catch (BadLocationException e) {
            throw new IllegalStateException(e);
        }
        return document.get().stripTrailing() + "\n";
    }

    private static Map<String, String> options() {
        Map<String, String> options = DefaultCodeFormatterConstants.getEclipseDefaultSettings();
        JavaCore.setComplianceOptions(JavaCore.VERSION_25, options);
        options.replaceAll(Format::kept);
        options.put(DefaultCodeFormatterConstants.FORMATTER_TAB_CHAR, JavaCore.SPACE);
        options.put(DefaultCodeFormatterConstants.FORMATTER_LINE_SPLIT, "88");
        options.put(DefaultCodeFormatterConstants.FORMATTER_JOIN_WRAPPED_LINES, "false");
        options.put(DefaultCodeFormatterConstants.FORMATTER_NUMBER_OF_EMPTY_LINES_TO_PRESERVE,
                "2");
        options.put(DefaultCodeFormatterConstants.FORMATTER_TEXT_BLOCK_INDENTATION,
                "" + DefaultCodeFormatterConstants.INDENT_PRESERVE);
        return options;
    }
}
