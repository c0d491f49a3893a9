package grader.report;

import java.io.File;
import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/// The terminal, where there is one.
public final class Terminal {
    /// Whether it is one that does what escape sequences say.
    public static final boolean ESCAPES = System.console() != null
            && System.console().isTerminal()
            && (File.separatorChar == '\\' || knowsEscapes(System.getenv("TERM")));
    /// Whether it may be coloured.
    public static final boolean COLOUR = ESCAPES
            && Objects.requireNonNullElse(System.getenv("NO_COLOR"), "").isEmpty();

    private Terminal() {}

    private static boolean knowsEscapes(String term) {
        return term != null && !term.isEmpty() && !term.equals("dumb");
    }

    /// A command whose words and numbers are the same in every locale.
    public static CommandLine command(Object command) {
        Locale.setDefault(Locale.ROOT);
        return new CommandLine(command).setColorScheme(
                CommandLine.Help.defaultColorScheme(COLOUR ? Ansi.ON : Ansi.OFF));
    }

    /// The columns of the terminal; very many where there is none, or nobody knows.
    public static int width() {
        try {
            String size = !ESCAPES ? ""
                    : new String(new ProcessBuilder("sh", "-c", "stty size </dev/tty")
                            .start().getInputStream().readAllBytes());
            int columns = Integer.parseInt(size.replaceFirst(".* ", "").strip());
            return columns > 0 ? columns : Integer.MAX_VALUE;
        } catch (IOException | NumberFormatException unknown) {
            return Integer.MAX_VALUE;
        }
    }

    /// Is this process being ended, as by Ctrl+C? What a program did then is no news.
    public static boolean isEnding() {
        Thread never = new Thread();
        try {
            Runtime.getRuntime().addShutdownHook(never);
            return !Runtime.getRuntime().removeShutdownHook(never);
        } catch (IllegalStateException ending) {
            return true;
        }
    }

    /// Shows what is being done, in a line that is written over.
    public static void line(String doing) {
        if (ESCAPES) System.err.print("\r\033[K" + doing);
    }
}
