//! Closes the idle connections of a peer when it is ejected or drained, unless it is merely full:
//! then they are worth more than ever.

use std::sync::Arc;

use evenhand::{EventKind, Events, Peers, State};

use crate::classify::is_merely_full;
use crate::endpoint::Endpoint;

/// Listens to the peer set's events, for as long as it is let.
pub(crate) async fn purge_what_leaves(mut events: Events, peers: Peers<Arc<Endpoint>>) {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                let leaves = match event.kind {
                    EventKind::Ejected { reason, .. } => !is_merely_full(reason),
                    kind => kind == EventKind::Draining,
                };
                if leaves {
                    let gone = |name: &str| *name == *event.peer;
                    let left = peers.iter().filter(|peer| gone(peer.name()));
                    left.for_each(|peer| peer.driver.purge());
                }
            }
            Ok(None) => return,
            // Some event may have been missed: what is out now is purged (again).
            Err(_) => {
                let out = peers.iter().filter(|peer| peer.state() != State::Up);
                out.for_each(|peer| peer.driver.purge());
            }
        }
    }
}
