//! Watches for peers that have fallen silent while callers wait for them.
//!
//! One task a pool looks at all peers; a statement has no timer of its own. Where something waits and
//! nothing was heard for a while, those that wait are told to check the peer. The check decides: a
//! statement may be slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evenhand::Peers;
use tokio::time::{Instant, sleep_until};

use crate::options::health::{DEFAULT_HEALTH_CHECK_INTERVAL, HealthCheck};
use crate::peer::Endpoint;
use crate::peer::traffic::Traffic;

/// Watches as the options ask for it. Runs until it is dropped.
pub(crate) async fn watch(peers: Peers<Arc<Endpoint>>, health: HealthCheck) {
    let active = health.get_active().map(|(interval, _)| interval);
    let longest = active.unwrap_or(DEFAULT_HEALTH_CHECK_INTERVAL);
    if let Some(after) = health.get_silence() {
        watch_silence(peers, after, longest).await;
    }
}

/// A peer is checked after `after` of silence, and less and less often while
/// only operations wait that waited at the last check: down to one in `longest`.
async fn watch_silence(peers: Peers<Arc<Endpoint>>, after: Duration, longest: Duration) {
    let mut watches = HashMap::new();
    loop {
        let round = Round::new(after);
        sleep_until(round.ends).await;
        if round.was_late() {
            // This client was stalled: answers may wait to be read.
            continue;
        }
        let now = Instant::now();
        let mut before = std::mem::take(&mut watches);
        for peer in peers.iter().filter(|peer| peer.permits.held() > 0) {
            let name = peer.shared_name();
            let mut watch = before.remove(&name).unwrap_or(Watch::new(now, after));
            if watch.is_due(&peer.traffic, now, after, longest) {
                peer.silence.suspect();
            }
            watches.insert(name, watch);
        }
    }
}

/// The time between two looks.
struct Round {
    ends: Instant,
    slack: Duration,
}

impl Round {
    fn new(after: Duration) -> Self {
        let ends = Instant::now() + after / 4;
        let slack = after / 2;
        Self { ends, slack }
    }

    fn was_late(&self) -> bool {
        Instant::now() > self.ends + self.slack
    }
}

/// How a peer that is in use is watched.
struct Watch {
    /// When it was last to be checked.
    checked: Instant,
    /// How long after that it is to be checked again, if no further operation begins.
    gap: Duration,
}

impl Watch {
    fn new(now: Instant, gap: Duration) -> Self {
        Self { checked: now, gap }
    }

    fn is_due(
        &mut self,
        traffic: &Traffic,
        now: Instant,
        after: Duration,
        longest: Duration,
    ) -> bool {
        let heard = traffic.heard();
        if heard > self.checked {
            self.gap = after;
        }
        let due = match traffic.unanswered() {
            Some(began) => began + after,
            None => heard.max(self.checked) + self.gap,
        };
        let is_due = due <= now;
        if is_due {
            traffic.forget_begun();
            self.checked = now;
            self.gap = (2 * self.gap).min(longest.max(after));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(5);

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// When the peer is to be checked, in milliseconds of a minute in which `happens`.
    async fn checks(happens: impl Fn(u64, &Traffic)) -> Vec<u64> {
        let (start, traffic) = (Instant::now(), Traffic::new());
        let mut watch = Watch::new(start, AFTER);
        let mut checks = Vec::new();
        for at in (0..60_000).step_by(100) {
            happens(at, &traffic);
            if watch.is_due(&traffic, Instant::now(), AFTER, LONGEST) {
                checks.push(at);
            }
            tokio::time::advance(ms(100)).await;
        }
        checks
    }

    #[tokio::test(start_paused = true)]
    async fn checks_grow_rare_while_one_statement_waits() {
        let checks = checks(|at, traffic| {
            if at == 1000 {
                traffic.note_heard();
                traffic.note_begun(Instant::now());
            }
        });
        assert_eq!(checks.await[..6], [500, 1500, 2500, 4500, 8500, 13500]);
    }

    #[tokio::test(start_paused = true)]
    async fn further_operation_is_watched_from_its_start() {
        let checks = checks(|at, traffic| {
            if at == 20_200 {
                traffic.note_begun(Instant::now());
            }
        });
        let near = |at: &u64| (20_000..21_500).contains(at);
        let checks: Vec<u64> = checks.await.into_iter().filter(near).collect();
        assert_eq!(checks, [20_700]);
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_is_heard_often_is_not_checked() {
        let checks = checks(|at, traffic| {
            traffic.note_begun(Instant::now());
            if at % 400 == 0 {
                traffic.note_heard();
            }
        });
        assert_eq!(checks.await, [0_u64; 0]);
    }

    /// A check in the moment after a stall would blame the peer for it.
    #[tokio::test(start_paused = true)]
    async fn stalled_watcher_skips_a_round() {
        let round = Round::new(AFTER);
        tokio::time::advance(ms(375)).await;
        assert!(!round.was_late());
        tokio::time::advance(ms(1)).await;
        assert!(round.was_late());
    }
}
