//! The response future ends at each of its await points: dropped, abandoned, or completed but not
//! yet dropped. It must leak nothing and hold no permit, and the next request must be served.
//!
//! Each scenario runs repeatedly and ends one poll later each time until it completes, so that
//! every await point is covered, including future ones.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{INTERVAL, peers};
use evenhand::{AllDown, Attempt, Balance, BalanceLayer, Eject, Peers, State, Verdict};
use tokio::task::yield_now;
use tokio::time::{advance, timeout};
use tower::{Layer, Service};

/// Everything that passes through the balancer holds a token, so that leaks can be counted.
type Token = Arc<()>;

/// The results of the next attempts.
type Script = VecDeque<Result<Verdict, Verdict>>;

struct Carries {
    verdict: Verdict,
    _token: Token,
}

type Outcome = Result<Carries, Carries>;

#[derive(Default)]
struct ScriptedConnector {
    script: Script,
    /// The peer of each attempt, and whether it was a probe.
    attempts: Vec<(String, bool)>,
}

/// Pending once before it is ready, and twice before it answers; keeps the request until then.
#[derive(Clone)]
struct Slow {
    _token: Token,
    polled: bool,
    connector: Arc<Mutex<ScriptedConnector>>,
}

impl Service<Attempt<(), Token>> for Slow {
    type Response = Carries;
    type Error = Carries;
    type Future = Pin<Box<dyn Future<Output = Outcome>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Carries>> {
        self.polled = !self.polled;
        if self.polled {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<(), Token>) -> Self::Future {
        let mut connector = self.connector.lock().unwrap();
        let peer = attempt.peer.name().to_owned();
        connector.attempts.push((peer, attempt.is_probe()));
        let outcome = connector.script.pop_front();
        let ticket = attempt.ticket();
        let carries = |verdict| Carries {
            verdict,
            _token: attempt.request.clone(),
        };
        let outcome = outcome.unwrap_or(Ok(Verdict::healthy()));
        let outcome = outcome.map(carries).map_err(carries);
        Box::pin(async move {
            let _kept = (attempt, ticket);
            yield_now().await;
            yield_now().await;
            outcome
        })
    }
}

type Judge = fn(Result<&Carries, &Carries>) -> Verdict;
type Balanced = Balance<Slow, (), evenhand::Rules<Judge>>;

struct Situation {
    peers: Peers<()>,
    balance: Balanced,
    token: Token,
    connector: Arc<Mutex<ScriptedConnector>>,
}

impl Situation {
    fn new(all_down: AllDown) -> Self {
        let (peers, token) = (peers(&["a", "b"]), Token::default());
        let connector = Arc::<Mutex<ScriptedConnector>>::default();
        let slow = Slow {
            _token: token.clone(),
            polled: false,
            connector: connector.clone(),
        };
        let judge: Judge = |outcome| match outcome {
            Ok(carries) | Err(carries) => carries.verdict,
        };
        let balance = BalanceLayer::new(peers.clone())
            .classify(judge)
            .eject(Eject::on_first().recheck_every(INTERVAL))
            .all_down(all_down)
            .seed(1)
            .layer(slow);
        Self {
            peers,
            balance,
            token,
            connector,
        }
    }

    async fn warm_up(&mut self) {
        for _ in 0..3 {
            assert!(self.balance.call(self.token.clone()).await.is_ok());
        }
    }

    /// Ejects by a verdict. A manual ejection would keep requests from the peer that fail open.
    async fn eject(&mut self, peers: usize) {
        while self.peers.up_count() > 2 - peers {
            self.script(&[Err(Verdict::down())]);
            let refused = self.balance.call(self.token.clone()).await;
            assert!(refused.is_err());
        }
        self.connector.lock().unwrap().attempts.clear();
    }

    fn script(&self, script: &[Result<Verdict, Verdict>]) {
        self.connector.lock().unwrap().script = script.iter().copied().collect();
    }

    fn attempts(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.connector.lock().unwrap().attempts)
    }

    fn probing(&self) -> Option<String> {
        let statuses = self.peers.statuses();
        let probing = statuses.iter().find(|s| s.state == State::Probing);
        probing.map(|status| status.peer.to_string())
    }

    fn assert_nothing_is_held(&self, tokens: usize) {
        for status in self.peers.statuses() {
            assert_eq!(status.in_flight, 0, "{status:?}");
            assert_ne!(
                status.state,
                State::Probing,
                "the probe releases its permit at once"
            );
        }
        assert_eq!(Token::strong_count(&self.token), tokens);
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Drop,
    Abandon,
}

/// Ends the request after each number of polls, `between` which time passes. Returns how many polls
/// it takes to complete, and what it tried.
async fn end_everywhere(
    all_down: AllDown,
    ejected: usize,
    wait_first: Duration,
    between: Duration,
    script: &[Result<Verdict, Verdict>],
) -> (usize, usize) {
    let mut through = (0, 0);
    // A fresh clone and a clone that has been used differ in their reference counts.
    for (end, warm) in [
        (End::Drop, false),
        (End::Drop, true),
        (End::Abandon, false),
        (End::Abandon, true),
    ] {
        for polls in 0.. {
            assert!(polls < 100, "it never completes");
            let mut situation = Situation::new(all_down);
            if warm {
                situation.warm_up().await;
            }
            situation.eject(ejected).await;
            advance(wait_first).await;
            let tokens = Token::strong_count(&situation.token);
            situation.script(script);
            let future = situation.balance.call(situation.token.clone());
            let mut boxed = Box::pin(future);
            let mut outcome = Poll::Pending;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                outcome = boxed.as_mut().poll(&mut cx).map(drop);
                if outcome.is_ready() {
                    break;
                }
                advance(between).await;
            }
            let (probing, attempts) = (situation.probing(), situation.attempts().len());
            let mut kept = None;
            match end {
                _ if outcome.is_ready() => kept = Some(boxed),
                End::Drop => drop(boxed),
                End::Abandon => {
                    drop(boxed.as_mut().abandon());
                    kept = Some(boxed);
                }
            }
            println!(
                "{end:?} (warm: {warm}) after {polls} polls, {attempts} attempts, probing: {probing:?}"
            );
            // The future that is left holds its connector and the request's copy, and no permit.
            let held = kept.as_ref().map_or(0, |_| {
                let now = Token::strong_count(&situation.token);
                assert!(now <= tokens + 2, "{now} of {tokens}");
                now - tokens
            });
            situation.assert_nothing_is_held(tokens + held);
            drop(kept);
            situation.assert_nothing_is_held(tokens);

            next_is_served(&mut situation, probing.filter(|_| outcome.is_pending())).await;
            situation.assert_nothing_is_held(tokens);
            if outcome.is_ready() {
                through = (polls, attempts);
                break;
            }
        }
    }
    through
}

/// The next request is served. If a probe was cancelled, this request probes, or the one after it
/// if both peers are due.
async fn next_is_served(situation: &mut Situation, cut_off: Option<String>) {
    situation.script(&[]);
    situation.attempts();
    let retry = if situation.peers.up_count() == 0 && cut_off.is_none() {
        2 * INTERVAL
    } else {
        Duration::ZERO
    };
    advance(retry).await;
    let due = 2 - situation.peers.up_count();
    for _ in 0..due.max(1) {
        let request = situation.token.clone();
        let served = pin!(situation.balance.call(request));
        let served = timeout(Duration::from_secs(1), served).await;
        assert!(served.unwrap().is_ok());
    }
    let attempts = situation.attempts();
    if let Some(peer) = cut_off {
        assert!(attempts.contains(&(peer, true)), "{attempts:?}");
    }
}

const ANSWER: Result<Verdict, Verdict> = Ok(Verdict::healthy());
const REFUSE: Result<Verdict, Verdict> = Err(Verdict::down().safe());
const DENY: Result<Verdict, Verdict> = Err(Verdict::suspect().safe());
const NEUTRAL: Result<Verdict, Verdict> = Err(Verdict::neutral().safe());
const AT_ONCE: Duration = Duration::ZERO;

/// Readiness takes two polls, and the second also starts the call. The call takes three, and the
/// last also starts the next attempt's readiness.
const fn polls(attempts: usize) -> usize {
    1 + 3 * attempts
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_in_its_first_attempt() {
    let through = end_everywhere(AllDown::Fail, 0, AT_ONCE, AT_ONCE, &[ANSWER]).await;
    assert_eq!(through, (polls(1), 1));
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_in_its_retry() {
    let through = end_everywhere(AllDown::Fail, 0, AT_ONCE, AT_ONCE, &[REFUSE, ANSWER]).await;
    assert_eq!(through, (polls(2), 2));
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_with_a_rejected_response() {
    let busy = Ok(Verdict::degraded().safe());
    let through = end_everywhere(AllDown::Fail, 0, AT_ONCE, AT_ONCE, &[busy, busy]).await;
    assert_eq!(through.1, 2);
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_in_a_probe() {
    for script in [[ANSWER, ANSWER], [REFUSE, ANSWER], [NEUTRAL, ANSWER]] {
        let through = end_everywhere(AllDown::Fail, 1, INTERVAL, AT_ONCE, &script).await;
        let attempts = if script[0] == ANSWER { 1 } else { 2 };
        assert_eq!(through, (polls(attempts), attempts));
    }
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_while_a_suspect_is_judged() {
    for second in [ANSWER, DENY, REFUSE] {
        let through = end_everywhere(AllDown::Fail, 0, AT_ONCE, AT_ONCE, &[DENY, second]).await;
        assert_eq!(through.1, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_while_a_suspect_probe_is_judged() {
    for second in [ANSWER, DENY, REFUSE] {
        let through = end_everywhere(AllDown::Fail, 1, INTERVAL, AT_ONCE, &[DENY, second]).await;
        assert_eq!(through.1, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn unretryable_request_holds_no_suspect_permit() {
    let denied = Err(Verdict::suspect());
    let through = end_everywhere(AllDown::Fail, 1, INTERVAL, AT_ONCE, &[denied]).await;
    assert_eq!(through.1, 1);
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_while_waiting() {
    let wait = AllDown::WaitUpTo(4 * INTERVAL);
    let through = end_everywhere(wait, 2, AT_ONCE, INTERVAL / 4, &[ANSWER]).await;
    assert_eq!(through.1, 1);
    let script = [REFUSE, REFUSE, ANSWER];
    let through = end_everywhere(wait, 2, AT_ONCE, INTERVAL / 4, &script).await;
    assert_eq!(through.1, 3);
}

#[tokio::test(start_paused = true)]
async fn request_can_be_dropped_while_it_fails_open() {
    for script in [[ANSWER], [REFUSE], [NEUTRAL]] {
        let through = end_everywhere(AllDown::FailOpen, 2, AT_ONCE, AT_ONCE, &script).await;
        assert!(through.1 >= 1);
    }
}
