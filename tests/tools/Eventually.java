import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;

/// Waits for something that only asking can tell, such as a gauge behind HTTP.
final class Eventually {
    private Eventually() {}

    /// Asks again and again until `wanted` holds.
    ///
    /// @throws AssertionError with the last value, when `deadline` has passed
    static <T> T see(String what, Duration deadline, Callable<T> question,
            Predicate<T> wanted)
            throws Exception {
        long end = System.nanoTime() + deadline.toNanos();
        while (true) {
            T value = question.call();
            if (wanted.test(value)) return value;
            if (System.nanoTime() > end) {
                throw new AssertionError(what + ": not within " + deadline.toMillis()
                        + " ms; last seen: " + value);
            }
            LockSupport.parkNanos(10_000_000);
        }
    }
}
