package shared.course;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/// The lessons in the order in which they are learned, and what each of them is. There is no
/// other list: the pages, the commands, the tests and the doctor read this one, and
/// `./jbang format` writes from it what JBang and the README want to know.
public final class Course {
    /// What a lesson or its exercise needs beside one program of its own.
    public enum Need {
        SECOND_PROGRAM, UPSTREAM, REDIS, NGINX, TLS
    }

    /// One lesson, and the exercise of the same name.
    ///
    /// @param name of its files, such as `03_websocket`
    /// @param title as its ready line and its heading have it
    /// @param shows what it shows, in one line after the title
    /// @param exercise the story of its exercise
    public record Lesson(String name, String title, String shows, String exercise,
            Set<Need> needs) {
        /// Two digits.
        public String number() {
            return name.substring(0, 2);
        }

        /// What a learner types to run it: `./jbang websocket`.
        public String alias() {
            return name.substring(3).replace('_', '-');
        }

        /// Its name in Java, such as `LongPolling`: the class that the lesson launches, the
        /// requirements of its exercise, and its test but for `Test` at the end.
        public String type() {
            return Arrays.stream(name.substring(3).split("_"))
                    .map(word -> Character.toUpperCase(word.charAt(0))
                            + word.substring(1))
                    .collect(Collectors.joining());
        }

        /// Where it listens: 8000 and its number; its exercise 1000 above, the solution 1000 below.
        public int port() {
            return 8000 + Integer.parseInt(number());
        }
    }

    public static final List<Lesson> LESSONS = List.of(
            new Lesson("01_short_polling", "Short polling",
                    "the page asks again and again, here for a site's visitors and clicks",
                    "a flash sale", Set.of()),
            new Lesson("02_long_polling", "Long polling",
                    "the server holds a request until it has news, here of a payment",
                    "a food order on its way", Set.of()),
            new Lesson("03_websocket", "WebSocket",
                    "one connection on which both sides talk at any time, here a chat",
                    "a live auction", Set.of()),
            new Lesson("04_server_sent_events", "Server-sent events",
                    "one answer that never ends, for notices and a dashboard",
                    "a build's log, live", Set.of()),
            new Lesson("05_webhook", "Webhook",
                    "a payment gateway calls the shop back, signed, until it is heard",
                    "Instagram's post on Facebook", Set.of()),
            new Lesson("06_heartbeats", "Heartbeats",
                    "both sides speak up, so that silence means death, here of riders on a map",
                    "smart meters", Set.of()),
            new Lesson("07_resuming", "Resuming",
                    "a killed server, 300 clients that come back, and no goal lost or told twice",
                    "a mirror of a news agency",
                    Set.of(Need.SECOND_PROGRAM, Need.UPSTREAM)),
            new Lesson("08_slow_consumers", "Slow consumers",
                    "where a slow reader's bytes wait, how many, and what is dropped",
                    "an exchange's screens", Set.of(Need.SECOND_PROGRAM)),
            new Lesson("09_streamed_answers", "Streamed answers",
                    "an assistant's tokens, and what a closed page leaves running",
                    "a translator", Set.of()),
            new Lesson("10_many_tabs", "Many tabs",
                    "the seventh stream hangs; tabs that elect a leader share one",
                    "a shared document", Set.of(Need.TLS)),
            new Lesson("11_falling_back", "Falling back",
                    "a ticker through hostile networks, by the best way there is",
                    "a shop's till", Set.of(Need.UPSTREAM)));

    private Course() {}
}
