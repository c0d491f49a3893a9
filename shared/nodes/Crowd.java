package shared.nodes;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.IntToLongFunction;
import shared.Http;
import shared.Routes;
import tools.jackson.databind.JsonNode;

/// Many scripted clients that follow a log by WebSockets, resume by its cursors, `EPOCH-N`, and
/// count: a number that is left out is a gap, one that comes again a double. On `reset` each loads
/// the snapshot, as after a failed one, when its pause is over.
public final class Crowd implements AutoCloseable {
    private static final int SIZE = 300;
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    /// Losses that follow each other faster have one cause.
    private static final long WAVE = TimeUnit.SECONDS.toNanos(2);
    private static final long LASTS = TimeUnit.SECONDS.toNanos(5);

    /// @param open how many are connected
    /// @param resets how many were told that their cursor is not known
    /// @param returns how many of those that are back began their handshake in each second since
    ///     the last wave of losses began
    public record Count(int open, long gaps, long doubles, int resets,
            List<Integer> returns) {}

    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY)
            .executor(Executors.newVirtualThreadPerTaskExecutor())
            .connectTimeout(PATIENCE).build();
    private final ScheduledExecutorService timer = Executors
            .newSingleThreadScheduledExecutor(Thread.ofPlatform().daemon().factory());
    private final String server;
    private final IntToLongFunction pause;
    private final List<Integer> returns = new ArrayList<>();
    private int open;
    private long gaps;
    private long doubles;
    private int resets;
    private long lostAt;
    private long lastLostAt;
    private boolean closed;

    /// Comes at once.
    ///
    /// @param port of localhost, with `/snapshot` and `/ticker?after=`
    /// @param pause how many milliseconds one waits after so many failures in a row, from 0
    public Crowd(int size, int port, IntToLongFunction pause) {
        this.pause = pause;
        server = "//localhost:" + port;
        for (int i = 0; i < size; i++) new Member().load();
    }

    /// Serves `/_/page/crowd`: `POST /_/page/crowd/{pause}` has 300 come, in place of those that
    /// are here, `GET` counts them as [Count], `DELETE` ends them.
    ///
    /// @param pauses by name
    public static void mount(Routes routes, int port,
            Map<String, IntToLongFunction> pauses) {
        AtomicReference<Crowd> here = new AtomicReference<>();
        Consumer<Crowd> next = crowd -> {
            Crowd before = here.getAndSet(crowd);
            if (before != null) before.close();
        };
        routes.onStop(() -> next.accept(null))
                .known("pause", pauses::containsKey)
                .post("/_/page/crowd/{pause}", (exchange, body) -> {
                    next.accept(new Crowd(SIZE, port,
                            pauses.get(Http.path(exchange, "pause"))));
                    Http.empty(exchange, 204);
                })
                .delete("/_/page/crowd", (exchange, body) -> {
                    next.accept(null);
                    Http.empty(exchange, 204);
                })
                .get("/_/page/crowd", exchange -> {
                    Crowd crowd = here.get();
                    Http.json(exchange, 200, crowd == null
                            ? new Count(0, 0, 0, 0, List.of()) : crowd.count());
                });
    }

    public synchronized Count count() {
        return new Count(open, gaps, doubles, resets, List.copyOf(returns));
    }

    /// All leave, and none comes back.
    @Override
    public synchronized void close() {
        closed = true;
        timer.shutdownNow();
        client.shutdownNow();
    }

    /// @param asked when the handshake began: a slow server must not look like a herd
    private synchronized void opened(long asked) {
        open++;
        if (lostAt == 0) return;
        int second = (int) (Math.max(0, asked - lostAt) / 1_000_000_000);
        while (returns.size() <= second) returns.add(0);
        returns.set(second, returns.get(second) + 1);
    }

    private synchronized void lost() {
        long now = System.nanoTime();
        if (lostAt == 0 || now - lastLostAt > WAVE) {
            returns.clear();
            lostAt = now;
        }
        lastLostAt = now;
        open--;
    }

    private synchronized void came(long step) {
        if (step < 1) doubles++;
        else gaps += step - 1;
    }

    private final class Member implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();
        private String cursor;
        private WebSocket socket;
        private long asked;
        private long openedAt;
        private int failures;

        void load() {
            var request =
                    HttpRequest.newBuilder(URI.create("http:" + server + "/snapshot"))
                            .timeout(PATIENCE).build();
            client.sendAsync(request, BodyHandlers.ofString()).thenAccept(answer -> {
                cursor = Http.JSON.readTree(answer.body()).get("cursor").asString();
                join();
            }).exceptionally(failed -> again());
        }

        private void join() {
            asked = System.nanoTime();
            client.newWebSocketBuilder().connectTimeout(PATIENCE)
                    .buildAsync(URI.create("ws:" + server + "/ticker?after=" + cursor),
                            this)
                    .exceptionally(refused -> {
                        again();
                        return null;
                    });
        }

        private Void again() {
            synchronized (Crowd.this) {
                if (closed) return null;
                timer.schedule(() -> {
                    if (cursor == null) load();
                    else join();
                }, pause.applyAsLong(failures++), TimeUnit.MILLISECONDS);
            }
            return null;
        }

        @Override
        public void onOpen(WebSocket opened) {
            socket = opened;
            openedAt = System.nanoTime();
            text.setLength(0);
            opened(asked);
            opened.request(1);
        }

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence part,
                boolean last) {
            if (from != socket) return null;
            text.append(part);
            if (last) {
                take(Http.JSON.readTree(text.toString()));
                text.setLength(0);
            }
            if (socket != null) from.request(1);
            return null;
        }

        private void take(JsonNode event) {
            if (event.path("type").asString("").equals("reset")) {
                synchronized (Crowd.this) {
                    resets++;
                }
                cursor = null;
                socket.abort();
                ended();
                return;
            }
            String next = event.get("cursor").asString();
            came(number(next) - number(cursor));
            cursor = next;
        }

        private static long number(String cursor) {
            return Long.parseLong(cursor.substring(cursor.indexOf('-') + 1));
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            if (from == socket) ended();
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable broken) {
            if (from == socket) ended();
        }

        private void ended() {
            socket = null;
            if (System.nanoTime() - openedAt > LASTS) failures = 0;
            lost();
            again();
        }
    }
}
