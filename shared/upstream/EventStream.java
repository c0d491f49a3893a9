package shared.upstream;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.charset.StandardCharsets;
import java.io.ByteArrayOutputStream;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import shared.Http;

/// One answer of an event stream, read by a Java client as HTML section 9.2.6 says. It does not
/// come back by itself. Its listener is called on one executor only, which must run one task at a
/// time; [#close] and [#giveUp] are to be called there, too.
public final class EventStream {
    private static final String TYPE = "text/event-stream";

    /// For requests to an upstream. By HTTP/1.1, as the JDK's client asks for an upgrade to HTTP/2
    /// otherwise; and it does not repeat a request in silence.
    public static final HttpClient CLIENT;

    static {
        System.setProperty("jdk.httpclient.disableRetryConnect", "true");
        CLIENT = client();
    }

    /// Another client of the same kind.
    static HttpClient client() {
        return HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
                .proxy(HttpClient.Builder.NO_PROXY).build();
    }

    /// What becomes of the stream.
    public interface Listener {
        /// The answer is 200 and an event stream.
        void opened();

        /// Some bytes came: the head of the answer, a comment perhaps, or half of an event.
        void heard();

        /// An event with data.
        ///
        /// @param type `message` where the event has none
        /// @param id null where the event has none
        void event(String type, String id, String data);

        /// It is over; called once, and not after [EventStream#close].
        ///
        /// @param status of the answer, or 0 where none came
        /// @param openMs how long it was open, in milliseconds; 0 where it never was
        /// @param retryAfterMs what `Retry-After` asked for, in milliseconds, or 0
        void ended(int status, long openMs, long retryAfterMs);
    }

    private final Listener listener;
    private final CompletableFuture<?> answer;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private final StringBuilder data = new StringBuilder();
    private String type = "";
    private String id;
    private boolean afterReturn;
    private int status;
    private long retryAfterMs;
    private long openedAt;
    private boolean over;

    /// Asks at once.
    ///
    /// @param lastEventId the cursor to go on after, or null
    public EventStream(URI url, String lastEventId, Executor thread,
            Listener listener) {
        this.listener = listener;
        var request = HttpRequest.newBuilder(url).header("Accept", TYPE);
        if (lastEventId != null) request.header("Last-Event-ID", lastEventId);
        BodyHandler<Void> body = head -> {
            boolean isStream = head.statusCode() == 200 && head.headers()
                    .firstValue("Content-Type").orElse("").startsWith(TYPE);
            if (isStream) thread.execute(this::opened);
            return BodySubscribers.ofByteArrayConsumer(bytes -> {
                if (isStream) thread.execute(() -> read(bytes));
            });
        };
        answer = CLIENT.sendAsync(request.build(), body)
                .whenComplete((response, broken) -> thread.execute(() -> {
                    if (response != null) {
                        status = response.statusCode();
                        retryAfterMs = Http.retryAfter(response);
                    }
                    end();
                }));
    }

    /// Leaves, without a word to the listener.
    public void close() {
        over = true;
        answer.cancel(true);
    }

    /// Leaves as if the connection had broken: the listener hears that it has ended. Does nothing
    /// where it is over already.
    public void giveUp() {
        if (over) return;
        answer.cancel(true);
        end();
    }

    private void opened() {
        if (over) return;
        status = 200;
        openedAt = System.nanoTime();
        listener.heard();
        listener.opened();
    }

    private void end() {
        if (over) return;
        over = true;
        long openMs = openedAt == 0 ? 0 : (System.nanoTime() - openedAt) / 1_000_000;
        listener.ended(status, openMs, retryAfterMs);
    }

    private void read(Optional<byte[]> bytes) {
        if (over || bytes.isEmpty()) return;
        listener.heard();
        for (byte next : bytes.get()) {
            if (next == '\r' || next == '\n' && !afterReturn) take();
            else if (next != '\n') line.write(next);
            afterReturn = next == '\r';
        }
    }

    /// A whole line.
    private void take() {
        String text = line.toString(StandardCharsets.UTF_8);
        line.reset();
        int colon = text.indexOf(':');
        String field = colon < 0 ? text : text.substring(0, colon);
        String value =
                colon < 0 ? "" : text.substring(colon + 1).replaceFirst("^ ", "");
        switch (field) {
            case "event" -> type = value;
            case "id" -> id = value;
            case "data" -> data.append(value).append('\n');
            default -> {
                if (text.isEmpty()) dispatch();
            }
        }
    }

    private void dispatch() {
        String text = data.toString();
        String ofType = type.isEmpty() ? "message" : type;
        String ofId = id;
        data.setLength(0);
        type = "";
        id = null;
        if (over || text.isEmpty()) return;
        listener.event(ofType, ofId, text.substring(0, text.length() - 1));
    }
}
