package grader;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.jupiter.engine.JupiterTestEngine;

/// Grades one submission: compiles it, runs it, and has JUnit decide about each requirement. A
/// requirement holds only where its test was seen to succeed; what was not discovered, skipped or
/// aborted does not hold.
public final class Grading implements TestExecutionListener {
    private static final int WALL_SECONDS = 90;
    private static volatile Grading current;

    private final Exercise exercise;
    private final Path file;
    private final long seed;
    /// How long it took to compile and start it, in nanoseconds.
    private final long started;
    private final Pauses pauses = new Pauses();
    private final Map<String, Verdict.Result> results = new LinkedHashMap<>();
    private Path folder;
    private Build build;
    private Program program;
    private long ends = Long.MAX_VALUE;
    private String trouble;

    /// Compiles `file`, and starts it.
    private Grading(Exercise exercise, Path file, long seed,
            Consumer<String> progress) {
        this.exercise = exercise;
        this.file = file;
        this.seed = seed;
        long began = System.nanoTime();
        for (var each : undecided(exercise)) results.put(each.id(), each);
        try {
            folder = temporary();
            progress.accept("compiling");
            build = Build.of(exercise, file, folder);
            progress.accept("starting");
            program();
        } catch (Trouble e) {
            trouble = e.getMessage();
        }
        started = System.nanoTime() - began;
    }

    /// Grades `file` as a submission to `exercise`.
    ///
    /// @param seed of the inputs, which vary from run to run
    /// @param progress hears what is being done
    public static synchronized Verdict of(Exercise exercise, Path file, long seed,
            Consumer<String> progress) {
        var files = Snapshots.all();
        return new Grading(exercise, file, seed, progress).verdict(files, progress);
    }

    /// Grades exercises, in order. While one is checked, the next one is compiled and started
    /// already. Where there are several, one that nobody has worked on is not run.
    ///
    /// @param solution whether to grade the solutions in place of the learner's files
    /// @param done hears each verdict as soon as it is known
    public static synchronized void all(List<Exercise> exercises, boolean solution,
            long seed, Consumer<String> progress, Consumer<Verdict> done) {
        List<Exercise> begun = exercises.size() == 1 ? exercises
                : exercises.stream()
                        .filter(each -> !each.isUntouched(each.file(solution)))
                        .toList();
        Iterator<Exercise> rest = begun.iterator();
        var files = Snapshots.all();
        var next = start(rest, solution, seed);
        for (Exercise each : exercises) {
            if (!begun.contains(each)) {
                done.accept(Verdict.untouched(each, each.file(solution)));
                continue;
            }
            progress.accept(each.number() + ": starting");
            Grading grading = next.join();
            next = start(rest, solution, seed);
            done.accept(grading.verdict(files,
                    doing -> progress.accept(each.number() + ": " + doing)));
        }
    }

    private static CompletableFuture<Grading> start(Iterator<Exercise> rest,
            boolean solution, long seed) {
        if (!rest.hasNext()) return null;
        Exercise exercise = rest.next();
        return CompletableFuture.supplyAsync(() -> new Grading(exercise,
                exercise.file(solution), seed, doing -> {}));
    }

    /// Checks each requirement, and ends the program.
    ///
    /// @param files the exercises' files as they ought to be; afterwards as they are
    private Verdict verdict(Map<Exercise, byte[]> files, Consumer<String> progress) {
        long began = System.nanoTime();
        try {
            progress.accept("checking");
            if (trouble == null) check();
        } finally {
            if (program != null) program.close();
            pauses.close();
            if (folder != null) delete(folder);
        }
        return new Verdict(exercise, Build.shown(file), seed, trouble,
                Snapshots.keepChanged(files), List.copyOf(results.values()),
                Files.isReadable(file) ? todos(file) : List.of(),
                (started + System.nanoTime() - began) / 1_000_000);
    }

    private static List<Exercise.Todo> todos(Path file) {
        try {
            return Exercise.todos(Exercise.read(file));
        } catch (Trouble notText) {
            return List.of();
        }
    }

    /// All requirements of an exercise, as they stand before anything is known.
    public static List<Verdict.Result> undecided(Exercise exercise) {
        return Arrays.stream(exercise.requirements().getDeclaredMethods())
                .filter(each -> each.isAnnotationPresent(Requirement.class))
                .map(each -> {
                    Requirement it = each.getAnnotation(Requirement.class);
                    String sentence = each.getAnnotation(DisplayName.class).value();
                    return new Verdict.Result(it.id(), sentence, it.points(), it.todo(),
                            false,
                            null);
                })
                .sorted(Comparator.comparing(Verdict.Result::id)).toList();
    }

    private void check() {
        ends = System.nanoTime() + WALL_SECONDS * 1_000_000_000L;
        current = this;
        try {
            var request = LauncherDiscoveryRequestBuilder.request()
                    .selectors(selectClass(exercise.requirements()))
                    .configurationParameter(
                            "junit.jupiter.extensions.autodetection.enabled",
                            "false")
                    .build();
            launcher().execute(request, this);
            if (trouble == null) trouble = program.disorder();
        } finally {
            current = null;
        }
    }

    static Launcher launcher() {
        return LauncherFactory.create(LauncherConfig.builder()
                .enableTestEngineAutoRegistration(false)
                .addTestEngines(new JupiterTestEngine())
                .enableLauncherSessionListenerAutoRegistration(false)
                .enableLauncherDiscoveryListenerAutoRegistration(false)
                .enableTestExecutionListenerAutoRegistration(false)
                .enablePostDiscoveryFilterAutoRegistration(false).build());
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (!(test.getSource().orElse(null) instanceof MethodSource method)) return;
        Requirement requirement =
                method.getJavaMethod().getAnnotation(Requirement.class);
        if (requirement == null) return;
        var before = results.get(requirement.id());
        Failure failure = result.getThrowable().map(this::failure).orElse(null);
        boolean passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        results.put(requirement.id(), new Verdict.Result(before.id(), before.sentence(),
                before.points(), before.todo(), passed, failure));
    }

    private Failure failure(Throwable thrown) {
        if (thrown instanceof Failure failure) return failure;
        if (thrown instanceof Trouble trouble) {
            return new Failure(List.of(), "a running program", "nothing", -1,
                    trouble.getMessage());
        }
        if (thrown instanceof java.util.concurrent.TimeoutException) {
            program.spoil("time");
            return new Failure(List.of(), "the end of this check",
                    "none within " + Requirements.SECONDS + " s", -1,
                    program.cause("nothing",
                            "Something waits for ever, or takes far too long."));
        }
        return new Failure(List.of(), "no surprise", "" + thrown, -1,
                program.cause("nothing",
                        "The grader did not foresee this; please report it."));
    }

    static Grading current() {
        return current;
    }

    /// The running submission, started anew where it has ended or does not answer any more.
    Program program() {
        if (System.nanoTime() > ends) {
            throw new Trouble(
                    "The time for this exercise is up: " + WALL_SECONDS + " s.");
        }
        if (program != null && program.isUsable()) return program;
        if (program != null) {
            if (trouble == null) trouble = program.disorder();
            program.close();
        }
        program = Program.start(build, folder,
                Map.of("ON_THE_WIRE_PAUSES", "" + pauses.port()));
        return program;
    }

    Talk talk(Program program) {
        return new Talk(program, exercise.port());
    }

    Pauses pauses() {
        return pauses;
    }

    long seed() {
        return seed;
    }

    private static Path temporary() {
        try {
            return Files.createTempDirectory("on-the-wire").toRealPath();
        } catch (IOException e) {
            throw new Trouble(
                    "Cannot make a temporary folder: " + e.getMessage() + ".");
        }
    }

    static void delete(Path folder) {
        try (Stream<Path> all = Files.walk(folder)) {
            all.sorted(Comparator.reverseOrder())
                    .forEach(each -> each.toFile().delete());
        } catch (IOException e) {
            // The system empties its temporary folder in time.
        }
    }
}
