import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.options.ColorScheme;
import grader.repo.Exercise;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The page of an exercise shows what its learner has done so far.
@DisplayName("The pages of exercises")
@EachLesson
@Execution(ExecutionMode.CONCURRENT)
class ExercisePagesTest {
    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#exercises")
    @DisplayName("the untouched page tells the story and which TODO is open; the solved one comes alive")
    void pages(Exercise exercise) throws Exception {
        for (String folder : List.of("exercises", "solutions")) {
            try (Server server = Server.start(folder + "/" + exercise + ".java")) {
                boolean solved = folder.equals("solutions");
                try (Chromium page =
                        Chromium.open(server).expecting("Failed to load resource",
                                "WebSocket connection", "501")) {
                    assertTrue(page.text(".commands")
                            .contains("./jbang watch " + exercise.number()));
                    assertTrue(page.text("#intro h1").contains("Exercise: "));
                    page.page.locator("#demo button.primary").first().click();
                    if (!solved && !exercise.isWrongAtFirst()) page.seeWire("501");
                    else page.seeWire(".");
                    page.screenshot(folder + "-" + exercise.number());
                    if (solved) assertFalse(
                            page.text("#demo").contains("is not done yet"));
                }
                try (Chromium page = Chromium.open(server, 390, ColorScheme.DARK)) {
                    assertTrue((Boolean) page.page.evaluate(
                            "document.documentElement.scrollWidth <= innerWidth"),
                            "nothing is wider than a telephone");
                    page.screenshot(folder + "-" + exercise.number() + "-390");
                }
            }
        }
    }
}
