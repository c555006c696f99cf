//! A connection that the driver uses and takes back itself.
//!
//! The driver's traits take the driver's own connection by value, so no guard around it could see how
//! the statement ended, or return the connection. What must be kept is tied to something that the driver
//! drops with the connection: its handler for local files. That holds the connection's permits and
//! ticket, so limits and drains count the connection to the end. It serves no file; the driver without a
//! handler fails in the same way.
//!
//! No guard sees a `USE` either. So from the first such use on, the driver puts each connection of the peer back
//! into its schema when it resets it.
//!
//! The outcome is seen indirectly: the driver counts connections that are returned broken or cut short,
//! and those that fail to be reset. When the count grows, the peer is checked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::Ticket;
use mysql_async::prelude::ToConnection;
use mysql_async::{Conn, InfileData, LocalInfileError, Result, ToConnectionResult};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::PeerConn;
use super::recycle::HeldPermits;
use crate::peer::Endpoint;

/// How often the driver's counts are read while they may grow.
const POLL: Duration = Duration::from_millis(10);

impl PeerConn {
    /// The driver's own connection, with what it holds tied to it. The first time, it is closed on return.
    pub(crate) fn into_direct(self) -> Result<Conn> {
        let resets = self.resets;
        self.ticket.peer().driver.bring_home();
        let (mut conn, held, ticket) = self.into_parts()?;
        conn.reset_connection(resets);
        conn.set_infile_handler(UntilDropped {
            _held: held,
            ticket,
        });
        Ok(conn)
    }
}

/// Lets `"SELECT ..".stream(conn)` and its siblings take this connection by value. The statement goes
/// straight to the driver, as [on the pool](crate::Pool#impl-ToConnection<'a,+'static>-for-%26Pool).
impl ToConnection<'static, 'static> for PeerConn {
    fn to_connection(mut self) -> ToConnectionResult<'static, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            self.conn_mut().await?;
            Ok(self.into_direct()?.into())
        }))
    }
}

/// Lives as long as the connection is in use. As a future it is the answer to a server that asks for a
/// local file: an error.
struct UntilDropped {
    _held: HeldPermits,
    ticket: Ticket<Arc<Endpoint>>,
}

impl Future for UntilDropped {
    type Output = mysql_async::Result<InfileData>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(LocalInfileError::NoHandler.into()))
    }
}

impl Drop for UntilDropped {
    /// The driver takes the connection back right after this.
    fn drop(&mut self) {
        watch(self.ticket.clone());
    }
}

/// Watches for a while whether the driver saw a connection fail; one task for each peer.
fn watch(ticket: Ticket<Arc<Endpoint>>) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let endpoint: Arc<Endpoint> = Arc::clone(ticket.peer());
    endpoint.traffic.note_direct_ended();
    let Some(mut turn) = WatchTurn::take(endpoint.clone()) else {
        return;
    };
    let mut failures = endpoint.driver.failures();
    runtime.spawn(async move {
        loop {
            while !ticket.is_stale() && endpoint.traffic.had_direct_within(endpoint.connect_timeout)
            {
                sleep(POLL).await;
                let now = endpoint.driver.failures();
                if now != failures {
                    failures = now;
                    endpoint.check_now(&ticket);
                }
            }
            drop(turn);
            // A statement that ended at this moment found the turn taken.
            if ticket.is_stale() || !endpoint.traffic.had_direct_within(endpoint.connect_timeout) {
                return;
            }
            match WatchTurn::take(endpoint.clone()) {
                Some(again) => turn = again,
                None => return,
            }
        }
    });
}

/// The right to watch, returned on drop.
struct WatchTurn(Arc<Endpoint>);

impl WatchTurn {
    fn take(endpoint: Arc<Endpoint>) -> Option<Self> {
        let taken = endpoint.watched.swap(true, Ordering::AcqRel);
        (!taken).then_some(Self(endpoint))
    }
}

impl Drop for WatchTurn {
    fn drop(&mut self) {
        self.0.watched.store(false, Ordering::Release);
    }
}
