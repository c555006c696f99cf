//! How the balancers over a set eject peers and bring them back.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::eject::Eject;
use crate::rng::Rng;

/// Shared by a balancer, its tickets and its background tasks.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) eject: Eject,
    pub(crate) rng: Rng,
    /// How long a ticket that decides may take after the response.
    pub(crate) ticket_timeout: Duration,
}

/// The policies of the balancers over one set, so that an attempt carries no more than a number. A
/// reference count that all attempts share costs most where many threads send them.
pub(crate) struct Policies(ArcSwap<Listed>);

#[derive(Clone, Default)]
struct Listed {
    /// The first balancer's. Kept for operators' ejections.
    first: Option<Arc<Policy>>,
    /// Those of the other balancers that are still there.
    others: Vec<(u32, Arc<Policy>)>,
    next: u32,
}

/// The number of a policy in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyId(u32);

impl Policies {
    pub(crate) fn add(&self, policy: &Arc<Policy>) -> PolicyId {
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

    /// The policy's balancer is gone.
    pub(crate) fn remove(&self, id: PolicyId) {
        self.0.rcu(|listed| {
            let mut listed = Listed::clone(listed);
            listed.others.retain(|(other, _)| *other != id.0);
            listed
        });
    }

    /// The policy of this number. An attempt that outlives its balancer uses the first one's.
    pub(crate) fn get(&self, id: PolicyId) -> Option<Arc<Policy>> {
        let listed = self.0.load();
        let own = listed.others.iter().find(|(other, _)| *other == id.0);
        own.map(|(_, policy)| policy)
            .or(listed.first.as_ref())
            .cloned()
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Listed::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Arc<Policy> {
        Arc::new(Policy {
            eject: Eject::default(),
            rng: Rng::seeded(0),
            ticket_timeout: Duration::ZERO,
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
}
