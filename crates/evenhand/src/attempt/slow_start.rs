//! Slow start: a peer that came up a moment ago takes a share that grows with time, whatever the pick.
//!
//! A draw is accepted with the peer's share, else drawn again. Envoy ("slow start mode") and nginx
//! (`slow_start`) scale the peer's weight instead, which only a pick by weight would see.

use std::cell::Cell;

use super::chooser::Chooser;
use super::permit::AttemptPermit;
use crate::pick::Pick;
use crate::set::member::Member;

/// The share of a peer that has just come up. Without one, its share would never be seen to work.
const LEAST_SHARE: f64 = 0.05;

/// How many draws are made at most; the last one is taken. With one peer in two ramping, fewer than
/// one pick in 100 000 gets that far.
const DRAWS: usize = 16;

impl<Target, Key, P: Pick<Key>> Chooser<'_, Target, P, Key> {
    /// A permit on a peer that is up, while some ramp. Only a draw of one of those reads the clock,
    /// once.
    #[cold]
    #[inline(never)]
    pub(super) fn up_by_share(self) -> Option<AttemptPermit<Target>> {
        let window = self.set.registry.ramping.window()?;
        if !P::IS_RANDOM {
            // It would choose the same again. A peer that ramps is a candidate with its share.
            let now = Cell::new(None);
            return self.up_exactly(|peer| {
                let (member, mut read) = (peer.member(), now.get());
                let ramps = member.ramp.since();
                let may = |since| self.accepts(member, since, window, &mut read);
                let may = ramps.is_none_or(may);
                now.set(read);
                may
            });
        }
        let snapshot = self.set.snapshot();
        let (mut now, mut last) = (None, None);
        for _ in 0..DRAWS {
            let Some(peer) = self.drawn(&snapshot) else {
                continue;
            };
            let member = peer.member();
            let ramps = member.ramp.since();
            if ramps.is_none_or(|since| self.accepts(member, since, window, &mut now)) {
                if let Some(permit) = AttemptPermit::enter(peer.clone()) {
                    return Some(permit);
                }
            } else {
                last = Some(peer);
            }
        }
        AttemptPermit::enter(last?.clone())
    }

    /// Whether a draw of a peer that ramps is accepted.
    fn accepts(&self, member: &Member, since: u64, window: u64, now: &mut Option<u64>) -> bool {
        let registry = &self.set.registry;
        let now = *now.get_or_insert_with(|| registry.now());
        if now.saturating_sub(since) >= window {
            if member.ramp.end(since) {
                registry.age_ramps();
            }
            return true;
        }
        let share = |since| (now.saturating_sub(since) as f64 / window as f64).max(LEAST_SHARE);
        // If all ramp, the one with the largest share is always accepted.
        let largest = registry.ramping.fullest().map_or(1.0, share);
        self.rng.unit() * largest < share(since)
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use crate::attempt::chooser::Chooser;
    use crate::peers::Peers;
    use crate::pick::{NoKey, Uniform};
    use crate::rng::Rng;
    use crate::set::placed::Placed;

    #[tokio::test(start_paused = true)]
    async fn picks_look_only_while_a_peer_ramps() {
        let (peers, window) = (
            Peers::new([("a", ()), ("b", ())]).unwrap(),
            Duration::from_secs(9),
        );
        let (rng, set) = (Rng::seeded(1), &*peers.set);
        let pick = || {
            let (pick, key, rng, asked) = (&Uniform, &NoKey, &rng, None);
            let chooser = Chooser {
                set,
                pick,
                key,
                rng,
                asked,
            };
            (0..100).for_each(|_| drop(chooser.permit().unwrap()));
            set.registry.needs_look()
        };
        let come_back = || {
            peers.eject("a", window).unwrap();
            peers.restore("a").unwrap();
        };
        come_back();
        assert!(!pick(), "off by default");
        set.registry.slow_start(window);
        assert!(!pick(), "none has come up since");
        come_back();
        assert!(pick());
        advance(window - Duration::from_millis(1)).await;
        assert!(pick());
        advance(Duration::from_millis(1)).await;
        assert!(!pick(), "it is over");
        come_back();
        assert!(pick());
        peers.eject("a", window).unwrap();
        peers.remove("a").unwrap();
        assert!(!pick(), "no peer ramps");
        peers.add_placed("c", Placed::new(()).weight(0)).unwrap();
        assert!(!pick(), "one of weight 0 has no share that could grow");
        peers.add("d", ()).unwrap();
        assert!(pick(), "one that joins ramps");
    }
}
