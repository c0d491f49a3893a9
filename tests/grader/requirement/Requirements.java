package grader.requirement;

//DEPS org.junit.jupiter:junit-jupiter:6.1.3
//DEPS org.junit.platform:junit-platform-launcher:6.1.3
//DEPS io.rest-assured:rest-assured:6.0.1
//DEPS com.fasterxml.jackson.core:jackson-annotations:2.21
//DEPS tools.jackson.core:jackson-core:3.1.7

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.stage.Stage;
import grader.stage.Node;
import grader.client.Transcript;
import io.restassured.RestAssured;
import io.restassured.config.EncoderConfig;
import io.restassured.config.HttpClientConfig;
import io.restassured.config.RedirectConfig;
import io.restassured.config.RestAssuredConfig;
import io.restassured.response.Response;
import io.restassured.specification.RequestSpecification;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
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
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.MethodOrdererContext;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.StoreScope;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.engine.support.store.Namespace;
import org.junit.platform.launcher.LauncherSession;
import tools.jackson.databind.json.JsonMapper;

/// What the requirements of every exercise use: the running submission, a client that notes what it
/// sends, and inputs that vary from run to run. Requirements share one process of the submission
/// and must not rely on what others have left in it; one that did not answer, or has ended, is
/// started anew.
@TestMethodOrder(Requirements.ById.class)
@Timeout(value = Requirements.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class Requirements {
    /// How long a requirement may take.
    public static final int SECONDS = 20;
    protected static final int SOON = HttpConnection.SOON;
    protected static final String DONE_ALREADY = "This part was done already.";

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

    private Grading grading;
    protected Stage stage;
    /// The submission's only node, or the first of several.
    protected Node node;
    protected Transcript transcript;
    protected Random random;

    /// What a requirement needs to know of the grading that it belongs to.
    ///
    /// @param port on which the learner runs the exercise
    public record Grading(Stage stage, long seed, int port) {
        private static final Namespace ROOM = Namespace.create(Grading.class);

        /// Makes this known to the requirements that are run in `session`.
        public void offer(LauncherSession session) {
            session.getStore().put(ROOM, Grading.class, this);
        }
    }

    /// Requirements are decided in the order of their ids.
    static final class ById implements MethodOrderer {
        @Override
        public void orderMethods(MethodOrdererContext context) {
            context.getMethodDescriptors().sort(Comparator.comparing(each -> each
                    .findAnnotation(Requirement.class).map(Requirement::id)
                    .orElse("")));
        }
    }

    @RegisterExtension final BeforeEachCallback found = context -> grading = context
            .getStore(StoreScope.LAUNCHER_SESSION,
                    ExtensionContext.Namespace.create(Grading.class))
            .get(Grading.class, Grading.class);

    @BeforeEach
    final void begin(TestInfo test) {
        Requirement requirement = test.getTestMethod().orElseThrow()
                .getAnnotation(Requirement.class);
        stage = grading.stage;
        node = stage.node(Stage.A);
        transcript = new Transcript(stage, grading.port);
        random = new Random(grading.seed * 31 + requirement.id().hashCode());
    }

    @AfterEach
    final void end() {
        stage.letGo();
    }

    /// A connection of its own, on another I/O thread than `other`, which may be null.
    protected HttpConnection line(HttpConnection other) {
        return HttpConnection.open(node, transcript, other);
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
        transcript.curl(method, path, body, headers);
        return ask(method, path, body, headers);
    }

    /// Asks once, so that the next time is faster.
    public static void warm(String url) {
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
                    "http://localhost:" + node.port() + path);
            return new Answer(transcript, answer.statusCode(), answer.statusLine(),
                    answer.headers().asList().stream()
                            .map(each -> Map.entry(each.getName(), each.getValue()))
                            .toList(),
                    answer.asByteArray());
        } catch (Exception e) {
            if (e instanceof SocketTimeoutException) {
                node.spoil();
                throw transcript.failure("an answer",
                        "nothing within " + SOON / 1000 + " s",
                        -1,
                        "The request is never answered. Does something loop or wait, or does"
                                + " a path lead to no answer?");
            }
            if (e instanceof IOException) {
                throw transcript.failure("an answer",
                        "nothing: the connection ended (" + e.getMessage()
                                + ")",
                        -1, "The server closed the connection without an answer.");
            }
            throw e;
        }
    }
}
