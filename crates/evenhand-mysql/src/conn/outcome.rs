//! What a statement's outcome says: of the peer to the balancer, of the connection to its guard,
//! and of the work to who does it again. A statement that waits on a lost peer is ended here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use evenhand::Ticket;
use mysql_async::Error;
use mysql_async::prelude::AsQuery;
use tokio::time::Instant;

use crate::classify::Phase;
use crate::endpoint::Endpoint;
use crate::error;

/// The server has undone a statement or the transaction, and asks for it to be started again: lock
/// wait timeout, deadlock, and the same of XA and of group replication.
const RESTART: [u16; 4] = [1205, 1213, 1614, 3101];

/// Whether the server asks for the transaction to be started again.
pub(crate) fn asks_for_restart(error: &Error) -> bool {
    matches!(error, Error::Server(error) if RESTART.contains(&error.code))
}

/// What was seen of a connection.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The connection, not a statement on it, has failed, and that was judged.
    pub(crate) lost: AtomicBool,
    /// A `COMMIT` was sent.
    commit_sent: AtomicBool,
    /// The latest statement was answered by one of [`RESTART`].
    restart: AtomicBool,
}

impl Marks {
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn commit_was_sent(&self) -> bool {
        self.commit_sent.load(Ordering::Acquire)
    }

    pub(crate) fn asks_for_restart(&self) -> bool {
        self.restart.load(Ordering::Acquire)
    }
}

/// [`Marks`] that are made when there is something to mark, or somebody wants to see them. Until
/// then there is nothing to be seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct LazyMarks(OnceLock<Arc<Marks>>);

impl LazyMarks {
    pub(crate) fn get(&self) -> &Arc<Marks> {
        self.0.get_or_init(Arc::default)
    }

    /// What was seen of the statement before does not count for the next.
    fn begin_statement(&self) {
        if let Some(marks) = self.0.get() {
            marks.restart.store(false, Ordering::Release);
        }
    }
}

/// What a statement that is sent as text is. Only a plain `COMMIT` is told apart.
pub(crate) fn phase_of(query: &impl AsQuery) -> Phase {
    let query = query.as_query();
    let plain = query.trim_ascii();
    let plain = plain.strip_suffix(b";").unwrap_or(plain).trim_ascii_end();
    match plain.eq_ignore_ascii_case(b"COMMIT") {
        true => Phase::Commit,
        false => Phase::Query,
    }
}

/// Judges one operation.
pub(crate) struct Judge<'a> {
    pub(crate) ticket: &'a Ticket<Arc<Endpoint>>,
    pub(crate) marks: &'a LazyMarks,
    pub(crate) discard: &'a mut bool,
    pub(crate) judged: &'a mut bool,
}

impl Judge<'_> {
    /// Waits for the operation, at the longest until its peer is found lost.
    pub(crate) async fn watch<T>(
        self,
        phase: Phase,
        operation: impl Future<Output = mysql_async::Result<T>>,
    ) -> mysql_async::Result<T> {
        // It stays so if the operation is dropped midway.
        *self.judged = false;
        self.marks.begin_statement();
        if phase == Phase::Commit {
            self.marks.get().commit_sent.store(true, Ordering::Release);
        }
        let endpoint: &Arc<Endpoint> = self.ticket.peer();
        let outcome = if endpoint.end_on_lost_peer {
            let began = Instant::now();
            tokio::select! {
                biased;
                outcome = operation => outcome,
                () = endpoint.silence.found() => return Err(self.peer_lost(phase, began)),
            }
        } else {
            operation.await
        };
        match outcome {
            Ok(value) => {
                endpoint.note_heard();
                Ok(value)
            }
            Err(error) => Err(self.judge(phase, error)),
        }
    }

    fn judge(self, phase: Phase, error: Error) -> Error {
        let peer = self.ticket.peer();
        let judged = peer.check.rules.error(phase, &error);
        *self.judged = true;
        *self.discard |= judged.discard;
        if judged.goes_elsewhere() {
            self.marks.get().lost.store(true, Ordering::Release);
        }
        if asks_for_restart(&error) {
            self.marks.get().restart.store(true, Ordering::Release);
        }
        self.ticket.report(judged.verdict);
        if judged.check_now {
            peer.check_now(self.ticket);
        }
        match (phase, error) {
            // The server has answered.
            (_, error @ Error::Server(_)) => error,
            (Phase::Commit, error) => self.outcome_unknown(error),
            (_, error) => error,
        }
    }

    /// The checks that found it lost tell the balancer. The driver marks the connection, as its
    /// operation was dropped midway.
    fn peer_lost(self, phase: Phase, began: Instant) -> Error {
        *self.judged = true;
        *self.discard = true;
        let error = Error::from(error::Error::PeerLost {
            peer: self.ticket.peer().shared_name(),
            waited: began.elapsed(),
        });
        if phase == Phase::Commit {
            return self.outcome_unknown(error);
        }
        self.marks.get().lost.store(true, Ordering::Release);
        error
    }

    fn outcome_unknown(&self, source: Error) -> Error {
        error::Error::outcome_unknown(self.ticket.peer().shared_name(), source).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_commit_is_told_from_other_statements() {
        for commit in ["COMMIT", "commit", " Commit ; ", "\nCOMMIT;"] {
            assert_eq!(phase_of(&commit), Phase::Commit, "{commit:?}");
        }
        for other in ["", ";", "COMMITS", "ROLLBACK", "DO 1; COMMIT", "COMMIT;;x"] {
            assert_eq!(phase_of(&other), Phase::Query, "{other:?}");
        }
    }
}
