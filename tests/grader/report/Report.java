package grader.report;

import grader.repo.Exercise;
import grader.client.Failure;
import grader.verdict.Verdict;
import grader.verdict.Verdict.Result;
import java.util.ArrayList;
import java.util.List;
import shared.Graded;

/// A verdict as text for a terminal.
public final class Report {
    private static final int BODY_LINES = 16;
    private static final int WIDTH = 400;

    private final boolean colour;
    private final int width;

    /// @param colour whether ANSI colours may be used
    public Report(boolean colour) {
        this(colour, Integer.MAX_VALUE);
    }

    /// @param width of the terminal: longer sentences are broken at words
    public Report(boolean colour, int width) {
        this.colour = colour;
        this.width = width;
    }

    /// The whole verdict of one exercise: each requirement, and what is wrong with those that fail.
    public String whole(Verdict verdict) {
        StringBuilder text = new StringBuilder(heading(verdict)).append('\n');
        if (verdict.trouble() != null) {
            return text.append(trouble(verdict)).append(note(verdict)).toString();
        }
        for (Result each : verdict.results()) {
            text.append(line(each));
            if (!each.passed()) text.append(details(verdict, each));
        }
        return text.append(note(verdict)).toString();
    }

    /// `exercises/01_short_polling.java  9 of 11 points`
    public String heading(Verdict verdict) {
        return "%s  %s".formatted(bold(verdict.file()), score(verdict));
    }

    /// A line for the list of all exercises, and the requirements that do not hold.
    public String brief(Verdict verdict) {
        String state = verdict.trouble() != null
                ? red(visible(verdict.trouble().lines().findFirst().orElse("")))
                : verdict.passed() ? green("done")
                : verdict.results().stream().allMatch(Result::isOpen) ? "not begun"
                : "fails " + String.join(" ", verdict.results().stream()
                        .filter(each -> !each.passed()).map(Result::id).toList());
        return "%-42s %3d of %2d  %s%n".formatted(verdict.file(), verdict.earned(),
                verdict.points(), state) + note(verdict);
    }

    /// The first TODO that is open, with its line; or nothing where none is.
    public static String todo(Verdict verdict) {
        int number = verdict.firstOpen();
        return number == 0 ? "" : where(verdict, number);
    }

    /// The score where there are several, and the one next thing to do.
    public String end(List<Verdict> verdicts, long seed) {
        StringBuilder text = new StringBuilder();
        if (verdicts.size() > 1) {
            text.append("\n").append(verdicts.stream().mapToInt(Verdict::earned).sum())
                    .append(" of ")
                    .append(verdicts.stream().mapToInt(Verdict::points).sum())
                    .append(" points\n");
        }
        text.append("\n").append(bold("Next: ")).append(next(verdicts));
        boolean ran =
                verdicts.stream().anyMatch(each -> each.ms() > 0 && !each.passed());
        return ran ? text + dim("\nSame inputs again: --seed " + seed)
                : text.toString();
    }

    public static String lesson(Exercise exercise) {
        return "lesson " + exercise.number() + ", ./jbang lessons/" + exercise.name()
                + ".java";
    }

    private String next(List<Verdict> verdicts) {
        Verdict verdict = verdicts.stream().filter(each -> !each.passed()).findFirst()
                .orElse(null);
        if (verdict == null) {
            List<Exercise> all = Exercise.all();
            int next = all.indexOf(verdicts.getLast().exercise()) + 1;
            if (next == all.size()) return "nothing, all is done. Well done.";
            return lesson(all.get(next)) + ", then its exercise";
        }
        String number = verdict.exercise().number();
        if (verdict.trouble() != null) return "mend that, then ./jbang grade " + number;
        if (!isToMend(verdict)) {
            return next(verdict, "") + "\n      ./jbang watch " + number
                    + " grades each time you save";
        }
        return verdicts.size() > 1
                ? "./jbang grade " + number + " tells what is wrong with it"
                : next(verdict, "./jbang hint " + verdict.next().id());
    }

    /// Whether what fails first is written already, and is not just still open.
    private static boolean isToMend(Verdict verdict) {
        Result result = verdict.next();
        return !result.isOpen() && result.todo() != verdict.firstOpen();
    }

    /// The first TODO that is open; or where something is written and does not work, to mend that.
    ///
    /// @param help how to get a hint
    public String next(Verdict verdict, String help) {
        Result result = verdict.next();
        if (isToMend(verdict)) return "mend " + result.id() + ", or " + help;
        String todo = todo(verdict); // none where its comment was deleted
        return fold(todo.isEmpty() ? result.failure().likely : todo, 6);
    }

    private String score(Verdict verdict) {
        String text = verdict.earned() + " of " + verdict.points() + " points";
        return verdict.passed() ? green(text) : text;
    }

    public String note(Verdict verdict) {
        return verdict.note() == null ? "" : "\n" + verdict.note() + "\n";
    }

    public String trouble(Verdict verdict) {
        return "\n" + red("Could not be graded.") + " "
                + visible(verdict.trouble()).strip()
                + "\n";
    }

    /// `ok   01.2  where the client ...`
    public String line(Result result) {
        String mark = result.passed() ? green("ok  ") : red("FAIL");
        String sentence = result.sentence()
                + (result.passed() ? "" : " (" + points(result.points()) + ")");
        return "%s %s  %s\n".formatted(mark, result.id(), fold(sentence, 11));
    }

    private static String points(int points) {
        return points == 1 ? "1 point" : points + " points";
    }

    /// What was sent, what was expected, what came back, why, where, and what to do.
    public String details(Verdict verdict, Result result) {
        Failure failure = result.failure();
        if (failure == null) {
            return indent("likely",
                    List.of("It was not decided, so it does not count."));
        }
        if (result.isOpen()) {
            return "     "
                    + fold(failure.likely + beginWith(verdict, failure.openTodo), 5)
                    + "\n";
        }
        StringBuilder text = new StringBuilder();
        if (!failure.sent.isEmpty()) {
            text.append(indent("sent", failure.sent.stream()
                    .flatMap(each -> visible(each).lines()).toList()));
        }
        text.append(indent("expected", visible(failure.expected).lines()
                .map(each -> part(each, 0)).toList()));
        text.append(indent("got", got(failure)));
        String thrown = Graded.placeIn(failure.likely, verdict.exercise() + ".java");
        text.append(indent("likely", fold(visible(failure.likely)
                + (thrown != null ? "" : beginWith(verdict, result.todo())))));
        text.append(indent("where", fold(thrown != null ? verdict.file() + thrown
                : where(verdict, result.todo()))));
        text.append(indent("next", List.of("./jbang hint " + result.id())));
        return text + "\n";
    }

    private static String beginWith(Verdict verdict, int todo) {
        int first = verdict.firstOpen();
        return first > 0 && first < todo
                ? " Begin with TODO " + first + ", which is open, too." : "";
    }

    private static String where(Verdict verdict, int todo) {
        return verdict.todos().stream().filter(each -> each.number() == todo)
                .findFirst()
                .map(each -> verdict.file() + ":" + each.line() + "  TODO "
                        + each.number() + ": "
                        + each.sentence())
                .orElse(verdict.file() + "  TODO " + todo);
    }

    /// The lines of what came back, with a caret below the first difference.
    private static List<String> got(Failure failure) {
        List<String> shown = new ArrayList<>();
        int at = 0;
        int last = 0;
        for (String line : failure.got.split("\n", -1)) {
            int column = failure.caret - at;
            boolean here = failure.caret >= 0 && column >= 0 && column <= line.length();
            at += line.length() + 1;
            if (!here && shown.size() >= BODY_LINES) continue;
            int from = here ? Math.max(0, column - WIDTH / 2) : 0;
            shown.add(visible(part(line, from)));
            if (!here) continue;
            String before = before(from) + line.substring(from, column);
            shown.add(" ".repeat(visible(before).length()) + "^");
            last = shown.size();
        }
        while (shown.size() > Math.max(1, last)
                && shown.getLast().isBlank()) shown.removeLast();
        return shown;
    }

    /// So much of a line as a terminal shows well.
    private static String part(String line, int from) {
        int end = Math.min(line.length(), from + WIDTH);
        return before(from) + line.substring(from, end) + (end == line.length() ? ""
                : "... (" + (line.length() - end) + " characters)");
    }

    private static String before(int from) {
        return from == 0 ? "" : "(" + from + " characters) ...";
    }

    private String indent(String label, List<String> lines) {
        StringBuilder text = new StringBuilder();
        for (String line : lines) {
            String shown = text.isEmpty() ? label : "";
            text.append("     ").append(dim("%-10s".formatted(shown))).append(line)
                    .append('\n');
        }
        return text.toString();
    }

    private List<String> fold(String text) {
        return text.lines().flatMap(each -> fold(each, 15).lines())
                .map(String::strip).toList();
    }

    /// Breaks a sentence between words so that it fits the terminal.
    ///
    /// @param indent the columns before it, in each of its lines
    public String fold(String sentence, int indent) {
        StringBuilder folded = new StringBuilder();
        int column = indent;
        for (String word : sentence.split(" ", -1)) {
            if (column > indent && column + 1 + word.length() > width) {
                folded.append('\n').append(" ".repeat(indent));
                column = indent;
            } else if (!folded.isEmpty()) {
                folded.append(' ');
                column++;
            }
            folded.append(word);
            column += word.length();
        }
        return folded.toString();
    }

    /// What a solution has in its holes in place of a learner's code; nothing where it is the same.
    public String difference(String own, String solution) {
        StringBuilder text = new StringBuilder();
        var holes = Exercise.holes(solution);
        Exercise.holes(own).forEach((todo, code) -> {
            List<String> mine = lines(code);
            List<String> theirs = lines(holes.getOrDefault(todo, code));
            if (mine.equals(theirs)) return;
            text.append("  TODO ").append(todo).append('\n');
            mine.stream().filter(each -> !theirs.contains(each))
                    .forEach(each -> text.append(red("  - " + each)).append('\n'));
            theirs.stream().filter(each -> !mine.contains(each))
                    .forEach(each -> text.append(green("  + " + each)).append('\n'));
        });
        return text.toString();
    }

    private static List<String> lines(String code) {
        return code.stripTrailing().stripIndent().lines().toList();
    }

    /// Text of a stranger: control characters are shown, not sent to the terminal.
    public static String visible(String text) {
        StringBuilder shown = new StringBuilder();
        text.codePoints().forEach(c -> {
            if (c == '\n' || c >= 32 && c < 127 || c > 159) shown.appendCodePoint(c);
            else shown.append(
                    c == '\t' ? "\\t" : c == '\r' ? "\\r" : "\\x%02x".formatted(c));
        });
        return shown.toString();
    }

    public String bold(String text) {
        return paint("1", text);
    }

    public String green(String text) {
        return paint("32", text);
    }

    public String red(String text) {
        return paint("31", text);
    }

    public String dim(String text) {
        return paint("2", text);
    }

    private String paint(String code, String text) {
        return colour ? "\033[" + code + "m" + text + "\033[0m" : text;
    }
}
