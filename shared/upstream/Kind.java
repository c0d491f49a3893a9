package shared.upstream;

import java.util.Locale;

/// The ways to hear a supplier's feed, the best first.
public enum Kind {
    /// One connection on which each message is a frame.
    WEBSOCKET,
    /// One answer that never ends.
    EVENTS,
    /// A request that is held until there is news, then the next one.
    LONG,
    /// A request each `POLL_MS`.
    SHORT;

    /// The next one below, or null.
    public Kind lower() {
        return this == SHORT ? null : values()[ordinal() + 1];
    }

    /// Such as `websocket`.
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
