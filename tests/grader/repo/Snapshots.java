package grader.repo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/// Learners' work, kept in `.progress/snapshots/NN_name/` before anything takes its place. A
/// snapshot is never changed or deleted.
public final class Snapshots {
    private static final DateTimeFormatter FILE =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH.mm.ss.SSS'.java'");

    private Snapshots() {}

    private static Path folder(Exercise exercise) {
        return Progress.folder().resolve("snapshots").resolve(exercise.name());
    }

    /// All snapshots of an exercise, the newest first.
    public static List<Path> of(Exercise exercise) {
        if (!Files.isDirectory(folder(exercise))) return List.of();
        try (Stream<Path> files = Files.list(folder(exercise))) {
            return files.filter(each -> time(each) != null)
                    .sorted(Comparator.reverseOrder()).toList();
        } catch (IOException e) {
            throw new Trouble("Cannot read the snapshots: " + e + ".");
        }
    }

    /// When a snapshot was made; null of a file that is none.
    private static LocalDateTime time(Path file) {
        try {
            return LocalDateTime.parse(file.getFileName().toString(), FILE);
        } catch (DateTimeParseException stray) {
            return null;
        }
    }

    /// Keeps these bytes as the newest snapshot, even where the clock has stepped back.
    ///
    /// @return its file
    public static Path keep(Exercise exercise, byte[] bytes) {
        try {
            Files.createDirectories(folder(exercise));
            LocalDateTime now = LocalDateTime.now();
            for (Path newest : of(exercise).stream().limit(1).toList()) {
                if (!time(newest).isBefore(now)) now = time(newest);
            }
            for (;; now = now.plusNanos(1_000_000)) {
                Path file = folder(exercise).resolve(now.format(FILE));
                try {
                    Files.createFile(file);
                } catch (FileAlreadyExistsException e) {
                    continue;
                }
                Files.write(file, bytes);
                return file;
            }
        } catch (IOException e) {
            throw new Trouble(
                    "Cannot keep a snapshot, so nothing was changed: " + e + ".");
        }
    }

    /// The same, unless that is what the newest one has.
    static void keepNewest(Exercise exercise, byte[] bytes) {
        if (of(exercise).stream().limit(1)
                .noneMatch(each -> Arrays.equals(bytes, Repo.bytes(each)))) {
            keep(exercise, bytes);
        }
    }

    /// Puts the untouched exercise in place of the learner's file, which is kept.
    ///
    /// @return the snapshot, or null where there was nothing to keep
    public static Path reset(Exercise exercise) {
        byte[] untouched = exercise.untouched().getBytes(StandardCharsets.UTF_8);
        byte[] now = Repo.bytes(exercise.file());
        Path kept = now == null || Arrays.equals(now, untouched) ? null
                : keep(exercise, now);
        put(exercise, untouched);
        return kept;
    }

    /// Puts a snapshot in place of the learner's file, which is kept too.
    ///
    /// @param wanted its name, or null for the newest that differs from the file
    /// @return the one that was put back
    public static Path undo(Exercise exercise, String wanted) {
        byte[] now = Repo.bytes(exercise.file());
        for (Path each : of(exercise)) {
            byte[] then = Repo.bytes(each);
            boolean meant = wanted == null ? !Arrays.equals(now, then)
                    : each.getFileName().toString().replace(".java", "")
                            .equals(wanted.replace(".java", ""));
            if (!meant) continue;
            if (now != null && !exercise.isUntouched(exercise.file())) {
                keep(exercise, now);
            }
            put(exercise, then);
            return each;
        }
        throw new Trouble(wanted
                == null ? "There is no snapshot of exercise " + exercise.number()
                        + " that differs from your file."
                        : "There is no snapshot " + wanted
                                + ". `./jbang undo " + exercise.number()
                                + " --list` names them.");
    }

    private static void put(Exercise exercise, byte[] bytes) {
        try {
            Repo.replace(exercise.file(), bytes);
        } catch (IOException e) {
            throw new Trouble(
                    "Cannot write " + Repo.shown(exercise.file()) + ": " + e
                            + ". Your file is as it was.");
        }
    }
}
