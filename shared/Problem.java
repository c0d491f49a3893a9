package shared;

/// An HTTP error, answered as problem details (RFC 9457): `{"status","title","detail"}`.
/// Thrown by a handler, turned into an answer by [Routes]. It carries no stack trace, because
/// a client's mistake is not a fault of the server.
public final class Problem extends RuntimeException {
    private static final long serialVersionUID = 1;

    final int status;
    String header;
    String value;

    /// @param status 400..599
    /// @param detail one sentence for the developer of the client
    public Problem(int status, String detail) {
        super(detail, null, false, false);
        this.status = status;
    }

    /// What an exercise answers where its learner has not written the code yet: 501.
    ///
    /// @param number of the TODO, from 1
    public static Problem todo(int number) {
        return new Problem(501, Graded.todo(number));
    }

    /// Is this an answer of [#todo]?
    public boolean isTodo() {
        return status == 501;
    }

    /// The one extra header that some errors need: `Allow`, `Retry-After`, `Upgrade`.
    public Problem with(String header, Object value) {
        this.header = header;
        this.value = value.toString();
        return this;
    }
}
