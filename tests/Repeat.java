///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Grades known submissions many times while all cores are busy, and counts the verdicts
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow
//MAIN Repeat
//SOURCES Grade.java
//SOURCES course/Submission.java

import grader.repo.Repo;
import grader.repo.Exercise;
import grader.report.Report;
import grader.report.Terminal;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows that verdicts about time and concurrency are the same in every run. Exit code 0 where all
/// were as expected.
@Command(name = "./jbang repeat", sortOptions = false,
        description = "Grades known submissions many times while all cores are busy, and counts"
                + " how often the verdict was the expected one.",
        footer = {"", "Examples:",
            "  ./jbang repeat                all that is about a race",
            "  ./jbang repeat --times 5 03   those of exercise 03"})
class Repeat implements Callable<Integer> {
    private static final Random SEEDS = new Random();

    @Parameters(paramLabel = "NAME", arity = "0..*",
            description = "Only submissions whose number and name contain one of these.") List<
                    String> names = List.of();
    @Option(names = "--times", paramLabel = "N",
            description = "100 where it is left out.") int times =
                    100;
    @Option(names = "--busy", paramLabel = "N",
            description = "How many threads keep cores busy; one per core where it is left"
                    + " out.") int busy = Runtime.getRuntime().availableProcessors();
    @Option(names = "--jobs", paramLabel = "N",
            description = "How many are graded at a time; two a core where it is left"
                    + " out.") int jobs =
                            2 * Runtime.getRuntime().availableProcessors();
    @Option(names = "--all",
            description = "Also submissions that are not about a race.") boolean all;
    @Option(names = {"-h", "--help"}, usageHelp = true,
            description = "Show this help.") boolean help;

    private record Known(String name, Exercise exercise, String text,
            List<String> fails) {}

    static void main(String... arguments) {
        System.exit(Terminal.command(new Repeat()).execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        for (int i = 0; i < busy; i++) {
            Thread.ofPlatform().daemon().start(() -> {
                while (true) Thread.onSpinWait();
            });
        }
        int wrong = 0;
        try (var threads = Executors.newFixedThreadPool(jobs)) {
            for (Known each : known()) {
                Callable<Boolean> grading = () -> isAsExpected(each);
                int expected = 0;
                for (var one : threads.invokeAll(Collections.nCopies(times, grading))) {
                    if (one.get()) expected++;
                }
                wrong += times - expected;
                System.out.printf("%d of %d  %s  %s%n", expected, times, each.name,
                        each.fails.isEmpty() ? "passes"
                                : "fails " + String.join(" ", each.fails));
            }
        }
        return wrong == 0 ? 0 : 1;
    }

    private static boolean isAsExpected(Known known) throws Exception {
        var verdict = Submission.grade(known.exercise, known.text,
                Files.createTempDirectory("repeat"), SEEDS.nextLong());
        boolean is = verdict.trouble() == null
                && Submission.failed(verdict).equals(known.fails);
        if (!is) System.out.println(new Report(false).whole(verdict) + "seed "
                + verdict.seed());
        return is;
    }

    private List<Known> known() throws Exception {
        List<Submission> submissions = new ArrayList<>(Submission.all("wrong"));
        submissions.addAll(Submission.all("right"));
        submissions.removeIf(one -> !all && !one.race());
        List<Known> known = new ArrayList<>();
        for (Exercise each : Exercise.all()) {
            List<Submission> ours = submissions.stream()
                    .filter(one -> one.exercise().equals(each)).toList();
            if (ours.isEmpty()) continue;
            known.add(new Known(each.number() + " solution", each,
                    Repo.read(each.solution()), List.of()));
            for (Submission one : ours) {
                known.add(new Known(one + "", each, one.text(), one.fails()));
            }
        }
        if (!names.isEmpty()) {
            known.removeIf(each -> names.stream().noneMatch(each.name::contains));
        }
        return known;
    }
}
