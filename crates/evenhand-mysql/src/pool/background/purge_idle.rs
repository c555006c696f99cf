//! Closes the idle connections of a peer that is ejected or drained, unless it is only full. Then they
//! are the only ones to be had.

use std::sync::Arc;

use evenhand::{EventKind, Events, Peers, State};

use crate::classify::is_merely_full;
use crate::peer::Endpoint;

/// Follows the peer set's events until they end.
pub(crate) async fn purge_idle(mut events: Events, peers: Peers<Arc<Endpoint>>) {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                let leaves = match event.kind {
                    EventKind::Ejected { reason, .. } => !is_merely_full(reason),
                    kind => kind == EventKind::Draining,
                };
                if leaves {
                    let named = |name: &str| *name == *event.peer;
                    let left = peers.iter().filter(|peer| named(peer.name()));
                    left.for_each(|peer| peer.driver.purge());
                }
            }
            Ok(None) => return,
            // Events were missed: purge whatever is not up, some of it again.
            Err(_) => {
                let out = peers.iter().filter(|peer| peer.state() != State::Up);
                out.for_each(|peer| peer.driver.purge());
            }
        }
    }
}
