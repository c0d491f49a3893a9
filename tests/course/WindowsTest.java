import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.Page;
import grader.client.Transcript;
import grader.report.Terminal;
import grader.repo.Repo;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/// What Windows reads and types, as far as another system can tell.
@DisplayName("On Windows")
class WindowsTest {
    private static final String WINDOWS = """
            Object.defineProperty(navigator, "platform", { get: () => "Win32" });
            Object.defineProperty(navigator, "userAgentData", { get: () => undefined });
            navigator.clipboard.writeText = async (text) => { window.copied = text; };
            """;

    @Test
    @DisplayName("jbang.cmd has the line ends of Windows, few letters, and the words of jbang")
    void launcher() throws Exception {
        String cmd = Files.readString(Repo.root().resolve("jbang.cmd"),
                StandardCharsets.US_ASCII);
        assertTrue(cmd.matches("(?:[ -~]*\r\n)+"), "CRLF and ASCII");
        String words = found("jbang_commands=\"([^\"]*)\"", Files.readString(
                Repo.root().resolve("jbang")).replace("\\\n", "")).getFirst();
        Set<String> known = new TreeSet<>();
        found("in \\(([a-z ]+)\\) do if \"%word%\"==\"%%W\" goto run", cmd)
                .forEach(each -> known.addAll(List.of(each.split(" "))));
        assertEquals(new TreeSet<>(List.of(words.strip().split(" +"))), known);
        assertEquals(Set.copyOf(found("goto ([a-z]+)", cmd)),
                Set.copyOf(found("\n:([a-z]+)", cmd)));
    }

    private static List<String> found(String pattern, String text) {
        return Pattern.compile(pattern).matcher(text).results()
                .map(each -> each.group(1)).toList();
    }

    @Test
    @DisplayName("what is printed says jbang for ./jbang, and nothing else is changed")
    void printed() {
        var bytes = new ByteArrayOutputStream();
        PrintStream out = Terminal.typedThere(new PrintStream(bytes, true,
                StandardCharsets.UTF_8));
        out.println("next  ./jbang hint 01.3, `./jbang` \u00e9\u20ac");
        out.printf("%s./jbang grade %d%n", "", 1);
        out.print("../jbang ./jbangs a/./jbang");
        out.flush();
        assertEquals("next  jbang hint 01.3, `jbang` \u00e9\u20ac\njbang grade 1\n"
                + "../jbang ./jbangs a/./jbang",
                bytes.toString(StandardCharsets.UTF_8).replace("\r", ""));
    }

    @Test
    @DisplayName("curl has its words in double quotes")
    void curl() {
        String url = "http://localhost:9001/stock";
        assertEquals("curl -i -X PUT " + url + " -H \"Content-Type: application/json\""
                + " -d \"{\\\"left\\\":173}\"",
                Transcript.curl(true, "PUT", url, "{\"left\":173}"));
        assertEquals(
                "curl -i \"" + url + "?a=1&b=2\" -H \"If-None-Match: W/\\\"1\\\"\"",
                Transcript.curl(true, "GET", url + "?a=1&b=2", null, "If-None-Match",
                        "W/\"1\""));
        assertEquals("curl -i " + url + " -H \"A: it's\" -H \"B: \\\"x^&y\\\" & z\""
                + " -H \"C: \\\\\\\"^&^\" -H \"D: \\\\\"",
                Transcript.curl(true, "GET", url, null, "A", "it's", "B", "\"x&y\" & z",
                        "C", "\\\"&", "D", "\\"));
        assertEquals("curl -i " + url + " -H 'A: it'\\''s'",
                Transcript.curl(false, "GET", url, null, "A", "it's"));
    }

    @Test
    @DisplayName("a page shows and copies commands for cmd.exe")
    void page() throws Exception {
        try (Server server = Server.start("lessons/03_websocket.java");
                Chromium chromium = Chromium.open(server).expecting("")) {
            assertTrue(chromium.text(".commands").contains("./jbang grade 03"));
            Page page = chromium.tab();
            page.addInitScript(WINDOWS);
            page.navigate(server.url("/"));
            page.waitForSelector("#course button");
            String all = (String) page.evaluate("document.body.textContent");
            assertTrue(all.contains(" jbang grade 03 "), "the commands");
            assertTrue(all.contains("jbang talk \"ws://localhost:8003/chat?name=eve\""),
                    "the text");
            assertTrue(!all.contains("./jbang"), "all of them");
            for (var button : page.locator("button.copy").all()) {
                String shown = (String) button
                        .evaluate(
                                "button => button.previousElementSibling.textContent");
                button.click();
                page.waitForFunction("shown => window.copied === shown", shown);
                assertTrue(shown.matches("(?s)(jbang|curl) [^']*"), shown);
            }
            page.locator("#course button:not([aria-current])").first().click();
            page.waitForFunction("window.copied.startsWith('jbang lessons/')");
        }
    }
}
