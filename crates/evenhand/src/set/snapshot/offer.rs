//! Which peers a pick draws from: their indexes, weights and tiers.
//!
//! How much of the requests each tier takes is as with Envoy's priority levels ("Priority levels",
//! Envoy's documentation): a tier is as healthy as the share of its peers that are up, times a factor,
//! and takes its health's part of what the tiers before it leave.

use std::collections::BTreeMap;

use crate::set::peer::Peer;

/// How much more than its share a tier can carry, unless
/// [`Peers::set_overprovisioning`](crate::Peers::set_overprovisioning) says otherwise: 1.4 times.
pub const DEFAULT_OVERPROVISIONING: f64 = 1.4;

/// What picks draw from.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    /// The peers, while all are of one tier.
    plain: List,
    /// The peers of each tier, the preferred tier first; empty while all are of one tier.
    tiers: Box<[Tier]>,
}

/// Peers of one tier.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Indexes into the peers of the snapshot, in their order.
    pub(crate) indexes: Box<[u32]>,
    /// Running totals of their weights; empty while all weigh the same.
    pub(crate) weights: Box<[u64]>,
}

/// The peers of one tier, and how much of the requests they take.
#[derive(Debug)]
pub(crate) struct Tier {
    number: u32,
    /// Of all requests; the shares of all tiers add up to 1.
    share: f64,
    pub(crate) list: List,
}

impl Offer {
    /// Of these peers those that are up, where `counts` says which others are to be up. `factor`: how
    /// much more than its share a tier can carry.
    pub(super) fn of_all<Target>(
        peers: &[Peer<Target>],
        is_up: impl Fn(&Peer<Target>) -> bool,
        counts: impl Fn(&Peer<Target>) -> bool,
        factor: f64,
    ) -> Self {
        let up = (0..).zip(peers).filter(|(_, peer)| is_up(peer));
        let up: Vec<u32> = up.map(|(index, _)| index).collect();
        if is_of_one_tier(peers, &up) {
            return Self::without_tiers(peers, up);
        }
        // Of each tier, how many peers are to be up, and how many are.
        let mut counted = BTreeMap::<u32, (u32, u32)>::new();
        for peer in peers {
            let (all, up) = counted.entry(peer.member().tier()).or_default();
            let is_up = is_up(peer);
            *all += u32::from(is_up || counts(peer));
            *up += u32::from(is_up);
        }
        let health = |(all, up): (u32, u32)| match up {
            // Times infinity.
            0 => 0.0,
            up => (f64::from(up) / f64::from(all) * factor).min(1.0),
        };
        let total: f64 = counted.values().map(|of| health(*of)).sum();
        let mut left = 1.0_f64;
        let shares = counted.into_iter().map(|(tier, of)| {
            let share = (health(of) / total.min(1.0)).min(left);
            left -= share;
            (tier, share)
        });
        Self::by_tier(peers, up, &shares.collect())
    }

    /// The peers at these indexes, where tiers take shares in proportion to what they take of `self`. If
    /// none takes any, the preferred tier takes all.
    pub(crate) fn restricted<Target>(&self, peers: &[Peer<Target>], indexes: Vec<u32>) -> Self {
        if is_of_one_tier(peers, &indexes) {
            return Self::without_tiers(peers, indexes);
        }
        let shares = self.tiers.iter().map(|tier| (tier.number, tier.share));
        Self::by_tier(peers, indexes, &shares.collect())
    }

    /// The peers at these indexes, whatever their tiers.
    pub(crate) fn without_tiers<Target>(peers: &[Peer<Target>], indexes: Vec<u32>) -> Self {
        Self {
            plain: List::new(peers, indexes),
            tiers: Box::default(),
        }
    }

    fn by_tier<Target>(
        peers: &[Peer<Target>],
        indexes: Vec<u32>,
        shares: &BTreeMap<u32, f64>,
    ) -> Self {
        let mut lists = BTreeMap::<u32, Vec<u32>>::new();
        for index in indexes {
            let tier = peers[index as usize].member().tier();
            lists.entry(tier).or_default().push(index);
        }
        let share = |tier| shares.get(&tier).copied().unwrap_or(0.0);
        let total: f64 = lists.keys().map(|tier| share(*tier)).sum();
        let tiers = lists
            .into_iter()
            .enumerate()
            .map(|(place, (number, list))| {
                let share = match total > 0.0 {
                    true => share(number) / total,
                    false => f64::from(u8::from(place == 0)),
                };
                let list = List::new(peers, list);
                Tier {
                    number,
                    share,
                    list,
                }
            });
        Self {
            plain: List::default(),
            tiers: tiers.collect(),
        }
    }

    /// The peers, if all are of one tier.
    #[inline]
    pub(crate) fn plain(&self) -> &List {
        &self.plain
    }

    /// The peers of each tier, if there are several.
    pub(crate) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The place of the tier that a draw from `0.0..1.0` falls on.
    pub(crate) fn tier_at(&self, draw: f64) -> usize {
        let mut end = 0.0;
        let at = self.tiers.iter().position(|tier| {
            end += tier.share;
            draw < end
        });
        // The shares may add up to a little less than 1.
        let last = || self.tiers.iter().rposition(|tier| tier.share > 0.0);
        at.or_else(last).unwrap_or(0)
    }

    fn lists(&self) -> impl Iterator<Item = &List> {
        std::iter::once(&self.plain).chain(self.tiers.iter().map(|tier| &tier.list))
    }

    /// All peers.
    pub(crate) fn indexes(&self) -> Vec<u32> {
        let lists = self.lists().map(|list| &*list.indexes);
        lists.collect::<Vec<_>>().concat()
    }

    /// How many peers there are.
    pub(crate) fn len(&self) -> usize {
        self.lists().map(|list| list.indexes.len()).sum()
    }

    /// Whether there are peers, and each weighs nothing.
    pub(crate) fn is_weightless(&self) -> bool {
        let mut lists = self.lists().filter(|list| !list.indexes.is_empty());
        self.len() > 0 && lists.all(|list| list.weights.last() == Some(&0))
    }
}

impl List {
    fn new<Target>(peers: &[Peer<Target>], indexes: Vec<u32>) -> Self {
        Self {
            weights: running_weights(peers, &indexes).into(),
            indexes: indexes.into(),
        }
    }
}

fn is_of_one_tier<Target>(peers: &[Peer<Target>], indexes: &[u32]) -> bool {
    let mut tiers = indexes
        .iter()
        .map(|index| peers[*index as usize].member().tier());
    let first = tiers.next();
    tiers.all(|tier| Some(tier) == first)
}

/// Running totals of the weights of the peers at these indexes; empty if all weigh the same, and
/// more than 0.
fn running_weights<Target>(peers: &[Peer<Target>], indexes: &[u32]) -> Vec<u64> {
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
