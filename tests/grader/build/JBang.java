package grader.build;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import grader.repo.Exercise;
import grader.repo.Progress;
import grader.repo.Repo;
import grader.repo.Trouble;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Asks JBang, as a learner who types `./jbang`, one question at a time: the file that it is asked
/// about has the same name for all.
final class JBang {
    private static final int SECONDS = 120;
    /// What lies in another folder of the course, seen from its exercises.
    private static final Pattern UPWARDS =
            Pattern.compile("(?m)^(//(?:SOURCES |FILES (?:\\S+=)?))\\.\\./");

    private JBang() {}

    /// The class path of a script with this text: its own jar first, which need not be there.
    ///
    /// @throws Trouble where a library cannot be had, in JBang's own words
    static String classPath(Exercise exercise, String source) throws IOException {
        return ask(exercise, source, exercise.file(), false);
    }

    /// Builds a script with this text.
    ///
    /// @param file where it is from: what it names lies beside that
    /// @return its class path, the jar that was built first
    /// @throws Trouble where it cannot be built, in JBang's own words
    static String build(Exercise exercise, String source, Path file)
            throws IOException {
        return ask(exercise, source, file, true);
    }

    /// Builds a script as it lies there.
    ///
    /// @return its class path, the jar that was built first
    /// @throws Trouble where it cannot be built, in JBang's own words
    static String build(Path script) throws IOException {
        run("--quiet", "build", script.toString());
        return classPath(script);
    }

    /// The class path of a script as it lies there: its own jar first, which need not be there.
    static String classPath(Path script) throws IOException {
        return run("--quiet", "info", "classpath", script.toString()).strip();
    }

    private static synchronized String ask(Exercise exercise, String source, Path file,
            boolean builds) throws IOException {
        Path folder =
                Progress.folder().resolve("jbang-" + ProcessHandle.current().pid());
        try {
            Path copy = lay(exercise, source, file, folder);
            return builds ? build(copy) : classPath(copy);
        } catch (Trouble e) {
            throw new Trouble(e.getMessage().replace(folder.toString(),
                    Repo.shown(file.toAbsolutePath().getParent())));
        } finally {
            Repo.delete(folder);
        }
    }

    /// Makes a folder with the text, and all that lies beside its file or beside the exercise.
    private static Path lay(Exercise exercise, String source, Path file, Path folder)
            throws IOException {
        Path copy = folder.resolve(exercise.name() + ".java");
        Repo.replace(copy, UPWARDS.matcher(source).replaceAll("$1../../")
                .getBytes(StandardCharsets.UTF_8));
        for (Path from : List.of(file, exercise.file())) {
            try (Stream<Path> all = Files.list(from.toAbsolutePath().getParent())) {
                for (Path each : all.toList()) {
                    Path to = folder.resolve(each.getFileName());
                    if (!Files.exists(to, NOFOLLOW_LINKS)) link(to, each);
                }
            }
        }
        return copy;
    }

    /// A system that grants no links gets copies of files.
    private static void link(Path link, Path to) throws IOException {
        try {
            Files.createSymbolicLink(link, to);
        } catch (IOException | UnsupportedOperationException e) {
            if (Files.isRegularFile(to)) Files.copy(to, link);
        }
    }

    private static String run(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(Repo.root()
                .resolve(Repo.WINDOWS ? "jbang.cmd" : "jbang").toString()));
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
