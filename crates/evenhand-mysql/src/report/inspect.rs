//! Asks one peer what it is and whether it is ready for work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Result};
use tokio::time::{Instant, timeout, timeout_at};

use super::{GaleraFacts, PeerFacts, PeerFault, PeerReport};
use crate::caught::Caught;
use crate::peer::Endpoint;
use crate::peer::check::{Check, Unready};
use crate::peer::writable::why_not_writable;

/// How many round trips are measured.
const ROUND_TRIPS: usize = 3;
/// The time limit of the disconnect.
const GOODBYE: Duration = Duration::from_millis(200);

const NOW: &str = "SELECT UNIX_TIMESTAMP(NOW(6))";
/// Visible to any user.
const STATUS: &str = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'wsrep_ready', \
                      'wsrep_local_state_comment', 'wsrep_cluster_status', 'wsrep_cluster_size')";

/// Asks it on a connection outside its pool, for at most `limit`.
pub(crate) async fn inspect(name: Arc<str>, peer: &Endpoint, limit: Duration) -> PeerReport {
    let deadline = Instant::now() + limit;
    let opts = peer.opts();
    let mut facts = None;
    let asked = timeout_at(deadline, async {
        let opts = peer.opts_to_reach().await;
        let opts = opts.map_err(|error| at_login(error.into()))?;
        let mut conn = Caught(Conn::new(opts)).await.map_err(at_login)?;
        let facts = facts.insert(PeerFacts::default());
        ask(&mut conn, facts, &peer.check)
            .await
            .map_err(PeerFault::Failed)?;
        match peer.check.ask(&mut conn).await {
            Ok(()) => {}
            Err(Unready::Failed(error)) => return Err(PeerFault::Failed(error)),
            Err(Unready::Unexpected(reason)) => return Err(PeerFault::NotReady(reason)),
        }
        // A courtesy to the server: its outcome means nothing.
        let _ = timeout(GOODBYE, conn.disconnect()).await;
        Ok(())
    });
    let fault = match asked.await {
        Ok(outcome) => outcome.err(),
        Err(_) => Some(PeerFault::NoAnswer(limit)),
    };
    PeerReport {
        peer: name,
        address: format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()),
        facts,
        fault,
    }
}

fn at_login(error: Error) -> PeerFault {
    match error {
        error @ Error::Server(_) => PeerFault::LoginRefused(error),
        error => PeerFault::Unreachable(error),
    }
}

/// Fills in what the peer says. What it refuses to tell stays `None`, as not every server knows all.
async fn ask(conn: &mut Conn, facts: &mut PeerFacts, check: &Check) -> Result<()> {
    facts.version = told(conn.query_first("SELECT VERSION()").await)?.flatten();
    facts.writable =
        told(why_not_writable(conn, &check.group_warning).await)?.map(|why| why.is_none());
    let status: Vec<(String, String)> = told(conn.query(STATUS).await)?.unwrap_or_default();
    let status: BTreeMap<String, String> = status.into_iter().collect();
    let of = |name: &str| status.get(name).filter(|value| !value.is_empty());
    facts.tls = of("Ssl_cipher").cloned();
    facts.galera = of("wsrep_local_state_comment").map(|state| GaleraFacts {
        state: state.clone(),
        ready: of("wsrep_ready").is_some_and(|ready| ready == "ON"),
        cluster: of("wsrep_cluster_status").cloned().unwrap_or_default(),
        nodes: of("wsrep_cluster_size").map_or(0, |size| size.parse().unwrap_or(0)),
    });
    for _ in 0..ROUND_TRIPS {
        let (began, here) = (Instant::now(), SystemTime::now());
        let there: Option<f64> = told(conn.query_first(NOW).await)?.flatten();
        let took = began.elapsed();
        if facts.round_trip.is_some_and(|best| best <= took) {
            continue;
        }
        facts.round_trip = Some(took);
        // Assumes that the server read its clock half-way through the round trip.
        let here = here.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
        facts.clock_ahead = there.map(|there| there - here.as_secs_f64());
    }
    Ok(())
}

/// An answer; `None` if the server refuses to give one and the connection works.
fn told<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::Server(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
