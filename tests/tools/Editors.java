import grader.build.ClassPath;
import grader.repo.Repo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import shared.course.Course;

/// What VS Code and IntelliJ need to see the repo as they would any Java project: one project for
/// each folder of scripts, since a lesson, its exercise and its solution have classes of the same
/// names. `.editor` holds Eclipse's projects, which the Java extension of VS Code imports; their
/// folder `src` is a link to the real one, so that no editor writes beside the course's files.
/// `.idea` holds the modules of IntelliJ. Both find the libraries in Maven's local repository,
/// where JBang has put them.
final class Editors {
    private static final String SHARED = "shared";
    private static final String TESTS = "tests";
    /// They have class paths of their own, or replace a class of a library.
    private static final List<String> LEFT_OUT =
            List.of("notebook", "template", "undertow");
    private static final String XML = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

    /// Its libraries are fetched by the command that needs them, and may not be there yet.
    private static final String OPTIONAL = """
              <classpathentry kind="var" path="M2_REPO/%s">
                <attributes>
                  <attribute name="optional" value="true"/>
                </attributes>
              </classpathentry>
            """;
    private static final String VARIABLE =
            "  <classpathentry kind=\"var\" path=\"M2_REPO/%s\"/>\n";

    private Editors() {}

    /// The files, by their path in the repo.
    ///
    /// @param scripts the folders of scripts
    /// @param heads what scripts and shared/ ask for: lines `//DEPS group:artifact:version`
    static Map<String, String> files(List<String> scripts, String heads)
            throws IOException {
        Map<String, String> files = new TreeMap<>();
        List<String> jars = below(ClassPath.libraries(heads));
        List<String> all =
                below(ClassPath.libraries(Repo.root().resolve("tests/Verify.java")));
        List<String> names = new ArrayList<>(scripts);
        names.addAll(List.of(SHARED, TESTS));
        for (String name : names) {
            List<String> roots = name.equals(TESTS) ? testRoots() : List.of("");
            files.put(".editor/" + name + "/.project", project(name));
            files.put(".editor/" + name + "/.classpath",
                    classPath(name, roots, name.equals(TESTS) ? all : jars));
            files.put(".editor/" + name + "/.settings/org.eclipse.jdt.core.prefs",
                    SETTINGS);
            files.put(".idea/modules/" + name + ".iml", module(name, roots));
        }
        files.put(".idea/modules.xml", modules(names));
        files.put(".idea/libraries/course.xml", library("course", jars));
        files.put(".idea/libraries/tests.xml", library(TESTS, all));
        return files;
    }

    /// Folders whose classes are in the unnamed package, and the one in which packages begin.
    private static List<String> testRoots() {
        return Stream.concat(Stream.of("", "bench", "course", "tools"),
                Course.LESSONS.stream().map(Course.Lesson::name)).toList();
    }

    /// Their paths below Maven's local repository, which is the one folder that they share.
    private static List<String> below(List<Path> jars) {
        Path repository = jars.getFirst();
        for (Path each : jars) {
            while (!each.startsWith(repository)) repository = repository.getParent();
        }
        Path root = repository;
        return jars.stream()
                .map(each -> root.relativize(each).toString().replace('\\', '/'))
                .sorted().toList();
    }

    private static String project(String name) {
        return XML + """
                <projectDescription>
                  <name>%s</name>
                  <buildSpec>
                    <buildCommand>
                      <name>org.eclipse.jdt.core.javabuilder</name>
                    </buildCommand>
                  </buildSpec>
                  <natures>
                    <nature>org.eclipse.jdt.core.javanature</nature>
                  </natures>
                  <linkedResources>
                    <link>
                      <name>%s</name>
                      <type>2</type>
                      <locationURI>PARENT-2-PROJECT_LOC/%s</locationURI>
                    </link>
                  </linkedResources>
                </projectDescription>
                """.formatted(name, link(name), name);
    }

    /// The package `shared` begins above the folder of this name, so that is no root itself.
    private static String link(String name) {
        return name.equals(SHARED) ? name : "src";
    }

    private static String classPath(String name, List<String> roots,
            List<String> jars) {
        String entries = name.equals(SHARED)
                ? source("", "including=\"shared/**\" excluding=\"shared/undertow/\" ")
                : roots.stream().map(root -> source(
                        "src" + (root.isEmpty() ? "" : "/" + root),
                        excluding(root, roots))).collect(Collectors.joining());
        if (!name.equals(SHARED)) {
            entries += "  <classpathentry combineaccessrules=\"false\" kind=\"src\""
                    + " path=\"/shared\"/>\n";
        }
        return XML + "<classpath>\n" + entries + """
                  <classpathentry kind="con" path="org.eclipse.jdt.launching.JRE_CONTAINER\
                /org.eclipse.jdt.internal.debug.ui.launcher.StandardVMType/JavaSE-25"/>
                """ + jars.stream()
                .map((name.equals(TESTS) ? OPTIONAL : VARIABLE)::formatted)
                .collect(Collectors.joining()) + """
                  <classpathentry kind="output" path="bin"/>
                </classpath>
                """;
    }

    private static String source(String path, String filter) {
        return "  <classpathentry %skind=\"src\" path=\"%s\"/>\n".formatted(filter,
                path);
    }

    /// A root within another one is not part of that.
    private static String excluding(String root, List<String> roots) {
        if (!root.isEmpty() || roots.size() == 1) return "";
        return "excluding=\"" + Stream.concat(roots.stream().skip(1), LEFT_OUT.stream())
                .map(each -> each + "/").collect(Collectors.joining("|")) + "\" ";
    }

    private static final String SETTINGS = """
            eclipse.preferences.version=1
            org.eclipse.jdt.core.compiler.codegen.targetPlatform=25
            org.eclipse.jdt.core.compiler.compliance=25
            org.eclipse.jdt.core.compiler.release=enabled
            org.eclipse.jdt.core.compiler.source=25
            """;

    private static String modules(List<String> names) {
        String module = """
                      <module fileurl="file://$PROJECT_DIR$/.idea/modules/%s.iml" \
                filepath="$PROJECT_DIR$/.idea/modules/%s.iml" />
                """;
        return XML + """
                <project version="4">
                  <component name="ProjectModuleManager">
                    <modules>
                """ + names.stream().map(each -> module.formatted(each, each))
                .collect(Collectors.joining()) + """
                    </modules>
                  </component>
                </project>
                """;
    }

    private static String module(String name, List<String> roots) {
        String folder = "file://$MODULE_DIR$/../../" + name;
        String prefix = name.equals(SHARED) ? " packagePrefix=\"shared\"" : "";
        return XML + """
                <module type="JAVA_MODULE" version="4">
                  <component name="NewModuleRootManager" inherit-compiler-output="true">
                    <exclude-output />
                    <content url="%s">
                """.formatted(folder)
                + lines("      <sourceFolder url=\"" + folder
                        + "%s\" isTestSource=\"false\"" + prefix + " />",
                        roots.stream()
                                .map(each -> each.isEmpty() ? "" : "/" + each))
                + lines("      <excludeFolder url=\"" + folder + "/%s\" />",
                        LEFT_OUT.stream().filter(each -> name
                                .equals(each.equals("undertow") ? SHARED : TESTS)))
                + """
                    </content>
                    <orderEntry type="inheritedJdk" />
                    <orderEntry type="sourceFolder" forTests="false" />
                """
                + lines("    <orderEntry type=\"module\" module-name=\"%s\" />",
                        Stream.of(SHARED).filter(each -> !name.equals(SHARED)))
                + lines("    <orderEntry type=\"library\" name=\"%s\""
                        + " level=\"project\" />",
                        Stream.of(name.equals(TESTS) ? TESTS : "course"))
                + """
                  </component>
                </module>
                """;
    }

    private static String lines(String line, Stream<String> each) {
        return each.map((line + "\n")::formatted).collect(Collectors.joining());
    }

    private static String library(String name, List<String> jars) {
        return XML + """
                <component name="libraryTable">
                  <library name="%s">
                    <CLASSES>
                """.formatted(name) + jars.stream().map("""
                      <root url="jar://$MAVEN_REPOSITORY$/%s!/" />
                """::formatted).collect(Collectors.joining()) + """
                    </CLASSES>
                    <JAVADOC />
                    <SOURCES />
                  </library>
                </component>
                """;
    }
}
