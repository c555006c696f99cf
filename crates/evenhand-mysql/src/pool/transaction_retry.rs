//! Transactions that are run again where it is certain that nothing of them has happened.
//!
//! It is certain where the server says that it rolled back, and where the connection was lost before
//! `COMMIT` was sent. Once it was sent only the server's answer tells.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::TxOpts;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::conn::Home;
use crate::connector::Checkout;
use crate::error::{AttemptError, Error, FailedTry, WorkError};
use crate::jitter::about;
use crate::judge::asks_for_restart;
use crate::pool::Pool;
use crate::transaction::Transaction;

/// How long is waited after the first deadlock, and at the longest after many; by chance a half
/// more or less. It lets the other transaction come to its end.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What came of one try.
enum Try<T, E> {
    Outcome(Result<T, E>),
    /// The server rolled it back, and asks for another.
    RolledBack(E),
    /// Its connection was lost, and with it what was done.
    Lost(E),
    /// It could not be started on this peer.
    NotStarted(mysql_async::Error),
    OutOfTime,
}

impl Pool {
    /// Does `work` in a transaction and commits it; if the server rolls it back (a deadlock, a lock
    /// that was waited for too long) or its connection is lost before the `COMMIT` is sent, does the
    /// whole of it again: after a loss on another peer, after a rollback on any, after a short pause
    /// that strays by chance.
    ///
    /// What `work` does in the transaction happens once or not at all. **What it does besides
    /// happens again with each try**: mails, files, counters, statements on other connections; and
    /// statements that commit by themselves, such as `CREATE TABLE`, must not be in it. If it sends
    /// a `COMMIT` of its own, nothing is done again from then on. It is committed once `work` has
    /// dropped it; one that `work` has ended, or keeps, is left as it is.
    ///
    /// If `work` returns any other error, the transaction is rolled back, within the time limit of
    /// [one attempt](crate::PoolOptions::attempt_timeout), and the error returned as it is. Errors
    /// must be passed on: after a deadlock the transaction is gone, and what is done next is not in
    /// it. An error that the guard has not seen, as of `"..".ignore(&mut transaction)`, is recognised
    /// where `E` is [`mysql_async::Error`] or a boxed error with one among its sources.
    ///
    /// It is run at most [`transaction_attempts`](crate::PoolOptions::transaction_attempts) times,
    /// within [`work_timeout`](crate::PoolOptions::work_timeout). A `COMMIT` that is sent within it
    /// may end later, by the time limit of one attempt.
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
    /// `work`'s own; after the last try that the server rolled back, that error. Besides, as
    /// [`mysql_async::Error`]: the driver's, if the transaction cannot be started or the server
    /// refuses the `COMMIT`; and in its `Other`, where [`Error::find`] finds them:
    ///
    /// - [`Error::OutcomeUnknown`] if the `COMMIT` was sent and its answer did not come. It is
    ///   never run again then.
    /// - [`Error::Work`], naming every peer that was tried, if its connections were lost to the
    ///   last, there was none for another try, or the time was up.
    /// - Those of [`get_conn`](Self::get_conn) if there was no connection for a first try;
    ///   [`Error::Disconnected`] after [`disconnect`](Self::disconnect).
    ///
    /// If it is dropped before its `COMMIT` is sent, nothing of it happens: the transaction is rolled
    /// back, or its connection closed where a statement was under way. If it is dropped after that,
    /// whether it was committed is unknown.
    pub async fn transaction<T, E, F, W>(&self, options: TxOpts, work: F) -> Result<T, E>
    where
        F: Fn(Transaction<'static>) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<mysql_async::Error> + Into<AnyError> + 'static,
    {
        let start = Instant::now();
        let deadline = start + self.options().work_timeout;
        let mut tries: Vec<FailedTry> = Vec::new();
        let mut avoid: Vec<Arc<str>> = Vec::new();
        let mut pause = PAUSE.0;
        let mut left = self.options().transaction_attempts;
        let give_up = |tries, checkout| -> Result<T, E> {
            let error = Error::from(WorkError::new(start.elapsed(), tries, checkout));
            Err(mysql_async::Error::from(error).into())
        };
        loop {
            let began = Instant::now();
            let checkout = Checkout {
                began,
                deadline: deadline.min(began + self.options().checkout_timeout),
                avoid: Some(avoid.as_slice().into()),
            };
            let conn = match self.checkout(checkout).await {
                Ok(conn) => conn,
                // Nothing was tried, or nothing more can be: the plain error says it all.
                Err(error) if tries.is_empty() || matches!(error, Error::Disconnected) => {
                    return Err(mysql_async::Error::from(error).into());
                }
                Err(error) => return give_up(tries, Some(error)),
            };
            let peer = conn.ticket().peer().shared_name();
            let marks = conn.marks();
            let begin = Transaction::start_on_own(conn, options.clone());
            let tried = match timeout_at(deadline, begin).await {
                Ok(Ok(transaction)) => {
                    left -= 1;
                    self.run(transaction, &work, deadline).await
                }
                Ok(Err(error)) if marks.is_lost() => Try::NotStarted(error),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => Try::OutOfTime,
            };
            let mut failed = |cause| {
                let peer = peer.clone();
                tries.push(FailedTry { peer, cause });
            };
            match tried {
                Try::Outcome(outcome) => return outcome,
                Try::RolledBack(error) => {
                    let next = Instant::now() + about(pause);
                    if left == 0 || next >= deadline {
                        return Err(error);
                    }
                    failed(AttemptError::RolledBack(error.into()));
                    sleep_until(next).await;
                    pause = PAUSE.1.min(2 * pause);
                    continue;
                }
                Try::Lost(error) => failed(AttemptError::ConnectionLost(error.into())),
                Try::NotStarted(error) => failed(AttemptError::ConnectionLost(error.into())),
                Try::OutOfTime => failed(AttemptError::OutOfTime),
            }
            if left == 0 || Instant::now() >= deadline {
                return give_up(tries, None);
            }
            avoid.push(peer);
        }
    }

    async fn run<T, E, F, W>(
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
        let limit = self.options().attempt_timeout;
        let peer = transaction.ticket().peer().shared_name();
        let marks = transaction.marks();
        // It comes back when `work` drops it, and does not go to its pool.
        let home = Arc::<Home>::default();
        transaction.guard().lend(&home);
        let outcome = timeout_at(deadline, work(transaction)).await;
        let back = Transaction::back(&home);
        match outcome {
            Ok(Ok(value)) => {
                let Some(transaction) = back else {
                    // `work` has ended it.
                    return Try::Outcome(Ok(value));
                };
                let by = deadline.max(Instant::now() + limit);
                match timeout_at(by, transaction.commit()).await {
                    Ok(Ok(())) => Try::Outcome(Ok(value)),
                    Ok(Err(error)) if asks_for_restart(&error) => Try::RolledBack(error.into()),
                    // Found dead before it was sent.
                    Ok(Err(error)) if !marks.commit_was_sent() => Try::Lost(error.into()),
                    Ok(Err(error)) => Try::Outcome(Err(error.into())),
                    Err(_) => {
                        let error = Error::outcome_unknown(peer, AttemptError::OutOfTime);
                        Try::Outcome(Err(mysql_async::Error::from(error).into()))
                    }
                }
            }
            // What may be committed is not done again.
            Ok(Err(error)) if marks.commit_was_sent() => {
                end(back, limit).await;
                Try::Outcome(Err(error))
            }
            Ok(Err(error)) => {
                let seen = driver_error(&error);
                let restart = marks.asks_for_restart() || seen.is_some_and(asks_for_restart);
                let broke = back.as_ref().is_some_and(|back| back.is_disconnected())
                    && seen.is_some_and(|error| matches!(error, mysql_async::Error::Io(_)));
                let lost = marks.is_lost() || broke;
                end(back, limit).await;
                match (lost, restart) {
                    (true, _) => Try::Lost(error),
                    (_, true) => Try::RolledBack(error),
                    _ => Try::Outcome(Err(error)),
                }
            }
            Err(_) if marks.commit_was_sent() => {
                let error = Error::outcome_unknown(peer, AttemptError::OutOfTime);
                Try::Outcome(Err(mysql_async::Error::from(error).into()))
            }
            Err(_) => Try::OutOfTime,
        }
    }
}

/// Rolls it back. If that fails or takes too long, its connection is closed, and the server does.
async fn end(transaction: Option<Transaction<'static>>, limit: Duration) {
    if let Some(transaction) = transaction {
        let _ = timeout(limit, transaction.rollback()).await;
    }
}

/// The driver's error, in the types of errors in which it can be looked for.
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
