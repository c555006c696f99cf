//! A checked-out connection: its guard, transactions on it, and its way back.
//!
//! Knows peers and the classifier, not the pool or the balancer.
//!
//! The driver's connection must not be used again after an operation on it was cancelled or timed out:
//! it would answer the next statement with the rows of the previous one. The guard refuses then. It
//! also reports to the balancer what each failure says about the peer, and cleans a returned
//! connection up within a time limit, or closes it.

pub(crate) mod outcome;
pub(crate) mod recycle;
pub(crate) mod transaction;

mod direct;
mod driver_api;
mod queryable;
mod statement;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use evenhand::Ticket;
use mysql_async::prelude::{Queryable, ToConnection};
use mysql_async::{Conn, DriverError, ToConnectionResult};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::classify::Phase;
use crate::error::Error;
use crate::peer::Endpoint;
use crate::peer::connect::Connected;
use crate::peer::permits::Permit;
use outcome::{ConnFlags, LazyConnFlags, OutcomeObserver};
use recycle::{HeldPermits, RecycleAction, Recycling};

/// A connection to one peer, from [`Pool::get_conn`](crate::Pool::get_conn). It returns to its pool
/// when it is dropped.
///
/// It is used as a [`mysql_async::Conn`] is: it implements [`Queryable`], and dereferences to `Conn`
/// for reading. It stays on its peer: nothing is moved or repeated.
///
/// After an operation on it was dropped before it ended, or broke the protocol, every further one
/// fails with [`DriverError::ConnectionClosed`], and the connection is closed instead of reused.
#[must_use = "a connection that is dropped returns to its pool"]
pub struct PeerConn {
    /// `None` only while the guard is being dropped.
    conn: Option<Conn>,
    held: Option<HeldPermits>,
    ticket: Ticket<Arc<Endpoint>>,
    transaction: InTransaction,
    flags: LazyConnFlags,
    /// The peer has accepted a login for it.
    is_new: bool,
    /// Of the peer at the address that it goes to; see [`DriverPool::stay`](crate::peer::driver_pool::DriverPool::stay).
    stay: u32,
    /// The connection works, but must not be used again after this guard.
    discard: bool,
    /// Whether the session is reset on return.
    resets: bool,
    /// A statement may have left the connection's schema.
    schema_left: bool,
    /// The connection's own; another one in its place must not be used again either.
    id: u32,
    /// The latest operation failed, and its error was judged.
    judged: bool,
    /// Where the guard goes on drop instead of its pool, if the slot still exists.
    return_slot: Weak<ReturnSlot>,
}

/// Where a guard that was lent to a caller's closure waits for its owner.
pub(crate) type ReturnSlot = Mutex<Option<PeerConn>>;

/// Whether a [`Transaction`](transaction::Transaction) was started on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InTransaction {
    No,
    Yes,
    /// It was dropped: a rollback must come before anything else.
    Dropped,
}

impl PeerConn {
    pub(crate) fn new(
        Connected { conn, is_new, stay }: Connected,
        held: HeldPermits,
        ticket: Ticket<Arc<Endpoint>>,
    ) -> Self {
        Self {
            id: conn.id(),
            conn: Some(conn),
            is_new,
            stay,
            held: Some(held),
            resets: ticket.peer().resets,
            schema_left: false,
            ticket,
            transaction: InTransaction::No,
            flags: LazyConnFlags::default(),
            discard: false,
            judged: false,
            return_slot: Weak::new(),
        }
    }

    /// The name of the peer.
    pub fn peer(&self) -> &str {
        self.ticket.peer().name()
    }

    /// Closes the connection when it is dropped, instead of returning it to its pool.
    pub fn close_on_drop(&mut self) {
        self.discard = true;
    }

    /// Closes the connection instead of returning it to its pool. Waits until the server has been told,
    /// at most for the [connect timeout](crate::PoolOptions::connect_timeout).
    ///
    /// # Errors
    ///
    /// The driver's. The connection is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed without telling the server.
    pub async fn disconnect(self) -> mysql_async::Result<()> {
        let limit = self.ticket.peer().connect_timeout;
        let (conn, _held, _) = self.into_parts()?;
        timeout(limit, conn.disconnect()).await.unwrap_or(Ok(()))
    }

    /// Resolves with [`Error::PeerLost`] once the peer is lost: when consecutive checks from now on, two
    /// unless [set](crate::HealthCheck::lost_after), get no answer at all. Until then it does not resolve.
    ///
    /// Statements that read all their rows end by themselves then, unless
    /// [`end_on_lost_peer`](crate::PoolOptions::end_on_lost_peer) is off. Rows that are read one by one
    /// come from the driver: wait for this beside them.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Pool, mysql_async::{self, Row, prelude::*}};
    /// # async fn run(pool: Pool) -> mysql_async::Result<()> {
    /// let mut conn = pool.get_conn().await?;
    /// let mut lost = std::pin::pin!(conn.peer_lost());
    /// let mut rows = conn.query_iter("SELECT * FROM a_large_table").await?;
    /// loop {
    ///     let row: Option<Row> = tokio::select! {
    ///         row = rows.next() => row?,
    ///         error = lost.as_mut() => return Err(error.into()),
    ///     };
    ///     let Some(row) = row else { return Ok(()) };
    /// #   drop(row);
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect. It does not borrow the connection.
    pub fn peer_lost(&self) -> impl Future<Output = Error> + Send + use<> {
        let (peer, stay, began) = (self.ticket.peer().clone(), self.stay, Instant::now());
        async move {
            // A ticket, to check the peer with, would hold up a drain.
            peer.silence.lost(stay, || {}).await;
            Error::PeerLost {
                peer: peer.shared_name(),
                waited: began.elapsed(),
            }
        }
    }

    /// Sends the guard to the slot when it is dropped.
    pub(crate) fn return_to(&mut self, slot: &Arc<ReturnSlot>) {
        self.return_slot = Arc::downgrade(slot);
    }

    /// Keeps a permit of the pool until the connection is back or closed.
    pub(crate) fn hold(&mut self, pool_permit: Option<Permit>) {
        if let Some(held) = &mut self.held {
            held.pool = pool_permit;
        }
    }

    /// This guard, under the name that transactions have for theirs; see `queryable`.
    pub(crate) fn guard(&mut self) -> &mut Self {
        self
    }

    /// The driver's connection, its permits and its ticket, without the guard.
    pub(crate) fn into_parts(
        mut self,
    ) -> mysql_async::Result<(Conn, HeldPermits, Ticket<Arc<Endpoint>>)> {
        match (self.conn.take(), self.held.take()) {
            (Some(conn), Some(held)) => Ok((conn, held, self.ticket.clone())),
            _ => Err(DriverError::ConnectionClosed.into()),
        }
    }

    /// What is observed on this connection, also after the guard has been moved.
    pub(crate) fn flags(&self) -> Arc<ConnFlags> {
        self.flags.get().clone()
    }

    /// Whether it comes from a login, and not from the idle connections.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(crate) fn ticket(&self) -> &Ticket<Arc<Endpoint>> {
        &self.ticket
    }

    pub(crate) fn transaction(&mut self) -> &mut InTransaction {
        &mut self.transaction
    }

    /// The connection, if it may be used, and an observer for the next operation on it. Rolls a dropped
    /// transaction back first.
    pub(crate) async fn ready(&mut self) -> mysql_async::Result<(&mut Conn, OutcomeObserver<'_>)> {
        if self.transaction == InTransaction::Dropped {
            let (conn, observer) = self.split()?;
            let rollback = conn.query_drop("ROLLBACK");
            observer.observe(Phase::Query, rollback).await?;
            self.transaction = InTransaction::No;
        }
        self.split()
    }

    fn split(&mut self) -> mysql_async::Result<(&mut Conn, OutcomeObserver<'_>)> {
        let observer = OutcomeObserver {
            ticket: &self.ticket,
            stay: self.stay,
            flags: &self.flags,
            discard: &mut self.discard,
            judged: &mut self.judged,
        };
        match &mut self.conn {
            Some(conn) if !conn.is_disconnected() => Ok((conn, observer)),
            _ => Err(DriverError::ConnectionClosed.into()),
        }
    }

    /// What to do with the connection: the first row that fits.
    ///
    /// | connection | action |
    /// | --- | --- |
    /// | broken | `Drop` |
    /// | marked for discard, not the one of the checkout, or its peer has changed state since that | `Close` |
    /// | to be reset after use, as the peer's options or the caller say | `Reset` |
    /// | in a transaction | `RollBack` |
    /// | any other | `Keep` |
    fn recycle_action(&self, conn: &Conn) -> RecycleAction {
        if conn.is_disconnected() {
            RecycleAction::Drop
        } else if self.discard || conn.id() != self.id || self.ticket.is_stale() {
            RecycleAction::Close
        } else if self.resets {
            RecycleAction::Reset
        } else if self.transaction != InTransaction::No {
            RecycleAction::RollBack
        } else {
            RecycleAction::Keep
        }
    }
}

/// Lets `"SELECT ..".first(&mut conn)` and its siblings run on this connection.
impl<'a> ToConnection<'a, 'static> for &'a mut PeerConn {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move { Ok(self.conn_mut().await?.into()) }))
    }
}

impl Deref for PeerConn {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        match &self.conn {
            Some(conn) => conn,
            None => unreachable!("only a guard that is being dropped has no connection"),
        }
    }
}

impl Drop for PeerConn {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        if let Some(slot) = self.return_slot.upgrade() {
            let back = Self {
                conn: Some(conn),
                held: self.held.take(),
                ticket: self.ticket.clone(),
                transaction: self.transaction,
                flags: self.flags.clone(),
                is_new: self.is_new,
                stay: self.stay,
                discard: self.discard,
                resets: self.resets,
                schema_left: self.schema_left,
                id: self.id,
                judged: self.judged,
                return_slot: Weak::new(),
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(back);
            return;
        }
        let endpoint: &Arc<Endpoint> = self.ticket.peer();
        let action = self.recycle_action(&conn);
        // It is reset here, within a time limit.
        conn.reset_connection(false);
        if action == RecycleAction::Keep {
            return;
        }
        match (action, Handle::try_current()) {
            (RecycleAction::Drop, _) => {
                // An operation was dropped before it ended, or rows stopped coming. Either the
                // statement was slow or the peer is dead.
                if !self.judged
                    && !self
                        .flags
                        .get()
                        .set_lost(DriverError::ConnectionClosed.into())
                {
                    endpoint.check_after(self.stay, &self.ticket);
                }
            }
            (_, Ok(runtime)) => {
                let recycling = Recycling {
                    conn,
                    _held: self.held.take(),
                    ticket: self.ticket.clone(),
                    stay: self.stay,
                    schema_left: self.schema_left,
                };
                runtime.spawn(recycling.run(action, endpoint.connect_timeout));
            }
            // Without a runtime nothing can be waited for here. The driver's own task can, though
            // without a limit. A reset does for every action.
            (_, Err(_)) => conn.reset_connection(true),
        }
    }
}

/// Shows the peer, not the driver's connection: its options hold the password.
impl fmt::Debug for PeerConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConn")
            .field("peer", &self.peer())
            .field("connection_id", &self.id())
            .field("usable", &(!self.is_disconnected()))
            .finish_non_exhaustive()
    }
}
