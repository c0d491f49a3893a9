import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import grader.repo.Repo;
import grader.stage.Patience;
import grader.repo.Exercise;
import grader.report.Report;
import grader.stage.Node;
import grader.verdict.Grading;
import grader.verdict.Verdict;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import shared.Graded;

/// Programs that do harm or have bad luck, each exercise 01's solution with one change: the
/// verdict says what happened, in bounded time, and nothing goes on running.
@DisplayName("Hostile and unlucky submissions")
@Execution(ExecutionMode.CONCURRENT)
class HostileTest {
    private static final Exercise EXERCISE = Exercise.named("01");
    private static final String MAIN = "    void main() {\n";
    private static final String HANDLER =
            "    void stock(HttpServerExchange exchange) {\n";
    private static final String BUY =
            "    void buy(HttpServerExchange exchange, byte[] body) {\n";
    private static final String FOR_EVER = "while (Math.random() >= 0) ";
    private static final String TAKE_ALL = "for (var all = new ArrayList<byte[]>();"
            + " Math.random() >= 0;) all.add(new byte[1 << 26]);";
    private static final int MAX_MS = 60_000;

    @TempDir Path folder;

    private Verdict grade(String at, String code) throws IOException {
        String solution = Repo.read(EXERCISE.solution());
        assertTrue(solution.contains(at), "the solution has " + at);
        return grade(solution.replace(at, at + "        " + code + "\n"));
    }

    private Verdict grade(String text) throws IOException {
        Verdict verdict = Submission.grade(EXERCISE, text, folder, 1);
        assertTrue(verdict.ms() < Patience.ms(MAX_MS), verdict.ms() + " ms");
        return verdict;
    }

    private static void says(String wanted, Verdict verdict) {
        assertFalse(verdict.passed());
        assertEquals(0, verdict.earned());
        assertTrue(verdict.trouble() != null && verdict.trouble().contains(wanted),
                () -> "wanted: " + wanted + "\n" + new Report(false).whole(verdict));
    }

    /// Each of these requirements fails because of `wanted`, and no other.
    private static void fails(String ids, String wanted, Verdict verdict) {
        assertEquals(List.of(ids.split(" ")), Submission.failed(verdict),
                () -> new Report(false).whole(verdict));
        verdict.results().stream().filter(each -> !each.passed()).forEach(
                each -> assertTrue(each.failure().likely.contains(wanted),
                        () -> "wanted: "
                                + wanted + "\n" + new Report(false).whole(verdict)));
    }

    /// Whatever was graded, nothing of it runs on.
    @AfterEach
    void nothingIsLeft() throws IOException {
        assertEquals(List.of(), left());
    }

    @AfterAll
    static void othersAreUnharmed() {
        Verdict next = Grading.of(EXERCISE, EXERCISE.solution(), 1, doing -> {});
        assertTrue(next.passed(), () -> new Report(false).whole(next));
    }

    /// Processes that inherited the mark of a submission which is not being graded any more; only
    /// Linux shows them.
    private static List<String> left() throws IOException {
        Path proc = Path.of("/proc");
        if (!Files.isDirectory(proc)) return List.of();
        List<Path> marked;
        try (Stream<Path> processes = Files.list(proc)) {
            marked = processes
                    .filter(each -> each.getFileName().toString().matches("\\d+"))
                    .filter(each -> mark(each) != null).toList();
        }
        return marked.stream()
                .filter(each -> mark(each) != null && !Node.isRunning(mark(each)))
                .filter(each -> mark(each) != null)
                .map(each -> read(each.resolve("cmdline")).replace('\0', ' ')).toList();
    }

    /// The mark of a process of this grader, or null.
    private static String mark(Path process) {
        String start = Graded.RUN + "=" + ProcessHandle.current().pid() + "-";
        return Stream.of(read(process.resolve("environ")).split("\0"))
                .filter(each -> each.startsWith(start)).findFirst()
                .map(each -> each.substring(Graded.RUN.length() + 1)).orElse(null);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (IOException gone) {
            return "";
        }
    }

    static Stream<Arguments> starts() {
        return Stream.of(
                Arguments.of("loops",
                        FOR_EVER + "Thread.onSpinWait();",
                        "was not ready within"),
                Arguments.of("waits",
                        "java.util.concurrent.locks.LockSupport.parkNanos(1L << 50);",
                        "was not ready within"),
                Arguments.of("exits",
                        "System.exit(0);",
                        "ended by itself before it was ready, with exit code 0"),
                Arguments.of("throws",
                        "if (Math.random() >= 0) throw new IllegalStateException(\"no luck\");",
                        "no luck"),
                Arguments.of("returns",
                        "if (Math.random() >= 0) return;",
                        "ended by itself before it was ready, with exit code 0"),
                Arguments.of("prints",
                        FOR_EVER + "System.out.println(\"x\".repeat(99));",
                        "more than 8 MiB of output"),
                Arguments.of("prints one line",
                        FOR_EVER + "System.out.print(\"x\".repeat(99));",
                        "more than 8 MiB of output"),
                Arguments.of("complains",
                        FOR_EVER + "System.err.println(\"x\".repeat(99));",
                        "more than 8 MiB of output"),
                Arguments.of("takes all heap",
                        TAKE_ALL,
                        "ran out of memory before it was ready"),
                Arguments.of("is ready twice",
                        "Serve.run(\"01 Short polling\", 7001, routes());",
                        "printed 2 ready lines"),
                Arguments.of("lies about its port",
                        "System.out.println(\"01 Short polling  http://localhost:1/\");",
                        "it is not this program that answers"),
                Arguments.of("names no port",
                        "System.out.println(\"http://localhost:99999/\");",
                        "it is not this program that answers"));
    }

    @ParameterizedTest(name = "at the start: {0}")
    @MethodSource("starts")
    @DisplayName("what goes wrong at the start")
    void start(String what, String code, String wanted) throws IOException {
        says(wanted, grade(MAIN, code));
    }

    @Test
    @DisplayName("another program's port is not graded in its place")
    void anothersPort() throws IOException {
        var other = HttpServer.create(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                0);
        other.start();
        try {
            int port = other.getAddress().getPort();
            says("it is not this program that answers", grade(MAIN,
                    "System.out.println(\"01  http://localhost:" + port + "/\");"));
        } finally {
            other.stop(0);
        }
    }

    @Test
    @DisplayName("what does not compile is told as the compiler does, with line and caret")
    void compile() throws IOException {
        Verdict verdict = grade(MAIN, "int wrong = \"text\";");
        says("incompatible types", verdict);
        assertTrue(verdict.trouble().matches("(?s).*01_short_polling\\.java:\\d+: .*\n"
                + " +int wrong = \"text\";\n +\\^"), verdict.trouble());
        says("is not UTF-8", bytes(new byte[] {(byte) 0xff, 'x'}));
        says("is empty", bytes(new byte[0]));
        says("does not compile", grade("class Half {"));
        says("a conflict that git has left",
                grade("<<<<<<< HEAD\nclass A {}\n=======\n>>>>>>> theirs\n"));
        says("No class has a method main", grade(
                Repo.read(EXERCISE.solution()).replace("void main()",
                        "void begin()")));
    }

    private Verdict bytes(byte[] bytes) throws IOException {
        Path file = Files.write(folder.resolve("01_short_polling.java"), bytes);
        return Grading.of(EXERCISE, file, 1, doing -> {});
    }

    @Test
    @DisplayName("an endless loop in a handler costs the requirements that need it, no others")
    void loopInHandler() throws IOException {
        fails("01.1 01.4", "never answered",
                grade(BUY, FOR_EVER + "Thread.onSpinWait();"));
    }

    @Test
    @DisplayName("an endless loop after half the requirements costs the rest of one")
    void loopLater() throws IOException {
        Verdict verdict = grade(HANDLER,
                "while (sale.stock().left() == 1_000_000) Thread.onSpinWait();");
        fails("01.2", "never answered", verdict);
    }

    @Test
    @DisplayName("System.exit in a handler is told, and the others are graded in a new process")
    void exitInHandler() throws IOException {
        fails("01.1 01.4", "ended by itself during this requirement, with exit code 0",
                grade(BUY, "System.exit(0);"));
    }

    @Test
    @DisplayName("a handler that throws is told with its exception")
    void throwsInHandler() throws IOException {
        fails("01.1",
                "threw an exception: POST /purchases: java.lang.ArithmeticException:"
                        + " / by zero (01_short_polling.java:",
                grade(BUY, "int zero = body.length - body.length, no = 1 / zero;"));
    }

    @Test
    @DisplayName("a gigabyte of output from a handler ends the program")
    void outputInHandler() throws IOException {
        fails("01.1 01.4", "more than 8 MiB of output",
                grade(BUY,
                        FOR_EVER + "System.out.println(\"x\".repeat(99));"));
    }

    @Test
    @DisplayName("a handler that takes all the heap ends the program")
    void heapInHandler() throws IOException {
        fails("01.1 01.4", "ran out of memory during this requirement", grade(BUY,
                TAKE_ALL));
    }

    @Test
    @DisplayName("a child process is ended with the program, also where its parent has gone")
    void children() throws IOException {
        String start =
                "try { new ProcessBuilder(\"sleep\", \"1000\").inheritIO().start(); }"
                        + " catch (java.io.IOException e) {}";
        Verdict verdict = grade(MAIN, start);
        assertTrue(verdict.passed(), () -> new Report(false).whole(verdict));
        says("ended by itself before it was ready",
                grade(MAIN, start + " System.exit(0);"));
        Verdict family = grade(MAIN, start.replace("\"sleep\", \"1000\"",
                "\"sh\", \"-c\", \"while :; do sleep 100 & sleep 100; done\""));
        assertTrue(family.passed(), () -> new Report(false).whole(family));
    }

    @Test
    @DisplayName("a grandchild without the mark and without a parent is ended, too, where Linux has namespaces for us")
    void grandchild() throws IOException {
        Assumptions.assumeTrue(Node.isContained(), "unshare is not allowed here");
        String name = "sleeper-" + System.nanoTime();
        Verdict verdict = grade(MAIN,
                "try { new ProcessBuilder(\"env\", \"-i\", \"setsid\","
                        + " \"sh\", \"-c\", \"exec -a " + name
                        + " sleep 1000 & exit\").start().waitFor(); }"
                        + " catch (Exception e) { throw new IllegalStateException(e); }");
        assertTrue(verdict.passed(), () -> new Report(false).whole(verdict));
        assertEquals(List.of(), ProcessHandle.allProcesses().map(each -> each.info())
                .filter(info -> info.commandLine().orElse("").contains(name)).toList());
    }

    @Test
    @DisplayName("what it writes or deletes beside it is in a folder of its own")
    void files() throws IOException {
        Path beside = Files.writeString(folder.resolve("precious.txt"), "work");
        Verdict verdict = grade(MAIN,
                "for (var each : new java.io.File(\".\").listFiles()) each.delete();"
                        + " new java.io.File(\"precious.txt\").delete();");
        assertTrue(verdict.passed() || verdict.trouble() != null);
        assertEquals("work", Files.readString(beside));
    }

    @Test
    @DisplayName("more libraries than the exercise has are had from JBang")
    void libraries() throws IOException {
        String solution = Repo.read(EXERCISE.solution());
        Verdict verdict = grade(solution
                .replace("//SOURCES", "//DEPS info.picocli:picocli:4.7.7\n//SOURCES")
                .replace(MAIN, MAIN
                        + "        System.out.println(picocli.CommandLine.VERSION);\n"));
        assertTrue(verdict.passed(), () -> new Report(false).whole(verdict));
        says("JBang cannot build it", grade(solution.replace("//SOURCES",
                "//DEPS info.picocli:picocli:0.0.0-none\n//SOURCES")));
    }
}
