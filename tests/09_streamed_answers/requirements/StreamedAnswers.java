package requirements;

import grader.requirement.Requirement;
import grader.requirement.Requirements;
import org.junit.jupiter.api.DisplayName;

@DisplayName("09 Streamed answers: (to do: the story)")
class StreamedAnswers extends Requirements {
    @Requirement(id = "09.1", points = 1, todo = 1)
    @DisplayName("GET /hello says hello to whom it is told")
    void hello() {
        String name = word(6);
        get("/hello?name=" + name)
                .expect(200, "Nothing can be wrong with this request.")
                .expectJson("hello", name, "Say hello to the name of the query.");
    }
}
