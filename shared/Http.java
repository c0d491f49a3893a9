package shared;

//DEPS tools.jackson.core:jackson-databind:3.1.7

import io.undertow.server.HttpServerExchange;
import io.undertow.server.handlers.sse.ServerSentEventConnection;
import io.undertow.util.AttachmentKey;
import io.undertow.util.Headers;
import io.undertow.util.HttpString;
import io.undertow.util.Methods;
import io.undertow.util.PathTemplateMatch;
import io.undertow.util.SameThreadExecutor;
import io.undertow.util.StatusCodes;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpResponse;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.xnio.IoUtils;
import org.xnio.channels.StreamSourceChannel;
import io.undertow.server.protocol.http.HttpServerConnection;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// Reads requests and writes answers: strict JSON in, JSON out.
public final class Http {
    /// Writes a record's members in the order in which they are declared, and numbers as they came.
    public static final JsonMapper JSON = JsonMapper.builder()
            .disable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();

    private static final Pattern WAIT = Pattern.compile(
            "(?i)(?:^|,)\\s*wait\\s*=\\s*(\"?)(\\d+)\\1\\s*(?=[,;]|$)");
    private static final AttachmentKey<Departure> DEPARTURE =
            AttachmentKey.create(Departure.class);

    /// When a client is gone, we close our side a little later. XNIO looks at all its sockets
    /// for each that it closes; while thousands leave at once, they are all busy.
    private static final int CLOSE_MS = 300;

    /// A 401 has a challenge (RFC 9110 section 15.5.2). No scheme that is registered means a
    /// signature of the body, so this is a plain word; browsers know it not, and ask nobody for a
    /// password.
    private static final String CHALLENGE = "Signature";

    private Http() {}

    /// Answers with a JSON body. `value` is anything that Jackson can write.
    public static void json(HttpServerExchange exchange, int status, Object value) {
        send(exchange, status, "application/json", JSON.writeValueAsString(value));
    }

    /// Answers without a body: 202, 204, 304.
    public static void empty(HttpServerExchange exchange, int status) {
        exchange.setStatusCode(status).endExchange();
    }

    /// Answers with a text of any media type, in UTF-8.
    public static void send(HttpServerExchange exchange, int status, String type,
            String text) {
        exchange.setStatusCode(status);
        exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, type);
        exchange.getResponseSender().send(text, StandardCharsets.UTF_8);
    }

    /// Answers with problem details (RFC 9457).
    public static void problem(HttpServerExchange exchange, Problem problem) {
        if (exchange.isResponseStarted()) {
            IoUtils.safeClose(exchange.getConnection());
            return;
        }
        if (problem.status == 401) {
            exchange.getResponseHeaders().put(Headers.WWW_AUTHENTICATE, CHALLENGE);
        }
        if (problem.header != null) {
            exchange.getResponseHeaders().put(new HttpString(problem.header),
                    problem.value);
        }
        String title = switch (problem.status) { // of RFC 9110, where Undertow has older ones
            case 413 -> "Content Too Large";
            case 421 -> "Misdirected Request";
            case 422 -> "Unprocessable Content";
            default -> StatusCodes.getReason(problem.status);
        };
        exchange.setReasonPhrase(title);
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("status", problem.status);
        body.put("title", title);
        body.put("detail", problem.getMessage());
        send(exchange, problem.status, "application/problem+json",
                JSON.writeValueAsString(body));
    }

    /// Decodes bytes that must be well-formed UTF-8.
    ///
    /// @throws Problem 400 where they are not
    public static String utf8(byte[] bytes) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new Problem(400, "The body is not valid UTF-8.");
        }
    }

    /// Parses a body that must be one JSON object. No body at all counts as `{}`.
    ///
    /// @throws Problem 400 where it is something else
    public static ObjectNode object(byte[] body) {
        String text = utf8(body);
        try {
            if (text.isEmpty()) return JSON.createObjectNode();
            if (JSON.readTree(text) instanceof ObjectNode object) return object;
        } catch (JacksonException e) {
            throw new Problem(400,
                    "This is not valid JSON: " + e.getOriginalMessage());
        } catch (NumberFormatException e) {
            throw new Problem(400, "This has a number that is too long to read.");
        }
        throw new Problem(400, "The body must be a JSON object.");
    }

    /// A whole number within `min..max`. `1.0` is 1, as JSON has one number type.
    ///
    /// @throws Problem 400 where it is missing, of another type, fractional or out of range
    public static long integer(ObjectNode object, String member, long min, long max) {
        JsonNode node = object.path(member);
        if (node.isNumber()) {
            BigDecimal value = node.decimalValue();
            boolean fits = value.compareTo(BigDecimal.valueOf(min)) >= 0
                    && value.compareTo(BigDecimal.valueOf(max)) <= 0
                    && value.stripTrailingZeros().scale() <= 0;
            if (fits) return value.longValueExact();
        }
        throw new Problem(400, "'%s' must be a whole number from %s to %s."
                .formatted(member, min, max));
    }

    /// A string. Unpaired surrogates are refused, as no UTF-8 can carry them.
    ///
    /// @throws Problem 400 where it is missing or of another type
    public static String text(ObjectNode object, String member) {
        JsonNode node = object.path(member);
        if (node.isString()
                && StandardCharsets.UTF_8.newEncoder().canEncode(node.stringValue())) {
            return node.stringValue();
        }
        throw new Problem(400, "'%s' must be a string.".formatted(member));
    }

    /// A query parameter, or null where it is absent.
    ///
    /// @throws Problem 400 where it is given more than once
    public static String query(HttpServerExchange exchange, String name) {
        var values = exchange.getQueryParameters().get(name);
        if (values == null) return null;
        if (values.size() > 1) {
            throw new Problem(400, "'%s' is given more than once.".formatted(name));
        }
        return values.getFirst();
    }

    /// A query parameter that is a whole number within `min..max`, or `usual` where it is absent.
    ///
    /// @throws Problem 400 where it is something else, or given more than once
    public static long queryInteger(HttpServerExchange exchange, String name,
            long usual,
            long min, long max) {
        String value = query(exchange, name);
        if (value == null) return usual;
        if (value.matches("\\d{1,18}") && Long.parseLong(value) >= min
                && Long.parseLong(value) <= max) {
            return Long.parseLong(value);
        }
        throw new Problem(400, "'%s' must be a whole number from %s to %s."
                .formatted(name, min, max));
    }

    /// How many seconds a client is ready to wait: `Prefer: wait=N` (RFC 7240 section 4.3),
    /// at most `max`; `usual` where it is absent or cannot be read.
    public static int preferredWait(HttpServerExchange exchange, int usual, int max) {
        var lines = exchange.getRequestHeaders().get("Prefer");
        var found = WAIT.matcher(lines == null ? "" : String.join(",", lines));
        if (!found.find()) return usual;
        return (int) Math.min(max, Double.parseDouble(found.group(2)));
    }

    /// What `Retry-After` asks for, in milliseconds: seconds, or a date, which counts from the
    /// answer's own `Date` (RFC 9110 section 10.2.3). 0 where it is absent or makes no sense.
    public static long retryAfter(HttpResponse<?> answer) {
        String asked = answer.headers().firstValue("Retry-After").orElse("");
        if (asked.matches("\\d{1,9}")) return Long.parseLong(asked) * 1_000;
        String date = answer.headers().firstValue("Date").orElse("");
        try {
            return Math.max(0, ChronoUnit.MILLIS.between(date(date), date(asked)));
        } catch (DateTimeException neither) {
            return 0;
        }
    }

    /// What to try in turn for a URL of this machine: `localhost` has two addresses, of which the
    /// JDK's HttpClient tries only one.
    public static List<URI> addresses(URI url) {
        if (!url.getHost().equalsIgnoreCase("localhost")) return List.of(url);
        return List.of(url, URI.create(url.toString()
                .replaceFirst("(?i)//localhost", "//[::1]")));
    }

    private static Instant date(String text) {
        return Instant.from(DateTimeFormatter.RFC_1123_DATE_TIME.parse(text));
    }

    /// The part of the path that a template such as `/payments/{id}` names.
    public static String path(HttpServerExchange exchange, String name) {
        return exchange.getAttachment(PathTemplateMatch.ATTACHMENT_KEY).getParameters()
                .get(name);
    }

    /// Answers with an event stream (WHATWG HTML, 9.2); `opened` gets it on the I/O thread. The
    /// head goes with the first event. HEAD gets the head alone. The lesson's page may read it
    /// by the cable, too.
    public static void events(HttpServerExchange exchange,
            Consumer<ServerSentEventConnection> opened) {
        exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "text/event-stream")
                .put(Headers.CACHE_CONTROL, "no-store")
                .put(new HttpString("X-Accel-Buffering"), "no") // nginx passes it on at once
                .put(new HttpString("Access-Control-Allow-Origin"),
                        "http://localhost:"
                                + exchange.getDestinationAddress().getPort());
        if (exchange.getRequestMethod().equals(Methods.HEAD)) return;
        exchange.dispatch(SameThreadExecutor.INSTANCE, () -> {
            exchange.setPersistent(false);
            opened.accept(new ServerSentEventConnection(exchange,
                    exchange.getResponseChannel()));
        });
    }

    /// Who waits to hear that a connection is gone. One a connection, however many requests
    /// it carries.
    private static final class Departure {
        private final Executor later;
        private Runnable gone;

        Departure(Executor later) { this.later = later; }

        /// Runs the action in a task of its own: who closes a connection may hold a lock.
        void happens() {
            Runnable action = gone;
            gone = null;
            if (action != null) later.execute(action);
        }
    }

    /// Runs `gone` once, on the connection's I/O thread, when the client closes its side or
    /// resets while its answer is held. A parked exchange reads nothing, so it would not
    /// notice: we listen for end of file, and give back any byte of a pipelined request.
    /// Over HTTP/2 `gone` runs when the stream ends, however it does.
    public static void onGone(HttpServerExchange exchange, Runnable gone) {
        if (!(exchange.getConnection() instanceof HttpServerConnection connection)) {
            exchange.addExchangeCompleteListener((done, next) -> {
                exchange.getIoThread().execute(gone);
                next.proceed();
            });
            return;
        }
        Departure known = connection.getAttachment(DEPARTURE);
        Departure departure =
                known == null ? new Departure(connection.getIoThread()) : known;
        departure.gone = gone;
        if (known == null) {
            connection.putAttachment(DEPARTURE, departure);
            connection.addCloseListener(closed -> departure.happens());
        }
        exchange.addExchangeCompleteListener((done, next) -> {
            if (connection.isOpen()) departure.gone = null; // else a write has failed
            next.proceed();
        });
        if (connection.getExtraBytes() != null) return;
        var source = connection.getChannel().getSourceChannel();
        source.setConduit(connection.getOriginalSourceConduit()); // past the body's end
        source.setReadListener(channel -> {
            var pooled = connection.getByteBufferPool().allocate();
            int read = readOrEnd(channel, pooled.getBuffer());
            if (read != 0) channel.suspendReads();
            if (read > 0) {
                pooled.getBuffer().flip();
                connection.ungetRequestBytes(pooled);
                return;
            }
            pooled.close();
            if (read == 0) return;
            departure.happens();
            connection.getIoThread().executeAfter(
                    () -> IoUtils.safeClose(connection), CLOSE_MS,
                    TimeUnit.MILLISECONDS);
        });
        source.resumeReads();
    }

    private static int readOrEnd(StreamSourceChannel channel, ByteBuffer buffer) {
        try {
            return channel.read(buffer);
        } catch (IOException reset) {
            return -1;
        }
    }
}
