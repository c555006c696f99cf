//! What the caller gets does not depend on the order in which peers are tried.

use crate::common::{Does, REFUSE, ScriptedConnector, layer, peers, send};
use evenhand::Verdict;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn rejected_response_comes_before_errors() {
    let busy = Does::AnswerBadly(Verdict::degraded().safe().because("busy"));
    for seed in 0..40 {
        let (peers, connector) = (peers(&["busy", "dead"]), ScriptedConnector::new());
        connector.tell("busy", busy);
        connector.tell("dead", REFUSE);
        let balance = layer(&peers).seed(seed).layer(connector);
        assert_eq!(send(&balance).await.unwrap(), "busy");
    }
}

#[tokio::test(start_paused = true)]
async fn error_that_says_most_is_the_cause() {
    let unknown = Verdict::degraded().safe().because("reset");
    for seed in 0..40 {
        let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
        connector.tell_all(&["a", "c"], REFUSE);
        connector.tell("b", Does::Fail(unknown));
        let balance = layer(&peers).seed(seed).layer(connector);
        let error = send(&balance).await.unwrap_err();
        assert_eq!(error.cause().unwrap().to_string(), "reset");
        assert_eq!(error.tried().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_rejected_responses_that_of_the_first_peer_is_returned() {
    let busy = Does::AnswerBadly(Verdict::neutral().busy());
    for seed in 0..40 {
        let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
        connector.tell_all(&["a", "b", "c"], busy);
        let balance = layer(&peers).seed(seed).layer(connector);
        assert_eq!(send(&balance).await.unwrap(), "a");
    }
}
