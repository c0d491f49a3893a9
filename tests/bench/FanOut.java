import grader.build.ClassPath;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// One event to many clients, of a lesson and of a [BareLoop] that sends the same bytes. The server
/// has one core to itself, the clients another. An event is sent when all clients have read the one
/// before. Needs Linux: `taskset`, `/proc`.
final class FanOut {
    static final List<Integer> SIZES = List.of(500, 2_000, 8_000);
    private static final long SECOND = 1_000_000_000L;
    private static final int WARM_UP_S = 20;
    private static final int COMPILING_MS = 30;
    private static final int MIN_EVENTS = 20;
    private static final int PATIENCE_S = 60;
    private static final int SILENCE_MS = 300;
    private static final Set<String> HEAP = Set.of("S0U", "S1U", "EU", "OU");
    private static final byte[] MESSAGE =
            RawHttp.frame("{\"type\":\"message\",\"text\":\"one\"}");

    /// A request that makes an event.
    ///
    /// @param path with `%d` for the number of the payment
    record Event(String method, String path, String body) {}

    /// What a lesson is asked for.
    ///
    /// @param target   what a client gets to take part, with `%d` for the number of the payment
    /// @param fields   of its request
    /// @param greeting what it is answered with; nothing where the request is held
    /// @param event    null where a client makes it, by a [#MESSAGE]
    /// @param awaited  what the event holds
    /// @param once     whether a client must ask again after each event
    /// @param targets  for each size the least part of the yardstick's deliveries, or 0
    /// @param heapKib  the most for each connection
    record Technique(String name, String lesson, String gauge, String target,
            List<String> fields, String greeting, Event event, String awaited,
            boolean once, List<Double> targets, int heapKib) {
        /// The lesson's alias in the catalog.
        String alias() {
            return lesson.substring(3).replace('_', '-');
        }

        String target(int size) {
            double target = targets.get(SIZES.indexOf(size));
            return target == 0 ? "" : "" + target;
        }

        String heapTarget() {
            return "at most " + heapKib;
        }
    }

    static final List<Technique> ALL = List.of(
            new Technique("WebSocket", "03_websocket", "/online",
                    "/chat?name=crowd", List.of(RawHttp.UPGRADE), "101 Switching",
                    null, "\"text\":\"one\"", false, List.of(0.0, 0.65, 0.5), 12),
            new Technique("event stream", "04_server_sent_events", "/streams",
                    "/events", List.of(), "retry: 1000",
                    new Event("POST", "/events",
                            "{\"type\":\"message\",\"data\":\"one\"}"),
                    "data: one", false, List.of(0.0, 0.75, 0.6), 8),
            new Technique("long poll", "02_long_polling", "/waiting",
                    "/payments/%d?after=1", List.of("Prefer: wait=60"), "",
                    new Event("PUT", "/payments/%d/status",
                            "{\"status\":\"succeeded\"}"),
                    "\"succeeded\"", true, List.of(0.0, 0.0, 0.5), 12));

    /// What was measured at a number of clients.
    ///
    /// @param ms from each event to its last client; of long polls, until all ask again
    record Figures(int clients, List<Double> ms) {
        double perSecond() {
            return clients * 1000.0 * ms.size()
                    / ms.stream().mapToDouble(each -> each).sum();
        }
    }

    /// @param heapKib     live heap for each of the most clients
    /// @param residentKib resident memory for each of the most clients
    /// @param threads     at the fewest and at the most clients
    record Round(Map<Integer, Figures> figures, double heapKib, double residentKib,
            List<Long> threads) {}

    private static final String ALL_CORES =
            "0-" + (Runtime.getRuntime().availableProcessors() - 1);

    private final Technique technique;
    private final boolean bare;
    private final Server server;
    private final ManyClients crowd;
    private int payments;

    private FanOut(Technique technique, boolean bare, Server server,
            ManyClients crowd) {
        this.technique = technique;
        this.bare = bare;
        this.server = server;
        this.crowd = crowd;
    }

    /// Can a process be held to a core here?
    static boolean isPossible() {
        try {
            pin(ALL_CORES);
            return Runtime.getRuntime().availableProcessors() > 1;
        } catch (Exception e) {
            return false;
        }
    }

    /// What the lesson sends to one client: its greeting, and an event.
    static byte[][] sample(Technique technique) throws Exception {
        try (Server server = Server.start("lessons/" + technique.lesson + ".java");
                ManyClients none = new ManyClients(server.port);
                RawHttp client = new RawHttp(server.port)) {
            FanOut lesson = new FanOut(technique, false, server, none);
            client.send(lesson.begin());
            byte[] greeting = client.bytesUntilSilent(SILENCE_MS);
            if (technique.once) lesson.payments++;
            if (technique.event == null) client.send(MESSAGE);
            else lesson.event();
            return new byte[][] {greeting, client.bytesUntilSilent(SILENCE_MS)};
        }
    }

    /// Measures once.
    ///
    /// @param sample what a bare loop sends in place of the lesson, or null for the lesson
    static Round measure(Technique technique, byte[][] sample) throws Exception {
        ProcessBuilder start = sample == null
                ? Server.launch("lessons/" + technique.lesson + ".java")
                : new ProcessBuilder(
                        ClassPath.tool("java"), "-cp",
                        System.getProperty("java.class.path"), "BareLoop",
                        technique.gauge, "" + technique.once,
                        Base64.getEncoder().encodeToString(sample[0]),
                        Base64.getEncoder().encodeToString(sample[1]));
        start.command().addAll(0, List.of("taskset", "-c", "0"));
        try (Server server = Server.start(start);
                ManyClients crowd = new ManyClients(server.port)) {
            pin("1");
            return new FanOut(technique, sample != null, server, crowd).round();
        } finally {
            pin(ALL_CORES);
        }
    }

    private static void pin(String cores) throws Exception {
        run("taskset", "-a", "-p", "-c", cores, "" + ProcessHandle.current().pid());
    }

    private static String run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) throw new IllegalStateException(said);
        return said;
    }

    /// What the first clients send.
    private String begin() throws Exception {
        if (technique.once) addPayment();
        return request();
    }

    private String request() {
        return crowd.get(technique.target.formatted(payments),
                technique.fields.toArray(String[]::new));
    }

    private Round round() throws Exception {
        double idle = liveKib();
        double resident = residentKib();
        Map<Integer, Figures> figures = new TreeMap<>();
        List<Long> threads = new ArrayList<>();
        int here = 0;
        String request = begin();
        for (int size : SIZES) {
            if (technique.once) crowd.joinSilently(size - here, request);
            else crowd.join(size - here, request, technique.greeting);
            here = size;
            settle(size);
            warmUp(size);
            figures.put(size, new Figures(size, events(size, 2 * SECOND)));
            threads.add(threads());
        }
        double heap = (liveKib() - idle) / here;
        return new Round(figures, heap, (residentKib() - resident) / here,
                List.of(threads.getFirst(), threads.getLast()));
    }

    /// Until the compilers are done with what this size made hot: they share the server's core.
    private void warmUp(int size) throws Exception {
        long compiling = Long.MAX_VALUE;
        for (int second = 0; second < WARM_UP_S && compiling > COMPILING_MS; second++) {
            long before = compilersMs();
            events(size, SECOND);
            compiling = compilersMs() - before;
        }
    }

    /// CPU time of the JVM's compiler threads, "C1 CompilerThre" and "C2 CompilerThre" in `/proc`.
    private long compilersMs() throws IOException {
        long ticks = 0;
        try (var threads = Files.newDirectoryStream(
                Path.of("/proc/" + server.process.pid() + "/task"))) {
            for (Path thread : threads) {
                String stat = Files.readString(thread.resolve("stat"));
                if (!stat.contains("CompilerThre")) continue;
                String[] fields = stat.substring(stat.indexOf(')') + 2).split(" ");
                ticks += Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
            }
        }
        return ticks * 10;
    }

    /// Milliseconds of each event, for so many nanoseconds in all.
    private List<Double> events(int size, long ns) throws Exception {
        List<Double> ms = new ArrayList<>();
        long end = System.nanoTime() + ns;
        while (ms.size() < MIN_EVENTS || System.nanoTime() < end) {
            if (technique.once) addPayment();
            String next = technique.once ? request() : "";
            CompletableFuture<Long> last = crowd.expect(technique.awaited, next)
                    .thenApply(_ -> System.nanoTime());
            long began = System.nanoTime();
            event();
            long told = last.get(PATIENCE_S, TimeUnit.SECONDS);
            if (technique.once) {
                settle(size);
                told = System.nanoTime();
            }
            ms.add((told - began) / 1e6);
        }
        return ms;
    }

    private void event() throws Exception {
        Event event = technique.event;
        if (event == null) crowd.send(MESSAGE);
        else ask(event.method, event.path.formatted(payments - 1), event.body);
    }

    /// The one that is polled for next.
    private void addPayment() throws Exception {
        payments++;
        if (!bare) ask("POST", "/payments", "{\"amount\":1}");
    }

    private void ask(String method, String path, String body) throws IOException {
        int status = RawHttp.ask(server.port, method, path, body).status();
        if (status > 202) throw new IllegalStateException(path + " answers " + status);
    }

    private void settle(int size) throws Exception {
        String count = "";
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S); !count
                .equals("" + size);
                count = RawHttp.ask(server.port, "GET", technique.gauge, null)
                        .text().replaceAll("\\D", "")) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException(count + " of " + size + " have come");
            }
        }
    }

    private String jdk(String tool, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(ClassPath.tool(tool)));
        command.addAll(List.of(arguments));
        return run(command.toArray(String[]::new));
    }

    /// KiB of heap in use after a forced collection.
    private double liveKib() throws Exception {
        String pid = "" + server.process.pid();
        jdk("jcmd", pid, "GC.run");
        List<String> lines = jdk("jstat", "-gc", pid).lines().toList();
        String[] names = lines.getFirst().strip().split("\\s+");
        String[] values = lines.getLast().strip().split("\\s+");
        double used = 0;
        for (int i = 0; i < names.length; i++) {
            if (HEAP.contains(names[i])) used += Double.parseDouble(values[i]);
        }
        return used;
    }

    private double residentKib() throws IOException {
        return status("VmRSS");
    }

    private long threads() throws IOException {
        return (long) status("Threads");
    }

    private double status(String name) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + server.process.pid() + "/status"))
                .stream().filter(line -> line.startsWith(name + ":")).findFirst()
                .map(line -> Double.parseDouble(line.replaceAll("\\D", "")))
                .orElseThrow();
    }
}
