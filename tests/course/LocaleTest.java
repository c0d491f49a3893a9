import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import grader.repo.Repo;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a machine reads is the same everywhere. In Turkish the small letter of `I` is another one
/// than `i`, in Egypt `%d` writes other digits.
@DisplayName("In the locale")
@DisabledOnOs(OS.WINDOWS)
@Timeout(300)
class LocaleTest {
    private static final Duration SOON = Duration.ofSeconds(20);

    /// Options of a JVM, for JBang to hand on.
    private static List<String> options(String locale) {
        String[] parts = locale.split("_");
        return List.of("-Duser.language=" + parts[0], "-Duser.country=" + parts[1]);
    }

    private static Server start(String locale, String script) throws Exception {
        return Server.start(script, options(locale).toArray(String[]::new));
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"tr_TR", "ar_EG"})
    @DisplayName("a solution gets its points")
    void grade(String locale) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                Repo.root().resolve("jbang").toString()));
        command.addAll(options(locale));
        command.addAll(List.of("grade", "--solution", "01", "05"));
        Process process = new ProcessBuilder(command).directory(Repo.root().toFile())
                .redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), said);
        assertTrue(said.contains(" 11 of 11  done\n"), said);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"tr_TR", "ar_EG"})
    @DisplayName("a payment makes an order, whatever the letters of its media type")
    void order(String locale) throws Exception {
        try (Server server = start(locale, "lessons/05_webhook.java")) {
            String url = server.url("/webhooks/payments");
            assertEquals(204, RawHttp.ask(server.port, "PUT", "/endpoint",
                    "{\"url\":\"" + url + "\"}").status());
            var paid = RawHttp.ask(server.port, "POST", "/payments", "{\"amount\":42}",
                    "Content-Type: APPLICATION/JSON");
            assertEquals(202, paid.status(), paid::toString);
            Eventually.see("an order", SOON,
                    () -> RawHttp.ask(server.port, "GET", "/orders", null).text(),
                    orders -> orders.contains("\"paid\""));
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"tr_TR", "ar_EG"})
    @DisplayName("a page may connect to its cable")
    void page(String locale) throws Exception {
        try (Server server = start(locale, "lessons/03_websocket.java")) {
            String policy = RawHttp.ask(server.port, "GET", "/", null)
                    .header("content-security-policy");
            assertTrue(policy.matches(".* ws://localhost:[0-9]+ .*"), policy);
        }
    }
}
