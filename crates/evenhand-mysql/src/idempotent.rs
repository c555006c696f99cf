//! Work that its caller marked idempotent: done again on another peer if its connection fails.
//!
//! No peer on which it failed is tried again for the same work: a statement that brings its server
//! down must not be taken round all of them again and again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

use crate::conn::PeerConn;
use crate::connector::Checkout;
use crate::error::{AttemptError, Error, FailedTry, WorkError};
use crate::pool::Pool;

/// Why a try did not bring about the work's outcome, or that it did.
enum Try<T, E> {
    Outcome(Result<T, E>),
    Failed(AttemptError),
}

pub(crate) async fn run<T, E, F, W>(pool: &Pool, work: F) -> Result<T, E>
where
    F: Fn(PeerConn) -> W,
    W: Future<Output = Result<T, E>>,
    E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let start = Instant::now();
    let deadline = start + pool.options().work_timeout;
    let mut tries: Vec<FailedTry> = Vec::new();
    loop {
        // A try that an ejection cut short says nothing of the work; its peer may be back.
        let failed = tries
            .iter()
            .filter(|failed| !matches!(failed.cause, AttemptError::Ejected));
        let avoid: Arc<[Arc<str>]> = failed.map(|failed| failed.peer.clone()).collect();
        let conn = match pool.checkout(Checkout { deadline, avoid }).await {
            Ok(conn) => conn,
            Err(error) => {
                let error = WorkError::new(start.elapsed(), tries, Some(error));
                return Err(Error::from(error).into());
            }
        };
        let peer = conn.ticket().peer().shared_name();
        match attempt(pool, &work, conn, deadline).await {
            Try::Outcome(outcome) => return outcome,
            Try::Failed(cause) => tries.push(FailedTry { peer, cause }),
        }
        if Instant::now() >= deadline {
            return Err(Error::from(WorkError::new(start.elapsed(), tries, None)).into());
        }
    }
}

async fn attempt<T, E, F, W>(pool: &Pool, work: &F, conn: PeerConn, deadline: Instant) -> Try<T, E>
where
    F: Fn(PeerConn) -> W,
    W: Future<Output = Result<T, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (ticket, lost) = (conn.ticket().clone(), conn.lost());
    let limit = pool.options().try_timeout;
    let own_end = Instant::now() + limit;
    // What the connection's guard sees on the way, it tells the balancer.
    let outcome = tokio::select! {
        biased;
        outcome = timeout_at(own_end.min(deadline), work(conn)) => outcome,
        () = ticket.ejected() => return Try::Failed(AttemptError::Ejected),
    };
    match outcome {
        Ok(Err(error)) if lost.load(Ordering::Acquire) => {
            Try::Failed(AttemptError::ConnectionLost(error.into()))
        }
        Ok(outcome) => Try::Outcome(outcome),
        Err(_) if own_end <= deadline => Try::Failed(AttemptError::TryTimedOut(limit)),
        Err(_) => Try::Failed(AttemptError::OutOfTime),
    }
}
