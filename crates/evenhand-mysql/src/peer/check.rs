//! Whether a peer is ready for work: a login, and what the pool's [`Probe`] asks.
//!
//! A handshake alone does not tell. A Galera node that has lost its quorum still accepts logins,
//! pings, `SELECT 1` and `SELECT @@x`; a proxy without a backend accepts logins. `DO 1` fails on
//! both, costs nothing and needs no privilege.

use std::sync::Arc;
use std::time::Duration;

use evenhand::{PeerVerdict, Verdict};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Opts, Row, Value};
use tokio::time::timeout;

use crate::classify::Rules;
use crate::error::AttemptError;
use crate::probe::Probe;

const READ_ONLY: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
                         ('read_only', 'super_read_only', 'innodb_read_only')";
const STATE: &str = "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'";
/// What [`STATE`] says of a node that is a full member; 2 is a donor, or desynced by hand.
const SYNCED: &[u8] = b"4";

/// How a pool's peers are checked, and how what comes of it is judged.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) rules: Arc<Rules>,
    pub(crate) probe: Probe,
    /// A Galera node must be synced.
    pub(crate) synced: bool,
    /// One check may take this long.
    pub(crate) limit: Duration,
}

/// Why a visit found no peer that is ready.
pub(crate) enum Unready {
    Failed(Error),
    /// It answered, and not as it should have.
    Not(&'static str),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a check found.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// The peer gave no answer at all.
    pub(crate) silent: bool,
}

impl From<Verdict> for Finding {
    fn from(verdict: Verdict) -> Self {
        let silent = false;
        Self { verdict, silent }
    }
}

impl Check {
    /// Logs in, asks what is to be asked, and leaves.
    pub(crate) async fn run(&self, opts: &Opts) -> Finding {
        let conn = match timeout(self.limit, self.visit(opts)).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(Unready::Failed(error))) => {
                return Finding {
                    silent: is_silence(&error),
                    verdict: self.judge(error),
                };
            }
            Ok(Err(Unready::Not(reason))) => {
                return Verdict::down().safe().because(reason).into();
            }
            Err(_) => {
                return Finding {
                    silent: true,
                    verdict: self.rules.attempt(&AttemptError::TimedOut(self.limit)),
                };
            }
        };
        // Only politeness, so it may not take long, nor does its failure mean anything.
        let _ = timeout(self.limit, conn.disconnect()).await;
        Verdict::healthy().into()
    }

    async fn visit(&self, opts: &Opts) -> Result<Conn, Unready> {
        let mut conn = Conn::new(opts.clone()).await?;
        self.ask(&mut conn).await?;
        Ok(conn)
    }

    /// What is to be asked, on a connection that has logged in.
    pub(crate) async fn ask(&self, conn: &mut Conn) -> Result<(), Unready> {
        match &self.probe {
            Probe::Ping => conn.ping().await?,
            Probe::Ready => conn.query_drop("DO 1").await?,
            Probe::Writable => {
                conn.query_drop("DO 1").await?;
                if is_read_only(conn).await? {
                    return Err(Unready::Not("the peer is read-only"));
                }
            }
            Probe::Query { sql, expect } => {
                let row: Option<Row> = conn.query_first(sql.as_str()).await?;
                if row.as_ref().and_then(|row| bytes(row, 0)) != Some(expect.as_bytes()) {
                    return Err(Unready::Not("the probe's query gave another value"));
                }
            }
        }
        if self.synced {
            let state: Option<Row> = conn.query_first(STATE).await?;
            // No row: not a Galera node.
            if state.is_some_and(|row| bytes(&row, 1) != Some(SYNCED)) {
                return Err(Unready::Not("Galera node not synced"));
            }
        }
        Ok(())
    }

    /// Whether a peer may fail it while it serves callers well.
    pub(crate) fn asks_more_than_traffic(&self) -> bool {
        self.synced || self.probe.asks_more_than_traffic()
    }

    fn judge(&self, error: Error) -> Verdict {
        let verdict = self.rules.attempt(&AttemptError::Connect(error));
        match verdict.peer {
            // It answered, and that was enough for `DO 1`, which some proxies do not know. What
            // asks more has got no answer to it.
            PeerVerdict::Healthy if self.asks_more_than_traffic() => Verdict::down()
                .safe()
                .because("the probe's statement was refused"),
            _ => verdict,
        }
    }
}

/// Whether the server takes no writes.
pub(crate) async fn is_read_only(conn: &mut Conn) -> mysql_async::Result<bool> {
    let settings: Vec<Row> = conn.query(READ_ONLY).await?;
    let is_on = |row: &Row| !matches!(bytes(row, 1), Some(b"OFF" | b"0"));
    Ok(settings.iter().any(is_on))
}

/// The system gave up on it, or found no way to it, before this crate did.
fn is_silence(error: &Error) -> bool {
    use std::io::ErrorKind::{HostUnreachable, TimedOut};
    match error {
        Error::Io(IoError::Io(error)) => matches!(error.kind(), TimedOut | HostUnreachable),
        _ => false,
    }
}

/// A value of the text protocol; `None` for NULL.
fn bytes(row: &Row, column: usize) -> Option<&[u8]> {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
