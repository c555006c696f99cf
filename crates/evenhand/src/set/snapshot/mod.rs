//! What picks read: the peers of a set, and which of them to draw from.
//!
//! A snapshot is immutable and replaced as a whole, so a pick takes no lock and costs the same
//! whatever the number of peers. Which peers it offers is a hint: a peer's health word decides, and
//! a pick reads the word of the peer that it drew. So an ejection need not replace the snapshot. It
//! is made anew, by the next pick, when more than an eighth of the peers that it offers are out. So
//! the cost of `n` ejections grows with `n`, not with its square. Where peers are of several tiers, it is
//! made anew after each change, as the shares of the tiers follow from who is up.

pub(crate) mod offer;

use std::sync::Arc;

use self::offer::Offer;
use super::peer::Peer;

pub(crate) struct Snapshot<Target> {
    /// All peers, in the order they were added, which is that of their ids.
    peers: Arc<[Peer<Target>]>,
    /// Of those the ones that are offered to picks.
    offer: Offer,
    /// They are of several tiers, also if those that are offered are not.
    is_tiered: bool,
}

impl<Target> Snapshot<Target> {
    /// A snapshot that offers the peers that are up now. Called under the registry's lock. `counts` says
    /// which of the others are to be up, and `factor` how much more than its share a tier can carry.
    pub(crate) fn new(
        peers: Arc<[Peer<Target>]>,
        counts: impl Fn(&Peer<Target>) -> bool,
        factor: f64,
    ) -> Self {
        for peer in &*peers {
            peer.member().set_offered(peer.is_up());
        }
        let is_up = |peer: &Peer<Target>| peer.member().is_offered();
        let offer = Offer::of_all(&peers, is_up, counts, factor);
        let tiers = || peers.iter().map(|peer| peer.member().tier());
        let is_tiered = tiers().any(|tier| Some(tier) != tiers().next());
        Self {
            peers,
            offer,
            is_tiered,
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
    #[inline]
    pub(crate) fn peers(&self) -> &[Peer<Target>] {
        &self.peers
    }

    /// The peers that are offered to picks.
    #[inline]
    pub(crate) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Whether the peers are of several tiers.
    pub(crate) fn is_tiered(&self) -> bool {
        self.is_tiered
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
