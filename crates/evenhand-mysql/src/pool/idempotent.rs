//! [`Pool::run_idempotent`]: work that is tried on another peer if its connection fails.
//!
//! No peer on which the work failed is tried again: a statement that crashes its server must not be
//! sent round all of them again and again.

use std::future::Future;

use tokio::time::{Instant, timeout_at};

use super::Pool;
use super::checkout::CheckoutRequest;
use crate::conn::PeerConn;
use crate::error::{AttemptError, Error, FailedTry, WorkError};

/// How a try ended.
enum Try<T, E> {
    /// With the work's own outcome.
    Outcome(Result<T, E>),
    Failed(AttemptError),
}

impl Pool {
    /// Runs `work` on a connection. If the connection fails meanwhile, or one try takes longer than the
    /// [try timeout](crate::PoolOptions::try_timeout), runs it again on another peer.
    ///
    /// Calling this marks the work idempotent: **it may be run more than once**, in part or as a whole,
    /// and also concurrently if a peer is slow and not dead. Reads are idempotent, and so are writes
    /// that give the same result when repeated.
    ///
    /// `work` gets a new connection for each try. An error that it returns while its connection works (a
    /// syntax error, a duplicate key, a deadlock) is its final outcome. No peer on which it failed is
    /// tried again.
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
    /// The work's own error. Otherwise, converted into the work's error type:
    ///
    /// - Those of [`get_conn`](Pool::get_conn) if there was no connection for a first try.
    /// - [`Error::Work`] if there was no connection for another try, or the
    ///   [work timeout](crate::PoolOptions::work_timeout) passed.
    /// - [`Error::Disconnected`] after [`disconnect`](Pool::disconnect).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is the try in progress, and its connection is closed.
    pub async fn run_idempotent<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let deadline = Instant::now() + self.options.get_work_timeout();
        self.run_until(deadline, work).await
    }

    /// As [`run_idempotent`](Self::run_idempotent), by the deadline.
    pub(super) async fn run_until<T, E, F, W>(&self, deadline: Instant, work: F) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let start = Instant::now();
        let mut tries: Vec<FailedTry> = Vec::new();
        loop {
            // A try that an ejection ended says nothing about the work, and its peer may be back.
            let failed = tries
                .iter()
                .filter(|failed| !matches!(failed.cause, AttemptError::Ejected));
            let request = CheckoutRequest {
                began: Instant::now(),
                deadline,
                avoid: Some(failed.map(|failed| failed.peer.clone()).collect()),
            };
            let conn = match self.checkout(request).await {
                Ok(conn) => conn,
                // Nothing was tried, or nothing more can be: the plain error is enough.
                Err(error) if tries.is_empty() || matches!(error, Error::Disconnected) => {
                    return Err(error.into());
                }
                Err(error) => {
                    let error = WorkError::new(start.elapsed(), tries, Some(error));
                    return Err(Error::from(error).into());
                }
            };
            let peer = conn.ticket().peer().shared_name();
            match self.try_work(&work, conn, deadline).await {
                Try::Outcome(outcome) => return outcome,
                Try::Failed(cause) => tries.push(FailedTry::new(peer, cause)),
            }
            if Instant::now() >= deadline {
                return Err(Error::from(WorkError::new(start.elapsed(), tries, None)).into());
            }
        }
    }

    async fn try_work<T, E, F, W>(&self, work: &F, conn: PeerConn, deadline: Instant) -> Try<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (ticket, flags) = (conn.ticket().clone(), conn.flags());
        let limit = self.options.get_try_timeout();
        let own_deadline = Instant::now() + limit;
        // The connection's guard reports to the balancer.
        let outcome = tokio::select! {
            biased;
            outcome = timeout_at(own_deadline.min(deadline), work(conn)) => outcome,
            () = ticket.ejected() => return Try::Failed(AttemptError::Ejected),
        };
        match outcome {
            Ok(Err(error)) if flags.is_lost() => {
                Try::Failed(AttemptError::ConnectionLost(error.into()))
            }
            Ok(outcome) => Try::Outcome(outcome),
            Err(_) if own_deadline <= deadline => Try::Failed(AttemptError::TryTimedOut(limit)),
            Err(_) => Try::Failed(AttemptError::OutOfTime),
        }
    }
}
