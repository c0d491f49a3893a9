import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.WRITE;

import grader.repo.Repo;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// A script of this repo, running as a learner runs it: its own process, started by `./jbang`, on
/// a free port that its ready line tells.
@SuppressWarnings("try") // close may be interrupted
final class Server implements AutoCloseable {
    private static final int START_SECONDS = 120;
    private static final Set<String> BUILT = new HashSet<>();

    final Process process;
    final String ready;
    final int port;
    private final Path errors;
    private final List<String> output = new ArrayList<>();

    private Server(Process process, Path errors) throws Exception {
        this.process = process;
        this.errors = errors;
        var first = new CompletableFuture<String>();
        Thread.ofPlatform().daemon().start(() -> read(first));
        try {
            ready = first.get(START_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            process.destroyForcibly();
            throw new AssertionError(
                    "not ready after " + START_SECONDS + " s; standard error: "
                            + errors());
        }
        if (!ready.matches(".*http://localhost:\\d+/")) {
            process.waitFor(5, TimeUnit.SECONDS);
            throw new AssertionError(
                    "no ready line but '" + ready + "'; standard error: "
                            + errors());
        }
        port = Integer.parseInt(ready.replaceAll(".*:(\\d+)/", "$1"));
    }

    private void read(CompletableFuture<String> first) {
        try (BufferedReader lines = process.inputReader()) {
            for (String line = lines.readLine(); line != null; line =
                    lines.readLine()) {
                if (first.complete(line)) continue;
                synchronized (output) {
                    output.add(line);
                }
            }
        } catch (IOException closed) {
            // The process was ended.
        }
        first.complete("");
    }

    /// Starts `script`, a path below the repo, with `PORT=0`.
    /// Arguments that start with `-` go to JBang, `NAME=value` to the environment.
    static Server start(String script, String... settings) throws Exception {
        return start(launch(script, settings));
    }

    /// Starts what prints a ready line.
    static Server start(ProcessBuilder program) throws Exception {
        Path errors = Files.createTempFile("errors", ".txt");
        return new Server(program.redirectError(errors.toFile()).start(), errors);
    }

    /// Builds a script, once for all tests. JBang may not build the same one twice at a time, not
    /// even for two copies of the course: what it has built is found by its content.
    static synchronized void build(String script) throws IOException {
        if (!BUILT.add(script)) return;
        Path lock =
                Path.of(System.getProperty("java.io.tmpdir"), "on-the-wire-build.lock");
        try (var channel = FileChannel.open(lock, CREATE, WRITE);
                var held = channel.lock()) {
            assert held.isValid();
            new ProcessBuilder(Repo.root().resolve("jbang").toString(), "--quiet",
                    "build",
                    Repo.root().resolve(script).toString()).inheritIO().start()
                    .waitFor();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /// The same, not started yet: for runs that are expected to fail.
    static ProcessBuilder launch(String script, String... settings) throws IOException {
        build(script);
        List<String> command =
                new ArrayList<>(List.of(Repo.root().resolve("jbang").toString()));
        for (String setting : settings) if (setting
                .startsWith("-")) command.add(setting);
        command.add(Repo.root().resolve(script).toString());
        ProcessBuilder builder = new ProcessBuilder(command);
        Map<String, String> environment = builder.environment();
        environment.put("PORT", "0");
        environment.remove("MAX_WAITERS");
        environment.remove("WEBHOOK_SECRET");
        for (String setting : settings) {
            if (setting.startsWith("-")) continue;
            String[] pair = setting.split("=", 2);
            environment.put(pair[0], pair[1]);
        }
        return builder;
    }

    /// A port that leads to it through the lesson's cable, as its page names it.
    int cablePort() throws IOException {
        String page = RawHttp.ask(port, "GET", "/", null).text();
        return Integer.parseInt(
                page.replaceFirst("(?s).*data-cable=.localhost:(\\d+).*", "$1"));
    }

    String url(String path) {
        return "http://localhost:" + port + path;
    }

    /// What it has written to standard output after its ready line.
    List<String> output() {
        synchronized (output) {
            return List.copyOf(output);
        }
    }

    /// What it has written to standard error, JBang's own lines of a first build left out.
    String errors() throws IOException {
        return String.join("\n", Files.readAllLines(errors).stream()
                .filter(line -> !line.startsWith("[jbang]")).toList());
    }

    void signal(String name) throws Exception {
        new ProcessBuilder("kill", "-" + name, "" + process.pid()).start().waitFor();
    }

    /// Sends SIGTERM or SIGINT and waits.
    ///
    /// @return the exit code
    int stop(String signal) throws Exception {
        signal(signal);
        if (!process.waitFor(10, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("still running 10 s after " + signal);
        }
        return process.exitValue();
    }

    /// Ends it; it must have written nothing after its ready line.
    void closeSilent() throws Exception {
        List<String> wrote = output();
        String errors = errors();
        close();
        if (!wrote.isEmpty() || !errors.isEmpty()) {
            throw new AssertionError("it wrote " + wrote + " and " + errors);
        }
    }

    @Override
    public void close() throws Exception {
        process.destroy();
        if (!process.waitFor(5, TimeUnit.SECONDS)) process.destroyForcibly().waitFor();
        Files.deleteIfExists(errors);
    }
}
