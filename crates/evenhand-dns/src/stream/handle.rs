//! The handle of a stream of changes.

use std::sync::Arc;

use evenhand::{Event, EventKind, Observer};
use tokio::sync::watch;

use crate::lookup::error::Error;
use crate::stream::board::{Board, SourceStatus};

/// Asks for lookups, and tells what is known. From [`Changes::handle`](crate::Changes::handle); clones are
/// the same handle.
///
/// It is an [`Observer`] as well: `peers.observe(changes.handle())` asks for a lookup when a peer is ejected,
/// and whenever its probe fails, since its name may have moved.
///
/// Once the stream is dropped, it asks for nothing and knows what was known last.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) board: Arc<Board>,
    /// Closed once the stream is dropped.
    pub(crate) stream: watch::Receiver<()>,
}

impl Handle {
    /// Asks for a lookup of every source: at once, but not before [`min_ttl`](crate::Discovery::min_ttl) has
    /// passed since its last one. However often this is called meanwhile, that is one lookup.
    pub fn look_now(&self) {
        self.board.bell.send_replace(());
    }

    /// What is known of each source, in the order in which they were given.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.board.sources.borrow().clone()
    }

    /// Waits until the first lookup of each source has ended, well or not.
    ///
    /// The stream must be polled for it, as [`Peers::follow`](evenhand::Peers::follow) does: lookups begin with
    /// its first poll. Until then this waits.
    ///
    /// It tells of the lookups, and not of peers: what they found is told by the stream, and `Peers::follow` may
    /// take it over a moment later. A request that comes at once may find no peers. To hold requests back
    /// until there are some, use [`AllDown::WaitUpTo`](evenhand::AllDown::WaitUpTo).
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if the stream is dropped before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn settled(&self) -> Result<(), Error> {
        let (mut sources, mut stream) = (self.board.sources.subscribe(), self.stream.clone());
        let all = |sources: &Vec<SourceStatus>| sources.iter().all(SourceStatus::is_settled);
        tokio::select! {
            biased;
            // The sender lives as long as this handle.
            _ = sources.wait_for(all) => Ok(()),
            // Nothing is ever sent.
            _ = stream.changed() => Err(Error::Ended),
        }
    }
}

impl Observer for Handle {
    fn event(&self, event: &Event) {
        if let EventKind::Ejected { .. } | EventKind::ProbeFailed { .. } = event.kind {
            self.look_now();
        }
    }
}
