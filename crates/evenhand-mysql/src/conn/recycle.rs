//! How a connection is cleaned up when its guard is dropped. Each step is limited in time, and the
//! connection keeps its permits until it is back in its pool or closed. So a peer that stops answering
//! holds no permit for longer than that.

use std::sync::Arc;
use std::time::Duration;

use evenhand::Ticket;
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Error};
use tokio::time::timeout;

use crate::peer::Endpoint;
use crate::peer::permits::Permit;

/// What a returned connection needs before it may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecycleAction {
    /// Nothing: it goes back as it is.
    Keep,
    /// A session like a new one.
    Reset,
    /// A rollback; otherwise the session stays as it is.
    RollBack,
    /// It must not be used again.
    Close,
    /// It is broken: the driver drops it without a word to the peer.
    Drop,
}

/// The permits that a connection in use holds: one of its peer, and one of the pool if the pool is
/// limited.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
pub(crate) struct HeldPermits {
    pub(crate) peer: Permit,
    pub(crate) pool: Option<Permit>,
}

/// A connection on its way back. The fields are dropped in this order, so the permits come free after
/// the driver has the connection.
pub(crate) struct Recycling {
    pub(crate) conn: Conn,
    pub(crate) _held: Option<HeldPermits>,
    pub(crate) ticket: Ticket<Arc<Endpoint>>,
    /// See [`DriverPool::stay`](crate::peer::driver_pool::DriverPool::stay).
    pub(crate) stay: u32,
    /// A statement may have left its schema.
    pub(crate) schema_left: bool,
}

impl Recycling {
    /// Cleans the connection up and returns it. If the peer does not answer in time, the operation is
    /// dropped, which makes the driver close the connection.
    pub(crate) async fn run(mut self, action: RecycleAction, limit: Duration) {
        let driver = &self.ticket.peer().driver;
        let home = driver
            .home()
            .filter(|_| self.schema_left && action == RecycleAction::Reset);
        let done = match action {
            RecycleAction::Keep | RecycleAction::Drop => return,
            RecycleAction::Close => return self.close(limit).await,
            RecycleAction::Reset | RecycleAction::RollBack => {
                let clean_up = async {
                    clean_up(&mut self.conn, action).await?;
                    bring_home(&mut self.conn, home).await
                };
                timeout(limit, clean_up).await
            }
        };
        match done {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => self.close(limit).await,
            Ok(Err(_)) => {
                // A Galera node without quorum refuses a reset, and statements that were not judged
                // may have failed before it.
                self.ticket.peer().check_after(self.stay, &self.ticket);
                // The session is in an unknown state.
                self.close(limit).await;
            }
            // Either a long rollback or a dead peer.
            Err(_) => self.ticket.peer().check_after(self.stay, &self.ticket),
        }
    }

    async fn close(self, limit: Duration) {
        let _ = timeout(limit, self.conn.disconnect()).await;
    }
}

/// Resets or rolls back. If the server refuses, once more: the first error may be that of a result which
/// was not read to its end.
async fn clean_up(conn: &mut Conn, action: RecycleAction) -> Result<(), Error> {
    let once = async |conn: &mut Conn| match action {
        RecycleAction::Reset => reset(conn).await,
        _ => conn.query_drop("ROLLBACK").await,
    };
    match once(conn).await {
        Err(Error::Server(_)) => once(conn).await,
        done => done,
    }
}

/// Puts the session back into its schema; `false` if the server refuses.
async fn bring_home(conn: &mut Conn, home: Option<&str>) -> Result<bool, Error> {
    let Some(home) = home else {
        return Ok(true);
    };
    match conn.query_drop(home).await {
        Ok(()) => Ok(true),
        Err(Error::Server(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn reset(conn: &mut Conn) -> Result<(), Error> {
    if !conn.reset().await? {
        // Servers before MySQL 5.7.3 and MariaDB 10.2.4 know only the older command.
        conn.change_user(ChangeUserOpts::default()).await?;
    }
    Ok(())
}
