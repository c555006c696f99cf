//! [`Pool::transaction`]: transactions that are run again if it is certain that nothing of them was
//! committed.
//!
//! That is certain if the server says that it rolled back, or if the connection was lost before
//! `COMMIT` was sent. After that only the server's answer tells.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::TxOpts;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Pool;
use super::checkout::{CheckoutRequest, Failures};
#[cfg(feature = "tracing")]
use super::spans;
use super::spans::in_span;
use crate::classify::asks_for_restart;
use crate::conn::ReturnSlot;
use crate::conn::transaction::Transaction;
use crate::error::{AttemptError, Error, FailedTry, WorkError};
use crate::time::jitter::jittered;

/// The shortest and longest pause after a rollback, with ±50 % jitter. It lets the other transaction
/// end.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// How a try ended.
enum Try<T, E> {
    /// With the final outcome.
    Outcome(Result<T, E>),
    /// The server rolled it back and asks for a restart.
    RolledBack(E),
    /// Its connection was lost before `COMMIT` was sent.
    Lost(E),
    /// It could not be started on this peer.
    NotStarted(mysql_async::Error),
    OutOfTime,
}

impl Pool {
    /// Runs `work` in a transaction and commits it. If the server rolls it back (a deadlock, a lock wait
    /// timeout, a conflict with another transaction), or its connection is lost before the `COMMIT` is sent, the whole of it is run
    /// again: after a loss on another peer, or on the same once it has answered something and no other is
    /// left; after a rollback on any peer, after a short pause with jitter.
    ///
    /// What `work` does in the transaction happens once or not at all. **What it does besides happens
    /// again with each try**: mails, files, counters, statements on other connections. Statements that
    /// commit by themselves, such as `CREATE TABLE`, must not be in it. If `work` sends a `COMMIT`
    /// itself, nothing is repeated after that. The transaction is committed once `work` has dropped it;
    /// one that `work` has ended, or keeps, is left as it is.
    ///
    /// If `work` returns any other error, the transaction is rolled back, within the
    /// [connect timeout](crate::PoolOptions::connect_timeout), and the error returned as it is. `work`
    /// must pass errors on: after a deadlock the transaction is gone, and further statements are not in
    /// it. An error that the guard has not seen, as of `"..".ignore(&mut transaction)`, is recognised if
    /// `E` is [`mysql_async::Error`] or a boxed error with one among its sources.
    ///
    /// All of this, the waits for a peer included, is within the
    /// [work timeout](crate::PoolOptions::work_timeout), and as often as
    /// [`transaction_attempts`](crate::PoolOptions::transaction_attempts) allows. A `COMMIT` that is sent
    /// within it may take one connect timeout longer.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Pool, mysql_async::{self, TxOpts, prelude::*}};
    /// # async fn run(pool: Pool) -> mysql_async::Result<()> {
    /// let left: Option<i64> = pool
    ///     .transaction(TxOpts::default(), async |mut tx| {
    ///         tx.exec_drop("UPDATE account SET sum = sum - ? WHERE id = ?", (5, 1)).await?;
    ///         tx.exec_drop("UPDATE account SET sum = sum + ? WHERE id = ?", (5, 2)).await?;
    ///         tx.query_first("SELECT sum FROM account WHERE id = 1").await
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The work's own; after the last try that the server rolled back, that error. Otherwise a
    /// [`mysql_async::Error`]: the driver's, if the transaction cannot be started or the server refuses
    /// the `COMMIT`; or one of these, in which [`Error::find`] finds this crate's:
    ///
    /// - [`mysql_async::Error::Other`] with [`Error::OutcomeUnknown`] if the `COMMIT` was sent and its
    ///   answer did not arrive.
    /// - [`mysql_async::Error::Io`] with [`Error::Work`], naming every peer that was tried, if every
    ///   connection was lost, there was none for another try, or the time was up.
    /// - Those of [`get_conn`](Self::get_conn) if there was no connection for a first try, or the pool was
    ///   disconnected.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the `COMMIT` is sent, nothing is committed: the transaction is
    /// rolled back, or its connection closed if a statement was in progress. If it is dropped after that,
    /// whether it was committed is unknown.
    pub async fn transaction<T, E, F, W>(&self, options: TxOpts, work: F) -> Result<T, E>
    where
        F: Fn(Transaction<'static>) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error> + Into<AnyError> + 'static,
    {
        in_span!(
            spans::transaction(&self.options),
            self.run_transaction(options, work),
            note_outcome
        )
    }

    async fn run_transaction<T, E, F, W>(&self, options: TxOpts, work: F) -> Result<T, E>
    where
        F: Fn(Transaction<'static>) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error> + Into<AnyError> + 'static,
    {
        let start = Instant::now();
        let deadline = start + self.options.get_work_timeout();
        let mut tries: Vec<FailedTry> = Vec::new();
        let max_unknown = self.options.get_max_unknown();
        let mut failures = Arc::new(Failures::new(&self.options, max_unknown));
        let mut pause = PAUSE.0;
        let attempts = self.options.get_transaction_attempts();
        let mut attempts_left = attempts.unwrap_or(u32::MAX);
        let give_up = |tries, checkout| -> Result<T, E> {
            let error = WorkError::new(start.elapsed(), tries, checkout);
            Err(error.into_driver().into())
        };
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
                Err(error) => return give_up(tries, Some(error)),
            };
            let peer = conn.ticket().peer().shared_name();
            let flags = conn.flags();
            let tried = in_span!(
                spans::work_try(&self.options, tries.len() + 1, &conn),
                async {
                    let begin = Transaction::start(conn, options.clone());
                    match timeout_at(deadline, begin).await {
                        Ok(Ok(transaction)) => {
                            attempts_left -= 1;
                            self.try_transaction(transaction, &work, deadline).await
                        }
                        Ok(Err(error)) if flags.is_lost() => Try::NotStarted(error),
                        Ok(Err(error)) => Try::Outcome(Err(error.into())),
                        Err(_) => Try::OutOfTime,
                    }
                },
                note_try
            );
            let may_have_run = !matches!(tried, Try::NotStarted(_)) && flags.may_have_run();
            let cause = match tried {
                Try::Outcome(outcome) => return outcome,
                Try::RolledBack(error) => {
                    let next = Instant::now() + jittered(pause);
                    if attempts_left == 0 || next >= deadline {
                        return Err(error);
                    }
                    tries.push(FailedTry::new(peer, AttemptError::RolledBack(error.into())));
                    self.metrics.reruns("transaction", &tries);
                    sleep_until(next).await;
                    pause = PAUSE.1.min(2 * pause);
                    continue;
                }
                Try::Lost(error) => AttemptError::ConnectionLost(error.into()),
                Try::NotStarted(error) => AttemptError::ConnectionLost(error.into()),
                Try::OutOfTime => AttemptError::OutOfTime,
            };
            let next = Arc::make_mut(&mut failures).add(&peer, may_have_run);
            tries.push(FailedTry::new(peer, cause));
            if attempts_left == 0 || next >= deadline {
                return give_up(tries, None);
            }
            self.metrics.reruns("transaction", &tries);
            sleep_until(next).await;
        }
    }

    async fn try_transaction<T, E, F, W>(
        &self,
        mut transaction: Transaction<'static>,
        work: &F,
        deadline: Instant,
    ) -> Try<T, E>
    where
        F: Fn(Transaction<'static>) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error> + 'static,
    {
        let limit = self.options.get_connect_timeout();
        // Without the ticket, which would hold up a drain.
        let peer = transaction.ticket().peer().clone();
        let flags = transaction.flags();
        let out_of_time = || {
            if flags.loses_commit() {
                peer.metrics.outcome_unknown();
            }
            let error = Error::outcome_unknown(peer.shared_name(), AttemptError::OutOfTime);
            Try::Outcome(Err(mysql_async::Error::from(error).into()))
        };
        // It comes here when `work` drops it, instead of returning to its pool.
        let slot = Arc::<ReturnSlot>::default();
        transaction.guard().return_to(&slot);
        let outcome = timeout_at(deadline, work(transaction)).await;
        let returned = Transaction::take_back(&slot);
        match outcome {
            Ok(Ok(value)) => {
                let Some(transaction) = returned else {
                    // `work` has ended it.
                    return Try::Outcome(Ok(value));
                };
                let commit_deadline = deadline.max(Instant::now() + limit);
                match timeout_at(commit_deadline, transaction.commit()).await {
                    Ok(Ok(())) => Try::Outcome(Ok(value)),
                    Ok(Err(error)) if asks_for_restart(&error) => Try::RolledBack(error.into()),
                    // The connection was found dead before it was sent.
                    Ok(Err(error)) if !flags.commit_was_sent() => Try::Lost(error.into()),
                    Ok(Err(error)) => Try::Outcome(Err(error.into())),
                    Err(_) => out_of_time(),
                }
            }
            // It may be committed, so it is not repeated.
            Ok(Err(error)) if flags.commit_was_sent() => {
                roll_back(returned, limit).await;
                Try::Outcome(Err(error))
            }
            Ok(Err(error)) => {
                let driver = driver_error(&error);
                let restart = flags.asks_for_restart() || driver.is_some_and(asks_for_restart);
                let broke = returned.as_ref().is_some_and(|tx| tx.is_disconnected())
                    && matches!(driver, Some(mysql_async::Error::Io(_)));
                let lost = flags.is_lost() || broke;
                roll_back(returned, limit).await;
                match (lost, restart) {
                    (true, _) => Try::Lost(error),
                    (_, true) => Try::RolledBack(error),
                    _ => Try::Outcome(Err(error)),
                }
            }
            Err(_) if flags.commit_was_sent() => out_of_time(),
            Err(_) => Try::OutOfTime,
        }
    }
}

/// Notes in a span how the transaction ended.
#[cfg(feature = "tracing")]
fn note_outcome<T, E: 'static>(span: &tracing::Span, outcome: &Result<T, E>) {
    if let Err(error) = outcome {
        note_error(span, error);
    }
}

#[cfg(feature = "tracing")]
fn note_error<E: 'static>(span: &tracing::Span, error: &E) {
    match driver_error(error) {
        Some(error) => spans::note_error(span, error),
        None => spans::note_other(span),
    }
}

/// Notes in a span how the try ended.
#[cfg(feature = "tracing")]
fn note_try<T, E: 'static>(span: &tracing::Span, tried: &Try<T, E>) {
    match tried {
        Try::Outcome(Ok(_)) => {}
        Try::Outcome(Err(error)) | Try::RolledBack(error) | Try::Lost(error) => {
            note_error(span, error);
        }
        Try::NotStarted(error) => spans::note_error(span, error),
        Try::OutOfTime => spans::note_cause(span, &AttemptError::OutOfTime),
    }
}

/// Rolls back. If that fails or takes too long, the connection is closed, and the server rolls back.
async fn roll_back(transaction: Option<Transaction<'static>>, limit: Duration) {
    if let Some(transaction) = transaction {
        let _ = timeout(limit, transaction.rollback()).await;
    }
}

/// The driver's error in an error of a type that can be searched.
fn driver_error<E: 'static>(error: &E) -> Option<&mysql_async::Error> {
    let error: &dyn Any = error;
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> =
        match error.downcast_ref::<AnyError>() {
            Some(error) => Some(&**error),
            None => error
                .downcast_ref::<Box<dyn std::error::Error>>()
                .map(|error| &**error),
        };
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}
