//! The balancer: layer, service and response future, and what a request does when its first peer
//! does not settle it. Knows of attempts, probes and the set, but of no hedging.

mod abandon;
pub(crate) mod all_down;
pub(crate) mod failover;
pub(crate) mod future;
pub(crate) mod history;
pub(crate) mod layer;
pub(crate) mod lazy;
pub(crate) mod rules;
pub(crate) mod service;
pub(crate) mod shared;
pub(crate) mod time;
pub(crate) mod wait;
