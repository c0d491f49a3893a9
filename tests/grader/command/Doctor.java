package grader.command;

import grader.repo.Repo;
import grader.build.ClassPath;
import grader.repo.Exercise;
import grader.report.Report;
import grader.repo.Snapshots;
import grader.repo.Trouble;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import shared.course.Course;
import shared.course.Course.Need;

/// Looks at what lessons and exercises need, and says how to mend what is missing.
public final class Doctor {
    private record Finding(boolean well, String what, String remedy) {}

    private final Report report;

    public Doctor(Report report) {
        this.report = report;
    }

    /// Prints what it finds.
    ///
    /// @return 0 where all is well, else 1
    public int run() {
        List<Finding> findings =
                new ArrayList<>(List.of(jdk(), jbang(), libraries(), folder()));
        findings.addAll(ports());
        findings.add(browser());
        Course.LESSONS.stream().filter(each -> each.needs().contains(Need.NGINX))
                .map(Doctor::nginx).limit(1).forEach(findings::add);
        for (Finding each : findings) {
            System.out.println((each.well ? report.green("ok  ") : report.red("!!  "))
                    + each.what);
            if (!each.remedy.isEmpty()) System.out.println("      " + each.remedy);
        }
        return findings.stream().allMatch(Finding::well) ? 0 : 1;
    }

    private static Finding jdk() {
        boolean compiles = ToolProvider.getSystemJavaCompiler() != null;
        String what =
                "JDK " + Runtime.version() + " in " + System.getProperty("java.home");
        return Runtime.version().feature() >= 25 && compiles
                ? new Finding(true, what, "")
                : new Finding(false, what,
                        "Install a JDK 25 or newer, for example Temurin"
                                + " (https://adoptium.net), and set JAVA_HOME to it.");
    }

    private static Finding jbang() {
        Path own = Repo.root().resolve(".jbang");
        if (onPath("jbang") != null) {
            return new Finding(true, "JBang on the PATH: " + onPath("jbang"), "");
        }
        try (Stream<Path> fetched = Files.list(own)) {
            String found = fetched.map(each -> each.getFileName().toString())
                    .filter(each -> each.startsWith("cli-")).sorted().toList()
                    .getLast();
            return new Finding(true,
                    "JBang " + found.substring(4) + ", fetched by ./jbang", "");
        } catch (IOException | RuntimeException e) {
            return new Finding(false, "No JBang on the PATH and none in .jbang",
                    "Run ./jbang --version once, online.");
        }
    }

    /// Whether the exercises can be built and run without the network.
    private static Finding libraries() {
        try {
            Exercise.all().forEach(ClassPath::of);
            return new Finding(true, "Offline: all libraries of the exercises are here",
                    "");
        } catch (Trouble missing) {
            return new Finding(false, "Libraries are missing. " + missing.getMessage(),
                    "Run ./jbang doctor once more, online.");
        }
    }

    private static Finding folder() {
        Path root = Repo.root();
        return Files.isWritable(root) && Files.isWritable(root.resolve("exercises"))
                ? new Finding(true, "The course's folder can be written: " + root, "")
                : new Finding(false, "The course's folder cannot be written: " + root,
                        "Snapshots and progress need it: clone the course into a folder of yours.");
    }

    /// A line for each port that is taken, else one for all.
    private static List<Finding> ports() {
        List<Finding> taken = new ArrayList<>();
        for (Course.Lesson each : Course.LESSONS) {
            for (int more : new int[] {-1000, 0, 1000}) {
                int port = each.port() + more;
                if (isFree(port)) continue;
                taken.add(isOurs(port) ? new Finding(true, "Port " + port
                        + " is taken by a program of the course, which runs", "")
                        : new Finding(false, "Port " + port + " is taken",
                                "Stop the program that holds it, or run"
                                        + " yours with PORT=0 in front."));
            }
        }
        return taken.isEmpty() ? List.of(new Finding(true,
                "Ports 7001.., 8001.. and 9001.. are free; the grader takes others",
                ""))
                : taken;
    }

    private static boolean isFree(int port) {
        try (ServerSocket socket = new ServerSocket()) {
            socket.setReuseAddress(true);
            socket.bind(
                    new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port));
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /// Does a lesson, an exercise or a solution answer there?
    private static boolean isOurs(int port) {
        URI page = URI.create("http://localhost:" + port + "/_/page/lessons");
        try (HttpClient client = HttpClient.newHttpClient()) {
            return client.sendAsync(HttpRequest.newBuilder(page).build(),
                    HttpResponse.BodyHandlers.discarding())
                    .get(2, TimeUnit.SECONDS).statusCode() == 200;
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            return false;
        }
    }

    private static Finding browser() {
        String found = Stream.of("chromium", "chromium-browser", "google-chrome")
                .map(Doctor::onPath).filter(each -> each != null).findFirst()
                .orElse(null);
        return new Finding(true, found != null ? "Browser for ./jbang verify: " + found
                : "No chromium on the PATH",
                found != null ? ""
                        : "Only ./jbang verify needs one. Any browser shows the pages.");
    }

    private static Finding nginx(Course.Lesson first) {
        String found = onPath("nginx");
        return new Finding(true, found != null ? "nginx: " + found
                : "No nginx on the PATH",
                found != null ? "" : "Lesson " + first.number()
                        + " stands in for it; your system's package is called nginx.");
    }

    private static String onPath(String name) {
        for (String folder : System.getenv("PATH").split(File.pathSeparator)) {
            for (String ending : new String[] {"", ".cmd", ".exe"}) {
                Path file = Path.of(folder.isEmpty() ? "." : folder, name + ending);
                if (Files.isRegularFile(file)
                        && Files.isExecutable(file)) return file.toString();
            }
        }
        return null;
    }
}
