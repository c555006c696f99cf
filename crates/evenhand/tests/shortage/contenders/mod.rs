//! The clients that are compared.

mod balanced;
mod breaker;
mod fixed;
mod tower_stack;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::peers::Peers;

/// How long a request may wait for a peer.
const PATIENCE: Duration = Duration::from_secs(10);

const SEED: u64 = 1;

/// Sends one request of this client, and says whether it was served.
pub(crate) type Ask =
    Box<dyn Fn(usize) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) connect: fn(Arc<Peers>) -> Ask,
}

pub(crate) const EVENHAND: Contender = Contender {
    name: "Evenhand",
    connect: balanced::balanced,
};

pub(crate) const FIXED: Contender = Contender {
    name: "one fixed peer",
    connect: fixed::fixed,
};

pub(crate) const TOWER: Contender = Contender {
    name: "tower",
    connect: tower_stack::tower_stack,
};
