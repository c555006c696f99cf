//! Work that its caller marked idempotent: done again on another peer if its connection fails.
//!
//! The work as a whole is what is balanced here, so the rules are the balancer's own: no peer is
//! tried twice for the same work, a peer that is up comes before one that is not, and the error
//! names everyone who was tried.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, Classify, Peers, Verdict};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use crate::classify;
use crate::conn::PeerConn;
use crate::connector::connect;
use crate::endpoint::Endpoint;
use crate::error::AttemptError;

/// Why a try failed.
pub(crate) enum TryError<E> {
    /// The statement failed, on a connection that works: the caller's to handle.
    Work(E),
    /// The connection failed under the work.
    Lost(E),
    /// There was no connection, or not enough time.
    Attempt(AttemptError),
}

/// Judges a try. What the connection's own guard saw, it has told already.
#[derive(Clone, Copy)]
pub(crate) struct ByTry;

impl<T, E> Classify<T, TryError<E>> for ByTry {
    fn classify(&self, outcome: Result<&T, &TryError<E>>) -> Verdict {
        match outcome {
            Ok(_) | Err(TryError::Work(_)) => Verdict::healthy(),
            Err(TryError::Lost(_)) => Verdict::neutral().if_idempotent(),
            Err(TryError::Attempt(error)) => classify::attempt(error),
        }
    }
}

/// Runs the work, given as the request, on a connection of the attempt's peer.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) peers: Peers<Arc<Endpoint>>,
    pub(crate) deadline: Instant,
    pub(crate) try_timeout: Duration,
}

impl<'a, F, W, T, E> Service<Attempt<Arc<Endpoint>, &'a F>> for Worker
where
    F: Fn(PeerConn) -> W + Sync,
    W: Future<Output = Result<T, E>> + Send + 'a,
    T: Send + 'a,
    E: Send + 'a,
{
    type Response = T;
    type Error = TryError<E>;
    type Future = Pin<Box<dyn Future<Output = Result<T, TryError<E>>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TryError<E>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Arc<Endpoint>, &'a F>) -> Self::Future {
        let Self {
            peers,
            deadline,
            try_timeout,
        } = self.clone();
        let ticket = attempt.ticket();
        let work = attempt.request;
        Box::pin(async move {
            let conn = connect(ticket.clone(), deadline, &peers)
                .await
                .map_err(TryError::Attempt)?;
            let lost = conn.lost();
            let own_end = Instant::now() + try_timeout;
            let outcome = tokio::select! {
                biased;
                outcome = timeout_at(own_end.min(deadline), work(conn)) => outcome,
                () = ticket.ejected() => return Err(TryError::Attempt(AttemptError::Ejected)),
            };
            match outcome {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(error)) if lost.load(Ordering::Acquire) => Err(TryError::Lost(error)),
                Ok(Err(error)) => Err(TryError::Work(error)),
                Err(_) if own_end <= deadline => {
                    Err(TryError::Attempt(AttemptError::TryTimedOut(try_timeout)))
                }
                Err(_) => Err(TryError::Attempt(AttemptError::OutOfTime)),
            }
        })
    }
}

/// What came of each try; or, if the work itself failed on a connection that works, its error.
pub(crate) fn final_error<E>(
    error: evenhand::Error<TryError<E>>,
) -> Result<evenhand::Error<AttemptError>, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    error.try_map(|error| match error {
        TryError::Work(error) => Err(error),
        TryError::Lost(error) => Ok(AttemptError::ConnectionLost(error.into())),
        TryError::Attempt(error) => Ok(error),
    })
}
