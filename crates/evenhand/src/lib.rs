#![forbid(unsafe_code)]
//! placeholder
mod attempt;
pub mod classify;
mod eject;
mod error;
mod event;
mod future;
mod health;
mod layer;
mod peers;
mod per_peer;
mod pick;
mod place;
mod probe;
mod random;
mod replay;
mod service;
mod set;

pub use attempt::{Attempt, Ticket};
pub use classify::{AnyErrorIsDown, Classify, NothingIsDown, PeerVerdict, Retry, Verdict};
pub use eject::{DEFAULT_CHECK_INTERVAL, DEFAULT_DEGRADED_LIMIT, DEFAULT_FIRST_RECHECK, Eject};
pub use error::{Cause, Error, Tried};
pub use event::{Event, EventKind, Events, Lagged};
pub use future::ResponseFuture;
pub use layer::{AllDown, BalanceLayer};
pub use peers::{Peer, Peers, PeersError, State, Status};
pub use per_peer::{PerPeer, PerPeerFuture};
pub use replay::{Cloned, Once, Replay};
pub use service::Balance;
