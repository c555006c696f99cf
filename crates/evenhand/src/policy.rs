//! How the peers of one balancer are ejected and brought back.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::check::Checks;
use crate::eject::Eject;
use crate::probe::BackgroundProbe;
use crate::random::Random;

/// Shared by the balancer, its tickets, and the timers of its ejections.
pub(crate) struct Policy<P> {
    pub(crate) eject: Eject,
    pub(crate) probe: Option<BackgroundProbe<P>>,
    pub(crate) checks: Checks,
    pub(crate) random: Random,
}

/// The policies of the balancers over one set, so that an attempt need carry no more than a number:
/// a reference count that all attempts share is what costs most where many threads send them.
pub(crate) struct Policies<P>(ArcSwap<Listed<P>>);

struct Listed<P> {
    /// The first balancer's. Kept: it is what an operator's ejection goes by.
    first: Option<Arc<Policy<P>>>,
    /// Those of the other balancers that are still there.
    others: Vec<(u32, Arc<Policy<P>>)>,
    next: u32,
}

/// The number of a policy in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyId(u32);

impl<P> Policies<P> {
    pub(crate) fn add(&self, policy: &Arc<Policy<P>>) -> PolicyId {
        let before = self.0.rcu(|listed| {
            let mut listed = Listed::clone(listed);
            if listed.first.is_none() {
                listed.first = Some(policy.clone());
            } else {
                listed.others.push((listed.next, policy.clone()));
            }
            listed.next = listed.next.wrapping_add(1);
            listed
        });
        PolicyId(before.next)
    }

    /// Its balancer is gone.
    pub(crate) fn remove(&self, id: PolicyId) {
        self.0.rcu(|listed| {
            let mut listed = Listed::clone(listed);
            listed.others.retain(|(other, _)| *other != id.0);
            listed
        });
    }

    /// The policy of this number. An attempt that outlives its balancer goes by the first one's.
    pub(crate) fn get(&self, id: PolicyId) -> Option<Arc<Policy<P>>> {
        let listed = self.0.load();
        let own = listed.others.iter().find(|(other, _)| *other == id.0);
        own.map(|(_, policy)| policy)
            .or(listed.first.as_ref())
            .cloned()
    }

    /// The first balancer's.
    pub(crate) fn first(&self) -> Option<Arc<Policy<P>>> {
        self.0.load().first.clone()
    }
}

impl<P> Default for Policies<P> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Listed {
            first: None,
            others: Vec::new(),
            next: 0,
        }))
    }
}

impl<P> Clone for Listed<P> {
    fn clone(&self) -> Self {
        Self {
            first: self.first.clone(),
            others: self.others.clone(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Arc<Policy<()>> {
        Arc::new(Policy {
            eject: Eject::default(),
            probe: None,
            checks: Checks::default(),
            random: Random::seeded(0),
        })
    }

    #[test]
    fn each_is_found_by_its_number_while_its_balancer_lives() {
        let policies = Policies::default();
        assert!(policies.first().is_none());
        let all = [policy(), policy(), policy()];
        let ids = all.each_ref().map(|policy| policies.add(policy));
        for (policy, id) in all.iter().zip(ids) {
            assert!(Arc::ptr_eq(policy, &policies.get(id).unwrap()));
        }
        policies.remove(ids[1]);
        policies.remove(ids[0]);
        let found = ids.map(|id| policies.get(id).unwrap());
        assert!(Arc::ptr_eq(&found[0], &all[0]), "the first one stays");
        assert!(Arc::ptr_eq(&found[1], &all[0]));
        assert!(Arc::ptr_eq(&found[2], &all[2]));
        assert_eq!(Arc::strong_count(&all[1]), 1, "nothing is kept of it");
    }
}
