package shared.wire;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.CompletionStage;

/// Watches the wire of another process as a page does, and passes on what it gets to one page.
/// It reads no faster than that page, so that nothing piles up here. When the process is gone, it
/// tells the page. It sees nothing that the other process relays itself: two may follow
/// each other.
final class Relay implements WebSocket.Listener {
    /// Asks for a process's own rows only.
    static final String QUERY = "own";
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build();

    /// The page.
    interface Page {
        void send(String text) throws IOException;
    }

    private final Wire wire;
    private final int port;
    private final int run;
    private final Page page;
    private final StringBuilder text = new StringBuilder();
    private WebSocket socket;
    private boolean ended;

    Relay(Wire wire, int port, int run, Page page) {
        this.wire = wire;
        this.port = port;
        this.run = run;
        this.page = page;
    }

    void begin() {
        URI uri = URI.create("ws://127.0.0.1:" + port + "/_/page/wire?" + QUERY);
        CLIENT.newWebSocketBuilder().buildAsync(uri, this).exceptionally(refused -> {
            wire.forget(port, run);
            return null;
        });
    }

    /// The page wants no more of it.
    synchronized void end() {
        ended = true;
        if (socket != null) socket.abort();
    }

    @Override
    public synchronized void onOpen(WebSocket opened) {
        socket = opened;
        if (ended) opened.abort();
        else opened.request(1);
    }

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
        text.append(part);
        if (last) {
            pass("{\"from\":" + run + "," + text.substring(1));
            text.setLength(0);
        }
        from.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
        gone();
        return null;
    }

    @Override
    public void onError(WebSocket from, Throwable broken) {
        gone();
    }

    private void gone() {
        pass("{\"from\":" + run + ",\"gone\":" + (wire.began() + wire.now()) + "}");
    }

    private void pass(String json) {
        try {
            if (!isEnded()) page.send(json);
        } catch (IOException left) {
            end();
        }
    }

    private synchronized boolean isEnded() {
        return ended;
    }
}
