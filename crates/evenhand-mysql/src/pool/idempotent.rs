//! Work that its caller marked idempotent: done again on another peer if its connection fails.
//!
//! No peer on which it failed is tried again for the same work: a statement that brings its server
//! down must not be taken round all of them again and again.

use std::future::Future;

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

impl Pool {
    /// Does `work` on a connection; if the connection fails under it, or one try takes too long,
    /// does it again on another peer.
    ///
    /// Calling this marks the work idempotent: **it may be done more than once**, in part or as a
    /// whole, also at the same time where a peer is slow and not dead. Reads are; so are writes
    /// that come out the same when done twice. Nothing else that this crate does runs a statement
    /// twice.
    ///
    /// `work` is called with a connection of its own for each try. An error that it returns while
    /// its connection works (a syntax error, a duplicate key, a deadlock) is its final outcome. No
    /// peer on which it failed is tried again for the same work.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Pool, mysql_async::{self, prelude::*}};
    /// # async fn run(pool: Pool) -> mysql_async::Result<()> {
    /// let names: Vec<String> = pool
    ///     .run_idempotent(async |mut conn| conn.query("SELECT name FROM users").await)
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The work's own error. Else, converted into the work's error type: that of a
    /// [checkout](Pool::get_conn) if there was no connection for a first try; [`Error::Work`] if
    /// there was none for another one, or not enough time, at the latest when the work's time limit
    /// is up; [`Error::Disconnected`] after [`disconnect`](Pool::disconnect).
    ///
    /// If it is dropped, so is the try that is under way, and its connection is closed.
    pub async fn run_idempotent<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let deadline = Instant::now() + self.options().work_timeout;
        self.run_until(deadline, work).await
    }

    /// As [`run_idempotent`](Self::run_idempotent), by the deadline.
    pub(crate) async fn run_until<T, E, F, W>(&self, deadline: Instant, work: F) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let start = Instant::now();
        let mut tries: Vec<FailedTry> = Vec::new();
        loop {
            // A try that an ejection cut short says nothing of the work; its peer may be back.
            let failed = tries
                .iter()
                .filter(|failed| !matches!(failed.cause, AttemptError::Ejected));
            let checkout = Checkout {
                began: Instant::now(),
                deadline,
                avoid: Some(failed.map(|failed| failed.peer.clone()).collect()),
            };
            let conn = match self.checkout(checkout).await {
                Ok(conn) => conn,
                Err(Error::Disconnected) => return Err(Error::Disconnected.into()),
                // Nothing was tried: the plain error says it all.
                Err(error) if tries.is_empty() => return Err(error.into()),
                Err(error) => {
                    let error = WorkError::new(start.elapsed(), tries, Some(error));
                    return Err(Error::from(error).into());
                }
            };
            let peer = conn.ticket().peer().shared_name();
            match attempt(self, &work, conn, deadline).await {
                Try::Outcome(outcome) => return outcome,
                Try::Failed(cause) => tries.push(FailedTry { peer, cause }),
            }
            if Instant::now() >= deadline {
                return Err(Error::from(WorkError::new(start.elapsed(), tries, None)).into());
            }
        }
    }
}

async fn attempt<T, E, F, W>(pool: &Pool, work: &F, conn: PeerConn, deadline: Instant) -> Try<T, E>
where
    F: Fn(PeerConn) -> W,
    W: Future<Output = Result<T, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (ticket, marks) = (conn.ticket().clone(), conn.marks());
    let limit = pool.options().try_timeout;
    let own_end = Instant::now() + limit;
    // What the connection's guard sees on the way, it tells the balancer.
    let outcome = tokio::select! {
        biased;
        outcome = timeout_at(own_end.min(deadline), work(conn)) => outcome,
        () = ticket.ejected() => return Try::Failed(AttemptError::Ejected),
    };
    match outcome {
        Ok(Err(error)) if marks.is_lost() => {
            Try::Failed(AttemptError::ConnectionLost(error.into()))
        }
        Ok(outcome) => Try::Outcome(outcome),
        Err(_) if own_end <= deadline => Try::Failed(AttemptError::TryTimedOut(limit)),
        Err(_) => Try::Failed(AttemptError::OutOfTime),
    }
}
