//! Closes the idle connections of a peer when it is ejected or drained.

use std::sync::Arc;

use evenhand::{EventKind, Events, Peers, State};

use crate::endpoint::Endpoint;

/// Listens to the peer set's events, for as long as it is let.
pub(crate) async fn purge_what_leaves(mut events: Events, peers: Peers<Arc<Endpoint>>) {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                if let EventKind::Ejected { .. } | EventKind::Draining = event.kind {
                    let gone = |name: &str| *name == *event.peer;
                    let left = peers.iter().filter(|peer| gone(peer.name()));
                    left.for_each(|peer| peer.purge());
                }
            }
            Ok(None) => return,
            // Some event may have been missed: what is out now is purged (again).
            Err(_) => {
                let out = peers.iter().filter(|peer| peer.state() != State::Up);
                out.for_each(|peer| peer.purge());
            }
        }
    }
}
