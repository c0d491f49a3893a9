package grader;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    private final Path folder;
    private final Build build;
    private final long seed;
    private final long ends = System.nanoTime() + WALL_SECONDS * 1_000_000_000L;
    private final Pauses pauses = new Pauses();
    private final Map<String, Verdict.Result> results = new LinkedHashMap<>();
    private Program program;
    private String disorder;

    private Grading(Exercise exercise, Build build, Path folder, long seed) {
        this.exercise = exercise;
        this.build = build;
        this.folder = folder;
        this.seed = seed;
    }

    /// Grades `file` as a submission to `exercise`.
    ///
    /// @param seed of the inputs, which vary from run to run
    /// @param progress hears what is being done
    public static synchronized Verdict of(Exercise exercise, Path file, long seed,
            Consumer<String> progress) {
        long began = System.nanoTime();
        List<Verdict.Result> results = undecided(exercise);
        String trouble = null;
        String note = null;
        Path folder = temporary();
        var before = Snapshots.all();
        try {
            progress.accept("compiling");
            Build build = Build.of(exercise, file, folder);
            progress.accept("starting");
            Grading grading = new Grading(exercise, build, folder, seed);
            results = grading.run(results, progress);
            trouble = grading.disorder;
        } catch (Trouble e) {
            trouble = e.getMessage();
        } finally {
            delete(folder);
            note = Snapshots.keepChanged(before);
        }
        List<Exercise.Todo> todos = Files.isReadable(file) ? todos(file) : List.of();
        return new Verdict(exercise, Build.shown(file), seed, trouble, note, results,
                todos,
                (System.nanoTime() - began) / 1_000_000);
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

    private List<Verdict.Result> run(List<Verdict.Result> undecided,
            Consumer<String> progress) {
        for (var each : undecided) results.put(each.id(), each);
        current = this;
        try {
            program(); // what never gets ready has no requirements decided
            progress.accept("checking");
            var request = LauncherDiscoveryRequestBuilder.request()
                    .selectors(selectClass(exercise.requirements()))
                    .configurationParameter(
                            "junit.jupiter.extensions.autodetection.enabled",
                            "false")
                    .build();
            launcher().execute(request, this);
            if (disorder == null) disorder = program.disorder();
        } finally {
            if (program != null) program.close();
            pauses.close();
            current = null;
        }
        return List.copyOf(results.values());
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
            if (disorder == null) disorder = program.disorder();
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
