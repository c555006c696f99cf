//! A health-aware client-side balancer for any transport, as a [`tower`] layer.
//!
//! It spreads requests at random over equal peers, takes a peer out when a classifier says that it
//! failed, tries the request on another, and brings the peer back when it has proved itself.
//!
//! ```
//! use evenhand::{AnyErrorIsDown, Attempt, BalanceLayer, Peers};
//! use std::io;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let peers = Peers::new([("db0", "10.0.0.1"), ("db1", "10.0.0.2")])?;
//! let balance = ServiceBuilder::new()
//!     .layer(BalanceLayer::new(peers.clone()).classify(AnyErrorIsDown::safe()))
//!     .service(service_fn(async |attempt: Attempt<&'static str, &'static str>| {
//!         match *attempt.peer {
//!             "10.0.0.1" => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
//!             at => Ok(format!("{}, from {at}", attempt.request)),
//!         }
//!     }));
//!
//! for _ in 0..20 {
//!     assert_eq!(balance.clone().oneshot("hello").await?, "hello, from 10.0.0.2");
//! }
//! assert_eq!(peers.up_count(), 1);
//! # Ok(()) }
//! ```
//!
//! [`tower`]: https://docs.rs/tower
//!
//! # The parts
//!
//! - [`Peers`]: the peer set, with the health of each peer. With it an operator adds, removes,
//!   drains, ejects, restores and watches peers.
//! - [`BalanceLayer`]: how to balance, as a value. It wraps a *connector*, a cloneable
//!   `Service<Attempt<P, R>>`, into a [`Balance`], a `Service<R>`. Where the peers are services
//!   already, [`PerPeer`] is the connector.
//! - [`Classify`]: judges each outcome: is the peer healthy, and may another be tried? See
//!   [`classify`] for how to write one.
//! - [`Replay`]: how a request is kept for another attempt, and whether it may be executed twice.
//! - [`Eject`]: when a peer is ejected, and for how long. [`Accrual`]: a policy of your own.
//! - [`Pick`]: which of the peers that are up gets the attempt: [`Uniform`], [`Weighted`],
//!   [`LeastInFlight`], or your own.
//! - [`Ticket`]: for outcomes that come later than the response.
//! - [`Probe`] and [`ActiveChecks`]: background probes of ejected peers, and checks of peers that
//!   are up.
//! - [`Hedge`]: a balancer that sends a slow request to a second peer as well
//!   ([`BalanceLayer::hedge_after`]).
//! - [`Observer`] and [`Events`]: what happens to peers, as a callback or as a stream.
//!
//! # A peer's states
//!
//! ```text
//!                       outcomes say that it failed
//!             ┌────────┐ ───────────────────────► ┌───────────┐
//!             │   Up   │                          │  Ejected  │ ◄──────┐
//!             └────────┘ ◄──────┐                 └───────────┘        │
//!               │    ▲          │ the probe        its time │          │ the probe
//!         drain │    │ restore  │ succeeded        has come ▼          │ failed
//!               ▼    │          │                 ┌───────────┐        │
//!             ┌──────────┐      └──────────────── │  Probing  │ ───────┘
//!             │ Draining │                        └───────────┘
//!             └──────────┘
//! ```
//!
//! Only a peer that is up is picked. An ejected peer gets at most one attempt at a time, the
//! *probe*, which finds out whether the peer is back. By default the probe is the next caller's
//! attempt; if it fails, the request goes to another peer if its verdict allows that. With
//! [`BalanceLayer::probe`] a background service probes instead, and no caller waits for a probe.
//! That service can also check peers that are up and idle ([`Probe::active_checks`]).
//!
//! An outcome counts only for the state in which its peer was picked: a late failure from before a
//! recovery does not eject the peer, and a late success does not bring an ejected peer back.
//!
//! # Defaults
//!
//! | what | default | where |
//! | --- | --- | --- |
//! | verdicts | any error ejects | [`AnyErrorIsDown`] |
//! | retry | idempotent requests only; no request counts as idempotent | [`Cloned`] |
//! | ejection | the first `Down`, or 5 `Degraded` in a row | [`Eject::on_first`] |
//! | first recheck | after 1 s, ± 10 % | [`DEFAULT_FIRST_RECHECK`] |
//! | then | doubling up to 30 s, ± 10 % | [`DEFAULT_MAX_RECHECK_INTERVAL`] |
//! | peers that stay up whatever happens | none | [`Eject::min_up`] |
//! | all down | fail at once | [`AllDown::Fail`] |
//! | pick | uniform | [`Uniform`] |
//! | probe | the next caller's attempt | [`BalanceLayer::probe`] |
//! | active checks | none | [`Probe::active_checks`] |
//! | hedging | none | [`BalanceLayer::hedge_after`] |
//!
//! With these defaults a request whose attempt fails is not tried on another peer: say with
//! [`BalanceLayer::classify`] which errors are safe to retry, or with [`BalanceLayer::replay`] which
//! requests are idempotent.
//!
//! # Runtime
//!
//! Times are those of tokio. A runtime with a timer is needed for [`AllDown::WaitUpTo`],
//! [`BalanceLayer::probe`] and hedging; [`Peers::observe`] needs a runtime. The rest works
//! without one.
//!
//! # How to stack it
//!
//! [`Balance`] is always ready and can be cloned freely, so it needs no `Buffer`.
//!
//! - **Above it** goes what holds for the request as a whole: a `Timeout` over all attempts, a
//!   `ConcurrencyLimit` or `LoadShed` for backpressure (the balancer exerts none), metrics of what
//!   the caller sees.
//! - **Below it**, around the connector, goes what holds for each attempt: a `Timeout` for one peer,
//!   metrics of each attempt. A peer that hangs is noticed only by such a timeout: give one.
//! - Not above it: `Retry` for a peer's failures. The balancer tries other peers itself, and knows
//!   which it has tried.
//!
//! [`Error<E>`] is a `std::error::Error` if `E` is one. `Box<dyn Error>`, the error of tower's
//! `Timeout`, is not: where a `Timeout` is below the balancer, put a `map_err` to an error type of
//! your own between the two. Keep the connector's error there, so that the classifier sees it:
//!
//! ```
//! use std::io;
//!
//! fn unbox(error: Box<dyn std::error::Error + Send + Sync>) -> io::Error {
//!     match error.downcast::<io::Error>() {
//!         Ok(error) => *error,
//!         Err(elapsed) => io::Error::new(io::ErrorKind::TimedOut, elapsed),
//!     }
//! }
//! // .layer(balance).map_err(unbox).timeout(..).service(connector)
//! # let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
//! # assert_eq!(unbox(refused.into()).kind(), io::ErrorKind::ConnectionRefused);
//! ```
//!
//! # Beside tower's own `balance`
//!
//! `tower::balance::p2c` picks the less loaded of two ready services. It is the better choice where
//! peers differ in speed and load tells them apart, where the peers come from a `Discover` and are
//! long-lived connections with readiness of their own, and where nothing fails fast. It has no
//! notion of a peer's failure: one that answers errors quickly looks idle and draws traffic; a
//! request is tried once; a service that fails in `poll_ready` is dropped; and it must be shared
//! through a `Buffer`. Choose this crate where peers are equal and fail, restart and are drained,
//! and where a request that failed on one should be served by another.
//!
//! # Features
//!
//! | feature | gives |
//! | --- | --- |
//! | `discover` | `Peers::follow`: peers that come from a `tower::discover::Discover` |
//! | `metrics` | `Peers::record_metrics`: counters and gauges through the `metrics` facade |
//! | `serde` | `Serialize` for [`Status`], [`State`], [`Event`] and [`EventKind`] |
//!
//! None is on by default.
//!
//! # What it costs
//!
//! On the healthy path: no lock, no allocation, no clock read, no task, and a cost that grows neither
//! with the number of peers nor with how many of them are ejected.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod attempt;
mod balance;
pub mod classify;
#[cfg(feature = "discover")]
pub mod discover;
mod eject;
mod error;
mod event;
mod hedge;
mod interval;
mod observe;
mod peers;
mod pick;
mod probe;
mod replay;
mod rng;
#[cfg(feature = "serde")]
mod serialize;
mod set;
mod task_guard;

pub use attempt::{Attempt, PerPeer, PerPeerFuture, Ticket};
pub use balance::all_down::AllDown;
pub use balance::future::ResponseFuture;
pub use balance::layer::BalanceLayer;
pub use balance::rules::Rules;
pub use balance::service::Balance;
pub use classify::{
    AnyErrorIsDown, Classify, NothingIsDown, OnError, PeerVerdict, Retry, Unless, Verdict, on_error,
};
pub use eject::{
    Accrual, DEFAULT_DEGRADED_LIMIT, DEFAULT_FIRST_RECHECK, DEFAULT_MAX_RECHECK_INTERVAL, Eject,
};
pub use error::{Cause, Error, PeersError, Tried};
pub use event::{Event, EventKind, Events, Lagged};
pub use hedge::{Hedge, HedgeFuture, HedgeLayer};
pub use observe::Observer;
pub use peers::Peers;
pub use pick::{Candidates, LeastInFlight, Pick, Uniform, Weighted};
pub use probe::{ActiveChecks, DEFAULT_FALL, Probe};
pub use replay::{Cloned, Once, Replay};
pub use set::peer::Peer;
pub use set::status::{State, Status};
pub use task_guard::TaskGuard;
