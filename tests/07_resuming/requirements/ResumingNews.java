package requirements;

import grader.requirement.Requirement;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;

/// What comes, and how the mirror goes on after an end.
final class ResumingNews extends Resuming {
    @Requirement(id = "07.1", points = 1, todo = 3)
    @DisplayName("what a healthy agency sends is in the paper, in order")
    void healthy() {
        begin(LONG_MS);
        open();
        expectState("live", DONE_ALREADY);
        for (int i = 1; i <= 3; i++) item("a" + i);
        expectNews("Each event `item` is added.");
        follow();
        open();
        item("b1");
        expectNews("Who begins anew has no news.");
        agency.isSettled = true;
    }

    @Requirement(id = "07.4", points = 3, todo = 3)
    @DisplayName("each return has the last id; reset leads to the snapshot, and on from its cursor")
    void resumes() {
        begin(LONG_MS);
        String first = "x" + word(3) + ":" + number(1, 99);
        open();
        item(first);
        item(null);
        expectNews(DONE_ALREADY);
        String last = "An event without an id does not change the cursor.";
        end();
        expectStream(first, last);
        open();
        end();
        expectStream(first,
                "The cursor is sent at each return, not only at the first.");
        open();
        String second = "c" + word(2); // smaller and shorter, if they were compared
        item(second);
        expectNews(DONE_ALREADY);
        end();
        expectStream(second, "The cursor is the last id that came.");
        open();
        String third = "b" + word(1);
        send("id: " + third + "\nevent: ping\ndata: {}\n\n");
        item(null);
        expectNews("Only events `item` are news.");
        end();
        expectStream(third, "The cursor is the last id, of whatever event.");
        open();
        send("event: reset\ndata: {}\n\n");
        String snapshot = "On `reset`, leave the stream, and load the snapshot.";
        expectSnapshot(snapshot);
        answer(503);
        expectSnapshot(
                "As long as it could not be loaded, there is no cursor: load again.");
        String cursor = word(3) + "/" + number(1, 99);
        keys.add(word(5));
        keys.add(word(5));
        note("it answers with all news, two of them new, and the cursor " + cursor);
        call.answer(200, json("cursor", cursor, "items",
                keys.stream()
                        .map(each -> Map.of("key", each, "text", "News of " + each))
                        .toList()),
                "Content-Type", "application/json");
        expectStream(cursor, "After the snapshot you come back with its cursor.");
        open();
        item(word(4));
        expectNews("Of the snapshot, news with a new key are added.");
        expectState("live", DONE_ALREADY);
        expectNoMore(ONE);
        agency.isSettled = true;
    }

    private void expectSnapshot(String likely) {
        next("GET /wire/snapshot", likely);
        if (!call.path.equals("/wire/snapshot")) {
            throw fails("GET /wire/snapshot at the agency",
                    request(call.path, call.headers.get("last-event-id")), -1, likely);
        }
        noteRequest();
    }
}
