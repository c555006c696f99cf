//! Where a request's next permit comes from: a peer that is up, one that is due for a probe, or one
//! that is out.

use super::asked::Asked;
use super::permit::AttemptPermit;
use crate::pick::{Pick, choose};
use crate::rng::Rng;
use crate::set::Set;
use crate::set::peer::Peer;
use crate::set::snapshot::Snapshot;
use crate::set::snapshot::offer::Offer;

/// How many more times a pick may hit a peer that is out, or was asked, before the peers that remain
/// are listed. At most an eighth of the peers in a snapshot are out, so a uniform pick of a request
/// that has asked none practically never makes a list.
const REDRAWS: usize = 15;

/// How many of the peers that remain are listed. So a request that asks `n` peers one after the
/// other takes time in proportion to `n`, but for the last few.
const LISTED: usize = 16;

/// Where a request's next permit comes from. What is rare takes it by value: so the other paths keep it in
/// registers.
pub(crate) struct Chooser<'a, Target, P, Key> {
    pub(crate) set: &'a Set<Target>,
    pub(crate) pick: &'a P,
    /// What the pick is to know of the request.
    pub(crate) key: &'a Key,
    pub(crate) rng: &'a Rng,
    /// `None` for a request's first attempt.
    pub(crate) asked: Option<&'a Asked>,
}

impl<Target, P, Key> Clone for Chooser<'_, Target, P, Key> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Target, P, Key> Copy for Chooser<'_, Target, P, Key> {}

impl<Target, Key, P: Pick<Key>> Chooser<'_, Target, P, Key> {
    /// A permit on a peer that is up or due. A request's first attempt probes a peer that is due; a
    /// later one prefers a peer that is up.
    #[inline(always)]
    pub(crate) fn permit(&self) -> Option<AttemptPermit<Target>> {
        if self.set.registry.needs_look()
            && Self::look(self.set, self.asked.is_none())
            && let Some(permit) = self.due_or_by_share()
        {
            return Some(permit);
        }
        self.any_up().or_else(|| self.probe_due())
    }

    /// Looks at the snapshot and the clock. Whether the pick is not just any peer that is up: a peer is
    /// due and this is a request's first attempt, or some ramp.
    #[cold]
    #[inline(never)]
    fn look(set: &Set<Target>, is_first: bool) -> bool {
        if set.registry.needs_refresh() {
            set.refresh();
        }
        (is_first && set.registry.any_due()) || set.registry.ramping.window().is_some()
    }

    #[cold]
    #[inline(never)]
    fn due_or_by_share(self) -> Option<AttemptPermit<Target>> {
        let is_due = self.asked.is_none() && self.set.registry.any_due();
        let probe = is_due.then(|| self.probe_due()).flatten();
        probe.or_else(|| self.up_by_share())
    }

    /// A permit on a peer that is up.
    pub(crate) fn up(&self) -> Option<AttemptPermit<Target>> {
        self.up_by_share().or_else(|| self.any_up())
    }

    /// The same, while no peer ramps.
    #[inline(always)]
    fn any_up(&self) -> Option<AttemptPermit<Target>> {
        let drawn = self.draw(&self.set.snapshot());
        drawn.or_else(|| self.redraw())
    }

    /// A permit on a peer that the snapshot offers, if it is up and the request may go there.
    #[inline(always)]
    fn draw(&self, snapshot: &Snapshot<Target>) -> Option<AttemptPermit<Target>> {
        AttemptPermit::enter(self.drawn(snapshot)?.clone())
    }

    /// A peer that the snapshot offers, if the request may go there.
    #[inline(always)]
    pub(super) fn drawn<'s>(&self, snapshot: &'s Snapshot<Target>) -> Option<&'s Peer<Target>> {
        let peer = choose(self.pick, self.key, self.rng, snapshot, snapshot.offer())?;
        // Whether it is up is read once, as it is entered.
        self.may_ask(peer).then_some(peer)
    }

    #[inline(always)]
    pub(super) fn may_ask(&self, peer: &Peer<Target>) -> bool {
        let checked = || self.set.registry.is_checked();
        let may = |asked: &Asked| asked.may_enter(peer.member(), checked());
        self.asked.is_none_or(may)
    }

    /// Draws again, up to [`REDRAWS`] times if that is of use, and then from a list.
    #[cold]
    fn redraw(self) -> Option<AttemptPermit<Target>> {
        let snapshot = self.set.snapshot();
        let redraws = if P::IS_RANDOM { REDRAWS } else { 0 };
        let drawn = (0..redraws).find_map(|_| self.draw(&snapshot));
        drop(snapshot);
        // If the snapshot offers peers that are out, the pick may insist on them.
        let stale = || self.set.snapshot().offer().len() > self.set.registry.up();
        drawn.or_else(|| {
            if stale() {
                self.set.refresh();
            }
            self.up_exactly(|_| true)
        })
    }

    /// A permit on one of the peers that are up and for which this holds.
    pub(super) fn up_exactly(
        &self,
        may: impl Fn(&Peer<Target>) -> bool,
    ) -> Option<AttemptPermit<Target>> {
        let snapshot = self.set.snapshot();
        let offered = snapshot.offer().indexes();
        self.draw_exactly(
            &snapshot,
            (offered.len(), |place| offered[place]),
            |peer| peer.is_up() && self.may_ask(peer) && may(peer),
            |_| {},
            AttemptPermit::enter,
        )
    }

    /// A permit on one of the `n` peers at the indexes `at` that are `fit`, and that `retain` leaves.
    fn draw_exactly(
        &self,
        snapshot: &Snapshot<Target>,
        (n, at): (usize, impl Fn(usize) -> u32),
        fit: impl Fn(&Peer<Target>) -> bool,
        retain: impl Fn(&mut Vec<u32>),
        enter: impl Fn(Peer<Target>) -> Option<AttemptPermit<Target>>,
    ) -> Option<AttemptPermit<Target>> {
        let peer = |index: u32| &snapshot.peers()[index as usize];
        // A few do where any of the peers does. If the pick wants none of the few, it chooses from all.
        let may_be_few = P::IS_RANDOM && !snapshot.is_tiered();
        let few = if may_be_few { LISTED } else { usize::MAX };
        for listed in [few, usize::MAX] {
            let fit = |index: &u32| fit(peer(*index));
            let shuffled = self.rng.shuffled(n).map(&at);
            let mut remaining: Vec<u32> = shuffled.filter(fit).take(listed).collect();
            retain(&mut remaining);
            let offer = |indexes| snapshot.offer().restricted(snapshot.peers(), indexes);
            let drawn = self.draw_of(snapshot, remaining, offer, &enter);
            if drawn.is_some() || n <= listed {
                return drawn;
            }
        }
        None
    }

    /// A permit on one of these peers.
    fn draw_of(
        &self,
        snapshot: &Snapshot<Target>,
        mut remaining: Vec<u32>,
        offer: impl Fn(Vec<u32>) -> Offer,
        enter: impl Fn(Peer<Target>) -> Option<AttemptPermit<Target>>,
    ) -> Option<AttemptPermit<Target>> {
        remaining.sort_unstable();
        loop {
            let offered = offer(remaining);
            let chosen = choose(self.pick, self.key, self.rng, snapshot, &offered)?;
            if let Some(permit) = enter(chosen.clone()) {
                return Some(permit);
            }
            // It was ejected this moment, or another request was faster.
            let id = chosen.member().id;
            remaining = offered.indexes();
            remaining.retain(|&index| snapshot.peers()[index as usize].member().id != id);
        }
    }

    /// A permit to probe a peer that is due.
    #[cold]
    fn probe_due(self) -> Option<AttemptPermit<Target>> {
        let may = |id| self.asked.is_none_or(|asked| asked.may_probe(id));
        let due = self.set.registry.due_for_picks(may);
        let snapshot = self.set.snapshot();
        let due = due.into_iter().filter_map(|id| snapshot.index_of(id));
        // Each has to be probed, whatever its tier.
        let offer = |indexes| Offer::without_tiers(snapshot.peers(), indexes);
        self.draw_of(&snapshot, due.collect(), offer, AttemptPermit::claim)
    }

    /// A permit on a peer that is out, as if it were up.
    #[cold]
    pub(crate) fn open(&self) -> Option<AttemptPermit<Target>> {
        let snapshot = self.set.snapshot();
        let id = |index: u32| snapshot.peers()[index as usize].member().id;
        self.draw_exactly(
            &snapshot,
            (snapshot.peers().len(), |index| index as u32),
            |peer| peer.member().health.generation_if_out().is_some() && self.may_ask(peer),
            |peers| self.set.registry.retain_open(peers, id),
            AttemptPermit::open,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::ejection;
    use crate::pick::{LeastInFlight, NoKey, Uniform};
    use crate::set::ledger::Join;

    const DRAWS: u32 = 200_000;

    fn set(n: u64) -> Set<()> {
        let set = Set::new(None);
        let peers = (0..n).map(|number| (number.to_string().into(), Some(())));
        set.update(Join::AtOnce, peers, false, |(), ()| false)
            .unwrap();
        set
    }

    fn asked(ids: &[u64]) -> Asked {
        let mut asked = Asked::default();
        ids.iter().for_each(|id| asked.add(*id));
        asked
    }

    fn chooser<'a, P>(
        set: &'a Set<()>,
        pick: &'a P,
        rng: &'a Rng,
        asked: &'a Asked,
    ) -> Chooser<'a, (), P, NoKey> {
        Chooser {
            set,
            pick,
            key: &NoKey,
            rng,
            asked: Some(asked),
        }
    }

    /// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
    fn chi_squared_limit(k: f64) -> f64 {
        k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
    }

    /// Picks are uniform over the peers for which `fair` holds, and never of another.
    fn assert_uniform(set: &Set<()>, pick: &impl Pick, tried: &[u64], fair: impl Fn(u64) -> bool) {
        let n = set.snapshot().peers().len() as u64;
        let (rng, asked) = (Rng::seeded(n), asked(tried));
        let mut picks = vec![0_u32; n as usize];
        for _ in 0..DRAWS {
            let permit = chooser(set, pick, &rng, &asked).up().unwrap();
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
        assert!(
            chooser(&set(0), &Uniform, &rng, &Asked::default())
                .permit()
                .is_none()
        );
        assert!(
            chooser(&set(2), &Uniform, &rng, &asked(&[0, 1]))
                .permit()
                .is_none()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn picks_leave_a_due_peer_to_a_prober_while_one_runs() {
        let (set, rng, second) = (set(1), Rng::seeded(0), std::time::Duration::from_secs(1));
        set.registry.add_prober();
        ejection::eject_manually(&set.snapshot().peers()[0].clone(), second);
        tokio::time::advance(second).await;
        assert!(
            chooser(&set, &Uniform, &rng, &Asked::default())
                .permit()
                .is_none()
        );
        assert_eq!(set.registry.next_due_for_picks(|_| true), None);
        set.registry.remove_prober();
        let permit = chooser(&set, &Uniform, &rng, &Asked::default())
            .permit()
            .unwrap();
        assert!(permit.epoch().is_probing());
    }

    #[test]
    fn manual_ejection_is_not_opened() {
        let (set, rng) = (set(1), Rng::seeded(0));
        let peer = set.snapshot().peers()[0].clone();
        ejection::eject_manually(&peer, std::time::Duration::from_secs(60));
        let none = Asked::default();
        assert!(chooser(&set, &Uniform, &rng, &none).open().is_none());
        assert_eq!(peer.member().in_flight.count(), 0);
    }

    #[test]
    fn snapshot_is_made_anew_when_many_it_offers_are_out() {
        let (set, rng) = (set(10), Rng::seeded(0));
        for (id, offered) in [(0, 10), (1, 8)] {
            let peer = set.snapshot().peers()[id].clone();
            ejection::eject_manually(&peer, std::time::Duration::from_secs(60));
            drop(chooser(&set, &Uniform, &rng, &Asked::default()).permit());
            assert_eq!(set.snapshot().offer().len(), offered);
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
            let permit = chooser(&set, &Uniform, &rng, &Asked::default())
                .permit()
                .unwrap();
            assert!(permit.peer().member().id > id as u64);
            let now = std::sync::Arc::as_ptr(&set.snapshot());
            snapshots += u32::from(now != latest);
            latest = now;
        }
        assert!(snapshots < 100, "{snapshots} for 999 ejections");
    }
}
