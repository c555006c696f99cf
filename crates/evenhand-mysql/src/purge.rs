//! Closes the idle connections of a peer when it is ejected.
//!
//! A task listens to the peer set's events. It is started by the first checkout, since a pool may
//! be made outside a runtime, and again by a later one if its runtime has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenhand::{EventKind, Events, Peers, State};
use tokio::runtime::Handle;

use crate::endpoint::{Endpoint, Peer};

/// Whether the task runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purger(Arc<AtomicBool>);

impl Purger {
    /// Starts the task unless it runs.
    pub(crate) fn ensure_runs(&self, peers: &Peers<Arc<Endpoint>>) {
        if self.0.load(Ordering::Relaxed) || self.0.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Running(self.0.clone());
        if let Ok(runtime) = Handle::try_current() {
            // The task holds the peers, not the set: the set's end is what ends it.
            let (events, all) = (peers.subscribe(), peers.iter().collect());
            runtime.spawn(purge_ejected(running, events, all));
        }
    }
}

/// Says on drop that the task has ended, however it did.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn purge_ejected(_running: Running, mut events: Events, peers: Vec<Peer>) {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                if let EventKind::Ejected { .. } = event.kind {
                    peers
                        .iter()
                        .filter(|peer| *peer.shared_name() == *event.peer)
                        .for_each(purge);
                }
            }
            Ok(None) => return,
            // Some ejection may have been missed: what is out now is purged (again).
            Err(_) => peers
                .iter()
                .filter(|peer| peer.state() != State::Up)
                .for_each(purge),
        }
    }
}

fn purge(peer: &Peer) {
    peer.purge();
}
