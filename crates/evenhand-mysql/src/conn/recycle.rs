//! A connection on its way back. Whatever that takes is limited in time, and the connection keeps
//! its place among the pool's until it is back or closed: a peer that stops answering holds none.

use std::sync::Arc;
use std::time::Duration;

use evenhand::Ticket;
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Error};
use tokio::time::timeout;

use crate::admission::Held;
use crate::endpoint::Endpoint;

/// What has to be done first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Nobody may use it again.
    Close,
    /// Make the session as new.
    Reset,
    /// The session stays as it is, but for the transaction.
    RollBack,
}

/// The parts are dropped in this order: the place comes free once the driver has the connection.
pub(crate) struct Returning {
    conn: Conn,
    _held: Option<Held>,
    ticket: Ticket<Arc<Endpoint>>,
}

impl Returning {
    pub(crate) fn new(conn: Conn, held: Option<Held>, ticket: Ticket<Arc<Endpoint>>) -> Self {
        Self {
            conn,
            _held: held,
            ticket,
        }
    }

    /// Gives it back. If the peer does not answer in time, the operation is dropped, which marks
    /// the connection to be closed.
    pub(crate) async fn go(mut self, way: Way, limit: Duration) {
        let done = match way {
            Way::Close => return self.close(limit).await,
            Way::Reset => timeout(limit, reset(&mut self.conn)).await,
            Way::RollBack => timeout(limit, self.conn.query_drop("ROLLBACK")).await,
        };
        match done {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                // A Galera node without quorum refuses a reset; statements that nobody judged may
                // have failed before it.
                self.ticket.peer().check_now(&self.ticket);
                // It leaves a session that nobody may inherit.
                self.close(limit).await;
            }
            // A long rollback or a dead peer?
            Err(_) => self.ticket.peer().check_now(&self.ticket),
        }
    }

    async fn close(self, limit: Duration) {
        let _ = timeout(limit, self.conn.disconnect()).await;
    }
}

async fn reset(conn: &mut Conn) -> Result<(), Error> {
    if !conn.reset().await? {
        // Servers before MySQL 5.7.3 and MariaDB 10.2.4 know only the older way.
        conn.change_user(ChangeUserOpts::default()).await?;
    }
    Ok(())
}
