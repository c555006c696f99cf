//! The listed peers of a pool that follows its cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenhand::Peers;
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
    /// Whether the pool's peers are the members of the cluster, and not the seeds any more.
    pub(super) are_left: bool,
}

impl Seeds {
    pub(super) fn new(seeds: Vec<NamedEndpoint>) -> Self {
        let listed = Listed {
            seeds: Arc::new(seeds),
            are_left: false,
        };
        Self {
            listed: Mutex::new(listed),
            changed: Notify::new(),
        }
    }

    /// Replaces them. The peers are replaced here as well until the cluster's list has come.
    pub(super) fn replace(
        &self,
        seeds: Vec<NamedEndpoint>,
        peers: &Peers<Arc<Endpoint>>,
    ) -> Result<(), Error> {
        // Fails if two have the same name.
        Peers::new(seeds.clone())?;
        {
            let mut listed = self.listed();
            if !listed.are_left {
                peers.replace_all(seeds.clone())?;
            }
            listed.seeds = Arc::new(seeds);
        }
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
