package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.client.Transcript;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;

/// Who has too many tabs, and who is put out.
final class ManyTabsOut extends ManyTabs {
    private static final String CAP = "A person may have " + MAX_TABS
            + " tabs, and one more is refused before the upgrade.";
    private static final String TOLD_ONCE =
            "She is gone already. When her closed connections are noticed, nothing is told.";

    @Requirement(id = "10.4", points = 3, todo = 3)
    @DisplayName("one tab too many gets 429; who is put out is gone at once, told once, and her tabs are closed with 1008")
    void capAndOut() {
        begin(LONG_MS);
        String ada = "ada" + word(3);
        List<WebSocketClient> tabs = new ArrayList<>();
        for (int i = 0; i < MAX_TABS; i++) tabs.add(open(ada));
        passOver();
        refused(ada);
        refused(ada);
        nothingElse("Who is refused has not come.");
        expectTabs(ada, MAX_TABS, "Who is refused has not come.");
        goes(tabs.removeFirst(), false, MAX_TABS - 1);
        tabs.add(open(ada)); // there is room again
        passOver();
        refused(ada);

        int timers = timers();
        putOut(ada);
        expectTabs(ada, -1, "Who is put out is gone before the 204.");
        hears("gone", ada, "Who is put out is gone at once, and that is told.");
        for (WebSocketClient each : tabs) {
            each.end("1008", "All tabs of who is put out are closed.");
        }
        nothingElse(TOLD_ONCE);
        expectTimers(timers, "Nobody waits for her any more.");
        WebSocketClient again = open(ada);
        hears("here", ada, "She may come again, and this is a new stay.");
        expectTabs(ada, 1, "She may come again, and this is a new stay.");
        nothingElse("A new stay has nothing to do with the old one.");

        goes(again, false, 0);
        if (tabs(ada) < 0) return; // TODO 2 is open
        putOut(ada);
        expectTabs(ada, -1, "Who is away may be put out as well.");
        hears("gone", ada, "Who is away may be put out as well.");
        expectTimers(timers, "She is gone, so nobody waits for her: cancel the timer.");
        open(ada);
        hears("here", ada, "She may come again, and this is a new stay.");
        nothingElse("A new stay has nothing to do with the old one.");
    }

    private void putOut(String person) {
        delete("/people/" + person).expect(204, DONE_ALREADY);
    }

    private void refused(String person) {
        String path = "/doc?person=" + person;
        transcript.act("./jbang talk --protocol doc.v1 "
                + Transcript.quote("ws://localhost:" + node.port() + path));
        try (HttpConnection alone = connect(null)) {
            Answer answer =
                    alone.ask("GET", path, null, WebSocketClient.upgrade("doc.v1"));
            answer.expect(429, CAP).expectJson("detail", "a sentence",
                    each -> !each.asString("").isBlank(), "A 429 says why.");
        }
    }
}
