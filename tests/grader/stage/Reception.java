package grader.stage;

import grader.repo.Trouble;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.function.Consumer;

/// Takes connections on a free port of 127.0.0.1, and handles each on a thread of its own.
final class Reception implements AutoCloseable {
    private final ServerSocket server;

    Reception(Consumer<Socket> handler) {
        try {
            server = new ServerSocket(0, 1000, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw cannotListen(e);
        }
        Thread.ofVirtual().start(() -> accept(handler));
    }

    static Trouble cannotListen(IOException why) {
        return new Trouble("Cannot listen on a local port: " + why.getMessage() + ".");
    }

    private void accept(Consumer<Socket> handler) {
        try {
            while (true) {
                Socket socket = server.accept();
                Thread.ofVirtual().start(() -> handler.accept(socket));
            }
        } catch (IOException closed) {
            // Nobody grades any more.
        }
    }

    int port() {
        return server.getLocalPort();
    }

    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException e) {
            // It is closed as far as it can be.
        }
    }
}
