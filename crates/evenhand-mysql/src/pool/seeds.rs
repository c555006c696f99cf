//! The listed peers of a pool that follows its cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenhand::{Peers, Placed};
use tokio::sync::Notify;

use crate::error::Error;
use crate::peer::{Endpoint, NamedEndpoint};

/// Any of them tells the cluster's members.
pub(super) struct Seeds {
    listed: Mutex<Listed>,
    pub(super) changed: Notify,
}

pub(super) struct Listed {
    pub(super) seeds: Arc<Vec<NamedEndpoint>>,
    /// The weights that seeds were given, which they have whenever they are peers. Those of seeds that were
    /// replaced are here until a new one has answered: until then they are peers.
    weights: BTreeMap<Arc<str>, u32>,
    /// Whether the pool's peers are the members of the cluster, and not the seeds any more.
    pub(super) are_left: bool,
}

impl Listed {
    /// A peer as it joins: a seed with its weight.
    pub(super) fn placed(
        &self,
        (name, endpoint): NamedEndpoint,
    ) -> (Arc<str>, Placed<Arc<Endpoint>>) {
        let placed = Placed::new(endpoint);
        let placed = match self.weights.get(&name) {
            Some(weight) => placed.weight(*weight),
            None => placed,
        };
        (name, placed)
    }

    /// Forgets the weights of seeds that were replaced.
    pub(super) fn forget_weights(&mut self) {
        let Self { seeds, weights, .. } = self;
        weights.retain(|name, _| seeds.iter().any(|(seed, _)| seed == name));
    }

    fn seed(&self, name: &str) -> Option<&NamedEndpoint> {
        self.seeds.iter().find(|(seed, _)| **seed == *name)
    }
}

impl Seeds {
    pub(super) fn new(seeds: Vec<NamedEndpoint>) -> Self {
        let listed = Listed {
            seeds: Arc::new(seeds),
            weights: BTreeMap::new(),
            are_left: false,
        };
        Self {
            listed: Mutex::new(listed),
            changed: Notify::new(),
        }
    }

    /// Replaces them. The peers are replaced here as well until the cluster's list has come. Of seeds that were
    /// listed before, or are peers, the endpoints stay, and with them what is known of their names.
    pub(super) fn replace(
        &self,
        mut seeds: Vec<NamedEndpoint>,
        peers: &Peers<Arc<Endpoint>>,
    ) -> Result<(), Error> {
        // Fails if two have the same name.
        Peers::new(seeds.clone())?;
        {
            let mut listed = self.listed();
            for (name, endpoint) in &mut seeds {
                let peer = peers.get(name).map(|peer| (*peer).clone());
                let before = listed.seed(name).map(|(_, endpoint)| endpoint.clone());
                let mut known = peer.into_iter().chain(before);
                if let Some(same) = known.find(|known| *known == *endpoint) {
                    *endpoint = same;
                }
            }
            if !listed.are_left {
                peers.replace_all(seeds.clone())?;
            }
            listed.seeds = Arc::new(seeds);
            if !listed.are_left {
                listed.forget_weights();
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Sets the weight of a seed, whether it is a peer at the moment or not. Returns whether it is a seed.
    pub(super) fn set_weight(&self, name: &str, weight: u32) -> bool {
        let mut listed = self.listed();
        let name = listed.seed(name).map(|(name, _)| name.clone());
        name.is_some_and(|name| {
            listed.weights.insert(name, weight);
            true
        })
    }

    pub(super) fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::PoolOptions;

    fn seeds(urls: [(&str, &str); 2]) -> Vec<NamedEndpoint> {
        Endpoint::all(urls, &PoolOptions::new()).unwrap()
    }

    #[test]
    fn seed_that_stays_keeps_its_endpoint_and_its_weight() {
        let (a, b) = (("a", "mysql://a/d"), ("b", "mysql://b/d"));
        let before = seeds([a, b]);
        let peers = Peers::new([before[0].clone()]).unwrap();
        let listed = Seeds::new(before.clone());
        listed.listed().are_left = true;
        assert!(listed.set_weight("a", 3) && listed.set_weight("b", 5));
        assert!(!listed.set_weight("c", 1));
        let is_kept = |at: usize| Arc::ptr_eq(&listed.listed().seeds[at].1, &before[at].1);
        listed.replace(seeds([a, b]), &peers).unwrap();
        assert!(
            is_kept(0) && is_kept(1),
            "one is a peer, the other was listed"
        );
        let state = listed.listed();
        let weights: Vec<_> = state
            .seeds
            .iter()
            .map(|seed| state.placed(seed.clone()).1.weight)
            .collect();
        assert_eq!(weights, [Some(3), Some(5)]);
        drop(state);
        listed
            .replace(seeds([a, ("b", "mysql://b/e")]), &peers)
            .unwrap();
        assert!(is_kept(0) && !is_kept(1));
        let other = seeds([("c", "mysql://c/d"), ("d", "mysql://d/d")]);
        listed.replace(other, &peers).unwrap();
        // Those of before are peers until one of these has answered.
        let mut state = listed.listed();
        assert_eq!(state.weights.len(), 2);
        state.forget_weights();
        assert!(state.weights.is_empty());
    }
}
