///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Proves the course: every lesson on the wire and in a browser, and the form of the repo
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED
//MAIN Verify
//SOURCES Grade.java
//SOURCES Format.java
//SOURCES Bench.java
//SOURCES NewLesson.java
//SOURCES Notebook.java
//SOURCES Repeat.java
//SOURCES Site.java
//SOURCES course/[A-Z]*.java
//SOURCES tools/[A-Z]*.java
//SOURCES */[A-Z]*Test.java

import static org.junit.platform.engine.discovery.ClassNameFilter.includeClassNamePatterns;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;

import grader.repo.Exercise;
import grader.report.Terminal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import shared.course.Course;

/// The course's own tests: JUnit Jupiter, several at a time, printed as a specification. Exit code
/// 0 where all pass, 1 where one fails, 2 where none ran.
@Command(name = "verify", mixinStandardHelpOptions = true, version = "1",
        sortOptions = false,
        description = "Runs the course's own tests and prints what each one proves.",
        footer = {"", "Examples:",
            "  ./jbang verify             everything",
            "  ./jbang verify 05          all of lesson 05 and its exercise",
            "  ./jbang verify Form Wire   test classes whose name has one of these", "",
            "Browser tests need chromium on the PATH, or Playwright's own download;",
            "those of notebooks need Jupyter. Without it they are skipped, and with",
            "CI=true that is a failure.",
            "Screenshots are kept in build/screenshots."})
class Verify implements Callable<Integer>, TestExecutionListener {
    private static final int LONGEST = 10;
    /// Most tests wait for another process most of the time.
    private static final int SIDE_BY_SIDE =
            2 * Runtime.getRuntime().availableProcessors();
    private static List<Course.Lesson> lessons = Course.LESSONS;
    private static final List<String> NOTES = new ArrayList<>();

    @Parameters(paramLabel = "NAME", arity = "0..*",
            description = "The number of a lesson, or a part of a test class's name, ignoring"
                    + " case: LongPolling, Form, Load, ...") List<String> names =
                            List.of();
    @Option(names = "--jobs", paramLabel = "N",
            description = "How many tests run at a time; two a core where it is left"
                    + " out.") int jobs = SIDE_BY_SIDE;

    private TestPlan plan;
    private final StringBuilder failures = new StringBuilder();
    private final Map<String, Long> began = new HashMap<>();
    private final Map<TestIdentifier, StringBuilder> groups = new LinkedHashMap<>();
    private final List<Timed> timed = new ArrayList<>();
    private final Map<String, Long> byClass = new LinkedHashMap<>();
    private int passed;
    private int failed;
    private int skipped;

    private record Timed(long ms, String what) {}

    static void main(String... arguments) {
        System.exit(Terminal.command(new Verify()).execute(arguments));
    }

    /// The lessons that are to be proved: all, or those that were named.
    static List<Course.Lesson> lessons() {
        return lessons;
    }

    /// Their exercises.
    static List<Exercise> exercises() {
        return lessons.stream().map(each -> new Exercise(each.name())).toList();
    }

    /// A line for the end.
    static synchronized void note(String line) {
        NOTES.add(line);
    }

    @Override
    public Integer call() throws Exception {
        List<String> numbers =
                names.stream().filter(each -> each.matches("\\d+")).toList();
        List<String> parts =
                names.stream().filter(each -> !each.matches("\\d+")).toList();
        if (!numbers.isEmpty()) {
            lessons = Course.LESSONS.stream().filter(each -> numbers.stream().anyMatch(
                    one -> Integer.parseInt(one) == Integer.parseInt(each.number())))
                    .toList();
        }
        Path classes = Path.of(
                Verify.class.getProtectionDomain().getCodeSource().getLocation()
                        .toURI());
        var request = LauncherDiscoveryRequestBuilder.request()
                .selectors(selectClasspathRoots(Set.of(classes)))
                .filters(includeClassNamePatterns(".*Test"))
                .filters((PostDiscoveryFilter) test -> FilterResult.includedIf(
                        isWanted(typeOf(test), !numbers.isEmpty(), parts)))
                .configurationParameters(Map.of(
                        "junit.jupiter.execution.parallel.enabled", "true",
                        "junit.jupiter.execution.parallel.mode.default", "same_thread",
                        "junit.jupiter.execution.parallel.mode.classes.default",
                        "concurrent",
                        "junit.jupiter.execution.parallel.config.strategy", "fixed",
                        "junit.jupiter.execution.parallel.config.fixed.parallelism",
                        "" + jobs,
                        "junit.jupiter.execution.parallel.config.executor-service",
                        "WORKER_THREAD_POOL"))
                .build();
        LauncherFactory.create().execute(request, this);
        Chromium.stop();
        Terminal.line("");
        end();
        return failed > 0 ? 1 : passed > 0 ? 0 : 2;
    }

    private static Class<?> typeOf(TestDescriptor test) {
        return test.getSource().map(source -> source instanceof ClassSource of
                ? of.getJavaClass()
                : source instanceof MethodSource in
                        ? in.getJavaClass()
                : null).orElse(null);
    }

    private static boolean isWanted(Class<?> type, boolean someLessons,
            List<String> parts) {
        if (type == null) return true; // above all classes
        boolean own = lessons.stream()
                .anyMatch(each -> type.getName().equals(each.type() + "Test"));
        boolean named = parts.stream().anyMatch(part -> type.getName().toLowerCase()
                .contains(part.toLowerCase()));
        if (!parts.isEmpty()) return named;
        return !someLessons || own || type.isAnnotationPresent(EachLesson.class);
    }

    private void end() {
        System.out.println("\nWhat took longest, several at a time");
        byClass.entrySet().stream()
                .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
                .limit(LONGEST).forEach(each -> System.out.printf("  %6.1f s  %s%n",
                        each.getValue() / 1000.0, each.getKey()));
        System.out.println("\nof it");
        timed.stream().sorted(Comparator.comparing(Timed::ms).reversed()).limit(LONGEST)
                .forEach(each -> System.out.printf("  %6.1f s  %s%n", each.ms / 1000.0,
                        each.what));
        if (!failures.isEmpty()) {
            System.out.print("\nWhat failed, once more\n" + failures);
        }
        NOTES.forEach(each -> System.out.print("\n" + each));
        System.out.printf("%n%n%d passed, %d failed, %d skipped%n", passed, failed,
                skipped);
    }

    @Override
    public void testPlanExecutionStarted(TestPlan all) {
        plan = all;
    }

    @Override
    public synchronized void executionStarted(TestIdentifier test) {
        began.put(test.getUniqueId(), System.nanoTime());
        Terminal.line("%d passed, %d failed; %s".formatted(passed, failed,
                test.getDisplayName()));
    }

    @Override
    public synchronized void executionSkipped(TestIdentifier test, String reason) {
        skipped++;
        say("SKIP", test, reason);
    }

    @Override
    public synchronized void executionFinished(TestIdentifier test,
            TestExecutionResult result) {
        String why = result.getThrowable().map(Verify::explain).orElse("");
        boolean silent = test.isContainer() && result.getStatus() == Status.SUCCESSFUL;
        if (!silent) {
            switch (result.getStatus()) {
                case SUCCESSFUL -> {
                    passed++;
                    say("ok  ", test, "");
                }
                case ABORTED -> {
                    skipped++;
                    say("SKIP", test, why);
                }
                case FAILED -> {
                    failed++;
                    failures.append(say("FAIL", test, why));
                }
            }
        }
        if (isClass(test)) print(test);
    }

    /// Is it a class that JUnit found, and not a part of one?
    private boolean isClass(TestIdentifier test) {
        return plan.getParent(test).flatMap(plan::getParent).isEmpty()
                && plan.getParent(test).isPresent();
    }

    /// Prints all about a class when it is done, as several run at a time.
    private void print(TestIdentifier test) {
        Terminal.line("");
        System.out.println("\n" + test.getDisplayName());
        groups.forEach((of, group) -> {
            if (!topOf(of).equals(test)) return;
            if (!of.equals(test)) System.out.println("\n  " + of.getDisplayName());
            System.out.print(group);
        });
        groups.keySet().removeIf(of -> topOf(of).equals(test));
        System.out.flush();
    }

    /// The class that it belongs to.
    private TestIdentifier topOf(TestIdentifier test) {
        TestIdentifier at = test;
        while (!isClass(at)) at = plan.getParent(at).orElseThrow();
        return at;
    }

    private String say(String verdict, TestIdentifier test, String detail) {
        Long start = began.get(test.getUniqueId());
        long took = start == null ? 0 : (System.nanoTime() - start) / 1_000_000;
        String said = "  %s %s%s%n".formatted(verdict, test.getDisplayName(),
                took > 1_000 ? " (" + took / 100 / 10.0 + " s)" : "")
                + detail.indent(7);
        TestIdentifier parent = plan.getParent(test).orElse(test);
        if (test.isTest()) {
            timed.add(new Timed(took,
                    parent.getDisplayName() + ": " + test.getDisplayName()));
            byClass.merge(topOf(test).getDisplayName(), took, Long::sum);
        }
        groups.computeIfAbsent(isClass(test) ? test : parent,
                of -> new StringBuilder()).append(said);
        return said;
    }

    /// The message, and of the stack only the lines of this repo.
    private static String explain(Throwable thrown) {
        StringBuilder text = new StringBuilder("" + thrown.getMessage());
        if (!(thrown instanceof AssertionError)) text.insert(0,
                thrown.getClass().getName() + ": ");
        for (StackTraceElement line : thrown.getStackTrace()) {
            if (line.getModuleName() == null && !line.getClassName().contains(".")) {
                text.append("\nat ").append(line.getFileName()).append(':').append(
                        line.getLineNumber());
            }
        }
        return text.toString();
    }
}
