//! Which of the peers that are up gets the attempt.
//!
//! A peer that the request has tried is drawn again, never replaced by its neighbour: "random
//! start, then the next one" gives the neighbour of a dead peer almost twice its share.

mod affinity;
mod by_request;
mod candidates;
mod random;

use crate::rng::Rng;
use crate::set::peer::Peer;
use crate::set::snapshot::Snapshot;
use crate::set::snapshot::offer::{List, Offer};

pub use self::affinity::Affinity;
pub use self::by_request::{PickBy, PickFor};
pub use self::candidates::{Candidates, NoKey};
pub use self::random::{LeastInFlight, Uniform, Weighted};

/// Chooses one of the peers that are up.
///
/// A pick that needs to know of the request is a `Pick<Key>`; [`BalanceLayer::pick_by`] says what of
/// a request its key is.
///
/// Where peers are of several [tiers](crate::Peers::set_tier), the balancer chooses the tier, and the
/// candidates are its peers.
///
/// ```
/// use evenhand::{BalanceLayer, Candidates, Peers, Pick};
///
/// /// Prefers the peers whose names begin with the zone that the request is for.
/// #[derive(Clone)]
/// struct SameZone;
///
/// impl Pick<&'static str> for SameZone {
///     fn pick<Target>(&self, candidates: &Candidates<'_, Target, &'static str>) -> Option<usize> {
///         let near: Vec<usize> = (0..candidates.len())
///             .filter(|&index| candidates.name(index).starts_with(candidates.key()))
///             .collect();
///         match near.len() {
///             0 => Some(candidates.random_index(candidates.len())),
///             n => Some(near[candidates.random_index(n)]),
///         }
///     }
/// }
///
/// #[derive(Clone)]
/// struct Request { zone: &'static str }
///
/// let peers = Peers::new([("eu-1", 1), ("us-1", 2)])?;
/// let layer = BalanceLayer::new(peers).pick_by(|request: &Request| request.zone, SameZone);
/// # Ok::<(), evenhand::PeersError>(())
/// ```
///
/// [`BalanceLayer::pick_by`]: crate::BalanceLayer::pick_by
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot pick peers by keys of type `{Key}`",
    label = "no `Pick<{Key}>`",
    note = "`Uniform`, `Weighted` and `LeastInFlight` pick by any key; a closure is no `Pick`, as that is generic over the peers' type",
    note = "`Affinity` needs a key that is `Hash`: `BalanceLayer::pick_by` says what of a request it is"
)]
pub trait Pick<Key = NoKey> {
    /// Whether the choice is random, so that a random part of the candidates does as well as all of them.
    /// Then a request that has tried some peers asks with a part of the others, at little cost. Else it
    /// asks with all of them, at a cost that grows with their number. Default: false.
    const IS_RANDOM: bool = false;

    /// The index of the chosen candidate. `None`, or an index out of range, chooses no peer, and the
    /// request goes on as if none of the candidates were up.
    ///
    /// Called for every attempt, on the caller's task, with at least one candidate. A candidate may
    /// have been ejected a moment ago or have been tried by the request. If it is chosen, `pick` is
    /// called again, and after some calls with only the peers that are up and untried.
    fn pick<Target>(&self, candidates: &Candidates<'_, Target, Key>) -> Option<usize>;

    /// A number in `0.0..1.0` that says to which [tier](crate::Peers::set_tier) the request goes, where
    /// several take a share: to the preferred one if it is below its share, and so on. Default: `random`,
    /// which is drawn anew for each attempt. A pick that is to choose the same for the same key gives the
    /// same number for it.
    fn tier_draw(&self, key: &Key, random: f64) -> f64 {
        let _ = key;
        random
    }
}

/// What the pick chooses from the peers that are offered.
#[inline(always)]
pub(crate) fn choose<'a, Target, Key>(
    pick: &impl Pick<Key>,
    key: &Key,
    rng: &Rng,
    snapshot: &'a Snapshot<Target>,
    offer: &Offer,
) -> Option<&'a Peer<Target>> {
    if offer.plain().indexes.is_empty() {
        return choose_tier(pick, key, rng, snapshot, offer);
    }
    choose_of(pick, key, rng, snapshot, offer.plain())
}

/// The same, from the peers of the tier that the request falls on. If the pick wants none of those, the
/// other tiers follow, the preferred one first.
#[cold]
#[inline(never)]
fn choose_tier<'a, Target, Key>(
    pick: &impl Pick<Key>,
    key: &Key,
    rng: &Rng,
    snapshot: &'a Snapshot<Target>,
    offer: &Offer,
) -> Option<&'a Peer<Target>> {
    if offer.tiers().is_empty() {
        return None;
    }
    let first = offer.tier_at(pick.tier_draw(key, rng.unit()));
    let others = (0..offer.tiers().len()).filter(|place| *place != first);
    let mut places = std::iter::once(first).chain(others);
    places.find_map(|place| choose_of(pick, key, rng, snapshot, &offer.tiers()[place].list))
}

#[inline(always)]
fn choose_of<'a, Target, Key>(
    pick: &impl Pick<Key>,
    key: &Key,
    rng: &Rng,
    snapshot: &'a Snapshot<Target>,
    list: &List,
) -> Option<&'a Peer<Target>> {
    let candidates = Candidates::new(snapshot, list, key, rng);
    let index = *list.indexes.get(pick.pick(&candidates)?)?;
    snapshot.peers().get(index as usize)
}
