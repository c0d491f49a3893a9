package grader.client;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import shared.Graded;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// An HTTP answer, and what a requirement expects of it. Each `expect` ends in a [Failure] where it
/// does not hold; `likely` is the likely cause, in a sentence for the learner.
///
/// @param statusLine such as `HTTP/1.1 200 OK`
/// @param headers in the order in which they came
public record Answer(Transcript transcript, int status, String statusLine,
        List<Map.Entry<String, String>> headers, byte[] body) {
    private static final int SHOWN = 64 * 1024;

    public Answer expect(int wanted, String likely) {
        if (status == wanted) return this;
        String line = "HTTP/1.1 " + wanted;
        throw failure(line, Failure.difference(line, statusLine), likely);
    }

    /// Expects a header with just this value.
    public Answer expectHeader(String name, String wanted, String likely) {
        return expectHeader(name, name + ": " + wanted, wanted::equals, likely);
    }

    /// @param expected says what would be right
    public Answer expectHeader(String name, String expected, Predicate<String> right,
            String likely) {
        String value = header(name);
        if (value != null && right.test(value)) return this;
        Matcher found = Pattern.compile("(?mi)^" + Pattern.quote(name) + ": ?")
                .matcher(shown());
        throw failure(expected, found.find() ? found.end() : -1, likely);
    }

    /// Expects `Cache-Control: no-cache`, beside which other words may stand.
    public Answer expectNoCache(String likely) {
        return expectHeader("Cache-Control", "Cache-Control: no-cache", value -> List
                .of(value.toLowerCase().split("[\\s,]+")).contains("no-cache"), likely);
    }

    /// Expects a member of the JSON body; numbers are compared by value, so 1.0 is 1.
    public Answer expectJson(String member, Object wanted, String likely) {
        String expected =
                "\"" + member + "\": " + JsonMapper.shared().writeValueAsString(wanted);
        return expectJson(member, expected, node -> same(node, wanted), likely);
    }

    public Answer expectJson(String member, String expected, Predicate<JsonNode> right,
            String likely) {
        JsonNode node = json().path(member);
        if (!node.isMissingNode() && right.test(node)) return this;
        Matcher found = Pattern.compile("\"" + Pattern.quote(member) + "\"\\s*:\\s*")
                .matcher(shown());
        throw failure(expected, found.find(statusLine.length()) ? found.end() : -1,
                likely);
    }

    public Answer expectNoBody(String likely) {
        if (body.length == 0) return this;
        throw failure("no body", shown().length() - shownBody().length(), likely);
    }

    private static boolean same(JsonNode node, Object wanted) {
        if (wanted instanceof Number number) {
            return node.isNumber() && node.doubleValue() == number.doubleValue();
        }
        return node.equals(JsonMapper.shared().valueToTree(wanted));
    }

    /// The values of a header, joined by commas, or null where it is absent.
    public String header(String name) {
        return headers.stream().filter(each -> each.getKey().equalsIgnoreCase(name))
                .map(Map.Entry::getValue).reduce((a, b) -> a + ", " + b).orElse(null);
    }

    public String text() {
        return new String(body, StandardCharsets.UTF_8);
    }

    /// The body as JSON.
    public JsonNode json() {
        try {
            JsonNode node = JsonMapper.shared().readTree(body);
            if (node != null && !node.isMissingNode()) return node;
        } catch (JacksonException e) { // told below
        }
        throw failure("a JSON body", shown().length() - shownBody().length(),
                "The body is not JSON.");
    }

    public Failure failure(String expected, int caret, String likely) {
        return transcript.failure(expected, shown(), caret, likely);
    }

    /// The answer as it came: status line, headers, body.
    public String shown() {
        StringBuilder text = new StringBuilder(statusLine).append('\n');
        headers.stream()
                .filter(each -> !each.getKey().equalsIgnoreCase(Graded.RUN_HEADER))
                .forEach(each -> text.append(each.getKey()).append(": ")
                        .append(each.getValue())
                        .append('\n'));
        return text.append('\n').append(shownBody()).toString();
    }

    private String shownBody() {
        String text = text();
        return text.length() <= SHOWN ? text
                : text.substring(0, SHOWN) + "... (" + body.length + " bytes)";
    }
}
