package grader;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/// A submission, compiled in the grader's own warm process: a class path and a class to launch. A
/// submission that asks JBang for more than its exercise does is built by JBang.
public record Build(String classPath, String main) {
    private static final Pattern DIRECTIVE = Pattern.compile(
            "(?m)^//(?:DEPS|SOURCES|REPOS|JAVA|MODULE|COMPILE_OPTIONS|JAVAC_OPTIONS"
                    + "|RUNTIME_OPTIONS|JAVA_OPTIONS|PREVIEW|MAIN)\\b.*$");
    private static final Pattern FILES =
            Pattern.compile("(?m)^//FILES (\\S+?)(?:=(\\S+))?\\s*$");
    private static final JavaCompiler JAVAC = ToolProvider.getSystemJavaCompiler();
    private static final StandardJavaFileManager FILES_OF_JDK =
            JAVAC.getStandardFileManager(null, null, StandardCharsets.UTF_8);
    private static final String NO_MAIN =
            "No class has a method main, so nothing can be run.";
    private static final int JBANG_SECONDS = 120;
    private static final int SHOWN = 3;

    /// Compiles `file` as a submission to `exercise`, into `folder`.
    ///
    /// @throws Trouble where it does not compile; it says so as the compiler does
    public static Build of(Exercise exercise, Path file, Path folder) {
        String source = source(file);
        try {
            if (!directives(Exercise.read(exercise.file(true)))
                    .containsAll(directives(source))) {
                // In a folder beside shared/, so that relative paths in the file hold.
                Path copy = Progress.folder().resolve(exercise.name() + ".java");
                Progress.replace(copy, source.getBytes(StandardCharsets.UTF_8));
                return withJBang(copy, folder);
            }
            Map<String, byte[]> classes = compile(exercise.name(), source, file);
            Path jar = folder.resolve("submission.jar");
            write(jar, classes, exercise, source);
            return new Build(ClassPath.base() + File.pathSeparator + jar,
                    mainOf(classes));
        } catch (IOException e) {
            throw new Trouble("Cannot build " + shown(file) + ": " + e + ".");
        }
    }

    private static String source(Path file) {
        try {
            String source = StandardCharsets.UTF_8.newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file))).toString();
            if (!source.isBlank()) return source;
            throw new Trouble(shown(file) + " is empty.");
        } catch (CharacterCodingException e) {
            throw new Trouble(shown(file) + " is not UTF-8 text.");
        } catch (IOException e) {
            throw new Trouble(
                    Files.exists(file) ? "Cannot read " + shown(file) + ": " + e + "."
                            : shown(file) + " is not there. `./jbang reset "
                                    + file.getFileName().toString().substring(0, 2)
                                    + "` puts the untouched exercise in its place.");
        }
    }

    private static List<String> directives(String source) {
        return DIRECTIVE.matcher(source).results().map(found -> found.group().strip())
                .sorted()
                .toList();
    }

    private static Map<String, byte[]> compile(String name, String source, Path file) {
        Map<String, byte[]> classes = new LinkedHashMap<>();
        var found = new DiagnosticCollector<JavaFileObject>();
        var manager = new ForwardingJavaFileManager<JavaFileManager>(FILES_OF_JDK) {
            @Override
            public JavaFileObject getJavaFileForOutput(Location location, String type,
                    JavaFileObject.Kind kind, FileObject sibling) {
                return new Output(type, classes);
            }
        };
        List<String> options =
                List.of("-proc:none", "-nowarn", "-g", "-cp", ClassPath.base());
        boolean done = JAVAC.getTask(null, manager, found, options, null,
                List.of(new Input(name, source))).call();
        if (!done) throw new Trouble(explain(found, source, file));
        return classes;
    }

    /// The first errors, each with its line and a caret.
    private static String explain(DiagnosticCollector<JavaFileObject> found,
            String source,
            Path file) {
        List<String> lines = source.lines().toList();
        var conflict = Pattern.compile("(?m)^<{7} ").matcher(source);
        if (conflict.find()) {
            long line = source.substring(0, conflict.start()).lines().count() + 1;
            return shown(file) + ":" + line
                    + " has a conflict that git has left there. Choose one"
                    + " of the two sides and delete the lines <<<<<<<, ======= and >>>>>>>.";
        }
        var errors = found.getDiagnostics().stream()
                .filter(each -> each.getKind() == Diagnostic.Kind.ERROR).toList();
        StringBuilder text = new StringBuilder(shown(file) + " does not compile.");
        for (var each : errors.subList(0, Math.min(SHOWN, errors.size()))) {
            int line = (int) each.getLineNumber();
            text.append("\n\n%s:%d: %s".formatted(shown(file), line,
                    each.getMessage(Locale.ENGLISH)));
            if (line < 1 || line > lines.size()) continue;
            int column = (int) Math.max(1, each.getColumnNumber());
            text.append("\n").append(lines.get(line - 1).replace('\t', ' '))
                    .append('\n')
                    .append(" ".repeat(column - 1)).append('^');
        }
        if (errors.size() > SHOWN) {
            text.append("\n\n(").append(errors.size() - SHOWN).append(" more)");
        }
        return text.toString();
    }

    private static String mainOf(Map<String, byte[]> classes) {
        String main = null;
        for (var each : classes.entrySet()) {
            ClassModel model = ClassFile.of().parse(each.getValue());
            for (MethodModel method : model.methods()) {
                boolean launches = method.methodName().equalsString("main") && List
                        .of("()V", "([Ljava/lang/String;)V")
                        .contains(method.methodType().stringValue());
                if (launches) main = each.getKey();
            }
        }
        if (main == null) throw new Trouble(
                "No class has a method main, so nothing can be run.");
        return main;
    }

    /// The classes, and what `//FILES` names; of these, what cannot be found is left out.
    private static void write(Path jar, Map<String, byte[]> classes, Exercise exercise,
            String source) throws IOException {
        try (var out = new JarOutputStream(Files.newOutputStream(jar))) {
            out.setLevel(0);
            for (var each : classes.entrySet()) {
                out.putNextEntry(
                        new JarEntry(each.getKey().replace('.', '/') + ".class"));
                out.write(each.getValue());
            }
            for (var each : FILES.matcher(source).results().toList()) {
                String from = each.group(2) == null ? each.group(1) : each.group(2);
                boolean own = from.equals(exercise.name() + ".java");
                Path path =
                        Exercise.root().resolve("exercises").resolve(from).normalize();
                if (!own && !Files.isRegularFile(path)) continue;
                out.putNextEntry(new JarEntry(each.group(1)));
                out.write(own ? source.getBytes(StandardCharsets.UTF_8)
                        : Files.readAllBytes(path));
            }
        }
    }

    private static Build withJBang(Path file, Path folder) throws IOException {
        Path errors = folder.resolve("jbang-errors.txt");
        run(errors, "--quiet", "build", file.toString());
        String classPath =
                run(errors, "--quiet", "info", "classpath", file.toString()).strip();
        Path jar = Path.of(classPath.split(File.pathSeparator)[0]);
        try (var opened = new java.util.jar.JarFile(jar.toFile())) {
            String main =
                    opened.getManifest().getMainAttributes().getValue("Main-Class");
            if (main == null) throw new Trouble(NO_MAIN);
            return new Build(classPath, main);
        }
    }

    private static String run(Path errors, String... arguments) throws IOException {
        boolean windows = File.separatorChar == '\\';
        List<String> command = new ArrayList<>(List.of(Exercise.root()
                .resolve(windows ? "jbang.cmd" : "jbang").toString()));
        command.addAll(List.of(arguments));
        Process jbang =
                new ProcessBuilder(command).redirectError(errors.toFile()).start();
        String output = new String(jbang.getInputStream().readAllBytes(),
                StandardCharsets.UTF_8);
        try {
            if (jbang.waitFor(JBANG_SECONDS, TimeUnit.SECONDS)
                    && jbang.exitValue() == 0) {
                return output;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        jbang.destroyForcibly();
        throw new Trouble(
                "JBang cannot build it:\n\n" + Files.readString(errors).lines()
                        .filter(line -> !line.isBlank()).limit(20)
                        .collect(Collectors.joining("\n")));
    }

    /// A path as the person at the terminal would type it.
    public static String shown(Path file) {
        Path here = Path.of("").toAbsolutePath();
        return file.startsWith(here) ? here.relativize(file).toString()
                : file.toString();
    }

    private static final class Input extends SimpleJavaFileObject {
        private final String source;

        Input(String name, String source) {
            super(URI.create("string:///" + name + ".java"), Kind.SOURCE);
            this.source = source;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return source;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true; // as JBang, which compiles files named 01_...
        }
    }

    private static final class Output extends SimpleJavaFileObject {
        private final Map<String, byte[]> classes;
        private final String type;

        Output(String type, Map<String, byte[]> classes) {
            super(URI.create("mem:///" + type.replace('.', '/') + ".class"),
                    Kind.CLASS);
            this.type = type;
            this.classes = classes;
        }

        @Override
        public OutputStream openOutputStream() {
            return new ByteArrayOutputStream() {
                @Override
                public void close() {
                    classes.put(type, toByteArray());
                }
            };
        }
    }
}
