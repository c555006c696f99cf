//! The load: reads at a steady rate, whatever happens to the servers.
//!
//! Each read is a separate task. It starts when it is due, whether or not earlier reads have ended, and
//! its latency counts from that moment. A client that waited for each answer before the next read would
//! send nothing during an outage, and so hide it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{PeerConn, Pool};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use crate::Failure;

/// The result of one read.
pub(crate) struct Answer {
    /// From when it was due to when it ended.
    pub(crate) latency: Duration,
    /// The name of the peer that served it, or the error.
    pub(crate) outcome: Result<String, String>,
}

/// The peers' ports by name, where the ports tell peers apart.
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
                // The receiver is gone only if the demo has already failed.
                let _ = answers.send(Answer { latency, outcome });
            });
        }
    });
    receiver
}

/// One read, marked idempotent, so it is repeated on another peer if its peer fails. It asks the
/// server for its port, which must be the port of the peer that the pool names.
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
