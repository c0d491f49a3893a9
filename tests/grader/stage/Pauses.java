package grader.stage;

import grader.repo.Trouble;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/// The grader's end of `shared.Pause`: holds a thread of the submission at a place, and lets it go.
public final class Pauses implements AutoCloseable {
    /// A thread that waits at a place, until it is released.
    public static final class Held implements AutoCloseable {
        private static final int PASSING_MS = 1_000;
        private static final int LOOK_MS = 2;

        private final Socket socket;

        private Held(Socket socket) {
            this.socket = socket;
        }

        /// Waits until another thread of the submission needs a lock that the held one has.
        ///
        /// @return false where none did within `ms`
        public boolean blocksAnother(int ms) {
            try {
                socket.setSoTimeout(ms);
                return socket.getInputStream().read() == 'b';
            } catch (IOException timeOut) {
                return false;
            }
        }

        /// Waits until what came in between is through, or needs a lock of the held thread: a
        /// second at most, as some waits do not show.
        ///
        /// @param through whether it is through
        public void letPass(BooleanSupplier through) {
            for (int ms = 0; ms < PASSING_MS && !through.getAsBoolean();
                    ms += LOOK_MS) {
                if (blocksAnother(LOOK_MS)) return;
            }
        }

        /// Lets the thread go on.
        @Override
        public void close() {
            try {
                socket.close();
            } catch (IOException e) {
                // Then it goes on as well.
            }
        }
    }

    private final ServerSocket server;
    private final BlockingQueue<Held> held = new LinkedBlockingQueue<>();
    private Set<String> holding = Set.of();
    private int passing;

    public Pauses() {
        try {
            server = new ServerSocket(0, 1000, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new Trouble("Cannot listen on a local port: " + e.getMessage() + ".");
        }
        Thread.ofVirtual().start(this::accept);
    }

    public int port() {
        return server.getLocalPort();
    }

    /// From now on every thread that comes to one of these places is held.
    public synchronized void hold(String... places) {
        holding = Set.of(places);
        passing = 0;
    }

    /// From now on the `nth` thread that comes to `place` is held, and each after it.
    public synchronized void hold(String place, int nth) {
        holding = Set.of(place);
        passing = nth - 1;
    }

    /// Holds no more; those that are held stay so until they are released.
    public synchronized void holdNoMore() {
        holding = Set.of();
    }

    /// Waits for the next thread that is held.
    ///
    /// @return null where none came within `ms`
    public Held next(int ms) {
        try {
            return held.poll(ms, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /// Releases every thread that is held, and holds no more.
    public synchronized void reset() {
        holding = Set.of();
        for (Held each = held.poll(); each != null; each = held.poll()) each.close();
    }

    private void accept() {
        try {
            while (true) {
                Socket socket = server.accept();
                Thread.ofVirtual().start(() -> arrive(socket));
            }
        } catch (IOException closed) {
            // Nobody grades any more.
        }
    }

    private void arrive(Socket socket) {
        Held thread = new Held(socket);
        try {
            StringBuilder place = new StringBuilder();
            for (int next = socket.getInputStream().read(); next > '\n'; next = socket
                    .getInputStream().read()) {
                place.append((char) next);
            }
            synchronized (this) {
                if (holding.contains(place.toString())
                        && passing-- <= 0) held.add(thread);
                else thread.close();
            }
        } catch (IOException gone) {
            thread.close();
        }
    }

    @Override
    public void close() {
        reset();
        try {
            server.close();
        } catch (IOException e) {
            // It is closed as far as it can be.
        }
    }
}
