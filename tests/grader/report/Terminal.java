package grader.report;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import grader.repo.Repo;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Locale;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/// The terminal, where there is one.
public final class Terminal {
    /// Whether it is one that does what escape sequences say.
    public static final boolean ESCAPES = System.console() != null
            && System.console().isTerminal()
            && (Repo.WINDOWS || knowsEscapes(System.getenv("TERM")));
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
        if (Repo.WINDOWS) {
            System.setOut(typedThere(System.out));
            System.setErr(typedThere(System.err));
        }
        return new CommandLine(command).setColorScheme(
                CommandLine.Help.defaultColorScheme(COLOUR ? Ansi.ON : Ansi.OFF));
    }

    /// Where `./jbang` is written to it, it says `jbang`, as one types it into cmd.exe.
    public static PrintStream typedThere(PrintStream to) {
        return new PrintStream(new FilterOutputStream(to) {
            @Override
            public void write(byte[] bytes, int from, int length) throws IOException {
                String text = new String(bytes, from, length, ISO_8859_1);
                out.write(typedThere(text).getBytes(ISO_8859_1));
            }
        }, true, to.charset());
    }

    static String typedThere(String text) {
        return text.replaceAll("(?<![\\w./])\\./jbang\\b", "jbang");
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
