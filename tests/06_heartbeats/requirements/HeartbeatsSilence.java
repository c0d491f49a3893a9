package requirements;

import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import org.junit.jupiter.api.DisplayName;

/// A meter that is not heard any more.
final class HeartbeatsSilence extends Heartbeats {
    @Requirement(id = "06.4", points = 3, todo = 3)
    @DisplayName("a meter is ended two beats after its last frame, and one that answers pings stays")
    void silence() {
        inBeats(beat -> {
            WebSocketClient reader = joinSilent("reads" + word(5));
            long began = System.nanoTime();
            String name = "dead" + word(5);
            WebSocketClient dead = joinSilent(name);
            WebSocketClient later = joinSilent("later" + word(4));
            nextBeat(reader);
            later.say(reading(number(1, 900)));
            nextBeat(reader); // so its last frame comes at least a beat after it has come
            long late = System.nanoTime();
            later.say(reading(number(1, 900)));
            String due =
                    "It is due two beats after its last frame, and then it is ended.";
            long gone = goneWithin(3, name, reader, due);
            expectAfter(began + 2L * beat * 1_000_000, gone, name, due);
            dead.end("1001", "Who is due is ended, by `end()`.");
            long gone2 = goneWithin(5, later.name, reader, due);
            expectAfter(late + 2L * beat * 1_000_000, gone2, later.name, due);
            expectTold(0, "gone", keeper.name,
                    "It answers every ping, and a pong is a frame.");
            expectTold(0, "gone", reader.name, "It sends a reading each beat.");
            isHere(true, keeper.name, "It answers every ping, and a pong is a frame.");
        });
    }
}
