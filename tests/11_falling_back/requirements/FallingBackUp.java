package requirements;

import grader.requirement.Requirement;
import grader.stage.Upstream;
import org.junit.jupiter.api.DisplayName;

/// How the till comes back to a better transport.
final class FallingBackUp extends FallingBack {
    private static final int MS = 200;
    private static final String REFUSED =
            "A transport that is refused does not work: the next lower one, at once.";
    private static final String CLIMB =
            "After CLIMB_MS on a lower transport the better ones are tried again.";
    private static final String BESIDE =
            "Until the new hello has come, the old one stays open: close it later.";
    private static final String OLD = "With the new hello the old one is closed.";
    private static final String ONCE =
            "Both bring prices for a while: take a price only if it is the next one.";

    @Requirement(id = "11.4", points = 3, todo = 3)
    @DisplayName("better ones are tried beside the one that works, and no price is lost or comes twice")
    void up() {
        beside();
        inTime(MS, this::fromTheTop);
    }

    /// Here no time for a hello is ever over.
    private void beside() {
        Upstream.Call upgrade = begin(LONG_MS, LONG_MS, MS, PAUSE_MS);
        about(1);
        answer(upgrade, 403);
        Upstream.Call old = expectAsked(STREAM, REFUSED);
        about(3);
        accept(old);
        hello(old, price("bread"));
        long since = actedAt;
        expectPrices(DONE_ALREADY);
        upgrade = expectAsked(UPGRADE, CLIMB);
        expectAfter(MS, since, upgrade, "on the lower transport", CLIMB);
        expectStays(old, 1, BESIDE);
        say(old, price("milk"));
        expectPrices(BESIDE);
        answer(upgrade, 403);
        since = actedAt;
        upgrade = expectAsked(UPGRADE,
                "A climb that has failed is tried again, after CLIMB_MS.");
        expectAfter(MS, since, upgrade, "after a climb that has failed", CLIMB);
        accept(upgrade);
        int known = sent.size();
        for (String item : new String[] {"bread", "milk", "bread"}) {
            say(old, price(item));
        }
        expectPrices(BESIDE);
        expectTransport("events",
                "As long as no hello has come, the old one is in use.");
        expectStays(old, 1, BESIDE);
        hello(upgrade);
        expectLeft(old, OLD);
        say(upgrade, sent.get(known));
        pong(upgrade);
        expectPricesNow(ONCE);
        say(upgrade, sent.get(known + 1));
        say(upgrade, sent.get(known + 2));
        say(upgrade, price("tea"));
        expectPrices(ONCE);
        expectTransport("websocket", "With its hello the new one is in use.");
        expectStays(upgrade, 1, "The new one stays open.");
    }

    private void fromTheTop(int ms) {
        String silent = "A better one without a hello in FIRST_MS is given up.";
        Upstream.Call upgrade = begin(ms, LONG_MS, ms, PAUSE_MS);
        about(1);
        answer(upgrade, 403);
        answer(expectAsked(STREAM, REFUSED), 403);
        hello(expectAsked(POLL, REFUSED), price("bread"));
        Upstream.Call old = expectAsked(WAIT, "A hello has come in time.");
        about(3);
        upgrade = expectAsked(UPGRADE, CLIMB);
        late = false;
        accept(upgrade);
        Upstream.Call stream = expectAsked(STREAM,
                silent + " Then the next one is tried, as long as it is better.");
        expectLeft(upgrade, silent);
        expectStays(old, 1, BESIDE);
        late = true;
        accept(stream);
        hello(stream, price("milk"));
        expectLeft(old, OLD);
        expectTransport("events", "With its hello the new one is in use.");
        expectPrices(DONE_ALREADY);
        upgrade = expectAsked(UPGRADE, "From there, too, the till climbs on.");
        expectStays(stream, 1, BESIDE);
        accept(upgrade);
        hello(upgrade);
        expectLeft(stream, OLD);
        expectTransport("websocket", "With its hello the new one is in use.");
    }
}
