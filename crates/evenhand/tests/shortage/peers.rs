//! The peers: what they do with a request, and what they count.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::history::{Condition, History, PEERS};

/// How long an attempt may take: the client gives up then.
const LIMIT: Duration = Duration::from_secs(1);

/// How long it takes to be refused: the least that tokio's timer can tell from nothing.
const REFUSAL: Duration = Duration::from_millis(1);

/// How many requests a peer that is well serves at a time.
const ROOM: usize = 16;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    /// The peer had no room.
    Full,
    TimedOut,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

pub(crate) struct Peers {
    history: &'static History,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    rng: SmallRng,
    in_flight: [usize; PEERS],
    wasted: u64,
}

impl Peers {
    pub(crate) fn new(history: &'static History) -> Arc<Self> {
        Arc::new(Self {
            history,
            began: Instant::now(),
            state: Mutex::new(State {
                rng: SmallRng::seed_from_u64(1),
                in_flight: [0; PEERS],
                wasted: 0,
            }),
        })
    }

    /// One attempt on one peer.
    pub(crate) async fn ask(&self, peer: usize) -> Result<(), Failure> {
        let mut attempt = self.enter(peer);
        let outcome = match self.history.condition(peer, self.began.elapsed()) {
            Condition::Well => attempt.serve(ROOM, 3..=7).await,
            Condition::Full => attempt.serve(1, 40..=60).await,
            Condition::Refuses => {
                sleep(REFUSAL).await;
                Err(Failure::Refused)
            }
            Condition::Hangs => {
                sleep(LIMIT).await;
                Err(Failure::TimedOut)
            }
        };
        attempt.served = outcome.is_ok();
        outcome
    }

    /// How many attempts failed or were abandoned.
    pub(crate) fn wasted(&self) -> u64 {
        self.state().wasted
    }

    fn enter(&self, peer: usize) -> InFlight<'_> {
        self.state().in_flight[peer] += 1;
        InFlight {
            peers: self,
            peer,
            served: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// An attempt in flight. Leaves when dropped.
struct InFlight<'a> {
    peers: &'a Peers,
    peer: usize,
    served: bool,
}

impl InFlight<'_> {
    /// Serves the request if there is room, in a time drawn from `millis`.
    async fn serve(
        &self,
        room: usize,
        millis: std::ops::RangeInclusive<u64>,
    ) -> Result<(), Failure> {
        let time = {
            let mut state = self.peers.state();
            let has_room = state.in_flight[self.peer] <= room;
            has_room.then(|| Duration::from_millis(state.rng.random_range(millis)))
        };
        sleep(time.unwrap_or(REFUSAL)).await;
        time.map(drop).ok_or(Failure::Full)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        state.in_flight[self.peer] -= 1;
        state.wasted += u64::from(!self.served);
    }
}
