//! Keeps `min` connections to each peer that is up, so that they are there when a failover needs
//! them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use evenhand::{Peers, State};
use mysql_async::Conn;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::admission::Places;
use crate::endpoint::{Endpoint, Peer};
use crate::jitter::about;

/// How often it looks, a half more or less by chance: clients that were started together do not
/// log in together.
const EVERY: Duration = Duration::from_secs(1);

/// How long a peer is left alone after a connection to it could not be opened, and at the longest
/// after many; by chance a half more or less.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Where it is with a peer, if anything is to be remembered.
enum Standing {
    /// Connections are being opened; the last time it failed, it rested so long.
    Opening(Option<Duration>),
    /// Opening one has failed.
    Resting { until: Instant, time: Duration },
}

/// Opens what is missing, for as long as it is let. Only to peers that are up, and only where
/// nobody waits for a connection or a login.
///
/// What fails here is not reported: a checkout, the peer's probe or check tell of it.
pub(crate) async fn keep_min_open(peers: Peers<Arc<Endpoint>>, in_all: Option<Arc<Places>>) {
    let mut opening = JoinSet::new();
    let mut standing: BTreeMap<Arc<str>, Standing> = BTreeMap::new();
    loop {
        for peer in peers.iter() {
            let free = match standing.get(&peer.shared_name()) {
                None => true,
                Some(Standing::Opening(_)) => false,
                Some(Standing::Resting { until, .. }) => *until <= Instant::now(),
            };
            if free && peer.state() == State::Up && peer.missing() > 0 {
                let rested = match standing.get(&peer.shared_name()) {
                    Some(Standing::Resting { time, .. }) => Some(*time),
                    _ => None,
                };
                standing.insert(peer.shared_name(), Standing::Opening(rested));
                let in_all = in_all.clone();
                opening.spawn(async move {
                    let opened = open_missing(&peer, in_all.as_deref()).await;
                    (peer.shared_name(), opened)
                });
            }
        }
        let mut pause = pin!(sleep(about(EVERY)));
        loop {
            tokio::select! {
                Some(ended) = opening.join_next() => match ended {
                    Ok((name, Err(Failed))) => rest(&mut standing, name),
                    Ok((name, Ok(()))) => drop(standing.remove(&name)),
                    // Only the end of the runtime aborts one, and none panics.
                    Err(_) => {}
                },
                () = pause.as_mut() => break,
            }
        }
        standing.retain(|name, _| peers.iter().any(|peer| peer.shared_name() == *name));
    }
}

/// Each failure in a row makes the rest longer.
fn rest(standing: &mut BTreeMap<Arc<str>, Standing>, name: Arc<str>) {
    let (first, longest) = AFTER_FAILURE;
    let time = match standing.get(&name) {
        Some(Standing::Opening(Some(before))) => longest.min(2 * *before),
        _ => first,
    };
    let until = Instant::now() + about(time);
    standing.insert(name, Standing::Resting { until, time });
}

/// A connection could not be opened.
struct Failed;

/// Opens one connection after the other until none is missing, or callers need the places.
async fn open_missing(peer: &Peer, in_all: Option<&Places>) -> Result<(), Failed> {
    while peer.state() == State::Up && peer.missing() > 0 {
        let Some(_place) = peer.places.try_take() else {
            return Ok(());
        };
        let _in_all = match in_all.map(Places::try_take) {
            Some(None) => return Ok(()),
            place => place,
        };
        let Some(_login) = peer.logins.try_take() else {
            return Ok(());
        };
        match timeout(peer.attempt_timeout, open_one(peer)).await {
            Ok(Ok(conn)) => {
                peer.note_heard();
                // Into its pool, or closed if the peer was ejected meanwhile.
                drop(conn);
            }
            Ok(Err(_)) | Err(_) => return Err(Failed),
        }
        // The driver takes it in by a task of its own.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A new connection, though there may be idle ones; none, if none is missing any more. The driver's
/// pool opens one only if it has none: so they are taken out, and given back as soon as it
/// has begun.
async fn open_one(endpoint: &Endpoint) -> mysql_async::Result<Option<Conn>> {
    let pool = endpoint.driver.pool();
    let mut idle = Vec::new();
    loop {
        let mut next = pin!(pool.get_conn());
        // An idle one is there at the first poll.
        let missing = || endpoint.missing() > 0;
        match endpoint.driver.begin(next.as_mut(), missing).await {
            None => return Ok(None),
            Some(Poll::Ready(conn)) => idle.push(conn?),
            Some(Poll::Pending) => {
                drop(idle);
                return next.await.map(Some);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_failure_makes_the_rest_twice_as_long_up_to_a_minute() {
        let mut standing = BTreeMap::new();
        let name: Arc<str> = "a".into();
        for expected in [2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            rest(&mut standing, name.clone());
            let Some(Standing::Resting { until, time }) = standing.get(&name) else {
                unreachable!("it rests")
            };
            assert_eq!(*time, expected);
            let rests = until.saturating_duration_since(Instant::now());
            assert!(
                (expected / 2..=expected * 3 / 2).contains(&rests),
                "{rests:?}"
            );
            let opening = Standing::Opening(Some(*time));
            standing.insert(name.clone(), opening);
        }
    }
}
