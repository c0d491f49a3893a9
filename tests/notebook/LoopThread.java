package org.rapaio.jupyter.kernel.channels;

import java.util.concurrent.CountDownLatch;

/// Stands in for the kernel's own class (3.0.1), whose threads end at once where they run before
/// `start` has returned, or hear Jupyter before they have a handler: on a busy machine every second
/// kernel never answered.
public final class LoopThread extends Thread {
    private static final CountDownLatch READY = new CountDownLatch(1);
    private final long sleep;
    private final Runnable body;
    private volatile boolean running = true;

    public LoopThread(String name, long sleep, Runnable body) {
        super(name);
        this.sleep = sleep;
        this.body = body;
    }

    /// All handlers are there.
    public static void begin() {
        READY.countDown();
    }

    @Override
    public void run() {
        try {
            READY.await();
            while (running) {
                body.run();
                Thread.sleep(sleep);
            }
        } catch (InterruptedException ended) {
            // As the kernel wants it.
        }
    }

    public void shutdown() {
        running = false;
    }
}
