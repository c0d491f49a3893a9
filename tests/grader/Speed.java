package grader;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

/// What makes a verdict come sooner. Nothing depends on it.
public final class Speed {
    static final String PREPARING = "ON_THE_WIRE_PREPARING";
    private static final int PREPARE_SECONDS = 60;

    private Speed() {}

    /// Loads REST Assured and JUnit in the background, while the submission is compiled.
    public static void warm() {
        Thread.ofPlatform().daemon().start(() -> {
            try (ServerSocket server =
                    new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                Thread.ofPlatform().daemon().start(() -> answer(server));
                Grading.launcher();
                Requirements.warm("http://localhost:" + server.getLocalPort() + "/");
            } catch (Exception e) {
                // Then the first requirement is slower.
            }
        });
    }

    private static void answer(ServerSocket server) {
        try (Socket socket = server.accept()) {
            socket.getInputStream().read(new byte[4096]);
            socket.getOutputStream()
                    .write(("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            + "Content-Length: 2\r\n\r\n{}").getBytes());
        } catch (IOException e) {
            // As above.
        }
    }

    /// Archives the loaded classes of submissions and of the grader itself, where that is not
    /// done: once after each change of the course or the JDK, about 5 s.
    public static void prepare(Consumer<String> progress) {
        if (System.getenv(PREPARING) != null) return;
        Path archive = Exercise.root().resolve("build/grader/grade.jsa");
        Path of = archive.resolveSibling("grade.jsa.of");
        try {
            Path jar = Path.of(
                    System.getProperty("java.class.path").split(File.pathSeparator)[0]);
            String state = jar + " " + Files.getLastModifiedTime(jar) + " "
                    + Runtime.version();
            boolean made = Files.exists(archive) && Files.exists(of)
                    && Files.readString(of).equals(state);
            if (made && ClassPath.isPrepared()) return;
            progress.accept("preparing faster starts, this once");
            ClassPath.prepare();
            if (made) return;
            Path part = archive
                    .resolveSibling("grade.jsa." + ProcessHandle.current().pid());
            ClassPath.archive(part, PREPARE_SECONDS,
                    System.getProperty("java.class.path"),
                    "Grade", "grade", "--solution", Exercise.all().getFirst().number());
            if (!Files.exists(part)) return;
            Progress.replace(of, state.getBytes());
            Progress.move(part, archive);
        } catch (IOException e) {
            // Then it is slower.
        }
    }
}
