//! The stream of changes: what the lists of all sources have, compared with what was told.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use evenhand::discover::Change;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::lookup::address::{Address, Key};
use crate::observe::meter;
use crate::source::Source;
use crate::stream::board::{Board, SourceStatus};
use crate::stream::handle::Handle;
use crate::stream::task::{Settings, run};

/// A stream of changes, as [`Peers::follow`](evenhand::Peers::follow) takes it: any user of
/// [`tower::discover::Discover`](evenhand::discover::Discover) can. From
/// [`Discovery::changes`](crate::Discovery::changes).
///
/// - `Insert` tells an address that joins, and one whose weight, tier or host changed.
/// - `Remove` tells an address that leaves.
/// - It has no errors. tower's balancers end with the first error of their discovery, and `Peers::follow` pauses;
///   a lookup that fails is no reason for either. Failures are logged, counted, and told by
///   [`Handle::sources`].
/// - It does not end.
///
/// Lookups are in tasks of their own, one a source, which begin with the first poll and end when this is
/// dropped. A stream that is seldom polled delays no lookup, and then tells the difference to the newest
/// lists; what came and went meanwhile is not told.
///
/// # Panics
///
/// Polling it for the first time outside a tokio runtime panics.
///
/// # Cancel safety
///
/// Nothing is lost if a poll is not followed by another one for long: each change is told once.
pub struct Changes {
    board: Arc<Board>,
    /// Tells the handles, by being dropped, that this is.
    alive: watch::Sender<()>,
    /// Until the first poll.
    unstarted: Vec<Source>,
    settings: Settings,
    tasks: JoinSet<()>,
    /// What the user knows.
    told: BTreeMap<SocketAddr, Listed>,
    queue: VecDeque<Change<Key, Address>>,
    /// Resolves when the board has changed.
    news: BoxFuture<'static, watch::Receiver<Vec<SourceStatus>>>,
}

/// An address, and the source that lists it.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    address: Address,
    source: Arc<str>,
}

impl Changes {
    pub(crate) fn new(sources: Vec<Source>, settings: Settings) -> Self {
        let board = Arc::new(Board::new(
            sources.iter().map(|source| source.name().clone()),
        ));
        let news = changed(board.sources.subscribe());
        Self {
            board,
            alive: watch::Sender::new(()),
            unstarted: sources,
            settings,
            tasks: JoinSet::new(),
            told: BTreeMap::new(),
            queue: VecDeque::new(),
            news,
        }
    }

    /// A handle, which asks for lookups and tells what is known.
    pub fn handle(&self) -> Handle {
        Handle {
            board: self.board.clone(),
            stream: self.alive.subscribe(),
        }
    }

    /// The same changes with targets that are made from the addresses, such as the options of a connection.
    ///
    /// Keep weight and tier out of the target itself, and tell them by [`Address::placed`]:
    /// [`Peers::follow`](evenhand::Peers::follow) compares targets, and replaces a peer whose target differs by a
    /// new one.
    pub fn targets<Target, F: FnMut(Address) -> Target>(self, target: F) -> Targets<F> {
        Targets {
            changes: self,
            target,
        }
    }

    fn start(&mut self) {
        if !self.unstarted.is_empty() {
            meter::describe();
        }
        for (at, source) in self.unstarted.drain(..).enumerate() {
            let board = self.board.clone();
            self.tasks.spawn(run(source, self.settings, at, board));
        }
    }

    /// Queues what differs. Those that join come first, so that a user who applies changes one by one never has
    /// fewer peers than before and after.
    fn compare(&mut self, sources: &[SourceStatus]) {
        let mut wanted = BTreeMap::<SocketAddr, Listed>::new();
        for status in sources {
            for address in &*status.addresses {
                wanted.entry(address.addr).or_insert_with(|| Listed {
                    address: address.clone(),
                    source: status.source.clone(),
                });
            }
        }
        let mut left = Vec::new();
        for (addr, new) in &wanted {
            let old = self.told.get(addr);
            if old.is_some_and(|old| old.address == new.address) {
                continue;
            }
            let key = new.address.key();
            match old {
                Some(old) if old.address.key() == key => note("changed", &key, &new.source),
                Some(old) => {
                    note("joined", &key, &new.source);
                    left.push(old);
                }
                None => note("joined", &key, &new.source),
            }
            self.queue
                .push_back(Change::Insert(key, new.address.clone()));
        }
        let gone = self
            .told
            .iter()
            .filter(|(addr, _)| !wanted.contains_key(addr));
        left.extend(gone.map(|(_, old)| old));
        for old in left {
            let key = old.address.key();
            note("left", &key, &old.source);
            self.queue.push_back(Change::Remove(key));
        }
        self.told = wanted;
    }
}

fn note(change: &'static str, peer: &Key, source: &Arc<str>) {
    tracing::debug!(%peer, %source, change, "a list of peers changed");
    meter::changed(source, change);
}

fn changed(
    mut board: watch::Receiver<Vec<SourceStatus>>,
) -> BoxFuture<'static, watch::Receiver<Vec<SourceStatus>>> {
    Box::pin(async move {
        // The stream has the sender, so it is there.
        let _ = board.changed().await;
        board
    })
}

impl Stream for Changes {
    type Item = Result<Change<Key, Address>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.start();
        loop {
            if let Some(change) = this.queue.pop_front() {
                return Poll::Ready(Some(Ok(change)));
            }
            let mut board = ready!(this.news.as_mut().poll(cx));
            let sources = board.borrow_and_update().clone();
            this.news = changed(board);
            this.compare(&sources);
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("board", &self.board)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// [`Changes`] with targets in place of addresses. From [`Changes::targets`].
#[derive(Debug)]
pub struct Targets<F> {
    changes: Changes,
    target: F,
}

impl<F> Targets<F> {
    /// As [`Changes::handle`].
    pub fn handle(&self) -> Handle {
        self.changes.handle()
    }
}

impl<Target, F: FnMut(Address) -> Target + Unpin> Stream for Targets<F> {
    type Item = Result<Change<Key, Target>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.changes).poll_next(cx));
        Poll::Ready(next.map(|change| {
            change.map(|change| match change {
                Change::Insert(key, address) => Change::Insert(key, (this.target)(address)),
                Change::Remove(key) => Change::Remove(key),
            })
        }))
    }
}
