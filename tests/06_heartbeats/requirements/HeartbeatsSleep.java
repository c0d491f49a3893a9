package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import org.junit.jupiter.api.DisplayName;

/// A meter that says for how long it will not be heard.
final class HeartbeatsSleep extends Heartbeats {
    private static final int LONG_MS = 600_000;

    @Requirement(id = "06.5", points = 3, todo = 4)
    @DisplayName("a meter that sleeps is due two beats after the end of its sleep; a new sleep replaces the old")
    void sleeping() {
        inBeats(beat -> {
            WebSocketClient reader = joinSilent("reads" + word(5));
            WebSocketClient longer = joinSilent("long" + word(5));
            longer.say(sleep(LONG_MS));
            WebSocketClient shorter = joinSilent("short" + word(5));
            shorter.say(sleep(LONG_MS));
            long slept = System.nanoTime();
            WebSocketClient sleeper = joinSilent("sleep" + word(5));
            sleeper.say(sleep(4L * beat));
            nextBeat(reader);
            sleeper.say(reading(number(1, 900)));
            for (int i = 0; i < 3; i++) nextBeat(reader); // a timer has rung meanwhile
            long again = System.nanoTime();
            shorter.say(sleep(beat));
            String due = "It sleeps for four beats, and is due two beats after that.";
            long gone = goneWithin(5, sleeper.name, reader, due);
            expectAfter(slept + 6L * beat * 1_000_000, gone, sleeper.name, due);
            String replaced = "The second sleep replaces the first, and ends earlier.";
            long gone2 = goneWithin(5, shorter.name, reader, replaced);
            expectAfter(again + 3L * beat * 1_000_000, gone2, shorter.name, replaced);
            expectTold(0, "gone", longer.name, "It sleeps for ten minutes.");
            expectSoon("/meters", "at most one timer for each meter",
                    now -> spare(now) == 0,
                    "A new sleep sets a new timer. What becomes of the old one?");
        });
    }
}
