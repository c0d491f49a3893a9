package grader.build;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFile.ClassHierarchyResolverOption;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.instruction.ArrayLoadInstruction;
import java.lang.classfile.instruction.ArrayStoreInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.MonitorInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Puts `Pause.step()` before whatever a learner's own lines call, read, write or lock, so that a
/// thread can be held between any two of them.
final class Steps {
    private static final ClassDesc PAUSE = ClassDesc.of("shared.Pause");
    private static final MethodTypeDesc NOTHING =
            MethodTypeDesc.of(ConstantDescs.CD_void);

    private Steps() {}

    /// @param classes what was compiled from `source`
    /// @param given a text whose lines are not the learner's own
    static Map<String, byte[]> in(Map<String, byte[]> classes, String source,
            String given, String classPath) throws IOException {
        Set<String> known = new HashSet<>(given.lines().toList());
        List<Boolean> areOwn =
                source.lines().map(line -> !known.contains(line)).toList();
        Map<String, byte[]> changed = new LinkedHashMap<>();
        try (var types = new URLClassLoader(urls(classPath), null)) {
            if (types.getResource("shared/Pause.class") == null) return classes;
            var resolver = ClassHierarchyResolver.ofResourceParsing(type -> {
                String name = type.descriptorString().replaceAll("^L|;$", "");
                byte[] ours = classes.get(name);
                return ours != null ? new ByteArrayInputStream(ours)
                        : types.getResourceAsStream(name + ".class");
            });
            var format = ClassFile.of(ClassHierarchyResolverOption
                    .of(resolver.orElse(ClassHierarchyResolver.defaultResolver())));
            classes.forEach((name, type) -> changed.put(name, format.transformClass(
                    format.parse(type), ClassTransform.transformingMethodBodies(
                            CodeTransform.ofStateful(() -> new Before(areOwn))))));
        }
        return changed;
    }

    private static URL[] urls(String classPath) throws IOException {
        String[] paths = classPath.split(File.pathSeparator);
        URL[] urls = new URL[paths.length];
        for (int i = 0; i < paths.length; i++) {
            urls[i] = Path.of(paths[i]).toUri().toURL();
        }
        return urls;
    }

    private static final class Before implements CodeTransform {
        private final List<Boolean> areOwn;
        private boolean isOwn;

        Before(List<Boolean> areOwn) {
            this.areOwn = areOwn;
        }

        @Override
        public void accept(CodeBuilder code, CodeElement next) {
            if (next instanceof LineNumber at) isOwn = areOwn.get(at.line() - 1);
            boolean isStep = next instanceof InvokeInstruction
                    || next instanceof FieldInstruction
                    || next instanceof MonitorInstruction
                    || next instanceof ArrayLoadInstruction
                    || next instanceof ArrayStoreInstruction;
            if (isOwn && isStep) code.invokestatic(PAUSE, "step", NOTHING);
            code.with(next);
        }
    }
}
