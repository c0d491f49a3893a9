package shared.nodes;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import shared.Http;
import shared.Routes;

/// Many WebSocket clients that read as fast as they can, and note how old each message is: it has a
/// member `at`, the time of its making in milliseconds since 1970.
public final class Audience implements AutoCloseable {
    private static final int KEPT = 100_000;
    private static final int AT_A_TIME = 100;
    /// Who has heard nothing for so long has an old price, and that counts.
    private static final long SILENT_MS = 500;
    private static final Executor AGAIN =
            CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS);
    private static final String AT = "\"at\":";

    /// @param open how many are connected
    /// @param p50 how old the messages were that they have heard since the count before, in
    /// milliseconds; for a client that has heard nothing for half
    /// a second, how old its last one is
    public record Count(int open, long p50, long p99) {}

    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY)
            .executor(Executors.newVirtualThreadPerTaskExecutor()).build();
    private final URI url;
    private final Semaphore coming = new Semaphore(AT_A_TIME);
    private volatile boolean closed;
    private final Set<Member> members = new HashSet<>();
    private final long[] ages = new long[KEPT];
    private int count;

    /// Comes soon, so many at a time that a server's queue of connections holds them. Who is
    /// refused, or whose connection ends, comes again after a second.
    public Audience(int size, URI url) {
        this.url = url;
        Thread.startVirtualThread(() -> {
            for (int i = 0; i < size; i++) come();
        });
    }

    private void come() {
        coming.acquireUninterruptibly();
        client.newWebSocketBuilder().buildAsync(url, new Member())
                .whenComplete((socket, refused) -> {
                    coming.release();
                    if (refused != null) later();
                });
    }

    private void later() {
        AGAIN.execute(() -> Thread.startVirtualThread(() -> {
            if (!closed) come();
        }));
    }

    /// Serves `/_/page/audience`: `POST` with `{"policy","size"}` has so many come in place of
    /// those that are here, `GET` counts them as [Count], `DELETE` ends them.
    ///
    /// @param url a policy is put after it
    public static Routes routes(String url) {
        AtomicReference<Audience> here = new AtomicReference<>();
        Consumer<Audience> next = audience -> {
            Audience before = here.getAndSet(audience);
            if (before != null) before.close();
        };
        return new Routes()
                .post("/_/page/audience", (exchange, body) -> {
                    var wanted = Http.object(body);
                    next.accept(
                            new Audience((int) Http.integer(wanted, "size", 1, 10_000),
                                    URI.create(url + Http.text(wanted, "policy"))));
                    Http.empty(exchange, 204);
                })
                .delete("/_/page/audience", (exchange, body) -> {
                    next.accept(null);
                    Http.empty(exchange, 204);
                })
                .get("/_/page/audience", exchange -> {
                    Audience audience = here.get();
                    Http.json(exchange, 200, audience == null ? new Count(0, 0, 0)
                            : audience.count());
                });
    }

    /// What was heard since this was asked last.
    public synchronized Count count() {
        long now = System.currentTimeMillis();
        for (Member each : members) {
            if (each.newest > 0
                    && now - each.newest > SILENT_MS) add(now - each.newest);
        }
        long[] sorted = Arrays.copyOf(ages, Math.min(count, KEPT));
        Arrays.sort(sorted);
        count = 0;
        return new Count(members.size(), at(sorted, 0.5), at(sorted, 0.99));
    }

    private static long at(long[] sorted, double part) {
        return sorted.length == 0 ? 0 : sorted[(int) (part * (sorted.length - 1))];
    }

    private void add(long age) {
        if (count < KEPT) ages[count] = age;
        count++;
    }

    private synchronized void heard(Member member, long at) {
        member.newest = at;
        add(System.currentTimeMillis() - at);
    }

    private synchronized void opened(Member member) {
        members.add(member);
    }

    private synchronized void ended(Member member) {
        if (members.remove(member)) later();
    }

    @Override
    public void close() {
        closed = true;
        client.shutdownNow();
    }

    private final class Member implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();
        /// When the newest message that it has was made.
        private long newest;

        @Override
        public void onOpen(WebSocket socket) {
            opened(this);
            socket.request(1);
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part,
                boolean last) {
            text.append(part);
            if (last) {
                int from = text.indexOf(AT) + AT.length();
                int to = text.indexOf(",", from);
                heard(this, Long.parseLong(text, from, to, 10));
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            ended(this);
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable broken) {
            ended(this);
        }
    }
}
