///usr/bin/env jbang "$0" "$@" ; exit $?
//DESCRIPTION Exercise: a translator
//JAVA 25+
//DEPS io.undertow:undertow-core:2.3.27.Final
//SOURCES ../shared/[A-Z]*.java
//FILES 09_streamed_answers.java
//FILES 09_streamed_answers.html=../exercises/09_streamed_answers.html

// %% [markdown]
// # 09 - Exercise: (to do: the story)
//
// (to do: the story in a paragraph.)
//
// **The twist.** (to do: what keeps the lesson from being pasted.)
//
// ## What it must do
//
// 1. `GET /hello?name=ada` answers 200 with `{"hello":"ada"}`.
//
// Run this file, open its page, and see it come alive with each TODO:
// `./jbang exercises/09_streamed_answers.java`. Then grade it: `./jbang grade 09`.
// Stuck? `./jbang hint 09` gives one hint at a time.

// %%
import io.undertow.server.*;
import java.util.Map;
import shared.*;

// %% [markdown]
// ## TODO 1: say hello
//
// (to do: a sentence that helps with this hole.)

// %%
class Greeter {
    Map<String, String> greeting(String name) {
        // TODO 1: Return a map that says hello to `name`.
        return Map.of("hello", name);
        // END 1
    }

    void greet(HttpServerExchange exchange) {
        Http.json(exchange, 200, greeting(Http.query(exchange, "name")));
    }
}

// %% [markdown]
// ## Routes

// %%
class StreamedAnswers {
    static HttpHandler routes() {
        Greeter greeter = new Greeter();
        return new Routes()
                .page("09_streamed_answers")
                .get("/hello", greeter::greet);
    }

    void main() {
        Serve.run("09 Streamed answers", 7009, routes());
    }
}
