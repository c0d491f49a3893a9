package shared.wire;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/// Cuts an event stream at its blank lines (WHATWG HTML 9.2.6). Only line ends matter, so
/// no byte is decoded while nobody watches.
final class Events extends Cutter {
    private final Conversation.Exchange exchange;
    private int lineEnds = 2;

    Events(Conversation conversation, Conversation.Exchange exchange) {
        super(conversation, false);
        this.exchange = exchange;
    }

    @Override
    void feed(ByteBuffer bytes) {
        if (lineEnds == 2) {
            begin();
            lineEnds = 0;
        }
        int end = bytes.position();
        while (end < bytes.limit() && lineEnds < 2) {
            byte next = bytes.get(end++);
            if (next == '\n') lineEnds++;
            else if (next != '\r') lineEnds = 0;
        }
        left = end - bytes.position();
        take(bytes);
        if (lineEnds == 2) end();
    }

    private void end() {
        count();
        wire.messages.increment();
        if (!isKept()) return;
        String text = new String(kept(), StandardCharsets.UTF_8);
        boolean comment = text.startsWith(":");
        String title = comment ? "comment" : text.contains("data:")
                ? "event: " + field(text, "event", "message") : "retry";
        boolean answersSomebody =
                conversation.isServer() && !field(text, "id", "").isEmpty();
        wire.emit(conversation.row(this, exchange, comment ? "comment" : "event", title,
                0,
                answersSomebody ? wire.sinceHeard() : null, text));
    }

    private static String field(String text, String name, String usual) {
        return text.lines().filter(line -> line.startsWith(name + ":")).findFirst()
                .map(line -> line.substring(name.length() + 1).strip()).orElse(usual);
    }
}
