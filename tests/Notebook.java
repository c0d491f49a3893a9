///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Opens a lesson in Jupyter, or in jshell where Jupyter is not installed
//JAVA 25+
//MAIN Notebook
//SOURCES Grade.java

import grader.repo.Repo;
import grader.repo.Trouble;
import grader.report.Terminal;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import shared.course.Course;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// Makes a notebook of a lesson's cells, and a kernel that has the lesson's class path. Both lie in
/// `build/notebook`; nothing is written to the home of the user. The exit code is that of Jupyter
/// or `jshell`, 2 where neither could be started.
@Command(name = "./jbang notebook", sortOptions = false,
        description = "Opens a lesson in JupyterLab or the classic notebook, with a Java kernel"
                + " that knows it; where neither is installed, in jshell.",
        footer = {"", "Examples:",
            "  ./jbang notebook 02",
            "  ./jbang notebook 02 -- --no-browser     what follows -- is for Jupyter"})
class Notebook implements Callable<Integer> {
    private static final Pattern START =
            Pattern.compile("`(Serve\\.start\\([^`]+)`");
    private static final DateTimeFormatter KEPT =
            DateTimeFormatter.ofPattern("'.'yyyy-MM-dd'T'HH.mm.ss'.ipynb'");

    /// What evaluates cells lives too short to gain from code that is optimised to the last.
    private static final String QUICK = "-XX:TieredStopAtLevel=1";

    /// What JBang says of a script that it has built.
    private record Script(List<String> classPath, List<String> options) {
        String joined() {
            return String.join(File.pathSeparator, classPath);
        }
    }

    @Parameters(index = "0", paramLabel = "LESSON",
            description = "Such as 02, 02_long_polling or long-polling.") String name;
    @Parameters(index = "1..*", arity = "0..*", paramLabel = "OPTION",
            description = "Handed to Jupyter.") List<String> more = List.of();
    @Option(names = "--new",
            description = "Make the notebook anew; the one that is there is kept"
                    + " beside it.") boolean anew;
    @Option(names = "--jshell",
            description = "Take jshell though Jupyter is installed.") boolean jshell;
    @Option(names = {"-h", "--help"}, usageHelp = true,
            description = "Show this help.") boolean help;

    static void main(String... arguments) {
        System.exit(Terminal.command(new Notebook()).execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        try {
            Course.Lesson lesson = named(name);
            Path jupyter = jshell ? null : jupyter();
            if (jupyter == null) return shell(lesson);
            Path folder = Repo.root().resolve("build/notebook");
            Path file = folder.resolve(lesson.name() + ".ipynb");
            if (anew && Files.exists(file)) keep(file);
            lay(lesson, folder);
            say(lesson, file);
            List<String> command = new ArrayList<>(
                    List.of(jupyter.toString(), file.getFileName().toString()));
            command.addAll(more);
            var program = new ProcessBuilder(command).directory(folder.toFile());
            program.environment().put("JUPYTER_PATH", path(folder));
            return run(program);
        } catch (Trouble e) {
            System.err.println(e.getMessage());
            return 2;
        }
    }

    private static Course.Lesson named(String text) {
        for (Course.Lesson each : Course.LESSONS) {
            if (List.of(each.number(), each.name(), each.alias()).contains(text)) {
                return each;
            }
        }
        throw new Trouble("There is no lesson '" + text + "'. There are: "
                + Course.LESSONS.stream().map(Course.Lesson::name)
                        .collect(Collectors.joining(", "))
                + ".");
    }

    /// The program that opens notebooks, or null.
    static Path jupyter() {
        return Stream.of("jupyter-lab", "jupyter-notebook").flatMap(
                name -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                        .flatMap(folder -> Stream.of(name, name + ".exe")
                                .map(file -> Path.of(folder, file))))
                .filter(Files::isExecutable).findFirst().orElse(null);
    }

    /// Where Jupyter looks for kernels, ours first.
    static String path(Path folder) {
        String others = System.getenv("JUPYTER_PATH");
        return folder.resolve("jupyter")
                + (others == null ? "" : File.pathSeparator + others);
    }

    /// Writes a kernel for the lesson, and its notebook where there is none.
    static void lay(Course.Lesson lesson, Path folder) throws IOException {
        write(folder.resolve("jupyter/kernels/" + lesson.name() + "/kernel.json"),
                kernel(lesson));
        Path file = folder.resolve(lesson.name() + ".ipynb");
        if (Files.notExists(file)) write(file, notebook(lesson));
    }

    /// Gives a notebook another name.
    private static void keep(Path file) throws IOException {
        Path kept = file.resolveSibling(file.getFileName().toString()
                .replace(".ipynb", LocalDateTime.now().format(KEPT)));
        Files.move(file, kept);
        System.out.println("Your notebook is now " + Repo.shown(kept) + ".");
    }

    private static void say(Course.Lesson lesson, Path file) {
        System.out.println("The notebook is " + Repo.shown(file) + ". What you change"
                + " there stays there; the lesson's own file does not change.");
        if (!JsonMapper.shared().readTree(file.toFile()).at("/metadata/lesson")
                .asString("").equals(state(lesson))) {
            System.out.println("The lesson has changed since. To make the notebook anew"
                    + " and keep this one: ./jbang notebook " + lesson.number()
                    + " --new");
        }
    }

    /// Tells one text of a lesson from another.
    private static String state(Course.Lesson lesson) {
        return Integer.toHexString(Repo.read(lesson(lesson)).hashCode());
    }

    private static void write(Path file, Map<String, ?> content) throws IOException {
        Repo.replace(file, JsonMapper.shared().writerWithDefaultPrettyPrinter()
                .writeValueAsBytes(content));
    }

    private static Map<String, ?> kernel(Course.Lesson lesson) throws IOException {
        Script own = built(lesson(lesson));
        Path program = Repo.root().resolve("tests/notebook/Kernel.java");
        List<String> command = new ArrayList<>(List.of(jdk("java")));
        command.addAll(own.options());
        command.add(QUICK);
        command.addAll(List.of("-cp",
                built(program).joined() + File.pathSeparator + own.joined(), "Kernel",
                lesson(lesson).toString(), "{connection_file}"));
        return Map.of("argv", command, "display_name", title(lesson),
                "language", "java", "interrupt_mode", "message",
                "env", Map.of("RJK_TIMEOUT_MILLIS", "-1"));
    }

    private static String title(Course.Lesson lesson) {
        return "Java, lesson " + lesson.number();
    }

    /// The lesson's cells, and one that starts its server.
    private static Map<String, ?> notebook(Course.Lesson lesson) {
        List<Map<String, ?>> cells = new ArrayList<>();
        Stream.of(Repo.read(lesson(lesson)).split("(?m)^(?=// %%)")).skip(1)
                .map(Notebook::cell)
                .forEach(cells::add);
        cells.add(code(start(lesson)));
        return Map.of("nbformat", 4, "nbformat_minor", 4, "cells", cells,
                "metadata", Map.of("lesson", state(lesson),
                        "language_info", Map.of("name", "java"),
                        "kernelspec", Map.of("name", lesson.name(),
                                "display_name", title(lesson), "language", "java")));
    }

    private static Map<String, ?> cell(String text) {
        String content = text.substring(text.indexOf('\n') + 1).strip();
        if (!text.startsWith("// %% [markdown]")) return code(content);
        return Map.of("cell_type", "markdown", "metadata", Map.of(),
                "source", content.replaceAll("(?m)^// ?", ""));
    }

    static Map<String, ?> code(String source) {
        Map<String, Object> cell = new HashMap<>(Map.of("cell_type", "code",
                "metadata", Map.of(), "outputs", List.of(), "source", source));
        cell.put("execution_count", null);
        return cell;
    }

    private static Path lesson(Course.Lesson lesson) {
        return Repo.root().resolve("lessons/" + lesson.name() + ".java");
    }

    /// The line that the lesson's last cell tells to type.
    static String start(Course.Lesson lesson) {
        var lines = START.matcher(Repo.read(lesson(lesson))).results().toList();
        if (lines.isEmpty()) {
            throw new Trouble("lessons/" + lesson.name() + ".java has no line with"
                    + " `Serve.start(...)`.");
        }
        return lines.getLast().group(1);
    }

    private static int shell(Course.Lesson lesson)
            throws IOException, InterruptedException {
        Script own = built(lesson(lesson));
        List<String> command = new ArrayList<>(List.of(jdk("jshell")));
        own.options().forEach(each -> command.add("-R" + each));
        command.addAll(List.of("--class-path", own.joined(),
                lesson(lesson).toString()));
        System.out.println((jupyter() != null ? ""
                : "Jupyter is not on the PATH, so this is jshell."
                        + " (pip install jupyterlab)\n")
                + "The cells are loaded. Type\n\n    " + start(lesson)
                + "\n\nand open http://localhost:" + lesson.port()
                + "/. A cell that you"
                + " type again takes effect when you repeat that line.\n");
        return run(new ProcessBuilder(command));
    }

    private static Script built(Path script) throws IOException {
        jbang("build", script.toString());
        JsonNode said = JsonMapper.shared()
                .readTree(jbang("info", "tools", script.toString()));
        List<String> classPath =
                new ArrayList<>(List.of(said.get("applicationJar").asString()));
        said.get("resolvedDependencies")
                .forEach(each -> classPath.add(each.asString()));
        List<String> options = new ArrayList<>();
        said.path("runtimeOptions").forEach(each -> options.add(each.asString()));
        return new Script(classPath, options);
    }

    /// What JBang prints; its words about what it fetches and what fails go to the terminal.
    private static String jbang(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(Repo.root()
                .resolve(File.separatorChar == '\\' ? "jbang.cmd" : "jbang")
                .toString()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String said = new String(process.getInputStream().readAllBytes(),
                StandardCharsets.UTF_8);
        if (process.onExit().join().exitValue() == 0) return said;
        throw new Trouble("JBang could not build it; its own words are above.");
    }

    /// A program of the JDK that runs this, which is the one that JBang has chosen.
    private static String jdk(String program) {
        return Path.of(System.getProperty("java.home"), "bin", program).toString();
    }

    /// Runs a program that has the terminal. Ctrl+C is for it alone: we wait until it ends.
    private static int run(ProcessBuilder program)
            throws IOException, InterruptedException {
        Process process = program.inheritIO().start();
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> process.onExit().join()));
        return process.waitFor();
    }
}
