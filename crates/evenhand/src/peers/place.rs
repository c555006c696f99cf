//! Where peers stand among the others: weights and tiers.

use std::sync::Arc;

use super::Peers;
use crate::error::PeersError;
use crate::set::placed::Placed;

impl<Target> Peers<Target> {
    /// As [`new`](Self::new), with weights and tiers.
    ///
    /// ```
    /// use evenhand::{Peers, Placed};
    ///
    /// let peers = Peers::placed([
    ///     ("near", Placed::new("10.0.0.1:80")),
    ///     ("far", Placed::new("10.9.0.1:80").tier(1).weight(2)),
    /// ])?;
    /// let places: Vec<_> = peers.statuses().iter().map(|status| (status.tier, status.weight)).collect();
    /// assert_eq!(places, [(0, 1), (1, 2)]);
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn placed<Name: Into<Arc<str>>>(
        peers: impl IntoIterator<Item = (Name, Placed<Target>)>,
    ) -> Result<Self, PeersError> {
        let peers = peers.into_iter();
        let wanted = peers.map(|(name, placed)| (name.into(), Some(placed)));
        Self::of(None, wanted)
    }

    /// Sets a peer's weight, which only [`Weighted`](crate::Weighted) picks use: a peer of weight 0
    /// gets none of them. Default: 1.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), PeersError> {
        self.set.peer(name)?.change_weight(weight);
        Ok(())
    }

    /// Puts a peer into a tier: a preference by zone, or peers to fall back on. Tier 0 is preferred, and the
    /// default. Works with any [`Pick`](crate::Pick): the balancer chooses a tier, then the pick one of its
    /// peers.
    ///
    /// A tier takes requests as far as it is healthy, and the next ones take what it leaves, as with Envoy's
    /// priority levels. It is healthy as long as its peers that are up, times 1.4 (see
    /// [`set_overprovisioning`](Self::set_overprovisioning)), are as many as its peers: so with 10 peers, 3 may
    /// be out. With 6 of 10 up it takes 84 %. What is left goes to the next tier, and so on; if all together
    /// are not healthy, they take shares in proportion to their health.
    ///
    /// Peers that are ejected or draining count as peers that are out. Those that have never been up, and
    /// those that leave as others come up, do not count.
    ///
    /// A request that has tried all peers of the tiers that take requests goes to the next tier.
    ///
    /// ```
    /// use evenhand::Peers;
    ///
    /// let peers = Peers::new([("eu-1", "10.0.0.1"), ("eu-2", "10.0.0.2"), ("us-1", "10.9.0.1")])?;
    /// // This client runs in `eu`.
    /// for peer in peers.iter().filter(|peer| !peer.name().starts_with("eu-")) {
    ///     peers.set_tier(peer.name(), 1)?;
    /// }
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn set_tier(&self, name: &str, tier: u32) -> Result<(), PeersError> {
        self.set.peer(name)?.change_tier(tier);
        Ok(())
    }

    /// Sets how much more than its share a [tier](Self::set_tier) can carry, for all tiers. Default:
    /// [`DEFAULT_OVERPROVISIONING`](crate::DEFAULT_OVERPROVISIONING), 1.4 times. What is less than 1, or no
    /// number, is treated as 1: then each peer that is out sends its share to the next tier. With
    /// `f64::INFINITY` a tier takes requests only if no peer of the tiers before it is up.
    ///
    /// ```
    /// use evenhand::Peers;
    ///
    /// let peers = Peers::new([("primary", 1), ("standby", 2)])?;
    /// peers.set_tier("standby", 1)?;
    /// peers.set_overprovisioning(f64::INFINITY);
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn set_overprovisioning(&self, factor: f64) {
        self.set.set_overprovisioning(factor.max(1.0));
    }

    /// As [`replace_all`](Self::replace_all), with weights and tiers. A peer that is there already, and
    /// stays, gets those that are given.
    ///
    /// # Errors
    ///
    /// As [`replace_all`](Self::replace_all).
    pub fn replace_all_placed<Name: Into<Arc<str>>>(
        &self,
        peers: impl IntoIterator<Item = (Name, Placed<Target>)>,
    ) -> Result<(), PeersError>
    where
        Target: PartialEq,
    {
        let peers = peers.into_iter();
        let wanted = peers.map(|(name, placed)| (name.into(), Some(placed)));
        self.set.update(self.join, wanted, false, Target::eq)
    }
}
