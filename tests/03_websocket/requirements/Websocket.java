package requirements;

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.client.WebSocketClient;
import grader.requirement.Requirements;
import grader.stage.Meeting;
import grader.stage.Stage;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import tools.jackson.databind.JsonNode;

/// 03 WebSocket: a live auction.
abstract sealed class Websocket extends Requirements
        permits WebsocketPeople, WebsocketBids, WebsocketOneStep {
    static final String PATH = "/auction?name=";
    static final String PROTOCOL = "auction.v1";
    static final String ERROR = json("type", "error");
    static final String ONE_STEP =
            " Hold one lock from the look at the board until all is told.";
    /// How long a program may take that hands what it reads to another thread to decide, in
    /// milliseconds.
    static final int A_MOMENT = 100;
    /// How long we wait for what a right program may also do without, in milliseconds.
    private static final int A_WHILE = 2_000;

    private final List<AutoCloseable> open = new ArrayList<>();

    @AfterEach
    void leave() throws Exception {
        for (AutoCloseable each : open) each.close();
    }

    @Override
    protected HttpConnection connect(HttpConnection other) {
        HttpConnection line = super.connect(other);
        open.add(line);
        return line;
    }

    WebSocketClient join(String name, HttpConnection line) {
        String encoded = URLEncoder.encode(name, StandardCharsets.UTF_8);
        WebSocketClient peer = WebSocketClient.join(line, name,
                PATH + encoded.replace("+", "%20"), PROTOCOL,
                "joined", "left");
        open.add(peer);
        return peer;
    }

    WebSocketClient join(String name) {
        return join(name, connect(null));
    }

    /// A text in which somebody may take some characters for more than that.
    String oddly(String word) {
        return " \"" + word + "\" '\\ <b>&amp;</b> \ud83d\ude00 ";
    }

    /// Begins a new lot: nothing of an old one matters any more, and all who are here hear it.
    ///
    /// @return what they hear
    String begin() {
        return begin("lot " + word(6));
    }

    String begin(String title) {
        post("/lots", json("title", title)).expect(204, DONE_ALREADY);
        return lot(title, 0, null);
    }

    /// The same, and waits until all of these know it.
    void begin(WebSocketClient... peers) {
        begin("lot " + word(6), peers);
    }

    void begin(String title, WebSocketClient... peers) {
        await(false, peers);
        String lot = begin(title);
        for (WebSocketClient each : peers) each.hearAll(lot,
                "A new lot is told to all.");
    }

    private static String lot(String title, int highest, String bidder) {
        return json("type", "lot", "title", title, "highest", highest, "bidder",
                bidder);
    }

    static String bid(int amount) {
        return json("type", "bid", "amount", amount);
    }

    static String bid(int amount, String bidder) {
        return json("type", "bid", "amount", amount, "bidder", bidder);
    }

    static String outbid(int highest, String bidder) {
        return json("type", "outbid", "highest", highest, "bidder", bidder);
    }

    static String presence(String type, String name) {
        return json("type", type, "name", name);
    }

    static List<String> names(Answer answer) {
        return answer.json().path("bidders").valueStream().map(JsonNode::asString)
                .toList();
    }

    /// Waits until these peers are here, each of those with the same name, too; for
    /// two seconds at most, as a program without a list of bidders may be right in the rest.
    ///
    /// @param alone whether to wait until nobody else is
    void await(boolean alone, WebSocketClient... peers) {
        HttpConnection line = connect(null);
        until(() -> {
            List<String> others =
                    new ArrayList<>(names(line.ask("GET", "/bidders", null)));
            boolean here =
                    Arrays.stream(peers).allMatch(each -> others.remove(each.name));
            return here && (!alone || others.isEmpty());
        });
    }

    static List<JsonNode> ofType(String type, List<JsonNode> messages) {
        return messages.stream()
                .filter(each -> each.path("type").asString("").equals(type)).toList();
    }

    static String shown(List<JsonNode> messages) {
        return messages.stream().map(JsonNode::toString)
                .collect(Collectors.joining("\n"));
    }

    /// The next two act at the same instant.
    ///
    /// @param nth how often the first one's thread comes to the place before it is held
    Meeting meeting(int nth, String place) {
        transcript.step("(the next two at the same instant)");
        return stage.meeting(nth, place).ofBoth();
    }

    /// Begins a lot as the second of a meeting, and lets both go on.
    void beginMeanwhile(String title, HttpConnection clerk, Meeting meeting) {
        transcript.curl("POST", "/lots", json("title", title));
        clerk.send("POST", "/lots", json("title", title));
        meeting.second(clerk::isAnswered);
        meeting.letGo();
        clerk.answer().expect(204, DONE_ALREADY);
    }

    /// Waits for what only a wrong program does not bring about; whether it did shows later.
    static void until(BooleanSupplier done) {
        Stage.until(A_WHILE, done);
    }
}
