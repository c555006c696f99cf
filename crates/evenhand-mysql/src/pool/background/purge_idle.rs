//! Closes the idle connections of a peer that is ejected, drained or removed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use evenhand::{EventKind, Events, Lagged, Peers, State};

use crate::peer::{Endpoint, Peer};

/// The endpoints that a pool has made, while something holds them. A peer that came and went between two
/// looks at the set is found here.
#[derive(Clone, Default)]
pub(crate) struct Made(Arc<Mutex<Vec<Weak<Endpoint>>>>);

impl Made {
    /// Adds endpoints before they become peers, each once.
    pub(crate) fn add<'a>(&self, endpoints: impl IntoIterator<Item = &'a Arc<Endpoint>>) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|endpoint| endpoint.strong_count() > 0);
        let mut known: HashSet<_> = made.iter().map(Weak::as_ptr).collect();
        let new = endpoints.into_iter().map(Arc::downgrade);
        made.extend(new.filter(|endpoint| known.insert(endpoint.as_ptr())));
    }

    fn alive(&self) -> Vec<Arc<Endpoint>> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Follows the peer set's events until they end. `made` has all endpoints of the set.
///
/// All that is known of is done in one pass over the peers: a pass takes longer the more there are, and so
/// covers the more events.
pub(crate) async fn purge_idle(mut events: Events, peers: Peers<Arc<Endpoint>>, made: Made) {
    loop {
        let mut next = match events.next().await {
            Ok(None) => return,
            next => next,
        };
        let mut left = HashSet::new();
        let (mut missed_some, mut some_removed) = (false, false);
        loop {
            match next {
                Ok(Some(event)) => match event.kind {
                    EventKind::Ejected { .. } | EventKind::Draining => {
                        left.insert(event.peer);
                    }
                    EventKind::Removed => some_removed = true,
                    _ => {}
                },
                Ok(None) => break,
                Err(Lagged(_)) => missed_some = true,
            }
            next = events.try_next();
        }
        if some_removed || missed_some {
            purge_removed(&made.alive(), &peers);
        }
        if missed_some || !left.is_empty() {
            let leaves = |peer: &Peer| {
                let may_have_left = missed_some && peer.state() != State::Up;
                may_have_left || left.contains(peer.name())
            };
            let leaving = peers.iter().filter(leaves);
            leaving.for_each(|peer| peer.driver.purge());
        }
    }
}

/// Closes those of endpoints that are no peers. One that is about to become a peer has none.
fn purge_removed(made: &[Arc<Endpoint>], peers: &Peers<Arc<Endpoint>>) {
    let id = |endpoint: &Arc<Endpoint>| Arc::as_ptr(endpoint).addr();
    let present: HashSet<usize> = peers.iter().map(|peer| id(&peer)).collect();
    let gone = made.iter().filter(|made| !present.contains(&id(made)));
    gone.for_each(|endpoint| endpoint.driver.purge());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenhand_testkit::FakeMySql;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::options::PoolOptions;

    #[test]
    fn endpoints_are_kept_once_and_while_something_holds_them() {
        let endpoint = |name| {
            let peer = (name, "mysql://h/d");
            Endpoint::of(peer, 1, &PoolOptions::new()).unwrap().1
        };
        let (made, a, b) = (Made::default(), endpoint("a"), endpoint("b"));
        for _ in 0..3 {
            made.add([&a, &b, &a]);
        }
        assert_eq!(made.0.lock().unwrap().len(), 2);
        drop(b);
        made.add([]);
        assert_eq!(made.0.lock().unwrap().len(), 1);
    }

    /// A connection of the peer that is in use keeps the peer alive, and with it the idle one.
    #[tokio::test]
    async fn peer_that_came_and_went_unseen_keeps_no_idle_connection() {
        let fake = FakeMySql::start().await.unwrap();
        let peers = Peers::new([] as [(&str, Arc<Endpoint>); 0]).unwrap();
        let made = Made::default();
        let purge = purge_idle(peers.subscribe(), peers.clone(), made.clone());
        let url = format!("{}?pool_min=0", fake.url());
        let options = PoolOptions::new().idle_timeout(Duration::from_secs(3600));
        let (name, endpoint) = Endpoint::of(("a", &*url), 1, &options).unwrap();
        made.add([&endpoint]);
        peers.add(name, endpoint.clone()).unwrap();
        let in_use = endpoint.driver.get_conn().await.unwrap();
        drop(endpoint.driver.get_conn().await.unwrap());
        let until = async |condition: &(dyn Fn() -> bool + Sync)| {
            while !condition() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let guard = Duration::from_secs(60);
        let idle = || endpoint.driver.idle() == 1;
        timeout(guard, until(&idle)).await.expect("one is idle");
        peers.remove("a").unwrap();
        let purging = tokio::spawn(purge);
        let closed = || fake.connections() == 1;
        timeout(guard, until(&closed)).await.expect("it is closed");
        drop(in_use);
        purging.abort();
    }
}
