//! What Postgres's errors say of the server, and of the query.

use std::error::Error;
use std::fmt;
use std::io;

use deadpool_postgres::tokio_postgres::{self, error::SqlState};
use deadpool_postgres::{PoolError, TimeoutType};
use evenhand::Verdict;

use super::Answer;

/// An attempt that failed. The same error says less about a query that was sent than about one that
/// never was, so the two are told apart.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection: nothing was sent.
    Connection(PoolError),
    Query(tokio_postgres::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "no connection: {error}"),
            Self::Query(error) => write!(f, "the query failed: {error}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connection(error) => error.source(),
            Self::Query(error) => error.source(),
        }
    }
}

/// The classifier: what does this outcome say of the peer, and may another one be tried?
pub(crate) fn judge(outcome: Result<&Answer, &Failure>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::healthy(),
        Err(Failure::Connection(PoolError::Timeout(TimeoutType::Wait))) => {
            Verdict::neutral().busy().because("no free connection")
        }
        Err(Failure::Connection(PoolError::Backend(error))) => match error.code() {
            Some(code) => judge_code(code, false),
            None => Verdict::down().safe().because("not connected"),
        },
        Err(Failure::Connection(_)) => Verdict::down().safe().because("no connection"),
        Err(Failure::Query(error)) => match error.code() {
            Some(code) => judge_code(code, true),
            None if broke(error) => Verdict::down().if_idempotent().because("connection lost"),
            // The driver did not like the query, or its answer.
            None => Verdict::neutral(),
        },
    }
}

/// Judges a code of Postgres's (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). Its
/// first two characters are its class.
fn judge_code(code: &SqlState, query_sent: bool) -> Verdict {
    let failed = |peer: Verdict, reason| match query_sent {
        true => peer.if_idempotent().because(reason),
        false => peer.safe().because(reason),
    };
    match (code.code(), code.code().get(..2)) {
        ("57P01" | "57P02", _) => failed(Verdict::down(), "shutting down"),
        ("57P03", _) => failed(Verdict::down(), "starting up"),
        ("53300", _) => Verdict::neutral().busy().because("too many connections"),
        // The connection was closed for idling, before the query was read. The next one is as good as any.
        ("57P05", _) => Verdict::neutral().safe().because("closed while idle"),
        // A primary that was demoted, or an error of the caller's, whom all servers tell so? The others decide.
        // The statement was not run.
        ("25006", _) => Verdict::suspect().safe().because("read-only"),
        (_, Some("08")) => failed(Verdict::down(), "connection failed"),
        // Memory, disks, bugs: five in a row eject.
        (_, Some("53" | "58" | "XX")) => failed(Verdict::degraded(), "trouble on the server"),
        // A wrong password, or one that only this server does not know? The others decide.
        (_, Some("28" | "3D")) if !query_sent => failed(Verdict::suspect(), "login refused"),
        // The server did its job. After a deadlock (40P01) or a failed serialization (40001) it is for
        // the caller to run the whole transaction again; syntax (42) or a constraint (23) never mend.
        _ => Verdict::healthy(),
    }
}

/// Whether the connection broke while the query was out.
fn broke(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error
            .source()
            .is_some_and(|source| source.is::<io::Error>())
}
