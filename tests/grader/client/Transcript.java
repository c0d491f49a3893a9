package grader.client;

import grader.repo.Repo;
import grader.stage.Patience;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.LinkedList;
import java.util.List;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import shared.Graded;

/// What a requirement has sent so far, as its author would repeat it by hand: on the exercise's
/// usual port, not on the one of this run, and on a program that has just begun. Of what came long
/// before, only that is shown without which the rest would be answered in another way.
public final class Transcript {
    /// How many steps are shown in any case, and how many at most.
    private static final int STEPS = 8;
    private static final int MOST = 24;
    private static final int IDLE_MS = 5_000;
    private static final int MOST_MS = 15_000;
    private static final Pattern REPEATED =
            Pattern.compile("((?:%[0-9A-F]{2}|\\w){1,12}?)\\1{19,}");

    /// How long anything that ought to happen may take, in milliseconds. However busy the
    /// machine is, what comes after 25 seconds by itself does not come soon.
    public final int soon = Math.min(Patience.ms(IDLE_MS), MOST_MS);
    private final List<Step> all = new ArrayList<>();
    private int begin;
    private final Stage stage;
    private final int usualPort;
    private int todo;

    /// @param changes whether what comes later may be answered in another way because of it
    /// @param stays whether it has no answer for a while, so that a shell would wait for it
    /// @param name of what it has made, by which later steps mention it, or null
    private record Step(String text, boolean changes, boolean stays, String name) {
        boolean mentions(Step other) {
            return other.name != null
                    && text.matches("(?s).*" + Pattern.quote(other.name) + "(\\W.*)?");
        }
    }

    public Transcript(Stage stage, int usualPort) {
        this.stage = stage;
        this.usualPort = usualPort;
    }

    /// What is said of something that ought to have happened.
    public String within() {
        return "within " + soon / 1000 + " s";
    }

    /// From now on, where something does not hold, this TODO is to be looked at.
    public void about(int number) {
        todo = number;
    }

    /// The TODO to look at, or 0 where none was named.
    public int todo() {
        return todo;
    }

    /// Notes a step that changes nothing; a long one in part.
    public void step(String text) {
        note(text, false);
    }

    /// Notes a step that matters to what comes after it; a long one in part.
    public void act(String text) {
        note(text, true);
    }

    private synchronized void note(String text, boolean changes) {
        String usual =
                text.replace("localhost:" + stage.first().port(),
                        "localhost:" + usualPort);
        all.add(new Step(usual.length() <= 600 ? usual
                : usual.substring(0, 500) + " ... (" + usual.length() + " characters)",
                changes, false, null));
    }

    /// The latest step has made something that later ones mention by this name.
    ///
    /// @param comment that says so, from a line end on, or ""
    public synchronized void made(String name, String comment) {
        Step last = all.removeLast();
        all.add(new Step(last.text + comment, true, last.stays, name));
    }

    /// The latest step goes on while later ones are sent.
    public synchronized void stays() {
        Step last = all.removeLast();
        all.add(new Step(last.text, last.changes, true, last.name));
    }

    /// What came before does not matter to what follows, unless that mentions it by its name.
    public synchronized void afresh() {
        all.removeIf(each -> each.name == null);
        begin = all.size();
    }

    /// What came before the latest step does not matter to it.
    public synchronized void alone() {
        Step last = all.removeLast();
        afresh();
        all.add(last);
    }

    /// Notes a request as a line for a shell.
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn, beside the body's type
    public void curl(String method, String path, String body, String... headers) {
        String url = "http://localhost:" + stage.first().port() + path;
        note(curl(Repo.WINDOWS, method, url, body, headers),
                !method.equals("GET") && !method.equals("HEAD"));
    }

    /// A request as a line for bash and zsh, or for cmd.exe.
    public static String curl(boolean windows, String method, String url, String body,
            String... headers) {
        StringJoiner line = new StringJoiner(" ").add("curl -i");
        if (method.equals("HEAD")) line.add("--head");
        else if (!method.equals(body == null ? "GET" : "POST")) line
                .add("-X " + method);
        line.add(windows ? quote(true, url) : shortened(url));
        if (body != null) line
                .add("-H " + quote(windows, "Content-Type: application/json"));
        for (int i = 0; i < headers.length; i += 2) {
            line.add("-H " + quote(windows, headers[i] + ": " + headers[i + 1]));
        }
        if (body != null) line.add("-d " + quote(windows, body));
        return line.toString();
    }

    /// A URL; what it repeats often is not spelled out.
    private static String shortened(String url) {
        Matcher found = REPEATED.matcher(url);
        if (!found.find()) return quote(false, url);
        return quote(false, url.substring(0, found.start())) + "$(printf '"
                + found.group(1).replace("%", "%%") + "%.0s' {1.."
                + found.group().length() / found.group(1).length() + "})"
                + (found.end() == url.length() ? ""
                        : quote(false, url.substring(found.end())));
    }

    /// A word as the shell of this system reads it.
    public static String quote(String text) {
        return quote(Repo.WINDOWS, text);
    }

    /// As bash and zsh read it, in one line; or as cmd.exe does.
    private static String quote(boolean windows, String text) {
        if (text.matches("[\\w:/.=-]+")) return text;
        if (windows) return quoteForCmd(text);
        if (text.chars().allMatch(c -> c >= ' ' && c != 127)) {
            return "'" + text.replace("'", "'\\''") + "'";
        }
        StringBuilder quoted = new StringBuilder("$'");
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> quoted.append("\\n");
                case '\r' -> quoted.append("\\r");
                case '\t' -> quoted.append("\\t");
                case '\\', '\'' -> quoted.append('\\').appendCodePoint(c);
                default -> {
                    if (c >= ' ' && c != 127) quoted.appendCodePoint(c);
                    else quoted.append("\\x%02x".formatted(c));
                }
            }
        });
        return quoted + "'";
    }

    /// In double quotes. A program takes `\"` for a quote within them. For cmd.exe that one ends
    /// them or begins them anew, and what stands outside needs a caret.
    private static String quoteForCmd(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        boolean inside = true;
        for (char c : text.replaceAll("(\\\\*)\"", "$1$1\\\\\"")
                .replaceAll("\\\\+$", "$0$0").toCharArray()) {
            if (c == '"') inside = !inside;
            if (!inside && "&|<>^".indexOf(c) >= 0) quoted.append('^');
            if (c >= ' ' && c != 127) quoted.append(c);
            else quoted.append("\\x%02x".formatted((int) c));
        }
        return quoted.append(inside ? "\"" : "^\"").toString();
    }

    /// The last steps, and those before that matter to them. Where some of these are left out, too,
    /// it says so.
    public synchronized List<String> steps() {
        LinkedList<Step> shown = new LinkedList<>();
        int changes = 0;
        for (int i = all.size() - 1; i >= 0; i--) {
            Step each = all.get(i);
            boolean matters = each.changes && each.name == null;
            boolean fits = i >= begin && shown.size() < (matters ? MOST : STEPS);
            if (fits || shown.stream().anyMatch(one -> one.mentions(each))) {
                shown.addFirst(each);
            } else if (matters) {
                changes++;
            }
        }
        List<String> lines = new ArrayList<>();
        if (changes > 0) lines.add("(" + changes + " steps before)");
        for (Step each : shown) {
            boolean isLast = each == shown.getLast();
            lines.add(!each.stays || isLast ? each.text
                    : Repo.WINDOWS ? "start /b " + each.text
                    : each.text + " & sleep 1");
        }
        return lines;
    }

    /// A requirement that does not hold. Where the program has ended or has thrown, or has a TODO
    /// open, this is the likely cause, whatever the test supposes.
    public Failure failure(String expected, String got, int caret, String likely) {
        int open = Graded.todoIn(got);
        return open > 0 ? Failure.stillOpen(open, steps(), expected, got, caret)
                : new Failure(steps(), expected, got, caret,
                        stage.first().cause(got, likely));
    }
}
