import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import javax.xml.parsers.DocumentBuilderFactory;
import org.eclipse.jdt.core.compiler.batch.BatchCompiler;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Element;

/// No file of the course is red in an editor: VS Code's Java extension has Eclipse's compiler and
/// reads Eclipse's projects, IntelliJ has the JDK's compiler and reads its own modules. Both are
/// read here as the editors do it, and compiled by these compilers.
@DisplayName("In an editor")
@Timeout(300)
class EditorsTest {
    private static final Pattern PACKAGE = Pattern.compile("(?m)^package ([\\w.]+);");
    private static final String VARIABLE = "M2_REPO/";
    private static final String MACRO = "jar://$MAVEN_REPOSITORY$/";

    @TempDir Path temp;

    /// A folder in which packages begin, and what is not of it.
    private record Root(Path folder, String prefix, List<Path> without) {
        List<Path> files() throws IOException {
            try (Stream<Path> all = Files.walk(folder)) {
                return all.filter(each -> each.toString().endsWith(".java"))
                        .filter(each -> without.stream().noneMatch(each::startsWith))
                        .sorted().toList();
            }
        }

        /// A class lies where its package says.
        void expectPlaces() throws IOException {
            for (Path each : files()) {
                String at = folder.relativize(each.getParent()).toString()
                        .replace(File.separatorChar, '.');
                String expected = prefix + (prefix.isEmpty() || at.isEmpty() ? "" : ".")
                        + at;
                var told = PACKAGE.matcher(Files.readString(each));
                assertEquals(expected, told.find() ? told.group(1) : "",
                        () -> "the package of " + each);
            }
        }
    }

    private record Project(List<Root> roots, List<String> uses, List<Path> jars) {}

    private interface Compiler {
        String errors(List<String> arguments);
    }

    /// Reads the project of a folder.
    private interface Editor {
        Project project(String name) throws Exception;
    }

    private static Element read(String file) throws Exception {
        return DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(Repo.root().resolve(file).toFile()).getDocumentElement();
    }

    private static List<Element> all(Element in, String name) {
        List<Element> found = new ArrayList<>();
        var nodes = in.getElementsByTagName(name);
        for (int i = 0; i < nodes.getLength(); i++) found.add((Element) nodes.item(i));
        return found;
    }

    private static Path jar(String path) {
        return Stream
                .of(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(each -> each.replace(File.separatorChar, '/')
                        .endsWith("/" + path))
                .map(Path::of).findFirst().orElseThrow(() -> new AssertionError(
                        path + " is not a library of the course"));
    }

    /// As Eclipse reads it.
    private static Project eclipse(String name) throws Exception {
        String folder = ".editor/" + name;
        Element link = all(read(folder + "/.project"), "link").getFirst();
        String linked = link.getElementsByTagName("name").item(0).getTextContent();
        Path to = Repo.root().resolve(link.getElementsByTagName("locationURI").item(0)
                .getTextContent().replace("PARENT-2-PROJECT_LOC/", ""));
        List<Root> roots = new ArrayList<>();
        List<String> uses = new ArrayList<>();
        List<Path> jars = new ArrayList<>();
        for (Element each : all(read(folder + "/.classpath"), "classpathentry")) {
            String path = each.getAttribute("path");
            if (each.getAttribute("kind").equals("var")) {
                jars.add(jar(path.substring(VARIABLE.length())));
            } else if (path.startsWith("/")) {
                uses.add(path.substring(1));
            } else if (each.getAttribute("kind").equals("src")) {
                // A root above the link begins with the link's name as a package.
                Path root = path.isEmpty() ? to
                        : to.resolve(
                                path.substring(linked.length()).replaceFirst("^/", ""));
                roots.add(new Root(root, path.isEmpty() ? linked : "",
                        Stream.of(each.getAttribute("excluding").split("\\|"))
                                .filter(out -> !out.isEmpty())
                                .map(out -> path.isEmpty()
                                        ? out.substring(linked.length() + 1)
                                        : out)
                                .map(root::resolve).toList()));
            }
        }
        return new Project(roots, uses, jars);
    }

    /// As IntelliJ reads it.
    private static Project intellij(String name) throws Exception {
        Element module = read(".idea/modules/" + name + ".iml");
        List<Path> without = all(module, "excludeFolder").stream()
                .map(each -> folder(each)).toList();
        List<Element> sources = all(module, "sourceFolder");
        List<Root> roots = new ArrayList<>();
        for (Element each : sources) {
            Path root = folder(each);
            List<Path> out = new ArrayList<>(without);
            sources.stream().map(EditorsTest::folder)
                    .filter(other -> other.startsWith(root) && !other.equals(root))
                    .forEach(out::add);
            roots.add(new Root(root, each.getAttribute("packagePrefix"), out));
        }
        List<String> uses = new ArrayList<>();
        List<Path> jars = new ArrayList<>();
        for (Element each : all(module, "orderEntry")) {
            if (each.getAttribute("type").equals("module")) {
                uses.add(each.getAttribute("module-name"));
            }
            if (!each.getAttribute("type").equals("library")) continue;
            String library = ".idea/libraries/" + each.getAttribute("name") + ".xml";
            for (Element jar : all(read(library), "root")) {
                String url = jar.getAttribute("url");
                jars.add(jar(url.substring(MACRO.length(), url.indexOf("!/"))));
            }
        }
        return new Project(roots, uses, jars);
    }

    private static Path folder(Element element) {
        return Repo.root().resolve(element.getAttribute("url")
                .replace("file://$MODULE_DIR$/../../", "")).normalize();
    }

    private static String ecj(List<String> arguments) {
        var said = new StringWriter();
        boolean done = BatchCompiler.compile(arguments.toArray(String[]::new),
                new PrintWriter(said), new PrintWriter(said), null);
        return done ? "" : "" + said;
    }

    private static String javac(List<String> arguments) {
        var said = new ByteArrayOutputStream();
        int code = ToolProvider.getSystemJavaCompiler().run(null, said, said,
                arguments.toArray(String[]::new));
        return code == 0 ? "" : "" + said;
    }

    /// Where the classes of a project are, and of those that it uses.
    private String compiled(String name, Editor editor, Compiler compiler)
            throws Exception {
        Project project = editor.project(name);
        expectComplete(name, project);
        List<String> classPath = new ArrayList<>();
        for (String each : project.uses) {
            classPath.add(compiled(each, editor, compiler));
        }
        project.jars.forEach(each -> classPath.add("" + each));
        Path to = temp.resolve(name);
        List<String> arguments =
                new ArrayList<>(List.of("--release", "25", "-proc:none",
                        "-nowarn", "-d", "" + to, "-cp",
                        String.join(File.pathSeparator, classPath)));
        for (Root each : project.roots) {
            each.expectPlaces();
            each.files().forEach(file -> arguments.add("" + file));
        }
        assertEquals("", compiler.errors(arguments));
        return "" + to;
    }

    /// Each Java file of a folder, but for those that have a class path of their own.
    private static void expectComplete(String name, Project project)
            throws IOException {
        var found = new TreeSet<Path>();
        for (Root each : project.roots) {
            for (Path file : each.files()) assertTrue(found.add(file), file + " twice");
        }
        var all = new TreeSet<>(new Root(Repo.root().resolve(name), "", Stream
                .of("notebook", "template", "undertow")
                .map(Repo.root().resolve(name)::resolve).toList()).files());
        assertEquals(all, found);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"lessons", "exercises", "solutions", "tests"})
    @DisplayName("VS Code: Eclipse's compiler finds no error in a project of .editor")
    void vsCode(String name) throws Exception {
        compiled(name, EditorsTest::eclipse, EditorsTest::ecj);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"lessons", "exercises", "solutions", "tests"})
    @DisplayName("IntelliJ: javac finds no error in a module of .idea")
    void intelliJ(String name) throws Exception {
        compiled(name, EditorsTest::intellij, EditorsTest::javac);
    }
}
