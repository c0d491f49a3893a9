import static org.junit.jupiter.api.Assertions.assertEquals;

import com.microsoft.playwright.options.ColorScheme;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("09 Streamed answers")
class StreamedAnswersTest {
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/09_streamed_answers.java");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    @Test
    @DisplayName("(to do: what the lesson claims, a sentence for each test)")
    void hello() throws Exception {
        assertEquals("{\"hello\":\"world\"}",
                RawHttp.ask(server.port, "GET", "/hello", null).text());
    }

    @Test
    @DisplayName("the page: a greeting is shown, and the wire shows it")
    void page() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.LIGHT)) {
            chromium.click("greet");
            chromium.see("#outcome", "hello to the world");
            chromium.seeWire("^GET /hello$");
            chromium.screenshot("09-wide-light");
        }
    }
}
