package shared.wire;

/// What is spoken on a connection.
public enum Protocol {
    /// HTTP/1.1, and what an answer may open: an event stream or a WebSocket.
    HTTP,
    /// RESP2 or RESP3, the protocol of Redis.
    RESP
}
