//! A second peer is asked where the first takes its time.

#![allow(
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

mod common;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Answer, AsTold, Does, Failure, INTERVAL, REFUSE, Stage, layer, peers};
use evenhand::{
    AllDown, Cause, Cloned, Error, Hedge, HedgeLayer, Loser, Once, Peers, Replay, State, Verdict,
};
use tokio::time::{Instant, advance, timeout};
use tower::{Layer, Service};

const D: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3600);
const REFUSED: Verdict = Verdict::down().safe().because("refused");

type Hedged<Y = Cloned> = Hedge<Stage, (), AsTold, Y>;

fn hedging(peers: &Peers<()>) -> HedgeLayer<(), AsTold> {
    layer(peers).replay(Cloned::idempotent()).hedge_after(D)
}

fn hedge(names: &[&str]) -> (Peers<()>, Stage, Hedged) {
    let (peers, stage) = (peers(names), Stage::new());
    let hedge = hedging(&peers).layer(stage.clone());
    (peers, stage, hedge)
}

/// Sends one request and says which peer answered, and after what time.
async fn send<H>(hedge: &H) -> (Result<String, Error<Failure>>, Duration)
where
    H: Service<&'static str, Response = Answer, Error = Error<Failure>> + Clone,
{
    let start = Instant::now();
    let answer = hedge.clone().call("request").await;
    (answer.map(|answer| answer.peer), start.elapsed())
}

fn state_of(peers: &Peers<()>, name: &str) -> State {
    let peer = peers.iter().find(|peer| peer.name() == name);
    peer.unwrap().state()
}

/// No attempt is under way, and no probe's place is taken.
#[track_caller]
fn nothing_is_left(peers: &Peers<()>, stage: &Stage) {
    drop(stage.tickets());
    for status in peers.statuses() {
        assert_eq!(status.in_flight, 0, "{status:?}");
        assert_ne!(status.state, State::Probing, "{status:?}");
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_hang_on_one_peer_is_answered_by_another_after_exactly_that_time() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    for _ in 0..20 {
        stage.script([Does::Hang, Does::Answer]);
        let (answer, took) = send(&hedge).await;
        let attempts = stage.attempts();
        assert_eq!(attempts.len(), 2);
        assert_ne!(attempts[0], attempts[1]);
        assert_eq!(answer.unwrap(), attempts[1]);
        // A timer of tokio's is up to a millisecond late.
        assert!(
            took >= D && took <= D + Duration::from_millis(1),
            "{took:?}"
        );
        nothing_is_left(&peers, &stage);
    }
    assert_eq!(peers.up(), 2, "nobody is blamed for losing");
}

#[tokio::test(start_paused = true)]
async fn no_second_attempt_starts_before_its_time() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    for time in [Duration::ZERO, D / 2, D - Duration::from_millis(2)] {
        stage.script([Does::AnswerAfter(time)]);
        send(&hedge).await.0.unwrap();
        advance(D * 3).await;
        assert_eq!(stage.attempts().len(), 1);
    }
    let mut slow = pin!(hedge.clone().call("request"));
    stage.script([Does::Hang, Does::Hang]);
    assert!(poll_once(slow.as_mut()).is_pending());
    advance(D - Duration::from_millis(2)).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert_eq!(stage.attempts().len(), 1);
    advance(Duration::from_millis(3)).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert_eq!(stage.attempts().len(), 1, "the second");
    advance(LONG).await;
    assert!(poll_once(slow.as_mut()).is_pending());
    assert!(stage.attempts().is_empty(), "there is no third");
    assert_eq!(peers.up(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_leg_can_still_win() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    stage.script([Does::AnswerAfter(D * 2), Does::Hang]);
    let (answer, took) = send(&hedge).await;
    assert_eq!(answer.unwrap(), stage.attempts()[0]);
    assert!(took >= D * 2 && took < D * 3);
    nothing_is_left(&peers, &stage);
    assert_eq!(peers.up(), 2);
}

async fn is_not_hedged<Y: Replay<&'static str> + Clone>(replay: Y) {
    let (peers, stage) = (peers(&["a", "b"]), Stage::new());
    let layer = layer(&peers).replay(replay).hedge_after(D);
    let hedge: Hedged<Y> = layer.layer(stage.clone());
    stage.script([Does::AnswerAfter(LONG)]);
    let (answer, took) = send(&hedge).await;
    assert!(answer.is_ok() && took >= LONG);
    assert_eq!(stage.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_idempotent_or_cannot_be_copied_is_not_hedged() {
    is_not_hedged(<Cloned>::default()).await;
    is_not_hedged(Cloned::idempotent_if(|request: &&str| request.is_empty())).await;
    is_not_hedged(Once).await;
    is_not_hedged(Copies::of(1)).await;
}

/// Gives so many copies and no more.
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
async fn a_second_leg_that_fails_with_its_only_copy_leaves_it_to_the_first() {
    let (peers, stage) = (peers(&["a", "b", "c"]), Stage::new());
    let layer = layer(&peers).replay(Copies::of(2)).hedge_after(D);
    let hedge: Hedged<Copies> = layer.layer(stage.clone());
    stage.script([Does::AnswerAfter(D * 3), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = stage.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(answer.unwrap(), attempts[0]);
    nothing_is_left(&peers, &stage);
}

#[tokio::test(start_paused = true)]
async fn no_hedge_starts_where_no_other_peer_is_up() {
    let (_, stage, one) = hedge(&["only"]);
    stage.script([Does::AnswerAfter(LONG)]);
    assert_eq!(send(&one).await.0.unwrap(), "only");
    assert_eq!(stage.attempts(), ["only"]);

    let (peers, stage, two) = hedge(&["a", "b"]);
    peers.eject("b", LONG).unwrap();
    stage.script([Does::AnswerAfter(D * 5)]);
    assert_eq!(send(&two).await.0.unwrap(), "a");
    assert_eq!(stage.attempts(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_never_probes() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    peers.eject("b", INTERVAL).unwrap();
    advance(INTERVAL - D / 2).await;
    // `b` comes due between the first leg's start and the hedge's time.
    stage.script([Does::AnswerAfter(D * 5)]);
    assert_eq!(send(&hedge).await.0.unwrap(), "a");
    assert_eq!(stage.attempts(), ["a"]);
    assert_eq!(send(&hedge).await.0.unwrap(), "b", "it was due all along");
}

#[tokio::test(start_paused = true)]
async fn a_second_leg_that_fails_does_not_probe_either() {
    let (peers, stage, hedge) = hedge(&["a", "b", "c"]);
    peers.eject("c", INTERVAL).unwrap();
    advance(INTERVAL - D / 2).await;
    stage.script([Does::AnswerAfter(D * 5), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = stage.attempts();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert_eq!(answer.unwrap(), attempts[0]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_loses_frees_its_place() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    peers.eject("a", INTERVAL).unwrap();
    advance(INTERVAL).await;
    stage.tell("a", Does::Hang);
    assert_eq!(send(&hedge).await.0.unwrap(), "b");
    assert_eq!(stage.attempts(), ["a", "b"]);
    nothing_is_left(&peers, &stage);
    assert_eq!(state_of(&peers, "a"), State::Ejected);

    stage.tell("a", Does::Answer);
    assert_eq!(send(&hedge).await.0.unwrap(), "a", "still due");
    assert_eq!(peers.up(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_winners_verdict_counts_and_the_losers_does_not() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    let gone = Verdict::down().because("lost in commit");
    stage.script([Does::FailAfter(D * 5, REFUSED), Does::Fail(gone)]);
    let error = send(&hedge).await.0.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    let attempts = stage.attempts();
    advance(D * 10).await;
    assert_eq!(state_of(&peers, &attempts[0]), State::Up);
    assert_eq!(state_of(&peers, &attempts[1]), State::Ejected);
    nothing_is_left(&peers, &stage);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_forbids_another_peer_wins() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    let no = Verdict::healthy().because("no such row");
    stage.script([Does::Hang, Does::Fail(no)]);
    let error = send(&hedge).await.0.unwrap_err();
    assert_eq!(error.tried().len(), 1);
    assert_eq!(*error.tried()[0].peer, *stage.attempts()[1]);
    assert_eq!(peers.up(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_leg_fails_over_by_itself() {
    let (peers, stage, hedge) = hedge(&["a", "b", "c"]);
    stage.script([REFUSE, Does::Answer]);
    let (answer, took) = send(&hedge).await;
    assert!(answer.is_ok() && took == Duration::ZERO);
    assert_eq!(stage.attempts().len(), 2);
    assert_eq!(peers.up(), 2);

    // Its time runs from the request's first attempt, not from the latest.
    let (_, stage, three) = self::hedge(&["a", "b", "c"]);
    stage.script([Does::FailAfter(D / 2, REFUSED), Does::Hang, Does::Answer]);
    let (answer, took) = send(&three).await;
    let attempts = stage.attempts();
    assert_eq!(answer.unwrap(), attempts[2]);
    assert!(took < D + Duration::from_millis(2), "{took:?}");
    assert_eq!(HashSet::<String>::from_iter(attempts).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_one_leg_finds_no_peer_the_other_decides() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    // The first fails while the second is on the only other peer.
    stage.script([Does::FailAfter(D * 2, REFUSED), Does::AnswerAfter(D * 5)]);
    let (answer, took) = send(&hedge).await;
    let attempts = stage.attempts();
    assert_eq!(attempts.len(), 2, "no peer is tried twice");
    assert_eq!(answer.unwrap(), attempts[1]);
    assert!(took >= D * 6, "{took:?}");
    assert_eq!(state_of(&peers, &attempts[0]), State::Ejected);
    nothing_is_left(&peers, &stage);

    let (peers, stage, hedge) = self::hedge(&["a", "b"]);
    stage.script([Does::AnswerAfter(D * 5), REFUSE]);
    let (answer, _) = send(&hedge).await;
    let attempts = stage.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(answer.unwrap(), attempts[0]);
    assert_eq!(state_of(&peers, &attempts[1]), State::Ejected);
    nothing_is_left(&peers, &stage);
}

#[tokio::test(start_paused = true)]
async fn if_both_legs_fail_the_error_names_every_peer_that_either_tried() {
    let names = ["a", "b", "c", "d", "e"];
    for first_last in [false, true] {
        let (peers, stage, hedge) = hedge(&names);
        let late = if first_last { D * 9 } else { D * 2 };
        stage.script([REFUSE, Does::FailAfter(late, REFUSED)]);
        stage.script([REFUSE, Does::FailAfter(D * 4, REFUSED), REFUSE]);
        let error = send(&hedge).await.0.unwrap_err();
        assert!(matches!(error, Error::NoneLeft { .. }), "{error:?}");
        assert!(error.next_due().is_some());
        let mut tried: Vec<String> = error.tried().iter().map(|t| t.peer.to_string()).collect();
        let mut attempts = stage.attempts();
        tried.sort();
        attempts.sort();
        assert_eq!(tried, names);
        assert_eq!(attempts, names);
        assert_eq!(peers.up(), 0);
        nothing_is_left(&peers, &stage);
    }
}

#[tokio::test(start_paused = true)]
async fn after_both_legs_failed_it_waits_for_a_recovery_as_a_plain_request_does() {
    for script in [
        [
            Does::FailAfter(D * 2, REFUSED),
            Does::FailAfter(D * 2, REFUSED),
        ],
        [Does::FailAfter(D * 4, REFUSED), REFUSE],
    ] {
        let (peers, stage) = (peers(&["a", "b"]), Stage::new());
        let layer = layer(&peers)
            .replay(Cloned::idempotent())
            .all_down(AllDown::WaitUpTo(INTERVAL * 2))
            .hedge_after(D);
        let hedge: Hedged = layer.layer(stage.clone());
        stage.script(script);
        let (answer, took) = send(&hedge).await;
        answer.unwrap();
        assert!(took >= INTERVAL && took < INTERVAL + D * 5, "{took:?}");
        assert_eq!(stage.attempts().len(), 3);
        nothing_is_left(&peers, &stage);
    }
}

#[tokio::test(start_paused = true)]
async fn two_legs_that_agree_in_doubt_blame_nobody() {
    let doubt = Verdict::suspect().safe().because("access denied");
    for script in [
        [Does::FailAfter(D * 2, doubt), Does::FailAfter(D * 2, doubt)],
        [Does::FailAfter(D * 2, doubt), Does::Fail(doubt)],
    ] {
        let (peers, stage, hedge) = hedge(&["a", "b"]);
        stage.script(script);
        let error = send(&hedge).await.0.unwrap_err();
        assert!(matches!(error, Error::Agreed { .. }), "{error:?}");
        assert_eq!(error.tried().len(), 2);
        assert_eq!(peers.up(), 2);
        nothing_is_left(&peers, &stage);
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspect_first_leg_is_convicted_by_the_second() {
    let (peers, stage, hedge) = hedge(&["a", "b"]);
    let doubt = Verdict::suspect().safe().because("access denied");
    stage.script([Does::FailAfter(D * 2, doubt), Does::AnswerAfter(D * 4)]);
    let (answer, _) = send(&hedge).await;
    let attempts = stage.attempts();
    assert_eq!(answer.unwrap(), attempts[1]);
    assert_eq!(state_of(&peers, &attempts[0]), State::Ejected);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_turned_down_does_not_win_while_the_other_leg_may_do_better() {
    let busy = Verdict::neutral().safe().because("busy");
    let (_, stage, hedge) = hedge(&["a", "b"]);
    stage.script([Does::AnswerAfter(D * 4), Does::AnswerBadly(busy)]);
    let (answer, _) = send(&hedge).await;
    assert_eq!(answer.unwrap(), stage.attempts()[0]);

    stage.script([Does::FailAfter(D * 4, REFUSED), Does::AnswerBadly(busy)]);
    let error = send(&hedge).await.0.unwrap_err();
    let turned_down =
        |tried: &evenhand::Tried<Failure>| matches!(tried.cause, Cause::Rejected(Some("busy")));
    assert!(error.tried().iter().any(turned_down), "{error:?}");
    assert_eq!(error.tried().len(), 2);
}

/// Losers that were handed over.
type Losers = Arc<Mutex<Vec<Loser>>>;

fn keeping_losers(
    peers: &Peers<()>,
    stage: &Stage,
) -> (
    Losers,
    impl Service<&'static str, Response = Answer, Error = Error<Failure>> + Clone,
) {
    let losers = Losers::default();
    let layer = hedging(peers).on_loser({
        let losers = losers.clone();
        move |loser| losers.lock().unwrap().push(loser)
    });
    (losers, layer.layer(stage.clone()))
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_is_handed_over_can_finish_and_its_outcome_counts() {
    for (script, loser) in [
        ([Does::FailAfter(D * 4, REFUSED), Does::Answer], 0),
        (
            [Does::AnswerAfter(D * 2), Does::FailAfter(D * 4, REFUSED)],
            1,
        ),
    ] {
        let (peers, stage) = (peers(&["a", "b", "c"]), Stage::new());
        let (losers, hedge) = keeping_losers(&peers, &stage);
        stage.script(script);
        send(&hedge).await.0.unwrap();
        drop(stage.tickets());
        let lost = losers.lock().unwrap().pop().unwrap();
        assert!(losers.lock().unwrap().is_empty());
        let in_flight: u32 = peers.statuses().iter().map(|status| status.in_flight).sum();
        assert_eq!(in_flight, 1, "the loser is still out");
        assert_eq!(peers.up(), 3);

        tokio::spawn(lost).await.unwrap();
        let attempts = stage.attempts();
        assert_eq!(attempts.len(), 2, "a loser tries no other peer");
        assert_eq!(state_of(&peers, &attempts[loser]), State::Ejected);
        nothing_is_left(&peers, &stage);
    }
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_is_dropped_later_blames_nobody() {
    let (peers, stage) = (peers(&["a", "b"]), Stage::new());
    let (losers, hedge) = keeping_losers(&peers, &stage);
    stage.script([Does::Hang, Does::Answer]);
    send(&hedge).await.0.unwrap();
    let lost = losers.lock().unwrap().pop().unwrap();
    assert!(timeout(LONG, lost).await.is_err());
    nothing_is_left(&peers, &stage);
    assert_eq!(peers.up(), 2);
}

#[tokio::test(start_paused = true)]
async fn there_is_no_loser_where_nothing_is_left_to_finish() {
    let (peers, stage) = (peers(&["a", "b"]), Stage::new());
    let (losers, hedge) = keeping_losers(&peers, &stage);
    stage.script([Does::Answer]);
    send(&hedge).await.0.unwrap();
    stage.script([Does::AnswerAfter(D * 4), REFUSE]);
    send(&hedge).await.0.unwrap();
    // Dropped, not lost.
    stage.script([Does::Hang]);
    assert!(timeout(D * 2, send(&hedge)).await.is_err());
    assert!(losers.lock().unwrap().is_empty());
    nothing_is_left(&peers, &stage);
}

#[tokio::test(start_paused = true)]
async fn dropped_at_any_point_it_leaks_nothing() {
    use Does::{FailAfter, Hang};
    // What the attempts do; by the times below each is dropped in every state it goes through.
    let scripts = [
        vec![Hang, Hang],
        vec![FailAfter(D * 2, REFUSED), Hang, Hang],
        vec![Hang, FailAfter(D, REFUSED), Hang],
        vec![
            FailAfter(D * 2, REFUSED),
            FailAfter(D * 3, REFUSED),
            FailAfter(D, REFUSED),
        ],
    ];
    for script in scripts {
        for after in [
            Duration::ZERO,
            D / 2,
            D,
            D * 3 / 2,
            D * 5 / 2,
            D * 7 / 2,
            D * 9 / 2,
        ] {
            for probing in [false, true] {
                let (peers, stage) = (peers(&["a", "b", "c"]), Stage::new());
                if probing {
                    peers.eject("a", INTERVAL).unwrap();
                    advance(INTERVAL).await;
                }
                let layer = layer(&peers)
                    .replay(Cloned::idempotent())
                    .all_down(AllDown::WaitUpTo(LONG))
                    .hedge_after(D);
                let hedge: Hedged = layer.layer(stage.clone());
                stage.script(script.clone());
                assert!(timeout(after, send(&hedge)).await.is_err());
                nothing_is_left(&peers, &stage);
            }
        }
    }
    let (peers, stage, hedge) = hedge(&["a"]);
    drop(hedge.clone().call("never polled"));
    nothing_is_left(&peers, &stage);
}

#[tokio::test(start_paused = true)]
async fn abandoned_it_tells_what_both_legs_tried() {
    let (peers, stage, hedge) = hedge(&["a", "b", "c", "d"]);
    stage.script([REFUSE, Does::Hang, REFUSE, Does::Hang]);
    let mut request = pin!(hedge.clone().call("request"));
    assert!(timeout(D * 2, request.as_mut()).await.is_err());
    assert_eq!(request.as_mut().abandon().tried().len(), 2);
    nothing_is_left(&peers, &stage);
}

#[test]
fn outside_a_runtime_requests_are_plain_ones() {
    let (_, stage, hedge) = hedge(&["a", "b"]);
    let mut answered = pin!(hedge.clone().call("request"));
    assert!(poll_once(answered.as_mut()).is_ready());
    stage.script([Does::Hang]);
    let mut hangs = pin!(hedge.clone().call("request"));
    assert!(poll_once(hangs.as_mut()).is_pending());
    assert_eq!(stage.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whatever_the_peers_do_no_peer_is_tried_twice_and_nothing_is_left() {
    let names = ["a", "b", "c", "d"];
    let doubt = Verdict::suspect().safe();
    let busy = Verdict::degraded().safe().because("busy");
    for seed in 0..3000_u64 {
        // The high bits of a product are as good as random here.
        let draw = |n: u64| {
            let mixed = (seed * 16 + n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
        };
        let does = (0..8).map(|n| {
            let time = D / 3 * u32::try_from(draw(n) / 8 % 10).unwrap();
            match draw(n) % 8 {
                0 => Does::Answer,
                1 => Does::AnswerAfter(time),
                2 => Does::FailAfter(time, doubt),
                3 => Does::FailAfter(time, Verdict::neutral().if_idempotent()),
                4 => Does::FailAfter(time, Verdict::down()),
                5 => Does::AnswerBadly(busy),
                _ => Does::FailAfter(time, REFUSED),
            }
        });
        let (peers, stage) = (peers(&names), Stage::new());
        let hedge: Hedged = layer(&peers)
            .seed(seed)
            .replay(Cloned::idempotent())
            .hedge_after(D)
            .layer(stage.clone());
        stage.script(does);
        let answer = timeout(LONG, send(&hedge)).await.unwrap().0;
        let attempts = stage.attempts();
        let different = HashSet::<&String>::from_iter(&attempts).len();
        assert_eq!(different, attempts.len(), "seed {seed}: {attempts:?}");
        if let Err(error) = answer {
            let tried: HashSet<&str> = error.tried().iter().map(|t| &*t.peer).collect();
            assert_eq!(tried.len(), error.tried().len(), "seed {seed}: {error}");
            if matches!(error, Error::NoneLeft { .. }) {
                assert_eq!(tried.len(), names.len(), "seed {seed}: {error}");
            }
        }
        nothing_is_left(&peers, &stage);
    }
}
