package shared.upstream;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import shared.Http;
import shared.Serve;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/// A supplier's feed by one [Kind] of transport. All have the same URL, the same cursor, `after`,
/// and the same messages: a hello, then prices. It neither waits for a hello nor comes back by
/// itself. Its listener is called on one executor only, the desk, which must run one task at a
/// time; [#open] and [#close] are to be called there, too.
public final class Transport {
    private static final int POLL_MS =
            Serve.environment("POLL_MS", 2_000, 1, 600_000);
    /// How long a supplier may hold a poll, in seconds.
    private static final int WAIT = 20;

    /// What becomes of the transport.
    public interface Listener {
        /// The first message has come, by whatever transport. Called once.
        void hello();

        /// A price. After a hello they come in the order of `n`.
        void price(long n, String item, int cents);

        /// It is over; called once, and not after [Transport#close].
        ///
        /// @param status of the answer that refused us, such as 403 for an upgrade; 0 where none
        /// came, or where the connection has ended
        void ended(int status);
    }

    private final Kind kind;
    private final URI upstream;
    private final Executor desk;
    private final Listener listener;
    private long after;
    private boolean greeted;
    private boolean over;
    private Runnable leave = () -> {};

    private Transport(Kind kind, URI upstream, long after, Executor desk,
            Listener listener) {
        this.kind = kind;
        this.upstream = upstream;
        this.after = after;
        this.desk = desk;
        this.listener = listener;
    }

    /// Asks at once. The listener is called later, also where this cannot work.
    ///
    /// @param after the number of the last price that is known; 0 for none
    public static Transport open(Kind kind, URI upstream, long after, Executor desk,
            Listener listener) {
        Transport transport = new Transport(kind, upstream, after, desk, listener);
        switch (kind) {
            case WEBSOCKET -> transport.upgrade();
            case EVENTS -> transport.stream();
            case LONG, SHORT -> transport.poll();
        }
        return transport;
    }

    /// Leaves, without a word to the listener. Does nothing where it is over already.
    public void close() {
        over = true;
        leave.run();
    }

    private String url() {
        return upstream + "?after=" + after;
    }

    /// By a client of its own, as only its end makes it leave a handshake that is not answered.
    private void upgrade() {
        HttpClient client = EventStream.client();
        leave = client::shutdownNow;
        client.newWebSocketBuilder().subprotocols("feed.v1")
                .buildAsync(URI.create(url().replaceFirst("^http", "ws")), new Frames())
                .whenComplete((socket, broken) -> {
                    if (broken != null) desk.execute(() -> end(refusal(broken)));
                });
    }

    private static int refusal(Throwable broken) {
        Throwable cause =
                broken instanceof CompletionException ? broken.getCause() : broken;
        return cause instanceof WebSocketHandshakeException refused
                ? refused.getResponse().statusCode() : 0;
    }

    /// Called on the client's threads, one call after the other.
    private final class Frames implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();

        @Override
        public void onOpen(WebSocket socket) {
            desk.execute(() -> {
                if (over) socket.abort();
                else leave = andThen(socket::abort, leave);
            });
            socket.request(1);
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part,
                boolean last) {
            text.append(part);
            if (last) {
                String whole = text.toString();
                text.setLength(0);
                desk.execute(() -> message(whole));
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            desk.execute(() -> end(0));
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable broken) {
            desk.execute(() -> end(0));
        }
    }

    private static Runnable andThen(Runnable first, Runnable then) {
        return () -> {
            first.run();
            then.run();
        };
    }

    private void stream() {
        EventStream stream = new EventStream(URI.create(url()), null, desk,
                new EventStream.Listener() {
                    @Override
                    public void opened() {}

                    @Override
                    public void heard() {}

                    @Override
                    public void event(String type, String id, String data) {
                        message(data);
                    }

                    @Override
                    public void ended(int status, long openMs, long retryAfterMs) {
                        end(status == 200 ? 0 : status);
                    }
                });
        leave = stream::close;
    }

    /// The first poll is never held, so that its hello comes at once.
    private void poll() {
        if (over) return;
        var request = HttpRequest.newBuilder(URI.create(url()));
        if (kind == Kind.LONG && greeted) request.header("Prefer", "wait=" + WAIT);
        var sent = EventStream.CLIENT.sendAsync(request.build(),
                BodyHandlers.ofString());
        leave = () -> sent.cancel(true);
        sent.whenComplete((answer, broken) -> desk.execute(() -> polled(answer)));
    }

    /// @param answer null where none came
    private void polled(HttpResponse<String> answer) {
        if (over) return;
        if (answer == null || answer.statusCode() != 200) {
            end(answer == null ? 0 : answer.statusCode());
            return;
        }
        JsonNode all = read(answer.body());
        if (all == null || !all.isArray() || all.isEmpty()) {
            end(0);
            return;
        }
        for (JsonNode each : all) message(each);
        if (kind == Kind.LONG) poll();
        else CompletableFuture.delayedExecutor(POLL_MS, TimeUnit.MILLISECONDS, desk)
                .execute(this::poll);
    }

    private static JsonNode read(String json) {
        try {
            return Http.JSON.readTree(json);
        } catch (JacksonException noJson) { // a page of some proxy, perhaps
            return null;
        }
    }

    private void message(String json) {
        JsonNode message = read(json);
        if (message != null) message(message);
    }

    private void message(JsonNode message) {
        if (over) return;
        switch (message.path("type").asString("")) {
            case "hello" -> {
                if (greeted) return;
                greeted = true;
                listener.hello();
            }
            case "price" -> {
                long n = message.path("n").asLong(0);
                after = Math.max(after, n);
                listener.price(n, message.path("item").asString(""),
                        message.path("cents").asInt(0));
            }
            default -> {} // of a later version
        }
    }

    private void end(int status) {
        if (over) return;
        close();
        listener.ended(status);
    }
}
