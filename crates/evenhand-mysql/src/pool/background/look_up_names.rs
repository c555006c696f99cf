//! Looks the host names of peers up again, and leads a peer to where its name leads now.

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::Peers;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::names::place::Place;
use crate::peer::{Endpoint, Peer};

/// How long one lookup may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A name that moves so often within this time gives another of its servers each time.
const MANY_MOVES: u32 = 4;
const SOON: Duration = Duration::from_secs(60);

/// What is known of the name of one endpoint.
#[derive(Default)]
struct Progress {
    is_asked: bool,
    /// The latest lookup failed.
    is_failing: bool,
    moves: Moves,
}

/// How often a name has moved since a moment.
#[derive(Default)]
struct Moves {
    since: Option<Instant>,
    count: u32,
    is_warned: bool,
}

impl Moves {
    /// Counts one more. Returns whether it is to be warned of: once.
    fn note(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since > SOON) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        let warns = self.count == MANY_MOVES && !self.is_warned;
        self.is_warned |= warns;
        warns
    }
}

/// How a lookup ended.
enum Found {
    Same,
    Moved,
    Nothing,
}

/// Looks up each name that connections were made to, once an interval, and each by itself: one that gets no
/// answer delays no other. Runs until it is dropped.
pub(crate) async fn look_up_names(peers: Peers<Arc<Endpoint>>, interval: Option<Duration>) {
    let Some(interval) = interval else { return };
    let mut lookups = JoinSet::new();
    // By endpoint, as two peers may have one name for a while.
    let mut known: HashMap<usize, Progress> = HashMap::new();
    loop {
        let mut next_round = pin!(sleep(interval));
        loop {
            tokio::select! {
                Some(ended) = lookups.join_next() => {
                    // The runtime has ended; none of them panics.
                    let Ok((peer, found)) = ended else { continue };
                    if let Some(progress) = known.get_mut(&id(&peer)) {
                        end(progress, &peer, &found, &peers);
                    }
                }
                () = next_round.as_mut() => break,
            }
        }
        let named: Vec<Peer> = peers.iter().filter(is_found).collect();
        let present: HashSet<usize> = named.iter().map(id).collect();
        // One that is being looked up lives, so that its place in memory is no other's.
        known.retain(|id, progress| progress.is_asked || present.contains(id));
        for peer in named {
            let progress = known.entry(id(&peer)).or_default();
            if std::mem::replace(&mut progress.is_asked, true) {
                continue;
            }
            let failed_before = progress.is_failing;
            let pool = peers.name().unwrap_or_default().to_owned();
            lookups.spawn(async move {
                let found = look_up(&peer, &pool, failed_before).await;
                (peer, found)
            });
        }
    }
}

fn is_found(peer: &Peer) -> bool {
    peer.place.as_ref().is_some_and(Place::is_found)
}

fn id(peer: &Peer) -> usize {
    Arc::as_ptr(peer).addr()
}

fn end(progress: &mut Progress, peer: &Peer, found: &Found, peers: &Peers<Arc<Endpoint>>) {
    progress.is_asked = false;
    progress.is_failing = matches!(found, Found::Nothing);
    if !matches!(found, Found::Moved) {
        return;
    }
    // A peer that was out may work where it is now. It may have been removed meanwhile.
    let _ = peers.probe_now(peer.name());
    if progress.moves.note(Instant::now()) {
        let (pool, peer, host) = (peers.name().unwrap_or_default(), peer.name(), host(peer));
        tracing::warn!(
            pool,
            peer,
            host,
            "the host name moves again and again, and each move closes the connections: list its servers, or turn \
             the lookups off"
        );
    }
}

fn host(peer: &Peer) -> &str {
    peer.place.as_ref().map_or("", Place::host)
}

/// Looks up the name of one peer.
async fn look_up(peer: &Peer, pool: &str, failed_before: bool) -> Found {
    let Some(place) = &peer.place else {
        return Found::Same;
    };
    let arrive = |address| peer.lead_to(address);
    let answer = timeout(LIMIT, place.look_up_again(arrive)).await;
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    let (host, peer) = (place.host(), peer.name());
    match answer.unwrap_or_else(late) {
        Ok(None) => Found::Same,
        Ok(Some(moved)) => {
            let (from, to) = (moved.from, moved.to);
            tracing::info!(pool, peer, host, %from, %to, "the host name of the peer has moved");
            Found::Moved
        }
        Err(error) if failed_before => {
            tracing::debug!(pool, peer, host, %error, "the host name is not found");
            Found::Nothing
        }
        Err(error) => {
            tracing::warn!(pool, peer, host, %error, "the host name of the peer is not found: its address stays");
            Found::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn name_that_moves_often_within_a_minute_is_warned_of_once() {
        let mut moves = Moves::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut warned = |seconds: &[u64]| -> Vec<bool> {
            seconds
                .iter()
                .map(|second| moves.note(at(*second)))
                .collect()
        };
        assert_eq!(warned(&[0, 30, 59, 61, 90]), [false; 5]);
        assert_eq!(
            warned(&[200, 203, 206, 209, 212]),
            [false, false, false, true, false]
        );
        assert_eq!(warned(&[400, 403, 406, 409]), [false; 4]);
    }
}
