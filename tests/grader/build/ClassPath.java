package grader.build;

//SOURCES ../../../shared/[A-Z]*.java
//SOURCES ../../../shared/websocket/[A-Z]*.java
//SOURCES ../../../shared/upstream/[A-Z]*.java
//SOURCES ../../../shared/cable/[A-Z]*.java
//SOURCES ../../../shared/supplier/[A-Z]*.java

import grader.repo.Exercise;
import grader.repo.Repo;
import grader.repo.Trouble;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// What a submission's JVM has on its class path below its own classes: shared/, which was compiled
/// with the grader, and the libraries that the submission's own header asks for. JBang is asked for
/// these once for each header, and what it said is kept below `build/grader`.
public final class ClassPath {
    private static final Pattern ASKS = Pattern.compile("(?m)^//(?:DEPS|SOURCES) .*$");
    private static final Map<String, String> KNOWN = new ConcurrentHashMap<>();
    private static Path shared;
    private static Path own;

    private ClassPath() {}

    /// The shared classes first, then the libraries, sorted, so that headers which ask for the same
    /// get the same.
    ///
    /// @param source of a submission to `exercise`
    /// @throws Trouble where JBang cannot find a library
    public static String of(Exercise exercise, String source) {
        String asks = ASKS.matcher(source).results().map(found -> found.group().strip())
                .sorted().distinct().collect(Collectors.joining("\n"));
        return KNOWN.computeIfAbsent(asks, header -> {
            try {
                return shared() + File.pathSeparator + libraries(exercise, header);
            } catch (IOException e) {
                throw new Trouble("Cannot write to the temporary folder: " + e + ".");
            }
        });
    }

    /// The class path of an exercise as it is given out.
    public static String of(Exercise exercise) {
        return of(exercise, exercise.untouched());
    }

    /// The class path of a script of the course, which is built where it has changed: its own jar
    /// first.
    ///
    /// @throws Trouble where it cannot be built
    public static String of(Path script) throws IOException {
        return JBang.build(script);
    }

    /// The libraries of a script of the course, which is not built.
    ///
    /// @throws Trouble where JBang cannot find one
    public static List<Path> libraries(Path script) throws IOException {
        return paths(JBang.classPath(script));
    }

    /// Those that some heads ask for together.
    ///
    /// @param heads lines `//DEPS group:artifact:version`
    /// @throws Trouble where JBang cannot find one
    public static List<Path> libraries(String heads) {
        return paths(of(Exercise.all().getFirst(), heads));
    }

    private static List<Path> paths(String classPath) {
        return Stream.of(classPath.split(File.pathSeparator)).skip(1).map(Path::of)
                .toList();
    }

    private static String libraries(Exercise exercise, String header)
            throws IOException {
        Path kept = folder().resolve("libraries-"
                + Integer.toHexString(header.hashCode())
                + "-" + shared().getFileName().toString().replace(".jar", ".txt"));
        if (Files.exists(kept)) {
            String said = Files.readString(kept);
            if (Stream.of(said.split(File.pathSeparator)).map(Path::of)
                    .allMatch(Files::isReadable)) return said;
        }
        String said = Stream.of(JBang.classPath(exercise, header)
                .split(File.pathSeparator)).skip(1).sorted()
                .collect(Collectors.joining(File.pathSeparator));
        Repo.replace(kept, said.getBytes(StandardCharsets.UTF_8));
        return said;
    }

    /// A jar with the classes of shared/, made once for each state of them. Its name tells the
    /// state.
    private static synchronized Path shared() throws IOException {
        if (shared != null) return shared;
        Path own = Path.of(System.getProperty("java.class.path")
                .split(File.pathSeparator)[0]);
        try (JarFile entries = new JarFile(own.toFile())) {
            List<JarEntry> wanted = entries.stream().filter(each -> !each.isDirectory())
                    .filter(each -> isShared(each.getName())).toList();
            long state = 0;
            for (JarEntry each : wanted) {
                state = state * 31 + each.getCrc() * 31 + each.getName().hashCode();
            }
            Path jar = folder().resolve("shared-" + Long.toHexString(state) + ".jar");
            if (!Files.exists(jar)) write(entries, wanted, jar);
            return shared = jar;
        }
    }

    /// Of the grader's own jar: the rooms of shared/ with their resources, and what warms them up.
    private static boolean isShared(String entry) {
        return entry.startsWith("shared/") || entry.startsWith("io/")
                || entry.startsWith("grader/build/Warm")
                || entry.matches("[^/]+\\.(css|js)");
    }

    private static void write(JarFile entries, List<JarEntry> wanted, Path jar)
            throws IOException {
        forget(jar.getParent());
        Path made = Files.createTempFile(jar.getParent(), "shared", ".tmp");
        try (var out = new JarOutputStream(Files.newOutputStream(made))) {
            for (JarEntry each : wanted) {
                out.putNextEntry(new JarEntry(each.getName()));
                try (InputStream in = entries.getInputStream(each)) {
                    in.transferTo(out);
                }
            }
        }
        Repo.move(made, jar);
    }

    /// Where all this is kept; where the repo cannot be written, it is made each time.
    static synchronized Path folder() throws IOException {
        Path folder = Repo.root().resolve("build/grader");
        try {
            Files.createDirectories(folder);
            if (Files.isWritable(folder)) return folder;
        } catch (IOException readOnly) {
            // As below.
        }
        if (own == null) {
            own = Repo.temporary();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> Repo.delete(own)));
        }
        return own;
    }

    /// Removes what builds of former days have left.
    private static void forget(Path folder) {
        long yesterday = System.currentTimeMillis() - 86_400_000;
        for (File old : folder.toFile().listFiles(
                (in, name) -> name.startsWith("shared")
                        || name.startsWith("libraries"))) {
            if (old.lastModified() < yesterday) old.delete();
        }
    }

    /// A program of the JDK that runs this, such as `java`.
    public static String tool(String name) {
        return Path.of(System.getProperty("java.home"), "bin", name).toString();
    }
}
