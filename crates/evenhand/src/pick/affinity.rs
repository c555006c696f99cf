//! Affinity: requests of one key go to one peer.

use std::hash::Hash;

use super::Pick;
use super::candidates::Candidates;
use crate::stable_hash::hash;

/// The same peer for the same key, as long as it is up: rendezvous hashing (Thaler and Ravishankar:
/// "Using name-based mappings to increase hit rates", 1998). For peers with caches, and work that is to
/// meet its like.
///
/// Each key ranks the peers in an order of its own, by their names. While its first peer is out, or the
/// request has tried it, its second serves it. So a peer that is lost moves its own keys alone, to all
/// others evenly, and they come back with it. Weights hold: a peer of weight 2 has twice as many keys, one
/// of weight 0 none, and a changed weight moves only the keys that it must (Schindelhauer and Schomaker:
/// "Weighted distributed hash tables", 2005).
///
/// The order depends on the key's [`Hash`] and the peers' names alone, so clients of the same build agree
/// on it. Keys are spread evenly; requests are only if no key has many.
///
/// A pick costs time in proportion to the number of peers. Without [`BalanceLayer::probe`] some request is
/// the probe of each peer that is due, whatever its key. With [`BalanceLayer::slow_start`] a returned peer
/// takes a share of the requests of its keys that grows with time.
///
/// ```
/// use evenhand::{Affinity, Attempt, BalanceLayer, Peers};
/// use tower::{Service, ServiceExt, service_fn};
///
/// #[derive(Clone)]
/// struct Get { user: u64 }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let caches = ["cache0", "cache1", "cache2"];
/// let peers = Peers::new(caches.map(|cache| (cache, format!("http://{cache}"))))?;
/// let connector = service_fn(async |attempt: Attempt<String, Get>| {
///     Ok::<_, std::io::Error>(String::clone(&attempt.peer))
/// });
/// let mut balance = BalanceLayer::new(peers)
///     .pick_by(|request: &Get| request.user, Affinity)
///     .service(connector);
/// let first = balance.ready().await?.call(Get { user: 7 }).await?;
/// assert_eq!(balance.ready().await?.call(Get { user: 7 }).await?, first);
/// # Ok(()) }
/// ```
///
/// [`BalanceLayer::probe`]: crate::BalanceLayer::probe
/// [`BalanceLayer::slow_start`]: crate::BalanceLayer::slow_start
#[derive(Clone, Copy, Debug, Default)]
pub struct Affinity;

impl<Key: Hash> Pick<Key> for Affinity {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target, Key>) -> Option<usize> {
        let key = hash(candidates.key());
        let draw = |index: usize| mix(key ^ candidates.member(index).name_hash());
        if candidates.running_weights().is_empty() {
            return (0..candidates.len()).max_by_key(|&index| draw(index));
        }
        // The first of several exponential clocks to ring, each with its peer's weight as the rate.
        let rings = |index: usize| -unit(draw(index)).ln() / f64::from(candidates.weight(index));
        let weighty = (0..candidates.len()).filter(|&index| candidates.weight(index) > 0);
        weighty.min_by(|&a, &b| rings(a).total_cmp(&rings(b)))
    }

    fn tier_draw(&self, key: &Key, _: f64) -> f64 {
        unit(mix(hash(key)))
    }
}

/// Mixes the bits of a number: the finalizer of SplitMix64 (Steele, Lea and Flood: "Fast splittable
/// pseudorandom number generators", 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from `0.0..1.0`.
fn unit(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
