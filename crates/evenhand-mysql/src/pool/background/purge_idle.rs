//! Closes the idle connections of a peer that is ejected, drained or removed.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use evenhand::{EventKind, Events, Lagged, Peers, State};

use crate::peer::{Endpoint, Peer};

/// Follows the peer set's events until they end.
///
/// All that is known of is done in one pass over the peers: a pass takes longer the more there are, and so
/// covers the more events.
pub(crate) fn purge_idle(
    mut events: Events,
    peers: Peers<Arc<Endpoint>>,
) -> impl Future<Output = ()> + Send {
    // Before the first of them can be removed unseen.
    let mut members: Vec<Peer> = peers.iter().collect();
    async move {
        loop {
            let mut next = match events.next().await {
                Ok(None) => return,
                next => next,
            };
            let mut left = HashSet::new();
            let (mut missed_some, mut others) = (false, false);
            loop {
                match next {
                    Ok(Some(event)) => match event.kind {
                        EventKind::Ejected { .. } | EventKind::Draining => {
                            left.insert(event.peer);
                        }
                        EventKind::Added | EventKind::Removed => others = true,
                        _ => {}
                    },
                    Ok(None) => break,
                    Err(Lagged(_)) => missed_some = true,
                }
                next = events.try_next();
            }
            if others || missed_some {
                members = purge_removed(members, peers.iter().collect());
            }
            if missed_some || !left.is_empty() {
                let leaves = |peer: &&Peer| {
                    let may_have_left = missed_some && peer.state() != State::Up;
                    may_have_left || left.contains(peer.name())
                };
                let leaving = members.iter().filter(leaves);
                leaving.for_each(|peer| peer.driver.purge());
            }
        }
    }
}

/// Closes those of peers that are not there any more. Returns those that are.
fn purge_removed(before: Vec<Peer>, now: Vec<Peer>) -> Vec<Peer> {
    let id = |peer: &Peer| Arc::as_ptr(peer).addr();
    let present: HashSet<usize> = now.iter().map(id).collect();
    let gone = before.iter().filter(|peer| !present.contains(&id(peer)));
    gone.for_each(|peer| peer.driver.purge());
    now
}
