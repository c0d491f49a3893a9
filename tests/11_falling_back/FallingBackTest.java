import static org.junit.jupiter.api.Assertions.assertEquals;

import com.microsoft.playwright.options.ColorScheme;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("11 Falling back")
class FallingBackTest {
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/11_falling_back.java");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    private static JsonNode poll(String query, String... fields) throws Exception {
        RawHttp.Answer answer =
                RawHttp.ask(server.port, "GET", "/feed" + query, null, fields);
        assertEquals(200, answer.status());
        assertEquals("close", answer.header("connection"));
        return JsonMapper.shared().readTree(answer.text());
    }

    /// The data of the next event.
    private static String data(RawHttp stream) throws Exception {
        String line = stream.line();
        while (!line.startsWith("data:")) line = stream.line();
        return line.substring(5);
    }

    @Test
    @DisplayName("each transport begins with hello, then has all after the number, in order")
    void hello() throws Exception {
        JsonNode first = poll("");
        assertEquals("hello", first.get(0).get("type").asString());
        assertEquals(1, first.size());
        long n = first.get(0).get("n").asLong();
        JsonNode waited = poll("?after=" + n, "Prefer: wait=20");
        assertEquals("price", waited.get(1).get("type").asString());
        assertEquals(n + 1, waited.get(1).get("n").asLong());
        RawHttp stream =
                new RawHttp(server.port).request("GET", "/feed?after=" + n, null,
                        "Accept: text/event-stream");
        assertEquals(200, stream.head().status());
        RawHttp socket =
                new RawHttp(server.port).request("GET", "/feed?after=" + n, null,
                        RawHttp.UPGRADE);
        assertEquals(101, socket.head().status());
        for (String each : List.of(data(stream), socket.readFrame().text())) {
            assertEquals("hello",
                    JsonMapper.shared().readTree(each).get("type").asString());
        }
        for (String each : List.of(data(stream), socket.readFrame().text())) {
            assertEquals(n + 1, JsonMapper.shared().readTree(each).get("n").asLong());
        }
        stream.close();
        socket.close();
    }

    @Test
    @DisplayName("the page: each hostile network, one after the other: nothing lost, nothing twice, and up again")
    void page() throws Exception {
        try (Chromium chromium = Chromium.open(server, 1440, ColorScheme.LIGHT)
                .expecting("WebSocket connection", "fetched from elsewhere: http",
                        "net::ERR")) {
            chromium.see("#way", "WebSocket");
            chromium.experiment("refuse", "It was: event stream");
            chromium.experiment("upgraded",
                    "Hello came by: WebSocket, event stream.*It was: event stream");
            chromium.screenshot("11-wide-light");
            chromium.experiment("keep", "It was: (long|short) poll");
            chromium.experiment("end", "It was: (long|short) poll");
            chromium.experiment("open",
                    " 0 were lost, doubled or out of order.*predicted: none. Right");
            chromium.experiment("restart", "predicted: WebSocket. Right");
            chromium.experiment("naive",
                    "heard 0 messages.*heard [1-9]\\d* prices, by event stream"
                            + ".*predicted: none. Right");
            chromium.experiment("open",
                    " 0 were lost, doubled or out of order.*predicted: none. Right");
        }
    }
}
