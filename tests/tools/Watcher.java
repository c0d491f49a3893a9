import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// Watches the wire view of a server as its page does. Each row also gets the members `from`, 0
/// where it is the server's own, and `time`, in milliseconds since 1970.
final class Watcher implements WebSocket.Listener, AutoCloseable {
    final BlockingQueue<JsonNode> rows = new LinkedBlockingQueue<>();
    /// Messages of other processes, which the server passes on.
    final BlockingQueue<JsonNode> foreign = new LinkedBlockingQueue<>();
    final WebSocket socket;
    /// The last message of the server's own.
    volatile JsonNode last;
    volatile boolean reading = true;
    private final StringBuilder text = new StringBuilder();
    private final BlockingQueue<JsonNode> batches = new LinkedBlockingQueue<>();

    Watcher(int port) throws Exception {
        this(HttpClient.newHttpClient(),
                "ws://localhost:" + port + "/_/page/wire");
    }

    Watcher(HttpClient client, String uri) throws Exception {
        socket = client.newWebSocketBuilder().buildAsync(URI.create(uri), this)
                .get(10, TimeUnit.SECONDS);
        batches.poll(10, TimeUnit.SECONDS);
    }

    @Override
    public CompletionStage<?> onText(WebSocket source, CharSequence part,
            boolean whole) {
        text.append(part);
        if (whole) {
            JsonNode batch = JsonMapper.shared().readTree(text.toString());
            text.setLength(0);
            take(batch);
        }
        if (reading) source.request(1);
        return null;
    }

    private void take(JsonNode batch) {
        boolean own = !batch.has("from");
        if (own) last = batch;
        for (JsonNode row : batch.path("rows")) {
            rows.add(((ObjectNode) row).put("from", batch.path("from").asInt(0))
                    .put("time",
                            batch.get("began").asDouble() + row.get("at").asDouble()));
        }
        (own ? batches : foreign).add(batch);
    }

    JsonNode next() throws Exception {
        JsonNode row = rows.poll(10, TimeUnit.SECONDS);
        if (row == null) throw new AssertionError("no further row");
        return row;
    }

    JsonNode nextForeign() throws Exception {
        JsonNode batch = foreign.poll(10, TimeUnit.SECONDS);
        if (batch == null) throw new AssertionError("nothing of another process");
        return batch;
    }

    long total(String name) {
        return last.get("totals").get(name).asLong();
    }

    @Override
    public void close() {
        socket.abort();
    }
}
