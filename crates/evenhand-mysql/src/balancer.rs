//! The balancer as a pool has it: called by many tasks at a time, through a shared reference.

use std::sync::{Arc, Mutex, TryLockError};

use evenhand::{Balance, Cloned};
use tower_service::Service;

use crate::classify::ByPhase;
use crate::connector::{Checkout, Connector};
use crate::endpoint::Endpoint;

type Inner = Balance<Connector, Arc<Endpoint>, ByPhase, Cloned>;

pub(crate) struct Balancer {
    /// Used again and again: a clone that was used before finds its peer at less cost than a new
    /// one. It holds on to a peer that was removed, whose connections are closed by then, until it
    /// is used again.
    kept: Mutex<Inner>,
    /// What who finds that in use makes a clone of. Nobody waits here for another.
    template: Inner,
}

impl Balancer {
    pub(crate) fn new(template: Inner) -> Self {
        Self {
            kept: Mutex::new(template.clone()),
            template,
        }
    }

    pub(crate) fn call(&self, request: Checkout) -> <Inner as Service<Checkout>>::Future {
        match self.kept.try_lock() {
            Ok(mut kept) => kept.call(request),
            Err(TryLockError::Poisoned(kept)) => kept.into_inner().call(request),
            Err(TryLockError::WouldBlock) => self.template.clone().call(request),
        }
    }
}
