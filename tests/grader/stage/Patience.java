package grader.stage;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// How long to wait on a machine that others use as well.
public final class Patience {
    private static final Path LOAD = Path.of("/proc/loadavg");
    private static final int MOST = 8;

    private Patience() {}

    /// What takes `idle` milliseconds on an idle machine may take so many here: as many times as
    /// long as programs wanted each core during the last minute. Where the system does not say,
    /// it counts as idle.
    public static int ms(int idle) {
        try {
            double load = Double.parseDouble(Files.readString(LOAD).split(" ")[0]);
            double each = load / Runtime.getRuntime().availableProcessors();
            return (int) (idle * Math.clamp(each, 1, MOST));
        } catch (IOException | NumberFormatException unknown) {
            return idle;
        }
    }
}
