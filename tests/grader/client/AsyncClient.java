package grader.client;

import grader.stage.Node;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// A client on one [HttpConnection] whose answer may be held, and which can leave meanwhile. A
/// server's I/O thread owns the connection; while that thread is held at a place, only connections
/// of another thread are served.
public final class AsyncClient implements AutoCloseable {
    public final HttpConnection line;
    private CompletableFuture<Answer> answer;

    public AsyncClient(Node node, Transcript transcript) {
        this(HttpConnection.open(node, transcript, null));
    }

    private AsyncClient(HttpConnection line) {
        this.line = line;
        line.waitFor(0); // an answer may be held for as long as it takes
    }

    /// A connection that another I/O thread serves than `other`.
    public static AsyncClient besides(AsyncClient other) {
        return new AsyncClient(
                HttpConnection.open(other.line.node, other.line.transcript,
                        other.line));
    }

    /// Sends a request, and notes it. The answer to the one before must have been read.
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn, beside the body's type
    public AsyncClient send(String method, String path, String body,
            String... headers) {
        line.transcript.curl(method, path, body, headers);
        return write(method, path, body, headers);
    }

    /// Sends a GET that is not worth a note.
    public AsyncClient look(String path) {
        return write("GET", path, null);
    }

    /// Sends a request that is not worth a note.
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn, beside the body's type
    public AsyncClient write(String method, String path, String body,
            String... headers) {
        var coming = new CompletableFuture<Answer>();
        answer = coming;
        line.send(method, path, body, headers);
        Thread.ofVirtual().start(() -> {
            try {
                coming.complete(line.answer());
            } catch (RuntimeException | Failure e) {
                coming.completeExceptionally(e);
            }
        });
        return this;
    }

    /// Has the answer to the last request come?
    public boolean isThere() {
        return answer.isDone();
    }

    /// Waits for the answer to the last request, some seconds at most.
    ///
    /// @param likely why there might be none
    public Answer get(String likely) {
        try {
            return answer.get(line.transcript.soon, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            line.node.spoil();
            throw line.transcript.failure("an answer",
                    "nothing " + line.transcript.within(),
                    -1, likely);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Failure failure) throw failure;
            throw new AssertionError(e.getCause());
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /// Leaves, in the middle of an answer or not.
    @Override
    public void close() {
        line.close();
    }

    /// Leaves as a client does that crashes: without a farewell.
    public void reset() {
        line.reset();
    }
}
