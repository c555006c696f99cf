//! The load: reads at a steady rate, whatever becomes of the servers.
//!
//! Each read is a task of its own, started when its time has come, whether or not earlier ones
//! have ended, and its latency counts from the moment it was due. A client that waited for one
//! answer before it asked again would fall silent during an outage, and so hide it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{PeerConn, Pool};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use crate::Failure;

/// What came of one read.
pub(crate) struct Answer {
    /// From when it was due to when it ended.
    pub(crate) latency: Duration,
    /// The name of the peer that served it, or what went wrong.
    pub(crate) outcome: Result<String, String>,
}

/// The peers' ports by name, where they are known to tell peers apart.
pub(crate) type Ports = HashMap<String, u16>;

/// Starts `rate` reads a second for `length`, the first at `start`. The answers end when the last
/// read has.
pub(crate) fn run(
    pool: Pool,
    ports: Ports,
    rate: u32,
    length: Duration,
    start: Instant,
) -> UnboundedReceiver<Answer> {
    let (answers, receiver) = unbounded_channel();
    let ports = Arc::new(ports);
    tokio::spawn(async move {
        for nth in 0.. {
            let after = Duration::from_secs(nth) / rate;
            if after >= length {
                break;
            }
            let due = start + after;
            sleep_until(due).await;
            let (pool, ports, answers) = (pool.clone(), ports.clone(), answers.clone());
            tokio::spawn(async move {
                let outcome = read(&pool, &ports).await;
                let latency = due.elapsed();
                // Nobody listens any more only if the demo has failed already.
                let _ = answers.send(Answer { latency, outcome });
            });
        }
    });
    receiver
}

/// One read, marked idempotent: if its peer fails under it, it is done again on another. It asks
/// the server who it is, and that must be whom the pool says.
async fn read(pool: &Pool, ports: &Ports) -> Result<String, String> {
    let work = async |mut conn: PeerConn| {
        let port: Option<u16> = conn.query_first("SELECT @@port").await?;
        Ok::<_, Failure>((conn.peer().to_owned(), port))
    };
    let (peer, answered) = pool
        .run_idempotent(work)
        .await
        .map_err(|error| error.to_string())?;
    match ports.get(&peer) {
        Some(&port) if answered != Some(port) => Err(format!(
            "{peer} should be on port {port}, but the answer came from {answered:?}"
        )),
        _ => Ok(peer),
    }
}
