//! Whether a peer is ready for work: a login and a statement that does nothing.
//!
//! A handshake alone does not tell. A Galera node that has lost its quorum still accepts logins,
//! pings, `SELECT 1` and `SELECT @@x`; a proxy without a backend accepts logins. `DO 1` fails on
//! both, costs nothing and needs no privilege.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::time::timeout;

use crate::error::AttemptError;

/// Logs in, does nothing, and leaves, all within `limit`.
pub(crate) async fn check(opts: &Opts, limit: Duration) -> Result<(), AttemptError> {
    let visit = async {
        let mut conn = Conn::new(opts.clone()).await?;
        conn.query_drop("DO 1").await?;
        Ok(conn)
    };
    let conn = match timeout(limit, visit).await {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => return Err(AttemptError::Connect(error)),
        Err(_) => return Err(AttemptError::TimedOut(limit)),
    };
    // Only politeness, so it may not take long, nor does its failure mean anything.
    let _ = timeout(limit, conn.disconnect()).await;
    Ok(())
}
