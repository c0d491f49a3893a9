import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.io.BufferedReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

@DisplayName("./jbang talk")
@DisabledOnOs(OS.WINDOWS)
@Timeout(300)
class TalkTest {
    /// `./jbang talk`, typed by a learner; it is ended where a test fails.
    private static final class Talking implements AutoCloseable {
        final Process process;
        private final BufferedReader lines;

        Talking(String... words) throws IOException {
            Server.build("tests/Talk.java");
            List<String> command =
                    new ArrayList<>(List.of(Repo.root() + "/jbang", "talk"));
            command.addAll(List.of(words));
            process = new ProcessBuilder(command).redirectErrorStream(true).start();
            lines = process.inputReader();
        }

        /// Waits for a line that matches.
        String see(String pattern) throws IOException {
            StringBuilder said = new StringBuilder();
            while (true) {
                String line = lines.readLine();
                assertNotNull(line, () -> pattern + " is not in: " + said);
                if (line.matches(pattern)) return line;
                said.append(line).append('\n');
            }
        }

        void type(String line) throws IOException {
            process.getOutputStream().write((line + "\n").getBytes());
            process.getOutputStream().flush();
        }

        void ends(int code) throws Exception {
            assertEquals(code, process.waitFor());
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }

    private static String refused(String... words) throws Exception {
        try (Talking talk = new Talking(words)) {
            talk.process.getOutputStream().close();
            String said = new String(talk.process.getInputStream().readAllBytes());
            talk.ends(2);
            return said;
        }
    }

    @Test
    @DisplayName("prints what it hears, sends what is typed, and closes at the end of the input")
    void talks() throws Exception {
        try (Server lesson = Server.start("lessons/03_websocket.java")) {
            String eve = "ws://localhost:" + lesson.port + "/chat?name=eve";
            try (Talking talk = new Talking("--protocol", "chat.v1", eve)) {
                talk.see("\\d\\d:\\d\\d:\\d\\d\\.\\d{3} open, subprotocol chat\\.v1");
                talk.see(".* text \\{\"type\":\"joined\",\"name\":\"eve\".*");
                talk.type("{\"type\":\"message\",\"text\":\"hi \\u001b\"}");
                talk.see(
                        ".* text \\{\"type\":\"message\".*\"text\":\"hi \\\\u001B\".*");
                talk.type("nonsense");
                talk.see(".* text \\{\"type\":\"error\".*");
                talk.process.getOutputStream().close();
                talk.see(".* close 1000");
                talk.ends(0);
            }
            try (Talking talk = new Talking(eve)) {
                talk.see(".* open");
                lesson.process.destroy();
                talk.see(".* close 1001");
                talk.ends(1);
            }
        }
    }

    @Test
    @DisplayName("says in a sentence why there is no connection")
    void refused() throws Exception {
        try (Server lesson = Server.start("lessons/03_websocket.java")) {
            assertEquals("The server refused the handshake with 400: 'name' must have 1"
                    + " to 40 characters.\n",
                    refused("ws://localhost:" + lesson.port + "/chat"));
        }
        assertEquals("Nobody listens at localhost:1.\n", refused("ws://localhost:1/"));
        assertEquals("There is no host nowhere.invalid.\n",
                refused("ws://nowhere.invalid/"));
        assertTrue(refused("http://localhost:8003").startsWith(
                "The address of a WebSocket begins with ws:// or wss://.\n\nUsage: "));
    }
}
