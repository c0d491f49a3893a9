import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/// Every test runs a copy of `jbang` in a folder with a space and an accent in its name, in the
/// POSIX locale, with a home and a PATH of its own. Maven is a few lines of shell; what it
/// fetches is a stand-in for the CLI: it prints its first argument and exits with its second; of
/// a script of the course it prints $SAYS. No network.
@DisplayName("The jbang script")
@DisabledOnOs(OS.WINDOWS)
@Timeout(180)
class LauncherTest {
    private static final String CLI = """
            package dev.jbang;
            class Main {
                public static void main(String[] args) {
                    if (args[0].startsWith("-C")) { // a script of the course
                        System.out.println(System.getenv("SAYS"));
                        System.exit(255);
                    }
                    System.out.println(args[0]);
                    System.exit(Integer.parseInt(args[1]));
                }
            }
            """;
    private static final String OUTPUT = """
            for word; do case $word in -Dout*) out=${word#*=} ;; esac; done
            mkdir -p "$out"
            """;
    /// Of the CLI, as the script has it.
    private static final String VERSION = version();
    private static final String DELIVER =
            "cp '%s' \"$out/jbang-cli-" + VERSION + ".jar\"\n";
    private static final String SHOW = "for word; do printf '<%s>' \"$word\"; done\n";
    private static final List<String> TOOLS = List.of("cat", "cksum", "cp", "dirname",
            "find", "iconv", "locale", "mkdir", "mkfifo", "mv", "readlink", "rm", "sh",
            "sleep");

    @TempDir static Path shared;
    @TempDir Path temp;
    private Path repo;
    private Path home;
    private Path bin;

    record Result(int code, String out, String err) {}

    private static String version() {
        try {
            return Files.readString(root().resolve("jbang"))
                    .replaceFirst("(?s).*cli_version=(\\S+).*", "$1");
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @BeforeAll
    static void compileTheCli() throws IOException {
        Path source = Files.writeString(shared.resolve("Main.java"), CLI);
        assertEquals(0, ToolProvider.getSystemJavaCompiler()
                .run(null, null, null, "-d", shared.toString(), source.toString()));
        try (var jar = new JarOutputStream(Files.newOutputStream(cliJar()))) {
            jar.putNextEntry(new JarEntry("dev/jbang/Main.class"));
            Files.copy(shared.resolve("dev/jbang/Main.class"), jar);
        }
    }

    @BeforeEach
    void copyTheScript() throws IOException {
        repo = Files.createDirectories(temp.resolve("a r\u00e9po"));
        home = Files.createDirectories(temp.resolve("home"));
        bin = Files.createDirectories(temp.resolve("bin"));
        for (String name : List.of("jbang", "jbang-catalog.json")) {
            Files.copy(root().resolve(name), repo.resolve(name));
        }
        for (String tool : TOOLS) {
            String found = Files.exists(Path.of("/bin", tool)) ? "/bin/" : "/usr/bin/";
            program(tool, "exec " + found + tool + " \"$@\"");
        }
    }

    @Test
    @DisplayName("runs the jbang on the PATH, and never a copy of itself")
    void usesThePath() throws Exception {
        Path copies = Files.createDirectories(temp.resolve("copies"));
        Files.copy(repo.resolve("jbang"), copies.resolve("jbang"));
        program("jbang", SHOW + "exit 9");
        var result = run(repo, Map.of("PATH", copies + ":" + bin), "lesson.java", "x");
        assertEquals(new Result(9, "<lesson.java><x>", ""), result);
    }

    @Test
    @DisplayName("hands every argument over unharmed")
    void keepsArguments() throws Exception {
        program("jbang", SHOW);
        var result = run(repo, "a b", "", "it's", "\"", "$HOME", "*", "\\n", "\n");
        assertEquals("<a b><><it's><\"><$HOME><*><\\n><\n>", result.out);
    }

    @Test
    @DisplayName("knows the aliases of the course in any folder, through links too")
    void findsAliases() throws Exception {
        program("jbang", SHOW);
        Path link = temp.resolve("link");
        Path script = temp.resolve("link to a link");
        Files.createSymbolicLink(link, repo.resolve("jbang"));
        Files.createSymbolicLink(script, Path.of("link"));
        String file = repo.toRealPath() + "/jbang-catalog.json>";
        String catalog = "<--catalog=" + file;
        Path namesake = Files.createDirectories(repo.resolve("shared/websocket"));
        for (Path folder : List.of(repo, temp, namesake.getParent())) {
            assertEquals("<websocket@" + file + "<x>",
                    run(folder, "websocket", "x").out);
        }
        assertEquals(catalog + "<-R=-ea><webhook><x>",
                finish(start(script, temp, Map.of(), "-R=-ea", "webhook", "x")).out);
        assertEquals("<run>" + catalog + "<webhook>", run(temp, "run", "webhook").out);
        assertEquals("<other.java>", run(temp, "other.java").out);
    }

    @Test
    @DisplayName("finds an installed JDK that is new enough where JAVA_HOME is too old")
    void findsJdk() throws Exception {
        program("jbang", "printf %s \"$JAVA_HOME\"");
        Path old = jdk(temp.resolve("old"), "17.0.1");
        Path young = jdk(home.resolve(".jdks/young"), "25.0.1");
        assertEquals(young.toString(),
                run(repo, Map.of("JAVA_HOME", young + ""), "info").out);
        var tooOld = Map.of("JAVA_HOME", old + "", "PATH", old + "/bin:" + bin);
        String found = run(repo, tooOld, "info").out;
        assertNotEquals(old.toString(), found);
        String release = Files.readString(Path.of(found, "release"));
        String version = release.replaceAll("(?s).*JAVA_VERSION=\"(\\d+).*", "$1");
        assertTrue(Integer.parseInt(version) >= 25, version);
    }

    @Test
    @DisplayName("says what to do where there is no new JDK, and JBang cannot fetch one")
    void noJdk() throws Exception {
        Path script = repo.resolve("jbang");
        Files.writeString(script, Files.readString(script)
                .replace("java_needed=25", "java_needed=99"));
        String sentence = "There is no JDK 99 here: .*\nJBang could not fetch it."
                + " Install JDK 99 .*\n";
        program("jbang", "echo 'words of JBang' >&2; exit 4");
        fetched();
        for (int time = 0; time < 2; time++) { // with JBang on the PATH, and without
            var result = run(repo, "websocket");
            assertEquals(2, result.code);
            assertTrue(result.err.matches(sentence), result.err);
            Files.deleteIfExists(bin.resolve("jbang"));
        }
    }

    @Test
    @DisplayName("lists the course where nothing is named, and knows which command was meant")
    void help() throws Exception {
        program("jbang", SHOW);
        for (String[] words : new String[][] {{}, {"help"}, {"list"}, {"--help"}}) {
            var result = run(temp, words);
            assertEquals(0, result.code);
            assertTrue(
                    result.out.matches("(?s)On the Wire.* \\./jbang websocket +Lesson"
                            + " 03, .* \\./jbang watch +Grades .*"),
                    result.out);
            assertFalse(result.out.contains("\""), result.out);
        }
        for (var typed : Map.of("wacth", "watch", "gradee", "grade", "websockt",
                "websocket", "long_polling", "long-polling").entrySet()) {
            var result = run(temp, typed.getKey(), "01");
            assertEquals(new Result(2, "", "There is no command '" + typed.getKey()
                    + "'. Did you mean ./jbang " + typed.getValue()
                    + "? ./jbang help lists them all.\n"), result);
        }
        assertEquals(new Result(2, "", "There is no command 'xyzzy'."
                + " ./jbang help lists them all.\n"), run(temp, "xyzzy"));
        Files.createDirectories(repo.resolve("lessons"));
        Files.writeString(repo.resolve("lessons/04_sent.java"), "");
        for (String typed : List.of("4", "04", "lessons/04", "lessons/04_snet.java")) {
            String near = typed.contains("snet") ? "./jbang help lists them all."
                    : "Did you mean ./jbang lessons/04_sent.java?";
            assertEquals(new Result(2, "", "There is no such file or command. " + near
                    + "\n"), run(temp, typed));
        }
        Files.writeString(repo.resolve("wacth"), "a file");
        for (String other : List.of("info", "wacth", "-x")) {
            assertEquals("<" + other + ">", run(repo, other).out);
        }
    }

    @Test
    @DisplayName("says how to get JBang where there is neither JBang nor Maven")
    void saysHowToGetIt() throws Exception {
        var result = run(repo, "websocket");
        assertEquals(2, result.code);
        assertEquals("", result.out);
        String sentence = ".* https://www.jbang.dev/download\n";
        assertTrue(result.err.matches(sentence), result.err);
        assertFalse(Files.exists(repo.resolve(".jbang")));
    }

    @Test
    @DisplayName("fetches the CLI once, and says so once")
    void fetchesOnce() throws Exception {
        program("mvn", OUTPUT + DELIVER.formatted(cliJar()));
        var first = run(repo, "version", "0");
        assertEquals("version\n", first.out);
        assertTrue(first.err.matches("Fetching JBang .*\n"), first.err);
        program("mvn", "exit 1");
        assertEquals(new Result(0, "version\n", ""), run(repo, "version", "0"));
        assertEquals(List.of("cli-" + VERSION), store());
    }

    @Test
    @DisplayName("shows on a terminal how far the fetch is")
    @EnabledOnOs(OS.LINUX)
    void showsProgress() throws Exception {
        try (var go = pipe("go")) {
            program("mvn", OUTPUT + DELIVER.formatted(cliJar()) + """
                    echo '[INFO] Downloaded from central: it'
                    read -r line <'%s/go'
                    """.formatted(temp));
            Process typed = start(Path.of("/usr/bin/script"), repo, Map.of(), "-qec",
                    "./jbang version 0", "/dev/null");
            StringBuilder said = new StringBuilder();
            while (!said.toString().matches("(?s)Fetching .*\\d s, 1 files .*")) {
                int next = typed.getInputStream().read();
                assertTrue(next >= 0, said::toString);
                said.append((char) next);
            }
            go.writeBytes("\n");
            assertTrue(finish(typed).out.endsWith("version\r\n"));
        }
    }

    @Test
    @DisplayName("shows what Maven says when it fails, and tries again the next time")
    void reportsFailure() throws Exception {
        program("mvn",
                OUTPUT + "echo '[INFO] Scanning'; echo '[ERROR] no network'; exit 1");
        var result = run(repo, "version", "0");
        assertEquals(2, result.code);
        assertEquals("", result.out);
        String words = "[ERROR] no network\nMaven could not";
        assertTrue(result.err.contains(words), result.err);
        assertEquals(List.of(), store());
        program("mvn", OUTPUT + DELIVER.formatted(cliJar()));
        assertEquals("version\n", run(repo, "version", "0").out);
    }

    @Test
    @DisplayName("never takes a fetch that was killed for a finished one")
    void survivesKill() throws Exception {
        try (var started = pipe("started")) {
            hangingMaven();
            Process jbang =
                    start(repo.resolve("jbang"), repo, Map.of(), "version", "0");
            long maven = Long.parseLong(started.readLine());
            jbang.destroyForcibly().waitFor();
            ProcessHandle.of(maven).ifPresent(ProcessHandle::destroyForcibly);
        }
        assertFalse(Files.exists(repo.resolve(".jbang/cli-" + VERSION)));
        program("mvn", OUTPUT + DELIVER.formatted(cliJar()));
        assertEquals("version\n", run(repo, "version", "0").out);
        assertEquals(List.of("cli-" + VERSION), store(), "no leftovers");
    }

    @Test
    @DisplayName("ends Maven, and leaves nothing, when it is stopped during a fetch")
    void cleansUp() throws Exception {
        try (var started = pipe("started")) {
            hangingMaven();
            Process jbang =
                    start(repo.resolve("jbang"), repo, Map.of(), "version", "0");
            long maven = Long.parseLong(started.readLine());
            jbang.destroy();
            assertEquals(143, jbang.waitFor());
            assertTrue(ProcessHandle.of(maven).isEmpty(), "Maven has ended");
        }
        assertEquals(List.of(), store());
    }

    @Test
    @DisplayName("may fetch twice at the same time")
    void fetchesTwice() throws Exception {
        try (var started = pipe("started"); var go = pipe("go")) {
            program("mvn", OUTPUT + DELIVER.formatted(cliJar()) + """
                    echo $$ >'%1$s/started'
                    read -r line <'%1$s/go'
                    """.formatted(temp));
            Process one = start(repo.resolve("jbang"), repo, Map.of(), "cache", "0");
            Process two = start(repo.resolve("jbang"), repo, Map.of(), "info", "0");
            started.readLine();
            started.readLine();
            go.writeBytes("\n");
            CompletableFuture.anyOf(one.onExit(), two.onExit()).get();
            go.writeBytes("\n");
            assertEquals("cache\n", finish(one).out);
            assertEquals("info\n", finish(two).out);
        }
        assertEquals(List.of("cli-" + VERSION), store());
    }

    @Test
    @DisplayName("runs the command line that the CLI prints with exit code 255")
    void runsCommandLine() throws Exception {
        fetched();
        var result = run(repo, "sh -c 'echo \"a  b$\"; exit 7'", "255");
        assertEquals(new Result(7, "a  b$\n", ""), result);
        assertEquals(new Result(3, "exit 9\n", ""), run(repo, "exit 9", "3"));
        assertEquals(new Result(0, "", ""), run(repo, "", "0"));
    }

    @Test
    @DisplayName("keeps what JBang says of a script, for as long as nothing has changed")
    void keepsWhatJBangSays() throws Exception {
        fetched();
        for (String name : List.of("lessons/a.java", "shared/b.java", "tests/c.java",
                "solutions/a.java", "exercises/a.java")) {
            Files.createDirectories(repo.resolve(name).getParent());
            Files.writeString(repo.resolve(name), name);
        }
        Path jar = Files.writeString(temp.resolve("a jar"), "");
        program("show", SHOW);
        List<String> kept = List.of("lessons/a.java", "exercises/a.java", "webhook");
        for (String script : kept) says("1", script, jar);
        for (String script : kept) assertSays("1", script, "2", jar);
        Files.writeString(repo.resolve("exercises/a.java"), "edited");
        assertSays("1", "lessons/a.java", "3", jar);
        assertSays("1", "webhook", "3", jar);
        assertSays("3", "exercises/a.java", "3", jar);
        for (String each : store()) { // as if the clock had stepped back since
            Files.setLastModifiedTime(repo.resolve(".jbang").resolve(each),
                    FileTime.fromMillis(Long.MAX_VALUE / 1_000_000));
        }
        Files.writeString(repo.resolve("shared/b.java"), "edit");
        for (String script : kept) assertSays("4", script, "4", jar);
        Files.delete(repo.resolve("tests/c.java"));
        for (String script : kept) assertSays("5", script, "5", jar);
        RepoCopy.delete(repo.resolve("solutions"));
        says("5", "webhook", jar);
        assertSays("5", "webhook", "6", jar);
        Path moved = Files.move(jar, temp.resolve("moved jar"));
        for (String script : kept) assertSays("6", script, "6", moved);
        Path jdk = jdk(temp.resolve("jdk"), "25.0.9");
        Path real = Path.of(System.getProperty("java.home"), "bin/java");
        executable(jdk.resolve("bin/java"), "exec '" + real + "' \"$@\"");
        assertEquals("7", says("7", Map.of("JAVA_HOME", jdk + ""), "webhook", moved));
        repo.resolve(".jbang").toFile().setWritable(false);
        assertEquals("7", says("8", Map.of("JAVA_HOME", jdk + ""), "webhook", moved));
        Files.writeString(repo.resolve("shared/b.java"), "edited");
        assertSays("8", "lessons/a.java", "8", moved);
        repo.resolve(".jbang").toFile().setWritable(true);
    }

    @Test
    @DisplayName("has a UTF-8 locale where there is none; a folder that no JVM can load from is told")
    void tellsFolder() throws Exception {
        program("jbang", "printf %s \"$LC_ALL\"");
        assertEquals("C.UTF-8", run(repo, Map.of("LC_ALL", "C"), "info").out);
        Files.delete(bin.resolve("locale"));
        program("locale", "echo ANSI_X3.4-1968");
        assertStops("set LC_ALL to one with UTF-8, or rename the folder.");
        program("locale", "echo ISO-8859-1");
        assertEquals("", run(repo, "websocket").out);
        repo = Files.move(repo, temp.resolve("a:repo"));
        assertStops("rename the folder.");
    }

    private void assertStops(String remedy) throws Exception {
        var result = run(repo, "websocket");
        assertEquals(2, result.code);
        assertEquals("", result.out);
        assertTrue(result.err.matches(".*" + remedy + "\n"), result.err);
    }

    private void assertSays(String expected, String script, String says, Path jar)
            throws Exception {
        assertEquals(expected, says(says, script, jar), script);
    }

    private String says(String says, String script, Path jar) throws Exception {
        return says(says, Map.of(), script, jar);
    }

    /// Runs a script; JBang would say a command line with `says` in it.
    ///
    /// @return which one has been run
    private String says(String says, Map<String, String> variables, String script,
            Path jar)
            throws Exception {
        Map<String, String> all = new HashMap<>(variables);
        all.put("SAYS", "show -classpath '" + jar + ":" + jar + "' Main " + says);
        var result = run(repo, all, script, "a b", "", "$HOME");
        assertEquals("", result.err);
        assertTrue(result.out.endsWith("><a b><><$HOME>"), result.out);
        return result.out.replaceFirst(".*<Main><(\\d)>.*", "$1");
    }

    @Test
    @DisplayName("becomes that command, so that signals reach it")
    void passesSignals() throws Exception {
        fetched();
        Process jbang = start(repo.resolve("jbang"), repo, Map.of(),
                "sh -c 'echo $$; exec sleep 1000'", "255");
        assertEquals("" + jbang.pid(), jbang.inputReader().readLine());
        jbang.destroy();
        assertEquals(143, jbang.waitFor());
    }

    @Test
    @DisplayName("stays silent where its class archive is broken or cannot be written")
    void toleratesArchive() throws Exception {
        fetched();
        run(repo, "sh -c :", "255");
        Path archive = repo.resolve(".jbang/" + store().getFirst());
        assertTrue(archive.toString().endsWith(".jsa"), "an archive in " + store());
        for (String content : List.of("", "rubbish", "rubbish".repeat(100_000))) {
            Files.writeString(archive, content);
            assertEquals(new Result(0, "x\n", ""), run(repo, "sh -c 'echo x'", "255"));
        }
        Files.delete(archive);
        repo.resolve(".jbang").toFile().setWritable(false);
        assertEquals(new Result(0, "x\n", ""), run(repo, "sh -c 'echo x'", "255"));
        repo.resolve(".jbang").toFile().setWritable(true);
    }

    @Test
    @DisplayName("runs a script by its alias from another folder with the real JBang")
    void runsForReal() throws Exception {
        Files.createDirectories(repo.resolve("lessons"));
        Files.writeString(repo.resolve("lessons/03_websocket.java"), """
                //JAVA 25+
                class Websocket {
                    void main(String[] args) {
                        System.out.println(java.util.Arrays.asList(args));
                        System.exit(args.length);
                    }
                }
                """);
        Map<String, String> path = Map.of("PATH", System.getenv("PATH"));
        Path real = root().resolve(".jbang/cli-" + VERSION);
        if (Files.exists(real)) {
            Path cli = Files.createDirectories(repo.resolve(".jbang/cli-" + VERSION));
            try (var jars = Files.newDirectoryStream(real)) {
                for (Path jar : jars) Files.copy(jar, cli.resolve(jar.getFileName()));
            }
            path = Map.of();
        }
        var first = run(temp, path, "websocket", "a b", "$HOME", "it's \"x\"");
        assertEquals("[a b, $HOME, it's \"x\"]\n", first.out, first.err);
        assertEquals(3, first.code);
        var second = run(temp, path, "-Dx=y", "websocket", "*");
        assertEquals(new Result(1, "[*]\n", ""), second);
    }

    /// The repo that is tested.
    private static Path root() {
        return Repo.root();
    }

    private static Path cliJar() {
        return shared.resolve("cli.jar");
    }

    /// As if Maven had been here.
    private void fetched() throws IOException {
        Path cli = Files.createDirectories(repo.resolve(".jbang/cli-" + VERSION));
        Files.copy(cliJar(), cli.resolve("jbang-cli-" + VERSION + ".jar"));
    }

    /// Delivers, and then hangs before it is done.
    private void hangingMaven() throws IOException {
        program("mvn", OUTPUT + DELIVER.formatted(cliJar())
                + "echo $$ >'%s/started'\nexec sleep 1000\n".formatted(temp));
    }

    private List<String> store() throws IOException {
        try (var files = Files.list(repo.resolve(".jbang"))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    /// A program on the PATH of the test.
    private void program(String name, String shell) throws IOException {
        executable(bin.resolve(name), shell);
    }

    private static void executable(Path file, String shell) throws IOException {
        Files.writeString(file, "#!/bin/sh\n" + shell);
        assertTrue(file.toFile().setExecutable(true));
    }

    private static Path jdk(Path folder, String version) throws IOException {
        Files.createDirectories(folder.resolve("bin"));
        executable(folder.resolve("bin/java"), "exit 1");
        executable(folder.resolve("bin/javac"), "exit 1");
        String release = "JAVA_VERSION=\"%s\"\n".formatted(version);
        Files.writeString(folder.resolve("release"), release);
        return folder;
    }

    /// A named pipe, open for both directions so that no end ever waits for the other.
    private RandomAccessFile pipe(String name) throws Exception {
        Path pipe = temp.resolve(name);
        new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor();
        return new RandomAccessFile(pipe.toFile(), "rw");
    }

    private Result run(Path folder, String... arguments) throws Exception {
        return run(folder, Map.of(), arguments);
    }

    private Result run(Path folder, Map<String, String> variables, String... arguments)
            throws Exception {
        return finish(start(repo.resolve("jbang"), folder, variables, arguments));
    }

    private Process start(Path script, Path folder, Map<String, String> variables,
            String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(script.toString()));
        command.addAll(List.of(arguments));
        var builder = new ProcessBuilder(command).directory(folder.toFile());
        Map<String, String> all = builder.environment();
        all.clear();
        all.put("HOME", home.toString());
        all.put("JBANG_DIR", home + "/.jbang");
        all.put("JBANG_NO_VERSION_CHECK", "true");
        all.put("JAVA_HOME", System.getProperty("java.home"));
        all.put("PATH", bin.toString());
        all.putAll(variables);
        return builder.start();
    }

    /// What the process has printed when it ends. Its output fits into a pipe's buffer.
    private static Result finish(Process process) throws Exception {
        assertTrue(process.waitFor(50, TimeUnit.SECONDS), "it ends");
        return new Result(process.exitValue(),
                new String(process.getInputStream().readAllBytes()),
                new String(process.getErrorStream().readAllBytes()));
    }
}
