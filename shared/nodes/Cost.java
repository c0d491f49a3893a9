package shared.nodes;

import com.sun.management.UnixOperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/// What this process holds.
///
/// @param heap in bytes
/// @param descriptors open ones; 0 where the system does not tell
public record Cost(long heap, long descriptors, int threads) {
    /// After a collection, so that garbage does not count.
    public static Cost now() {
        System.gc();
        var memory = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        long open = ManagementFactory
                .getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix
                        ? unix.getOpenFileDescriptorCount() : 0;
        return new Cost(memory.getUsed(), open,
                ManagementFactory.getThreadMXBean().getThreadCount());
    }
}
