#![forbid(unsafe_code)]
//! placeholder
mod accrual;
mod attempt;
mod check;
pub mod classify;
mod eject;
mod error;
mod event;
mod future;
mod health;
mod hedge;
mod hedge_future;
mod history;
mod in_flight;
mod layer;
mod leg;
mod loser;
mod member;
#[cfg(test)]
#[cfg(evenhand_loom)]
mod models;
mod peer;
mod peers;
mod per_peer;
mod pick;
mod place;
mod policy;
mod probe;
mod random;
mod replay;
mod service;
mod set;
mod status;

pub use accrual::Accrual;
pub use attempt::{Attempt, Ticket};
pub use check::{DEFAULT_FALL, DEFAULT_RISE};
pub use classify::{AnyErrorIsDown, Classify, NothingIsDown, PeerVerdict, Retry, Verdict};
pub use eject::{DEFAULT_CHECK_INTERVAL, DEFAULT_DEGRADED_LIMIT, DEFAULT_FIRST_RECHECK, Eject};
pub use error::{Cause, Error, Tried};
pub use event::{Event, EventKind, Events, Lagged};
pub use future::ResponseFuture;
pub use hedge::{Hedge, HedgeLayer};
pub use hedge_future::HedgeFuture;
pub use layer::{AllDown, BalanceLayer};
pub use loser::{DropLoser, HandLoser, Loser, LoserLeg, OnLoser};
pub use peer::Peer;
pub use peers::Peers;
pub use per_peer::{PerPeer, PerPeerFuture};
pub use pick::{Candidates, LeastInFlight, Pick, Uniform, Weighted};
pub use replay::{Cloned, Once, Replay};
pub use service::Balance;
pub use set::PeersError;
pub use status::{State, Status};
