//! The peer set: who is in it, who is up, and when those that are out are due. Knows of policies,
//! but of no request and no probe.

pub(crate) mod health;
pub(crate) mod in_flight;
pub(crate) mod ledger;
#[cfg(test)]
#[cfg(evenhand_loom)]
mod loom;
pub(crate) mod member;
pub(crate) mod peer;
pub(crate) mod placed;
pub(crate) mod policies;
pub(crate) mod ramps;
pub(crate) mod registry;
pub(crate) mod snapshot;
pub(crate) mod status;

use std::cmp::Reverse;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use self::ledger::{Join, Ledger, Note};
use self::member::{Member, Place};
use self::peer::Peer;
use self::registry::Registry;
use self::snapshot::Snapshot;
use self::snapshot::offer::DEFAULT_OVERPROVISIONING;
use self::status::{State, Status};
use crate::error::PeersError;
use crate::event::{Event, EventKind};

pub(crate) struct Set<Target> {
    pub(crate) registry: Arc<Registry>,
    snapshot: ArcSwap<Snapshot<Target>>,
    /// The id of the next new peer.
    next_id: AtomicU64,
}

impl<Target> Set<Target> {
    pub(crate) fn new(name: Option<Arc<str>>) -> Self {
        Self {
            registry: Arc::new(Registry::new(name)),
            snapshot: ArcSwap::from_pointee(Snapshot::new(Arc::default(), |_| true, 1.0)),
            next_id: AtomicU64::new(0),
        }
    }

    /// The current snapshot. Cheap; not to be held for long.
    #[inline]
    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot<Target>>> {
        self.snapshot.load()
    }

    /// Makes the snapshot anew, without the peers that may leave.
    #[cold]
    pub(crate) fn refresh(&self) {
        let ledger = self.registry.lock();
        let peers = self.snapshot.load().shared_peers();
        self.renew(ledger, peers, Vec::new());
    }

    /// Sets how much more than its share a tier can carry.
    pub(crate) fn set_overprovisioning(&self, factor: f64) {
        self.registry.lock().overprovisioning = Some(factor);
        self.refresh();
    }

    /// The peer with this name: of two the new one, if the old one is leaving.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none.
    pub(crate) fn peer(&self, name: &str) -> Result<Peer<Target>, PeersError> {
        let snapshot = self.snapshot();
        let found = snapshot.peers().iter().rfind(|peer| peer.name() == name);
        found
            .cloned()
            .ok_or_else(|| PeersError::Unknown(name.into()))
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let snapshot = self.snapshot.load_full();
        let members = || snapshot.peers().iter().map(Peer::member);
        let ledger = self.registry.lock();
        let told: Vec<_> = members()
            .map(|member| (ledger.due(member.id), ledger.note(member.id)))
            .collect();
        drop(ledger);
        let now = Instant::now();
        let status = |(member, (due, note)): (&Member, (Option<_>, Option<Note>))| {
            let state = State::from(member.health.read().phase);
            Status {
                peer: member.name.clone(),
                state,
                next_probe: due.filter(|_| state == State::Ejected),
                in_flight: member.in_flight.count(),
                weight: member.weight(),
                tier: member.tier(),
                since: note.map_or(now, |note| note.since),
                last_reason: note.and_then(|note| note.reason),
            }
        };
        members().zip(told).map(status).collect()
    }

    /// A peer that may join this set.
    pub(crate) fn new_peer(&self, name: Arc<str>, target: Target) -> Peer<Target> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Peer::new(Member::new(id, name), target, &self.registry)
    }

    /// Changes the membership in one go, as [`edit_if`](Self::edit_if), whatever the state of the peers.
    ///
    /// # Errors
    ///
    /// Those of `plan`; then nothing is changed.
    pub(crate) fn edit(
        &self,
        join: Join,
        named: impl Fn(&Member) -> Option<Place>,
        plan: impl Fn(&[Peer<Target>]) -> Result<Vec<Peer<Target>>, PeersError>,
    ) -> Result<(), PeersError> {
        self.edit_if(join, |_| true, named, plan)
    }

    /// Changes the membership in one go. Given the peers, `plan` says which are to be there: those
    /// that stay and [new ones](Self::new_peer), of unique names. It runs outside the lock, and again
    /// if another edit came first or a peer that is to leave is not one that `may_go`, so it may call code of
    /// a user. Peers that stay and are `named` are not to leave any more, and have their place afterwards.
    ///
    /// # Errors
    ///
    /// Those of `plan`; then nothing is changed.
    pub(crate) fn edit_if(
        &self,
        join: Join,
        may_go: impl Fn(&Member) -> bool,
        named: impl Fn(&Member) -> Option<Place>,
        plan: impl Fn(&[Peer<Target>]) -> Result<Vec<Peer<Target>>, PeersError>,
    ) -> Result<(), PeersError> {
        loop {
            let before = self.snapshot.load_full();
            let mut peers = plan(before.peers())?;
            // In order already, unless another edit made its peers later and was first.
            peers.sort_by_key(|peer| peer.member().id);
            let mut peers: Arc<[_]> = peers.into();
            let gone = missing(before.peers(), &peers);
            let joined = missing(&peers, before.peers());
            let named = |peer| Some((Peer::member(peer), named(Peer::member(peer))?));
            let changes = |(member, place): &(&Member, Place)| {
                member.is_leaving() || place.differs_from(member)
            };
            let changed: Vec<_> = peers.iter().filter_map(named).filter(changes).collect();
            if gone.is_empty() && joined.is_empty() && changed.is_empty() {
                return Ok(());
            }
            let mut events = Vec::with_capacity(gone.len() + joined.len());

            let mut ledger = self.registry.lock();
            let all_may_go = gone.iter().all(|peer| may_go(peer.member()));
            if !all_may_go || !self.snapshot().is_of_the_same_peers(&before) {
                continue;
            }
            for (member, place) in changed {
                ledger.keep(member);
                place.give(member);
            }
            let mut later = Vec::new();
            for peer in gone {
                if ledger.dismiss(peer.member(), join) {
                    ledger.leave(peer.member());
                    events.push(
                        self.registry
                            .note(&mut ledger, peer.member(), EventKind::Removed),
                    );
                } else {
                    later.push(peer);
                }
            }
            let now = self.registry.ramp_time(&ledger);
            for peer in joined {
                ledger.join(peer.member(), join, now);
                events.push(
                    self.registry
                        .note(&mut ledger, peer.member(), EventKind::Added),
                );
            }
            if !later.is_empty() {
                let mut all: Vec<_> = later.into_iter().chain(&*peers).cloned().collect();
                all.sort_by_key(|peer| peer.member().id);
                peers = all.into();
            }
            self.renew(ledger, peers, events);
            self.registry.available.notify_one();
            self.registry.due_changed.notify_waiters();
            // `before` may hold the last handle of a peer that left. It is dropped last, as that may
            // panic.
            return Ok(());
        }
    }

    /// Makes a snapshot of these peers, without those that may leave.
    fn renew(
        &self,
        mut ledger: MutexGuard<'_, Ledger>,
        mut peers: Arc<[Peer<Target>]>,
        mut events: Vec<Event>,
    ) {
        let may_leave = ledger.may_leave();
        if may_leave > 0 {
            let members = peers.iter().map(Peer::member);
            let mut gone: Vec<&Member> = members.filter(|member| member.is_leaving()).collect();
            // Those that are out before the others, and then those of the last tier.
            gone.sort_by_key(|member| {
                let is_up = member.health.generation_if_up().is_some();
                (is_up, Reverse(member.tier()))
            });
            for member in gone.into_iter().take(may_leave) {
                ledger.leave(member);
                events.push(self.registry.note(&mut ledger, member, EventKind::Removed));
            }
            let stay = peers.iter().filter(|peer| !peer.member().is_removed());
            peers = stay.cloned().collect();
        }
        let counts = |peer: &Peer<Target>| ledger.counts(peer.member());
        let factor = ledger.overprovisioning.unwrap_or(DEFAULT_OVERPROVISIONING);
        let snapshot = Snapshot::new(peers, counts, factor);
        ledger.refreshed(!snapshot.offer().tiers().is_empty());
        let before = self.snapshot.swap(Arc::new(snapshot));
        // Of several events of one edit the last one tells what became of the set.
        if let Some(last) = events.last_mut() {
            last.set = ledger.take_turn();
        }
        self.registry.publish(&ledger);
        events.iter().for_each(|event| self.registry.send(event));
        let up = ledger.up;
        drop(ledger);
        events.iter().for_each(|event| event.trace(up));
        // It may hold the last handle of a peer that left. It is dropped last, as that may panic.
        drop(before);
    }
}

/// Those of the peers that are not among the others. Both are in the order of their ids.
fn missing<'a, Target>(
    peers: &'a [Peer<Target>],
    others: &[Peer<Target>],
) -> Vec<&'a Peer<Target>> {
    let mut others = others.iter().map(|other| other.member().id).peekable();
    let is_missing = |peer: &&Peer<Target>| {
        let id = peer.member().id;
        while others.next_if(|other| *other < id).is_some() {}
        others.next_if_eq(&id).is_none()
    };
    peers.iter().filter(is_missing).collect()
}

impl<Target> fmt::Debug for Set<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;
    use crate::set::health::Phase;

    fn named(names: &[&str]) -> Vec<(Arc<str>, Option<u32>)> {
        names.iter().map(|&name| (name.into(), Some(1))).collect()
    }

    fn set(names: &[&str]) -> Set<u32> {
        let set = Set::new(None);
        set.update(Join::AtOnce, named(names), false, u32::eq)
            .unwrap();
        set
    }

    fn names(set: &Set<u32>) -> Vec<String> {
        let snapshot = set.snapshot();
        snapshot
            .peers()
            .iter()
            .map(|peer| peer.name().into())
            .collect()
    }

    #[test]
    fn same_list_again_compares_each_target_once_and_takes_no_lock() {
        let all: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (set, compared) = (set(&all), Cell::new(0));
        let before = set.snapshot.load_full();
        std::thread::scope(|scope| {
            let (locked, is_locked) = std::sync::mpsc::channel();
            let (done, is_done) = std::sync::mpsc::channel();
            let registry = set.registry.clone();
            scope.spawn(move || {
                let _ledger = registry.lock();
                locked.send(()).unwrap();
                is_done.recv_timeout(Duration::from_secs(5)).unwrap();
            });
            is_locked.recv().unwrap();
            let same = |own: &u32, wanted: &u32| {
                compared.set(compared.get() + 1);
                own == wanted
            };
            set.update(Join::AtOnce, named(&all), false, same).unwrap();
            done.send(()).unwrap();
        });
        assert_eq!(compared.get(), 1000);
        assert!(Arc::ptr_eq(&before, &set.snapshot.load_full()));
    }

    #[test]
    fn an_edit_that_another_one_overtook_starts_again() {
        let (set, calls) = (set(&["a", "b"]), Cell::new(0));
        let same = |own: &u32, wanted: &u32| {
            calls.set(calls.get() + 1);
            if calls.get() == 1 {
                // Within the comparison, so that is under no lock. `b` is another peer from here on.
                let other = [("b".into(), Some(2)), ("x".into(), Some(1))];
                set.update(Join::AtOnce, other, true, u32::eq).unwrap();
            }
            own == wanted
        };
        set.update(Join::AtOnce, named(&["a", "b", "c"]), false, same)
            .unwrap();
        assert_eq!(calls.get(), 4);
        assert_eq!(names(&set), ["a", "b", "c"]);
        assert_eq!(*set.peer("b").unwrap(), 1);
        // Ids grow in the order of the peers.
        for (index, peer) in set.snapshot().peers().iter().enumerate() {
            assert_eq!(
                set.snapshot().index_of(peer.member().id),
                Some(index as u32)
            );
        }
    }

    #[test]
    fn an_edit_is_planned_anew_if_a_peer_may_not_go_any_more() {
        let (set, plans) = (set(&["a", "b"]), Cell::new(0));
        let gone = set.peer("a").unwrap();
        gone.member().health.drain().unwrap();
        let is_drained = |member: &Member| member.health.read().phase == Phase::Draining;
        let plan = |peers: &[Peer<u32>]| {
            plans.set(plans.get() + 1);
            let mut stay = peers.to_vec();
            stay.retain(|peer| !is_drained(peer.member()));
            // Restored between the plan and the lock.
            gone.member().health.restore();
            Ok(stay)
        };
        set.edit_if(Join::AtOnce, is_drained, |_| None, plan)
            .unwrap();
        assert_eq!(
            (plans.get(), names(&set)),
            (2, vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn a_refresh_makes_no_new_list_of_peers() {
        let set = set(&["a", "b"]);
        let before = set.snapshot.load_full();
        set.refresh();
        let after = set.snapshot();
        assert!(!Arc::ptr_eq(&before, &after));
        assert!(after.is_of_the_same_peers(&before));
    }
}
