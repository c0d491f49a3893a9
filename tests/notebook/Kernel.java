///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION A Java kernel for Jupyter that has evaluated a lesson before the first cell is
//JAVA 25+
//DEPS io.github.padreati:rapaio-jupyter-kernel:3.0.1
//SOURCES LoopThread.java
//MAIN Kernel

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.rapaio.jupyter.kernel.MainApp;
import org.rapaio.jupyter.kernel.channels.Channels;
import org.rapaio.jupyter.kernel.channels.LoopThread;
import org.rapaio.jupyter.kernel.core.ConnectionProperties;
import org.rapaio.jupyter.kernel.core.Transform;

/// A cell may use what a later one declares, as classes may. To Jupyter that is an error where the
/// kernel has not heard of it yet, so this one knows the lesson's file when it begins. Each cell
/// then replaces what it declares, and may be run alone.
class Kernel {
    /// @param arguments the lesson's file, and the connection file that Jupyter has written
    static void main(String... arguments) throws Exception {
        Logger.getLogger("").setLevel(Level.WARNING); // or it tells of each request
        evaluate(Files.readString(Path.of(arguments[0])));
        var channels = new Channels(Transform.fromJson(
                Files.readString(Path.of(arguments[1])), ConnectionProperties.class));
        channels.connect(MainApp.kernel);
        LoopThread.begin();
        channels.joinUntilClose();
    }

    private static void evaluate(String lesson) {
        var shell = MainApp.kernel.javaEngine().getShell();
        String rest = lesson;
        while (!rest.isBlank()) {
            var next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            shell.eval(next.source());
            rest = next.remaining();
        }
    }
}
