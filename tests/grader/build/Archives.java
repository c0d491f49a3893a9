package grader.build;

import grader.repo.Exercise;
import grader.repo.Repo;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Archives of loaded classes, which halve the time that a JVM takes to start: of submissions, and
/// of the grader itself. Nothing depends on them.
public final class Archives {
    private static final String PREPARING = "ON_THE_WIRE_PREPARING";
    private static final int SECONDS = 60;
    /// Of every JVM that runs a program of the course. An archive fits only those with the same;
    /// `./jbang grade` has them, and the name of its archive, in the head of Grade.java.
    static final List<String> QUICK = List.of("-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow");

    private Archives() {}

    /// The options of a submission's JVM that make it start fast.
    public static List<String> options(String classPath) {
        List<String> options = new ArrayList<>(QUICK);
        Path archive = of(classPath);
        if (archive != null && Files.exists(archive)) {
            options.addAll(List.of("-XX:SharedArchiveFile=" + archive, "-Xlog:disable",
                    "-XX:-PrintWarnings"));
        }
        return options;
    }

    /// Makes the archives that are missing: once after each change of the course or the JDK,
    /// about 5 s.
    public static void prepare(List<Exercise> exercises, Consumer<String> progress) {
        if (System.getenv(PREPARING) != null) return;
        try {
            for (String each : exercises.stream().map(ClassPath::of).distinct()
                    .toList()) {
                if (Files.exists(of(each))) continue;
                progress.accept("preparing faster starts, this once");
                make(of(each), each, "grader.build.Warm");
            }
            prepareGrader(progress);
        } catch (IOException e) {
            // Then it is slower.
        }
    }

    private static void prepareGrader(Consumer<String> progress) throws IOException {
        String classPath = System.getProperty("java.class.path");
        Path jar = Path.of(classPath.split(File.pathSeparator)[0]);
        Path archive = Repo.root().resolve("build/grader/grade.jsa");
        Path of = archive.resolveSibling("grade.jsa.of");
        String state = jar + " " + Files.getLastModifiedTime(jar) + " "
                + Runtime.version();
        if (Files.exists(archive) && Files.exists(of)
                && Files.readString(of).equals(state)) return;
        progress.accept("preparing faster starts, this once");
        if (make(archive, classPath, "Grade", "grade", "--untouched",
                Exercise.all().getFirst().number())) {
            Repo.replace(of, state.getBytes());
        }
    }

    /// Runs a program, and archives the classes that it has loaded.
    ///
    /// @return whether there is an archive now
    private static boolean make(Path archive, String classPath, String... program)
            throws IOException {
        Path part = Path.of(archive + "." + ProcessHandle.current().pid());
        List<String> command = new ArrayList<>(List.of(ClassPath.tool("java"),
                "-XX:ArchiveClassesAtExit=" + part, "-Xlog:disable",
                "-XX:-PrintWarnings", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(QUICK);
        command.addAll(List.of("-cp", classPath));
        command.addAll(List.of(program));
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(Repo.root().toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().put(PREPARING, "true");
        Process process = builder.start();
        Thread end = new Thread(process::destroyForcibly);
        Runtime.getRuntime().addShutdownHook(end);
        try {
            process.waitFor(SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            process.destroyForcibly();
            Runtime.getRuntime().removeShutdownHook(end);
        }
        if (Files.exists(part)) Repo.move(part, archive);
        return Files.exists(archive);
    }

    /// One for each JDK and class path, in whose first jar's name is the state of shared/; or null.
    private static Path of(String classPath) {
        String first = classPath.split(File.pathSeparator)[0];
        if (!first.endsWith(".jar")) return null;
        String of = Runtime.version() + classPath;
        return Path.of(first.replace(".jar",
                "-" + Integer.toHexString(of.hashCode()) + ".jsa"));
    }
}
