//! Whether a peer is ready for work: a login, and what the pool's probe asks.
//!
//! A handshake alone does not tell. A Galera node that has lost its quorum still accepts logins,
//! pings, `SELECT 1` and `SELECT @@x`; a proxy without a backend accepts logins. `DO 1` fails on
//! both, costs nothing and needs no privilege.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{PeerVerdict, Verdict};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Opts, Row};
use tokio::time::{Instant, timeout};

use super::writable::{GroupWarning, bytes, why_not_writable};
use crate::caught::Caught;
use crate::classify::{Rules, is_full};
use crate::error::AttemptError;
use crate::options::{PoolOptions, ProbeKind};

const STATE: &str = "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'";
/// [`STATE`] of a full member; 2 is a donor, or a node desynced manually.
const SYNCED: &[u8] = b"4";

/// The shortest time after which a check that was not answered met silence.
const SILENT: Duration = Duration::from_secs(1);

/// A check that ends so long after its time limit says that this client was stalled.
const STALLED: Duration = Duration::from_millis(250);

/// How a pool's peers are checked, and how the outcome is judged.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) rules: Arc<Rules>,
    pub(crate) probe: ProbeKind,
    /// Galera nodes must be synced.
    pub(crate) synced: bool,
    /// The time limit of one check.
    pub(crate) timeout: Duration,
    pub(crate) group_warning: GroupWarning,
}

/// Why a peer is not ready.
pub(crate) enum Unready {
    Failed(Error),
    /// It answered, but not as expected.
    Unexpected(&'static str),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Of a panic.
impl From<io::Error> for Unready {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What a check found.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// Whether the peer gave no answer at all; `None` if it may not have been asked.
    pub(crate) silent: Option<bool>,
    /// Whether the peer could not be reached, or the connection to it broke.
    pub(crate) is_unreached: bool,
}

impl Check {
    pub(crate) fn new(options: &PoolOptions) -> Self {
        let check = options.get_health_check();
        let writable = options.get_writable();
        let usual = match writable {
            true => ProbeKind::Writable,
            false => ProbeKind::Ready,
        };
        Self {
            rules: Arc::new(Rules {
                classifier: options.get_classifier(),
                writable,
            }),
            probe: check.get_probe().unwrap_or(usual),
            synced: check.get_synced(),
            timeout: check.get_timeout().unwrap_or(options.get_connect_timeout()),
            group_warning: GroupWarning::new(options.get_name()),
        }
    }

    /// The time limit of a check of a peer that fell silent while callers wait for it, and whose slowest
    /// login took so long. A peer whose logins are not known has the whole time.
    pub(crate) fn limit_of_silence(&self, slowest_login: Option<Duration>) -> Duration {
        let logins = slowest_login.map_or(Duration::MAX, |slowest| 3 * slowest);
        logins.max(SILENT).min(self.timeout)
    }

    /// Logs in, asks what the probe asks, and disconnects.
    pub(crate) async fn run(
        &self,
        opts: impl Future<Output = io::Result<Opts>>,
        limit: Duration,
    ) -> Finding {
        let began = Instant::now();
        match timeout(limit, self.visit(opts)).await {
            Ok(Ok(conn)) => {
                // A courtesy to the server: its outcome means nothing.
                let _ = timeout(limit, conn.disconnect()).await;
                Finding {
                    verdict: Verdict::healthy(),
                    silent: Some(false),
                    is_unreached: false,
                }
            }
            Ok(Err(finding)) => finding,
            // This client was stalled: the answer may wait to be read.
            Err(_) if began.elapsed() > limit + STALLED => Finding {
                verdict: Verdict::neutral(),
                silent: None,
                is_unreached: false,
            },
            Err(_) => Finding {
                verdict: self.rules.attempt(&AttemptError::TimedOut(limit)),
                silent: Some(true),
                is_unreached: true,
            },
        }
    }

    async fn visit(&self, opts: impl Future<Output = io::Result<Opts>>) -> Result<Conn, Finding> {
        let login = match opts.await {
            Ok(opts) => Caught(Conn::new(opts)).await,
            Err(error) => Err(error.into()),
        };
        let mut conn = login.map_err(|error| self.failed(error, Verdict::suspect()))?;
        let asked = { Caught(pin!(self.ask(&mut conn))).await };
        match asked {
            Ok(()) => Ok(conn),
            Err(Unready::Failed(error)) => Err(self.failed(error, self.refused_statement())),
            Err(Unready::Unexpected(reason)) => Err(Finding {
                verdict: Verdict::down().safe().because(reason),
                silent: Some(false),
                is_unreached: false,
            }),
        }
    }

    /// Asks what the probe asks, on a connection that has logged in.
    pub(crate) async fn ask(&self, conn: &mut Conn) -> Result<(), Unready> {
        match &self.probe {
            ProbeKind::Ping => conn.ping().await?,
            ProbeKind::Ready => conn.query_drop("DO 1").await?,
            ProbeKind::Writable => {
                conn.query_drop("DO 1").await?;
                if let Some(reason) = why_not_writable(conn, &self.group_warning).await? {
                    return Err(Unready::Unexpected(reason));
                }
            }
            ProbeKind::Query { sql, expect } => {
                let row: Option<Row> = conn.query_first(sql.as_str()).await?;
                if row.as_ref().and_then(|row| bytes(row, 0)) != Some(expect.as_bytes()) {
                    return Err(Unready::Unexpected("the probe's query gave another value"));
                }
            }
        }
        if self.synced {
            let state: Option<Row> = conn.query_first(STATE).await?;
            // No row: not a Galera node.
            if state.is_some_and(|row| bytes(&row, 1) != Some(SYNCED)) {
                return Err(Unready::Unexpected("Galera node not synced"));
            }
        }
        Ok(())
    }

    /// Whether the probe was asked for, or asks more than traffic shows, so that traffic does not replace
    /// it.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.synced || !matches!(self.probe, ProbeKind::Ready)
    }

    /// An error is never a pass. One that does not tell whether the peer is at fault is judged as
    /// `refused`.
    fn failed(&self, error: Error, refused: Verdict) -> Finding {
        let silent = is_silence(&error);
        let is_unreached = matches!(error, Error::Io(_));
        let mut verdict = self.rules.attempt(&AttemptError::Connect(error));
        if matches!(verdict.peer, PeerVerdict::Healthy | PeerVerdict::Suspect) {
            verdict.peer = refused.peer;
            verdict.reason = refused.reason.or(verdict.reason);
        }
        // It is neutral if this host was short of something, or the peer is full.
        let was_asked = verdict.peer != PeerVerdict::Neutral || is_full(&verdict);
        let silent = was_asked.then_some(silent);
        Finding {
            verdict,
            silent,
            is_unreached,
        }
    }

    /// Some proxies do not know `DO 1`, so it decides nothing while a peer is up.
    fn refused_statement(&self) -> Verdict {
        let verdict = match self.is_asked_for() {
            true => Verdict::down(),
            false => Verdict::suspect(),
        };
        verdict.because("the probe's statement was refused")
    }
}

/// Whether the system gave up on the peer, or found no route to it, before this crate did.
fn is_silence(error: &Error) -> bool {
    use std::io::ErrorKind::{HostUnreachable, TimedOut};
    match error {
        Error::Io(IoError::Io(error)) => matches!(error.kind(), TimedOut | HostUnreachable),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_waited_for_three_times_as_long_as_the_slowest_login() {
        let check = Check::new(&PoolOptions::default());
        let limit = |login: Option<u64>| check.limit_of_silence(login.map(Duration::from_millis));
        let limits = [Some(1), Some(500), Some(900), None].map(limit);
        assert_eq!(
            limits.map(|limit| limit.as_millis()),
            [1000, 1500, 2000, 2000]
        );
    }
}
