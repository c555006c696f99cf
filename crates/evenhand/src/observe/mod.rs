//! Observers: callbacks for what happens to peers, and what is built on them. Knows of the peers and
//! their events, but of no balancer.
//!
//! A task reads the set's events as any other reader, outside every lock, and calls the observer.
//! Each call runs on a thread for blocking work: an observer that blocks delays its own next event
//! and nothing else, not even on a runtime with a single thread. An observer that panics loses the
//! event at which it panicked. Requests know of no observer, so they pay for none. What they do
//! themselves is counted by a `meter`, with the feature `metrics` and where it is asked for.

pub(crate) mod meter;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
pub(crate) mod table;

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::event::{Event, Events, Lagged};
use crate::peers::Peers;
use crate::task_guard::TaskGuard;

/// A callback for what happens to the peers of a set. See [`Peers::observe`].
///
/// A closure `Fn(&Event)` is an observer.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to a peer. Runs on a thread for blocking work, so it may block; it may also
    /// panic. A call that never returns delays the end of the runtime.
    fn event(&self, event: &Event);

    /// The observer was so slow that it lost this many events. An observer that keeps a state must
    /// read it again, from [`Peers::statuses`]. Does nothing by default.
    fn lost(&self, events: u64) {
        let _ = events;
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

impl<Target> Peers<Target> {
    /// Calls `observer` with each event from now on, one after the other, in a task that runs until
    /// the guard is dropped, the runtime ends, or the set is gone and its last event was delivered.
    /// The task does not keep the set alive.
    ///
    /// A slow observer delays no request. It may fall 1024 events behind; then it loses the oldest
    /// ones, which is logged at `WARN` and reported to [`Observer::lost`]. A panic of the observer
    /// is logged at `ERROR`, and the next event is delivered.
    ///
    /// # Panics
    ///
    /// If it is called outside a tokio runtime.
    ///
    /// ```
    /// use evenhand::{Event, EventKind, Peers};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let peers = Peers::new([("db0", "10.0.0.1:3306"), ("db1", "10.0.0.2:3306")])?;
    /// let page = |event: &Event| {
    ///     if let EventKind::Ejected { .. } = event.kind {
    ///         eprintln!("{event}");
    ///     }
    /// };
    /// peers.observe(page).detach();
    /// # Ok(()) }
    /// ```
    pub fn observe(&self, observer: impl Observer) -> TaskGuard {
        TaskGuard::spawn(deliver(self.subscribe(), Arc::new(observer)))
    }
}

/// Calls `observer` with the events, one after the other, until they end.
async fn deliver(mut events: Events, observer: Arc<impl Observer>) {
    while let Some(next) = events.next().await.transpose() {
        tell(next, &observer).await;
    }
}

/// Calls `observer` with an event, or with how many were lost.
async fn tell(next: Result<Event, Lagged>, observer: &Arc<impl Observer>) {
    let observer = observer.clone();
    let told = match next {
        Ok(event) => spawn_blocking(move || observer.event(&event)),
        Err(Lagged(lost)) => {
            tracing::warn!(lost, "events were lost to a slow observer");
            spawn_blocking(move || observer.lost(lost))
        }
    };
    if let Err(error) = told.await
        && error.is_panic()
    {
        tracing::error!(%error, "an observer panicked");
    }
}
