///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Proves the course: every lesson on the wire and in a browser, and the form of the repo
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED
//DEPS info.picocli:picocli:4.7.7
//DEPS org.junit.jupiter:junit-jupiter:6.1.3
//DEPS org.junit.platform:junit-platform-launcher:6.1.3
//DEPS com.microsoft.playwright:playwright:1.62.0
//DEPS org.slf4j:slf4j-nop:2.0.17
//DEPS io.rest-assured:rest-assured:6.0.1
//DEPS io.github.java-diff-utils:java-diff-utils:4.16
//DEPS com.fasterxml.jackson.core:jackson-annotations:2.21
//DEPS tools.jackson.core:jackson-core:3.1.7
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-servlet:2.3.26.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//MAIN Verify
//SOURCES *.java
//SOURCES grader/*.java
//SOURCES requirements/*.java
//SOURCES ../shared/*.java
//SOURCES ../shared/cable/*.java
//SOURCES ../shared/websocket/*.java

import static org.junit.platform.engine.discovery.ClassNameFilter.includeClassNamePatterns;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// The course's own tests: JUnit Jupiter, printed as a specification. Exit code 0 where all pass, 1
/// where one fails, 2 where none ran.
@Command(name = "verify", mixinStandardHelpOptions = true, version = "1",
        sortOptions = false,
        description = "Runs the course's own tests and prints what each one proves.",
        footer = {"",
            "Browser tests need chromium on the PATH, or Playwright's own download;",
            "without one they are skipped, and with CI=true that is a failure.",
            "Screenshots are kept in build/screenshots."})
class Verify implements Callable<Integer>, TestExecutionListener {
    @Parameters(paramLabel = "NAME", arity = "0..*",
            description = "Only test classes whose name contains one of these, ignoring case:"
                    + " LongPolling, WebSocket, Form, Load, ...") List<String> names =
                            List.of();

    private final StringBuilder failures = new StringBuilder();
    private int passed;
    private int failed;
    private int skipped;
    private long began;

    static void main(String... arguments) {
        System.exit(new CommandLine(new Verify()).execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        String wanted =
                names.isEmpty() ? ".*" : "(?i).*(" + String.join("|", names) + ").*";
        Path classes = Path.of(
                Verify.class.getProtectionDomain().getCodeSource().getLocation()
                        .toURI());
        var request = LauncherDiscoveryRequestBuilder.request()
                .selectors(selectClasspathRoots(Set.of(classes)))
                .filters(includeClassNamePatterns(".*Test"),
                        includeClassNamePatterns(wanted))
                .build();
        LauncherFactory.create().execute(request, this);
        Chromium.stop();
        if (!failures.isEmpty()) System.out
                .print("\nWhat failed, once more\n" + failures);
        System.out.printf("%n%d passed, %d failed, %d skipped%n", passed, failed,
                skipped);
        return failed > 0 ? 1 : passed > 0 ? 0 : 2;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        began = System.nanoTime();
        if (test.getParentId().isPresent() && test.isContainer()) {
            System.out.println("\n" + test.getDisplayName());
        }
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        skipped++;
        say("SKIP", test, reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (test.isContainer() && result.getStatus() == Status.SUCCESSFUL) return;
        String why = result.getThrowable().map(Verify::explain).orElse("");
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

    private String say(String verdict, TestIdentifier test, String detail) {
        long took = (System.nanoTime() - began) / 1_000_000;
        String said = "  %s %s%s%n".formatted(verdict, test.getDisplayName(),
                took > 1_000 ? " (" + took / 100 / 10.0 + " s)" : "")
                + detail.indent(7);
        System.out.print(said);
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
