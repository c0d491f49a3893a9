package requirements;

import grader.client.Answer;
import grader.client.Failure;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirements;
import grader.requirement.SideBySide;
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
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// 06 Heartbeats: smart meters.
@SideBySide
abstract sealed class Heartbeats extends Requirements
        permits HeartbeatsMeters, HeartbeatsSilence, HeartbeatsSleep {
    private static final int BEAT_MS = 250;
    private static final int MOST_BEAT_MS = 1_000;

    /// What the room was told, and when, in `System.nanoTime()`.
    private record Told(String type, String name, long kwh, long at) {}

    private final List<AutoCloseable> open = new ArrayList<>();
    private List<Told> told;
    private long beatHeard;
    private long slowest;
    /// A meter that answers all pings, in the whole requirement.
    WebSocketClient keeper;

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
    }

    /// Opens the room's stream, and has a meter in it that stays.
    void begin() {
        node = stage.node(Stage.A);
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

    WebSocketClient join(String name) {
        HttpConnection line = connect(null);
        open.add(line);
        WebSocketClient meter =
                WebSocketClient.join(line, name, "/meter?name=" + name, "meter.v1");
        open.add(meter);
        return meter;
    }

    /// A meter that has gone silent: it reads, and answers no ping.
    WebSocketClient joinSilent(String name) {
        WebSocketClient meter = join(name);
        meter.silent();
        transcript.act("(" + name + " answers no ping)");
        return meter;
    }

    static String reading(long kwh) {
        return json("type", "reading", "kwh", kwh);
    }

    static String sleep(long ms) {
        return json("type", "sleep", "ms", ms);
    }

    private static boolean is(Told each, String type, String name) {
        return each.type.equals(type) && each.name.equals(name);
    }

    private long count(String type, String name) {
        return told.stream().filter(each -> is(each, type, name)).count();
    }

    /// Waits until the room is told so, and returns when it was.
    long hears(String type, String name, String likely) {
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

    void expectTold(long times, String type, String name, String likely) {
        settle();
        if (count(type, name) == times) return;
        throw room(times == 0 ? "no `" + type + "` of " + name
                : "one `" + type + "` of " + name, name, likely);
    }

    private static List<String> names(Answer meters) {
        return meters.json().path("meters").valueStream()
                .map(each -> each.path("name").asString("")).toList();
    }

    void isHere(boolean here, String name, String likely) {
        Answer meters = get("/meters").expect(200, DONE_ALREADY);
        if (names(meters).contains(name) == here) return;
        throw meters.failure("\"meters\" " + (here ? "with " : "without ") + name, -1,
                likely);
    }

    /// How many timers there are for no meter that is here.
    static int spare(JsonNode meters) {
        return Math.max(0,
                meters.path("timers").asInt() - meters.path("meters").size());
    }

    /// Runs a check with short beats. Where the grader was so late itself that a meter of its own
    /// may have been due, the check is run again with beats twice as long.
    void inBeats(IntConsumer check) {
        int beat = Math.min(Patience.ms(BEAT_MS), MOST_BEAT_MS);
        for (int more = 2; true; more--, beat *= 2) {
            stage.start(Stage.A, Map.of("BEAT_MS", "" + beat));
            transcript.act("BEAT_MS=" + beat
                    + " ./jbang exercises/06_heartbeats.java (started anew)");
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
    void nextBeat(WebSocketClient reader) {
        keeper.hearUnnoted("{\"type\":\"beat\"}", DONE_ALREADY);
        reader.murmur(reading(number(1, 900)));
        slowest = Math.max(slowest, System.nanoTime() - beatHeard);
        beatHeard = System.nanoTime();
    }

    /// Waits until a meter is gone, some beats at most, by the server's own clock.
    long goneWithin(int beats, String name, WebSocketClient reader,
            String likely) {
        for (int i = 0; i < beats && count("gone", name) == 0; i++) nextBeat(reader);
        return hears("gone", name, () -> true, likely);
    }

    void expectAfter(long due, long at, String name, String likely) {
        if (at >= due) return;
        throw room("no `gone` of " + name + " yet", name, likely);
    }
}
