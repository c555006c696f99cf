//! A source of peers: a lookup that returns a whole list, and how long that is valid.

#[cfg(feature = "file")]
mod file;

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

    /// The addresses that are listed in a file, which is read anew when `interval` is over: 5 s is a good one, and
    /// it is bounded as a TTL is. With the feature `file`.
    ///
    /// A `.json` file is a list, and in a `.toml` file `peers` is one. An entry is an IP address with a port, or a
    /// table:
    ///
    /// ```json
    /// [
    ///   "10.0.0.1:3306",
    ///   {"address": "10.0.0.2:3306", "host": "db2.example", "weight": 3, "tier": 1}
    /// ]
    /// ```
    ///
    /// ```toml
    /// peers = ["10.0.0.1:3306", { address = "10.0.0.2:3306", host = "db2.example", weight = 3, tier = 1 }]
    /// ```
    ///
    /// A file that cannot be read, that has a mistake, or whose list is empty, leaves the addresses as they
    /// are. Replace the file by renaming a new one, so that it is never read half written.
    ///
    /// The file is read, not watched by the system's notifications: these miss changes on network file systems,
    /// and behind the symbolic links by which Kubernetes mounts a ConfigMap.
    ///
    /// # Errors
    ///
    /// If the path ends in neither `.json` nor `.toml`. It need not exist yet.
    #[cfg(feature = "file")]
    #[cfg_attr(docsrs, doc(cfg(feature = "file")))]
    pub fn file(path: impl Into<std::path::PathBuf>, interval: Duration) -> Result<Self, Error> {
        let path: Arc<std::path::Path> = path.into().into();
        let format = file::Format::of(&path)?;
        let name: Arc<str> = path.display().to_string().into();
        // A file system that hangs must hold one thread, not one more with each lookup.
        let turn = Arc::new(tokio::sync::Semaphore::new(1));
        Ok(Self::new(name.clone(), move || {
            let (path, name, turn) = (path.clone(), name.clone(), turn.clone());
            let failed = name.clone();
            async move {
                // Never closed.
                let turn = turn.acquire_owned().await;
                let read = move || {
                    let _turn = turn;
                    file::read(&path, &name, format, interval)
                };
                let read = tokio::task::spawn_blocking(read).await;
                read.unwrap_or_else(|error| {
                    Err(Error::Failed {
                        name: failed,
                        source: error.into(),
                    })
                })
            }
        }))
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
