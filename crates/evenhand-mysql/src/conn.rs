//! A checked-out connection, and the guard around it.
//!
//! The driver's connection must not be used again after an operation on it was cancelled or timed
//! out: it would answer the next statement with the rows of the one before. The guard refuses
//! then. It also tells the balancer what each failure says of the peer, and sees to it that a
//! returned connection is cleaned up within a time limit, or closed.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenhand::Ticket;
use futures_core::future::BoxFuture;
use mysql_async::prelude::{AsQuery, Queryable, StatementLike, ToConnection};
use mysql_async::{
    BinaryProtocol, ChangeUserOpts, Conn, DriverError, Error, Params, QueryResult, Statement,
    TextProtocol, ToConnectionResult, Transaction, TxOpts,
};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::classify;
use crate::endpoint::Endpoint;

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
    permit: Option<OwnedSemaphorePermit>,
    ticket: Ticket<Arc<Endpoint>>,
    /// A failure of the connection was seen and judged.
    lost: Arc<AtomicBool>,
    /// The connection still works, but must not be used by anyone else.
    discard: bool,
}

impl PeerConn {
    pub(crate) fn new(
        conn: Conn,
        permit: OwnedSemaphorePermit,
        ticket: Ticket<Arc<Endpoint>>,
    ) -> Self {
        Self {
            conn: Some(conn),
            permit: Some(permit),
            ticket,
            lost: Arc::default(),
            discard: false,
        }
    }

    /// The name of the peer that it is connected to.
    pub fn peer(&self) -> &str {
        self.ticket.peer().name()
    }

    /// Starts a transaction. It stays on this peer, and is rolled back if it is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Conn::start_transaction`], and [`DriverError::ConnectionClosed`] as
    /// [above](Self).
    pub async fn start_transaction(
        &mut self,
        options: TxOpts,
    ) -> mysql_async::Result<Transaction<'_>> {
        let (conn, judge) = self.split()?;
        judge.watch(conn.start_transaction(options)).await
    }

    /// Set once the connection, not a statement on it, has failed.
    pub(crate) fn lost(&self) -> Arc<AtomicBool> {
        self.lost.clone()
    }

    pub(crate) fn ticket(&self) -> &Ticket<Arc<Endpoint>> {
        &self.ticket
    }

    /// The connection, if it may be used, and who judges what comes of it.
    fn split(&mut self) -> mysql_async::Result<(&mut Conn, Judge<'_>)> {
        let judge = Judge {
            ticket: &self.ticket,
            lost: &self.lost,
            discard: &mut self.discard,
        };
        match &mut self.conn {
            Some(conn) if !conn.is_disconnected() => Ok((conn, judge)),
            _ => Err(DriverError::ConnectionClosed.into()),
        }
    }
}

/// Tells what a statement's outcome says.
struct Judge<'a> {
    ticket: &'a Ticket<Arc<Endpoint>>,
    lost: &'a AtomicBool,
    discard: &'a mut bool,
}

impl Judge<'_> {
    async fn watch<T>(
        self,
        operation: impl Future<Output = mysql_async::Result<T>>,
    ) -> mysql_async::Result<T> {
        let outcome = operation.await;
        match &outcome {
            Ok(_) => self.ticket.peer().note_heard(),
            Err(error) => self.judge(error),
        }
        outcome
    }

    fn judge(self, error: &Error) {
        let judged = classify::query(error);
        *self.discard |= judged.discard;
        if judged.lost {
            self.lost.store(true, Ordering::Release);
        }
        self.ticket.report(judged.verdict);
        if judged.check_now {
            self.ticket.peer().check_now(self.ticket);
        }
    }
}

impl Queryable for PeerConn {
    fn ping(&mut self) -> BoxFuture<'_, mysql_async::Result<()>> {
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.ping()).await
        })
    }

    fn query_iter<'a, Q>(
        &'a mut self,
        query: Q,
    ) -> BoxFuture<'a, mysql_async::Result<QueryResult<'a, 'static, TextProtocol>>>
    where
        Q: AsQuery + 'a,
    {
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.query_iter(query)).await
        })
    }

    fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, mysql_async::Result<Statement>>
    where
        Q: AsQuery + 'a,
    {
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.prep(query)).await
        })
    }

    fn close(&mut self, statement: Statement) -> BoxFuture<'_, mysql_async::Result<()>> {
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.close(statement)).await
        })
    }

    fn exec_iter<'a: 's, 's, Q, P>(
        &'a mut self,
        statement: Q,
        params: P,
    ) -> BoxFuture<'s, mysql_async::Result<QueryResult<'a, 'static, BinaryProtocol>>>
    where
        Q: StatementLike + 's,
        P: Into<Params>,
    {
        let params = params.into();
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.exec_iter(statement, params)).await
        })
    }

    fn exec_batch<'a: 'b, 'b, S, P, I>(
        &'a mut self,
        statement: S,
        params: I,
    ) -> BoxFuture<'b, mysql_async::Result<()>>
    where
        S: StatementLike + 'b,
        I: IntoIterator<Item = P> + Send + 'b,
        I::IntoIter: Send,
        P: Into<Params> + Send,
    {
        Box::pin(async move {
            let (conn, judge) = self.split()?;
            judge.watch(conn.exec_batch(statement, params)).await
        })
    }
}

/// Lets `"SELECT ..".first(&mut conn)` and its siblings run on this connection.
impl<'a> ToConnection<'a, 'static> for &'a mut PeerConn {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        match self.split() {
            Ok((conn, _)) => ToConnectionResult::Immediate(conn.into()),
            Err(error) => ToConnectionResult::Mediate(Box::pin(async move { Err(error) })),
        }
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
        let Some(conn) = self.conn.take() else { return };
        let endpoint: &Arc<Endpoint> = self.ticket.peer();
        if conn.is_disconnected() {
            if !self.lost.swap(true, Ordering::AcqRel) {
                // An operation was dropped midway, or rows stopped coming: the statement's own
                // doing, or the peer's?
                endpoint.check_now(&self.ticket);
            }
            // The driver closes what is marked so, without a word to the peer.
            return;
        }
        let returning = Returning {
            conn,
            _permit: self.permit.take(),
            ticket: self.ticket.clone(),
        };
        let keep = !self.discard && !self.ticket.is_stale();
        let limit = endpoint.attempt_timeout;
        match Handle::try_current() {
            Ok(runtime) if !keep => {
                runtime.spawn(returning.close(limit));
            }
            Ok(runtime) if endpoint.resets() => {
                runtime.spawn(returning.reset(limit));
            }
            // Without a reset nothing has to be waited for; without a runtime nothing can be.
            _ => {}
        }
    }
}

/// A connection on its way back, with its place among this client's connections.
struct Returning {
    conn: Conn,
    _permit: Option<OwnedSemaphorePermit>,
    ticket: Ticket<Arc<Endpoint>>,
}

impl Returning {
    /// Makes the session as new and gives it back. If the peer does not answer in time, the
    /// operation is dropped, which marks the connection to be closed.
    async fn reset(mut self, limit: Duration) {
        let reset = async {
            if !self.conn.reset().await? {
                // Servers before MySQL 5.7.3 and MariaDB 10.2.4 know only the older way.
                self.conn.change_user(ChangeUserOpts::default()).await?;
            }
            Ok::<(), Error>(())
        };
        match timeout(limit, reset).await {
            Ok(Ok(())) => {}
            // A refused reset leaves a session that nobody may inherit.
            Ok(Err(_)) => self.close(limit).await,
            // A long rollback or a dead peer?
            Err(_) => self.ticket.peer().check_now(&self.ticket),
        }
    }

    async fn close(self, limit: Duration) {
        let _ = timeout(limit, self.conn.disconnect()).await;
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
