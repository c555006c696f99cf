//! An attempt's permit: acquired with the pick, released with the verdict.
//!
//! A permit remembers the epoch in which its peer was picked, so that a verdict on an older state
//! changes nothing. The permit of a probe is the only one of its peer, and is released on drop: a
//! probe that is cancelled at any await point leaves the peer due for the next one.

use super::ejection::{self, Epoch};
use crate::classify::Verdict;
use crate::pick::{Pick, choose, choose_exactly};
use crate::rng::Rng;
use crate::set::Set;
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::Policy;
use crate::set::snapshot::Snapshot;

/// How many more times a pick may hit a peer that is out, or was tried, before the peers that remain
/// are listed. At most an eighth of the peers in a snapshot are out, so a uniform pick of a request
/// that has tried none practically never makes a list.
const REDRAWS: usize = 15;

/// Held by an attempt from its pick to its verdict.
pub(crate) struct AttemptPermit<Target> {
    peer: InFlightPeer<Target>,
    epoch: Epoch,
}

/// Where a request's next permit comes from.
pub(crate) struct Chooser<'a, Target, P> {
    pub(crate) set: &'a Set<Target>,
    pub(crate) pick: &'a P,
    pub(crate) rng: &'a Rng,
    /// The ids of the peers that the request does not go to again.
    pub(crate) tried: &'a [u64],
}

impl<Target, P: Pick> Chooser<'_, Target, P> {
    /// A permit on a peer that is up or due and untried. A request's first attempt probes a peer that
    /// is due; a later one prefers a peer that is up.
    #[inline(always)]
    pub(crate) fn permit(&self) -> Option<AttemptPermit<Target>> {
        if self.set.registry.needs_look()
            && let Some(permit) = self.look()
        {
            return Some(permit);
        }
        self.up().or_else(|| self.probe_due())
    }

    /// Looks at the clock and the snapshot. A permit, if this is a request's first attempt and a
    /// peer is due.
    #[cold]
    fn look(&self) -> Option<AttemptPermit<Target>> {
        if self.set.registry.needs_refresh() {
            self.set.refresh();
        }
        if !self.tried.is_empty() || !self.set.registry.any_due() {
            return None;
        }
        self.probe_due()
    }

    /// A permit on a peer that is up and untried.
    #[inline(always)]
    pub(crate) fn up(&self) -> Option<AttemptPermit<Target>> {
        let drawn = self.draw(&self.set.snapshot());
        drawn.or_else(|| self.redraw())
    }

    /// A permit on a peer that the snapshot offers, if it is up and untried.
    #[inline(always)]
    fn draw(&self, snapshot: &Snapshot<Target>) -> Option<AttemptPermit<Target>> {
        let (offered, weights) = (snapshot.offered(), snapshot.weights());
        let peer = choose(self.pick, self.rng, snapshot, offered, weights)?;
        // A peer that is out is not entered, so that its count stays 0 once it is drained.
        if self.tried.contains(&peer.member().id) || !peer.is_up() {
            return None;
        }
        AttemptPermit::enter(peer.clone())
    }

    /// Draws again, up to [`REDRAWS`] times, and then from a list.
    #[cold]
    fn redraw(&self) -> Option<AttemptPermit<Target>> {
        let snapshot = self.set.snapshot();
        let drawn = (0..REDRAWS).find_map(|_| self.draw(&snapshot));
        drawn.or_else(|| self.draw_exactly())
    }

    /// As [`up`](Self::up), from a list of the peers that remain. If the snapshot offers peers that
    /// are out, it makes the snapshot anew, as the pick may insist on them.
    #[cold]
    fn draw_exactly(&self) -> Option<AttemptPermit<Target>> {
        if self.set.snapshot().offered().len() > self.set.registry.up() {
            self.set.refresh();
        }
        let snapshot = self.set.snapshot();
        let mut remaining: Vec<u32> = snapshot.offered().to_vec();
        loop {
            remaining.retain(|&index| {
                let peer = &snapshot.peers()[index as usize];
                peer.is_up() && !self.tried.contains(&peer.member().id)
            });
            // A peer that was chosen may be ejected this moment. Then it is gone in the next round.
            let peer = choose_exactly(self.pick, self.rng, &snapshot, &remaining)?;
            if let Some(permit) = AttemptPermit::enter(peer.clone()) {
                return Some(permit);
            }
        }
    }

    /// A permit to probe a peer that is due and untried.
    #[cold]
    fn probe_due(&self) -> Option<AttemptPermit<Target>> {
        let due = self.set.registry.due_for_picks();
        let snapshot = self.set.snapshot();
        let untried = due.into_iter().filter(|id| !self.tried.contains(id));
        let mut due: Vec<u32> = untried.filter_map(|id| snapshot.index_of(id)).collect();
        due.sort_unstable();
        while !due.is_empty() {
            let peer = choose_exactly(self.pick, self.rng, &snapshot, &due)?;
            if let Some(permit) = AttemptPermit::claim(peer.clone(), false) {
                return Some(permit);
            }
            // Another request was faster.
            due.retain(|&index| snapshot.peers()[index as usize].member().id != peer.member().id);
        }
        None
    }

    /// A permit to probe, before it is due, the ejected peer that is due first.
    pub(crate) fn last_resort(&self) -> Option<AttemptPermit<Target>> {
        let due = self.set.registry.due_soonest();
        let id = due.into_iter().find(|id| !self.tried.contains(id))?;
        let snapshot = self.set.snapshot();
        let peer = &snapshot.peers()[snapshot.index_of(id)? as usize];
        AttemptPermit::claim(peer.clone(), true)
    }
}

impl<Target> AttemptPermit<Target> {
    /// A permit on this peer, if it is up.
    #[inline]
    fn enter(peer: Peer<Target>) -> Option<Self> {
        // Counted before the word is read: see `InFlight`.
        let peer = InFlightPeer::new(peer);
        let generation = peer.member().health.generation_if_up()?;
        let epoch = Epoch::up(generation);
        Some(Self { peer, epoch })
    }

    /// A permit to probe this peer, if it is due, or `early` is set and no operator ejected it.
    pub(crate) fn claim(peer: Peer<Target>, early: bool) -> Option<Self> {
        // Counted before it is claimed, so that a drain in between waits for the probe.
        let peer = InFlightPeer::new(peer);
        let epoch = Epoch::probing(peer.claim(early)?.generation);
        Some(Self { peer, epoch })
    }

    #[inline]
    pub(crate) fn peer(&self) -> &Peer<Target> {
        &self.peer
    }

    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Applies a `Healthy` verdict, unless the attempt is a probe. Returns whether it did.
    #[inline]
    pub(crate) fn settle_healthy(&self, policy: &Policy) -> bool {
        let is_plain = !self.epoch.is_probing();
        if is_plain {
            ejection::note_healthy(&self.peer, self.epoch.generation(), policy);
        }
        is_plain
    }

    /// Releases the permit with what was learnt of the peer.
    pub(crate) fn settle(self, verdict: &Verdict, policy: &Policy) {
        let epoch = self.epoch.since(self.peer.member().health.read());
        ejection::settle(&self.peer, epoch, verdict, policy);
    }
}

impl<Target> Drop for AttemptPermit<Target> {
    #[inline]
    fn drop(&mut self) {
        if self.epoch.is_probing() {
            ejection::release(&self.peer, self.epoch.generation());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pick::{LeastInFlight, Uniform};

    const DRAWS: u32 = 200_000;

    fn set(n: u64) -> Set<()> {
        let set = Set::new();
        let peers = (0..n).map(|number| (number.to_string().into(), ()));
        set.edit(|_| false, peers.collect()).unwrap();
        set
    }

    fn chooser<'a, P>(
        set: &'a Set<()>,
        pick: &'a P,
        rng: &'a Rng,
        tried: &'a [u64],
    ) -> Chooser<'a, (), P> {
        Chooser {
            set,
            pick,
            rng,
            tried,
        }
    }

    /// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
    fn chi_squared_limit(k: f64) -> f64 {
        k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
    }

    /// Picks are uniform over the peers for which `fair` holds, and never of another.
    fn assert_uniform(set: &Set<()>, pick: &impl Pick, tried: &[u64], fair: impl Fn(u64) -> bool) {
        let n = set.snapshot().peers().len() as u64;
        let rng = Rng::seeded(n);
        let mut picks = vec![0_u32; n as usize];
        for _ in 0..DRAWS {
            let permit = chooser(set, pick, &rng, tried).up().unwrap();
            picks[permit.peer().member().id as usize] += 1;
        }
        let expected = f64::from(DRAWS) / (0..n).filter(|&id| fair(id)).count() as f64;
        let mut chi = 0.0;
        for (id, &picked) in (0..n).zip(&picks) {
            if fair(id) {
                chi += (f64::from(picked) - expected).powi(2) / expected;
            } else {
                assert_eq!(picked, 0);
            }
        }
        let freedom = f64::from(DRAWS) / expected - 1.0;
        let limit = chi_squared_limit(freedom.max(1.0));
        assert!(chi < limit, "{n} peers: {chi} of {limit}");
    }

    #[test]
    fn picks_are_uniform_with_any_peers_tried() {
        for n in [2, 3, 10, 100] {
            for tried in [vec![], vec![0], (0..n / 3).collect(), (1..n).collect()] {
                assert_uniform(&set(n), &Uniform, &tried, |id| !tried.contains(&id));
            }
        }
    }

    #[test]
    fn picks_are_uniform_from_a_stale_snapshot() {
        for n in [2, 3, 10, 100] {
            for out in [vec![0], (0..n / 3).collect(), (1..n).collect::<Vec<u64>>()] {
                let set = set(n);
                for &id in &out {
                    // Without the registry, so that the snapshot is not rebuilt.
                    let snapshot = set.snapshot();
                    snapshot.peers()[id as usize]
                        .member()
                        .health
                        .eject(0)
                        .unwrap();
                }
                assert_uniform(&set, &Uniform, &[], |id| !out.contains(&id));
            }
        }
    }

    #[test]
    fn least_in_flight_spreads_evenly_over_idle_peers() {
        for n in [2, 3, 10] {
            assert_uniform(&set(n), &LeastInFlight, &[], |_| true);
        }
    }

    #[test]
    fn no_permit_is_given_when_no_peer_is_left() {
        let rng = Rng::seeded(0);
        assert!(chooser(&set(0), &Uniform, &rng, &[]).permit().is_none());
        assert!(chooser(&set(2), &Uniform, &rng, &[0, 1]).permit().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn picks_leave_a_due_peer_to_a_prober_while_one_runs() {
        let (set, rng, second) = (set(1), Rng::seeded(0), std::time::Duration::from_secs(1));
        set.registry.add_prober();
        ejection::eject_manually(&set.snapshot().peers()[0].clone(), second);
        tokio::time::advance(second).await;
        assert!(chooser(&set, &Uniform, &rng, &[]).permit().is_none());
        assert_eq!(set.registry.next_due_for_picks(&[]), None);
        set.registry.remove_prober();
        let permit = chooser(&set, &Uniform, &rng, &[]).permit().unwrap();
        assert!(permit.epoch().is_probing());
    }

    #[test]
    fn no_probe_of_a_manual_ejection_is_claimed_early() {
        let (set, minute) = (set(1), std::time::Duration::from_secs(60));
        let peer = set.snapshot().peers()[0].clone();
        ejection::eject_manually(&peer, minute);
        assert!(AttemptPermit::claim(peer.clone(), true).is_none());
        assert_eq!(peer.member().in_flight.count(), 0);
    }

    #[test]
    fn snapshot_is_made_anew_when_many_it_offers_are_out() {
        let (set, rng) = (set(10), Rng::seeded(0));
        for (id, offered) in [(0, 10), (1, 8)] {
            let peer = set.snapshot().peers()[id].clone();
            ejection::eject_manually(&peer, std::time::Duration::from_secs(60));
            drop(chooser(&set, &Uniform, &rng, &[]).permit());
            assert_eq!(set.snapshot().offered().len(), offered);
        }
    }

    #[test]
    fn many_ejections_make_few_snapshots() {
        let (set, rng) = (set(1000), Rng::seeded(3));
        let mut snapshots = 0;
        let mut latest = std::sync::Arc::as_ptr(&set.snapshot());
        for id in 0..999 {
            let peer = set.snapshot().peers()[id].clone();
            ejection::eject_manually(&peer, std::time::Duration::from_secs(60));
            let permit = chooser(&set, &Uniform, &rng, &[]).permit().unwrap();
            assert!(permit.peer().member().id > id as u64);
            let now = std::sync::Arc::as_ptr(&set.snapshot());
            snapshots += u32::from(now != latest);
            latest = now;
        }
        assert!(snapshots < 100, "{snapshots} for 999 ejections");
    }
}
