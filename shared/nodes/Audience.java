package shared.nodes;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import shared.Http;
import shared.Routes;

/// Many WebSocket clients that read as fast as they can, and note how old each message is: it has a
/// member `at`, the time of its making in milliseconds since 1970.
public final class Audience implements AutoCloseable {
    private static final int KEPT = 100_000;
    private static final String AT = "\"at\":";

    /// @param open how many are connected
    /// @param messages how many they have heard since the count before
    /// @param p50 how old the messages were, in milliseconds
    public record Count(int open, int messages, double p50, double p99) {}

    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY)
            .executor(Executors.newVirtualThreadPerTaskExecutor()).build();
    private final List<WebSocket> sockets = new ArrayList<>();
    private double[] ages = new double[KEPT];
    private int count;
    private int open;

    /// Comes at once.
    public Audience(int size, URI url) {
        for (int i = 0; i < size; i++) {
            client.newWebSocketBuilder().buildAsync(url, new Member());
        }
    }

    /// Serves `/_/page/audience`: `POST` with `{"policy","size"}` has so many come in place of those
    /// that are here, `GET` counts them as [Count], `DELETE` ends them.
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
                    Http.json(exchange, 200, audience == null ? new Count(0, 0, 0, 0)
                            : audience.count());
                });
    }

    /// What was heard since this was asked last.
    public synchronized Count count() {
        double[] sorted = Arrays.copyOf(ages, Math.min(count, KEPT));
        Arrays.sort(sorted);
        Count now = new Count(open, count, at(sorted, 0.5), at(sorted, 0.99));
        count = 0;
        return now;
    }

    private static double at(double[] sorted, double part) {
        return sorted.length == 0 ? 0 : sorted[(int) (part * (sorted.length - 1))];
    }

    private synchronized void heard(double age) {
        if (count < KEPT) ages[count] = age;
        count++;
    }

    private synchronized void opened(int change) {
        open += change;
    }

    @Override
    public void close() {
        client.shutdownNow();
    }

    private final class Member implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();

        @Override
        public void onOpen(WebSocket socket) {
            opened(1);
            socket.request(1);
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part,
                boolean last) {
            text.append(part);
            if (last) {
                int from = text.indexOf(AT) + AT.length();
                int to = text.indexOf(",", from);
                heard(System.currentTimeMillis()
                        - Double.parseDouble(text.substring(from, to)));
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            opened(-1);
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable broken) {
            opened(-1);
        }
    }
}
