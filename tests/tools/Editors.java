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
    private static final String COURSE = "course";
    /// They have class paths of their own, or replace a class of a library.
    private static final Map<String, List<String>> LEFT_OUT = Map.of(
            SHARED, List.of("undertow"), TESTS, List.of("notebook", "template"));
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
            boolean isTests = name.equals(TESTS);
            List<String> inner = isTests ? innerRoots() : List.of();
            files.put(".editor/" + name + "/.project", project(name));
            files.put(".editor/" + name + "/.classpath",
                    classPath(name, inner, lines(isTests ? OPTIONAL : VARIABLE,
                            (isTests ? all : jars).stream())));
            files.put(".editor/" + name + "/.settings/org.eclipse.jdt.core.prefs",
                    SETTINGS);
            files.put(".idea/modules/" + name + ".iml",
                    module(name, inner, isTests ? TESTS : COURSE));
        }
        files.put(".idea/modules.xml", modules(names));
        files.put(".idea/libraries/" + COURSE + ".xml", library(COURSE, jars));
        files.put(".idea/libraries/" + TESTS + ".xml", library(TESTS, all));
        return files;
    }

    /// Folders of tests/ in which packages begin, too: their classes are in the unnamed one.
    private static List<String> innerRoots() {
        return Stream.concat(Stream.of("bench", "course", "tools"),
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

    /// @param jars their entries
    private static String classPath(String name, List<String> inner, String jars) {
        boolean isShared = name.equals(SHARED);
        String excluding = Stream.concat(inner.stream(), leftOut(name))
                .map(each -> (isShared ? "shared/" : "") + each + "/")
                .collect(Collectors.joining("|"));
        return XML + "<classpath>\n"
                + "  <classpathentry kind=\"src\" path=\"" + (isShared ? "" : "src")
                + "\""
                + (isShared ? " including=\"shared/**\"" : "")
                + (excluding.isEmpty() ? "" : " excluding=\"" + excluding + "\"")
                + "/>\n"
                + lines("  <classpathentry kind=\"src\" path=\"src/%s\"/>\n",
                        inner.stream())
                + (isShared ? ""
                        : "  <classpathentry kind=\"src\" path=\"/shared\""
                                + " combineaccessrules=\"false\"/>\n")
                + """
                  <classpathentry kind="con" path="org.eclipse.jdt.launching.JRE_CONTAINER\
                /org.eclipse.jdt.internal.debug.ui.launcher.StandardVMType/JavaSE-25"/>
                """ + jars + """
                  <classpathentry kind="output" path="bin"/>
                </classpath>
                """;
    }

    private static Stream<String> leftOut(String name) {
        return LEFT_OUT.getOrDefault(name, List.of()).stream();
    }

    private static final String SETTINGS = """
            eclipse.preferences.version=1
            org.eclipse.jdt.core.compiler.codegen.targetPlatform=25
            org.eclipse.jdt.core.compiler.compliance=25
            org.eclipse.jdt.core.compiler.release=enabled
            org.eclipse.jdt.core.compiler.source=25
            """;

    private static String modules(List<String> names) {
        return XML + """
                <project version="4">
                  <component name="ProjectModuleManager">
                    <modules>
                """ + lines("""
                      <module fileurl="file://$PROJECT_DIR$/.idea/modules/%1$s.iml" \
                filepath="$PROJECT_DIR$/.idea/modules/%1$s.iml" />
                """, names.stream()) + """
                    </modules>
                  </component>
                </project>
                """;
    }

    private static String module(String name, List<String> inner, String library) {
        boolean isShared = name.equals(SHARED);
        String folder = "file://$MODULE_DIR$/../../" + name;
        return XML + """
                <module type="JAVA_MODULE" version="4">
                  <component name="NewModuleRootManager" inherit-compiler-output="true">
                    <exclude-output />
                    <content url="%s">
                """.formatted(folder)
                + lines("      <sourceFolder url=\"%s\" isTestSource=\"false\""
                        + (isShared ? " packagePrefix=\"shared\"" : "") + " />\n",
                        Stream.concat(Stream.of(folder),
                                inner.stream().map(each -> folder + "/" + each)))
                + lines("      <excludeFolder url=\"" + folder + "/%s\" />\n",
                        leftOut(name))
                + """
                    </content>
                    <orderEntry type="inheritedJdk" />
                    <orderEntry type="sourceFolder" forTests="false" />
                """
                + (isShared ? ""
                        : "    <orderEntry type=\"module\" module-name=\"shared\" />\n")
                + """
                    <orderEntry type="library" name="%s" level="project" />
                  </component>
                </module>
                """.formatted(library);
    }

    private static String library(String name, List<String> jars) {
        return XML + """
                <component name="libraryTable">
                  <library name="%s">
                    <CLASSES>
                """.formatted(name) + lines("""
                      <root url="jar://$MAVEN_REPOSITORY$/%s!/" />
                """, jars.stream()) + """
                    </CLASSES>
                    <JAVADOC />
                    <SOURCES />
                  </library>
                </component>
                """;
    }

    /// The lines once for each, which stands for their `%s`.
    private static String lines(String lines, Stream<String> each) {
        return each.map(lines::formatted).collect(Collectors.joining());
    }
}
