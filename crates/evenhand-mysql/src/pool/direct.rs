//! Statements on the pool itself: `"SELECT ..".first(&pool)`.

use mysql_async::ToConnectionResult;
use mysql_async::prelude::ToConnection;

use super::Pool;

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
/// - The first use of a peer in this way replaces its idle connections, and from then on each reset takes one more
///   round trip, in which the schema of a `USE` is put back.
/// - The driver resets the connection after use, without a time limit, but no permit is held meanwhile.
/// - `LOAD DATA LOCAL` does not work; check out a connection for it.
impl<'a> ToConnection<'a, 'static> for &'a Pool {
    fn to_connection(self) -> ToConnectionResult<'a, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            Ok(self.get_conn().await?.into_direct()?.into())
        }))
    }
}

/// As for `&Pool`.
impl ToConnection<'static, 'static> for Pool {
    fn to_connection(self) -> ToConnectionResult<'static, 'static> {
        ToConnectionResult::Mediate(Box::pin(async move {
            Ok(self.get_conn().await?.into_direct()?.into())
        }))
    }
}
