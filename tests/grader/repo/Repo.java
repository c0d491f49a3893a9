package grader.repo;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.File;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.stream.Stream;

/// The course's folder, and how a file in it is replaced: whole or not at all.
public final class Repo {
    /// Where commands are typed into cmd.exe.
    public static final boolean WINDOWS = File.separatorChar == '\\';
    private static Path root;

    private Repo() {}

    /// The folder with the catalog, here or above; once found it stays, whatever a program deletes.
    public static Path root() {
        if (root != null) return root;
        for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
            if (Files.exists(at.resolve("jbang-catalog.json"))) return root = at;
        }
        throw new Trouble("Run this from inside the course's folder:"
                + " there is no jbang-catalog.json here or above.");
    }

    /// A path as the person at the terminal would type it.
    public static String shown(Path file) {
        Path here = Path.of("").toAbsolutePath();
        return file.startsWith(here) ? here.relativize(file).toString()
                : file.toString();
    }

    /// Reads a text file whose line ends may be those of Windows.
    public static String read(Path file) {
        try {
            return Files.readString(file).replace("\r\n", "\n");
        } catch (IOException e) {
            throw new Trouble("Cannot read " + shown(file) + ": " + e + ".");
        }
    }

    /// The bytes of a file, or null where there is none.
    ///
    /// @throws Trouble where it cannot be read, as a pipe might never be
    public static byte[] bytes(Path file) {
        try {
            if (Files.notExists(file)) return null;
            if (Files.isRegularFile(file)) return Files.readAllBytes(file);
            throw new IOException("it is no plain file");
        } catch (IOException e) {
            throw new Trouble("Cannot read " + shown(file) + ": " + e + ".");
        }
    }

    /// Writes a file so that others see the old one or the new one, and never a part. A link, a
    /// device or a pipe stays what it is: what it leads to is written.
    public static void replace(Path file, byte[] bytes) throws IOException {
        Files.createDirectories(file.getParent());
        if (Files.exists(file, NOFOLLOW_LINKS)
                && !Files.isRegularFile(file, NOFOLLOW_LINKS)) {
            Files.write(file, bytes);
            return;
        }
        Path made = file
                .resolveSibling("." + file.getFileName() + "." + ProcessHandle.current()
                        .pid());
        try {
            if (Files.exists(file)) {
                Files.copy(file, made, StandardCopyOption.REPLACE_EXISTING,
                        StandardCopyOption.COPY_ATTRIBUTES); // for its permissions
            }
            Files.write(made, bytes);
            move(made, file);
        } finally {
            Files.deleteIfExists(made);
        }
    }

    /// Puts a file in the place of another one, at once where the system can.
    public static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /// A new folder in the system's temporary one.
    public static Path temporary() {
        try {
            return Files.createTempDirectory("on-the-wire").toRealPath();
        } catch (IOException e) {
            throw new Trouble(
                    "Cannot make a temporary folder: " + e.getMessage() + ".");
        }
    }

    /// Deletes a temporary folder, as far as it can be.
    public static void delete(Path folder) {
        try (Stream<Path> all = Files.walk(folder)) {
            all.sorted(Comparator.reverseOrder())
                    .forEach(each -> each.toFile().delete());
        } catch (IOException e) {
            // The system empties its temporary folder in time.
        }
    }
}
