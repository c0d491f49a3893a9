package requirements;

import grader.client.Answer;
import grader.requirement.Requirements;

/// 01 Short polling: a flash sale.
abstract sealed class ShortPolling extends Requirements
        permits ShortPollingStock, ShortPollingSale {
    void stockIs(int left) {
        put("/stock", json("left", left)).expect(204, DONE_ALREADY);
    }

    static String tagOf(Answer answer) {
        answer.expect(200, "The stock is there, and nobody sent its tag.")
                .expectHeader("ETag", "an ETag", tag -> !tag.isBlank(),
                        "The answer names its news by the tag of the stock.");
        return answer.header("ETag");
    }
}
