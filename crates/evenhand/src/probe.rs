//! What happens when an ejected peer's time comes.
//!
//! A timer, one for each ejection, says that the time has come, so that no pick reads the clock.
//! Then either the next attempt is the probe, or, where a probe service was given, that service is
//! called in the background and no caller waits for a peer that may not answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

use crate::book::{Change, Record};
use crate::classify::{PeerVerdict, Verdict};
use crate::event::EventKind;
use crate::health::Phase;
use crate::member::Member;
use crate::peer::{Occupied, Peer};
use crate::place::Place;
use crate::policy::Policy;
use crate::set::Set;

type ProbeFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A probe service, its types forgotten, and the time it is given.
pub(crate) struct BackgroundProbe<P>(Arc<dyn Fn(Peer<P>) -> ProbeFuture + Send + Sync>);

impl<P> Clone for BackgroundProbe<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Send + Sync + 'static> BackgroundProbe<P> {
    /// One probe, within its limit.
    pub(crate) fn run(&self, peer: Peer<P>) -> ProbeFuture {
        (self.0)(peer)
    }

    pub(crate) fn new<V>(service: V, limit: Duration) -> Self
    where
        V: Service<Peer<P>> + Clone + Send + Sync + 'static,
        V::Response: Into<Verdict>,
        V::Future: Send,
    {
        Self(Arc::new(move |peer| {
            let mut service = service.clone();
            Box::pin(async move {
                let probe = async {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    service.call(peer).await
                };
                match timeout(limit, probe).await {
                    Ok(Ok(answer)) => decide(answer.into()),
                    Ok(Err(_)) => Verdict::down().because("probe failed"),
                    Err(_) => Verdict::down().because("probe timed out"),
                }
            })
        }))
    }
}

/// A probe finds that the peer is back, or that it is not: there is no third.
fn decide(verdict: Verdict) -> Verdict {
    match verdict.peer {
        PeerVerdict::Healthy => verdict,
        _ => Verdict {
            peer: PeerVerdict::Down,
            ..verdict
        },
    }
}

/// Tokio's timers fire up to a millisecond late; one more for good measure.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// Sleeps until `moment`, or not at all if it is past: a timer that is set late fires only when
/// the runtime next looks at its timers.
async fn reach(moment: Instant) {
    if Instant::now() < moment {
        sleep_until(moment).await;
    }
}

/// The timer of one ejection.
pub(crate) struct Alarm<P> {
    member: Weak<Member<P>>,
    generation: u32,
    /// `None` where no balancer was ever made over the set.
    policy: Option<Arc<Policy<P>>>,
    rung: bool,
}

impl<P: Send + Sync + 'static> Alarm<P> {
    /// Rings at `due`, on the runtime that this is called in.
    pub(crate) fn set(
        member: &Arc<Member<P>>,
        generation: u32,
        due: Instant,
        policy: Option<&Arc<Policy<P>>>,
    ) {
        let alarm = Self {
            member: Arc::downgrade(member),
            generation,
            policy: policy.cloned(),
            rung: false,
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(alarm.wait_for(due));
        }
    }

    /// Sets the timers of those ejected peers that have none, as they were ejected outside every
    /// runtime, or in one that has ended. Does nothing outside a runtime.
    ///
    /// Until a timer runs, picks go on looking at the clock: the caller may be the one that keeps
    /// the runtime busy.
    #[cold]
    pub(crate) fn adopt(set: &Set<P>, policy: &Arc<Policy<P>>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        for (member, generation, due) in set.adopt_untimed(TIMER_GRAIN) {
            let alarm = Self {
                member: Arc::downgrade(&member),
                generation,
                policy: Some(policy.clone()),
                rung: false,
            };
            runtime.spawn(async move {
                alarm.take_over();
                alarm.wait_for(due).await;
            });
        }
    }

    async fn wait_for(self, due: Instant) {
        if self.probe().is_none() {
            reach(due.checked_sub(TIMER_GRAIN).unwrap_or(due)).await;
            self.leave_to_picks();
        }
        reach(due).await;
        self.ring().await;
    }

    async fn ring(mut self) {
        self.rung = true;
        let Some(member) = self.member.upgrade() else {
            return;
        };
        let health = &member.health;
        let (Some(probe), Some(policy)) = (self.probe(), &self.policy) else {
            member.change(|_, _| health.ripen(self.generation).map(|_| Change::Due));
            return;
        };
        let mut claimed = None;
        // Counted before it is claimed, so that a drain in between waits for it.
        let occupied = Occupied::new(Peer(member.clone()));
        member.change(|_, _| {
            health.ripen(self.generation)?;
            claimed = health.claim(false);
            claimed.map(|_| Change::Told(EventKind::ProbeStarted))
        });
        if let Some(now) = claimed {
            let place = Place::on(occupied, now, true);
            let (mut left, pause) = policy.checks.rise(&policy.random);
            let verdict = loop {
                let verdict = probe.run(Peer(member.clone())).await;
                left -= 1;
                if left == 0 || verdict.peer != PeerVerdict::Healthy {
                    break verdict;
                }
                sleep(pause).await;
                if member.health.read().generation != now.generation {
                    // An operator has decided.
                    return;
                }
            };
            place.settle(&verdict, policy);
        }
    }
}

impl<P> Alarm<P> {
    fn probe(&self) -> Option<&BackgroundProbe<P>> {
        self.policy
            .as_ref()
            .and_then(|policy| policy.probe.as_ref())
    }

    /// This timer runs, so picks need not look at the clock.
    fn take_over(&self) {
        let background = self.probe().is_some();
        self.change_record(|record| {
            record.timed = true;
            record.background = background;
        });
    }

    /// Picks look at the clock from now on: they tell the moment exactly, a timer does not.
    fn leave_to_picks(&self) {
        self.change_record(|record| {
            record.timed = false;
            record.background = false;
        });
    }

    /// Changes what is known of the ejection, if it is still the same one.
    fn change_record(&self, change: impl FnOnce(&mut Record)) {
        let Some(member) = self.member.upgrade() else {
            return;
        };
        member.change(|record, _| {
            let now = member.health.read();
            (now.phase == Phase::Ejected && now.generation == self.generation).then(|| {
                record.adopted = false;
                change(record);
                Change::Timing
            })
        });
    }
}

/// A timer that dies with its runtime leaves the peer to those picks that look at the clock.
impl<P> Drop for Alarm<P> {
    fn drop(&mut self) {
        if !self.rung {
            self.leave_to_picks();
        }
    }
}
