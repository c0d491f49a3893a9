package grader.report;

import grader.repo.Repo;
import grader.repo.Trouble;
import grader.verdict.Verdict;
import grader.verdict.Verdict.Result;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamWriter;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// Verdicts for other programs: JUnit XML, and JSON in the shape of Exercism's results, version 3.
public final class Reports {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final Report TEXT = new Report(false);

    private Reports() {}

    /// One exercise is one object `{"version":3,"status","message","tests":[...]}`; several are an
    /// array of them, and those of a class always are. Beyond version 3, each has `exercise`,
    /// `seed`, `earned`, `points`, in a class `learner`, and each test `id`, `points`.
    public static String json(List<Verdict> verdicts) {
        var all = verdicts.stream().map(Reports::object).toList();
        boolean alone = all.size() == 1 && verdicts.getFirst().learner() == null;
        return JSON.writerWithDefaultPrettyPrinter()
                .writeValueAsString(alone ? all.getFirst() : all) + "\n";
    }

    private static ObjectNode object(Verdict verdict) {
        ObjectNode object = JSON.createObjectNode().put("version", 3)
                .put("status", verdict.trouble() != null ? "error"
                        : verdict.passed() ? "pass" : "fail")
                .put("message",
                        verdict.isMissing() ? verdict.note() : verdict.trouble())
                .put("exercise", verdict.exercise().name()).put("seed", verdict.seed())
                .put("earned", verdict.earned()).put("points", verdict.points());
        if (verdict.learner() != null) object.put("learner", verdict.learner());
        var tests = object.putArray("tests");
        if (verdict.trouble() != null || verdict.isMissing()) return object;
        for (Result each : verdict.results()) {
            tests.addObject().put("name", each.id() + " " + each.sentence())
                    .put("id", each.id()).put("task_id", each.todo())
                    .put("points", each.points())
                    .put("status", each.passed() ? "pass" : "fail")
                    .put("message",
                            each.passed() ? null : TEXT.details(verdict, each).strip());
        }
        return object;
    }

    /// One test suite for each exercise, in a class for each learner's. What could not be graded is
    /// an error of every requirement; what is missing is skipped.
    public static String junit(List<Verdict> verdicts) {
        StringWriter text = new StringWriter();
        try {
            XMLStreamWriter xml = XMLOutputFactory.newDefaultFactory()
                    .createXMLStreamWriter(text);
            xml.writeStartDocument("UTF-8", "1.0");
            xml.writeCharacters("\n");
            xml.writeStartElement("testsuites");
            for (Verdict each : verdicts) suite(xml, each);
            xml.writeEndElement();
            xml.writeEndDocument();
            xml.close();
        } catch (XMLStreamException e) {
            throw new IllegalStateException(e);
        }
        return text + "\n";
    }

    private static void suite(XMLStreamWriter xml, Verdict verdict)
            throws XMLStreamException {
        boolean broken = verdict.trouble() != null;
        int all = verdict.results().size();
        long failed = verdict.results().stream().filter(each -> !each.passed()).count();
        String name = (verdict.learner() == null ? ""
                : Report.visible(verdict.learner()) + " ") + verdict.exercise().name();
        xml.writeCharacters("\n");
        xml.writeStartElement("testsuite");
        xml.writeAttribute("name", name);
        xml.writeAttribute("tests", "" + all);
        xml.writeAttribute("failures",
                "" + (broken || verdict.isMissing() ? 0 : failed));
        xml.writeAttribute("errors", "" + (broken ? all : 0));
        xml.writeAttribute("skipped", "" + (verdict.isMissing() ? all : 0));
        xml.writeAttribute("time", "" + verdict.ms() / 1000.0);
        xml.writeStartElement("properties");
        if (verdict.learner() != null) {
            property(xml, "learner", Report.visible(verdict.learner()));
        }
        property(xml, "earned", "" + verdict.earned());
        property(xml, "points", "" + verdict.points());
        xml.writeEndElement();
        for (Result each : verdict.results()) {
            xml.writeCharacters("\n  ");
            xml.writeStartElement("testcase");
            xml.writeAttribute("classname", name);
            xml.writeAttribute("name", each.id() + " " + each.sentence());
            if (broken) {
                detail(xml, "error", "could not be graded", verdict.trouble());
            } else if (verdict.isMissing()) {
                detail(xml, "skipped", verdict.note(), "");
            } else if (!each.passed()) {
                detail(xml, "failure", each.failure() == null ? "not decided"
                        : each.failure().likely, TEXT.details(verdict, each));
            }
            xml.writeEndElement();
        }
        xml.writeCharacters("\n");
        xml.writeEndElement();
    }

    private static void property(XMLStreamWriter xml, String name, String value)
            throws XMLStreamException {
        xml.writeEmptyElement("property");
        xml.writeAttribute("name", name);
        xml.writeAttribute("value", value);
    }

    private static void detail(XMLStreamWriter xml, String kind, String message,
            String text)
            throws XMLStreamException {
        xml.writeStartElement(kind);
        xml.writeAttribute("message", Report.visible(message));
        xml.writeCharacters("\n" + Report.visible(text));
        xml.writeEndElement();
    }

    /// Writes a report, whole or not at all.
    public static void write(Path file, String text) {
        try {
            Repo.replace(file.toAbsolutePath(),
                    text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new Trouble("Cannot write " + file + ": " + e + ".");
        }
    }
}
