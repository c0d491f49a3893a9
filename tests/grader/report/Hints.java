package grader.report;

import grader.repo.Exercise;
import grader.repo.Progress;
import grader.repo.Trouble;
import java.nio.file.Files;
import java.util.List;

/// The hints of the exercises, one at a time.
public final class Hints {
    private Hints() {}

    /// The next hint of a requirement, below those before it; after the last, all of them again.
    ///
    /// @param again what to type for the one after it
    public static String next(Exercise exercise, String wanted, Report report,
            String again) {
        List<String> hints = exercise.hints(wanted);
        if (hints.isEmpty()) {
            throw new Trouble("There is no requirement " + wanted + ". `./jbang grade "
                    + exercise.number() + "` lists them.");
        }
        int shown = Math.min(hints.size(), Progress.hints(wanted) + 1);
        Progress.noteHints(wanted, shown);
        StringBuilder text =
                new StringBuilder(report.bold("Hint for " + wanted)).append('\n');
        for (int i = 0; i < shown; i++) {
            text.append("  ").append(i + 1).append(" of ").append(hints.size())
                    .append("  ")
                    .append(report.fold(hints.get(i), 10)).append('\n');
        }
        return text.append(shown < hints.size()
                ? "Again for the next one: " + again
                : "That was the last one." + (Files.exists(exercise.solution())
                        ? " The solution: solutions/" + exercise.name() + ".java"
                        : ""))
                .toString();
    }
}
