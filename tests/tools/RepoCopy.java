import grader.repo.Repo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/// A copy of the repo in which commands may be typed and files changed. It shares the JBang that
/// was fetched, and nothing else.
final class RepoCopy {
    private static final List<String> PARTS =
            List.of("lessons", "exercises", "solutions",
                    "shared", "tests", "jbang", "jbang-catalog.json", "README.md",
                    ".editor",
                    ".idea");

    private RepoCopy() {}

    static Path in(Path copy) throws IOException {
        Path root = Repo.root();
        for (String part : PARTS) {
            try (Stream<Path> all = Files.walk(root.resolve(part))) {
                for (Path each : all.toList()) {
                    Path to = copy.resolve(root.relativize(each).toString());
                    Files.createDirectories(to.getParent());
                    if (Files.isRegularFile(each)) {
                        Files.copy(each, to, StandardCopyOption.COPY_ATTRIBUTES);
                    }
                }
            }
        }
        Path store = root.resolve(".jbang");
        if (Files.exists(store)) {
            Path own = Files.createDirectory(copy.resolve(".jbang"));
            try (Stream<Path> all = Files.list(store)) {
                for (Path each : all.filter(RepoCopy::isFetched).toList()) {
                    Files.createSymbolicLink(own.resolve(each.getFileName()), each);
                }
            }
        }
        return copy;
    }

    /// What the launcher remembers of scripts is the copy's own: it may change them.
    private static boolean isFetched(Path kept) {
        return !kept.getFileName().toString().startsWith("said-");
    }

    /// Deletes a file or a folder; of a link only itself.
    static void delete(Path path) throws IOException {
        if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) return;
        try (Stream<Path> all = Files.walk(path)) {
            for (Path each : all.sorted(Comparator.reverseOrder())
                    .toList()) Files.delete(each);
        }
    }
}
