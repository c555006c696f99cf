//! Statements on the pool itself: `"SELECT ..".first(&pool)`.
//!
//! The driver's traits take the driver's own connection by value, so no guard around it could see how
//! the statement ended, or return the connection. What must be kept is tied to something that the driver
//! drops with the connection: its handler for local files. That holds the connection's permits and
//! ticket, so limits and drains count the connection to the end. It serves no file; the driver without a
//! handler fails in the same way.
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
use mysql_async::{Conn, InfileData, LocalInfileError, ToConnectionResult};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::Pool;
use crate::conn::recycle::HeldPermits;
use crate::peer::Endpoint;

/// How often the driver's counts are read while they may grow.
const POLL: Duration = Duration::from_millis(10);

/// Lets `"SELECT ..".first(&pool)` and its siblings run on a connection from the pool, as with
/// `mysql_async::Pool`.
///
/// The checkout is as in [`Pool::get_conn`]: it fails over, is limited in time, and its connection counts
/// against the pool's limits until it is returned. The statement itself goes straight to the driver:
///
/// - Its error is not judged by its code. If the connection broke, was cut short, or cannot be reset, the
///   peer is checked at once. An error such as ProxySQL's "no backend", after which a reset works, goes
///   unnoticed. [`Pool::get_conn`], [`Pool::run_idempotent`] and [`Pool::start_transaction`] judge every
///   statement.
/// - A connection whose statement was cancelled is not used again.
/// - The driver resets the connection after use, without a time limit, but no permit is held meanwhile.
/// - `LOAD DATA LOCAL` does not work; check out a connection for it.
impl<'a> ToConnection<'a, 'static> for &'a Pool {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        ToConnectionResult::Mediate(Box::pin(
            async move { Ok(self.direct_conn().await?.into()) },
        ))
    }
}

/// As for `&Pool`.
impl ToConnection<'static, 'static> for Pool {
    fn to_connection(self) -> ToConnectionResult<'static, 'static> {
        ToConnectionResult::Mediate(Box::pin(
            async move { Ok(self.direct_conn().await?.into()) },
        ))
    }
}

impl Pool {
    /// The driver's own connection, with what it holds tied to it.
    async fn direct_conn(&self) -> mysql_async::Result<Conn> {
        let (mut conn, held, ticket) = self.get_conn().await?.into_parts()?;
        conn.reset_connection(ticket.peer().resets);
        conn.set_infile_handler(UntilDropped {
            _held: held,
            ticket,
        });
        Ok(conn)
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
