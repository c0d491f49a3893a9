package grader.repo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// What a learner has reached, in `.progress/progress.json`. It only says where to go on; what
/// counts is a fresh grade. A file that cannot be read counts as empty. One that cannot be written
/// is said, and hinders nothing.
public final class Progress {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static ObjectNode unwritten;

    private Progress() {}

    /// Where it is kept, and the snapshots.
    public static Path folder() {
        return Repo.root().resolve(".progress");
    }

    private static Path file() {
        return folder().resolve("progress.json");
    }

    private static ObjectNode read() {
        if (unwritten != null) return unwritten;
        try {
            if (Files.exists(file()) && JSON.readTree(Files
                    .readAllBytes(file())) instanceof ObjectNode found) return found;
        } catch (IOException | JacksonException halfWritten) {
            // Then nothing is done yet; grading finds out again.
        }
        return JSON.createObjectNode();
    }

    /// Was the exercise done when it was graded last?
    public static boolean isDone(Exercise exercise) {
        return read().path(exercise.name()).path("done").asBoolean(false);
    }

    /// The first exercise that was not done when it was graded last; the first of all where
    /// every one was.
    public static Exercise current() {
        List<Exercise> all = Exercise.all();
        return all.stream().filter(each -> !isDone(each)).findFirst()
                .orElse(all.getFirst());
    }

    /// Notes what a grading has found.
    ///
    /// @param next the requirement to look at next, or null
    /// @param state of the exercise when it was graded
    public static void note(Exercise exercise, boolean done, int earned, int points,
            String next, String state) {
        ObjectNode all = read();
        all.withObject("/" + exercise.name()).put("done", done).put("earned", earned)
                .put("points", points).put("next", next).put("state", state)
                .put("at", OffsetDateTime.now().truncatedTo(ChronoUnit.SECONDS) + "");
        write(all);
    }

    /// Is what was graded last what is there now?
    public static boolean isGraded(Exercise exercise) {
        return read().path(exercise.name()).path("state").stringValue("")
                .equals(exercise.state());
    }

    /// The requirement to look at next, as the last grading has found; or null.
    public static String next(Exercise exercise) {
        return read().path(exercise.name()).path("next").stringValue(null);
    }

    /// How many hints of a requirement were shown.
    public static int hints(String id) {
        return read().path("hints").path(id).asInt(0);
    }

    public static void noteHints(String id, int shown) {
        ObjectNode all = read();
        all.withObject("/hints").put(id, shown);
        write(all);
    }

    private static void write(ObjectNode all) {
        try {
            Repo.replace(file(),
                    JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(all));
        } catch (IOException e) {
            if (unwritten == null) {
                System.err.println("Your progress is not kept: cannot write "
                        + Repo.shown(file()) + ": " + e + ".");
            }
            unwritten = all;
        }
    }
}
