package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// A tab that is hidden, and shown again.
final class ManyTabsHidden extends ManyTabs {
    private static final int ROUNDS = 100;
    private static final String HIDDEN = json("type", "hidden");
    private static final String SHOWN = json("type", "shown");
    private static final String MISSED =
            "Shown, it hears all that it missed since it was hidden, once and in order.";
    private static final String LIVE =
            "Then it hears what happens, like any other tab.";
    private static final String ONE_STEP =
            " What it missed and what is new are told under one lock.";

    /// What bob has heard, and a tab ought to.
    private final List<JsonNode> told = new ArrayList<>();

    @Requirement(id = "10.5", points = 3, todo = 4)
    @DisplayName("a hidden tab hears nothing; shown, it hears all that it missed, once and in order, and then what happens")
    void hidden() {
        begin(LONG_MS);
        String ada = "ada" + word(3);
        WebSocketClient tab = open(ada, bob.line);
        WebSocketClient beside = open(ada);
        passOver();
        level(tab, beside);
        hide(tab);
        happens(edits(bob, DONE_ALREADY));
        WebSocketClient cat = open("cat" + word(3));
        happens(hears("here", cat.name, DONE_ALREADY));
        happens(edits(eve, DONE_ALREADY));
        expectSilence(tab);
        expectTabs(ada, 2, "A hidden tab is open, and counts as a tab.");
        expectTold(beside, "Only the tab that says so is hidden.");
        show(tab, MISSED);
        twice(tab);
        level(beside);
        show(beside, "It was not hidden, so it has missed nothing.");
        alone(tab, beside);
        sameInstant(tab);
        barrage(tab);
    }

    /// A hidden tab is the only one of its person. Timers are compared with those of a tab that
    /// goes while another one is shown: whether that needs one is 10.3's matter.
    private void alone(WebSocketClient tab, WebSocketClient beside) {
        transcript.afresh();
        WebSocketClient third = open(person(tab));
        int before = timers();
        goes(third, false, 2);
        int most = timers() + Math.max(0, timers() - before);
        passOver();
        level(tab);
        hide(tab);
        goes(beside, false, 1);
        if (timers() > most) {
            expectTimers(most, "A hidden tab counts as a tab: she is not away.");
        }
        String text = word(6);
        eve.say(edit(text));
        bob.hearAll(edited(eve, text), DONE_ALREADY).forEach(this::happens);
        show(tab, MISSED);
    }

    /// These tabs have heard whatever was told before.
    private void level(WebSocketClient... tabs) {
        String last = edits(bob, DONE_ALREADY).toString();
        for (WebSocketClient each : tabs) each.hearAll(last, LIVE);
        told.clear();
    }

    private void happens(JsonNode event) {
        told.add(event);
    }

    /// A tab says that it is hidden. It edits after that, so that bob hears when it is.
    private void hide(WebSocketClient tab) {
        tab.say(HIDDEN);
        happens(edits(tab, "A hidden tab may edit."));
    }

    private void expectTold(WebSocketClient tab, String likely) {
        for (JsonNode each : told) tab.hearNext(each.toString(), likely);
    }

    /// A tab says that it is shown, and edits. It hears what it missed, and then that.
    private void show(WebSocketClient tab, String likely) {
        tab.say(SHOWN);
        happens(edits(tab, DONE_ALREADY));
        expectTold(tab, likely);
        told.clear();
    }

    /// What was told before the ping goes before its pong.
    private void expectSilence(WebSocketClient tab) {
        tab.ping();
        Stage.until(transcript.soon, () -> tab.hasPonged(0));
        if (tab.heard().isEmpty()) return;
        throw tab.failure("nothing, as " + tab.name + " is hidden",
                tab.name + " < " + tab.heard().getFirst(), -1,
                "A hidden tab hears nothing.");
    }

    private void twice(WebSocketClient tab) {
        transcript.afresh();
        level(tab);
        hide(tab);
        happens(edits(bob, DONE_ALREADY));
        hide(tab);
        happens(edits(eve, DONE_ALREADY));
        expectSilence(tab);
        show(tab, MISSED + " It was hidden since the first `hidden`.");
        show(tab, "It was shown already, so it has missed nothing.");
        for (int i = 0; i < 2; i++) {
            hide(tab);
            happens(edits(eve, DONE_ALREADY));
            expectSilence(tab);
            show(tab, MISSED);
        }
        tab.say(HIDDEN);
        show(tab, LIVE);
    }

    /// Holds the thread of the tab where it has read what it missed, and lets bob edit.
    private void sameInstant(WebSocketClient tab) {
        transcript.afresh();
        level(tab);
        hide(tab);
        happens(edits(eve, DONE_ALREADY));
        JsonNode missed = told.getLast();
        String text = word(6);
        transcript.step("(the next two at the same instant)");
        Meeting meeting = stage.meeting(1, "after");
        tab.say(SHOWN);
        meeting.first(() -> tab.hasHeard(missed.toString()));
        bob.say(edit(text));
        meeting.second(() -> bob.hasHeard(edited(bob, text)));
        meeting.letGo();
        happens(bob.hearNext(edited(bob, text), DONE_ALREADY));
        happens(edits(tab, DONE_ALREADY));
        expectTold(tab, MISSED + ONE_STEP);
    }

    private void barrage(WebSocketClient tab) {
        transcript.afresh();
        long n = edits(tab, DONE_ALREADY).path("n").asLong(0);
        tab.hearAll(json("n", n), DONE_ALREADY);
        for (int i = 0; i < ROUNDS; i++) {
            tab.murmur(HIDDEN);
            bob.murmur(edit("b" + i));
            tab.murmur(SHOWN);
            eve.murmur(edit("e" + i));
        }
        transcript.act("(" + ROUNDS + " times " + tab.name
                + " is hidden and shown, while the others edit)");
        for (WebSocketClient each : List.of(bob, eve)) {
            String text = word(6);
            each.say(edit(text));
            bob.hearAll(edited(each, text), DONE_ALREADY);
        }
        String text = word(6);
        tab.say(edit(text));
        for (JsonNode each : tab.hearAll(edited(tab, text), LIVE)) {
            if (each.path("n").asLong(0) == ++n) continue;
            throw tab.failure(json("n", n), tab.name + " < " + each, -1,
                    MISSED + ONE_STEP);
        }
    }
}
