import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@DisplayName("09 Streamed answers")
class StreamedAnswersTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int LENGTH = 80;
    private static Server server;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("lessons/09_streamed_answers.java", "TOKEN_MS=20",
                "GRACE_MS=500");
    }

    @AfterAll
    static void stop() throws Exception {
        server.closeSilent();
    }

    /// An answer as one reader hears it.
    private static final class Reader implements AutoCloseable {
        final RawHttp raw;
        final String path;
        final List<String> tokens = new ArrayList<>();
        String end;

        Reader(RawHttp raw, String path) throws Exception {
            this.raw = raw;
            RawHttp.Answer head = raw.head();
            assertEquals(200, head.status());
            this.path = path == null ? head.header("location") : path;
        }

        static Reader ask(String question, String... fields) throws Exception {
            return new Reader(new RawHttp(server.port).request("POST", "/answers",
                    "{\"question\":\"" + question + "\"}", fields), null);
        }

        Reader back(int after) throws Exception {
            return new Reader(new RawHttp(server.port).request("GET",
                    path + "?after=" + after, null), path);
        }

        Reader read(int until) throws Exception {
            while (end == null && tokens.size() < until) {
                String line = raw.line();
                if (line.equals("event:done") || line.equals("event:stopped")) {
                    end = line.substring(6);
                } else if (line.startsWith("data:")) {
                    tokens.add(line.substring(5));
                }
            }
            return this;
        }

        @Override
        public void close() throws Exception {
            raw.close();
        }
    }

    private static JsonNode work() throws Exception {
        return JsonMapper.shared()
                .readTree(RawHttp.ask(server.port, "GET", "/work", null).text());
    }

    private static void seeIdle() throws Exception {
        Eventually.see("nothing runs", SOON, () -> work().get("running").asInt(),
                running -> running == 0);
    }

    @Test
    @DisplayName("cut after each token and resumed with the last id: nothing is lost, and nothing comes twice")
    void resumes() throws Exception {
        Reader whole = Reader.ask("whole").read(Integer.MAX_VALUE);
        assertEquals("done", whole.end);
        assertEquals(LENGTH, whole.tokens.size());
        for (int cut = 0; cut <= LENGTH; cut++) {
            Reader rest = whole.back(cut).read(Integer.MAX_VALUE);
            assertEquals(whole.tokens.subList(cut, LENGTH), rest.tokens);
            assertEquals("done", rest.end);
            rest.close();
        }
        Reader live = Reader.ask("live");
        List<String> all = new ArrayList<>();
        while (live.end == null) {
            int had = all.size();
            all.addAll(live.read(7).tokens);
            if (live.end != null) break;
            live.close();
            live = live.back(had + 7);
        }
        assertEquals(Reader.ask("live").read(Integer.MAX_VALUE).tokens, all);
    }

    @Test
    @DisplayName("no token is made once nobody can come back for it: it stops after the grace, and DELETE stops it at once")
    void stops() throws Exception {
        seeIdle();
        int before = work().get("made").asInt();
        try (Reader reader = Reader.ask("left")) {
            reader.read(3);
        }
        seeIdle();
        int made = work().get("made").asInt() - before;
        assertTrue(made < LENGTH, made + " tokens");
        Reader reader = Reader.ask("deleted").read(3);
        assertEquals(204,
                RawHttp.ask(server.port, "DELETE", reader.path, null).status());
        assertEquals(0, work().get("running").asInt());
        int then = work().get("made").asInt();
        assertEquals("stopped", reader.read(Integer.MAX_VALUE).end);
        assertEquals("stopped", reader.back(0).read(Integer.MAX_VALUE).end);
        assertEquals(then, work().get("made").asInt());
        assertEquals(404,
                RawHttp.ask(server.port, "GET", "/answers/nothing", null).status());
    }

    @Test
    @DisplayName("the same key and question is the same answer; another question is 422")
    void key() throws Exception {
        String key = "Idempotency-Key: \"one\"";
        Reader one = Reader.ask("same", key);
        Reader two = Reader.ask("same", key);
        assertEquals(one.path, two.path);
        assertNotEquals(one.path, Reader.ask("same").path);
        assertEquals(422, RawHttp.ask(server.port, "POST", "/answers",
                "{\"question\":\"other\"}", key).status());
        assertEquals(one.read(Integer.MAX_VALUE).tokens,
                two.read(Integer.MAX_VALUE).tokens);
    }

    @Test
    @DisplayName("the page: each experiment asks for a prediction, and its outcome is measured")
    void page() throws Exception {
        try (Server own = Server.start("lessons/09_streamed_answers.java");
                Chromium chromium = Chromium.open(own, 1440, ColorScheme.LIGHT)
                        .expecting("/answers/")) { // by the cable
            chromium.experiment("never", "It was: goes on to its end");
            chromium.experiment("close", "It was: stops after 2 s");
            chromium.experiment("back", "predicted: the whole answer. Right");
            chromium.screenshot("09-wide-light");
            chromium.experiment("pieces",
                    "the same\\. The naive one.*It was: broken tokens");
            chromium.experiment("buffer", "It was: after seconds");
            chromium.experiment("twice", "It was: 2 and 1");
            chromium.experiment("stop", "predicted: none. Right");
        }
    }

    @Test
    @DisplayName("cut at every byte of an answer, inside a character, too, and resumed by the page's reader: nothing is lost or comes twice")
    void chunks() throws Exception {
        try (Reader whole = Reader.ask("every byte").read(Integer.MAX_VALUE);
                Chromium chromium = Chromium.open(server, 1440, ColorScheme.LIGHT)) {
            Object heard = chromium.page.evaluate("""
                    async (path) => {
                      const after = async (id) => {
                        const answer = await fetch(`${path}?after=${id}`);
                        return new Uint8Array(await answer.arrayBuffer());
                      };
                      const collect = async (chunks, all = []) => {
                        for await (const each of events(chunks)) all.push(each);
                        return all.filter(({ event }) => event === "message");
                      };
                      const rest = []; // by the last id
                      const bytes = await after(0);
                      const heard = new Set();
                      for (let cut = 0; cut <= bytes.length; cut++) {
                        const before = await collect([bytes.slice(0, cut)]);
                        const last = before.at(-1)?.id ?? 0;
                        rest[last] ??= await collect([await after(last)]);
                        heard.add([...before, ...rest[last]].map(({ data }) => data).join(""));
                        const both = await collect([bytes.slice(0, cut), bytes.slice(cut)]);
                        heard.add(both.map(({ data }) => data).join(""));
                      }
                      return [...heard].join("|");
                    }""", whole.path);
            assertEquals(String.join("", whole.tokens), heard);
        }
    }
}
