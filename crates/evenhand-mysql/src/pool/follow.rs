//! Peers that come from service discovery: the feature `discover`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use evenhand::discover::{Change, Discover};
use evenhand::{Placed, TaskGuard};
use futures_core::Stream;

use super::Pool;
use super::background::PoolEnd;
use super::background::purge_idle::Made;
use crate::options::PoolOptions;
use crate::peer::Endpoint;
use crate::peer::into_peer::IntoPeer;

impl Pool {
    /// Adds and removes peers as `discover` says, in a task that runs until the guard is dropped, the pool
    /// is gone, or `discover` ends, which leaves the peers as they are. After a
    /// [disconnect](Self::disconnect) it ends with the next change.
    ///
    /// `discover` is a stream of changes. A key is a peer's name, as text; a value is the peer's connection
    /// options, as [`IntoPeer`] takes them beside a name; [`Opts::from_url`](mysql_async::Opts::from_url) makes
    /// them from a URL that is not `&str`.
    ///
    /// - `Insert` adds a peer, with the pool's options. One that is there already with equal options keeps its
    ///   state, weight and connections; with other options, it is replaced.
    /// - `Remove` removes the peer, also one that the pool was opened with. Its idle connections are closed;
    ///   those in use continue, and are closed when they are returned.
    /// - An error, and options that are not valid, change no peer. They are logged at `WARN`, and after a
    ///   pause of 1 s, which doubles with each further one up to 30 s, the next change is asked for.
    ///
    /// # Panics
    ///
    /// If it is called outside a tokio runtime, or in a runtime without a timer.
    ///
    /// ```
    /// # use evenhand_mysql::Pool;
    /// use evenhand_mysql::evenhand::discover::Change;
    /// use futures_util::stream;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::new([("db0", "mysql://app:secret@10.0.0.1/shop")])?;
    /// let changes = stream::iter([
    ///     Ok::<_, String>(Change::Insert("db1", "mysql://app:secret@10.0.0.2/shop")),
    ///     Ok(Change::Remove("db0")),
    /// ]);
    /// let following = pool.follow(changes);
    /// # while !following.is_finished() { tokio::task::yield_now().await }
    /// assert_eq!(&*pool.statuses()[0].peer, "db1");
    /// # Ok(()) }
    /// ```
    pub fn follow<D>(&self, discover: D) -> TaskGuard
    where
        D: Discover + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
        (Arc<str>, D::Service): IntoPeer,
    {
        self.follow_with(discover, Placed::new)
    }

    /// As [`follow`](Self::follow), for a `discover` that also tells each peer's weight and
    /// [tier](crate::PeersHandle::set_tier). A peer has them from the start, and one that is there with equal
    /// options gets them with the next `Insert`.
    ///
    /// # Panics
    ///
    /// As [`follow`](Self::follow).
    ///
    /// ```
    /// # use evenhand_mysql::Pool;
    /// use evenhand_mysql::evenhand::{Placed, discover::Change};
    /// use futures_util::stream;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::new([("db0", "mysql://app:secret@10.0.0.1/shop")])?;
    /// let far = Placed::new("mysql://app:secret@10.9.0.1/shop").tier(1);
    /// let changes = stream::iter([Ok::<_, String>(Change::Insert("db1", far))]);
    /// let following = pool.follow_placed(changes);
    /// # while !following.is_finished() { tokio::task::yield_now().await }
    /// assert_eq!(pool.statuses()[1].tier, 1);
    /// # Ok(()) }
    /// ```
    pub fn follow_placed<D, O>(&self, discover: D) -> TaskGuard
    where
        D: Discover<Service = Placed<O>> + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
        (Arc<str>, O): IntoPeer,
    {
        self.follow_with(discover, |placed| placed)
    }

    fn follow_with<D, O>(
        &self,
        discover: D,
        place: impl Fn(D::Service) -> Placed<O> + Send + Unpin + 'static,
    ) -> TaskGuard
    where
        D: Discover + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
        (Arc<str>, O): IntoPeer,
    {
        self.peers.follow_placed(Endpoints {
            discover: Box::pin(discover),
            place,
            options: self.options.clone(),
            made: self.made.clone(),
            end: self.background.watch_end(),
        })
    }
}

/// The changes of a discovery, with endpoints in place of connection options.
struct Endpoints<D, P> {
    discover: Pin<Box<D>>,
    place: P,
    options: PoolOptions,
    made: Made,
    end: PoolEnd,
}

impl<D, P, O> Stream for Endpoints<D, P>
where
    D: Discover,
    D::Key: ToString,
    D::Error: fmt::Display,
    P: Fn(D::Service) -> Placed<O> + Unpin,
    (Arc<str>, O): IntoPeer,
{
    type Item = Result<Change<Arc<str>, Placed<Arc<Endpoint>>>, String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let found = ready!(this.discover.as_mut().poll_discover(cx));
        if this.end.is_reached() {
            return Poll::Ready(None);
        }
        Poll::Ready(found.map(|change| match change {
            Ok(Change::Insert(key, found)) => {
                let name: Arc<str> = key.to_string().into();
                let endpoint = (this.place)(found).try_map(|opts| {
                    let endpoint = Endpoint::of((name.clone(), opts), 1, &this.options);
                    endpoint.map(|(_, endpoint)| endpoint)
                });
                let endpoint = endpoint.map_err(|error| error.to_string())?;
                this.made.add([&endpoint.target]);
                Ok(Change::Insert(name, endpoint))
            }
            Ok(Change::Remove(key)) => Ok(Change::Remove(key.to_string().into())),
            Err(error) => Err(error.to_string()),
        }))
    }
}
