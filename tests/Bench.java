///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Measures what a learner waits for, each beside its yardstick
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//MAIN Bench
//SOURCES Grade.java
//SOURCES bench/[A-Z]*.java
//SOURCES tools/ManyClients.java
//SOURCES tools/RawHttp.java
//SOURCES tools/RepoCopy.java
//SOURCES tools/Server.java

import grader.repo.Repo;
import grader.build.ClassPath;
import grader.report.Reports;
import grader.report.Terminal;
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/// Wall-clock times in a copy of the repo, after everything has been built once. Medians, with the
/// least and the most; what is measured and its yardstick take turns, so that both see the same
/// machine.
@Command(name = "./jbang bench", sortOptions = false,
        description = "Measures what a learner waits for, each beside its yardstick.")
class Bench implements Callable<Integer> {
    /// JBang knows a text that it has built before, in any folder: so each edit is another one.
    private static final String EDIT = "// edited ";
    private static final List<String> PARTS =
            List.of("start", "edit", "watch", "grade", "all", "fan-out");
    private static final int LIMIT_S = 120;
    private static final String SECONDS = "%.2f s (%.2f to %.2f)";
    private static final String RATES = "%,.0f (%,.0f to %,.0f)";
    private static final int FAN_OUT_RUNS = 3;

    @Parameters(paramLabel = "NAME", arity = "0..*",
            description = "Only these: start, edit, watch, grade, all, fan-out; or a part of"
                    + " the last: websocket, server-sent-events, long-polling.") List<
                            String> names =
                                    List.of();
    @Option(names = "--runs", paramLabel = "N",
            description = "How often each is measured; 5 where it is left out.") int runs =
                    5;
    @Option(names = "--json", paramLabel = "FILE",
            description = "Where the figures go; else build/bench.json.") Path json =
                    Path.of("build/bench.json");
    @Option(names = "--plot", paramLabel = "FILE",
            description = "Where the fan-out is drawn, as SVG.") Path plot;
    @Option(names = {"-h", "--help"}, usageHelp = true,
            description = "Show this help.") boolean help;

    private interface Run {
        /// @return seconds
        double seconds() throws Exception;
    }

    /// What several runs have given, in ascending order.
    private record Sample(List<Double> sorted) {
        static Sample of(Stream<Double> values) {
            return new Sample(values.sorted().toList());
        }

        double median() {
            return at(0.5);
        }

        /// The value that this part of all is below.
        double at(double part) {
            return sorted.get((int) (sorted.size() * part));
        }

        /// @param format of the median, the least and the most
        String shown(String format) {
            return format.formatted(median(), sorted.getFirst(), sorted.getLast());
        }
    }

    private Path temp;
    private Path repo;
    private final Map<String, Object> figures = new LinkedHashMap<>();

    static void main(String... arguments) {
        System.exit(Terminal.command(new Bench()).execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        List<String> known = new ArrayList<>(PARTS);
        FanOut.ALL.forEach(each -> known.add(each.alias()));
        if (!known.containsAll(names)) {
            System.err
                    .println("What can be measured: " + String.join(", ", known) + ".");
            return 2;
        }
        temp = Files.createTempDirectory("bench");
        repo = RepoCopy.in(temp.resolve("copy"));
        try {
            var machine =
                    new Machine(Runtime.getRuntime().availableProcessors(), memoryGib(),
                            Runtime.version() + "");
            figures.put("machine", machine);
            System.out.printf(
                    "%d cores, %d GiB, JDK %s, medians of %d runs (least to most)%n%n",
                    machine.cores, machine.memoryGib, machine.jdk, runs);
            System.out.printf("%-46s %-26s %-26s %s%n", "what", "measured", "yardstick",
                    "target");
            if (wanted("start")) start();
            if (wanted("edit")) edit();
            if (wanted("watch")) watch();
            if (wanted("grade")) grade("grade 03, from a shell", "at most 3 s", "grade",
                    "03",
                    "--solution");
            if (wanted("all")) grade("grade of five solutions", "at most 8 s", "grade",
                    "01", "02", "03", "04", "05", "--solution");
            if (!fanOuts().isEmpty()) fanOut();
        } finally {
            RepoCopy.delete(temp);
        }
        Reports.write(json,
                JsonMapper.builder().build().writerWithDefaultPrettyPrinter()
                        .writeValueAsString(figures) + "\n");
        return 0;
    }

    private record Machine(int cores, long memoryGib, String jdk) {}

    private static long memoryGib() {
        var system =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return Math.round(system.getTotalMemorySize() / Math.pow(2, 30));
    }

    private boolean wanted(String name) {
        return names.isEmpty() || names.contains(name);
    }

    private List<FanOut.Technique> fanOuts() {
        if (wanted("fan-out")) return FanOut.ALL;
        return FanOut.ALL.stream().filter(each -> names.contains(each.alias()))
                .toList();
    }

    private void compare(String what, Run measured, String yardstick, Run other,
            String target)
            throws Exception {
        List<Double> ours = new ArrayList<>();
        List<Double> theirs = new ArrayList<>();
        measured.seconds(); // builds what has to be built, and fills caches
        other.seconds();
        for (int i = 0; i < runs; i++) {
            progress("%s: %d of %d", what, i + 1, runs);
            ours.add(measured.seconds());
            theirs.add(other.seconds());
        }
        progress("");
        Sample us = Sample.of(ours.stream());
        Sample them = Sample.of(theirs.stream());
        System.out.printf("%-46s %-26s %-26s %s%n%-46s %-26s %s%n", what,
                us.shown(SECONDS),
                them.shown(SECONDS), target, "", "%.2f of the yardstick".formatted(
                        us.median() / them.median()),
                yardstick);
        figures.put(what, Map.of("seconds", us.sorted, "yardstick", yardstick,
                "yardstickSeconds", them.sorted, "target", target));
    }

    /// A line that the next one replaces.
    private static void progress(String text, Object... values) {
        Terminal.line(text.formatted(values));
    }

    private Process run(String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of(words));
        if (command.getFirst().equals("./jbang")) {
            command.set(0, repo.resolve("jbang").toString());
        }
        ProcessBuilder builder = new ProcessBuilder(command).directory(repo.toFile())
                .redirectErrorStream(true);
        builder.environment().put("PORT", "0");
        Process process = builder.start();
        process.getOutputStream().close();
        return process;
    }

    /// From a command to its end.
    private double whole(String... words) throws Exception {
        long began = System.nanoTime();
        Process process = run(words);
        String said = new String(process.getInputStream().readAllBytes());
        boolean ended = process.waitFor(LIMIT_S, TimeUnit.SECONDS);
        double seconds = since(began);
        if (!ended || process.exitValue() != 0) {
            throw new IllegalStateException(
                    Arrays.toString(words) + " failed: " + said);
        }
        return seconds;
    }

    private static double since(long began) {
        return (System.nanoTime() - began) / 1e9;
    }

    /// From a command to the first byte of its page.
    private double page(String... words) throws Exception {
        long began = System.nanoTime();
        Process process = run(words);
        try (BufferedReader lines = process.inputReader()) {
            StringBuilder said = new StringBuilder();
            for (String line = lines.readLine(); line != null;
                    line = lines.readLine()) {
                var ready = Pattern.compile("http://localhost:(\\d+)/").matcher(line);
                said.append(line).append('\n');
                if (!ready.find()) continue;
                firstByte(Integer.parseInt(ready.group(1)));
                return since(began);
            }
            throw new IllegalStateException(
                    Arrays.toString(words) + " failed: " + said);
        } finally {
            process.destroy();
            process.waitFor();
        }
    }

    private static void firstByte(int port) throws IOException {
        try (Socket socket = new Socket(InetAddress.getByName("127.0.0.1"), port)) {
            socket.getOutputStream().write(
                    ("GET / HTTP/1.1\r\nHost: localhost:" + port + "\r\n\r\n")
                            .getBytes());
            if (socket.getInputStream().read()
                    != 'H') throw new IOException("no answer");
        }
    }

    private String classPath(String script) throws Exception {
        whole("./jbang", "build", script);
        Process process = run("./jbang", "--quiet", "info", "classpath", script);
        return new String(process.getInputStream().readAllBytes()).strip();
    }

    private void start() throws Exception {
        String script = "lessons/03_websocket.java";
        String classPath = classPath(script);
        compare("command to first byte, " + script, () -> page("./jbang", script),
                "the same classes with java -cp",
                () -> page(ClassPath.tool("java"),
                        "--sun-misc-unsafe-memory-access=allow", "-cp",
                        classPath,
                        "Websocket"),
                "1.1 of it, 0.65 s");
    }

    private void edit() throws Exception {
        Path script = repo.resolve("lessons/03_websocket.java");
        String text = Files.readString(script);
        String classPath = classPath(script.toString());
        Path out = temp.resolve("classes");
        compare("the first run after an edit of the lesson", () -> {
            Files.writeString(script, text + EDIT + System.nanoTime() + "\n");
            return page("./jbang", script.toString());
        }, "javac of the file alone",
                () -> whole(ClassPath.tool("javac"), "-d", out.toString(), "-cp",
                        classPath, script.toString()),
                "at most 2.5 s");
    }

    private void watch() throws Exception {
        Path file = repo.resolve("exercises/03_websocket.java");
        String solved = Repo.read(repo.resolve("solutions/03_websocket.java"))
                .replace(", 7003,", ", 9003,");
        String broken = solved.replace("length > 40", "length > 400");
        if (broken.equals(solved)) {
            throw new IllegalStateException("Where it is done, watch goes on.");
        }
        String classPath = classPath("solutions/03_websocket.java");
        Path empty = Files.writeString(temp.resolve("Empty.java"),
                "class Empty { public static void main(String[] a) {} }");
        whole(ClassPath.tool("javac"), "-d", temp.toString(), empty.toString());
        Files.writeString(file, broken);
        Process watching = run("./jbang", "watch", "03");
        try (BufferedReader lines = watching.inputReader()) {
            await(lines);
            compare("watch 03: from save to verdict", () -> {
                long began = System.nanoTime();
                Files.writeString(file, broken + EDIT + System.nanoTime() + "\n");
                await(lines);
                return since(began);
            }, "javac of the file + an empty JVM",
                    () -> whole(ClassPath.tool("javac"), "-d",
                            temp.resolve("out").toString(), "-cp",
                            classPath,
                            file.toString())
                            + whole(ClassPath.tool("java"), "-cp", temp.toString(),
                                    "Empty"),
                    "at most 1.0 s");
        } finally {
            watching.destroy();
            watching.waitFor();
        }
    }

    /// Reads up to the verdict.
    private static void await(BufferedReader lines) throws IOException {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.matches(".* of \\d+ points .*")) return;
        }
        throw new IOException("watch has ended");
    }

    private void grade(String what, String target, String... words) throws Exception {
        Path project = Files.createDirectories(temp.resolve("maven"));
        Files.createDirectories(project.resolve("src/test/java"));
        Files.writeString(project.resolve("pom.xml"), POM);
        Files.writeString(project.resolve("src/test/java/TrivialTest.java"), TEST);
        List<String> command = new ArrayList<>(List.of("./jbang"));
        command.addAll(List.of(words));
        compare(what, () -> whole(command.toArray(String[]::new)),
                "mvn test of one trivial test",
                () -> whole("mvn", "-q", "-B", "-f",
                        project.resolve("pom.xml").toString(),
                        "test"),
                target);
    }

    private void fanOut() throws Exception {
        if (!FanOut.isPossible()) {
            System.out.println(
                    "\nThe fan-out is measured on Linux only, on two cores at least:"
                            + " it needs taskset and /proc.");
            return;
        }
        System.out.printf("%n%-22s %-30s %-30s %-9s %-9s %s%n",
                "one event to N clients", "deliveries/s",
                "bare NIO loop", "ratio", "target", "last client, p50 and p99");
        List<Plot.Panel> panels = new ArrayList<>();
        for (FanOut.Technique technique : fanOuts()) {
            byte[][] sample = FanOut.sample(technique);
            List<FanOut.Round> ours = new ArrayList<>();
            List<FanOut.Round> bare = new ArrayList<>();
            for (int i = 0; i < Math.min(runs, FAN_OUT_RUNS); i++) {
                progress("%s: round %d of %d", technique.name(), i + 1,
                        Math.min(runs, FAN_OUT_RUNS));
                ours.add(FanOut.measure(technique, null));
                bare.add(FanOut.measure(technique, sample));
            }
            progress("");
            figures.put("fan-out, " + technique.name(),
                    Map.of("lesson", ours, "bareLoop", bare));
            Map<Integer, Double> ourMs = new TreeMap<>();
            Map<Integer, Double> bareMs = new TreeMap<>();
            for (int size : FanOut.SIZES) {
                Sample ourTimes = times(ours, size);
                Sample bareTimes = times(bare, size);
                System.out.printf("%-22s %-30s %-30s %-9.2f %-9s %s, bare %s%n",
                        size + " x " + technique.name(),
                        rates(ours, size).shown(RATES),
                        rates(bare, size).shown(RATES),
                        ratio(ours, bare, size), technique.target(size),
                        last(ourTimes), last(bareTimes));
                ourMs.put(size, ourTimes.median());
                bareMs.put(size, bareTimes.median());
            }
            panels.add(new Plot.Panel(technique.name(), ourMs, bareMs));
            System.out.printf(
                    "%-22s %.1f KiB of heap (%s), %.1f KiB resident; bare loop %.1f and"
                            + " %.1f; threads at %d and %d clients: %s%n",
                    "  each connection",
                    median(ours, FanOut.Round::heapKib), technique.heapTarget(),
                    median(ours, FanOut.Round::residentKib),
                    median(bare, FanOut.Round::heapKib),
                    median(bare, FanOut.Round::residentKib),
                    FanOut.SIZES.getFirst(), FanOut.SIZES.getLast(),
                    ours.getLast().threads());
        }
        if (plot == null) return;
        Reports.write(plot, Plot.svg(panels,
                "Milliseconds from an event to the last of N clients (of long polls: until all"
                        + " ask again)"));
    }

    private static Sample rates(List<FanOut.Round> rounds, int size) {
        return Sample
                .of(rounds.stream().map(each -> each.figures().get(size).perSecond()));
    }

    private static Sample times(List<FanOut.Round> rounds, int size) {
        return Sample.of(rounds.stream()
                .flatMap(each -> each.figures().get(size).ms().stream()));
    }

    private static String last(Sample times) {
        return "%.1f and %.1f ms".formatted(times.median(), times.at(0.99));
    }

    /// The median of each round's part of the yardstick right after it, as machines have moods.
    private static double ratio(List<FanOut.Round> ours, List<FanOut.Round> bare,
            int size) {
        return Sample.of(IntStream.range(0, ours.size())
                .mapToObj(i -> ours.get(i).figures().get(size).perSecond()
                        / bare.get(i).figures().get(size).perSecond()))
                .median();
    }

    private static double median(List<FanOut.Round> rounds,
            Function<FanOut.Round, Double> figure) {
        return Sample.of(rounds.stream().map(figure)).median();
    }

    private static final String TEST = """
            import static io.restassured.RestAssured.given;
            import com.sun.net.httpserver.HttpServer;
            import java.net.InetSocketAddress;
            import org.junit.jupiter.api.Test;

            class TrivialTest {
                @Test
                void answers() throws Exception {
                    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
                    server.createContext("/", exchange -> {
                        exchange.sendResponseHeaders(204, -1);
                        exchange.close();
                    });
                    server.start();
                    given().get("http://127.0.0.1:" + server.getAddress().getPort() + "/")
                            .then().statusCode(204);
                    server.stop(0);
                }
            }
            """;

    private static final String POM = """
            <project>
              <modelVersion>4.0.0</modelVersion>
              <groupId>local</groupId>
              <artifactId>trivial</artifactId>
              <version>1</version>
              <properties>
                <maven.compiler.release>25</maven.compiler.release>
                <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
              </properties>
              <dependencies>
                <dependency>
                  <groupId>org.junit.jupiter</groupId>
                  <artifactId>junit-jupiter</artifactId>
                  <version>6.1.3</version>
                </dependency>
                <dependency>
                  <groupId>io.rest-assured</groupId>
                  <artifactId>rest-assured</artifactId>
                  <version>6.0.1</version>
                </dependency>
              </dependencies>
              <build>
                <plugins>
                  <plugin>
                    <artifactId>maven-compiler-plugin</artifactId>
                    <version>3.14.1</version>
                  </plugin>
                  <plugin>
                    <artifactId>maven-surefire-plugin</artifactId>
                    <version>3.6.1</version>
                  </plugin>
                </plugins>
              </build>
            </project>
            """;
}
