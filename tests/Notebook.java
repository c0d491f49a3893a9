///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Opens a lesson in Jupyter, or in jshell where Jupyter is not installed
//JAVA 25+
//MAIN Notebook
//SOURCES Grade.java

import grader.build.Archives;
import grader.build.ClassPath;
import grader.repo.Repo;
import grader.repo.Trouble;
import grader.report.Terminal;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import shared.course.Course;
import tools.jackson.databind.json.JsonMapper;

/// Makes a notebook of a lesson's cells, and a kernel that has the lesson's class path. Both lie in
/// `build/notebook`. The exit code is that of Jupyter or `jshell`, 2 where none could be started.
@Command(name = "./jbang notebook", sortOptions = false,
        description = "Opens a lesson in JupyterLab or the classic notebook, with a Java kernel"
                + " that knows it; where neither is installed, in jshell.",
        footer = {"", "Examples:",
            "  ./jbang notebook 02",
            "  ./jbang notebook 02 -- --no-browser     what follows -- is for Jupyter"})
class Notebook implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "LESSON",
            description = "Such as 02, 02_long_polling or long-polling.") String name;
    @Parameters(index = "1..*", arity = "0..*", paramLabel = "OPTION",
            description = "Handed to Jupyter.") List<String> more = List.of();
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
            Path jupyter = program("jupyter-lab", "jupyter-notebook");
            return jupyter == null || jshell ? shell(lesson, jupyter != null)
                    : open(lesson, jupyter);
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

    /// The first of these programs that is on the PATH, or null.
    static Path program(String... names) {
        return Stream.of(names).flatMap(
                name -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                        .flatMap(folder -> Stream.of(name, name + ".exe")
                                .map(file -> Path.of(folder, file))))
                .filter(Files::isExecutable).findFirst().orElse(null);
    }

    private int open(Course.Lesson lesson, Path jupyter) throws Exception {
        Path folder = Repo.root().resolve("build/notebook");
        Path file = lay(lesson, folder);
        System.out.println(Repo.shown(file) + ": what you change there stays there,"
                + " and the lesson is as it was. Delete it for a new one.");
        List<String> command = new ArrayList<>(
                List.of(jupyter.toString(), file.getFileName().toString()));
        command.addAll(more);
        var program = new ProcessBuilder(command).directory(folder.toFile());
        program.environment().put("JUPYTER_PATH", path(folder));
        return run(program);
    }

    /// Where Jupyter looks for kernels, ours first.
    static String path(Path folder) {
        String others = System.getenv("JUPYTER_PATH");
        return folder.resolve("jupyter")
                + (others == null ? "" : File.pathSeparator + others);
    }

    /// Writes a kernel for the lesson, and its notebook where there is none.
    ///
    /// @return the notebook
    static Path lay(Course.Lesson lesson, Path folder) throws IOException {
        write(folder.resolve("jupyter/kernels/" + lesson.name() + "/kernel.json"),
                kernel(lesson));
        Path file = folder.resolve(lesson.name() + ".ipynb");
        if (Files.notExists(file)) write(file, notebook(lesson));
        return file;
    }

    private static void write(Path file, Map<String, ?> content) throws IOException {
        Repo.replace(file, JsonMapper.shared().writerWithDefaultPrettyPrinter()
                .writeValueAsBytes(content));
    }

    private static Map<String, ?> kernel(Course.Lesson lesson) throws IOException {
        String own = built(lesson(lesson));
        String classPath = built(Repo.root().resolve("tests/notebook/Kernel.java"))
                + File.pathSeparator + own;
        List<String> command = new ArrayList<>(List.of(ClassPath.tool("java")));
        command.addAll(Archives.options(own));
        command.addAll(List.of("-cp", classPath, "Kernel",
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
                "metadata", Map.of("language_info", Map.of("name", "java"),
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

    /// The line that serves the page; the lesson's last cell names it.
    static String start(Course.Lesson lesson) {
        return "Serve.start(" + lesson.port() + ", " + lesson.type()
                + ".routes()).port";
    }

    private static int shell(Course.Lesson lesson, boolean isWanted) throws Exception {
        String classPath = built(lesson(lesson));
        List<String> command = new ArrayList<>(List.of(ClassPath.tool("jshell")));
        Archives.options(classPath).forEach(each -> command.add("-R" + each));
        command.addAll(List.of("--class-path", classPath, lesson(lesson).toString()));
        if (!isWanted) {
            System.out.println("Jupyter is not on the PATH, so this is jshell.");
        }
        System.out
                .println("When its prompt is there, the cells are loaded. Type\n\n    "
                        + start(lesson) + "\n\nand open http://localhost:"
                        + lesson.port()
                        + "/. A cell that you type again takes effect when you repeat that"
                        + " line.\n");
        return run(new ProcessBuilder(command));
    }

    private static String built(Path script) throws IOException {
        Terminal.line("building " + Repo.shown(script));
        String classPath = ClassPath.of(script);
        Terminal.line("");
        return classPath;
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
