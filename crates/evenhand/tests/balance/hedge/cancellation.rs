//! What a hedged request leaves behind when it is dropped.

use evenhand::{Cause, Tried};

use super::*;

#[tokio::test(start_paused = true)]
async fn dropped_request_leaks_nothing() {
    use Does::{FailAfter, Hang};
    // The results of the attempts. With the times below, each is dropped in each of its states.
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
                let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
                if probing {
                    peers.eject("a", INTERVAL).unwrap();
                    advance(INTERVAL).await;
                }
                let layer = layer(&peers)
                    .replay(Cloned::idempotent())
                    .all_down(AllDown::WaitUpTo(LONG))
                    .hedge_after(D);
                let hedge: Hedged = layer.layer(connector.clone());
                connector.script(script.clone());
                let clone = if new { hedge.clone() } else { settled(&hedge) };
                assert!(timeout(after, send_by(clone)).await.is_err());
                nothing_is_left(&peers, &connector);
            }
        }
    }
    let (peers, connector, hedge) = hedge(&["a"]);
    drop(hedge.clone().call("never polled"));
    nothing_is_left(&peers, &connector);
}

#[tokio::test(start_paused = true)]
async fn abandoned_request_reports_peers_of_both_legs() {
    let (peers, connector, hedge) = hedge(&["a", "b", "c", "d"]);
    connector.script([REFUSE, Does::Hang, REFUSE, Does::Hang]);
    let mut request = pin!(settled(&hedge).call("request"));
    assert!(timeout(D * 2, request.as_mut()).await.is_err());
    let error = request.as_mut().abandon();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    // Of each leg one attempt failed and one is in flight.
    let is_late = |tried: &Tried<Failure>| matches!(tried.cause, Cause::TimedOut);
    assert_eq!(error.tried().len(), 4);
    assert_eq!(
        error.tried().iter().filter(|tried| is_late(tried)).count(),
        2
    );
    nothing_is_left(&peers, &connector);
}

#[test]
fn requests_outside_a_runtime_are_not_hedged() {
    let (_, connector, hedge) = hedge(&["a", "b"]);
    let mut answered = pin!(settled(&hedge).call("request"));
    assert!(poll_once(answered.as_mut()).is_ready());
    connector.script([Does::Hang]);
    let mut hangs = pin!(settled(&hedge).call("request"));
    assert!(poll_once(hangs.as_mut()).is_pending());
    assert_eq!(connector.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn random_outcomes_try_no_peer_twice_and_leak_nothing() {
    let names = ["a", "b", "c", "d"];
    let doubt = Verdict::suspect().safe();
    let busy = Verdict::degraded().safe().because("busy");
    for seed in 0..3000_u64 {
        // The high bits of a product are random enough here.
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
        let (peers, connector) = (peers(&names), ScriptedConnector::new());
        let hedge: Hedged = layer(&peers)
            .seed(seed)
            .replay(Cloned::idempotent())
            .hedge_after(D)
            .layer(connector.clone());
        connector.script(does);
        let clone = match seed % 2 {
            0 => hedge.clone(),
            _ => settled(&hedge),
        };
        let answer = timeout(LONG, send_by(clone)).await.unwrap().0;
        let attempts = connector.attempts();
        let different = HashSet::<&String>::from_iter(&attempts).len();
        assert_eq!(different, attempts.len(), "seed {seed}: {attempts:?}");
        if let Err(error) = answer {
            let tried: HashSet<&str> = error.tried().iter().map(|t| &*t.peer).collect();
            assert_eq!(tried.len(), error.tried().len(), "seed {seed}: {error}");
            if matches!(error, Error::Exhausted { .. }) {
                assert_eq!(tried.len(), names.len(), "seed {seed}: {error}");
            }
        }
        nothing_is_left(&peers, &connector);
    }
}
