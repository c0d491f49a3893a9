import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import shared.course.Course;

/// That CONTRIBUTING.md keeps its word about a new lesson.
@DisplayName("A new lesson")
@DisabledOnOs(OS.WINDOWS)
class NewLessonTest {
    private static final String NUMBER =
            "%02d".formatted(Course.LESSONS.size() + 1);

    @TempDir Path temp;

    private String run(int code, Path repo, String... words) throws Exception {
        var command = new ArrayList<>(List.of("./jbang"));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).directory(repo.toFile())
                .redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes());
        assertTrue(process.waitFor(10, TimeUnit.SECONDS));
        assertEquals(code, process.exitValue(), said);
        return said;
    }

    @Test
    @Timeout(300)
    @DisplayName("new-lesson lays files that build; its solution passes, its exercise names TODO 1; a second try changes nothing")
    void laid() throws Exception {
        Path repo = RepoCopy.in(temp.resolve("copy"));
        run(0, repo, "new-lesson", NUMBER, "tried_out", "--title", "Tried out");
        run(0, repo, "format");
        run(0, repo, "grade", NUMBER, "--solution");
        assertTrue(run(1, repo, "grade", NUMBER).contains("TODO 1"));
        Path list = repo.resolve("shared/course/Course.java");
        String before = Files.readString(list);
        run(2, repo, "new-lesson", NUMBER, "tried_out");
        assertEquals(before, Files.readString(list));
        RepoCopy.delete(repo);
    }
}
