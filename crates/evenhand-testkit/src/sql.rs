//! One statement on a server of ours, for callers inside and outside of tokio.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder, Row};
use tokio::runtime;

/// How long a statement may take, the login included.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Why a statement gave nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused it, or the connection broke.
    Driver(Box<mysql_async::Error>),
    /// No answer in time.
    Mute,
    /// No thread or no runtime could be had.
    Io(io::Error),
}

/// Logs in as `root` on this Unix socket, which no port of the server's is needed for, and runs the
/// statement. Blocks.
pub(crate) fn query(socket: &Path, statement: &str) -> Result<Vec<Row>, Failure> {
    query_within(socket, statement, LIMIT)
}

/// [`query`] with another limit.
pub(crate) fn query_within(
    socket: &Path,
    statement: &str,
    limit: Duration,
) -> Result<Vec<Row>, Failure> {
    // A runtime cannot block on a thread of another runtime, so it has a separate thread.
    thread::scope(|scope| {
        thread::Builder::new()
            .name("testkit-sql".to_owned())
            .spawn_scoped(scope, || {
                runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(Failure::Io)?
                    .block_on(limited(socket, statement, limit))
            })
            .map_err(Failure::Io)?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

async fn limited(socket: &Path, statement: &str, limit: Duration) -> Result<Vec<Row>, Failure> {
    tokio::time::timeout(limit, ask(socket, statement))
        .await
        .map_err(|_| Failure::Mute)?
        .map_err(|error| Failure::Driver(Box::new(error)))
}

async fn ask(socket: &Path, statement: &str) -> mysql_async::Result<Vec<Row>> {
    let options = OptsBuilder::default()
        .user(Some("root"))
        .socket(Some(socket.display().to_string()));
    let mut conn = Conn::new(options).await?;
    let rows = conn.query(statement).await?;
    // Only good manners: the answer is here.
    let _ = conn.disconnect().await;
    Ok(rows)
}
