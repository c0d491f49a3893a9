package grader.command;

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
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Grades an exercise each time its file is saved, or one that lies beside it. It looks at the
/// files themselves, because events do not come from every file system; a look costs nothing.
public final class Watch {
    public static final String KEYS =
            "h hint, n next exercise, p the one before, ? help, q quit";
    private static final int LOOK_MS = 40;
    private static final Random SEEDS = new Random();

    /// What is known of a file: enough to see that it was saved, or cannot be read any more.
    private record State(long modified, long size, boolean readable) {
        static State of(Path file) {
            try {
                return new State(Files.getLastModifiedTime(file).toMillis(),
                        Files.size(file), Files.isReadable(file));
            } catch (IOException gone) {
                return new State(-1, -1, false);
            }
        }

        static Map<Path, State> of(Exercise exercise) {
            return exercise.files().stream()
                    .collect(Collectors.toMap(each -> each, State::of));
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
        boolean isTerminal = System.console() != null && System.console().isTerminal();
        String before = isTerminal ? stty("-g") : "";
        if (before.isEmpty()) {
            if (isTerminal) say("Press Enter after a key.");
            return loop();
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stty(before)));
        stty("-icanon", "-echo");
        return loop();
    }

    /// Asks or tells the terminal how it reads keys; says nothing where there is no such program.
    private static String stty(String... words) {
        try {
            Process stty = new ProcessBuilder(Stream.concat(Stream.of("stty"),
                    Stream.of(words)).toList())
                    .redirectInput(ProcessBuilder.Redirect.INHERIT)
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            return new String(stty.getInputStream().readAllBytes()).strip();
        } catch (IOException none) {
            return "";
        }
    }

    private int loop() throws IOException, InterruptedException {
        Exercise begun = null;
        Map<Path, State> seen = null;
        String graded = null;
        while (true) {
            if (!exercise.equals(begun)) {
                begin();
                begun = exercise;
                seen = null;
                graded = null;
            }
            Map<Path, State> now = State.of(exercise);
            if (!now.equals(seen)) {
                seen = settled(now);
                String state = exercise.state();
                if (!state.equals(graded)) {
                    graded = state;
                    tried(this::grade);
                }
            }
            switch (key()) {
                case 'q', 3, 4 -> {
                    return 0;
                }
                case 'h' -> tried(this::hint);
                case 'n' -> next();
                case 'p' -> before();
                case '?' -> say(report.fold(KEYS, 0));
                default -> {
                }
            }
        }
    }

    /// A key that was pressed, or something negative after a short time.
    private static int key() throws IOException, InterruptedException {
        if (System.in.available() > 0) return System.in.read();
        Thread.sleep(LOOK_MS);
        return -1;
    }

    /// Does something, or says what keeps us from it: then we go on watching.
    private void tried(Runnable something) {
        try {
            something.run();
        } catch (Trouble e) {
            say(e.getMessage());
        }
    }

    /// Waits until the files are written to their end: an editor may save in parts.
    private Map<Path, State> settled(Map<Path, State> first)
            throws InterruptedException {
        Map<Path, State> last = first;
        for (int i = 0; i < 50; i++) {
            Thread.sleep(15);
            Map<Path, State> now = State.of(exercise);
            if (now.equals(last) && now.get(exercise.file()).size != 0) return now;
            last = now;
        }
        return last;
    }

    private void begin() {
        shown.clear();
        last = null;
        say("\n" + report.fold("Watching " + report.bold(Repo.shown(exercise.file()))
                + ": save it, and it is graded.", 0) + "\n" + report.fold(KEYS, 0)
                + "\n");
    }

    private void grade() {
        Verdict verdict = Grading.of(exercise, exercise.file(),
                seed == null ? SEEDS.nextLong() : seed,
                doing -> grader.report.Terminal
                        .line("grading " + exercise.number() + ": " + doing + " ..."));
        if (grader.report.Terminal.isEnding()) return;
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
            if (!verdict.passed()) text.append("\n").append(report.bold("Next: "))
                    .append(report.next(verdict, "h for a hint"));
        }
        text.append(report.note(verdict));
        last = verdict;
        say(text.toString());
        if (verdict.passed()) done();
    }

    /// What there is to see before one goes on.
    private void done() {
        StringBuilder text = new StringBuilder("\n" + report.bold("Done."));
        String difference = Files.exists(exercise.solution())
                ? report.difference(Repo.read(exercise.file()),
                        Repo.read(exercise.solution()))
                : "";
        if (!difference.isEmpty()) text.append(" What solutions/").append(exercise)
                .append(".java does differently:\n").append(difference);
        Exercise next = following();
        say(text + (next == null ? "\nAll exercises are done."
                : "\n" + report.fold("Before the next exercise comes "
                        + Report.lesson(next) + ". n goes on.", 0)));
    }

    /// Only what is new: a requirement that holds now, or fails in another way; and again what is
    /// to be mended next.
    private void changes(Verdict verdict, StringBuilder text) {
        for (Result each : verdict.results()) {
            Result before = shown.put(each.id(), each);
            boolean isNext = each == verdict.next() && !each.isOpen();
            if (!isNext && before != null && before.passed() == each.passed()
                    && Objects.equals(essence(before), essence(each))) continue;
            text.append(report.line(each));
            if (!each.passed()) text.append(report.details(verdict, each));
        }
    }

    /// What makes a failure another one; random inputs do not.
    private static String essence(Result result) {
        return result.failure() == null ? null : result.failure().likely;
    }

    private void hint() {
        Result next = last == null ? null : last.next();
        say(next != null ? Hints.next(exercise, next.id(), report, "h")
                : last != null && last.passed() ? "It is done: n goes on."
                : "Mend it first, then there are hints.");
    }

    private void next() {
        Exercise next = following();
        if (next != null) exercise = next;
        else say("All exercises are done.");
    }

    private void before() {
        var all = Exercise.all();
        int before = all.indexOf(exercise) - 1;
        if (before >= 0) exercise = all.get(before);
        else say("This is the first one.");
    }

    /// The next exercise that is not done, or null.
    private Exercise following() {
        var all = Exercise.all();
        int at = all.indexOf(exercise);
        for (int i = 1; i < all.size(); i++) {
            Exercise each = all.get((at + i) % all.size());
            if (!Progress.isDone(each)) return each;
        }
        return Progress.isDone(exercise) ? null : exercise;
    }

    private void say(String text) {
        grader.report.Terminal.line("");
        System.out.print(text + "\n");
        System.out.flush();
    }
}
