//! Peers as they are to be in their set, and changes of it by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Set;
use super::ledger::Join;
use super::member::Member;
use super::peer::Peer;
use crate::error::PeersError;

/// A peer's target, with its weight and tier: for peers that have them from the start.
///
/// ```
/// use evenhand::{Peers, Placed};
///
/// let peers = Peers::new([("near", "10.0.0.1:80")])?;
/// peers.add_placed("far", Placed::new("10.9.0.1:80").tier(1).weight(2))?;
/// let status = &peers.statuses()[1];
/// assert_eq!((status.tier, status.weight), (1, 2));
/// # Ok::<(), evenhand::PeersError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed<Target> {
    /// What the connector needs to reach the peer.
    pub target: Target,
    /// Its [weight](crate::Peers::set_weight). `None`: of a peer that is there as it is, of a new one 1.
    pub weight: Option<u32>,
    /// Its [tier](crate::Peers::set_tier). `None`: of a peer that is there as it is, of a new one 0.
    pub tier: Option<u32>,
}

impl<Target> Placed<Target> {
    /// A target with no wish for a weight or a tier.
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            weight: None,
            tier: None,
        }
    }

    /// With this weight.
    #[must_use]
    pub fn weight(self, weight: u32) -> Self {
        Self {
            weight: Some(weight),
            ..self
        }
    }

    /// In this tier.
    #[must_use]
    pub fn tier(self, tier: u32) -> Self {
        Self {
            tier: Some(tier),
            ..self
        }
    }

    /// The same place for another target.
    pub fn map<T>(self, map: impl FnOnce(Target) -> T) -> Placed<T> {
        Placed {
            target: map(self.target),
            weight: self.weight,
            tier: self.tier,
        }
    }

    /// The same place for another target, if there is one.
    ///
    /// # Errors
    ///
    /// Those of `map`.
    pub fn try_map<T, E>(self, map: impl FnOnce(Target) -> Result<T, E>) -> Result<Placed<T>, E> {
        Ok(Placed {
            target: map(self.target)?,
            weight: self.weight,
            tier: self.tier,
        })
    }
}

impl<Target> From<Target> for Placed<Target> {
    fn from(target: Target) -> Self {
        Self::new(target)
    }
}

impl<Target> Set<Target> {
    /// A peer that may join this set, with its weight and tier.
    pub(crate) fn new_placed_peer(&self, name: Arc<str>, placed: Placed<Target>) -> Peer<Target> {
        let peer = self.new_peer(name, placed.target);
        peer.member().set_weight(placed.weight.unwrap_or(1));
        peer.member().set_tier(placed.tier.unwrap_or(0));
        peer
    }

    /// Changes the membership by name: `None` is to leave. A peer that is there already stays if
    /// `same` says that the wanted target equals its own, and is replaced otherwise. `others_stay`:
    /// peers of other names do. Where a weight or a tier is wanted, the peer has it afterwards, and a new
    /// one from the start.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two names are equal; then nothing is changed.
    pub(crate) fn update<W: Into<Placed<Target>>>(
        &self,
        join: Join,
        wanted: impl IntoIterator<Item = (Arc<str>, Option<W>)>,
        others_stay: bool,
        same: impl Fn(&Target, &Target) -> bool,
    ) -> Result<(), PeersError> {
        let (mut places, mut wanted_peers) = (HashMap::new(), Vec::new());
        let mut places_wanted = Vec::new();
        for (name, wanted) in wanted {
            if places.insert(name.clone(), wanted_peers.len()).is_some() {
                return Err(PeersError::Duplicate(name));
            }
            wanted_peers.push(wanted.map(|wanted| {
                let placed = wanted.into();
                let (weight, tier) = (placed.weight, placed.tier);
                if weight.is_some() || tier.is_some() {
                    places_wanted.push((name.clone(), weight, tier));
                }
                self.new_placed_peer(name, placed)
            }));
        }
        let keep = |member: &Member| places.contains_key(&member.name);
        self.edit(join, keep, |peers| {
            let mut joining: Vec<_> = wanted_peers.iter().map(Option::as_ref).collect();
            let mut after = Vec::with_capacity(peers.len().max(joining.len()));
            for peer in peers {
                let stays = match places.get(peer.name()) {
                    Some(&place) => joining[place]
                        .take_if(|wanted| same(peer, wanted))
                        .is_some(),
                    None => others_stay,
                };
                if stays {
                    after.push(peer.clone());
                }
            }
            after.extend(joining.into_iter().flatten().cloned());
            Ok(after)
        })?;
        for (name, weight, tier) in places_wanted {
            // Unless another edit has removed it.
            if let Ok(peer) = self.peer(&name) {
                weight
                    .into_iter()
                    .for_each(|weight| peer.change_weight(weight));
                tier.into_iter().for_each(|tier| peer.change_tier(tier));
            }
        }
        Ok(())
    }
}
