//! Counters and gauges through the `metrics` facade: the feature of that name.
//!
//! They are recorded by an [`Observer`], so they cost requests nothing. For the same reason they do
//! not count requests: `BalanceLayer::record_metrics` does.
//!
//! A counter follows the events, one by one. A gauge is set to the peer's state when the event is
//! delivered, which may be later than the event. So after a burst, or when events were lost, it shows
//! the current state. All gauges are set once a second as well: another set of the same name may have
//! left them at 0 when it ended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::table::{EJECTIONS, LOST, METRICS, Metric, PEER_UP, PEERS, PROBES, RECOVERIES};
use super::{Observer, tell};
use crate::event::{Event, EventKind, Events};
use crate::peers::Peers;
use crate::set::Set;
use crate::set::status::State;
use crate::task_guard::TaskGuard;

/// How often all gauges are set, whatever happens.
const INTERVAL: Duration = Duration::from_secs(1);

const STATES: [State; 4] = [State::Up, State::Ejected, State::Probing, State::Draining];

impl<Target: Send + Sync + 'static> Peers<Target> {
    /// Records what happens to the peers from now on with the recorder of the `metrics` crate,
    /// which must be installed before. `pool` is the label that tells this set from others.
    /// [`METRICS`](crate::METRICS) has the same as data.
    ///
    /// | name | labels | |
    /// | --- | --- | --- |
    /// | `evenhand_ejections_total` | `pool`, `peer`, `reason` | counter: a peer was ejected; the verdict's reason, or `unspecified` |
    /// | `evenhand_probes_total` | `pool`, `peer`, `outcome` | counter: a probe ended; `recovered`, `failed` or `abandoned` |
    /// | `evenhand_recoveries_total` | `pool`, `peer` | counter: a peer recovered |
    /// | `evenhand_events_lost_total` | `pool` | counter: events that came faster than they could be counted |
    /// | `evenhand_peers` | `pool`, `state` | gauge: the number of peers that are `up`, `ejected`, `probing`, `draining` |
    /// | `evenhand_peer_up` | `pool`, `peer` | gauge: 1 while the peer is up, else 0 |
    ///
    /// The gauges are set when a peer changes its state, and once a second. They are 0 once the set is
    /// gone or the guard dropped; of two sets of one name, those of the other follow within a second.
    /// The facade cannot take a gauge back: `evenhand_peer_up` of a peer that was removed stays 0
    /// until the exporter drops it as idle. `evenhand_peers` counts only the peers that the set has, so
    /// alert on it.
    ///
    /// The guard works as that of [`observe`](Self::observe). Requests are not counted:
    /// [`BalanceLayer::record_metrics`](crate::BalanceLayer::record_metrics) does that.
    ///
    /// # Panics
    ///
    /// If it is called outside a tokio runtime. The task panics in a runtime without a timer.
    ///
    /// ```
    /// use evenhand::Peers;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let peers = Peers::new([("db0", "10.0.0.1:3306"), ("db1", "10.0.0.2:3306")])?;
    /// peers.record_metrics("orders").detach();
    /// # Ok(()) }
    /// ```
    pub fn record_metrics(&self, pool: impl Into<Arc<str>>) -> TaskGuard {
        METRICS.iter().for_each(Metric::describe);
        let metrics = Metrics {
            name: pool.into(),
            set: Arc::downgrade(&self.set),
            shown: Mutex::default(),
        };
        // In this order: what changes after the gauges were read is told, and sets them anew.
        let events = self.subscribe();
        metrics.refresh(None);
        TaskGuard::spawn(record(events, Arc::new(metrics)))
    }
}

/// Records the events, and sets all gauges now and then, until the events end.
async fn record<Target: Send + Sync + 'static>(mut events: Events, metrics: Arc<Metrics<Target>>) {
    let mut due = Instant::now() + INTERVAL;
    loop {
        if let Ok(next) = timeout_at(due, events.next()).await {
            let Some(next) = next.transpose() else {
                return;
            };
            tell(next, &metrics).await;
        }
        if due <= Instant::now() {
            let metrics = metrics.clone();
            // A recorder that panics here is told of by its panic.
            let _ = spawn_blocking(move || metrics.refresh(None)).await;
            due = Instant::now() + INTERVAL;
        }
    }
}

struct Metrics<Target> {
    name: Arc<str>,
    set: Weak<Set<Target>>,
    /// The peers whose gauge is not 0.
    shown: Mutex<HashSet<Arc<str>>>,
}

impl<Target: Send + Sync + 'static> Observer for Metrics<Target> {
    fn event(&self, event: &Event) {
        let (pool, peer) = (&self.name, &event.peer);
        match event.kind {
            EventKind::Ejected { reason, .. } => {
                let reason = reason.unwrap_or("unspecified");
                counter!(EJECTIONS, "pool" => pool.clone(), "peer" => peer.clone(), "reason" => reason)
                    .increment(1);
            }
            EventKind::ProbeFailed { .. } => self.probe_ended(peer, "failed"),
            EventKind::ProbeAbandoned => self.probe_ended(peer, "abandoned"),
            EventKind::Recovered => {
                self.probe_ended(peer, "recovered");
                counter!(RECOVERIES, "pool" => pool.clone(), "peer" => peer.clone()).increment(1);
            }
            EventKind::ProbeStarted
            | EventKind::Added
            | EventKind::Removed
            | EventKind::Draining
            | EventKind::Restored => {}
        }
        self.refresh(Some(peer));
    }

    fn lost(&self, events: u64) {
        counter!(LOST, "pool" => self.name.clone()).increment(events);
        self.refresh(None);
    }
}

impl<Target> Metrics<Target> {
    fn probe_ended(&self, peer: &Arc<str>, outcome: &'static str) {
        counter!(PROBES, "pool" => self.name.clone(), "peer" => peer.clone(), "outcome" => outcome)
            .increment(1);
    }

    fn set_up(&self, peer: &Arc<str>, up: bool) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            shown.insert(peer.clone());
        } else {
            shown.remove(peer);
        }
        drop(shown);
        gauge!(PEER_UP, "pool" => self.name.clone(), "peer" => peer.clone()).set(f64::from(up));
    }

    /// Sets the gauges of the set, and of the one peer or all.
    fn refresh(&self, peer: Option<&Arc<str>>) {
        let Some(set) = self.set.upgrade() else {
            return;
        };
        let statuses = set.statuses();
        match peer {
            Some(peer) => {
                let mut up = statuses.iter().filter(|status| status.state == State::Up);
                self.set_up(peer, up.any(|status| status.peer == *peer));
            }
            None => {
                // Those whose removal was lost.
                let mut gone =
                    std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner));
                for status in &statuses {
                    gone.remove(&status.peer);
                    self.set_up(&status.peer, status.state == State::Up);
                }
                gone.iter().for_each(|peer| self.set_up(peer, false));
            }
        }
        for state in STATES {
            let count = statuses.iter().filter(|s| s.state == state).count();
            self.set_count(state, count);
        }
    }

    fn set_count(&self, state: State, count: usize) {
        let labels = [
            ("pool", self.name.to_string()),
            ("state", state.to_string()),
        ];
        gauge!(PEERS, &labels).set(count as f64);
    }
}

/// What is not there any more has no peers.
impl<Target> Drop for Metrics<Target> {
    fn drop(&mut self) {
        let shown = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner);
        let shown = std::mem::take(shown);
        shown.iter().for_each(|peer| self.set_up(peer, false));
        STATES
            .into_iter()
            .for_each(|state| self.set_count(state, 0));
    }
}
