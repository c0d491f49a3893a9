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
import grader.requirement.SideBySide;
import grader.stage.Node;
import grader.stage.Patience;
import grader.stage.Stage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.engine.JupiterTestEngine;
import org.junit.platform.engine.TestExecutionResult;
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
///
/// Where most of a grading is waiting, its classes of requirements are decided side by side, each
/// with a process of its own: see [SideBySide].
public final class Grading {
    /// After these no requirement begins, and none goes on, where the machine is idle.
    private static final int ALL_MS = 90_000;
    private static final int EACH_MS = 20_000;
    /// How many exercises are graded at the same time.
    private static final int AT_A_TIME = 2;
    /// How many submissions run at the same time, of whichever gradings.
    private static final Semaphore LANES =
            new Semaphore(2 * Runtime.getRuntime().availableProcessors(), true);

    private final Exercise exercise;
    private final Path file;
    private final long seed;
    private final int eachMs = Patience.ms(EACH_MS);
    private final Map<String, Verdict.Result> results =
            Collections.synchronizedMap(new LinkedHashMap<>());
    /// The ids of those that are being decided.
    private final Set<String> checking = new ConcurrentSkipListSet<>();
    private Consumer<String> progress;

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
        try (var pool = Executors.newFixedThreadPool(AT_A_TIME)) {
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
        String trouble = null;
        String slowness = null;
        try {
            for (var each : undecided(exercise)) results.put(each.id(), each);
            folder = Repo.temporary();
            progress.accept("compiling");
            Build build = Build.of(exercise, file, folder);
            progress.accept("starting");
            for (Lane lane : decided(build, folder)) {
                if (trouble == null) trouble = lane.trouble;
                if (slowness == null) slowness = lane.stage.slowness();
            }
        } catch (Trouble e) {
            trouble = e.getMessage();
        } finally {
            if (folder != null) Repo.delete(folder);
        }
        String note = changes.told();
        return new Verdict(exercise, null, Repo.shown(file), seed, trouble,
                note == null ? slowness : note, List.copyOf(results.values()),
                Files.isReadable(file) ? todos(file) : List.of(),
                (System.nanoTime() - began) / 1_000_000, state);
    }

    /// Decides about all requirements.
    private List<Lane> decided(Build build, Path folder) {
        List<Class<?>> all = requirements(exercise);
        List<Lane> lanes = all.getFirst().isAnnotationPresent(SideBySide.class)
                ? all.stream().map(each -> new Lane(List.of(each), build, folder))
                        .toList()
                : List.of(new Lane(all, build, folder));
        try (var threads = Executors.newThreadPerTaskExecutor(
                Thread.ofPlatform().daemon().factory())) {
            lanes.forEach(threads::execute);
        }
        return lanes;
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

    /// Classes of requirements that share a stage.
    private final class Lane implements Runnable, TestExecutionListener {
        private final List<Class<?>> types;
        private final Stage stage;
        private final Requirements.Context context;
        private String trouble;

        Lane(List<Class<?>> types, Build build, Path folder) {
            this.types = types;
            stage = new Stage(build, folder.resolve(types.getFirst().getSimpleName()));
            context = new Requirements.Context(stage, seed, exercise.port());
        }

        @Override
        public void run() {
            LANES.acquireUninterruptibly();
            try (stage; LauncherSession session = session()) {
                stage.limit(Patience.ms(ALL_MS));
                context.offer(session);
                session.getLauncher().execute(LauncherDiscoveryRequestBuilder.request()
                        .selectors(
                                types.stream().map(each -> selectClass(each)).toList())
                        .configurationParameter(
                                "junit.jupiter.extensions.autodetection.enabled",
                                "false")
                        .configurationParameter(
                                "junit.jupiter.execution.timeout.testable.method.default",
                                eachMs + " ms")
                        .configurationParameter(
                                "junit.jupiter.execution.timeout.thread.mode.default",
                                "SEPARATE_THREAD")
                        .build(), this);
                trouble = stage.disorder();
            } finally {
                LANES.release();
            }
        }

        @Override
        public void executionStarted(TestIdentifier test) {
            Requirement requirement = requirement(test);
            if (requirement == null) return;
            checking.add(requirement.id());
            progress.accept("checking " + String.join(" ", checking));
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            Requirement requirement = requirement(test);
            if (requirement == null) return;
            checking.remove(requirement.id());
            Throwable thrown = result.getThrowable().orElse(null);
            if (thrown instanceof Trouble && !stage.hasStarted()) return;
            var before = results.get(requirement.id());
            Failure failure = thrown == null ? null : failure(thrown);
            boolean passed =
                    result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            boolean works = failure != null && failure.openTodo == 0;
            int todo = works && context.todo() > 0 ? context.todo() : before.todo();
            results.put(requirement.id(), new Verdict.Result(before.id(),
                    before.sentence(), before.points(), todo, passed, failure));
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
    }

    /// What a test decides about, or null.
    private static Requirement requirement(TestIdentifier test) {
        return test.getSource().orElse(null) instanceof MethodSource method
                ? method.getJavaMethod().getAnnotation(Requirement.class)
                : null;
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
