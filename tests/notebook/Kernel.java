///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION A Java kernel for Jupyter that has evaluated a lesson before the first cell is
//JAVA 25+
//DEPS io.github.padreati:rapaio-jupyter-kernel:3.0.1
//MAIN Kernel

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.rapaio.jupyter.kernel.MainApp;

/// A cell may use what a later one declares, as classes may. To Jupyter that is an error where the
/// kernel has not heard of it yet, so this one knows the lesson's file when it begins. Each cell
/// then replaces what it declares, and may be run alone.
class Kernel {
    /// @param arguments the lesson's file, and the connection file that Jupyter has written
    static void main(String... arguments) throws Exception {
        evaluate(Path.of(arguments[0]));
        MainApp.main(new String[] {arguments[1]});
    }

    private static void evaluate(Path lesson) throws IOException {
        var shell = MainApp.kernel.javaEngine().getShell();
        String rest = Files.readString(lesson);
        while (!rest.isBlank()) {
            var next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            shell.eval(next.source());
            rest = next.remaining();
        }
    }
}
