package grader.stage;

import grader.build.Build;
import grader.build.ClassPath;
import grader.repo.Trouble;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import shared.Graded;

/// A learner's program, running: a stranger. It has a process of its own, works in the folder of
/// its grading, and has caps on time, heap and output; when it is closed, all that it started ends
/// with it. Where Linux lets us, it has a process namespace of its own, which nothing outlives.
/// Elsewhere we look for descendants and, on Linux, for the mark in their environment: a child that
/// drops the mark and whose parent has gone is not found there.
public final class Node implements Stage.Member {
    /// How clients tell that they were left, which may be the first that is seen of its end.
    public static final String CONNECTION_ENDED = "the connection ended";

    private static final Pattern READY =
            Pattern.compile("http://localhost:(\\d{1,5})/");
    private static final int READY_MS = 15_000;
    private static final int ANSWER_MS = 5_000;
    private static final int HEAP_MB = 256;
    private static final int MAX_OUTPUT = 8 * 1024 * 1024;
    private static final int KEPT = 64 * 1024;
    /// Of the grader's own environment, what a JVM may need; no setting of an exercise is among it.
    private static final Set<String> KEPT_VARIABLES = Set.of("PATH", "HOME", "USER",
            "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SystemRoot",
            "windir");
    /// The learner's locale, in which the program runs outside the grader, too.
    private static final Pattern LOCALE = Pattern
            .compile("user\\.(language|country|script|variant|extensions)(\\..*)?");
    private static final List<String> IN_NAMESPACE =
            List.of("unshare", "--pid", "--fork", "--kill-child");
    private static final List<String> IN_USER_NAMESPACE = Stream.concat(
            IN_NAMESPACE.stream(), Stream.of("--user", "--map-current-user")).toList();
    /// What to put before a command, so that all it starts ends with it; nothing where that fails.
    private static final CompletableFuture<List<String>> CONTAINED =
            CompletableFuture
                    .supplyAsync(() -> Stream.of(IN_NAMESPACE, IN_USER_NAMESPACE)
                            .filter(Node::works).findFirst().orElse(List.of()));
    private static final Set<Node> RUNNING = ConcurrentHashMap.newKeySet();
    private static boolean ending;

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(Node::closeAll));
    }

    /// Does a JVM's like run under this command?
    private static boolean works(List<String> command) {
        List<String> trial = new ArrayList<>(command);
        trial.add("true");
        try {
            return new ProcessBuilder(trial).redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD).start()
                    .waitFor() == 0;
        } catch (IOException | InterruptedException thereIsNone) {
            return false;
        }
    }

    /// Is a program contained here, whatever it starts?
    public static boolean isContained() {
        return !CONTAINED.join().isEmpty();
    }

    /// Ends all that runs when the grader itself ends. What is being started just then is known
    /// before we look, and nothing is started any more.
    private static void closeAll() {
        synchronized (RUNNING) {
            ending = true;
        }
        RUNNING.forEach(Node::close);
    }

    /// Is a program that was started with this mark in its environment still in use?
    public static boolean isRunning(String mark) {
        synchronized (RUNNING) {
            return RUNNING.stream().anyMatch(each -> each.run.equals(mark));
        }
    }

    private final String run =
            ProcessHandle.current().pid() + "-"
                    + HexFormat.of().formatHex(randomBytes());
    private final Process process;
    private final List<Thread> readers;
    private final CompletableFuture<Integer> ready = new CompletableFuture<>();
    private final List<Integer> readyPorts = new ArrayList<>();
    private final StringBuilder output = new StringBuilder();
    private final StringBuilder errors = new StringBuilder();
    private final BlockingQueue<String> faults = new LinkedBlockingQueue<>();
    private String latestFault;
    private long written;
    private boolean stopped;
    /// Nobody should rely on it any more, though it may still run.
    private volatile boolean spoiled;
    private int port;

    private static byte[] randomBytes() {
        byte[] bytes = new byte[8];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    private Node(Build build, Path folder, Map<String, String> settings)
            throws IOException {
        List<String> command = new ArrayList<>(CONTAINED.join());
        command.addAll(List.of(ClassPath.tool("java"), "-Xmx" + HEAP_MB + "m",
                "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData",
                "-Djava.io.tmpdir=" + folder));
        System.getProperties().forEach((name, value) -> {
            if (!LOCALE.matcher(name + "").matches()) return;
            command.add("-D" + name + "=" + value);
        });
        command.addAll(build.options());
        command.addAll(List.of("-cp", build.classPath(), build.main()));
        ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
        var environment = builder.environment();
        environment.keySet().retainAll(KEPT_VARIABLES);
        environment.put("PORT", "0");
        environment.put(Graded.RUN, run);
        environment.putAll(settings);
        synchronized (RUNNING) {
            if (ending) throw new IOException("the grader is being stopped");
            process = builder.start();
            RUNNING.add(this);
        }
        process.getOutputStream().close();
        readers = List.of(
                Thread.ofPlatform().daemon()
                        .start(() -> read(process.getInputStream(), output,
                                this::lookForReady)),
                Thread.ofPlatform().daemon()
                        .start(() -> read(process.getErrorStream(), errors,
                                this::lookForException)));
        process.onExit().thenAccept(ended -> ready.complete(-1));
    }

    /// Starts a submission and waits until it is ready.
    ///
    /// @param folder it runs there; may hold what it likes
    /// @param settings its environment, beside what a JVM may need of the grader's own
    /// @throws Trouble where it does not get ready, or is not what answers at its port
    public static Node start(Build build, Path folder,
            Map<String, String> settings) {
        Node program;
        try {
            program = new Node(build, folder, settings);
        } catch (IOException e) {
            throw new Trouble("Cannot start a JVM: " + e.getMessage() + ".");
        }
        try {
            program.port = program.awaitReady();
            return program;
        } catch (Trouble trouble) {
            program.close();
            throw trouble;
        }
    }

    private int awaitReady() {
        int told;
        int readyMs = Patience.ms(READY_MS);
        try {
            told = ready.get(readyMs, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new Trouble("It was not ready within " + readyMs / 1000
                    + " s: it printed no line with"
                    + " http://localhost:PORT/, as Serve.run does. Does main loop or wait before"
                    + " it gets there?" + lastWords());
        } catch (InterruptedException | ExecutionException e) {
            throw new Trouble("The grading was interrupted.");
        }
        if (told < 0) throw new Trouble(howItEnded("before it was ready"));
        if (!answersItself(told)) {
            throw new Trouble("Its ready line names port " + told
                    + ", but it is not this program that answers"
                    + " there. Let Serve.run choose the port and print the line.");
        }
        return told;
    }

    private boolean answersItself(int port) {
        if (port < 1 || port > 65535) return false;
        try (Socket socket = new Socket(InetAddress.getByName("127.0.0.1"), port)) {
            socket.setSoTimeout(Patience.ms(ANSWER_MS));
            socket.getOutputStream()
                    .write(("HEAD /_/ready HTTP/1.1\r\nHost: localhost:" + port
                            + "\r\nConnection: close\r\n\r\n").getBytes());
            byte[] head = socket.getInputStream().readNBytes(4096);
            return new String(head, StandardCharsets.ISO_8859_1).contains(run);
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public int port() {
        return port;
    }

    /// Does it run, and does it answer as it should?
    public boolean isUsable() {
        return process.isAlive() && !spoiled;
    }

    /// It did not answer in time, so it is started anew before the next requirement.
    public void spoil() {
        spoiled = true;
    }

    /// What keeps its whole result from counting, or null: two ready lines.
    String disorder() {
        synchronized (output) {
            return readyPorts.size() < 2 ? null : "It printed " + readyPorts.size()
                    + " ready lines, for ports " + readyPorts
                    + ", so which one is to be graded? Call"
                    + " Serve.run once.";
        }
    }

    /// The cause of a failure: what the program itself says, else what is supposed.
    public String cause(String got, String supposed) {
        if (got.contains(CONNECTION_ENDED)) awaitEnd(1);
        if (!process.isAlive()) return howItEnded("during this requirement");
        String fault = latestFault(got.startsWith("HTTP/1.1 500"));
        return fault == null ? supposed
                : "Your code threw an exception: " + fault + ".";
    }

    /// A requirement begins: faults of earlier ones are no cause of its failure.
    public void forgetFaults() {
        faults.clear();
        latestFault = null;
    }

    /// What the program says of its latest exception, or null: `GET /path: exception`.
    private String latestFault(boolean isSure) {
        try {
            String next = faults.poll(isSure ? 1_000 : 0, TimeUnit.MILLISECONDS);
            for (; next != null; next = faults.poll()) latestFault = next;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return latestFault;
    }

    /// How it ended, and its last words.
    private String howItEnded(String when) {
        if (written() > MAX_OUTPUT) {
            return "It was stopped " + when + ": it wrote more than "
                    + MAX_OUTPUT / 1024 / 1024
                    + " MiB of output. Is there a loop that prints?";
        }
        if (!awaitEnd(2)) return "It ended " + when + ".";
        awaitWords();
        int code = process.exitValue();
        if (text(output).contains("Terminating due to java.lang.OutOfMemoryError")) {
            return "It ran out of memory " + when + ": it may use " + HEAP_MB
                    + " MiB of heap. Does something grow without end?";
        }
        return "It ended by itself " + when + ", with exit code " + code + "."
                + (code == 0
                        ? " Does something call System.exit, or main return without Serve.run?"
                        : "")
                + lastWords();
    }

    private boolean awaitEnd(int seconds) {
        try {
            return process.waitFor(seconds, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /// What it wrote is read on other threads, which may be later than its end. A grandchild may
    /// keep their pipes open.
    private void awaitWords() {
        try {
            for (Thread each : readers) each.join(Duration.ofSeconds(2));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private String lastWords() {
        List<String> lines = (text(errors).isBlank() ? text(output) : text(errors))
                .lines()
                .filter(line -> !line.isBlank() && !line
                        .matches("\\s+at (java|jdk|io\\.undertow|org\\.xnio)\\..*"))
                .toList();
        if (lines.isEmpty()) return "";
        return " Its last words:\n\n" + String.join("\n",
                lines.subList(Math.max(0, lines.size() - 8), lines.size()));
    }

    private void read(InputStream in, StringBuilder kept, Consumer<String> look) {
        byte[] buffer = new byte[8192];
        StringBuilder line = new StringBuilder();
        try (in) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                String text = new String(buffer, 0, count, StandardCharsets.UTF_8);
                boolean tooMuch;
                synchronized (output) {
                    written += count;
                    tooMuch = written > MAX_OUTPUT;
                    kept.append(text);
                    if (kept.length() > KEPT) kept.delete(0, kept.length() - KEPT);
                    lines(line, text, look);
                }
                if (tooMuch) {
                    end();
                    return;
                }
            }
        } catch (IOException closed) {
            // It has ended.
        }
    }

    /// Hands each line that is complete to `look`.
    private static void lines(StringBuilder line, String text, Consumer<String> look) {
        line.append(text);
        int end;
        while ((end = line.indexOf("\n")) >= 0) {
            look.accept(line.substring(0, end));
            line.delete(0, end + 1);
        }
        if (line.length() > KEPT) line.setLength(0);
    }

    private void lookForReady(String line) {
        Matcher found = READY.matcher(line);
        if (!found.find()) return;
        readyPorts.add(Integer.parseInt(found.group(1)));
        ready.complete(readyPorts.getFirst());
    }

    private void lookForException(String line) {
        String fault = Graded.faultIn(line);
        if (fault != null) faults.add(fault);
    }

    private String text(StringBuilder kept) {
        synchronized (output) {
            return kept.toString();
        }
    }

    private long written() {
        synchronized (output) {
            return written;
        }
    }

    /// Ends the program and all that it started, also what it left behind: its processes inherit
    /// the mark in the environment, even where their parent has gone.
    private void end() {
        List<ProcessHandle> children = process.descendants().toList();
        process.destroyForcibly();
        children.forEach(ProcessHandle::destroyForcibly);
        List<ProcessHandle> left = marked();
        for (int round = 0; !left.isEmpty() && round < 100; round++) {
            left.forEach(ProcessHandle::destroyForcibly);
            LockSupport.parkNanos(5_000_000);
            left = marked();
        }
    }

    private List<ProcessHandle> marked() {
        Path proc = Path.of("/proc");
        if (!Files.isDirectory(proc)) return List.of();
        String mark = Graded.RUN + "=" + run;
        try (Stream<Path> processes = Files.list(proc)) {
            return processes
                    .filter(each -> each.getFileName().toString().matches("\\d+"))
                    .filter(each -> environment(each).contains(mark))
                    .flatMap(each -> ProcessHandle
                            .of(Long.parseLong(each.getFileName().toString())).stream())
                    .toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    private static String environment(Path process) {
        try {
            return Files.readString(process.resolve("environ"),
                    StandardCharsets.ISO_8859_1);
        } catch (IOException notOurs) {
            return "";
        }
    }

    /// What runs of this program, children included.
    public List<ProcessHandle> processes() {
        return marked();
    }

    /// Returns when it has ended, whoever began to close it.
    @Override
    public synchronized void close() {
        if (stopped) return;
        stopped = true;
        end();
        awaitEnd(5);
        RUNNING.remove(this);
    }
}
