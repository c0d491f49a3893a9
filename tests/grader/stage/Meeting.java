package grader.stage;

import java.util.function.BooleanSupplier;

/// A meeting of two threads of the submission, by which every race is checked: the first is held at
/// a place, where it calls `shared.Pause`, and the second comes in between.
///
///     Meeting meeting = stage.meeting(1, "before reading");
///     page.send("GET", "/stock", null);
///     boolean isHeld = meeting.first(page::isThere);
///     shop.send("PUT", "/stock", stock);
///     meeting.second(shop::isThere);
///     meeting.letGo();
///
/// What is begun in between must not be waited for: it may need the first thread to go on.
public final class Meeting {
    /// What has become of the second thread: the first one is not held, so nobody is met; it was
    /// held as well; it is done while the first is held; or it had to wait for the first.
    public enum Second {
        ALONE, HELD, PASSED, WAITS
    }

    private static final int FIRST_MS = 5_000;
    private static final int SECOND_MS = 1_000;
    private static final int BOTH_MS = 2_000;
    private static final int LOOK_MS = 5;
    private static final int LOCK_MS = 1;
    /// What a thread does first may be seen a moment before it comes to the place.
    private static final int LATE_MS = 20;

    private final Pauses pauses;
    private final int nth;
    private final String[] places;
    private boolean both;
    private Pauses.Held first;

    Meeting(Pauses pauses, int nth, String... places) {
        this.pauses = pauses;
        this.nth = nth;
        this.places = places;
        pauses.hold(nth, places);
    }

    /// The second thread is to be held as well, where it comes to such a place, until both are
    /// there. For each of the two we wait two seconds at most.
    public Meeting ofBoth() {
        both = true;
        return this;
    }

    /// Waits until the first thread is held, or is done without that, some seconds at most.
    ///
    /// @return whether it is held
    public boolean first(BooleanSupplier done) {
        Stage.until(Patience.ms(both ? BOTH_MS : FIRST_MS),
                () -> isHeld(LOOK_MS) || done.getAsBoolean());
        boolean isHeld = isHeld(Patience.ms(LATE_MS));
        if (!both) pauses.holdNoMore();
        return isHeld;
    }

    private boolean isHeld(int ms) {
        if (first == null) first = pauses.next(ms);
        return first != null;
    }

    /// Lets the first thread go on, and waits until it is held once more, or is done.
    ///
    /// @return whether it is held
    public boolean again(BooleanSupplier done) {
        if (first == null) return false;
        pauses.hold(nth, places);
        first.close();
        first = null;
        return first(done);
    }

    /// Waits until the second thread is done, or needs a lock of the first one: a second at most,
    /// as some waits do not show, and less where that has happened before. Where the second waits
    /// for the first, both go on; where it is held as well, it goes on, and the first is still
    /// held.
    public Second second(BooleanSupplier done) {
        if (first == null) return Second.ALONE;
        waitFor(both ? BOTH_MS : SECOND_MS, () -> both && pauses.holdsMore()
                || done.getAsBoolean() || first.blocksAnother(LOCK_MS));
        if (both && pauses.releaseMore()) return Second.HELD;
        if (done.getAsBoolean()) return Second.PASSED;
        letGo();
        return Second.WAITS;
    }

    /// Holds the second thread at a place, and lets the first one go on before it: they are in the
    /// same lines of code at once, if the program lets them.
    public void secondAt(String place, BooleanSupplier secondDone,
            BooleanSupplier firstDone) {
        if (first == null) return;
        pauses.hold(1, place);
        Pauses.Held[] second = new Pauses.Held[1];
        waitFor(SECOND_MS, () -> (second[0] = pauses.next(LOCK_MS)) != null
                || secondDone.getAsBoolean() || first.blocksAnother(LOCK_MS));
        pauses.holdNoMore();
        first.close();
        if (second[0] != null) waitFor(SECOND_MS,
                () -> firstDone.getAsBoolean() || second[0].blocksAnother(LOCK_MS));
        letGo();
    }

    private void waitFor(int ms, BooleanSupplier done) {
        if (!Stage.until(pauses.patience(ms), done)) pauses.unseen();
    }

    /// Lets all go on that are held.
    public void letGo() {
        pauses.reset();
        first = null;
    }
}
