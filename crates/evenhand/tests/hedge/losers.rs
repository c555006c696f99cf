//! What becomes of the leg that lost, and of a request that is dropped.

use super::*;

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
            for (probing, new) in [(false, false), (false, true), (true, false)] {
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
                let clone = if new { hedge.clone() } else { settled(&hedge) };
                assert!(timeout(after, send_by(clone)).await.is_err());
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
    let mut request = pin!(settled(&hedge).call("request"));
    assert!(timeout(D * 2, request.as_mut()).await.is_err());
    assert_eq!(request.as_mut().abandon().tried().len(), 2);
    nothing_is_left(&peers, &stage);
}

#[test]
fn outside_a_runtime_requests_are_plain_ones() {
    let (_, stage, hedge) = hedge(&["a", "b"]);
    let mut answered = pin!(settled(&hedge).call("request"));
    assert!(poll_once(answered.as_mut()).is_ready());
    stage.script([Does::Hang]);
    let mut hangs = pin!(settled(&hedge).call("request"));
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
        let clone = match seed % 2 {
            0 => hedge.clone(),
            _ => settled(&hedge),
        };
        let answer = timeout(LONG, send_by(clone)).await.unwrap().0;
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
