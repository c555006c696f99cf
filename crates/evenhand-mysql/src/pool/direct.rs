//! A statement run on the pool itself: `"SELECT ..".first(&pool)`.
//!
//! The driver's traits ask for the driver's own connection, by value, so there is no guard around
//! it that could see how the statement went or bring the connection back. What can be kept is tied
//! to something that the driver drops with the connection: its handler for local files. It holds the
//! connection's place among the pool's and its ticket, so limits and drains count it to the end. It
//! gives up no file; the driver's own answer without a handler is an error as well.
//!
//! What came of the statement is seen from behind: the driver counts connections that are returned
//! broken or cut short, and those that fail while it resets them. When the count grows, the peer is
//! checked.

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

use crate::admission::Held;
use crate::endpoint::Endpoint;
use crate::pool::Pool;

/// How often the driver's counts are read while they may grow.
const LOOK: Duration = Duration::from_millis(10);

/// Lets `"SELECT ..".first(&pool)` and its siblings run on a connection of their own, as with
/// `mysql_async::Pool`.
///
/// The checkout is as in [`Pool::get_conn`]: it fails over, is limited in time, and counts against
/// the pool's limits until the connection is done with. The statement itself goes straight to the
/// driver:
///
/// - Its error is not judged by its code. Where the connection broke, was cut short, or cannot be
///   reset, the peer is checked at once, and the check decides. An error such as ProxySQL's "no
///   backend" after which a reset works is seen by nobody here: that is for
///   [`Pool::get_conn`], [`Pool::run_idempotent`] and [`Pool::start_transaction`], which judge
///   every statement.
/// - A connection whose statement was cancelled is not used again.
/// - The driver resets the connection after use and sets no limit to that, but no place is held
///   meanwhile.
/// - `LOAD DATA LOCAL` does not work; check a connection out for it.
impl<'a> ToConnection<'a, 'static> for &'a Pool {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            let conn = self.get_conn().await?;
            Ok(conn.into_one_off()?.into())
        }))
    }
}

/// As for `&Pool`.
impl ToConnection<'static, 'static> for Pool {
    fn to_connection(self) -> ToConnectionResult<'static, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            let conn = self.get_conn().await?;
            Ok(conn.into_one_off()?.into())
        }))
    }
}

/// Ties to the connection what it holds.
pub(crate) fn prepare(mut conn: Conn, held: Held, ticket: Ticket<Arc<Endpoint>>) -> Conn {
    conn.reset_connection(ticket.peer().resets());
    conn.set_infile_handler(UntilDropped {
        _held: held,
        ticket,
    });
    conn
}

/// Lives as long as the connection is out. As a future it is the answer to a server that asks for
/// a local file: an error.
struct UntilDropped {
    _held: Held,
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

/// Looks for a while whether the driver lost a connection, one watcher a peer.
fn watch(ticket: Ticket<Arc<Endpoint>>) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let endpoint: Arc<Endpoint> = Arc::clone(ticket.peer());
    endpoint.note_one_off();
    let Some(mut turn) = Watching::take(endpoint.clone()) else {
        return;
    };
    let mut losses = endpoint.driver.losses();
    runtime.spawn(async move {
        loop {
            while !ticket.is_stale() && endpoint.had_one_off_within(endpoint.attempt_timeout) {
                sleep(LOOK).await;
                let now = endpoint.driver.losses();
                if now != losses {
                    losses = now;
                    endpoint.check_now(&ticket);
                }
            }
            drop(turn);
            // One that came at the very end found the turn taken.
            if ticket.is_stale() || !endpoint.had_one_off_within(endpoint.attempt_timeout) {
                return;
            }
            match Watching::take(endpoint.clone()) {
                Some(again) => turn = again,
                None => return,
            }
        }
    });
}

/// The right to watch, given back on drop.
struct Watching(Arc<Endpoint>);

impl Watching {
    fn take(endpoint: Arc<Endpoint>) -> Option<Self> {
        let taken = endpoint.watched.swap(true, Ordering::AcqRel);
        (!taken).then_some(Self(endpoint))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watched.store(false, Ordering::Release);
    }
}
