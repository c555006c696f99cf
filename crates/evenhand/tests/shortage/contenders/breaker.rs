//! A simple circuit breaker around one peer, as a tower service: while it is open it is not ready, so
//! that tower's balancer passes it over.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use crate::peers::{Failure, Peers};

const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(30);

pub(super) struct Breaker {
    peers: Arc<Peers>,
    peer: usize,
    circuit: Arc<Mutex<Circuit>>,
    /// Runs while the circuit is open.
    timer: Option<Pin<Box<Sleep>>>,
}

struct Circuit {
    state: State,
    /// When the latest opening ends.
    trial_at: Instant,
    /// Openings since the last success.
    openings: u32,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Closed,
    Open,
    /// One request may try the peer.
    HalfOpen,
    /// That request is in flight.
    Trying,
}

impl Breaker {
    pub(super) fn new(peers: Arc<Peers>, peer: usize) -> Self {
        Self {
            peers,
            peer,
            circuit: Arc::new(Mutex::new(Circuit {
                state: State::Closed,
                trial_at: Instant::now(),
                openings: 0,
                waker: None,
            })),
            timer: None,
        }
    }
}

impl Service<()> for Breaker {
    type Response = ();
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut circuit = self.circuit.lock().unwrap();
        if circuit.state == State::Open {
            let trial_at = circuit.trial_at;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(trial_at)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            circuit.state = State::HalfOpen;
        }
        if circuit.state == State::Trying {
            circuit.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let mut circuit = self.circuit.lock().unwrap();
        let is_trial = circuit.state == State::HalfOpen;
        if is_trial {
            circuit.state = State::Trying;
        }
        drop(circuit);
        let (peers, peer) = (self.peers.clone(), self.peer);
        let mut attempt = Attempt {
            circuit: self.circuit.clone(),
            is_trial,
            outcome: None,
        };
        Box::pin(async move {
            let outcome = peers.ask(peer).await;
            attempt.end(outcome)
        })
    }
}

/// Tells the circuit of its outcome when dropped.
struct Attempt {
    circuit: Arc<Mutex<Circuit>>,
    is_trial: bool,
    /// `None` if the attempt was abandoned.
    outcome: Option<Result<(), Failure>>,
}

impl Attempt {
    fn end(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.outcome = Some(outcome);
        outcome
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut circuit = self.circuit.lock().unwrap();
        // Attempts from before the circuit opened say nothing new.
        if !self.is_trial && circuit.state != State::Closed {
            return;
        }
        match self.outcome {
            Some(Ok(())) => {
                circuit.state = State::Closed;
                circuit.openings = 0;
            }
            Some(Err(Failure::Refused | Failure::TimedOut)) => {
                let interval = FIRST_INTERVAL * (1 << circuit.openings.min(5));
                circuit.state = State::Open;
                circuit.trial_at = Instant::now() + interval.min(MAX_INTERVAL);
                circuit.openings += 1;
            }
            Some(Err(Failure::Full)) | None if self.is_trial => circuit.state = State::HalfOpen,
            Some(Err(Failure::Full)) | None => {}
        }
        if let Some(waker) = circuit.waker.take() {
            waker.wake();
        }
    }
}
