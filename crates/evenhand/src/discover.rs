//! Peers that come from service discovery.
//!
//! [`Peers::follow`] applies the changes of a [`Discover`], such as a stream of
//! `Result<Change<Key, Target>, Error>`, in a background task. So changes apply as they come, also
//! while no request runs. (A balancer that polls its discovery within requests learns of a peer's
//! end from the request that hits it.) A request sees a whole set, never one that is being changed.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::consume_budget;
use tokio::time::sleep;
pub use tower::discover::{Change, Discover};

use crate::event::Events;
use crate::peers::Peers;
use crate::set::Set;
use crate::set::ledger::Join;
use crate::set::placed::Placed;
use crate::task_guard::TaskGuard;

/// The pause after an error; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How many changes are applied in one go at most, so that an endless source gets them applied.
const BATCH: usize = 1024;

impl<Target: Send + Sync + 'static> Peers<Target> {
    /// Applies the changes of `discover` to this set, in a task that runs until the guard is
    /// dropped, the set is gone (the task does not keep it alive), or `discover` ends, which leaves
    /// the peers as they are.
    ///
    /// A peer's name is its key as text, so two keys must not have the same text.
    ///
    /// - `Insert` of a new name adds a peer, up (or [on proof](Self::joining_on_proof)).
    /// - `Insert` of a name that is there: if the target is equal, the peer keeps its state.
    ///   Otherwise it is replaced by a new peer, up and of the old one's weight and tier; attempts in flight on the old
    ///   one go on, and their verdicts are ignored.
    /// - `Remove` removes the peer, also if the user added it. If it is not there, nothing happens.
    /// - Changes that come together (up to 1024) are applied together, and the last one of a name
    ///   counts. Peers of other names stay.
    /// - An error changes no peer. It is logged at `WARN`, and `discover` is polled again after a
    ///   pause of 1 s, which doubles with each further error up to 30 s and starts anew with the
    ///   next change.
    ///
    /// For targets that cannot be compared, such as services, see [`follow_by`](Self::follow_by).
    ///
    /// # Panics
    ///
    /// If it is called outside a tokio runtime, or in a runtime without a timer.
    ///
    /// ```
    /// use evenhand::Peers;
    /// use evenhand::discover::Change;
    /// use futures_util::stream;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let peers = Peers::new([("db0", "10.0.0.1:3306")])?;
    /// let changes = stream::iter([
    ///     Ok(Change::Insert("db1", "10.0.0.2:3306")),
    ///     Err("the registry is not reachable"),
    ///     Ok(Change::Remove("db0")),
    /// ]);
    /// let following = peers.follow(changes);
    /// # tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    /// // After a second's pause:
    /// assert_eq!(peers.iter().map(|peer| *peer).collect::<Vec<_>>(), ["10.0.0.2:3306"]);
    /// # Ok(()) }
    /// ```
    pub fn follow<D>(&self, discover: D) -> TaskGuard
    where
        Target: PartialEq,
        D: Discover<Service = Target> + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
    {
        self.follow_by(discover, Target::eq)
    }

    /// As [`follow`](Self::follow), for targets that cannot be compared, such as services: `same`
    /// says whether the old target of a name equals the new one. `|_, _| false` makes every
    /// `Insert` a new peer.
    ///
    /// `same` runs in the task, outside every lock.
    ///
    /// # Panics
    ///
    /// As [`follow`](Self::follow).
    pub fn follow_by<D, F>(&self, discover: D, same: F) -> TaskGuard
    where
        D: Discover<Service = Target> + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
        F: Fn(&Target, &Target) -> bool + Send + 'static,
    {
        self.follow_wanted(discover, Placed::from, same)
    }

    /// As [`follow`](Self::follow), for a `discover` that also tells each peer's weight and tier. A peer has
    /// them from the start, and one that is there and whose target is equal gets them with the next
    /// `Insert`.
    ///
    /// # Panics
    ///
    /// As [`follow`](Self::follow).
    ///
    /// ```
    /// use evenhand::discover::Change;
    /// use evenhand::{Peers, Placed};
    /// use futures_util::stream;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let peers = Peers::new([("db0", "10.0.0.1:3306")])?;
    /// let changes = stream::iter([
    ///     Ok::<_, std::io::Error>(Change::Insert("db0", Placed::new("10.0.0.1:3306").weight(3))),
    ///     Ok(Change::Insert("db1", Placed::new("10.0.0.2:3306").tier(1))),
    /// ]);
    /// let following = peers.follow_placed(changes);
    /// # tokio::task::yield_now().await;
    /// let places = peers.statuses().into_iter().map(|status| (status.weight, status.tier));
    /// assert_eq!(places.collect::<Vec<_>>(), [(3, 0), (1, 1)]);
    /// # Ok(()) }
    /// ```
    pub fn follow_placed<D>(&self, discover: D) -> TaskGuard
    where
        Target: PartialEq,
        D: Discover<Service = Placed<Target>> + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
    {
        self.follow_wanted(discover, |placed| placed, Target::eq)
    }

    fn follow_wanted<D, F>(
        &self,
        discover: D,
        wanted: impl Fn(D::Service) -> Placed<Target> + Send + 'static,
        same: F,
    ) -> TaskGuard
    where
        D: Discover + Send + 'static,
        D::Key: ToString,
        D::Error: fmt::Display,
        F: Fn(&Target, &Target) -> bool + Send + 'static,
    {
        let (events, set, join) = (self.subscribe(), Arc::downgrade(&self.set), self.join);
        let mut discover = Box::pin(discover);
        let source = move |cx: &mut Context<'_>| {
            let found = discover.as_mut().poll_discover(cx);
            let change = found.map_ok(|change| match change {
                Change::Insert(key, found) => (key.to_string().into(), Some(wanted(found))),
                Change::Remove(key) => (key.to_string().into(), None),
            });
            change.map_err(|error| error.to_string())
        };
        TaskGuard::spawn(async move {
            let mut end = pin!(end(events));
            let mut following = pin!(follow(set, join, source, same));
            // The set may end while `discover` is silent, or fails and is left in peace.
            poll_fn(|cx| match end.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => following.as_mut().poll(cx),
            })
            .await;
        })
    }
}

/// Resolves once the set is gone: its events end with it.
async fn end(mut events: Events) {
    while !matches!(events.next().await, Ok(None)) {}
}

/// A peer by name, as it is to be: `None` is to be removed.
type Named<Target> = (Arc<str>, Option<Placed<Target>>);

/// What a source says after a batch.
enum Then {
    More,
    Failed(String),
    Ended,
}

async fn follow<Target>(
    set: Weak<Set<Target>>,
    join: Join,
    mut source: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<Named<Target>, String>>>,
    same: impl Fn(&Target, &Target) -> bool,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut batch = Vec::new();
        // Takes what is there.
        let then = poll_fn(|cx| {
            while batch.len() < BATCH {
                match source(cx) {
                    Poll::Ready(Some(Ok(wanted))) => batch.push(wanted),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Then::Failed(error)),
                    Poll::Ready(None) => return Poll::Ready(Then::Ended),
                    Poll::Pending if batch.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Then::More)
        });
        let then = then.await;
        if !batch.is_empty() {
            pause = FIRST_PAUSE;
            let Some(set) = set.upgrade() else { return };
            apply(&set, join, batch, &same);
        }
        match then {
            // A source that always has something must not keep its thread from others.
            Then::More => consume_budget().await,
            Then::Failed(error) => {
                tracing::warn!(error, ?pause, "peer discovery failed");
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            Then::Ended => {
                tracing::debug!("peer discovery ended");
                return;
            }
        }
    }
}

fn apply<Target>(
    set: &Arc<Set<Target>>,
    join: Join,
    mut batch: Vec<Named<Target>>,
    same: &impl Fn(&Target, &Target) -> bool,
) {
    // The last of each name, in the order they came.
    let mut seen = HashSet::new();
    batch.reverse();
    batch.retain(|(name, _)| seen.insert(name.clone()));
    batch.reverse();

    // Never `Duplicate`: each name is there once.
    let _ = set.update(join, batch, true, same);
}
