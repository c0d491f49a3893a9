///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Grades exercises, gives hints, keeps and restores work
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED
//RUNTIME_OPTIONS -XX:SharedArchiveFile=build/grader/grade.jsa -Xlog:disable -XX:-PrintWarnings
//RUNTIME_OPTIONS -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
//DEPS info.picocli:picocli:4.7.7
//MAIN Grade
//SOURCES grader/*/[A-Z]*.java
//SOURCES */requirements/[A-Z]*.java
import grader.command.Classroom;
import grader.command.Doctor;
import grader.repo.Exercise;
import grader.verdict.Grading;
import grader.report.Hints;
import grader.repo.Progress;
import grader.report.Report;
import grader.report.Reports;
import grader.repo.Snapshots;
import grader.build.Archives;
import grader.repo.Trouble;
import grader.verdict.Verdict;
import grader.command.Watch;
import grader.report.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// What a learner types: grade, watch, hint, reset, undo, doctor. Exit code 0 where all is well, 1
/// where something fails, 2 where nothing could be done.
@Command(name = "./jbang", subcommands = {Grade.Grades.class, Grade.Watches.class,
    Grade.HintsAt.class, Grade.Resets.class, Grade.Undoes.class, Grade.Doctors.class},
        synopsisSubcommandLabel = "COMMAND",
        description = "Grades the exercises of On the Wire.")
class Grade {
    static class Help {
        @Option(names = {"-h", "--help"}, usageHelp = true,
                description = "Show this help.") boolean asked;
    }

    private static final String NAMES =
            "An exercise: 03, 3, websocket, 03_websocket or its file.";

    private static final Report REPORT = new Report(Terminal.COLOUR, Terminal.width());

    static void main(String... arguments) {
        CommandLine command = Terminal.command(new Grade())
                .setExecutionExceptionHandler((problem, line, result) -> {
                    if (!(problem instanceof Trouble)) throw problem;
                    Terminal.line("");
                    System.err.println(problem.getMessage());
                    return 2;
                });
        command.getCommandSpec().exitCodeOnExecutionException(2);
        System.exit(command.execute(arguments));
    }

    private static long seed() {
        return new Random().nextInt(1_000_000);
    }

    private static void progress(String doing) {
        Terminal.line(doing + " ...");
    }

    @Command(name = "grade", sortOptions = false,
            description = {
                "Grades exercises: runs your program, checks each requirement, and says"
                        + " what was on the wire where one does not hold."},
            footer = {"", "Examples:",
                "  ./jbang grade             every exercise, and what to do next",
                "  ./jbang grade 03          one, with every detail",
                "  ./jbang grade websocket   the same",
                "  ./jbang grade --class ../submissions     a folder for each learner, one table",
                "",
                "Exit code 0: all requirements hold; 1: some do not; 2: not all could be graded."})
    static class Grades implements Callable<Integer> {
        @Mixin Help help;
        @Parameters(paramLabel = "EXERCISE", arity = "0..*",
                description = NAMES + " None means all.") List<String> names =
                        List.of();
        @Option(names = "--solution",
                description = "Grade solutions/ in place of exercises/.") boolean solution;
        @Option(names = "--untouched", hidden = true,
                description = "Grade what reset puts in place.") boolean untouched;
        @Option(names = "--class", paramLabel = "FOLDER",
                description = "Grade a folder that has a folder for each learner.") Path classroom;
        @Option(names = "--json", paramLabel = "FILE",
                description = "Write JSON, as Exercism's results version 3.") Path json;
        @Option(names = "--junit", paramLabel = "FILE",
                description = "Write the results as JUnit XML.") Path junit;
        @Option(names = "--seed", paramLabel = "N",
                description = "Repeat the inputs of an earlier run.") Long seed;

        @Override
        public Integer call() {
            long chosen = seed != null ? seed : seed();
            List<Exercise> exercises = names.isEmpty() ? Exercise.all()
                    : names.stream().map(Exercise::named).toList();
            if (classroom != null) return gradeClass(exercises, chosen);
            if (solution) exercises.forEach(Grades::expectSolution);
            Grading.warm();
            List<Verdict> verdicts = new ArrayList<>();
            Function<Exercise, Path> submission = solution ? Exercise::solution
                    : untouched ? Exercise::untouchedFile : Exercise::file;
            Grading.all(exercises, submission, chosen, doing -> progress(doing),
                    verdict -> {
                        if (Terminal.isEnding()) return;
                        verdicts.add(verdict);
                        if (!solution && !untouched) verdict.keep();
                        Terminal.line("");
                        System.out.print(exercises.size() == 1 ? REPORT.whole(verdict)
                                : REPORT.brief(verdict));
                    });
            if (Terminal.isEnding()) return 2;
            write(verdicts);
            System.out.println(REPORT.end(verdicts, chosen));
            Archives.prepare(exercises, doing -> progress(doing));
            Terminal.line("");
            return code(verdicts);
        }

        private static void expectSolution(Exercise exercise) {
            if (Files.exists(exercise.solution())) return;
            throw new Trouble("solutions/" + exercise + ".java is not there:"
                    + " this course was given without it.");
        }

        private int gradeClass(List<Exercise> exercises, long chosen) {
            var learners = Classroom.grade(classroom, exercises, chosen,
                    doing -> progress(doing));
            if (Terminal.isEnding()) return 2;
            Terminal.line("");
            System.out.print(Classroom.table(learners));
            System.out.println("seed " + chosen);
            List<Verdict> all =
                    learners.values().stream().flatMap(List::stream).toList();
            write(all);
            return code(all.stream().filter(each -> !each.isMissing()).toList());
        }

        private void write(List<Verdict> verdicts) {
            if (json != null) Reports.write(json, Reports.json(verdicts));
            if (junit != null) Reports.write(junit, Reports.junit(verdicts));
        }

        private static int code(List<Verdict> verdicts) {
            if (verdicts.isEmpty()) return 2;
            if (verdicts.stream().anyMatch(each -> each.trouble() != null)) return 2;
            return verdicts.stream().allMatch(Verdict::passed) ? 0 : 1;
        }
    }

    @Command(name = "watch",
            description = {
                "Grades an exercise each time you save its file or one beside it, and shows what"
                        + " has changed.",
                "Keys: " + Watch.KEYS + "."})
    static class Watches implements Callable<Integer> {
        @Mixin Help help;
        @Parameters(paramLabel = "EXERCISE", arity = "0..1",
                description = NAMES
                        + " None means the first that is not done.") String name;
        @Option(names = "--seed", paramLabel = "N",
                description = "Repeat the inputs of an earlier run.") Long seed;

        @Override
        public Integer call() throws Exception {
            Exercise first = name == null ? null : Exercise.named(name);
            Grading.warm();
            return new Watch(REPORT, seed).run(first);
        }
    }

    @Command(name = "hint",
            description = "Shows the next hint: a nudge, an idea, and nearly there.",
            footer = {"", "Examples:", "  ./jbang hint 03.2   of this requirement",
                "  ./jbang hint 03     of what is to be done next in exercise 03",
                "  ./jbang hint        of what is to be done next"})
    static class HintsAt implements Callable<Integer> {
        @Mixin Help help;
        @Parameters(paramLabel = "REQUIREMENT", arity = "0..1",
                description = "Such as 03.2; or an exercise, which is graded where it has"
                        + " changed.") String name;

        @Override
        public Integer call() {
            if (name != null && name.matches("\\d+\\.\\d+")) {
                String[] parts = name.split("\\.");
                Exercise exercise = Exercise.named(parts[0]);
                return tell(exercise, exercise.number() + "." + parts[1]);
            }
            Exercise exercise =
                    name != null ? Exercise.named(name) : Progress.current();
            if (exercise.isUntouched(exercise.file())) {
                return tell(exercise, Grading.untouched(exercise, exercise.file())
                        .next().id());
            }
            if (!Progress.isGraded(exercise)) grade(exercise);
            return tell(exercise, Progress.next(exercise));
        }

        private static void grade(Exercise exercise) {
            Grading.warm();
            Verdict verdict = Grading.of(exercise, exercise.file(), seed(),
                    doing -> progress(exercise.number() + ": " + doing));
            verdict.keep();
            Terminal.line("");
            if (verdict.trouble() != null) throw new Trouble(verdict.trouble());
        }

        private static int tell(Exercise exercise, String wanted) {
            System.out.println(wanted == null
                    ? "Exercise " + exercise.number() + " is done."
                    : Hints.next(exercise, wanted, REPORT, "./jbang hint " + wanted));
            return 0;
        }
    }

    @Command(name = "reset",
            description = "Puts the untouched exercise in place of your file, which is kept in a"
                    + " snapshot: ./jbang undo brings it back.")
    static class Resets implements Callable<Integer> {
        @Mixin Help help;
        @Parameters(paramLabel = "EXERCISE", description = NAMES) String name;

        @Override
        public Integer call() {
            Exercise exercise = Exercise.named(name);
            Path kept = Snapshots.reset(exercise);
            System.out.println(
                    "exercises/" + exercise.name() + ".java is untouched again.");
            if (kept != null) {
                System.out.println("Your work is kept. It comes back with ./jbang undo "
                        + exercise.number());
            }
            return 0;
        }
    }

    @Command(name = "undo",
            description = "Brings back what a reset has replaced; what is there now is kept too.")
    static class Undoes implements Callable<Integer> {
        @Mixin Help help;
        @Spec CommandSpec spec;
        @Parameters(index = "0", arity = "0..1", paramLabel = "EXERCISE",
                description = NAMES + " With --list none means all.") String name;
        @Parameters(index = "1", arity = "0..1", paramLabel = "SNAPSHOT",
                description = "One that --list names. None means the newest.") String snapshot;
        @Option(names = "--list",
                description = "Only list the snapshots, the newest first.") boolean list;

        @Override
        public Integer call() throws Exception {
            if (list && name == null) {
                int all = 0;
                for (Exercise each : Exercise
                        .all()) all += list(each, each.number() + " ");
                return told(all);
            }
            if (name == null) throw new ParameterException(spec.commandLine(),
                    "Missing required parameter: 'EXERCISE'");
            Exercise exercise = Exercise.named(name);
            if (list) return told(list(exercise, ""));
            Path back = Snapshots.undo(exercise, snapshot);
            System.out.println("exercises/" + exercise.name() + ".java is as it was at "
                    + back.getFileName().toString().replace(".java", "")
                    + ". What it was before is kept.");
            return 0;
        }

        private static int told(int snapshots) {
            if (snapshots
                    == 0) System.out.println("There is none yet: reset makes one.");
            return 0;
        }

        /// How many there are.
        private static int list(Exercise exercise, String before) throws IOException {
            List<Path> all = Snapshots.of(exercise);
            for (Path each : all) {
                System.out.println(before
                        + each.getFileName().toString().replace(".java", "") + "  "
                        + Files.size(each) + " bytes");
            }
            return all.size();
        }
    }

    @Command(name = "doctor",
            description = "Looks at JDK, JBang, ports and libraries, and names remedies.")
    static class Doctors implements Callable<Integer> {
        @Mixin Help help;
        @Override
        public Integer call() {
            return new Doctor(REPORT).run();
        }
    }
}
