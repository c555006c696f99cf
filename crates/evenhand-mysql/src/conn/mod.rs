//! A checked-out connection, and the guard around it.
//!
//! The driver's connection must not be used again after an operation on it was cancelled or timed
//! out: it would answer the next statement with the rows of the one before. The guard refuses
//! then. It also tells the balancer what each failure says of the peer, and sees to it that a
//! returned connection is cleaned up within a time limit, or closed.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use evenhand::Ticket;
use mysql_async::prelude::{Queryable, ToConnection};
use mysql_async::{Conn, DriverError, ToConnectionResult, TxOpts};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::admission::{Held, Place};
use crate::classify::Phase;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::judge::{Judge, LazyMarks, Marks};
use crate::one_off;
use crate::returning::{Returning, Way};
use crate::transaction::Transaction;

/// A connection to one peer, from [`Pool::get_conn`](crate::Pool::get_conn). It goes back to its
/// pool when it is dropped.
///
/// It is used as a [`mysql_async::Conn`] is: it implements [`Queryable`], and dereferences to
/// `Conn` for reading. It stays on its peer: nothing is moved or repeated.
///
/// After an operation on it was dropped before it ended, or broke the protocol, every further one
/// fails with [`DriverError::ConnectionClosed`], and the connection is closed, not reused.
pub struct PeerConn {
    /// `None` only while it is being dropped.
    conn: Option<Conn>,
    held: Option<Held>,
    ticket: Ticket<Arc<Endpoint>>,
    transaction: InTransaction,
    /// What was seen of it, for who tries again.
    marks: LazyMarks,
    /// The connection still works, but must not be used by anyone else.
    discard: bool,
    /// The latest operation failed, and was judged.
    judged: bool,
    /// Where it goes when it is dropped, in place of its pool, if that is still there.
    home: Weak<Home>,
}

/// Where a connection that was lent waits for who lent it.
pub(crate) type Home = Mutex<Option<PeerConn>>;

/// Whether a [`Transaction`] was started on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InTransaction {
    No,
    Yes,
    /// It was dropped, and nothing but a rollback may come next.
    Dropped,
}

impl PeerConn {
    pub(crate) fn new(conn: Conn, held: Held, ticket: Ticket<Arc<Endpoint>>) -> Self {
        Self {
            conn: Some(conn),
            held: Some(held),
            ticket,
            transaction: InTransaction::No,
            marks: LazyMarks::default(),
            discard: false,
            judged: false,
            home: Weak::new(),
        }
    }

    /// The name of the peer that it is connected to.
    pub fn peer(&self) -> &str {
        self.ticket.peer().name()
    }

    /// Starts a transaction. It stays on this peer, and is rolled back if it is dropped: before
    /// the next statement on this connection, or when this is returned.
    ///
    /// # Errors
    ///
    /// Those of [`Conn::start_transaction`], and [`DriverError::ConnectionClosed`] as
    /// [above](Self).
    pub async fn start_transaction(
        &mut self,
        options: TxOpts,
    ) -> mysql_async::Result<Transaction<'_>> {
        Transaction::start(self, options).await
    }

    /// Resolves with [`Error::PeerLost`] when its peer is found lost from now on: when two checks in
    /// a row got no answer at all.
    ///
    /// Statements that read all their rows end by themselves then, unless
    /// [`end_on_lost_peer`](crate::PoolOptions::end_on_lost_peer) is off. Rows that are taken one by
    /// one come from the driver itself: wait for this beside them.
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
    /// Cancel-safe, and independent of the connection.
    pub fn peer_lost(&self) -> impl Future<Output = Error> + Send + use<> {
        let (peer, began) = (self.ticket.peer().clone(), Instant::now());
        async move {
            peer.silence.found().await;
            Error::PeerLost {
                peer: peer.shared_name(),
                waited: began.elapsed(),
            }
        }
    }

    /// When it is dropped, it waits there.
    pub(crate) fn lend(&mut self, home: &Arc<Home>) {
        self.home = Arc::downgrade(home);
    }

    /// Itself, as a transaction has it: see `queryable`.
    pub(crate) fn guard(&mut self) -> &mut Self {
        self
    }

    /// Holds a place among all of the pool's connections, too.
    pub(crate) fn hold_in_all(&mut self, place: Option<Place>) {
        if let Some(held) = &mut self.held {
            held.hold_in_all(place);
        }
    }

    /// The driver's own connection, for one statement; see `one_off` for what is kept.
    pub(crate) fn into_one_off(mut self) -> mysql_async::Result<Conn> {
        match (self.conn.take(), self.held.take()) {
            (Some(conn), Some(held)) => Ok(one_off::prepare(conn, held, self.ticket.clone())),
            _ => Err(DriverError::ConnectionClosed.into()),
        }
    }

    /// What its guard sees of it, also when it is given away.
    pub(crate) fn marks(&self) -> Arc<Marks> {
        self.marks.get().clone()
    }

    pub(crate) fn ticket(&self) -> &Ticket<Arc<Endpoint>> {
        &self.ticket
    }

    pub(crate) fn transaction(&mut self) -> &mut InTransaction {
        &mut self.transaction
    }

    /// As [`split`](Self::split), once a dropped transaction is rolled back.
    pub(crate) async fn ready(&mut self) -> mysql_async::Result<(&mut Conn, Judge<'_>)> {
        if self.transaction == InTransaction::Dropped {
            let (conn, judge) = self.split()?;
            judge
                .watch(Phase::Query, conn.query_drop("ROLLBACK"))
                .await?;
            self.transaction = InTransaction::No;
        }
        self.split()
    }

    /// The connection, if it may be used, and who judges what comes of it.
    fn split(&mut self) -> mysql_async::Result<(&mut Conn, Judge<'_>)> {
        let judge = Judge {
            ticket: &self.ticket,
            marks: &self.marks,
            discard: &mut self.discard,
            judged: &mut self.judged,
        };
        match &mut self.conn {
            Some(conn) if !conn.is_disconnected() => Ok((conn, judge)),
            _ => Err(DriverError::ConnectionClosed.into()),
        }
    }
}

/// Lets `"SELECT ..".first(&mut conn)` and its siblings run on this connection.
impl<'a> ToConnection<'a, 'static> for &'a mut PeerConn {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            let (conn, _) = self.ready().await?;
            Ok(conn.into())
        }))
    }
}

impl Deref for PeerConn {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        match &self.conn {
            Some(conn) => conn,
            None => unreachable!("only a dropped guard has no connection"),
        }
    }
}

impl Drop for PeerConn {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        if let Some(home) = self.home.upgrade() {
            let back = Self {
                conn: Some(conn),
                held: self.held.take(),
                ticket: self.ticket.clone(),
                transaction: self.transaction,
                marks: self.marks.clone(),
                discard: self.discard,
                judged: self.judged,
                home: Weak::new(),
            };
            *home.lock().unwrap_or_else(PoisonError::into_inner) = Some(back);
            return;
        }
        let endpoint: &Arc<Endpoint> = self.ticket.peer();
        if conn.is_disconnected() {
            if !self.judged && !self.marks.get().lost.swap(true, Ordering::AcqRel) {
                // An operation was dropped midway, or rows stopped coming: the statement's own
                // doing, or the peer's?
                endpoint.check_now(&self.ticket);
            }
            // The driver closes what is marked so, without a word to the peer.
            return;
        }
        let way = if self.discard || self.ticket.is_stale() {
            Way::Close
        } else if endpoint.resets() {
            Way::Reset
        } else if self.transaction != InTransaction::No {
            Way::RollBack
        } else {
            // Nothing has to be waited for.
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => {
                let returning = Returning::new(conn, self.held.take(), self.ticket.clone());
                runtime.spawn(returning.go(way, endpoint.attempt_timeout));
            }
            // Nothing can be waited for here. The driver's own task can, though without a limit,
            // and a reset does for all: nobody may inherit this session.
            Err(_) => conn.reset_connection(true),
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
