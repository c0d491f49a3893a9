package shared.nodes;

import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import io.undertow.server.handlers.proxy.LoadBalancingProxyClient;
import io.undertow.server.handlers.proxy.ProxyHandler;
import io.undertow.util.Headers;
import io.undertow.util.SameThreadExecutor;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import shared.Graded;
import shared.Http;
import shared.Problem;
import shared.Routes;
import shared.Serve;
import shared.cable.Cable;

/// A second process of a lesson, which can be killed while the page and the wire live on. It runs
/// the lesson's own class once more: that one's `main` asks [#isChild]. It ends with the first
/// process, however that ends.
public final class Child {
    private static final String NODE = "ON_THE_WIRE_NODE";
    private static final List<String> OPTIONS =
            List.of("--sun-misc-unsafe-memory-access",
                    "-XX:SharedArchiveFile", "-Xshare", "-Xlog", "-XX:-PrintWarnings",
                    "-XX:TieredStopAtLevel", "-XX:+UseSerialGC");
    private static final int MOST_CONNECTIONS = 1_000;
    private static final int STOP_MS = 1_500;

    private final String main;
    private final Map<String, String> environment;
    private final CompletableFuture<?> begun = new CompletableFuture<>();
    private final Cable cable;
    private Process process;
    /// Until it is ready, and while it runs; null where it does not.
    private CompletableFuture<?> launch;
    private volatile HttpHandler way;

    /// @param main the name of the lesson's class
    /// @param environment what it gets besides this process's own
    public Child(String main, Map<String, String> environment) {
        this.main = main;
        this.environment = environment;
        try {
            cable = new Cable();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Is this process the second one?
    public static boolean isChild() {
        return System.getenv(NODE) != null;
    }

    /// What the second process's `main` calls: serves on a free port until the first one ends.
    public static void serve(HttpHandler routes) {
        Thread.ofPlatform().daemon().start(() -> {
            try {
                System.in.transferTo(OutputStream.nullOutputStream());
            } catch (IOException ended) {
                // The first process has ended as well.
            }
            Runtime.getRuntime().halt(0);
        });
        Serve.run("Node", 0, routes);
    }

    /// A port of localhost that leads to it past the wire view, and stays when it is started anew.
    public int port() {
        return cable.port();
    }

    /// Starts it where it does not run, when what ran before has ended.
    ///
    /// @return when it is ready; exceptional where it could not be started
    public synchronized CompletableFuture<?> start() {
        if (launch != null) return launch;
        var ended = process == null ? CompletableFuture.completedFuture(null)
                : process.onExit();
        launch = ended.thenRunAsync(this::launch,
                task -> Thread.ofPlatform().daemon().start(task));
        launch.whenComplete((ready, fault) -> begun.complete(null));
        return launch;
    }

    /// Ends it by SIGKILL: nothing in it runs any more, and no client is told.
    ///
    /// @return when it has ended
    public synchronized CompletableFuture<?> kill() {
        forget();
        if (process == null) return CompletableFuture.completedFuture(null);
        process.destroyForcibly();
        return process.onExit();
    }

    /// Ends it in order, or by SIGKILL where it takes too long.
    public void stop() {
        Process last;
        synchronized (this) {
            forget();
            last = process;
        }
        if (last == null) return;
        last.destroy();
        try {
            if (last.waitFor(STOP_MS, TimeUnit.MILLISECONDS)) return;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        last.destroyForcibly();
    }

    private synchronized void forget() {
        way = null;
        launch = null;
    }

    private void launch() {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(each -> OPTIONS.stream().anyMatch(each::startsWith))
                .forEach(command::add);
        command.addAll(List.of("-cp", classPath(), main));
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectError(Redirect.INHERIT);
        builder.environment().keySet()
                .removeAll(List.of(Graded.RUN, Graded.PAUSES));
        builder.environment().putAll(environment);
        builder.environment().putAll(Map.of(NODE, "1", "PORT", "0",
                "PUBLIC", "http://localhost:" + cable.port()));
        Process started = null;
        try {
            synchronized (this) {
                if (launch == null) return;
                started = process = builder.start();
            }
            String ready = started.inputReader().readLine();
            if (ready == null) throw new IOException("it ended before it was ready");
            opened(started, Integer.parseInt(ready.replaceAll(".*:(\\d+)/", "$1")));
        } catch (IOException e) {
            synchronized (this) {
                if (process == started && launch != null) {
                    System.err.println("The second process did not start: "
                            + e.getMessage());
                    forget();
                }
            }
            throw new UncheckedIOException(e);
        }
    }

    private synchronized void opened(Process started, int port) {
        if (process != started || launch == null) return;
        cable.target(port);
        var client = new LoadBalancingProxyClient()
                .addHost(URI.create("http://127.0.0.1:" + port))
                .setConnectionsPerThread(MOST_CONNECTIONS);
        way = ProxyHandler.builder().setProxyClient(client)
                .setRewriteHostHeader(true).setMaxRequestTime(-1).build();
        started.onExit().thenRun(() -> {
            synchronized (this) {
                if (process == started) forget();
            }
        });
    }

    /// In `jshell` the classes of a lesson are not on the class path of the process.
    private static String classPath() {
        if (Child.class.getClassLoader() instanceof URLClassLoader loader) {
            return Stream.of(loader.getURLs()).map(URL::getPath)
                    .collect(Collectors.joining(File.pathSeparator));
        }
        return System.getProperty("java.class.path");
    }

    /// Hands what no other path takes to the second process, and serves what the page's script
    /// calls `node.kill()` and `node.start()`.
    public Routes mount(Routes routes) {
        return routes.onStop(this::stop).onStop(cable::close)
                .post("/_/page/node/{action}", (exchange, body) -> {
                    var done = switch (Http.path(exchange, "action")) {
                        case "kill" -> kill();
                        case "start" -> start();
                        default -> throw new Problem(404,
                                "A node is killed or started.");
                    };
                    later(exchange, done, same -> Http.empty(same, 204));
                })
                .otherwise(exchange -> {
                    if (begun.isDone()) pass(exchange);
                    else later(exchange, begun, this::pass);
                });
    }

    private void pass(HttpServerExchange exchange) throws Exception {
        HttpHandler open = way;
        if (open == null) {
            Http.problem(exchange,
                    new Problem(503, "The server behind this one is down.")
                            .with("Retry-After", 1));
            return;
        }
        exchange.getRequestHeaders().remove(Headers.ORIGIN); // it has been checked
        open.handleRequest(exchange);
    }

    private static void later(HttpServerExchange exchange, CompletableFuture<?> done,
            HttpHandler then) {
        HttpHandler failed = same -> Http.problem(same, new Problem(503,
                "The second process did not start; the terminal says why."));
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> done.whenComplete(
                (ok, fault) -> exchange.dispatch(exchange.getIoThread(),
                        fault == null ? then : failed)));
    }
}
