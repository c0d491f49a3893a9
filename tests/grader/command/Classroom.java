package grader.command;

import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.repo.Trouble;
import grader.report.Report;
import grader.verdict.Verdict;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Many learners' submissions: a folder with a folder for each learner, in which the exercises
/// lie as in this repo (`exercises/03_websocket.java`) or flat (`03_websocket.java`).
public final class Classroom {
    /// What is nobody's submission: hidden, or the course's own.
    private static final Pattern NO_SUBMISSION =
            Pattern.compile("(.*/)?([.]|lessons/|solutions/|shared/|tests/).*");
    private static final int SHOWN = 3;

    private Classroom() {}

    /// Grades all. A submission that is missing or untouched counts 0 and is not run. One that
    /// seems to be in another place is told and not graded: only people know whether it is the
    /// learner's last word, and the learner's own `./jbang grade` has never looked at it.
    ///
    /// @return the verdicts of each learner, in the order of their names
    public static Map<String, List<Verdict>> grade(Path folder,
            List<Exercise> exercises, long seed, Consumer<String> progress) {
        Map<String, List<Verdict>> learners = new LinkedHashMap<>();
        for (Path each : learners(folder)) {
            String learner = each.getFileName().toString();
            learners.put(learner, exercises.stream()
                    .map(exercise -> verdict(each, exercise, seed,
                            doing -> progress.accept(Report.visible(learner) + " "
                                    + exercise.number() + ": " + doing))
                            .of(learner))
                    .toList());
        }
        if (learners
                .isEmpty()) throw new Trouble("There is no folder in " + folder + ".");
        return learners;
    }

    private static Verdict verdict(Path learner, Exercise exercise, long seed,
            Consumer<String> progress) {
        Path file = submission(learner, exercise);
        if (file != null && !exercise.isUntouched(file)) {
            return Grading.of(exercise, file, seed, progress);
        }
        String why = file == null ? "missing" : "untouched";
        List<String> others = elsewhere(learner, exercise);
        return others.isEmpty()
                ? Verdict.missing(exercise, Grading.undecided(exercise), why)
                : Verdict.misplaced(exercise, Grading.undecided(exercise),
                        others.getFirst(), "exercises/" + exercise + ".java is " + why
                                + "; found at " + String.join(", ", others));
    }

    /// The paths of some Java files that have the exercise's name in their own, but are not where
    /// its submission would be: `src/03_websocket.java`, `3-websocket (1).java`.
    private static List<String> elsewhere(Path learner, Exercise exercise) {
        String name = letters(exercise.name());
        try (Stream<Path> files = Files.find(learner, Integer.MAX_VALUE,
                (file, is) -> is.isRegularFile()
                        && letters(file.getFileName().toString())
                                .matches(".*" + name + ".*java.*"))) {
            return files.filter(file -> !exercise.isUntouched(file))
                    .map(file -> learner.relativize(file).toString().replace('\\', '/'))
                    .filter(path -> !NO_SUBMISSION.matcher(path).matches())
                    .sorted().limit(SHOWN).toList();
        } catch (IOException | UncheckedIOException unreadable) {
            return List.of(); // Then nothing is found.
        }
    }

    private static String letters(String name) {
        return name.toLowerCase(Locale.ROOT).replaceAll("[^a-z]", "");
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
        StringBuilder text = new StringBuilder(name.formatted("learner"));
        for (Verdict each : learners.values().iterator().next()) {
            text.append("%6s".formatted(each.exercise().number()));
        }
        text.append("   total\n");
        learners.forEach((learner, verdicts) -> {
            text.append(name.formatted(Report.visible(learner)));
            for (Verdict each : verdicts) {
                text.append("%6s".formatted(each.isMissing() ? "-"
                        : each.trouble() != null ? "!" : "" + each.earned()));
            }
            text.append("%8s\n".formatted(
                    verdicts.stream().mapToInt(Verdict::earned).sum() + "/"
                            + verdicts.stream().mapToInt(Verdict::points).sum()));
        });
        learners.values().stream().flatMap(List::stream).forEach(one -> {
            if (one.isMissing()) return;
            String who = one.learner() + " " + one.exercise().number() + ": ";
            if (one.trouble() != null) text.append(Report.visible(
                    "! " + who + one.trouble().lines().findFirst().orElse("")) + "\n");
            if (one.note() != null) text.append(Report.visible(who + one.note())
                    + "\n");
        });
        return text.toString();
    }
}
