package grader.stage;

import java.io.IOException;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// The grader's end of `shared.Pause`: holds threads of the submission at a place, and lets them
/// go. Requirements use it by a [Meeting].
final class Pauses implements AutoCloseable {
    /// A thread that waits at a place, until it is released.
    static final class Held {
        private final Socket socket;

        private Held(Socket socket) {
            this.socket = socket;
        }

        /// Waits until another thread of the submission needs a lock that the held one has.
        ///
        /// @return false where none did within `ms`
        boolean blocksAnother(int ms) {
            try {
                socket.setSoTimeout(ms);
                return socket.getInputStream().read() == 'b';
            } catch (IOException timeOut) {
                return false;
            }
        }

        /// Lets the thread go on.
        void close() {
            try {
                socket.close();
            } catch (IOException e) {
                // Then it goes on as well.
            }
        }
    }

    private static final int HALVED = 5;

    private final BlockingQueue<Held> untold = new LinkedBlockingQueue<>();
    private final Queue<Held> told = new ConcurrentLinkedQueue<>();
    private Set<String> holding = Set.of();
    private int passing;
    private int unseen;
    private final Map<String, Long> numbers = new ConcurrentHashMap<>();
    private final Reception reception = new Reception(this::arrive);

    int port() {
        return reception.port();
    }

    /// From now on the `nth` thread that comes to one of these places is held, and each after it.
    synchronized void hold(int nth, String... places) {
        holding = Set.of(places);
        passing = nth - 1;
    }

    /// Holds no more; those that are held stay so until they are released.
    synchronized void holdNoMore() {
        holding = Set.of();
    }

    /// Waits for the next thread that is held.
    ///
    /// @return null where none came within `ms`
    Held next(int ms) {
        try {
            Held next = untold.poll(ms, TimeUnit.MILLISECONDS);
            if (next != null) told.add(next);
            return next;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /// Is a thread held that [#next] has not told of?
    boolean holdsMore() {
        return !untold.isEmpty();
    }

    /// Holds no more, and releases those that [#next] has not told of.
    ///
    /// @return whether there was one
    synchronized boolean releaseMore() {
        holding = Set.of();
        List<Held> more = new ArrayList<>();
        untold.drainTo(more);
        more.forEach(Held::close);
        return !more.isEmpty();
    }

    /// Holds no more, and releases every thread that is held.
    synchronized void reset() {
        releaseMore();
        told.forEach(Held::close);
        told.clear();
    }

    /// A thread has waited for a held one, and not for a lock that shows.
    void unseen() {
        unseen++;
    }

    /// How often that has happened.
    int timesUnseen() {
        return unseen;
    }

    /// How long to wait for what takes so many milliseconds at most on an idle machine, as long as
    /// all waits show.
    int patience(int ms) {
        return Patience.ms(ms >> Math.min(unseen, HALVED));
    }

    /// The number that was told last at a place; it is forgotten then.
    ///
    /// @return null where there is none
    Long number(String place) {
        return numbers.remove(place);
    }

    private void arrive(Socket socket) {
        Held thread = new Held(socket);
        try {
            StringBuilder line = new StringBuilder();
            for (int next = socket.getInputStream().read(); next > '\n'; next = socket
                    .getInputStream().read()) {
                line.append((char) next);
            }
            String[] place = line.toString().split("=", 2);
            if (place.length > 1 && place[1].matches("-?\\d{1,18}")) {
                numbers.put(place[0], Long.parseLong(place[1]));
            }
            synchronized (this) {
                if (holding.contains(place[0])
                        && passing-- <= 0) untold.add(thread);
                else thread.close();
            }
        } catch (IOException gone) {
            thread.close();
        }
    }

    @Override
    public void close() {
        reset();
        reception.close();
    }
}
