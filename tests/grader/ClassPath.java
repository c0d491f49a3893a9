package grader;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;

/// What a submission's JVM has on its class path below its own classes: shared/ and the libraries
/// of the exercises, both taken from the grader's own class path; and an archive of their loaded
/// classes, which halves the time that this JVM takes to start.
public final class ClassPath {
    /// Of the grader's libraries, those that lessons and exercises have as well.
    private static final List<String> LIBRARIES =
            List.of("/io/undertow/", "/org/jboss/",
                    "/org/wildfly/", "/io/smallrye/", "/jakarta/", "/tools/jackson/",
                    "/com/fasterxml/jackson/", "/org/commonmark/", "/org/webjars/");
    private static final List<String> SHARED =
            List.of("shared/", "io/undertow/", "page.css",
                    "page.js", "wire.js", "grader/Warm");
    private static final int WARM_SECONDS = 20;

    private static String base;

    private ClassPath() {}

    /// The shared classes first, then the libraries.
    public static synchronized String base() {
        if (base == null) {
            List<String> own = List.of(System.getProperty("java.class.path")
                    .split(File.pathSeparator));
            base = shared(Path.of(own.getFirst())) + own.stream()
                    .filter(jar -> LIBRARIES.stream()
                            .anyMatch(jar.replace('\\', '/')::contains))
                    .map(jar -> File.pathSeparator + jar).collect(Collectors.joining());
        }
        return base;
    }

    /// The options of a submission's JVM that make it start fast.
    static List<String> options() {
        Path archive = archive();
        return Files.exists(archive)
                ? List.of("-XX:SharedArchiveFile=" + archive, "-Xlog:disable",
                        "-XX:-PrintWarnings")
                : List.of();
    }

    static boolean isPrepared() {
        return Files.exists(archive());
    }

    /// Makes the archive where there is none yet; it takes about 2 s.
    static void prepare() throws IOException {
        if (isPrepared()) return;
        Path part = Path.of(archive() + "." + ProcessHandle.current().pid());
        archive(part, WARM_SECONDS, base(), "grader.Warm");
        if (Files.exists(part)) Progress.move(part, archive());
    }

    /// Runs a program, and archives the classes that it has loaded.
    static void archive(Path archive, int seconds, String classPath, String... program)
            throws IOException {
        List<String> command = new ArrayList<>(List.of(tool("java"),
                "-XX:ArchiveClassesAtExit="
                        + archive,
                "-Xlog:disable", "-XX:-PrintWarnings", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow",
                "--enable-native-access=ALL-UNNAMED", "-cp", classPath));
        command.addAll(List.of(program));
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(Exercise.root().toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().put(Speed.PREPARING, "true");
        Process process = builder.start();
        Thread end = new Thread(process::destroyForcibly);
        Runtime.getRuntime().addShutdownHook(end);
        try {
            process.waitFor(seconds, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            process.destroyForcibly();
            Runtime.getRuntime().removeShutdownHook(end);
        }
    }

    /// A program of the JDK that runs this, such as `java`.
    public static String tool(String name) {
        return Path.of(System.getProperty("java.home"), "bin", name).toString();
    }

    /// One for each JDK, class path and state of shared/.
    private static Path archive() {
        Path jar = Path.of(base().split(File.pathSeparator)[0]);
        String of = Runtime.version() + base();
        return Path.of(jar.toString().replace(".jar",
                "-" + Integer.toHexString(of.hashCode()) + ".jsa"));
    }

    /// A jar with the classes of shared/, made once for each state of them.
    private static Path shared(Path own) {
        try (JarFile entries = new JarFile(own.toFile())) {
            List<JarEntry> wanted = entries.stream().filter(each -> !each.isDirectory())
                    .filter(each -> SHARED.stream()
                            .anyMatch(each.getName()::startsWith))
                    .toList();
            long state = 0;
            for (JarEntry each : wanted) {
                state = state * 31 + each.getCrc() * 31 + each.getName().hashCode();
            }
            Path folder = folder();
            Path jar = folder.resolve("shared-" + Long.toHexString(state) + ".jar");
            if (Files.exists(jar)) return jar;
            forget(folder);
            Path made = Files.createTempFile(folder, "shared", ".tmp");
            try (var out = new JarOutputStream(Files.newOutputStream(made))) {
                for (JarEntry each : wanted) {
                    out.putNextEntry(new JarEntry(each.getName()));
                    try (InputStream in = entries.getInputStream(each)) {
                        in.transferTo(out);
                    }
                }
            }
            Progress.move(made, jar);
            return jar;
        } catch (IOException e) {
            throw new Trouble("Cannot write to the temporary folder: " + e + ".");
        }
    }

    /// Where it is kept; where the repo cannot be written, it is made each time.
    private static Path folder() throws IOException {
        Path folder = Exercise.root().resolve("build/grader");
        try {
            Files.createDirectories(folder);
            if (Files.isWritable(folder)) return folder;
        } catch (IOException readOnly) {
            // As below.
        }
        Path own = Files.createTempDirectory("grader");
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Grading.delete(own)));
        return own;
    }

    /// Removes what builds of former days have left.
    private static void forget(Path folder) {
        long yesterday = System.currentTimeMillis() - 86_400_000;
        for (File old : folder.toFile()
                .listFiles((in, name) -> name.startsWith("shared"))) {
            if (old.lastModified() < yesterday) old.delete();
        }
    }
}
