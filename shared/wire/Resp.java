package shared.wire;

import java.nio.ByteBuffer;

/// Cuts RESP2 and RESP3: commands on one side, replies and pushes on the other
/// (https://redis.io/docs/latest/develop/reference/protocol-spec/). Replies come in the order of
/// the commands, so that is how they are matched. A RESP2 message of a subscription looks like
/// any other array: it is shown as a push where no command waits, else as its reply. What
/// changes the number of replies is not understood: `CLIENT REPLY`. RESP3 streamed values, which
/// Redis never sends, are passed over with all that follows.
final class Resp extends Cutter {
    private static final long MOST = 1L << 40;
    private static final int ERROR = 1;

    /// The beginning of the unit: enough to find the name of a subscription in it.
    private final byte[] head = new byte[32];
    private int headLength;
    /// How many values are to come until the unit is whole, the current one included.
    private long missing;
    private int lineLength;
    private byte type;
    private boolean negative;
    private boolean streamed;
    private long number;
    /// The type of the whole unit, for which an attribute before it does not count.
    private byte kind;
    private boolean lost;

    Resp(Conversation conversation, boolean asks) {
        super(conversation, asks);
    }

    @Override
    void feed(ByteBuffer bytes) {
        if (lost) {
            bytes.position(bytes.limit());
            return;
        }
        if (missing == 0 && left == 0) {
            begin();
            missing = 1;
            headLength = kind = 0;
        }
        int from = bytes.position();
        boolean isString = left > 0;
        boolean whole = isString || toLineEnd(bytes);
        take(bytes);
        keepHead(bytes, from);
        if (whole && !isString) startValue();
        if (missing == 0 && left == 0 && !lost) end();
    }

    private void keepHead(ByteBuffer bytes, int from) {
        int count = Math.min(bytes.position() - from, head.length - headLength);
        bytes.get(from, head, headLength, count);
        headLength += count;
    }

    /// Sets `left` to what there is of a line, and reads its type and its number.
    private boolean toLineEnd(ByteBuffer bytes) {
        int at = bytes.position();
        boolean whole = false;
        while (at < bytes.limit() && !whole) {
            byte next = bytes.get(at++);
            whole = next == '\n';
            if (lineLength++ == 0) {
                type = next;
                number = 0;
                negative = streamed = false;
            } else if (next >= '0' && next <= '9' && number < MOST) {
                number = number * 10 + next - '0';
            } else if (next == '-') {
                negative = true;
            } else if (next == '?') {
                streamed = true;
            }
        }
        left = at - bytes.position();
        return whole;
    }

    /// A line is whole; a string or other values may follow that belong to its value.
    private void startValue() {
        if (kind == 0 || kind == '|' && missing == 1) kind = type;
        long count = negative ? 0 : number;
        missing--;
        lineLength = 0;
        boolean inline = asks && kind != '*';
        if (inline) return;
        switch (type) {
            case '$', '=', '!' -> left = negative ? 0 : number + 2;
            case '*', '~', '>' -> missing += count;
            case '%' -> missing += 2 * count;
            case '|' -> missing += 2 * count + 1;
            default -> {
                return;
            }
        }
        lost = streamed || number >= MOST || missing >= MOST;
    }

    private void end() {
        if (asks && isEmpty()) return;
        count();
        if (asks) command();
        else if (kind == '>' || conversation.unanswered.isEmpty()) push();
        else reply();
    }

    /// An empty line or array is no command, and is not answered.
    private boolean isEmpty() { return headLength < 3 || type == '*'; }

    private void command() {
        var command =
                new Conversation.Exchange(wire.nextExchange(), Conversation.NONE, false,
                        false, false);
        command.confirmed = isSubscription();
        command.readAt = System.nanoTime();
        conversation.unanswered.add(command);
        conversation.count(true);
        wire.requests.increment();
        if (conversation.isServer()) wire.heard();
        emit(command, "command", 0, null);
    }

    private void reply() {
        Conversation.Exchange command = conversation.unanswered.poll();
        emit(command, "reply", kind == '-' || kind == '!' ? ERROR : 0,
                (System.nanoTime() - command.readAt) / 1e6);
    }

    /// In RESP3 a subscription has pushes for replies, one for each channel.
    private void push() {
        var first = conversation.unanswered.peek();
        if (first != null && first.confirmed && isSubscription()) {
            reply();
            return;
        }
        wire.messages.increment();
        emit(Conversation.Exchange.UNKNOWN, "push", 0, null);
    }

    /// Is it SUBSCRIBE, or one of its like, in an array of strings?
    private boolean isSubscription() {
        int lines = 0;
        int at = 0;
        while (at < headLength && lines < 2) if (head[at++] == '\n') lines++;
        while (at < headLength && head[at] != '\r') at++;
        String end = "subscribe";
        int from = at - end.length();
        if (at == headLength || from < 0) return false;
        for (int i = 0; i < end.length(); i++) {
            if ((head[from + i] | 0x20) != end.charAt(i)) return false;
        }
        return true;
    }

    private void emit(Conversation.Exchange exchange, String as, int status,
            Double ms) {
        if (!isKept()) return;
        byte[] raw = kept();
        String label = new RespText(raw).line(asks);
        wire.emit(conversation.row(this, exchange, as, label, status, ms, null));
    }
}
