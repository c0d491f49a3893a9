package requirements;

import grader.client.Answer;
import grader.client.Failure;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirement;
import grader.requirement.Requirements;
import grader.stage.Patience;
import grader.stage.Stage;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// 06 Heartbeats: smart meters.
@DisplayName("06 Heartbeats: smart meters")
final class Heartbeats extends Requirements {
    private static final int VISITS = 200;
    private static final int BEAT_MS = 250;
    private static final int MOST_BEAT_MS = 1_000;
    private static final int LONG_MS = 600_000;
    private static final String ONCE =
            "Forget the meter only if it is the one in `meters`, and tell the room only then.";

    /// What the room was told, and when, in `System.nanoTime()`.
    private record Told(String type, String name, long kwh, long at) {}

    private final List<AutoCloseable> open = new ArrayList<>();
    private List<Told> told;
    private long beatHeard;
    private long slowest;
    /// A meter that answers all pings, in the whole requirement.
    private WebSocketClient keeper;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
    }

    /// Opens the room's stream, and has a meter in it that stays.
    private void begin() {
        told = new CopyOnWriteArrayList<>();
        transcript.step("curl -N http://localhost:" + node.port() + "/room &");
        HttpClient client = HttpClient.newHttpClient();
        open.add(client::shutdownNow);
        List<Told> heard = told;
        var stream = client.sendAsync(HttpRequest.newBuilder(
                URI.create("http://localhost:" + node.port() + "/room")).build(),
                BodyHandlers.ofLines());
        Thread.ofVirtual().start(() -> {
            try {
                String[] type = {""};
                stream.join().body().forEach(line -> {
                    if (line.startsWith("event:")) type[0] = line.substring(6).strip();
                    if (line.startsWith("data:")) heard.add(parse(type[0], line));
                });
            } catch (RuntimeException ended) {
                // What has come until then has been heard.
            }
        });
        hears("open", "", DONE_ALREADY);
        keeper = join("keeper" + word(4));
        hears("here", keeper.name, "Who comes is told to the room.");
    }

    private static Told parse(String type, String line) {
        JsonNode data = JsonMapper.shared().readTree(line.substring(5));
        return new Told(type, data.path("name").asString(""),
                data.path("kwh").asLong(0),
                System.nanoTime());
    }

    private WebSocketClient join(String name) {
        HttpConnection line = connect(null);
        open.add(line);
        WebSocketClient meter =
                WebSocketClient.join(line, name, "/meter?name=" + name, "meter.v1");
        open.add(meter);
        return meter;
    }

    /// A meter that has gone silent: it reads, and answers no ping.
    private WebSocketClient joinSilent(String name) {
        WebSocketClient meter = join(name);
        meter.silent();
        transcript.act("(" + name + " answers no ping)");
        return meter;
    }

    private static String reading(long kwh) {
        return json("type", "reading", "kwh", kwh);
    }

    private static String sleep(long ms) {
        return json("type", "sleep", "ms", ms);
    }

    private static boolean is(Told each, String type, String name) {
        return each.type.equals(type) && each.name.equals(name);
    }

    private long count(String type, String name) {
        return told.stream().filter(each -> is(each, type, name)).count();
    }

    /// Waits until the room is told so, and returns when it was.
    private long hears(String type, String name, String likely) {
        return hears(type, name, () -> false, likely);
    }

    /// @param over whether it would be too late now
    private long hears(String type, String name, BooleanSupplier over, String likely) {
        Stage.until(transcript.soon,
                () -> count(type, name) > 0 || over.getAsBoolean());
        return told.stream().filter(each -> is(each, type, name)).findFirst()
                .orElseThrow(() -> room("`" + type + "` of " + name, name, likely)).at;
    }

    /// A failure that shows what the room was told of a meter.
    private Failure room(String expected, String name, String likely) {
        String heard = told.stream().filter(each -> each.name.equals(name))
                .map(each -> each.type + " " + name
                        + (each.kwh > 0 ? " " + each.kwh : ""))
                .collect(Collectors.joining("\n"));
        return transcript.failure("in the room, " + expected,
                heard.isEmpty() ? "nothing of " + name : heard, -1, likely);
    }

    /// Waits until the room has heard all that was told before now.
    private void settle() {
        long kwh = number(1_000, 900_000);
        keeper.murmur(reading(kwh));
        Stage.until(transcript.soon, () -> told.stream()
                .anyMatch(each -> each.kwh == kwh && each.name.equals(keeper.name)));
    }

    private void expectTold(long times, String type, String name, String likely) {
        settle();
        if (count(type, name) == times) return;
        throw room(times == 0 ? "no `" + type + "` of " + name
                : "one `" + type + "` of " + name, name, likely);
    }

    private static List<String> names(Answer meters) {
        return meters.json().path("meters").valueStream()
                .map(each -> each.path("name").asString("")).toList();
    }

    private void isHere(boolean here, String name, String likely) {
        Answer meters = get("/meters").expect(200, DONE_ALREADY);
        if (names(meters).contains(name) == here) return;
        throw meters.failure("\"meters\" " + (here ? "with " : "without ") + name, -1,
                likely);
    }

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

    /// How many timers there are for no meter that is here.
    private static int spare(JsonNode meters) {
        return Math.max(0,
                meters.path("timers").asInt() - meters.path("meters").size());
    }

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

    /// Runs a check with short beats. Where the grader was so late itself that a meter of its own
    /// may have been due, the check is run again with beats twice as long.
    private void inBeats(IntConsumer check) {
        int beat = Math.min(Patience.ms(BEAT_MS), MOST_BEAT_MS);
        for (int more = 2; true; more--, beat *= 2) {
            transcript.act("BEAT_MS=" + beat
                    + " ./jbang exercises/06_heartbeats.java (started anew)");
            node = stage.start(Stage.A, Map.of("BEAT_MS", "" + beat));
            slowest = 0;
            begin();
            try {
                keeper.hearUnnoted("{\"type\":\"beat\"}", DONE_ALREADY);
                beatHeard = System.nanoTime();
                check.accept(beat);
                return;
            } catch (Failure failure) {
                long late = Math.max(slowest, keeper.longestGap());
                if (more == 0 || late < 1_600_000L * beat) throw failure;
            }
        }
    }

    /// Waits for the keeper's next beat, and has another meter say something then.
    private void nextBeat(WebSocketClient reader) {
        keeper.hearUnnoted("{\"type\":\"beat\"}", DONE_ALREADY);
        reader.murmur(reading(number(1, 900)));
        slowest = Math.max(slowest, System.nanoTime() - beatHeard);
        beatHeard = System.nanoTime();
    }

    /// Waits until a meter is gone, some beats at most, by the server's own clock.
    private long goneWithin(int beats, String name, WebSocketClient reader,
            String likely) {
        for (int i = 0; i < beats && count("gone", name) == 0; i++) nextBeat(reader);
        return hears("gone", name, () -> true, likely);
    }

    private void expectAfter(long due, long at, String name, String likely) {
        if (at >= due) return;
        throw room("no `gone` of " + name + " yet", name, likely);
    }
}
