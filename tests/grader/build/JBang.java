package grader.build;

import grader.repo.Exercise;
import grader.repo.Progress;
import grader.repo.Repo;
import grader.repo.Trouble;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/// Asks JBang, as a learner who types `./jbang`, one question at a time: the file that it is asked
/// about has the same name for all.
final class JBang {
    private static final int SECONDS = 120;

    private JBang() {}

    /// The class path of a script with this text: its own jar first, which need not be there.
    ///
    /// @throws Trouble where a library cannot be had, in JBang's own words
    static synchronized String classPath(Exercise exercise, String source)
            throws IOException {
        return run("--quiet", "info", "classpath", copy(exercise, source).toString())
                .strip();
    }

    /// Builds a script with this text.
    ///
    /// @return its class path, the jar that was built first
    /// @throws Trouble where it cannot be built, in JBang's own words
    static synchronized String build(Exercise exercise, String source)
            throws IOException {
        run("--quiet", "build", copy(exercise, source).toString());
        return classPath(exercise, source);
    }

    /// In a folder beside shared/, so that relative paths in the file hold.
    private static Path copy(Exercise exercise, String source) throws IOException {
        Path copy = Progress.folder().resolve(exercise.name() + ".java");
        Repo.replace(copy, source.getBytes(StandardCharsets.UTF_8));
        return copy;
    }

    private static String run(String... arguments) throws IOException {
        boolean windows = File.separatorChar == '\\';
        List<String> command = new ArrayList<>(List.of(Repo.root()
                .resolve(windows ? "jbang.cmd" : "jbang").toString()));
        command.addAll(List.of(arguments));
        Path errors = Files.createTempFile("jbang", ".txt");
        try {
            Process jbang =
                    new ProcessBuilder(command).redirectError(errors.toFile()).start();
            String output = new String(jbang.getInputStream().readAllBytes(),
                    StandardCharsets.UTF_8);
            if (jbang.waitFor(SECONDS, TimeUnit.SECONDS) && jbang.exitValue() == 0) {
                return output;
            }
            jbang.destroyForcibly();
            throw new Trouble("JBang cannot build it:\n\n" + Files.readString(errors)
                    .lines().filter(line -> !line.isBlank()).limit(20)
                    .collect(Collectors.joining("\n")));
        } catch (InterruptedException e) {
            throw new Trouble("The grading was interrupted.");
        } finally {
            Files.deleteIfExists(errors);
        }
    }
}
