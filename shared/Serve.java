package shared;

//DEPS io.undertow:undertow-core:2.3.27.Final
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//SOURCES undertow/HostHeaderHandler.java
//SOURCES wire/[A-Z]*.java

import io.undertow.UndertowOptions;
import io.undertow.connector.ByteBufferPool;
import io.undertow.protocols.ssl.UndertowXnioSsl;
import io.undertow.server.DefaultByteBufferPool;
import io.undertow.server.HttpHandler;
import io.undertow.server.HttpServerExchange;
import io.undertow.server.handlers.GracefulShutdownHandler;
import io.undertow.server.handlers.HttpContinueReadHandler;
import io.undertow.server.protocol.http.HttpOpenListener;
import io.undertow.util.HeaderMap;
import io.undertow.util.HttpString;
import java.io.File;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import org.xnio.ChannelListener;
import org.xnio.ChannelListeners;
import org.xnio.OptionMap;
import org.xnio.Options;
import org.xnio.StreamConnection;
import org.xnio.Xnio;
import org.xnio.XnioWorker;
import org.xnio.channels.AcceptingChannel;
import shared.wire.Place;
import shared.wire.Tap;
import shared.wire.Wire;

/// Serves a lesson's handler on 127.0.0.1 and stops in order. Every connection passes the [Tap]
/// of the wire view, every request [HostAndOrigin].
public final class Serve {
    private static final String JMX_BUILDER = "javax.management.builder.initial";
    private static final List<Logger> QUIET =
            Stream.of("io.undertow", "org.xnio", "org.jboss")
                    .map(Logger::getLogger).toList();

    /// The threads of every server in this process. A container that brings handlers of its own
    /// uses them, too.
    public static final XnioWorker WORKER;

    /// The buffers of every server in this process.
    public static final ByteBufferPool BUFFERS =
            new DefaultByteBufferPool(true, 16 * 1024);

    static {
        QUIET.forEach(logger -> logger.setLevel(Level.SEVERE));
        withoutJmx();
        try {
            WORKER = Xnio.getInstance(Serve.class.getClassLoader())
                    .createWorker(OptionMap.builder()
                            .set(Options.WORKER_IO_THREADS, 2)
                            .set(Options.WORKER_TASK_CORE_THREADS, 4)
                            .set(Options.WORKER_TASK_MAX_THREADS, 4)
                            .getMap());
        } catch (IOException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private static final String PLACE = "Server";
    private static final String RUN = System.getenv(Graded.RUN);
    private static final HttpString RUN_HEADER = new HttpString(Graded.RUN_HEADER);

    /// What a notebook kernel has started, by port.
    private static final Map<Integer, Serve> STARTED = new HashMap<>();

    private final AcceptingChannel<? extends StreamConnection> server;
    private final HttpOpenListener http;
    private final GracefulShutdownHandler running;
    private final List<Runnable> stops;
    private final HostAndOrigin hosts;

    /// The port that is listened on.
    public final int port;

    private Serve(int wanted, HttpHandler routes, Place place, SSLContext tls)
            throws IOException {
        Routes table = routes instanceof Routes it ? it : new Routes();
        stops = table.stops();
        hosts = new HostAndOrigin(table.cablePort());
        running = new GracefulShutdownHandler(
                exchange -> check(exchange, place.wire, routes));
        http = new HttpOpenListener(BUFFERS, OptionMap.builder()
                .set(UndertowOptions.NO_REQUEST_TIMEOUT, 60_000)
                .set(UndertowOptions.REQUEST_PARSE_TIMEOUT, 20_000)
                .getMap());
        http.setRootHandler(new HttpContinueReadHandler(running));
        server = listen(
                new InetSocketAddress(InetAddress.getByName("127.0.0.1"), wanted),
                connection -> Tap.open(connection, place, http), tls);
        port = server.getLocalAddress(InetSocketAddress.class).getPort();
        table.served(port);
        server.resumeAccepts();
    }

    private static AcceptingChannel<? extends StreamConnection> listen(
            InetSocketAddress address, ChannelListener<StreamConnection> listener,
            SSLContext tls)
            throws IOException {
        OptionMap options = OptionMap.builder()
                .set(Options.TCP_NODELAY, true)
                .set(Options.REUSE_ADDRESSES, true)
                .set(Options.BACKLOG, 10_000)
                .getMap();
        if (tls == null) {
            return WORKER.createStreamConnectionServer(address,
                    ChannelListeners.openListenerAdapter(listener), options);
        }
        return new UndertowXnioSsl(WORKER.getXnio(), OptionMap.EMPTY, BUFFERS, tls)
                .createSslConnectionServer(WORKER, address,
                        ChannelListeners.openListenerAdapter(listener), options);
    }

    /// XNIO offers its figures by JMX, whose start takes longer than all else that a server needs.
    /// Where the holder of the JMX server cannot be initialized, it goes on without.
    private static void withoutJmx() {
        System.setProperty(JMX_BUILDER, "none");
        try {
            Class.forName("org.xnio.Xnio$MBeanHolder");
        } catch (ClassNotFoundException | LinkageError notInitialized) {
            // as it should be
        } finally {
            System.clearProperty(JMX_BUILDER);
        }
    }

    /// Serves `routes` until the process is told to stop: what a script's `main` calls. Prints
    /// the ready line `title  http://localhost:PORT/`. The environment variable `PORT` overrides
    /// `port`, 0 takes a free one. A port that cannot be had ends the process with exit code 2.
    public static void run(String title, int port, HttpHandler routes) {
        run(title, port, routes, new Wire().place(PLACE), null);
    }

    /// The same with a place of a wire view that may show others, too.
    ///
    /// @param tls for `https://`, null for `http://`
    public static void run(String title, int port, HttpHandler routes, Place place,
            SSLContext tls) {
        int wanted = environment("PORT", port, 0, 65535);
        try {
            Serve serve = start(wanted, routes, place, tls);
            Runtime.getRuntime().addShutdownHook(new Thread(serve::stop));
            System.out.println(title + (tls == null ? "  http" : "  https")
                    + "://localhost:" + serve.port + "/");
        } catch (BindException e) {
            fail("Port " + wanted
                    + " is taken. Does this run already? Then see http://localhost:"
                    + wanted + "/. Else stop the program that holds it, or choose"
                    + " another port: PORT=0 takes a free one.");
        } catch (IOException e) {
            fail("Cannot listen on port " + wanted + ": " + e.getMessage() + ".");
        }
    }

    /// Serves `routes` and returns at once: what a notebook kernel calls. Port 0 takes a free one.
    /// What this has started before at the same port it stops first, so that a cell that was
    /// evaluated again takes effect.
    ///
    /// @throws BindException where another program holds the port
    public static synchronized Serve start(int port, HttpHandler routes)
            throws IOException {
        Serve before = STARTED.remove(port);
        if (before != null) {
            before.stop();
            before.http.closeConnections(); // a browser would go on asking the old one
        }
        Serve serve = start(port, routes, new Wire().place(PLACE), null);
        STARTED.put(serve.port, serve);
        return serve;
    }

    /// The same with a place of a wire view that may show others, too.
    ///
    /// @param tls for `https://`, null for `http://`
    public static Serve start(int port, HttpHandler routes, Place place, SSLContext tls)
            throws IOException {
        return new Serve(port, routes, place, tls);
    }

    /// A whole number from the environment, or `usual` where it is not set. Anything else ends
    /// the process with one sentence and exit code 2.
    public static int environment(String name, int usual, int min, int max) {
        String value = System.getenv().getOrDefault(name, "" + usual);
        if (!value.matches("\\d{1,9}") || Integer.parseInt(value) < min
                || Integer.parseInt(value) > max) {
            fail("%s must be a whole number from %s to %s, but it is '%s'."
                    .formatted(name, min, max, value));
        }
        return Integer.parseInt(value);
    }

    /// The folder for files: the one that `DATA` names, or a new one that goes with the process.
    public static Path data() throws IOException {
        String named = System.getenv("DATA");
        if (named != null) return Files.createDirectories(Path.of(named));
        Path folder = Files.createTempDirectory("on-the-wire-");
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try (var files = Files.walk(folder)) {
                files.sorted(Comparator.reverseOrder()).map(Path::toFile)
                        .forEach(File::delete);
            } catch (IOException gone) {
                // Then there is nothing to delete.
            }
        }));
        return folder;
    }

    /// Prints one sentence on standard error and ends the process with exit code 2.
    public static void fail(String sentence) {
        System.err.println(sentence);
        System.exit(2);
    }

    /// Takes no more connections, tells the clients, and waits for the answers under way, one
    /// second at most.
    public void stop() {
        try {
            server.close();
            running.shutdown();
            stops.forEach(Runnable::run);
            running.awaitShutdown(1_000);
        } catch (IOException | InterruptedException e) {
            System.err.println("Stopped in disorder: " + e);
        }
    }

    /// What stands before every handler: the headers of every answer, and 421 and 403.
    private void check(HttpServerExchange exchange, Wire wire,
            HttpHandler routes)
            throws Exception {
        HeaderMap answer = exchange.getResponseHeaders();
        answer.put(new HttpString("X-Content-Type-Options"), "nosniff");
        answer.put(new HttpString("Cross-Origin-Resource-Policy"), "same-origin");
        if (RUN != null) {
            Pause.stepIn(exchange.getRequestHeaders().getFirst(Graded.STEP_HEADER));
            answer.put(RUN_HEADER, RUN + " " + exchange.getIoThread().getName());
        }
        Problem foreign = hosts.check(exchange);
        if (foreign != null) Http.problem(exchange, foreign);
        else if (exchange.getRelativePath()
                .equals("/_/page/wire")) wire.handler.handleRequest(exchange);
        else routes.handleRequest(exchange);
    }
}
