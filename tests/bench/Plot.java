import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/// Draws how the time to the last client grows with the clients, as SVG: a panel for each
/// technique, a line for the lesson and one for its yardstick.
final class Plot {
    private static final int WIDTH = 180;
    private static final int HEIGHT = 150;
    private static final int STEP = 268;
    private static final int LEFT = 48;
    private static final int TOP = 62;

    /// @param ms the median for each number of clients
    record Panel(String title, Map<Integer, Double> lesson,
            Map<Integer, Double> yardstick) {}

    private Plot() {}

    static String svg(List<Panel> panels, String heading) {
        int width = panels.size() * STEP;
        StringBuilder svg = new StringBuilder("""
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" \
                font-family="sans-serif" font-size="11">
                <style>
                text { fill: #444; } .title { font-size: 13px; fill: #111; }
                .axis { stroke: #999; fill: none; } .grid { stroke: #ddd; }
                .lesson { stroke: #0b6bcb; fill: none; stroke-width: 2; }
                .yardstick { stroke: #c2620a; fill: none; stroke-width: 2; \
                stroke-dasharray: 5 3; }
                @media (prefers-color-scheme: dark) { text { fill: #bbb; } \
                .title { fill: #eee; } .grid { stroke: #333; } \
                .lesson { stroke: #6db3f8; } .yardstick { stroke: #f0a050; } }
                </style>
                <text class="title" x="%d" y="16">%s</text>
                <path class="lesson" d="M%d 30h24"/><text x="%d" y="34">the lesson</text>
                <path class="yardstick" d="M%d 30h24"/>\
                <text x="%d" y="34">a bare NIO loop that writes the same bytes</text>
                """.formatted(width, TOP + HEIGHT + 40, width, LEFT, heading, LEFT,
                LEFT + 30, LEFT + 100, LEFT + 130));
        for (int i = 0; i < panels.size(); i++) {
            svg.append("<g transform=\"translate(%d %d)\">%n".formatted(LEFT + i * STEP,
                    TOP)).append(panel(panels.get(i))).append("</g>\n");
        }
        return svg.append("</svg>\n").toString();
    }

    private static String panel(Panel panel) {
        List<Double> all = new ArrayList<>(panel.lesson.values());
        all.addAll(panel.yardstick.values());
        double most = all.stream().mapToDouble(each -> each).max().orElseThrow();
        double step = step(most / 3);
        double top = step * Math.ceil(most / step);
        int right = panel.lesson.keySet().stream().mapToInt(each -> each).max()
                .orElseThrow();
        StringBuilder svg = new StringBuilder();
        for (double at = 0; at <= top; at += step) {
            int y = y(at, top);
            svg.append("<path class=\"grid\" d=\"M0 %d h%d\"/>".formatted(y, WIDTH))
                    .append("<text x=\"-6\" y=\"%d\" text-anchor=\"end\">%.0f</text>%n"
                            .formatted(y + 4, at));
        }
        for (int clients : panel.lesson.keySet()) {
            svg.append(
                    "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%,d</text>%n"
                            .formatted(
                                    x(clients, right), HEIGHT + 16, clients));
        }
        return svg
                .append("<path class=\"axis\" d=\"M0 0 v%d h%d\"/>%n".formatted(HEIGHT,
                        WIDTH))
                .append("<text class=\"title\" x=\"4\" y=\"-6\">%s</text>%n".formatted(
                        panel.title))
                .append(line("yardstick", panel.yardstick, right, top))
                .append(line("lesson", panel.lesson, right, top)).toString();
    }

    private static String line(String name, Map<Integer, Double> values, int right,
            double top) {
        StringJoiner points = new StringJoiner(" L", "M", "");
        values.forEach(
                (clients, ms) -> points.add(x(clients, right) + " " + y(ms, top)));
        double last = values.get(right);
        return "<path class=\"%s\" d=\"%s\"/><text x=\"%d\" y=\"%d\">%.0f</text>%n"
                .formatted(
                        name, points, WIDTH + 5, y(last, top) + 4, last);
    }

    private static int x(int clients, int right) {
        return WIDTH * clients / right;
    }

    private static int y(double ms, double top) {
        return (int) Math.round(HEIGHT * (1 - ms / top));
    }

    /// The least of 1, 2, 5, 10, 20, ... that is not below `wanted`.
    private static double step(double wanted) {
        double ten = Math.pow(10, Math.floor(Math.log10(wanted)));
        for (int factor : new int[] {1, 2, 5}) if (factor * ten
                >= wanted) return factor * ten;
        return 10 * ten;
    }
}
