//! [`Router`]: a tower service that finds the database of a request.

use std::fmt;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use tower_service::Service;

use super::Databases;
use crate::conn::PeerConn;
use crate::error::Error;

/// Gives each request a connection to the database that it names. Made by [`Databases::route`].
///
/// A closure reads the alias from the request, as Django's routers do: by its subject, say, or by
/// whether it writes. The connection comes from that database's [`Pool`](crate::Pool) at the time of the
/// request, so after a reload from the new one.
///
/// (`tower::steer` picks from a fixed list of services by index. Databases have names, come and go, and
/// a name may be wrong.)
///
/// ```no_run
/// use evenhand_mysql::{Databases, evenhand_config::Config};
/// use tower_service::Service;
///
/// enum Request { ShowUser(u64), AddOrder(u64) }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let databases = Databases::open(&Config::load("evenhand.toml")?)?;
/// let mut router = databases.route(|request: &Request| match request {
///     Request::ShowUser(_) => "users",
///     Request::AddOrder(_) => "orders",
/// });
/// let conn = router.call(Request::ShowUser(7)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Router<F> {
    databases: Databases,
    route: F,
}

impl Databases {
    /// A tower service that gives each request a connection to the database whose alias `route` reads
    /// from it.
    pub fn route<F>(&self, route: F) -> Router<F> {
        let databases = self.clone();
        Router { databases, route }
    }
}

/// Always ready: if a database is full, the request itself waits.
///
/// # Errors
///
/// Those of [`Pool::get_conn`](crate::Pool::get_conn), and [`Error::UnknownDatabase`] in
/// [`mysql_async::Error::Other`].
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
impl<F, A, R> Service<R> for Router<F>
where
    F: Fn(&R) -> A,
    A: AsRef<str>,
{
    type Response = PeerConn;
    type Error = mysql_async::Error;
    type Future = BoxFuture<'static, mysql_async::Result<PeerConn>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<mysql_async::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let alias = (self.route)(&request);
        match self.databases.get(alias.as_ref()) {
            Some(pool) => Box::pin(async move { pool.get_conn().await }),
            None => {
                let error = Error::UnknownDatabase {
                    alias: alias.as_ref().to_owned(),
                    known: self.databases.iter().map(|(alias, _)| alias).collect(),
                };
                Box::pin(std::future::ready(Err(error.into())))
            }
        }
    }
}

impl<F> fmt::Debug for Router<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("databases", &self.databases)
            .finish_non_exhaustive()
    }
}
