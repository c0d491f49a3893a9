package grader;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;

/// What a submission's JVM has on its class path below its own classes: shared/ and the libraries of
/// the exercises, both taken from the grader's own class path; and an archive of their loaded
/// classes, which halves the time that this JVM takes to start.
final class ClassPath {
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

    static synchronized String base() {
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

    /// Makes the archive where there is none yet; it takes about 2 s. Without it all works, too.
    static void prepare() {
        Path archive = archive();
        if (Files.exists(archive)) return;
        Path made = archive
                .resolveSibling(archive.getFileName() + "." + ProcessHandle.current()
                        .pid());
        try {
            Process warm =
                    new ProcessBuilder(java(), "-XX:ArchiveClassesAtExit=" + made,
                            "-Xlog:disable", "-XX:-PrintWarnings", "-XX:+UseSerialGC",
                            "-XX:TieredStopAtLevel=1",
                            "--sun-misc-unsafe-memory-access=allow", "-cp",
                            base(), "grader.Warm")
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            if (warm.waitFor(WARM_SECONDS, TimeUnit.SECONDS) && Files.exists(made)) {
                move(made, archive);
            }
            warm.destroyForcibly();
        } catch (IOException e) {
            // Then it is slower.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    /// One for each JDK and state of shared/.
    private static Path archive() {
        Path jar = Path.of(base().split(File.pathSeparator)[0]);
        return jar.resolveSibling(jar.getFileName().toString().replace(".jar",
                "-" + Runtime.version().toString().replaceAll("[^\\w.]", "_")
                        + ".jsa"));
    }

    /// A jar with the classes of shared/, made once for each build of the grader.
    private static Path shared(Path own) {
        try {
            var entries = new JarFile(own.toFile());
            long state =
                    Files.getLastModifiedTime(own).toMillis() ^ Files.size(own) << 40;
            Path folder = Exercise.root().resolve("build/grader");
            Path jar = folder.resolve("shared-" + Long.toHexString(state) + ".jar");
            if (Files.exists(jar)) return jar;
            Files.createDirectories(folder);
            forget(folder);
            Path made = Files.createTempFile(folder, "shared", ".tmp");
            try (entries; var out = new JarOutputStream(Files.newOutputStream(made))) {
                for (JarEntry each : entries.stream().toList()) {
                    boolean wanted =
                            SHARED.stream().anyMatch(each.getName()::startsWith);
                    if (!wanted || each.isDirectory()) continue;
                    out.putNextEntry(new JarEntry(each.getName()));
                    try (InputStream in = entries.getInputStream(each)) {
                        in.transferTo(out);
                    }
                }
            }
            move(made, jar);
            return jar;
        } catch (IOException e) {
            throw new Trouble("Cannot write to the folder build: " + e + ".");
        }
    }

    /// Removes what former builds have left.
    private static void forget(Path folder) {
        for (File old : folder.toFile()
                .listFiles((in, name) -> name.startsWith("shared"))) {
            old.delete(); // on Windows it stays while another grader uses it
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }
}
