package grader.command;

//DEPS org.jline:jline-terminal:4.5.0

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.report.Hints;
import grader.repo.Progress;
import grader.repo.Trouble;
import grader.report.Report;
import grader.verdict.Verdict;
import grader.verdict.Verdict.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalTime;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/// Grades an exercise each time its file is saved. It looks at the file itself, because events do
/// not come from every file system; a look costs nothing.
public final class Watch {
    private static final int LOOK_MS = 40;
    private static final Random SEEDS = new Random();
    /// Stands for what is in a file that cannot be read.
    private static final byte[] UNREADABLE = {0};

    /// What is known of the file: enough to see that it was saved.
    private record State(long modified, long size) {
        static State of(Path file) {
            try {
                return new State(Files.getLastModifiedTime(file).toMillis(),
                        Files.size(file));
            } catch (IOException gone) {
                return new State(-1, -1);
            }
        }
    }

    private final Report report;
    private final Long seed;
    private final Map<String, Verdict.Result> shown = new HashMap<>();
    private Exercise exercise;
    private Verdict last;

    /// @param seed of the inputs, or null for a new one each time
    public Watch(Report report, Long seed) {
        this.report = report;
        this.seed = seed;
    }

    /// Watches until `q` or the end of the process.
    ///
    /// @param first where to begin, or null for the first exercise that is not done
    public int run(Exercise first) throws IOException, InterruptedException {
        exercise = first != null ? first : Progress.current();
        try (Terminal terminal =
                System.console() != null && System.console().isTerminal()
                        ? TerminalBuilder.builder().system(true).type("dumb").build()
                        : null) {
            if (terminal == null) return loop(null);
            var before = terminal.enterRawMode();
            terminal.handle(Terminal.Signal.INT, signal -> {
                terminal.setAttributes(before);
                System.exit(130);
            });
            try {
                return loop(terminal);
            } finally {
                terminal.setAttributes(before);
            }
        }
    }

    private int loop(Terminal terminal) throws IOException, InterruptedException {
        while (true) {
            begin();
            State seen = null;
            byte[] graded = null;
            boolean here = true;
            while (here) {
                State now = State.of(exercise.file());
                if (!now.equals(seen)) {
                    seen = settled(now);
                    byte[] bytes = UNREADABLE;
                    try {
                        bytes = Objects.requireNonNullElse(
                                Repo.bytes(exercise.file()), new byte[0]);
                    } catch (Trouble unreadable) {
                        seen = null; // so we look again: it may come back as it was
                    }
                    if (!Arrays.equals(bytes, graded)) {
                        graded = bytes;
                        here = !tried(this::grade);
                    }
                }
                int key =
                        here && terminal != null ? terminal.reader().read(LOOK_MS) : -2;
                if (terminal == null) Thread.sleep(LOOK_MS);
                switch (key) {
                    case 'q', 3, 4 -> {
                        return 0;
                    }
                    case 'h' -> tried(this::hint);
                    case 'n' -> here = false;
                    default -> {
                    }
                }
            }
            Exercise next = next();
            if (next == null) {
                say("All exercises are done.");
                return 0;
            }
            if (Progress.isDone(exercise)) {
                say("\n" + report.bold("Done.") + " Before the next exercise comes "
                        + Report.lesson(next) + ".");
            }
            exercise = next;
        }
    }

    /// Does something, or says what keeps us from it: then we go on watching.
    private boolean tried(BooleanSupplier something) {
        try {
            return something.getAsBoolean();
        } catch (Trouble e) {
            say(e.getMessage());
            return false;
        }
    }

    /// Waits until the file is written to its end: an editor may save it in parts.
    private State settled(State first) throws InterruptedException {
        State last = first;
        for (int i = 0; i < 50; i++) {
            Thread.sleep(15);
            State now = State.of(exercise.file());
            if (now.equals(last) && now.size() != 0) return now;
            last = now;
        }
        return last;
    }

    private void begin() {
        shown.clear();
        last = null;
        say("\nWatching " + report.bold(Repo.shown(exercise.file()))
                + ": save it, and it is graded.  h hint, n next, q quit\n");
    }

    /// @return whether the exercise is done
    private boolean grade() {
        Verdict verdict = Grading.of(exercise, exercise.file(),
                seed == null ? SEEDS.nextLong() : seed, doing -> {});
        verdict.keep();
        StringBuilder text = new StringBuilder(report.dim(
                "-- graded at " + LocalTime.now().truncatedTo(ChronoUnit.SECONDS)
                        + "\n"));
        if (verdict.trouble() != null) {
            boolean known = last != null && verdict.trouble().equals(last.trouble());
            if (!known) text.append(report.trouble(verdict));
            else text.append("Still the same: it could not be graded.");
        } else {
            changes(verdict, text);
            text.append(report.heading(verdict)).append("  (").append(verdict.ms())
                    .append(" ms)");
            String todo = Report.todo(verdict);
            if (!todo.isEmpty()) text.append("\n").append(report.bold("Next: "))
                    .append(todo);
        }
        text.append(report.note(verdict));
        last = verdict;
        say(text.toString());
        return verdict.passed();
    }

    /// Only what is new: a requirement that holds now, or fails in another way.
    private void changes(Verdict verdict, StringBuilder text) {
        for (Result each : verdict.results()) {
            Result before = shown.put(each.id(), each);
            if (before != null && before.passed() == each.passed()
                    && Objects.equals(essence(before), essence(each))) continue;
            text.append(report.line(each));
            if (!each.passed()) text.append(report.details(verdict, each));
        }
    }

    /// What makes a failure another one; random inputs do not.
    private static String essence(Result result) {
        return result.failure() == null ? null : result.failure().likely;
    }

    /// @return whether there was one
    private boolean hint() {
        boolean decided = last != null && last.trouble() == null;
        say(decided ? Hints.next(exercise, report.nextToDo(last).id(), report)
                : "Mend it first, then there are hints.");
        return decided;
    }

    /// The next exercise that is not done.
    private Exercise next() {
        var all = Exercise.all();
        int at = all.indexOf(exercise);
        for (int i = 1; i < all.size(); i++) {
            Exercise each = all.get((at + i) % all.size());
            if (!Progress.isDone(each)) return each;
        }
        return Progress.isDone(exercise) ? null : exercise;
    }

    /// Raw mode leaves line feeds as they are, so each needs a carriage return.
    private void say(String text) {
        boolean raw = System.console() != null && System.console().isTerminal();
        System.out.print(raw ? text.replace("\n", "\r\n") + "\r\n" : text + "\n");
        System.out.flush();
    }
}
