//! What the outcome of an operation on a connection means: for the peer (reported to the balancer), for
//! the connection (noted in its guard), and for work that may be repeated ([`ConnFlags`]). An operation
//! that waits for a lost peer is ended here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use evenhand::{PeerVerdict, Retry, Ticket, Verdict};
use mysql_async::Error;
use tokio::time::Instant;

use crate::classify::{Phase, asks_for_restart};
use crate::error::{self, as_driver::copy};
use crate::peer::Endpoint;

/// Whether a statement was interrupted: by `KILL QUERY`, or as the server shuts down.
fn is_interruption(error: &Error) -> bool {
    matches!(error, Error::Server(error) if error.code == 1317)
}

/// Checks the peer now. One that shuts down accepts no login any more.
async fn fails_check(ticket: &Ticket<Arc<Endpoint>>) -> bool {
    let peer = ticket.peer();
    let Ok(_login) = peer.logins.acquire().await else {
        return false;
    };
    let verdict = peer.run_check().await;
    ticket.report(verdict);
    matches!(verdict.peer, PeerVerdict::Down | PeerVerdict::Degraded)
}

/// What was observed on a connection.
#[derive(Debug, Default)]
pub(crate) struct ConnFlags {
    lost: OnceLock<Error>,
    /// The error with which it was lost says that the statement was not executed.
    not_executed: AtomicBool,
    commit_sent: AtomicBool,
    /// A `COMMIT` was sent, and its answer has neither come nor been counted as lost.
    commit_unanswered: AtomicBool,
    restart: AtomicBool,
}

impl ConnFlags {
    /// The connection failed, not just a statement on it.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// With what it failed, if it did.
    pub(crate) fn lost_by(&self) -> Option<Error> {
        self.lost.get().map(copy)
    }

    /// Marks the connection as lost; returns whether it was already.
    pub(crate) fn set_lost(&self, cause: Error) -> bool {
        self.lost.set(cause).is_err()
    }

    /// Whether the latest statement may have been executed.
    pub(crate) fn may_have_run(&self) -> bool {
        !self.not_executed.load(Ordering::Acquire)
    }

    pub(crate) fn commit_was_sent(&self) -> bool {
        self.commit_sent.load(Ordering::Acquire)
    }

    fn note_commit(&self, unanswered: bool) {
        self.commit_unanswered.store(unanswered, Ordering::Release);
    }

    /// Whether the answer to a `COMMIT` is to be counted as lost. Each is counted once.
    pub(crate) fn loses_commit(&self) -> bool {
        self.commit_unanswered.swap(false, Ordering::AcqRel)
    }

    /// The server's answer to the latest statement asks for a restart of the transaction.
    pub(crate) fn asks_for_restart(&self) -> bool {
        self.restart.load(Ordering::Acquire)
    }
}

/// [`ConnFlags`] that are allocated when the first one is set or read.
#[derive(Clone, Debug, Default)]
pub(crate) struct LazyConnFlags(OnceLock<Arc<ConnFlags>>);

impl LazyConnFlags {
    pub(crate) fn get(&self) -> &Arc<ConnFlags> {
        self.0.get_or_init(Arc::default)
    }

    /// Forgets what concerned the previous statement only.
    fn begin_statement(&self) {
        if let Some(flags) = self.0.get() {
            flags.restart.store(false, Ordering::Release);
        }
    }
}

/// Observes one operation.
pub(crate) struct OutcomeObserver<'a> {
    pub(crate) ticket: &'a Ticket<Arc<Endpoint>>,
    /// That of the connection. If the peer has left it, nothing is held against the peer, or for it.
    pub(crate) stay: u32,
    pub(crate) flags: &'a LazyConnFlags,
    pub(crate) discard: &'a mut bool,
    pub(crate) judged: &'a mut bool,
}

impl OutcomeObserver<'_> {
    /// Waits for the operation, or until its peer is found lost.
    pub(crate) async fn observe<T>(
        self,
        phase: Phase,
        operation: impl Future<Output = mysql_async::Result<T>>,
    ) -> mysql_async::Result<T> {
        // It stays so if the operation is dropped before it ends.
        *self.judged = false;
        self.flags.begin_statement();
        if phase == Phase::Commit {
            let flags = self.flags.get();
            flags.commit_sent.store(true, Ordering::Release);
            flags.note_commit(true);
        }
        let endpoint: &Arc<Endpoint> = self.ticket.peer();
        let outcome = if endpoint.end_on_lost_peer {
            let began = Instant::now();
            let has_left = || endpoint.driver.has_left(self.stay);
            if !has_left() {
                endpoint.traffic.note_begun(began);
            }
            let check = || {
                if !has_left() {
                    endpoint.check_silence(self.ticket);
                }
            };
            tokio::select! {
                biased;
                outcome = operation => outcome,
                () = endpoint.silence.lost(self.stay, check) => return Err(self.peer_lost(phase, began)),
            }
        } else {
            operation.await
        };
        match outcome {
            Ok(value) => {
                if !endpoint.driver.has_left(self.stay) {
                    endpoint.traffic.note_heard();
                }
                if phase == Phase::Commit {
                    self.flags.get().note_commit(false);
                }
                Ok(value)
            }
            Err(error) => {
                // Boxed, as it is rarely needed and would make every operation larger.
                if phase == Phase::Query
                    && is_interruption(&error)
                    && !endpoint.driver.has_left(self.stay)
                    && Box::pin(fails_check(self.ticket)).await
                {
                    *self.discard = true;
                    self.flags.get().set_lost(copy(&error));
                }
                Err(self.failed(phase, error))
            }
        }
    }

    fn failed(self, phase: Phase, error: Error) -> Error {
        let peer = self.ticket.peer();
        let (judgement, row) = peer.check.rules.judge(phase, &error);
        peer.metrics.failed(phase, || row);
        *self.judged = true;
        *self.discard |= judgement.discard;
        if judgement.goes_elsewhere() {
            let not_executed = judgement.verdict.retry != Retry::IfIdempotent;
            let flags = self.flags.get();
            flags.not_executed.store(not_executed, Ordering::Release);
            flags.set_lost(copy(&error));
        }
        if asks_for_restart(&error) {
            self.flags.get().restart.store(true, Ordering::Release);
        }
        if peer.driver.has_left(self.stay) {
            self.ticket.report(Verdict::neutral());
        } else {
            self.ticket.report(judgement.verdict);
            if judgement.check_now {
                peer.check_now(self.ticket);
            }
        }
        match (phase, error) {
            // The server has answered.
            (Phase::Commit, error @ Error::Server(_)) => {
                self.flags.get().note_commit(false);
                error
            }
            (Phase::Commit, error) => self.outcome_unknown(error),
            (_, error) => error,
        }
    }

    /// The checks that found the peer lost report it to the balancer. The driver marks the connection as
    /// broken, since its operation is dropped before it ends.
    fn peer_lost(self, phase: Phase, began: Instant) -> Error {
        *self.judged = true;
        *self.discard = true;
        let waited = began.elapsed();
        let error = || {
            let peer = self.ticket.peer().shared_name();
            Error::from(error::Error::PeerLost { peer, waited })
        };
        if phase == Phase::Commit {
            return self.outcome_unknown(error());
        }
        self.flags.get().set_lost(error());
        error()
    }

    fn outcome_unknown(&self, source: Error) -> Error {
        let peer = self.ticket.peer();
        if self.flags.get().loses_commit() {
            peer.metrics.outcome_unknown();
        }
        error::Error::outcome_unknown(peer.shared_name(), source).into()
    }
}
