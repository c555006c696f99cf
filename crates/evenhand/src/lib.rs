#![forbid(unsafe_code)]
//! placeholder
mod accrual;
mod attempt;
pub mod classify;
#[cfg(feature = "discover")]
pub mod discover;
mod eject;
mod error;
mod event;
mod future;
mod guard;
mod health;
mod in_flight;
mod layer;
mod member;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(test)]
#[cfg(evenhand_loom)]
mod models;
mod observe;
mod peer;
mod peers;
mod per_peer;
mod pick;
mod place;
mod policy;
mod probe;
mod random;
mod replay;
#[cfg(feature = "serde")]
mod serialize;
mod service;
mod set;
mod status;

pub use accrual::Accrual;
pub use attempt::{Attempt, Ticket};
pub use classify::{AnyErrorIsDown, Classify, NothingIsDown, PeerVerdict, Retry, Verdict};
pub use eject::{DEFAULT_CHECK_INTERVAL, DEFAULT_DEGRADED_LIMIT, DEFAULT_FIRST_RECHECK, Eject};
pub use error::{Cause, Error, Tried};
pub use event::{Event, EventKind, Events, Lagged};
pub use future::ResponseFuture;
pub use guard::TaskGuard;
pub use layer::{AllDown, BalanceLayer};
pub use observe::Observer;
pub use peer::Peer;
pub use peers::Peers;
pub use per_peer::{PerPeer, PerPeerFuture};
pub use pick::{Candidates, LeastInFlight, Pick, Uniform, Weighted};
pub use replay::{Cloned, Once, Replay};
pub use service::Balance;
pub use set::PeersError;
pub use status::{State, Status};
