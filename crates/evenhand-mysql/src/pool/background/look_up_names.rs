//! Looks the host names of peers up again, and leads a peer to where its name leads now.

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{PeerVerdict, Peers, State};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::names::place::Place;
use crate::peer::{Endpoint, Peer};

/// How long one lookup may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a peer is out that an operator ejected.
const BY_AN_OPERATOR: &str = "by an operator";

/// Looks up each name that connections were made to, once an interval, and each by itself: one that gets no
/// answer delays no other. Runs until it is dropped.
pub(crate) async fn look_up_names(peers: Peers<Arc<Endpoint>>, interval: Option<Duration>) {
    let Some(interval) = interval else { return };
    let mut lookups = JoinSet::new();
    // The peers whose names are being looked up, and those whose latest lookup failed.
    let (mut asked, mut failing) = (HashSet::new(), HashSet::new());
    loop {
        let mut next_round = pin!(sleep(interval));
        loop {
            tokio::select! {
                Some(ended) = lookups.join_next() => {
                    // The runtime has ended, or a lookup of the user's own has panicked.
                    let Ok((name, failed)) = ended else { continue };
                    asked.remove(&name);
                    match failed {
                        true => failing.insert(name),
                        false => failing.remove(&name),
                    };
                }
                () = next_round.as_mut() => break,
            }
        }
        if lookups.is_empty() {
            asked.clear();
        }
        for peer in peers.iter() {
            let name = peer.shared_name();
            let is_named = peer.place.as_ref().is_some_and(Place::is_found);
            if is_named && asked.insert(name.clone()) {
                let (peers, failed_before) = (peers.clone(), failing.contains(&name));
                lookups.spawn(async move {
                    let failed = look_up(&peer, &peers, failed_before).await;
                    (name, failed)
                });
            }
        }
    }
}

/// Looks up the name of one peer. Returns whether that failed.
async fn look_up(peer: &Peer, peers: &Peers<Arc<Endpoint>>, failed_before: bool) -> bool {
    let Some(place) = &peer.place else {
        return false;
    };
    let arrive = |address| peer.lead_to(address);
    let answer = timeout(LIMIT, place.look_up_again(arrive)).await;
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    let (pool, host) = (peers.name().unwrap_or_default(), place.host());
    match answer.unwrap_or_else(late) {
        Ok(None) => false,
        Ok(Some(moved)) => {
            let (from, to) = (moved.from, moved.to);
            tracing::info!(pool, peer = peer.name(), host, %from, %to, "the host name of the peer has moved");
            welcome(peer, peers).await;
            false
        }
        Err(error) if failed_before => {
            tracing::debug!(pool, peer = peer.name(), host, %error, "the host name is not found");
            true
        }
        Err(error) => {
            let peer = peer.name();
            tracing::warn!(pool, peer, host, %error, "the host name of the peer is not found: its address stays");
            true
        }
    }
}

/// A peer that was out has moved, so it is asked at once. One that an operator took out stays out.
async fn welcome(peer: &Peer, peers: &Peers<Arc<Endpoint>>) {
    let name = peer.name();
    let statuses = peers.statuses();
    let status = statuses.iter().find(|status| *status.peer == *name);
    let is_out = status.is_some_and(|status| {
        status.state == State::Ejected && status.last_reason != Some(BY_AN_OPERATOR)
    });
    if is_out && peer.run_check().await.peer == PeerVerdict::Healthy {
        // It may have been removed meanwhile.
        let _ = peers.restore(name);
    }
}
