package grader.build;

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.repo.Trouble;
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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
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
/// submission that asks JBang for more than its exercise does, libraries excepted, is built by
/// JBang.
///
/// @param options of a JVM that make it start fast
public record Build(String classPath, String main, List<String> options) {
    /// What asks JBang for more than a compiler, libraries, and files one by one.
    private static final Pattern DIRECTIVE = Pattern.compile(
            "(?m)^//(?:(?:REPOS|JAVA|MODULE|COMPILE_OPTIONS|JAVAC_OPTIONS|PREVIEW|MAIN)\\b"
                    + "|SOURCES (?!\\.\\./shared/)|FILES .*[*?\\[{]|FILES \\S+ +\\S).*$");
    private static final Pattern FILES =
            Pattern.compile("(?m)^//FILES (\\S+?)(?:=(\\S+))?\\s*$");
    private static final JavaCompiler JAVAC = ToolProvider.getSystemJavaCompiler();
    /// Those that nobody uses at the moment: each knows its jars, and serves one at a time.
    private static final Queue<StandardJavaFileManager> MANAGERS =
            new ConcurrentLinkedQueue<>();
    private static final String NO_MAIN =
            "No class has a method main, so nothing can be run.";
    private static final int SHOWN = 3;
    private static final char BYTE_ORDER_MARK = 0xFEFF;

    /// Compiles `file` as a submission to `exercise`, into `folder`.
    ///
    /// @throws Trouble where it does not compile; it says so as the compiler does
    public static Build of(Exercise exercise, Path file, Path folder) {
        String source = source(file);
        try {
            if (!directives(exercise.untouched())
                    .containsAll(directives(source))) {
                return withJBang(exercise, source, file);
            }
            String base = ClassPath.of(exercise, source);
            Map<String, byte[]> classes = compile(exercise.name(), source, file, base);
            Path jar = folder.resolve("submission.jar");
            write(jar, Steps.in(classes, source, exercise.untouched(), base), exercise,
                    source, file);
            return new Build(base + File.pathSeparator + jar, mainOf(classes),
                    Archives.options(base));
        } catch (IOException e) {
            throw new Trouble("Cannot build " + Repo.shown(file) + ": " + e + ".");
        }
    }

    private static String source(Path file) {
        byte[] bytes = Repo.bytes(file);
        if (bytes == null) {
            throw new Trouble(Repo.shown(file) + " is not there. `./jbang reset "
                    + file.getFileName().toString().substring(0, 2)
                    + "` puts the untouched exercise in its place.");
        }
        try {
            String source = StandardCharsets.UTF_8.newDecoder()
                    .decode(ByteBuffer.wrap(bytes)).toString();
            if (source.isBlank()) throw new Trouble(Repo.shown(file) + " is empty.");
            if (source.charAt(0) != BYTE_ORDER_MARK) return source;
            throw new Trouble(Repo.shown(file) + " begins with a byte order mark, which"
                    + " Java does not take. Save it as UTF-8 without BOM.");
        } catch (CharacterCodingException e) {
            throw new Trouble(
                    Repo.shown(file) + " is not UTF-8 text. Save it as UTF-8.");
        }
    }

    private static List<String> directives(String source) {
        return DIRECTIVE.matcher(source).results().map(found -> found.group().strip())
                .sorted()
                .toList();
    }

    private static Map<String, byte[]> compile(String name, String source, Path file,
            String classPath) {
        Map<String, byte[]> classes = new LinkedHashMap<>();
        var found = new DiagnosticCollector<JavaFileObject>();
        StandardJavaFileManager files = MANAGERS.poll();
        if (files == null) {
            files = JAVAC.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        }
        var manager = new ForwardingJavaFileManager<JavaFileManager>(files) {
            @Override
            public JavaFileObject getJavaFileForOutput(Location location, String type,
                    JavaFileObject.Kind kind, FileObject sibling) {
                return new Output(type, classes);
            }
        };
        List<String> options =
                List.of("-proc:none", "-nowarn", "-g", "-cp", classPath);
        boolean done = JAVAC.getTask(null, manager, found, options, null,
                List.of(new Input(name, source))).call();
        MANAGERS.add(files);
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
            return Repo.shown(file) + ":" + line
                    + " has a conflict that git has left there. Choose one"
                    + " of the two sides and delete the lines <<<<<<<, ======= and >>>>>>>.";
        }
        var errors = found.getDiagnostics().stream()
                .filter(each -> each.getKind() == Diagnostic.Kind.ERROR).toList();
        StringBuilder text = new StringBuilder(Repo.shown(file) + " does not compile.");
        for (var each : errors.subList(0, Math.min(SHOWN, errors.size()))) {
            int line = (int) each.getLineNumber();
            text.append("\n\n%s:%d: %s".formatted(Repo.shown(file), line,
                    each.getMessage(Locale.ENGLISH)));
            if (line < 1 || line > lines.size()) continue;
            text.append("\n").append(lines.get(line - 1).replace('\t', ' '))
                    .append('\n')
                    .append(" ".repeat(column(source, (int) each.getPosition())))
                    .append('^');
        }
        if (errors.size() > SHOWN) {
            text.append("\n\n(").append(errors.size() - SHOWN).append(" more)");
        }
        return text.toString();
    }

    /// How many characters stand before a place, on its line; to the compiler a tab is several.
    private static int column(String source, int place) {
        String line = source.substring(0, place).replaceFirst("(?s).*\\R", "");
        return line.codePointCount(0, line.length());
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
        if (main == null) throw new Trouble(NO_MAIN);
        return main;
    }

    /// The classes, and what `//FILES` names; of these, what cannot be found is left out.
    private static void write(Path jar, Map<String, byte[]> classes, Exercise exercise,
            String source, Path file) throws IOException {
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
                Path path = file.resolveSibling(from).normalize();
                if (!Files.isRegularFile(path)) {
                    path = Repo.root().resolve("exercises").resolve(from).normalize();
                }
                if (!own && !Files.isRegularFile(path)) continue;
                out.putNextEntry(new JarEntry(each.group(1)));
                out.write(own ? source.getBytes(StandardCharsets.UTF_8)
                        : Files.readAllBytes(path));
            }
        }
    }

    private static Build withJBang(Exercise exercise, String source, Path file)
            throws IOException {
        String classPath = JBang.build(exercise, source, file);
        Path jar = Path.of(classPath.split(File.pathSeparator)[0]);
        try (var opened = new java.util.jar.JarFile(jar.toFile())) {
            String main =
                    opened.getManifest().getMainAttributes().getValue("Main-Class");
            if (main == null) throw new Trouble(NO_MAIN);
            return new Build(classPath, main, Archives.QUICK);
        }
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
