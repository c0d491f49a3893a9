package grader;

import io.restassured.RestAssured;
import io.restassured.config.EncoderConfig;
import io.restassured.config.HttpClientConfig;
import io.restassured.config.RedirectConfig;
import io.restassured.config.RestAssuredConfig;
import io.restassured.response.Response;
import io.restassured.specification.RequestSpecification;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.http.client.HttpClient;
import org.apache.http.conn.scheme.PlainSocketFactory;
import org.apache.http.conn.scheme.Scheme;
import org.apache.http.conn.scheme.SchemeRegistry;
import org.apache.http.impl.client.DefaultHttpClient;
import org.apache.http.impl.conn.BasicClientConnectionManager;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.json.JsonMapper;

/// What the requirements of every exercise use: the running submission, a client that notes what it
/// sends, and inputs that vary from run to run. Requirements share one process of the submission
/// and must not rely on what others have left in it; one that did not answer, or has ended, is
/// started anew.
@TestMethodOrder(ById.class)
@Timeout(value = Requirements.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class Requirements {
    static final int SECONDS = 20;
    /// How long anything that ought to happen may take, in milliseconds.
    protected static final int SOON = 5_000;

    private static final RestAssuredConfig CONFIG = RestAssuredConfig.config()
            .redirect(RedirectConfig.redirectConfig().followRedirects(false))
            .encoderConfig(EncoderConfig.encoderConfig()
                    .appendDefaultContentCharsetToContentTypeIfUndefined(false))
            .httpClient(HttpClientConfig.httpClientConfig()
                    .httpClientFactory(Requirements::client)
                    .setParam("http.connection.timeout", SOON)
                    .setParam("http.socket.timeout", SOON));

    /// Without it, the client would report each broken connection on the terminal.
    private static final Logger QUIET = Logger.getLogger("org.apache.http");

    static {
        QUIET.setLevel(Level.OFF);
    }

    /// A client that sends each request once: a second try would hide the first. It knows no
    /// TLS, which would be set up for each anew.
    @SuppressWarnings("deprecation") // REST Assured takes no other
    private static HttpClient client() {
        var plain = new Scheme("http", 80, PlainSocketFactory.getSocketFactory());
        var schemes = new SchemeRegistry();
        schemes.register(plain);
        var client = new DefaultHttpClient(new BasicClientConnectionManager(schemes));
        client.setHttpRequestRetryHandler((problem, count, context) -> false);
        return client;
    }

    protected Program program;
    protected Talk talk;
    protected Random random;

    @BeforeEach
    final void begin(TestInfo test) {
        Requirement requirement = test.getTestMethod().orElseThrow()
                .getAnnotation(Requirement.class);
        Grading grading = Grading.current();
        program = grading.program();
        talk = grading.talk(program);
        random = new Random(grading.seed() * 31 + requirement.id().hashCode());
    }

    @AfterEach
    final void end() {
        Grading.current().pauses().reset();
    }

    /// Holds the submission's threads where it calls `shared.Pause`.
    protected Pauses pauses() {
        return Grading.current().pauses();
    }

    /// A random whole number from `min` to `max`.
    protected int number(int min, int max) {
        return min + random.nextInt(max - min + 1);
    }

    /// A random word of `length` small letters.
    protected String word(int length) {
        return random.ints(length, 'a', 'z' + 1)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint,
                        StringBuilder::append)
                .toString();
    }

    /// A JSON text of names and values in turn.
    protected static String json(Object... members) {
        Map<String, Object> object = new LinkedHashMap<>();
        for (int i = 0; i < members.length; i += 2) {
            object.put((String) members[i], members[i + 1]);
        }
        return JsonMapper.shared().writeValueAsString(object);
    }

    /// @param headers names and values in turn
    protected Answer get(String path, String... headers) {
        return send("GET", path, null, headers);
    }

    protected Answer post(String path, String json) {
        return send("POST", path, json, "Content-Type", "application/json");
    }

    protected Answer put(String path, String json) {
        return send("PUT", path, json, "Content-Type", "application/json");
    }

    protected Answer delete(String path) {
        return send("DELETE", path, null);
    }

    /// Sends a request on a connection of its own, and notes it.
    ///
    /// @param body or null
    /// @param headers names and values in turn
    protected Answer send(String method, String path, String body, String... headers) {
        talk.curl(method, path, body, headers);
        return ask(method, path, body, headers);
    }

    /// Sends a request whose answer may be held. It is noted and on its way when this returns, but
    /// the server need not have read it.
    protected Later later(String method, String path, String body, String... headers) {
        talk.curl(method, path, body, headers);
        var answer = new CompletableFuture<Answer>();
        Thread.ofPlatform().daemon().start(() -> {
            try {
                answer.complete(ask(method, path, body, headers));
            } catch (Throwable e) {
                answer.completeExceptionally(e);
            }
        });
        return new Later(answer);
    }

    /// An answer that is still to come.
    protected final class Later {
        private final CompletableFuture<Answer> answer;

        private Later(CompletableFuture<Answer> answer) {
            this.answer = answer;
        }

        public boolean isThere() {
            return answer.isDone();
        }

        /// Waits for the answer, [#SOON] at most.
        ///
        /// @param likely why there might be none
        public Answer get(String likely) {
            try {
                return answer.get(SOON, TimeUnit.MILLISECONDS);
            } catch (TimeoutException e) {
                program.spoil("held");
                throw talk.failure("an answer", "nothing within " + SOON / 1000 + " s",
                        -1, likely);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Failure failure) throw failure;
                throw new AssertionError(e.getCause());
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    /// Asks once, so that the next time is faster.
    static void warm(String url) {
        RestAssured.given().config(CONFIG).urlEncodingEnabled(false)
                .header("Content-Type", "application/json").body("{}")
                .request("POST", url)
                .asByteArray();
    }

    private Answer ask(String method, String path, String body, String... headers) {
        try {
            RequestSpecification request = RestAssured.given().config(CONFIG)
                    .urlEncodingEnabled(false);
            for (int i = 0; i < headers.length; i += 2) {
                request.header(headers[i], headers[i + 1]);
            }
            if (body != null) request.body(body);
            Response answer = request.request(method,
                    "http://localhost:" + program.port() + path);
            return new Answer(talk, answer.statusCode(), answer.statusLine(),
                    answer.headers().asList().stream()
                            .map(each -> Map.entry(each.getName(), each.getValue()))
                            .toList(),
                    answer.asByteArray());
        } catch (Exception e) {
            if (e instanceof SocketTimeoutException) {
                program.spoil("no answer");
                throw talk.failure("an answer", "nothing within " + SOON / 1000 + " s",
                        -1,
                        "The request is never answered. Does something loop or wait, or does"
                                + " a path lead to no answer?");
            }
            if (e instanceof IOException) {
                throw talk.failure("an answer",
                        "nothing: the connection ended (" + e.getMessage()
                                + ")",
                        -1, "The server closed the connection without an answer.");
            }
            throw e;
        }
    }
}
