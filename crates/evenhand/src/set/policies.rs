//! How the balancers over a set eject peers and bring them back.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;

use crate::eject::Eject;
use crate::rng::Rng;
use crate::timeouts::Timeouts;

/// Shared by a balancer, its tickets and its background tasks.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) eject: Eject,
    pub(crate) rng: Rng,
    /// Those of tickets that decide, from the response on.
    pub(crate) ticket_timeouts: Arc<Timeouts>,
}

/// The policies of the balancers over one set, so that an attempt carries no more than a number. A
/// reference count that all attempts share costs most where many threads send them.
///
/// Each policy has a place of its own, which never moves. So it is found without a lock, and one of
/// many balancers over a set costs no more than one of few.
#[derive(Default)]
pub(crate) struct Policies {
    /// The first balancer's, for attempts that outlive their balancer.
    first: OnceLock<Arc<Policy>>,
    /// A number's highest bit says in which segment its place is, the other bits where in it. So
    /// segment `k` has `2^k` places. It is made when those before it are full.
    segments: [OnceLock<Box<[ArcSwapOption<Policy>]>>; u32::BITS as usize],
    /// The numbers of the places that are empty.
    free: Mutex<Vec<u32>>,
}

/// The number of a policy in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyId(u32);

impl PolicyId {
    /// The first policy's.
    pub(crate) const FIRST: Self = Self(1);
}

impl Policies {
    pub(crate) fn add(&self, policy: &Arc<Policy>) -> PolicyId {
        self.first.get_or_init(|| policy.clone());
        let mut free = self.free();
        let id = PolicyId(free.pop().unwrap_or_else(|| {
            let full = self.segments.iter().take_while(|made| made.get().is_some());
            let full = full.count();
            let size = 1 << full;
            self.segments[full].get_or_init(|| (0..size).map(|_| ArcSwapOption::empty()).collect());
            free.extend((size + 1..=size - 1 + size).rev());
            size
        }));
        drop(free);
        if let Some(place) = self.place(id) {
            place.store(Some(policy.clone()));
        }
        id
    }

    /// The policy's balancer is gone.
    pub(crate) fn remove(&self, id: PolicyId) {
        let gone = self.place(id).map(|place| place.swap(None));
        self.free().push(id.0);
        // Last and outside the lock, as it may drop what the user's accruals are made with.
        drop(gone);
    }

    /// The policy of this number. An attempt that outlives its balancer uses the first one's, or the
    /// one of a balancer that got the number since.
    pub(crate) fn get(&self, id: PolicyId) -> Option<Arc<Policy>> {
        let own = self.place(id).and_then(ArcSwapOption::load_full);
        own.or_else(|| self.first.get().cloned())
    }

    fn place(&self, id: PolicyId) -> Option<&ArcSwapOption<Policy>> {
        let segment = id.0.ilog2();
        let places = self.segments[segment as usize].get()?;
        places.get((id.0 - (1 << segment)) as usize)
    }

    fn free(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn policy() -> Arc<Policy> {
        Arc::new(Policy {
            eject: Eject::default(),
            rng: Rng::seeded(0),
            ticket_timeouts: Timeouts::new(Duration::ZERO),
        })
    }

    #[test]
    fn policy_is_found_while_its_balancer_lives() {
        let policies = Policies::default();
        let all = [policy(), policy(), policy()];
        let ids = all.each_ref().map(|policy| policies.add(policy));
        for (policy, id) in all.iter().zip(ids) {
            assert!(Arc::ptr_eq(policy, &policies.get(id).unwrap()));
        }
        policies.remove(ids[1]);
        policies.remove(ids[0]);
        let found = ids.map(|id| policies.get(id).unwrap());
        assert!(Arc::ptr_eq(&found[0], &all[0]), "the first policy is kept");
        assert!(Arc::ptr_eq(&found[1], &all[0]));
        assert!(Arc::ptr_eq(&found[2], &all[2]));
        assert_eq!(
            Arc::strong_count(&all[1]),
            1,
            "the second policy is dropped"
        );
    }

    #[test]
    fn many_policies_come_and_go_and_none_is_moved() {
        let (policies, one) = (Policies::default(), policy());
        let first = policies.add(&one);
        let place: *const _ = policies.place(first).unwrap();
        for _ in 0..3 {
            let ids: Vec<_> = (0..16_000).map(|_| policies.add(&one)).collect();
            assert!(std::ptr::eq(place, policies.place(first).unwrap()));
            ids.into_iter().for_each(|id| policies.remove(id));
        }
        let segments = policies.segments.iter().filter_map(OnceLock::get);
        let places: usize = segments.map(|places| places.len()).sum();
        assert!(places < 2 * 16_001, "{places}: gone ones make room");
        // Held by the test, as the first, and in its place.
        assert_eq!(Arc::strong_count(&one), 3);
    }
}
