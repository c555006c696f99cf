//! [`Transaction`]: on an owned or a borrowed connection.

use std::fmt;
use std::ops::Deref;
use std::sync::PoisonError;

use mysql_async::prelude::{Queryable, ToConnection};
use mysql_async::{DriverError, Result, ToConnectionResult, TxOpts};

use super::{InTransaction, PeerConn, ReturnSlot};

/// A transaction, from [`Pool::start_transaction`](crate::Pool::start_transaction) or
/// [`PeerConn::start_transaction`]. It is used as a [`mysql_async::Transaction`] is, and stays on its
/// peer: nothing is moved or repeated.
///
/// A transaction that is dropped without [`commit`](Self::commit) or [`rollback`](Self::rollback) is
/// rolled back. One from the pool is rolled back when its connection is returned, within a time limit;
/// one on a borrowed connection before the next statement on that, or when that is returned.
///
/// As with the driver's, a `COMMIT` or `ROLLBACK` that you send as a statement goes unnoticed.
///
/// ```no_run
/// # use evenhand_mysql::{Pool, mysql_async::{self, TxOpts, prelude::*}};
/// # async fn run(pool: Pool) -> mysql_async::Result<()> {
/// let mut transfer = pool.start_transaction(TxOpts::default()).await?;
/// transfer.exec_drop("UPDATE account SET sum = sum - ? WHERE id = ?", (5, 1)).await?;
/// transfer.exec_drop("UPDATE account SET sum = sum + ? WHERE id = ?", (5, 2)).await?;
/// transfer.commit().await?;
/// # Ok(()) }
/// ```
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'a> {
    conn: On<'a>,
}

enum On<'a> {
    // Boxed, so that a borrowed one stays small.
    Owned(Box<PeerConn>),
    Borrowed(&'a mut PeerConn),
}

impl PeerConn {
    /// Starts a transaction. It stays on this peer. If it is dropped, it is rolled back before the next
    /// statement on this connection, or when this is returned.
    ///
    /// # Errors
    ///
    /// Those of [`mysql_async::Conn::start_transaction`], and [`DriverError::ConnectionClosed`] as
    /// [above](Self).
    pub async fn start_transaction(&mut self, options: TxOpts) -> Result<Transaction<'_>> {
        begin(self, options).await?;
        let conn = On::Borrowed(self);
        Ok(Transaction { conn })
    }
}

impl Transaction<'_> {
    /// Commits. If the `COMMIT` fails, rolls back.
    ///
    /// # Errors
    ///
    /// The driver's. A server's error is returned as it is. If the connection or its peer was lost,
    /// whether it was committed is unknown, and the error is
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) in [`mysql_async::Error::Other`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it ends, whether it was committed is unknown, and the connection
    /// is closed.
    pub async fn commit(mut self) -> Result<()> {
        let conn = self.guard();
        match conn.query_drop("COMMIT").await {
            Ok(()) => {
                *conn.transaction() = InTransaction::No;
                Ok(())
            }
            Err(error) => {
                // The first error is returned. If this fails as well, the transaction is rolled back
                // when the connection is used or returned.
                let _ = self.rollback().await;
                Err(error)
            }
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// The driver's. If the connection was lost, the server rolls back by itself.
    pub async fn rollback(mut self) -> Result<()> {
        let conn = self.guard();
        conn.query_drop("ROLLBACK").await?;
        *conn.transaction() = InTransaction::No;
        Ok(())
    }

    pub(crate) fn guard(&mut self) -> &mut PeerConn {
        match &mut self.conn {
            On::Owned(conn) => conn,
            On::Borrowed(conn) => conn,
        }
    }
}

impl Transaction<'static> {
    /// Starts a transaction on a connection that it owns.
    pub(crate) async fn start(mut conn: PeerConn, options: TxOpts) -> Result<Self> {
        begin(&mut conn, options).await?;
        let conn = On::Owned(Box::new(conn));
        Ok(Self { conn })
    }

    /// The transaction that returned to the slot, unless it was ended or is still held.
    pub(crate) fn take_back(slot: &ReturnSlot) -> Option<Self> {
        let returned = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut conn = returned?;
        if *conn.transaction() == InTransaction::No {
            return None;
        }
        *conn.transaction() = InTransaction::Yes;
        let conn = On::Owned(Box::new(conn));
        Some(Self { conn })
    }
}

/// Sends the same statements in the same order as the driver does.
async fn begin(conn: &mut PeerConn, options: TxOpts) -> Result<()> {
    if *conn.transaction() == InTransaction::Yes {
        return Err(DriverError::NestedTransaction.into());
    }
    if options.readonly().is_some() && conn.server_version() < (5, 6, 5) {
        return Err(DriverError::ReadOnlyTransNotSupported.into());
    }
    if let Some(level) = options.isolation_level() {
        let set = format!("SET TRANSACTION ISOLATION LEVEL {level}");
        conn.query_drop(set).await?;
    }
    match options.readonly() {
        Some(true) => conn.query_drop("SET TRANSACTION READ ONLY").await?,
        Some(false) => conn.query_drop("SET TRANSACTION READ WRITE").await?,
        None => {}
    }
    conn.query_drop(match options.consistent_snapshot() {
        true => "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        false => "START TRANSACTION",
    })
    .await?;
    *conn.transaction() = InTransaction::Yes;
    Ok(())
}

/// Lets `"SELECT ..".first(&mut transaction)` and its siblings run in this transaction.
impl<'a> ToConnection<'a, 'static> for &'a mut Transaction<'_> {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        self.guard().to_connection()
    }
}

impl Deref for Transaction<'_> {
    type Target = PeerConn;

    fn deref(&self) -> &PeerConn {
        match &self.conn {
            On::Owned(conn) => conn,
            On::Borrowed(conn) => conn,
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let transaction = self.guard().transaction();
        if *transaction == InTransaction::Yes {
            *transaction = InTransaction::Dropped;
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&**self).finish()
    }
}
