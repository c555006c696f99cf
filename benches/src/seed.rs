//! The algorithm that Evenhand grew from (django-proxysql), as small as it can be told in Rust.
//!
//! A locked list of peers, each with the time until which it is down. A pick takes the lock, reads
//! the clock, and draws from those that are up; a peer whose time has come is tried first. A
//! failure sets the peer's time, a success clears it, and the next peer is tried while one is left.
//!
//! The original copies and shuffles all peers that are up for each pick; this one counts them and
//! takes one, so it is no slower than it has to be. Both look at every peer.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tower::Service;

/// The original's CHECK_INTERVAL.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The balancer: shared by reference.
#[derive(Debug)]
pub struct Seed<S>(Mutex<State<S>>);

#[derive(Debug)]
struct State<S> {
    peers: Vec<Peer<S>>,
    random: SmallRng,
}

#[derive(Debug)]
struct Peer<S> {
    service: S,
    down_until: Option<Instant>,
}

impl<S: Clone + Service<u64, Response = u64>> Seed<S> {
    /// All peers are up.
    pub fn new(services: impl Iterator<Item = S>) -> Self {
        let peers = services
            .map(|service| Peer {
                service,
                down_until: None,
            })
            .collect();
        Self(Mutex::new(State {
            peers,
            random: SmallRng::seed_from_u64(1),
        }))
    }

    /// Sends a request to a peer, and to another one while one fails and one is left.
    pub async fn call(&self, request: u64) -> Option<u64> {
        while let Some((index, mut service)) = self.pick() {
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            if ready.is_ok()
                && let Ok(answer) = service.call(request).await
            {
                self.mark(index, None);
                return Some(answer);
            }
            self.mark(index, Some(Instant::now() + CHECK_INTERVAL));
        }
        None
    }

    fn pick(&self) -> Option<(usize, S)> {
        let mut state = self.state();
        let now = Instant::now();
        let mut up = 0;
        for (index, peer) in state.peers.iter().enumerate() {
            match peer.down_until {
                None => up += 1,
                Some(until) if until <= now => return Some((index, peer.service.clone())),
                Some(_) => {}
            }
        }
        if up == 0 {
            return None;
        }
        let drawn = state.random.random_range(0..up);
        let peers = state.peers.iter().enumerate();
        let (index, peer) = peers
            .filter(|(_, peer)| peer.down_until.is_none())
            .nth(drawn)?;
        Some((index, peer.service.clone()))
    }

    fn mark(&self, index: usize, down_until: Option<Instant>) {
        if let Some(peer) = self.state().peers.get_mut(index) {
            peer.down_until = down_until;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
