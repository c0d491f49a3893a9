package grader.repo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// What becomes of the course's files while submissions run, which may write where they like.
public final class Changes {
    private static final Set<String> FOLDERS =
            Set.of("lessons", "exercises", "solutions", "shared", "tests");
    private static final int SHOWN = 10;

    /// Enough to see that a file was written.
    private record Mark(FileTime modified, long size, Object key) {}

    private Map<Path, Mark> marks = marks();
    private Map<Exercise, byte[]> work = work();

    /// The learner's files; of each that can be read, its bytes.
    private static Map<Exercise, byte[]> work() {
        Map<Exercise, byte[]> all = new LinkedHashMap<>();
        for (Exercise each : Exercise.all()) {
            try {
                byte[] bytes = Repo.bytes(each.file());
                if (bytes != null) all.put(each, bytes);
            } catch (Trouble unreadable) {
                // Who works on it will be told.
            }
        }
        return all;
    }

    /// The course's other files, by their path below its folder; not what an editor lays beside.
    private static Map<Path, Mark> marks() {
        Path root = Repo.root();
        Set<Path> known =
                Exercise.all().stream().map(Exercise::file).collect(Collectors.toSet());
        Map<Path, Mark> all = new TreeMap<>();
        try {
            Files.walkFileTree(root, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult preVisitDirectory(Path folder,
                        BasicFileAttributes of) {
                    boolean ours = folder.equals(root)
                            || !folder.getParent().equals(root)
                            || FOLDERS.contains(folder.getFileName().toString());
                    return ours ? FileVisitResult.CONTINUE
                            : FileVisitResult.SKIP_SUBTREE;
                }

                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes of) {
                    String name = file.getFileName().toString();
                    if (!known.contains(file) && !name.startsWith(".")
                            && !name.endsWith("~")) {
                        all.put(root.relativize(file), new Mark(of.lastModifiedTime(),
                                of.size(), of.fileKey()));
                    }
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult visitFileFailed(Path file, IOException gone) {
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException unreadable) {
            // Then there is less to compare.
        }
        return all;
    }

    /// What has changed since this was made or asked last, and a way back. The learner's work is
    /// kept in a snapshot, unless it was only saved meanwhile.
    ///
    /// @return a text about it, or null
    public synchronized String told() {
        var before = work;
        var marked = marks;
        work = work();
        marks = marks();
        List<String> saved = new ArrayList<>();
        List<String> lines = new ArrayList<>();
        List<String> undo = new ArrayList<>();
        before.forEach((exercise, bytes) -> {
            byte[] now = work.get(exercise);
            if (Arrays.equals(bytes, now)) return;
            String file = "exercises/" + exercise + ".java";
            if (now != null && isEdited(bytes, now)) {
                saved.add(file + " was saved while this was graded: the verdict is of"
                        + " what it was before.");
                return;
            }
            Snapshots.keepNewest(exercise, bytes);
            lines.add((now == null ? "deleted  " : "changed  ") + file);
            undo.add("./jbang undo " + exercise.number());
        });
        Set<String> course = new TreeSet<>();
        Set<Path> all = new TreeSet<>(marked.keySet());
        all.addAll(marks.keySet());
        for (Path each : all) {
            Mark now = marks.get(each);
            if (Objects.equals(now, marked.get(each))) continue;
            String path = (now == null ? highestGone(each) : each).toString()
                    .replace('\\', '/');
            String line = (now == null ? "deleted  "
                    : marked.containsKey(each) ? "changed  " : "new      ") + path;
            if (lines.contains(line)) continue;
            lines.add(line);
            if (marked.containsKey(each)) course.add(path);
        }
        if (!lines.isEmpty()) saved.add(told(lines, course, undo));
        return saved.isEmpty() ? null : String.join("\n", saved);
    }

    private static String told(List<String> lines, Set<String> course,
            List<String> undo) {
        List<String> text = new ArrayList<>(List.of("While this was graded, files"
                + " changed. If it was not you, a program did it:"));
        lines.stream().limit(SHOWN).forEach(each -> text.add("  " + each));
        if (lines.size() > SHOWN) {
            text.add("  and " + (lines.size() - SHOWN) + " more; see `git status`");
        }
        boolean isNew = lines.stream().anyMatch(each -> each.startsWith("new "));
        text.add((isNew ? "Delete what is new; what" : "What")
                + " was there comes back with");
        if (!course.isEmpty()) text.add("  " + restore(course));
        undo.forEach(each -> text.add("  " + each));
        return String.join("\n", text);
    }

    /// How the course's own files come back, as they were committed.
    private static String restore(Set<String> paths) {
        Path root = Repo.root();
        if (!Files.exists(root.resolve(".git"))) return "a new copy of the course";
        String top = root.equals(Path.of("").toAbsolutePath()) ? "" : ":/";
        return paths.stream()
                .map(each -> paths.size() > SHOWN ? each.replaceFirst("/.*", "") : each)
                .distinct().map(each -> top + each)
                .collect(Collectors.joining(" ", "git restore ", ""));
    }

    /// A file that is gone, or the folder above it that is gone with it.
    private static Path highestGone(Path file) {
        Path gone = file;
        while (gone.getParent() != null
                && Files.notExists(Repo.root().resolve(gone.getParent()))) {
            gone = gone.getParent();
        }
        return gone;
    }

    /// Is most of a text still there, as after an edit?
    private static boolean isEdited(byte[] before, byte[] now) {
        List<String> lines = lines(before);
        Set<String> left = Set.copyOf(lines(now));
        return lines.stream().filter(left::contains).count() * 4 >= lines.size() * 3;
    }

    private static List<String> lines(byte[] text) {
        return new String(text, StandardCharsets.ISO_8859_1).lines().toList();
    }
}
