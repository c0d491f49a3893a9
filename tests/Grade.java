///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Grades exercises, gives hints, keeps and restores work
//JAVA 25+
//RUNTIME_OPTIONS --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED
//RUNTIME_OPTIONS -XX:SharedArchiveFile=build/grader.jsa
//RUNTIME_OPTIONS -Xlog:disable -XX:-PrintWarnings -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
//DEPS info.picocli:picocli:4.7.7
//DEPS org.junit.jupiter:junit-jupiter:6.1.3
//DEPS org.junit.platform:junit-platform-launcher:6.1.3
//DEPS io.rest-assured:rest-assured:6.0.1
//DEPS com.fasterxml.jackson.core:jackson-annotations:2.21
//DEPS io.undertow:undertow-core:2.3.27.Final
//DEPS io.undertow:undertow-servlet:2.3.26.Final
//DEPS io.undertow:undertow-websockets-jsr:2.3.24.Final
//DEPS tools.jackson.core:jackson-databind:3.1.7
//SOURCES grader/*.java
//SOURCES requirements/*.java
//SOURCES ../shared/*.java
//SOURCES ../shared/websocket/*.java

import grader.*;
import java.nio.file.*;

class Grade {
    static void main(String... args) {
        Exercise exercise = Exercise.named(args[0]);
        Path file = args.length > 1 ? Path.of(args[1]).toAbsolutePath()
                : exercise.file(false);
        for (int i = 0; i < (args.length > 2 ? 6 : 1); i++) {
            Verdict verdict = Grading.of(exercise, file, 42, System.out::println);
            System.out.println(new Report(false).whole(verdict) + verdict.ms() + " ms");
        }
        System.exit(0);
    }
}
