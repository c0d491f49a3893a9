package shared.wire;

import java.nio.charset.StandardCharsets;

/// Writes a RESP value in one short line: a command as its words, a reply much like JSON, but
/// with errors and statuses as they are. Of an attribute nothing is shown.
final class RespText {
    private static final int LONGEST = 100;
    private static final int LONGEST_STRING = 40;

    private final byte[] raw;
    private final StringBuilder text = new StringBuilder();
    private int at;

    /// @param raw of one value, of which the end may be missing
    RespText(byte[] raw) {
        this.raw = raw;
    }

    String line(boolean command) {
        if (command && raw.length > 0 && raw[0] == '*') words(number(nextLine()));
        else if (command) text.append(nextLine());
        else value();
        return shorten(text.toString(), LONGEST);
    }

    private void words(long count) {
        for (long i = 0; i < count && hasRoom(); i++) {
            if (i > 0) text.append(' ');
            text.append(shorten(string(number(nextLine())), LONGEST_STRING));
        }
    }

    private boolean hasRoom() {
        return at < raw.length && text.length() <= LONGEST;
    }

    private void value() {
        if (!hasRoom()) return;
        String line = nextLine();
        char type = line.isEmpty() ? ' ' : line.charAt(0);
        String rest = line.isEmpty() ? "" : line.substring(1);
        switch (type) {
            case '$', '=', '!', '*', '~', '>', '%', '|' -> {
                if (rest.startsWith("-")) text.append("nil");
                else if ("$=!".indexOf(type) >= 0) string(type, number(line));
                else many(type, number(line));
            }
            case '_' -> text.append("nil");
            case '#' -> text.append(rest.equals("t"));
            default -> text.append(rest);
        }
    }

    private void string(char type, long length) {
        String all = string(length);
        if (type == '!') {
            text.append(all);
            return;
        }
        String said = type == '=' ? all.substring(Math.min(4, all.length())) : all;
        text.append('"').append(shorten(said, LONGEST_STRING)).append('"');
    }

    private void many(char type, long count) {
        if (type == '|') {
            int before = text.length();
            for (long i = 0; i < 2 * count && at < raw.length; i++) {
                value();
                text.setLength(before);
            }
            value();
            return;
        }
        boolean map = type == '%';
        text.append(map ? '{' : '[');
        for (long i = 0; i < (map ? 2 * count : count) && hasRoom(); i++) {
            if (i > 0) text.append(map && i % 2 == 1 ? ": " : ", ");
            value();
        }
        text.append(map ? '}' : ']');
    }

    /// The number after the type, 0 where there is none.
    private static long number(String line) {
        return line.matches(".\\d{1,15}") ? Long.parseLong(line.substring(1)) : 0;
    }

    private String nextLine() {
        int from = at;
        while (at < raw.length && raw[at] != '\n') at++;
        int end = at > from && raw[at - 1] == '\r' ? at - 1 : at;
        at = Math.min(raw.length, at + 1);
        return printable(from, end);
    }

    private String string(long length) {
        int from = at;
        int end = (int) Math.min(raw.length, from + length);
        at = Math.min(raw.length, end + 2);
        return printable(from, end);
    }

    private String printable(int from, int end) {
        return new String(raw, from, end - from, StandardCharsets.UTF_8)
                .replaceAll("\\p{Cntrl}", ".");
    }

    private static String shorten(String text, int most) {
        return text.length() <= most ? text : text.substring(0, most) + "...";
    }
}
