//! Closes the idle connections of a peer that is ejected or drained.

use std::collections::HashSet;
use std::sync::Arc;

use evenhand::{EventKind, Events, Lagged, Peers, State};

use crate::peer::{Endpoint, Peer};

/// Follows the peer set's events until they end.
///
/// All that is known of is done in one pass over the peers: a pass takes longer the more there are, and so
/// covers the more events.
pub(crate) async fn purge_idle(mut events: Events, peers: Peers<Arc<Endpoint>>) {
    let mut left = HashSet::new();
    loop {
        let mut next = match events.next().await {
            Ok(None) => return,
            next => next,
        };
        let mut missed_some = false;
        loop {
            match next {
                Ok(Some(event)) => match event.kind {
                    EventKind::Ejected { .. } | EventKind::Draining => {
                        left.insert(event.peer);
                    }
                    _ => {}
                },
                Ok(None) => break,
                Err(Lagged(_)) => missed_some = true,
            }
            next = events.try_next();
        }
        if missed_some || !left.is_empty() {
            let leaves = |peer: &Peer| {
                let may_have_left = missed_some && peer.state() != State::Up;
                may_have_left || left.contains(peer.name())
            };
            let leaving = peers.iter().filter(leaves);
            leaving.for_each(|peer| peer.driver.purge());
            left.clear();
        }
    }
}
