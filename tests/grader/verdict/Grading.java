package grader.verdict;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import grader.build.Build;
import grader.client.Failure;
import grader.repo.Changes;
import grader.repo.Exercise;
import grader.repo.Repo;
import grader.repo.Trouble;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import grader.stage.Node;
import grader.stage.Patience;
import grader.stage.Stage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.engine.JupiterTestEngine;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassSelector;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/// Grades one submission: compiles it, runs it, and has JUnit decide about each requirement. A
/// requirement holds only where its test was seen to succeed; what was not discovered, skipped or
/// aborted does not hold. Several may be graded at the same time.
public final class Grading implements TestExecutionListener {
    /// After these no requirement begins, and none goes on, where the machine is idle.
    private static final int ALL_MS = 90_000;
    private static final int EACH_MS = 20_000;
    /// Most of a grading is waiting, so two take little longer than one.
    private static final int SIDE_BY_SIDE = 2;

    private final Exercise exercise;
    private final Path file;
    private final long seed;
    private final int eachMs = Patience.ms(EACH_MS);
    private final Map<String, Verdict.Result> results = new LinkedHashMap<>();
    private Consumer<String> progress;
    private Stage stage;
    private Requirements.Context context;
    private String trouble;

    private Grading(Exercise exercise, Path file, long seed) {
        this.exercise = exercise;
        this.file = file;
        this.seed = seed;
    }

    /// Grades `file` as a submission to `exercise`.
    ///
    /// @param seed of the inputs, which vary from run to run
    /// @param progress hears what is being done
    public static Verdict of(Exercise exercise, Path file, long seed,
            Consumer<String> progress) {
        return new Grading(exercise, file, seed).verdict(new Changes(), progress);
    }

    /// Grades exercises, two at a time. Where there are several, one that nobody has worked on is
    /// not run.
    ///
    /// @param submission which file of an exercise is to be graded
    /// @param done hears the verdicts in order, each as soon as it is known
    public static void all(List<Exercise> exercises,
            Function<Exercise, Path> submission, long seed, Consumer<String> progress,
            Consumer<Verdict> done) {
        Changes changes = new Changes();
        Map<Exercise, CompletableFuture<Verdict>> verdicts = new LinkedHashMap<>();
        try (var pool = Executors.newFixedThreadPool(SIDE_BY_SIDE)) {
            for (Exercise each : exercises) {
                Path file = submission.apply(each);
                verdicts.put(each, exercises.size() > 1 && each.isUntouched(file)
                        ? CompletableFuture.completedFuture(
                                untouched(each, file))
                        : CompletableFuture.supplyAsync(
                                () -> new Grading(each, file, seed).verdict(changes,
                                        doing -> progress
                                                .accept(each.number() + ": " + doing)),
                                pool));
            }
            verdicts.values().forEach(each -> done.accept(each.join()));
        }
    }

    /// Compiles, starts and checks. A [Trouble] becomes the verdict's.
    ///
    /// @param changes knows the files as they ought to be
    private Verdict verdict(Changes changes, Consumer<String> progress) {
        this.progress = progress;
        long began = System.nanoTime();
        String state = file.equals(exercise.file()) ? exercise.state() : null;
        Path folder = null;
        try {
            for (var each : undecided(exercise)) results.put(each.id(), each);
            folder = Repo.temporary();
            progress.accept("compiling");
            stage = new Stage(Build.of(exercise, file, folder), folder);
            context = new Requirements.Context(stage, seed, exercise.port());
            progress.accept("starting");
            stage.node(Stage.A);
            check();
        } catch (Trouble e) {
            trouble = e.getMessage();
        } finally {
            if (stage != null) stage.close();
            if (folder != null) Repo.delete(folder);
        }
        String note = changes.told();
        if (note == null && stage != null) note = stage.slowness();
        return new Verdict(exercise, null, Repo.shown(file), seed, trouble, note,
                List.copyOf(results.values()),
                Files.isReadable(file) ? todos(file) : List.of(),
                (System.nanoTime() - began) / 1_000_000, state);
    }

    /// The verdict of a file that nobody has worked on: every TODO is open. Known without a run.
    public static Verdict untouched(Exercise exercise, Path file) {
        var results = undecided(exercise).stream()
                .map(each -> new Verdict.Result(each.id(), each.sentence(),
                        each.points(), each.todo(), false, Failure.stillOpen(
                                each.todo(), List.of(), "code", "none", -1)))
                .toList();
        return new Verdict(exercise, null, Repo.shown(file), 0, null, null, results,
                exercise.todos(Repo.read(file)), 0, null);
    }

    private List<Exercise.Todo> todos(Path file) {
        try {
            return exercise.todos(Repo.read(file));
        } catch (Trouble notText) {
            return List.of();
        }
    }

    /// All requirements of an exercise, as they stand before anything is known.
    ///
    /// @throws Trouble where it has none
    public static List<Verdict.Result> undecided(Exercise exercise) {
        List<Verdict.Result> all = requirements(exercise).stream()
                .flatMap(each -> Arrays.stream(each.getDeclaredMethods()))
                .filter(each -> each.isAnnotationPresent(Requirement.class))
                .map(each -> {
                    Requirement it = each.getAnnotation(Requirement.class);
                    String sentence = each.getAnnotation(DisplayName.class).value();
                    return new Verdict.Result(it.id(), sentence, it.points(), it.todo(),
                            false,
                            null);
                })
                .sorted(Comparator.comparing(Verdict.Result::id)).toList();
        if (!all.isEmpty()) return all;
        throw new Trouble(
                "Exercise " + exercise.number() + " cannot be graded, which is"
                        + " the course's own fault: no method below tests/" + exercise
                        + " is a @Requirement.");
    }

    /// The classes of its requirements: the one that is named as the exercise in PascalCase, or
    /// those that it permits to extend it.
    ///
    /// @throws Trouble where there is none
    private static List<Class<?>> requirements(Exercise exercise) {
        String type = "requirements." + exercise.lesson().type();
        try {
            Class<?> all = Class.forName(type);
            return all.isSealed() ? List.of(all.getPermittedSubclasses())
                    : List.of(all);
        } catch (ClassNotFoundException e) {
            throw new Trouble("Exercise " + exercise.number() + " cannot be graded,"
                    + " which is the course's own fault: it has no class " + type
                    + " below tests/" + exercise + ".");
        }
    }

    private void check() {
        stage.limit(Patience.ms(ALL_MS));
        try (LauncherSession session = session()) {
            context.offer(session);
            session.getLauncher().execute(LauncherDiscoveryRequestBuilder.request()
                    .selectors(requirements(exercise).stream()
                            .map(each -> selectClass(each))
                            .toArray(ClassSelector[]::new))
                    .configurationParameter(
                            "junit.jupiter.extensions.autodetection.enabled", "false")
                    .configurationParameter(
                            "junit.jupiter.execution.timeout.testable.method.default",
                            eachMs + " ms")
                    .configurationParameter(
                            "junit.jupiter.execution.timeout.thread.mode.default",
                            "SEPARATE_THREAD")
                    .build(), this);
        }
        if (trouble == null) trouble = stage.disorder();
    }

    private static LauncherSession session() {
        return LauncherFactory.openSession(LauncherConfig.builder()
                .enableTestEngineAutoRegistration(false)
                .addTestEngines(new JupiterTestEngine())
                .enableLauncherSessionListenerAutoRegistration(false)
                .enableLauncherDiscoveryListenerAutoRegistration(false)
                .enableTestExecutionListenerAutoRegistration(false)
                .enablePostDiscoveryFilterAutoRegistration(false).build());
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        if (requirement(test) != null) {
            progress.accept("checking " + requirement(test).id());
        }
    }

    /// What a test decides about, or null.
    private static Requirement requirement(TestIdentifier test) {
        return test.getSource().orElse(null) instanceof MethodSource method
                ? method.getJavaMethod().getAnnotation(Requirement.class)
                : null;
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        Requirement requirement = requirement(test);
        if (requirement == null) return;
        var before = results.get(requirement.id());
        Failure failure = result.getThrowable().map(this::failure).orElse(null);
        boolean passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        boolean works = failure != null && failure.openTodo == 0;
        int todo = works && context.todo() > 0 ? context.todo() : before.todo();
        results.put(requirement.id(), new Verdict.Result(before.id(), before.sentence(),
                before.points(), todo, passed, failure));
    }

    private Failure failure(Throwable thrown) {
        if (thrown instanceof Failure failure) return failure;
        List<String> sent = context.steps();
        if (thrown instanceof Trouble trouble) {
            return new Failure(sent, "a program to check", "none", -1,
                    trouble.getMessage());
        }
        if (thrown instanceof TimeoutException) {
            return new Failure(sent, "the end of this check",
                    "none within " + eachMs / 1000 + " s", -1,
                    stage.tookTooLong(
                            "Something waits for ever, or takes far too long."));
        }
        return new Failure(sent, "no surprise", "" + thrown, -1,
                "The grader did not foresee this; please report it.");
    }

    /// Loads JUnit and what requirements use in the background, while the submission is compiled.
    public static void warm() {
        Thread.ofPlatform().daemon().start(Node::isContained);
        Thread.ofPlatform().daemon().start(() -> {
            try (LauncherSession session = session()) {
                session.getLauncher();
                Requirements.warm();
            }
        });
    }
}
