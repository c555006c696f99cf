//! [`Resolver`]: what finds the addresses of a host name.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::caught::Caught;

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Finds the addresses of a host name: the system, or a function of your own. Given to a pool by
/// [`PoolOptions::resolver`](crate::PoolOptions::resolver). Clones are equal.
///
/// ```
/// use std::net::IpAddr;
/// use evenhand_mysql::{PoolOptions, Resolver};
///
/// let resolver = Resolver::new(|host: String| async move {
///     match &*host {
///         "db.internal" => Ok(vec![IpAddr::from([10, 0, 0, 1])]),
///         _ => Err(std::io::ErrorKind::NotFound.into()),
///     }
/// });
/// let options = PoolOptions::new().resolver(resolver);
/// ```
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<Lookup>>);

impl Resolver {
    /// The system's: its hosts file, its name servers, and whatever else it is set up to ask. The default.
    pub fn system() -> Self {
        Self::default()
    }

    /// `lookup` gets a host name and gives its addresses, the preferred one first. An empty list is a failure.
    /// One that panics is a failure, too.
    ///
    /// A lookup that takes too long is dropped: the first one of a peer with what waits for it, at most after the
    /// [connect timeout](crate::PoolOptions::connect_timeout), and a further one after 10 s.
    pub fn new<F, Answer>(lookup: F) -> Self
    where
        F: Fn(String) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Some(Arc::new(move |host| Box::pin(lookup(host)))))
    }

    /// The addresses of a host: at least one, each once.
    pub(crate) async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = match &self.0 {
            Some(lookup) => {
                let host = host.to_owned();
                Caught(Box::pin(async move { lookup(host).await })).await?
            }
            None => {
                // The port is the driver's business.
                let found = tokio::net::lookup_host((host, 0)).await?;
                found.map(|address| address.ip()).collect()
            }
        };
        let mut addresses: Vec<IpAddr> = Vec::with_capacity(found.len());
        for address in found {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("the host name `{host}` has no address"),
            )),
            false => Ok(addresses),
        }
    }
}

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Resolver {}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "Resolver::system()",
            Some(_) => "Resolver::new(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_have_each_address_once_and_are_not_empty() {
        let [a, b] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let twice = Resolver::new(move |_| async move { Ok(vec![b, a, b]) });
        assert_eq!(twice.look_up("h").await.unwrap(), [b, a]);
        let empty = Resolver::new(|_| async { Ok(Vec::new()) });
        let error = empty.look_up("db.internal").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the host name `db.internal` has no address"
        );
    }

    #[tokio::test]
    async fn panic_is_a_failure() {
        let at_once = Resolver::new(|host| {
            assert!(host.is_empty(), "no {host}");
            async { Ok(Vec::new()) }
        });
        let later = Resolver::new(|host| async move { panic!("no {host}") });
        for resolver in [at_once, later] {
            let error = resolver.look_up("h").await.unwrap_err();
            assert_eq!(error.to_string(), "a panic: no h");
        }
    }

    #[tokio::test]
    async fn the_system_knows_this_host() {
        let found = Resolver::system().look_up("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[test]
    fn clones_are_equal() {
        let own = || Resolver::new(|_| async { Ok(Vec::new()) });
        let one = own();
        assert_eq!(one, one.clone());
        assert_ne!(one, own());
        assert_ne!(one, Resolver::system());
        assert_eq!(Resolver::system(), Resolver::default());
    }
}
