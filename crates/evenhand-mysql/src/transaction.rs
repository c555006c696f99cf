//! A transaction, on a connection of its own or on a borrowed one.

use std::fmt;
use std::ops::Deref;

use futures_core::future::BoxFuture;
use mysql_async::prelude::{AsQuery, Queryable, StatementLike, ToConnection};
use mysql_async::{
    BinaryProtocol, DriverError, Params, QueryResult, Result, Statement, TextProtocol,
    ToConnectionResult, TxOpts,
};

use crate::conn::{InTransaction, PeerConn};

/// A transaction, from [`Pool::start_transaction`](crate::Pool::start_transaction) or
/// [`PeerConn::start_transaction`]. It is used as a [`mysql_async::Transaction`] is, and stays on
/// its peer: nothing is moved or repeated.
///
/// If it is dropped without [`commit`](Self::commit) or [`rollback`](Self::rollback), it is rolled
/// back: one from the pool when its connection is returned, within a time limit; one on a borrowed
/// connection before the next statement on that, or when that is returned.
///
/// As with the driver's, a `COMMIT` or `ROLLBACK` of your own goes unnoticed.
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
    Own(Box<PeerConn>),
    Borrowed(&'a mut PeerConn),
}

impl<'a> Transaction<'a> {
    pub(crate) async fn start(conn: &'a mut PeerConn, options: TxOpts) -> Result<Self> {
        begin(conn, options).await?;
        let conn = On::Borrowed(conn);
        Ok(Self { conn })
    }

    /// Ends it and keeps what it did. If that fails, it is rolled back.
    ///
    /// # Errors
    ///
    /// The driver's. If the connection was lost, whether it was committed is unknown.
    ///
    /// If it is dropped before it ends, whether it was committed is unknown, too; the connection is
    /// closed.
    pub async fn commit(mut self) -> Result<()> {
        let conn = self.conn();
        match conn.query_drop("COMMIT").await {
            Ok(()) => {
                *conn.transaction() = InTransaction::No;
                Ok(())
            }
            Err(error) => {
                // Of what failed already there is no more to tell; if this fails as well, it is
                // rolled back when the connection is used or returned.
                let _ = self.rollback().await;
                Err(error)
            }
        }
    }

    /// Ends it and undoes what it did.
    ///
    /// # Errors
    ///
    /// The driver's. If the connection was lost, the server rolls back by itself.
    pub async fn rollback(mut self) -> Result<()> {
        let conn = self.conn();
        conn.query_drop("ROLLBACK").await?;
        *conn.transaction() = InTransaction::No;
        Ok(())
    }

    fn conn(&mut self) -> &mut PeerConn {
        match &mut self.conn {
            On::Own(conn) => conn,
            On::Borrowed(conn) => conn,
        }
    }
}

impl Transaction<'static> {
    pub(crate) async fn start_on_own(mut conn: PeerConn, options: TxOpts) -> Result<Self> {
        begin(&mut conn, options).await?;
        let conn = On::Own(Box::new(conn));
        Ok(Self { conn })
    }
}

/// The same statements in the same order as the driver's.
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

impl Queryable for Transaction<'_> {
    fn ping(&mut self) -> BoxFuture<'_, Result<()>> {
        self.conn().ping()
    }

    fn query_iter<'a, Q>(
        &'a mut self,
        query: Q,
    ) -> BoxFuture<'a, Result<QueryResult<'a, 'static, TextProtocol>>>
    where
        Q: AsQuery + 'a,
    {
        self.conn().query_iter(query)
    }

    fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Statement>>
    where
        Q: AsQuery + 'a,
    {
        self.conn().prep(query)
    }

    fn close(&mut self, statement: Statement) -> BoxFuture<'_, Result<()>> {
        self.conn().close(statement)
    }

    fn exec_iter<'a: 's, 's, Q, P>(
        &'a mut self,
        statement: Q,
        params: P,
    ) -> BoxFuture<'s, Result<QueryResult<'a, 'static, BinaryProtocol>>>
    where
        Q: StatementLike + 's,
        P: Into<Params>,
    {
        self.conn().exec_iter(statement, params)
    }

    fn exec_batch<'a: 'b, 'b, S, P, I>(
        &'a mut self,
        statement: S,
        params: I,
    ) -> BoxFuture<'b, Result<()>>
    where
        S: StatementLike + 'b,
        I: IntoIterator<Item = P> + Send + 'b,
        I::IntoIter: Send,
        P: Into<Params> + Send,
    {
        self.conn().exec_batch(statement, params)
    }
}

/// Lets `"SELECT ..".first(&mut transaction)` and its siblings run in this transaction.
impl<'a> ToConnection<'a, 'static> for &'a mut Transaction<'_> {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        self.conn().to_connection()
    }
}

impl Deref for Transaction<'_> {
    type Target = PeerConn;

    fn deref(&self) -> &PeerConn {
        match &self.conn {
            On::Own(conn) => conn,
            On::Borrowed(conn) => conn,
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let transaction = self.conn().transaction();
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
