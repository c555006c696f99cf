//! A source of peers: a lookup that returns a whole list, and how long that is valid.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;

use crate::dns::Dns;
use crate::lookup::address::Address;
use crate::lookup::error::{BoxError, Error};
use crate::lookup::found::Found;
use crate::lookup::name::Name;

type Look = dyn Fn() -> BoxFuture<'static, Result<Found, Error>> + Send + Sync;

/// Where peers are looked up: one name in DNS, one file, or one function of yours. A
/// [`Discovery`](crate::Discovery) follows one or several.
#[derive(Clone)]
pub struct Source {
    name: Arc<str>,
    look: Arc<Look>,
}

impl Source {
    /// The addresses of `name`, as `dns` finds them. It is looked up again as the records' TTL says.
    pub fn dns(dns: &Dns, name: Name) -> Self {
        let dns = dns.clone();
        Self::new(name.to_string().into(), move || {
            let (dns, name) = (dns.clone(), name.clone());
            async move { dns.look_up(&name).await }
        })
    }

    /// The addresses that `lookup` returns, for registries that have no crate here. It is called anew when
    /// `interval` is over, which is bounded as a TTL is. `name` is for errors, the log and metrics.
    ///
    /// An error, a panic and an empty list leave the addresses as they are. At the
    /// [time limit](crate::Discovery::lookup_timeout) the call is dropped.
    ///
    /// ```
    /// use evenhand_dns::{Address, Discovery, Source};
    /// use std::io;
    /// use std::time::Duration;
    ///
    /// # async fn ask_registry() -> io::Result<Vec<std::net::SocketAddr>> { Ok(Vec::new()) }
    /// let source = Source::function("consul", Duration::from_secs(10), async || {
    ///     let found = ask_registry().await?;
    ///     Ok::<_, io::Error>(found.into_iter().map(Address::new).collect::<Vec<_>>())
    /// });
    /// let changes = Discovery::new([source]).changes();
    /// ```
    pub fn function<F, Fut, List, E>(
        name: impl Into<Arc<str>>,
        interval: Duration,
        lookup: F,
    ) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<List, E>> + Send + 'static,
        List: IntoIterator<Item: Into<Address>>,
        E: Into<BoxError>,
    {
        let name: Arc<str> = name.into();
        Self::new(name.clone(), move || {
            let (listing, name) = (lookup(), name.clone());
            async move {
                let list = listing.await.map_err(|error| Error::Failed {
                    name,
                    source: error.into(),
                })?;
                Ok(Found {
                    addresses: list.into_iter().map(Into::into).collect(),
                    valid_for: interval,
                    lost: Vec::new(),
                })
            }
        })
    }

    pub(crate) fn new<F, Fut>(name: Arc<str>, look: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Found, Error>> + Send + 'static,
    {
        Self {
            name,
            look: Arc::new(move || Box::pin(look())),
        }
    }

    /// Its name, as errors, the log and metrics show it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Looks it up once: what a [`Discovery`](crate::Discovery) does again and again, without its time
    /// limit.
    ///
    /// # Errors
    ///
    /// If the lookup fails, or finds no address.
    pub async fn look_up(&self) -> Result<Found, Error> {
        let found = (self.look)().await?;
        if found.addresses.is_empty() && found.lost.is_empty() {
            return Err(Error::Empty {
                name: self.name.clone(),
            });
        }
        Ok(found)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish()
    }
}
