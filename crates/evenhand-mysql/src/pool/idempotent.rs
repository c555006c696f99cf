//! [`Pool::run_idempotent`]: work that is tried on another peer if its connection fails.
//!
//! A statement that crashes its server must not be sent round all of them. So the work goes to a few peers,
//! and then only to those, once each has shown that it works.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Pool;
use super::checkout::{CheckoutRequest, Failures};
#[cfg(feature = "tracing")]
use super::spans;
use super::spans::in_span;
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
    /// syntax error, a duplicate key, a deadlock) is its final outcome. It goes to at most
    /// [`max_unknown`](crate::PoolOptions::max_unknown) peers. When it has failed on all of them, or on all
    /// that are up, it comes back to those that have answered something since, until the
    /// [work timeout](crate::PoolOptions::work_timeout); not with
    /// [`AllDownKind::Fail`](crate::AllDownKind::Fail) or `FailOpen`.
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
    /// The work's own error. Otherwise a [`mysql_async::Error`], converted into the work's error type:
    ///
    /// - Those of [`get_conn`](Pool::get_conn) if there was no connection for a first try, or the pool
    ///   was disconnected.
    /// - [`mysql_async::Error::Io`] with [`Error::Work`] if there was no connection for another try, or
    ///   the [work timeout](crate::PoolOptions::work_timeout) passed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is the try in progress, and its connection is closed.
    pub async fn run_idempotent<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error>,
    {
        let deadline = Instant::now() + self.options.get_work_timeout();
        let max_unknown = self.options.get_max_unknown();
        self.run_until("idempotent", deadline, max_unknown, work)
            .await
    }

    /// As [`run_idempotent`](Self::run_idempotent), by the deadline. `kind` is how metrics call the work.
    pub(super) async fn run_until<T, E, F, W>(
        &self,
        kind: &'static str,
        deadline: Instant,
        max_unknown: usize,
        work: F,
    ) -> Result<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error>,
    {
        let start = Instant::now();
        let mut tries: Vec<FailedTry> = Vec::new();
        let mut failures = Arc::new(Failures::new(&self.options, max_unknown));
        loop {
            let request = CheckoutRequest {
                began: Instant::now(),
                deadline,
                is_retry: false,
                failures: Some(failures.clone()),
            };
            let checkout = in_span!(
                spans::checkout(&self.options),
                self.checkout::<Error>(request),
                spans::note_checkout
            );
            let conn = match checkout {
                Ok(conn) => conn,
                // Nothing was tried, or nothing more can be: the plain error is enough.
                Err(error) if tries.is_empty() || matches!(error, Error::Disconnected) => {
                    return Err(mysql_async::Error::from(error).into());
                }
                Err(error) => {
                    let error = WorkError::new(start.elapsed(), tries, Some(error));
                    return Err(error.into_driver().into());
                }
            };
            let (peer, flags) = (conn.ticket().peer().shared_name(), conn.flags());
            let tried = in_span!(
                spans::work_try(&self.options, tries.len() + 1, &conn),
                self.try_work(&work, conn, deadline),
                |span: &_, tried: &_| match tried {
                    Try::Outcome(Ok(_)) => {}
                    Try::Outcome(Err(_)) => spans::note_other(span),
                    Try::Failed(cause) => spans::note_cause(span, cause),
                }
            );
            let cause = match tried {
                Try::Outcome(outcome) => return outcome,
                Try::Failed(cause) => cause,
            };
            let next = Arc::make_mut(&mut failures).add(&peer, flags.may_have_run());
            tries.push(FailedTry::new(peer, cause));
            let attempts = self.options.get_max_attempts();
            if next >= deadline || attempts.is_some_and(|most| tries.len() >= most as usize) {
                let error = WorkError::new(start.elapsed(), tries, None);
                return Err(error.into_driver().into());
            }
            self.metrics.reruns(kind, &tries);
            sleep_until(next).await;
        }
    }

    async fn try_work<T, E, F, W>(&self, work: &F, conn: PeerConn, deadline: Instant) -> Try<T, E>
    where
        F: Fn(PeerConn) -> W,
        W: Future<Output = Result<T, E>>,
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
            Ok(Err(error)) => match flags.lost_by() {
                Some(cause) => Try::Failed(AttemptError::ConnectionLost(cause.into())),
                None => Try::Outcome(Err(error)),
            },
            Ok(outcome) => Try::Outcome(outcome),
            Err(_) if own_deadline <= deadline => Try::Failed(AttemptError::TryTimedOut(limit)),
            Err(_) => Try::Failed(AttemptError::OutOfTime),
        }
    }
}
