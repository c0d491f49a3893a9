package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirements;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import tools.jackson.databind.JsonNode;

/// 10 Many tabs: a shared document.
///
/// Two people stay in it for a whole requirement, bob and eve, whose connections belong to the two
/// I/O threads of the program. What a thread had to do before one of them edits is done when bob
/// hears that edit. So nothing else was told where the next two that he hears are their edits.
abstract sealed class ManyTabs extends Requirements
        permits ManyTabsHere, ManyTabsOut, ManyTabsHidden {
    static final int LONG_MS = 600_000;
    static final int MAX_TABS = 3;
    static final String AWAY =
            "Who has no tab left stays for `GRACE_MS`, and comes back without a word.";

    private final List<AutoCloseable> open = new ArrayList<>();
    private final Map<String, Integer> opened = new HashMap<>();
    private HttpConnection line;
    WebSocketClient bob;
    WebSocketClient eve;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
    }

    void begin(int graceMs) {
        node = stage.node(Stage.A,
                Map.of("GRACE_MS", "" + graceMs, "MAX_TABS", "" + MAX_TABS));
        transcript.afresh();
        transcript.act("GRACE_MS=" + graceMs + " MAX_TABS=" + MAX_TABS
                + " ./jbang exercises/10_many_tabs.java (started anew)");
        line = connect(null);
        open.add(line);
        Stage.until(transcript.soon, () -> isQuiet(graceMs)); // of another requirement
        bob = open("bob" + word(3), null);
        hears("here", bob.name, DONE_ALREADY);
        eve = open("eve" + word(3), bob.line);
        hears("here", eve.name, DONE_ALREADY);
    }

    private boolean isQuiet(int graceMs) {
        JsonNode people = people().path("people");
        return graceMs == LONG_MS
                ? people.valueStream().allMatch(each -> each.path("tabs").asInt(0) == 0)
                : people.isEmpty();
    }

    /// A tab, on another I/O thread than `other`, which may be null. It has heard its hello.
    WebSocketClient open(String person, HttpConnection other) {
        HttpConnection own = connect(other);
        open.add(own);
        int number = opened.merge(person, 1, Integer::sum);
        WebSocketClient tab = WebSocketClient.join(own,
                person + (number == 1 ? "" : " " + number), "/doc?person=" + person,
                "doc.v1");
        tab.hearNext(json("type", "hello"), DONE_ALREADY);
        return tab;
    }

    WebSocketClient open(String person) {
        return open(person, null);
    }

    static String person(WebSocketClient tab) {
        return tab.name.split(" ")[0];
    }

    static String edit(String text) {
        return json("type", "edit", "text", text);
    }

    static String edited(WebSocketClient tab, String text) {
        return json("type", "edit", "person", person(tab), "text", text);
    }

    /// A tab edits, and that is the next that bob hears.
    JsonNode edits(WebSocketClient tab, String likely) {
        String text = word(6);
        tab.say(edit(text));
        return bob.hearNext(edited(tab, text), likely);
    }

    /// The next that bob hears is this.
    JsonNode hears(String type, String person, String likely) {
        return bob.hearNext(json("type", type, "person", person), likely);
    }

    /// Bob has heard whatever was told before.
    void passOver() {
        for (WebSocketClient each : List.of(bob, eve)) {
            String text = word(6);
            each.murmur(edit(text));
            bob.hearAll(edited(each, text), DONE_ALREADY);
        }
    }

    /// Nothing was told but what bob has heard.
    void nothingElse(String likely) {
        edits(bob, likely);
        edits(eve, likely);
    }

    JsonNode people() {
        return line.ask("GET", "/people", null).json();
    }

    int timers() {
        return people().path("timers").asInt(-1);
    }

    /// How many tabs a person has, or -1 where she is not here.
    int tabs(String person) {
        return tabs(people(), person);
    }

    private static int tabs(JsonNode people, String person) {
        return people.path("people").valueStream()
                .filter(each -> each.path("person").asString("").equals(person))
                .mapToInt(each -> each.path("tabs").asInt(0)).findFirst().orElse(-1);
    }

    /// @param count of her tabs, or -1 where she must not be here
    void expectTabs(String person, int count, String likely) {
        Answer answer = get("/people").expect(200, DONE_ALREADY);
        if (tabs(answer.json(), person) == count) return;
        throw answer.failure("\"people\" " + (count < 0 ? "without " + person
                : "with " + json("person", person, "tabs", count)), -1, likely);
    }

    void expectTimers(int count, String likely) {
        Answer answer = get("/people").expect(200, DONE_ALREADY);
        if (answer.json().path("timers").asInt(-1) == count) return;
        throw answer.failure("\"timers\" is " + count, -1, likely);
    }

    /// A tab goes, and the program has noticed.
    ///
    /// @param left how many her person has then
    void goes(WebSocketClient tab, boolean byReset, int left) {
        if (byReset) tab.reset();
        else tab.leave();
        noticed(person(tab), left);
    }

    void noticed(String person, int left) {
        Stage.until(transcript.soon, () -> tabs(person) <= left);
    }
}
