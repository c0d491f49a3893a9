package requirements;

import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;

/// Meters come, come again, and go.
final class HeartbeatsMeters extends Heartbeats {
    private static final int VISITS = 200;
    private static final String ONCE =
            "Forget the meter only if it is the one in `meters`, and tell the room only then.";

    @Requirement(id = "06.1", points = 1, todo = 1)
    @DisplayName("a healthy meter comes, is read, says goodbye, and is forgotten")
    void healthy() {
        begin();
        WebSocketClient meter = join(word(6));
        hears("here", meter.name, "Who comes is told to the room.");
        isHere(true, meter.name, "Who comes is one of the meters.");
        meter.say(reading(number(1, 900)));
        hears("reading", meter.name, DONE_ALREADY);
        meter.leave();
        hears("gone", meter.name, "Who goes is told to the room.");
        expectTold(1, "here", meter.name, "It came once.");
        expectTold(1, "gone", meter.name, "It went once.");
        isHere(false, meter.name, "Who goes is forgotten.");
        isHere(true, keeper.name, "Only who goes is forgotten.");
    }

    @Requirement(id = "06.2", points = 3, todo = 1)
    @DisplayName("gone is told once, an old connection takes nobody else along, and nothing is left over")
    void goes() {
        begin();
        String name = word(6);
        WebSocketClient old = join(name);
        hears("here", name, "Who comes is told to the room.");
        WebSocketClient fresh = join(name);
        fresh.say(reading(number(1, 900)));
        hears("reading", name, DONE_ALREADY);
        transcript.step(name + " > (the first connection of " + name + " ends)");
        old.close();
        visit(name + "x", true);
        expectTold(0, "gone", name, "The new connection of this name is still there. "
                + ONCE);
        isHere(true, name, "Its new connection is still there. " + ONCE);
        fresh.reset();
        hears("gone", name, "A reset is an end, too.");
        expectTold(1, "gone", name, ONCE);
        JsonNode before = get("/meters").json();
        for (int i = 0; i < VISITS; i++) visit("visitor" + i, i % 2 == 0);
        transcript
                .step("(" + VISITS + " meters come and go, each other one by a reset)");
        expectSoon("/meters", "as many meters and timers as before: " + before,
                now -> now.path("meters").size() == before.path("meters").size()
                        && now.path("timers").equals(before.path("timers")),
                "A timer that nobody needs any more must be cancelled.");
        for (int i : new int[] {0, 1, VISITS - 1}) {
            expectTold(1, "gone", "visitor" + i, ONCE);
        }
    }

    /// Comes, and goes at once; it is noted by its caller.
    private void visit(String name, boolean byClose) {
        HttpConnection line = connect(null);
        line.ask("GET", "/meter?name=" + name, null,
                WebSocketClient.upgrade("meter.v1"))
                .expect(101, DONE_ALREADY);
        if (byClose) line.close();
        else line.reset();
        hears("gone", name, "Who goes is told to the room.");
    }

    @Requirement(id = "06.3", points = 2, todo = 2)
    @DisplayName("a meter that comes again takes the place of its old connection, and the room hears nothing of it")
    void comes() {
        begin();
        String name = word(6);
        JsonNode before = get("/meters").json();
        WebSocketClient old = join(name);
        hears("here", name, "Who comes is told to the room.");
        WebSocketClient fresh = join(name);
        old.end("1001", "Its place is taken, so the old connection is ended.");
        expectTold(1, "here", name, "It was here already, so nobody has come.");
        fresh.say(reading(number(1, 900)));
        hears("reading", name, "The new connection is as good as the old one was.");
        expectSoon("/meters",
                "at most one timer for each meter that has come: " + before,
                now -> spare(now) <= spare(before),
                "Nobody needs the old meter's timer any more.");
        WebSocketClient other = join(name + "b");
        hears("here", other.name, "Another name is another meter.");
    }
}
