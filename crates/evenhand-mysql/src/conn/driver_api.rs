//! What the driver's connection has besides [`Queryable`](mysql_async::prelude::Queryable).

use std::future::Future;

use mysql_async::{ChangeUserOpts, Conn, InfileData, Result};

use super::PeerConn;
use crate::classify::Phase;

impl PeerConn {
    /// The driver's connection, for code that wants a `&mut Conn`. A transaction that was dropped on it is
    /// rolled back first.
    ///
    /// What happens through it is judged by what becomes of the connection: if that is broken when it is
    /// returned, its peer is checked. An error that leaves it usable is not judged, and nothing ends when
    /// the peer is lost. A connection that was put in the place of this one is closed on return, and not
    /// given to others.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Pool, mysql_async::{self, Conn, prelude::*}};
    /// async fn visit(conn: &mut Conn) -> mysql_async::Result<()> {
    ///     conn.query_drop("INSERT INTO visits VALUES (NOW())").await
    /// }
    ///
    /// # async fn run(pool: Pool) -> mysql_async::Result<()> {
    /// let mut conn = pool.get_conn().await?;
    /// visit(conn.conn_mut().await?).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DriverError::ConnectionClosed`](mysql_async::DriverError::ConnectionClosed) as [above](Self); the
    /// driver's if the rollback fails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped during the rollback, the connection is closed.
    pub async fn conn_mut(&mut self) -> Result<&mut Conn> {
        let resets = self.resets;
        self.schema_left = true;
        let (conn, observer) = self.ready().await?;
        *observer.judged = false;
        // If it is taken out of here, the driver takes it back.
        conn.reset_connection(resets);
        Ok(conn)
    }

    /// Resets the session, as [`mysql_async::Conn::reset`] does. Returns `false` if the server is too old
    /// for it.
    ///
    /// # Errors
    ///
    /// The driver's, and [`DriverError::ConnectionClosed`](mysql_async::DriverError::ConnectionClosed) as
    /// [above](Self).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the connection is closed.
    pub async fn reset(&mut self) -> Result<bool> {
        let (conn, observer) = self.ready().await?;
        observer.observe(Phase::Query, conn.reset()).await
    }

    /// Logs in again on this connection, as [`mysql_async::Conn::change_user`] does. Unless the options are
    /// empty, the connection is closed on return, so that no other caller gets it.
    ///
    /// # Errors
    ///
    /// The driver's, and [`DriverError::ConnectionClosed`](mysql_async::DriverError::ConnectionClosed) as
    /// [above](Self). The connection is closed on return.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the connection is closed.
    pub async fn change_user(&mut self, opts: ChangeUserOpts) -> Result<()> {
        let is_other = opts != ChangeUserOpts::default();
        let (conn, observer) = self.ready().await?;
        *observer.discard |= is_other;
        let changing = conn.change_user(opts);
        let changed = observer.observe(Phase::Query, changing).await;
        self.discard |= changed.is_err();
        changed
    }

    /// Answers the server's requests for a local file on this connection, as
    /// [`mysql_async::Conn::set_infile_handler`] does. It is not used in `"..".run(conn)` by value.
    pub fn set_infile_handler<T>(&mut self, handler: T)
    where
        T: Future<Output = Result<InfileData>> + Send + Sync + 'static,
    {
        if let Some(conn) = &mut self.conn {
            conn.set_infile_handler(handler);
        }
    }

    /// Whether the session is reset when this connection is returned. Default: as the peer's options say.
    pub fn reset_connection(&mut self, reset: bool) {
        self.resets = reset;
    }

    /// Turns this connection into a stream of the server's binary log, as
    /// [`mysql_async::Conn::get_binlog_stream`] does. It no longer counts against the pool's limits.
    ///
    /// # Errors
    ///
    /// The driver's, and [`DriverError::ConnectionClosed`](mysql_async::DriverError::ConnectionClosed) as
    /// [above](Self). The connection is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the connection is closed.
    #[cfg(feature = "binlog")]
    pub async fn get_binlog_stream(
        mut self,
        request: mysql_async::BinlogStreamRequest<'_>,
    ) -> Result<mysql_async::BinlogStream> {
        self.conn_mut().await?;
        let stay = self.stay;
        let (conn, _held, ticket) = self.into_parts()?;
        let asked = conn.get_binlog_stream(request).await;
        if asked.as_ref().is_err_and(mysql_async::Error::is_fatal) {
            ticket.peer().check_after(stay, &ticket);
        }
        asked
    }
}
