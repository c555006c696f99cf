//! Observers: whoever is to be told what happens to peers, without a loop of their own.
//!
//! An observer is called by a task that reads the peer set's events like any other reader, so it is
//! outside every lock and gets them in order, peer by peer. Each call runs on a thread for blocking
//! work: an observer that blocks holds up its own next event and nothing else, not even on a
//! runtime with a single thread; one that panics loses the event it panicked at. Requests know of
//! no observer, so they pay for none.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::event::{Event, Events, Lagged};
use crate::guard::TaskGuard;
use crate::peers::Peers;

/// Is told what happens to the peers of a set. See [`Peers::observe`].
///
/// Closures of the right shape are observers.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to a peer. May block, and may panic; a call that never returns holds up
    /// the end of the runtime.
    fn event(&self, event: &Event);

    /// It was so slow that this many events were lost to it: whoever keeps a count or a state must
    /// look anew. Does nothing unless it is written.
    fn lost(&self, events: u64) {
        let _ = events;
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

impl<P> Peers<P> {
    /// Tells `observer` all that happens from now on, one event after the other, by a task that
    /// runs until the guard is dropped, the runtime ends, or the set is gone; then what happened
    /// before is still told. The task does not keep the set; an observer that holds a clone of it
    /// does, for as long as it runs itself.
    ///
    /// A slow observer harms no request. It may fall 1024 events behind; then the oldest are lost
    /// to it, which is traced at `WARN` and [told](Observer::lost). A panic of the observer is
    /// traced at `ERROR`, and it goes on with the next event.
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

/// Tells `observer` the events, one after the other, until they end.
pub(crate) async fn deliver(mut events: Events, observer: Arc<impl Observer>) {
    loop {
        let observer = observer.clone();
        let told = match events.next().await {
            Ok(Some(event)) => spawn_blocking(move || observer.event(&event)),
            Ok(None) => return,
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
}
