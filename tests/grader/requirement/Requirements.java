package grader.requirement;

//DEPS org.junit.jupiter:junit-jupiter:6.1.3
//DEPS org.junit.platform:junit-platform-launcher:6.1.3
//DEPS com.fasterxml.jackson.core:jackson-annotations:2.21
//DEPS tools.jackson.core:jackson-core:3.1.7

import grader.client.Answer;
import grader.client.HttpConnection;
import grader.stage.Meeting;
import grader.stage.Stage;
import grader.stage.Node;
import grader.client.Transcript;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.MethodOrdererContext;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.StoreScope;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.engine.support.store.Namespace;
import org.junit.platform.launcher.LauncherSession;
import shared.Graded;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// What the requirements of every exercise use: the running submission, a client that notes what it
/// sends, and inputs that vary from run to run. Requirements share one process of the submission
/// and must not rely on what others have left in it; one that did not answer, or has ended, is
/// started anew.
@TestMethodOrder(Requirements.ById.class)
public abstract class Requirements {
    protected static final String DONE_ALREADY = "This part was done already.";

    /// How many steps of the learner's own code a thread is held at, one after the other, at most.
    protected static final int STEPS = 60;

    private Context context;
    protected Stage stage;
    /// The submission's only node, or the first of several.
    protected Node node;
    protected Transcript transcript;
    protected Random random;

    /// What requirements need to know of the grading that they belong to, and what it hears of
    /// them.
    public static final class Context {
        private static final Namespace STORE = Namespace.create(Context.class);

        private final Stage stage;
        private final long seed;
        private final int port;
        private volatile Transcript transcript;

        /// @param port on which the learner runs the exercise
        public Context(Stage stage, long seed, int port) {
            this.stage = stage;
            this.seed = seed;
            this.port = port;
        }

        /// Makes this known to the requirements that are run in `session`.
        public void offer(LauncherSession session) {
            session.getStore().put(STORE, Context.class, this);
        }

        /// What the latest requirement has sent.
        public List<String> steps() {
            return transcript == null ? List.of() : transcript.steps();
        }

        /// The TODO that its latest check is about, or 0 where it has named none.
        public int todo() {
            return transcript == null ? 0 : transcript.todo();
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

    @RegisterExtension final BeforeEachCallback found = extension -> context = extension
            .getStore(StoreScope.LAUNCHER_SESSION,
                    ExtensionContext.Namespace.create(Context.class))
            .get(Context.class, Context.class);

    @BeforeEach
    final void begin(TestInfo test) {
        Requirement requirement = test.getTestMethod().orElseThrow()
                .getAnnotation(Requirement.class);
        stage = context.stage;
        transcript = context.transcript = new Transcript(stage, context.port);
        if (!getClass().isAnnotationPresent(SideBySide.class)) {
            node = stage.node(Stage.A);
        }
        if (stage.first() != null) stage.first().forgetFaults();
        random = new Random(context.seed * 31 + requirement.id().hashCode());
    }

    @AfterEach
    final void end() {
        stage.letGo();
    }

    /// Tries each time that a thread comes to a place, one after the other, until it is not held
    /// there any more: twice, as a busy machine may bring it there too late to be seen.
    ///
    /// @param most how many times are tried at most, for [Graded#STEP] [#STEPS]
    /// @param isHeld is given the number of the time, from 1
    protected static void eachTime(int most, IntPredicate isHeld) {
        for (int nth = 1; nth <= most; nth++) {
            if (!isHeld.test(nth) && !isHeld.test(nth)) return;
        }
    }

    /// A meeting whose first thread is held where it comes to a place for the `nth` time, or, at
    /// [Graded#STEP], before the `nth` step of the learner's own code.
    ///
    /// @param first the connection of its next request
    protected Meeting meetingAt(String place, int nth, HttpConnection first) {
        if (!place.equals(Graded.STEP)) return stage.meeting(nth, place);
        first.once(Graded.STEP_HEADER, nth);
        return stage.meeting(1, place);
    }

    /// From here on the checks are about this TODO, and no more about that of the requirement.
    protected void about(int todo) {
        transcript.about(todo);
    }

    /// A connection, on another I/O thread than `other`, which may be null.
    protected HttpConnection connect(HttpConnection other) {
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
        return send("POST", path, json);
    }

    protected Answer put(String path, String json) {
        return send("PUT", path, json);
    }

    protected Answer delete(String path) {
        return send("DELETE", path, null);
    }

    /// Sends a request on a connection of its own, and notes it.
    ///
    /// @param body JSON, or null
    /// @param headers names and values in turn, beside the body's type
    protected Answer send(String method, String path, String body, String... headers) {
        transcript.curl(method, path, body, headers);
        try (HttpConnection alone = connect(null)) {
            return alone.ask(method, path, body, headers);
        }
    }

    /// Polls until an answer's JSON is right, and expects it.
    ///
    /// @param expected what a failure says of it
    protected void expectSoon(String path, String expected, Predicate<JsonNode> isRight,
            String likely) {
        HttpConnection line = connect(null);
        Stage.until(transcript.soon,
                () -> isRight.test(line.ask("GET", path, null).json()));
        Answer answer = get(path);
        if (!isRight.test(answer.json())) throw answer.failure(expected, -1, likely);
    }

    /// Loads what the first requirement would have to wait for.
    public static void warm() {
        JsonMapper.shared().readTree(json("warm", true));
    }
}
