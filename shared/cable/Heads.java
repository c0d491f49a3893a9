package shared.cable;

import java.nio.ByteBuffer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Follows the heads of the HTTP/1 requests of one connection. A body is passed over by its
/// Content-Length. It looks no further after a request to upgrade, a Transfer-Encoding, a head of
/// more than 16 KB or what is not HTTP/1. To offer `h2c`, as Java's HttpClient does with each plain
/// request, is no request to upgrade. A 403 overtakes the answers to requests that a client has
/// sent before without waiting for them.
final class Heads {
    private static final Pattern REQUEST =
            Pattern.compile("\\S+ \\S+ HTTP/1\\.\\d\r?\n(?s:.*)");
    private static final Pattern UPGRADE =
            Pattern.compile("(?im)^upgrade[ \t]*:(?![ \t]*h2c[ \t\r]*$)");
    private static final Pattern CODED =
            Pattern.compile("(?im)^transfer-encoding[ \t]*:");
    private static final Pattern LENGTH =
            Pattern.compile("(?im)^content-length[ \t]*:[ \t]*(\\d{1,18})[ \t\r]*$");

    private final StringBuilder head = new StringBuilder();
    private long body;
    private boolean blind;

    /// How many of the last bytes are of a head that has not ended.
    int unfinished() {
        return head.length();
    }

    /// @param some the next bytes of the client
    /// @return whether a request to upgrade has ended in them
    boolean askForUpgrade(ByteBuffer some) {
        while (some.hasRemaining() && !blind) {
            if (body > 0) {
                int skipped = (int) Math.min(body, some.remaining());
                some.position(some.position() + skipped);
                body -= skipped;
            } else if (add((char) (some.get() & 0xff)) && hasUpgrade()) {
                return true;
            }
        }
        return false;
    }

    /// @return whether this ends the head
    private boolean add(char next) {
        boolean isBreak = next == '\r' || next == '\n';
        if (head.isEmpty() && isBreak) return false;
        head.append(next);
        if (head.length() == Cable.SIZE) stop();
        int size = head.length();
        return next == '\n' && size > 2 && (head.charAt(size - 2) == '\n'
                || head.charAt(size - 2) == '\r' && head.charAt(size - 3) == '\n');
    }

    private void stop() {
        blind = true;
        head.setLength(0);
    }

    private boolean hasUpgrade() {
        String text = head.toString();
        head.setLength(0);
        boolean isRequest = REQUEST.matcher(text).matches();
        boolean isUpgrade = isRequest && UPGRADE.matcher(text).find();
        Matcher length = LENGTH.matcher(text);
        if (length.find()) body = Long.parseLong(length.group(1));
        blind = !isRequest || isUpgrade || CODED.matcher(text).find();
        return isUpgrade;
    }
}
