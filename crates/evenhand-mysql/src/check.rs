//! Whether a peer is ready for work: a login and a statement that does nothing.
//!
//! A handshake alone does not tell. A Galera node that has lost its quorum still accepts logins,
//! pings, `SELECT 1` and `SELECT @@x`; a proxy without a backend accepts logins. `DO 1` fails on
//! both, costs nothing and needs no privilege.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::Verdict;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::time::timeout;
use tower_service::Service;

use crate::classify;
use crate::endpoint::Peer;
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

/// The check as the balancer's background probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober;

impl Service<Peer> for Prober {
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer) -> Self::Future {
        Box::pin(async move {
            let checked = check(peer.opts(), peer.attempt_timeout).await;
            Ok(checked.map_or_else(|error| classify::attempt(&error), |()| Verdict::healthy()))
        })
    }
}
