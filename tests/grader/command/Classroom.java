package grader.command;

import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.repo.Trouble;
import grader.report.Report;
import grader.verdict.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// Many learners' submissions: a folder with a folder for each learner, in which the exercises
/// lie as in this repo (`exercises/03_websocket.java`) or flat (`03_websocket.java`).
public final class Classroom {
    private Classroom() {}

    /// Grades all. A submission that is missing or untouched counts 0 and is not run.
    ///
    /// @return the verdicts of each learner, in the order of their names
    public static Map<String, List<Verdict>> grade(Path folder, long seed,
            Consumer<String> progress) {
        Map<String, List<Verdict>> learners = new LinkedHashMap<>();
        for (Path each : learners(folder)) {
            String learner = each.getFileName().toString();
            List<Verdict> verdicts = new ArrayList<>();
            for (Exercise exercise : Exercise.all()) {
                Path file = submission(each, exercise);
                Verdict verdict = file == null || exercise.isUntouched(file)
                        ? Verdict.missing(exercise, Grading.undecided(exercise))
                        : Grading.of(exercise, file, seed, doing -> progress.accept(
                                Report.visible(learner) + " " + exercise.number()
                                        + ": " + doing));
                verdicts.add(verdict.of(learner));
            }
            learners.put(learner, verdicts);
        }
        if (learners
                .isEmpty()) throw new Trouble("There is no folder in " + folder + ".");
        return learners;
    }

    private static List<Path> learners(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(Files::isDirectory)
                    .filter(each -> !each.getFileName().toString().startsWith("."))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new Trouble("Cannot read the folder " + folder + ".");
        }
    }

    private static Path submission(Path learner, Exercise exercise) {
        return Stream
                .of("exercises/" + exercise.name() + ".java", exercise.name() + ".java")
                .map(learner::resolve).filter(Files::isRegularFile).findFirst()
                .orElse(null);
    }

    /// One line for each learner, one column for each exercise: points, `-` for no submission, `!`
    /// for one that could not be graded.
    public static String table(Map<String, List<Verdict>> learners) {
        int width = learners.keySet().stream().mapToInt(String::length).max().orElse(0);
        String name = "%-" + Math.max(7, width) + "s";
        List<Exercise> exercises = Exercise.all();
        StringBuilder text = new StringBuilder(name.formatted("learner"));
        for (Exercise each : exercises) text.append("%6s".formatted(each.number()));
        text.append("   total\n");
        int most = exercises.stream().flatMap(each -> Grading.undecided(each).stream())
                .mapToInt(Verdict.Result::points).sum();
        learners.forEach((learner, verdicts) -> {
            text.append(name.formatted(Report.visible(learner)));
            int total = 0;
            for (Verdict each : verdicts) {
                text.append("%6s".formatted(each.isMissing() ? "-"
                        : each.trouble() != null ? "!" : "" + each.earned()));
                total += each.earned();
            }
            text.append("%8s\n".formatted(total + "/" + most));
        });
        learners.values().stream().flatMap(List::stream).forEach(one -> {
            String who = one.learner() + " " + one.exercise().number() + ": ";
            if (one.trouble() != null) text.append(Report.visible(
                    "! " + who + one.trouble().lines().findFirst().orElse("")) + "\n");
            if (one.note() != null) text.append(Report.visible(who + one.note())
                    + "\n");
        });
        return text.toString();
    }
}
