//! When a second leg starts, and which of the two decides.

use super::*;

#[tokio::test(start_paused = true)]
async fn hanging_peer_is_hedged_after_exactly_the_delay() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    for _ in 0..20 {
        connector.script([Does::Hang, Does::Answer]);
        let (answer, took) = send(&hedge).await;
        let attempts = connector.attempts();
        assert_eq!(attempts.len(), 2);
        assert_ne!(attempts[0], attempts[1]);
        assert_eq!(answer.unwrap(), attempts[1]);
        // A tokio timer is up to a millisecond late.
        assert!(
            took >= D && took <= D + Duration::from_millis(1),
            "{took:?}"
        );
        nothing_is_left(&peers, &connector);
    }
    assert_eq!(peers.up_count(), 2, "losing ejects no peer");
}

#[tokio::test(start_paused = true)]
async fn second_attempt_does_not_start_early() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    for time in [Duration::ZERO, D / 2, D - Duration::from_millis(2)] {
        connector.script([Does::AnswerAfter(time)]);
        send(&hedge).await.0.unwrap();
        advance(D * 3).await;
        assert_eq!(connector.attempts().len(), 1);
    }
    let mut slow = pin!(settled(&hedge).call("request"));
    connector.script([Does::Hang, Does::Hang]);
    assert!(poll_once(slow.as_mut()).is_pending());
    advance(D - Duration::from_millis(2)).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert_eq!(connector.attempts().len(), 1);
    advance(Duration::from_millis(3)).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert_eq!(connector.attempts().len(), 1, "the second");
    advance(LONG).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert!(connector.attempts().is_empty(), "there is no third");
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_leg_can_still_win() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    connector.script([Does::AnswerAfter(D * 2), Does::Hang]);
    let (answer, took) = send(&hedge).await;
    assert_eq!(answer.unwrap(), connector.attempts()[0]);
    assert!(took >= D * 2 && took < D * 3);
    nothing_is_left(&peers, &connector);
    assert_eq!(peers.up_count(), 2);
}

async fn is_not_hedged<Y: Replay<&'static str> + Clone>(replay: Y) {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let layer = layer(&peers).replay(replay).hedge_after(D);
    let hedge: Hedged<Y> = layer.layer(connector.clone());
    connector.script([Does::AnswerAfter(LONG)]);
    let (answer, took) = send(&hedge).await;
    assert!(answer.is_ok() && took >= LONG);
    assert_eq!(connector.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_must_be_idempotent_and_copyable() {
    is_not_hedged(<Cloned>::default()).await;
    is_not_hedged(Cloned::idempotent_if(|request: &&str| request.is_empty())).await;
    is_not_hedged(Once).await;
    is_not_hedged(Copies::of(1)).await;
}

/// Allows this number of copies.
#[derive(Clone)]
struct Copies(Arc<Mutex<u32>>);

impl Copies {
    fn of(n: u32) -> Self {
        Self(Arc::new(Mutex::new(n)))
    }
}

impl Replay<&'static str> for Copies {
    fn copy(&self, request: &&'static str) -> Option<&'static str> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(1)?;
        Some(*request)
    }

    fn is_idempotent(&self, _: &&'static str) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn failed_second_leg_leaves_the_first_to_finish() {
    let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
    let layer = layer(&peers).replay(Copies::of(2)).hedge_after(D);
    let hedge: Hedged<Copies> = layer.layer(connector.clone());
    connector.script([Does::AnswerAfter(D * 3), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(answer.unwrap(), attempts[0]);
    nothing_is_left(&peers, &connector);
}

#[tokio::test(start_paused = true)]
async fn hedge_needs_another_peer_that_is_up() {
    let (_, connector, one) = hedge(&["only"]);
    connector.script([Does::AnswerAfter(LONG)]);
    assert_eq!(send(&one).await.0.unwrap(), "only");
    assert_eq!(connector.attempts(), ["only"]);

    let (peers, connector, two) = hedge(&["a", "b"]);
    peers.eject("b", LONG).unwrap();
    connector.script([Does::AnswerAfter(D * 5)]);
    assert_eq!(send(&two).await.0.unwrap(), "a");
    assert_eq!(connector.attempts(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn hedge_never_probes() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    peers.eject("b", INTERVAL).unwrap();
    advance(INTERVAL - D / 2).await;
    // `b` comes due between the first leg's start and the hedge's time.
    connector.script([Does::AnswerAfter(D * 5)]);
    assert_eq!(send(&hedge).await.0.unwrap(), "a");
    assert_eq!(connector.attempts(), ["a"]);
    assert_eq!(send(&hedge).await.0.unwrap(), "b", "it is still due");
}

#[tokio::test(start_paused = true)]
async fn failed_second_leg_does_not_probe() {
    let (peers, connector, hedge) = hedge(&["a", "b", "c"]);
    peers.eject("c", INTERVAL).unwrap();
    advance(INTERVAL - D / 2).await;
    connector.script([Does::AnswerAfter(D * 5), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert_eq!(answer.unwrap(), attempts[0]);
}

#[tokio::test(start_paused = true)]
async fn losing_probe_releases_its_permit() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    peers.eject("a", INTERVAL).unwrap();
    advance(INTERVAL).await;
    connector.tell("a", Does::Hang);
    assert_eq!(send(&hedge).await.0.unwrap(), "b");
    assert_eq!(connector.attempts(), ["a", "b"]);
    nothing_is_left(&peers, &connector);
    assert_eq!(state_of(&peers, "a"), State::Ejected);

    connector.tell("a", Does::Answer);
    assert_eq!(send(&hedge).await.0.unwrap(), "a", "still due");
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_winners_verdict_counts() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    let gone = Verdict::down().because("lost in commit");
    connector.script([Does::FailAfter(D * 5, REFUSED), Does::Fail(gone)]);
    let error = send(&hedge).await.0.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    let attempts = connector.attempts();
    advance(D * 10).await;
    assert_eq!(state_of(&peers, &attempts[0]), State::Up);
    assert_eq!(state_of(&peers, &attempts[1]), State::Ejected);
    nothing_is_left(&peers, &connector);
}

#[tokio::test(start_paused = true)]
async fn unretryable_answer_wins() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    let no = Verdict::healthy().because("no such row");
    connector.script([Does::Hang, Does::Fail(no)]);
    let error = send(&hedge).await.0.unwrap_err();
    assert_eq!(error.tried().len(), 1);
    assert_eq!(*error.tried()[0].peer, *connector.attempts()[1]);
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_leg_fails_over_before_the_delay() {
    let (peers, connector, hedge) = hedge(&["a", "b", "c"]);
    connector.script([REFUSE, Does::Answer]);
    let (answer, took) = send(&hedge).await;
    assert!(answer.is_ok() && took == Duration::ZERO);
    assert_eq!(connector.attempts().len(), 2);
    assert_eq!(peers.up_count(), 2);

    // The delay runs from the request's first attempt, not from the latest.
    let (_, connector, three) = self::hedge(&["a", "b", "c"]);
    connector.script([Does::FailAfter(D / 2, REFUSED), Does::Hang, Does::Answer]);
    let (answer, took) = send(&three).await;
    let attempts = connector.attempts();
    assert_eq!(answer.unwrap(), attempts[2]);
    assert!(took < D + Duration::from_millis(2), "{took:?}");
    assert_eq!(HashSet::<String>::from_iter(attempts).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn other_leg_decides_if_one_finds_no_peer() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    // The first fails while the second is on the only other peer.
    connector.script([Does::FailAfter(D * 2, REFUSED), Does::AnswerAfter(D * 5)]);
    let (answer, took) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(attempts.len(), 2, "no peer is tried twice");
    assert_eq!(answer.unwrap(), attempts[1]);
    assert!(took >= D * 6, "{took:?}");
    assert_eq!(state_of(&peers, &attempts[0]), State::Ejected);
    nothing_is_left(&peers, &connector);

    let (peers, connector, hedge) = self::hedge(&["a", "b"]);
    connector.script([Does::AnswerAfter(D * 5), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(answer.unwrap(), attempts[0]);
    assert_eq!(state_of(&peers, &attempts[1]), State::Ejected);
    nothing_is_left(&peers, &connector);
}

#[tokio::test(start_paused = true)]
async fn error_names_the_peers_of_both_legs() {
    let names = ["a", "b", "c", "d", "e"];
    for first_last in [false, true] {
        let (peers, connector, hedge) = hedge(&names);
        let late = if first_last { D * 9 } else { D * 2 };
        connector.script([REFUSE, Does::FailAfter(late, REFUSED)]);
        connector.script([REFUSE, Does::FailAfter(D * 4, REFUSED), REFUSE]);
        let error = send(&hedge).await.0.unwrap_err();
        assert!(matches!(error, Error::Exhausted { .. }), "{error:?}");
        assert!(error.next_due().is_some());
        let mut tried: Vec<String> = error.tried().iter().map(|t| t.peer.to_string()).collect();
        let mut attempts = connector.attempts();
        tried.sort();
        attempts.sort();
        assert_eq!(tried, names);
        assert_eq!(attempts, names);
        assert_eq!(peers.up_count(), 0);
        nothing_is_left(&peers, &connector);
    }
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_recovery_if_both_legs_fail() {
    for script in [
        [
            Does::FailAfter(D * 2, REFUSED),
            Does::FailAfter(D * 2, REFUSED),
        ],
        [Does::FailAfter(D * 4, REFUSED), REFUSE],
    ] {
        let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
        let layer = layer(&peers)
            .replay(Cloned::idempotent())
            .all_down(AllDown::WaitUpTo(INTERVAL * 2))
            .hedge_after(D);
        let hedge: Hedged = layer.layer(connector.clone());
        connector.script(script);
        let (answer, took) = send(&hedge).await;
        answer.unwrap();
        assert!(took >= INTERVAL && took < INTERVAL + D * 5, "{took:?}");
        assert_eq!(connector.attempts().len(), 3);
        nothing_is_left(&peers, &connector);
    }
}

#[tokio::test(start_paused = true)]
async fn two_suspect_legs_eject_no_peer() {
    let doubt = Verdict::suspect().safe().because("access denied");
    for script in [
        [Does::FailAfter(D * 2, doubt), Does::FailAfter(D * 2, doubt)],
        [Does::FailAfter(D * 2, doubt), Does::Fail(doubt)],
    ] {
        let (peers, connector, hedge) = hedge(&["a", "b"]);
        connector.script(script);
        let error = send(&hedge).await.0.unwrap_err();
        assert!(matches!(error, Error::Inconclusive { .. }), "{error:?}");
        assert_eq!(error.tried().len(), 2);
        assert_eq!(peers.up_count(), 2);
        nothing_is_left(&peers, &connector);
    }
}

#[tokio::test(start_paused = true)]
async fn second_leg_success_ejects_a_suspect_first_peer() {
    let (peers, connector, hedge) = hedge(&["a", "b"]);
    let doubt = Verdict::suspect().safe().because("access denied");
    connector.script([Does::FailAfter(D * 2, doubt), Does::AnswerAfter(D * 4)]);
    let (answer, _) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(answer.unwrap(), attempts[1]);
    assert_eq!(state_of(&peers, &attempts[0]), State::Ejected);
}

#[tokio::test(start_paused = true)]
async fn rejected_response_waits_for_the_other_leg() {
    let busy = Verdict::neutral().safe().because("busy");
    let (_, connector, hedge) = hedge(&["a", "b"]);
    connector.script([Does::AnswerAfter(D * 4), Does::AnswerBadly(busy)]);
    let (answer, _) = send(&hedge).await;
    assert_eq!(answer.unwrap(), connector.attempts()[0]);

    connector.script([Does::FailAfter(D * 4, REFUSED), Does::AnswerBadly(busy)]);
    let (answer, _) = send(&hedge).await;
    let attempts = connector.attempts();
    assert_eq!(answer.unwrap(), attempts[1], "it says more than an error");
}
