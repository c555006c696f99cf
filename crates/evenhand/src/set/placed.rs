//! Peers as they are to be in their set, and changes of it by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Set;
use super::ledger::Join;
use super::member::{Member, Place};
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
    /// Its [weight](crate::Peers::set_weight). `None`: as it is, also for a new target of the same name; 1 for a new
    /// name.
    pub weight: Option<u32>,
    /// Its [tier](crate::Peers::set_tier). `None`: as it is, also for a new target of the same name; 0 for a new
    /// name.
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

    pub(crate) fn place(&self) -> Place {
        let (weight, tier) = (self.weight, self.tier);
        Place { weight, tier }
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
    /// `same` says that the wanted target equals its own, and is replaced otherwise, by one in its place.
    /// `others_stay`: peers of other names do. Where a weight or a tier is wanted, the peer has it
    /// afterwards, and a new one from the start.
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
        let (mut numbers, mut wanted_peers) = (HashMap::new(), Vec::new());
        for (name, wanted) in wanted {
            if numbers.insert(name.clone(), wanted_peers.len()).is_some() {
                return Err(PeersError::Duplicate(name));
            }
            wanted_peers.push(wanted.map(|wanted| {
                let placed = wanted.into();
                let place = placed.place();
                (self.new_placed_peer(name, placed), place)
            }));
        }
        let named = |member: &Member| {
            let wanted = wanted_peers[*numbers.get(&member.name)?].as_ref();
            Some(wanted.map_or(Place::default(), |(_, place)| *place))
        };
        self.edit(join, named, |peers| {
            let mut joining: Vec<_> = wanted_peers.iter().map(Option::as_ref).collect();
            let mut after = Vec::with_capacity(peers.len().max(joining.len()));
            for peer in peers {
                let stays = match numbers.get(peer.name()) {
                    Some(&number) => joining[number]
                        .take_if(|(wanted, _)| same(peer, wanted))
                        .is_some(),
                    None => others_stay,
                };
                if stays {
                    after.push(peer.clone());
                } else if let Some(&number) = numbers.get(peer.name())
                    && let Some((new, place)) = joining[number]
                {
                    place.or_of(peer.member()).give(new.member());
                }
            }
            let joining = joining.into_iter().flatten();
            after.extend(joining.map(|(new, _)| new.clone()));
            Ok(after)
        })
    }
}
