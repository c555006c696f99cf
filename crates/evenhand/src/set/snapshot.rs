//! What picks read: the peers of a set, and which of them to draw from.
//!
//! A snapshot is immutable and replaced as a whole, so a pick takes no lock and costs the same
//! whatever the number of peers. Which peers it offers is a hint: a peer's health word decides, and
//! a pick reads the word of the peer that it drew. So an ejection need not replace the snapshot. It
//! is made anew, by the next pick, when more than an eighth of the peers that it offers are out. So
//! the cost of `n` ejections grows with `n`, not with its square.

use std::sync::Arc;

use super::peer::Peer;

pub(crate) struct Snapshot<Target> {
    /// All peers, in the order they were added, which is that of their ids.
    peers: Arc<[Peer<Target>]>,
    /// Of those that are offered to picks: their indexes in `peers`.
    offered: Box<[u32]>,
    /// Running totals of the weights of `offered`; empty while all weigh the same.
    weights: Box<[u64]>,
}

impl<Target> Snapshot<Target> {
    /// A snapshot that offers the peers that are up now. Called under the registry's lock.
    pub(crate) fn new(peers: Arc<[Peer<Target>]>) -> Self {
        let mut offered = Vec::with_capacity(peers.len());
        for (index, peer) in (0..).zip(&*peers) {
            let is_up = peer.is_up();
            peer.member().set_offered(is_up);
            if is_up {
                offered.push(index);
            }
        }
        let weights = running_weights(&peers, &offered);
        Self {
            weights: weights.into(),
            offered: offered.into(),
            peers,
        }
    }

    /// All peers, without a copy.
    pub(crate) fn shared_peers(&self) -> Arc<[Peer<Target>]> {
        self.peers.clone()
    }

    /// Whether the other snapshot has the same peers: no edit came between the two.
    pub(crate) fn is_of_the_same_peers(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.peers, &other.peers)
    }

    /// All peers, in the order they were added.
    pub(crate) fn peers(&self) -> &[Peer<Target>] {
        &self.peers
    }

    /// The indexes of the peers that are offered to picks.
    pub(crate) fn offered(&self) -> &[u32] {
        &self.offered
    }

    /// Running totals of the weights of the peers that are offered; empty while all weigh the same.
    pub(crate) fn weights(&self) -> &[u64] {
        &self.weights
    }

    /// The index of the peer with this id.
    pub(crate) fn index_of(&self, id: u64) -> Option<u32> {
        let found = self
            .peers
            .binary_search_by_key(&id, |peer| peer.member().id);
        found.ok().map(|index| index as u32)
    }

    /// The peers that are up, in the order they were added.
    pub(crate) fn up(&self) -> impl Iterator<Item = &Peer<Target>> {
        self.peers.iter().filter(|peer| peer.is_up())
    }
}

/// Running totals of the weights of the peers at these indexes; empty if all weigh the same, and
/// more than 0.
pub(crate) fn running_weights<Target>(peers: &[Peer<Target>], indexes: &[u32]) -> Vec<u64> {
    let weights = || {
        let weight = |&index: &u32| peers[index as usize].member().weight();
        indexes.iter().map(weight)
    };
    let first = weights().next().unwrap_or(1);
    if first > 0 && weights().all(|weight| weight == first) {
        return Vec::new();
    }
    let mut total = 0;
    let running = weights().map(|weight| {
        total += u64::from(weight);
        total
    });
    running.collect()
}
