package shared;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.Arrays;
import java.util.Objects;

/// A place where the grader can hold a thread, to see what happens when something else comes
/// in between: a race that shows once in a million runs then shows in every one. Elsewhere it
/// does nothing.
///
/// The program calls the grader: it connects to the port in [Graded#PAUSES], sends the name of
/// the place, what it tells there, and LF, and goes on when a byte comes or the connection ends.
/// While it is held it sends `b` once, as soon as another thread waits for a lock that the held
/// one has.
public final class Pause {
    private static final String PORT = System.getenv(Graded.PAUSES);
    private static final int LOOK_MS = 2;
    private static volatile Thread counted;
    private static int stepsLeft;

    private Pause() {}

    /// What a request says in [Graded#STEP_HEADER], or null.
    static void stepIn(String steps) {
        if (steps == null) return;
        stepsLeft = Integer.parseInt(steps);
        counted = Thread.currentThread();
    }

    /// The grader puts this before each step of a learner's own code: where no place lies between
    /// two of them, it can hold a thread all the same.
    public static void step() {
        if (counted == Thread.currentThread() && --stepsLeft == 0) at(Graded.STEP);
    }

    /// Tells the grader a number as well.
    public static void at(String place, long told) {
        at(place + "=" + told);
    }

    public static void at(String place) {
        if (PORT == null) return;
        try (Socket grader = new Socket(InetAddress.getLoopbackAddress(),
                Integer.parseInt(PORT))) {
            grader.setTcpNoDelay(true);
            grader.setSoTimeout(LOOK_MS);
            grader.getOutputStream().write((place + "\n").getBytes());
            boolean told = false;
            while (isHeld(grader)) {
                if (told || !blocksAnother()) continue;
                grader.getOutputStream().write('b');
                told = true;
            }
        } catch (IOException gone) {
            // Nobody grades any more.
        }
    }

    private static boolean isHeld(Socket grader) throws IOException {
        try {
            grader.getInputStream().read();
            return false;
        } catch (SocketTimeoutException notYet) {
            return true;
        }
    }

    private static boolean blocksAnother() {
        long own = Thread.currentThread().threadId();
        var threads = ManagementFactory.getThreadMXBean();
        ThreadInfo[] all = threads.getThreadInfo(threads.getAllThreadIds());
        return Arrays.stream(all).filter(Objects::nonNull)
                .filter(each -> each.getLockOwnerId() == own)
                // A carrier is said to wait for the virtual thread that it carries.
                .anyMatch(each -> !each.getLockName()
                        .startsWith("java.lang.VirtualThread"));
    }
}
