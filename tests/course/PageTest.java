import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import shared.course.Course;

/// What the pages of all lessons have in common: what is in view, and how one gets about.
@DisplayName("The pages of lessons")
@EachLesson
@Execution(ExecutionMode.CONCURRENT)
class PageTest {
    /// What acts and lies outside of the window, with its lower edge.
    private static final String OUTSIDE = """
            () => [...document.querySelectorAll("#demo :is(button, input, select, #outcome)")]
              .map((each) => [each.id || each.textContent, each.getBoundingClientRect().bottom])
              .filter(([, bottom]) => bottom > byId("demo").getBoundingClientRect().bottom)
              .map(String)""";
    private static final String WIRE = """
            () => {
              const { top, bottom } = byId("wire-rows").getBoundingClientRect();
              return Math.round(Math.min(bottom, innerHeight) - top);
            }""";

    @ParameterizedTest(name = "{0}")
    @MethodSource("Verify#lessons")
    @DisplayName("all that acts is in view on a small laptop; keys, contents and experiments lead about")
    void page(Course.Lesson lesson) throws Exception {
        try (Server server = Server.start("lessons/" + lesson.name() + ".java");
                Chromium chromium = Chromium.open(server).expecting("")) {
            isInView(lesson, chromium);
            leadsAbout(lesson, chromium);
            experiments(chromium);
        }
    }

    private static void isInView(Course.Lesson lesson, Chromium chromium) {
        for (int[] size : List.of(new int[] {1280, 720}, new int[] {1366, 657})) {
            chromium.page.setViewportSize(size[0], size[1]);
            assertEquals(List.of(), chromium.page.evaluate(OUTSIDE),
                    size[0] + "x" + size[1]);
            int wire = (int) chromium.page.evaluate(WIRE);
            assertTrue(wire >= 200, wire + " px at " + size[0] + "x" + size[1]);
        }
        chromium.screenshot(lesson.number() + "-1366x657");
    }

    /// The lessons, a skip link, the contents, the wire as one stop.
    private static void leadsAbout(Course.Lesson lesson, Chromium chromium) {
        var page = chromium.page;
        chromium.see("#course", Course.LESSONS.getLast().number());
        assertEquals(lesson.number() + " " + lesson.title() + ", you are here",
                page.locator("#course [aria-current=page]").getAttribute("title")
                        .replace(", done", ""));
        page.keyboard().press("Tab");
        assertEquals("Skip to the text",
                page.evaluate("document.activeElement.textContent"));
        page.keyboard().press("Enter");
        assertEquals("#notebook", page.evaluate("location.hash"));
        page.locator("#contents summary").click();
        page.locator("#contents a").last().click();
        assertEquals("The same elsewhere",
                page.evaluate("document.querySelector(location.hash).textContent"));
        page.locator("#course button:not([aria-current])").first().click();
        chromium.see("#course-says", "./jbang lessons/");
        double head = page.locator("nav").boundingBox().height;
        assertTrue(head < 120, "the head is " + head + " px high");
        page.evaluate("() => fetch('/_/nothing-here')");
        chromium.seeWire("GET /_/nothing-here");
        assertEquals(0, page.locator("#wire-rows [tabindex='0']").count());
        page.locator("#wire-rows").focus();
        page.keyboard().press("End");
        page.keyboard().press("Enter");
        assertEquals(1, page.locator("#wire-rows .detail").count());
    }

    /// Each has its button beside its text, too, which says what to look for and what came of it.
    private static void experiments(Chromium chromium) {
        var page = chromium.page;
        List<String> all = page.locator("#demo [data-expect]").allTextContents();
        assertTrue(all.size() >= 4, all::toString);
        assertEquals(all.size(), page.locator("#notebook .try").count(),
                all + " each have a paragraph");
        page.locator("#notebook .try").last().click();
        page.locator("#notebook .guess").first().click();
        boolean asks = page.locator("#demo [data-guesses]").count() > 0;
        chromium.see("#notebook .outcome:not(:empty)", // undefined where there is none yet
                asks ? "You predicted" : "^(?!undefined$|.*it runs)");
        assertEquals(chromium.text("#outcome"),
                chromium.text("#notebook .outcome:not(:empty)"));
    }
}
