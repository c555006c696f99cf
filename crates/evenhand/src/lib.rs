//! A health-aware client-side balancer for any transport, as a [`tower`] layer.
//!
//! It spreads requests at random over equal peers. It ejects a peer when a classifier says that the
//! peer failed, tries the request on another one, and brings the peer back when a probe succeeds.
//!
//! ```
//! use evenhand::{AnyErrorIsDown, Attempt, BalanceLayer, Peers};
//! use std::io;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! // Your transport: one request to one peer.
//! async fn send(attempt: Attempt<String, String>) -> io::Result<String> {
//!     match attempt.peer.as_str() {
//!         "10.0.0.1" => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
//!         at => Ok(format!("{}, from {at}", attempt.request)),
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let peers = Peers::new([("db0", "10.0.0.1".to_owned()), ("db1", "10.0.0.2".to_owned())])?;
//! let balance = ServiceBuilder::new()
//!     .layer(BalanceLayer::new(peers.clone()).classify(AnyErrorIsDown::safe()))
//!     .service(service_fn(send));
//!
//! for _ in 0..20 {
//!     let balance = balance.clone();
//!     let task = tokio::spawn(async move { balance.oneshot("hello".to_owned()).await });
//!     assert_eq!(task.await??, "hello, from 10.0.0.2");
//! }
//! assert_eq!(peers.up_count(), 1);
//! # Ok(()) }
//! ```
//!
//! [`tower`]: https://docs.rs/tower
//!
//! # The parts
//!
//! - [`Peers`]: the peer set, with the health of each peer. Operators hold a clone: add, remove,
//!   drain, eject, restore, and read statuses and events.
//! - [`BalanceLayer`]: how to balance, as a value. It wraps a *connector*, a cloneable
//!   `Service<Attempt<Target, Request>>`, into a [`Balance`], a `Service<Request>`. If the peers are
//!   services already, [`PerPeer`] is the connector.
//! - [`Classify`]: judges each outcome. What does it say about the peer, and may another peer be
//!   tried? See [`classify`] for how to write one.
//! - [`Replay`]: how a request is copied for another attempt, and whether it may be executed twice.
//! - [`Eject`]: when a peer is ejected, and for how long. [`Accrual`]: a custom policy.
//! - [`Probe`]: how ejected peers are probed, and peers that are up checked, in the background.
//! - [`Pick`]: which of the peers that are up: [`Uniform`], [`Weighted`], [`LeastInFlight`], or your
//!   own.
//! - [`Ticket`]: for outcomes that come later than the response, beside it ([`Attempt::ticket`]) or in
//!   its place ([`Attempt::deciding_ticket`]).
//! - [`Hedge`]: a balancer that asks a second peer where the first takes long
//!   ([`BalanceLayer::hedge_after`]).
//! - [`Error`]: why a request failed, with every peer that was tried. [`BoxErrorsLayer`] makes boxed
//!   errors fit.
//! - [`Observer`] and [`Events`]: what happens to peers, delivered outside every lock.
//!
//! # A peer's states
//!
//! ```text
//!                    outcomes say that it failed
//!           ┌────────┐ ──────────────────────► ┌───────────┐
//!           │   Up   │                         │  Ejected  │ ◄──────┐
//!           └────────┘ ◄──────┐                └───────────┘        │
//!             │    ▲          │ the probe       it is due │         │ the probe
//!       drain │    │ restore  │ succeeded                 ▼         │ failed
//!             ▼    │          │                ┌───────────┐        │
//!           ┌──────────┐      └─────────────── │  Probing  │ ───────┘
//!           │ Draining │                       └───────────┘
//!           └──────────┘
//! ```
//!
//! Only a peer that is up is picked. At most one attempt, the *probe*, is in flight to find whether
//! an ejected peer is back. By default the probe is the next caller's attempt, which goes on to
//! another peer like any other if it fails. With [`BalanceLayer::probe`] it is a service that runs in
//! the background, off every caller's path; it can check peers that are up as well
//! ([`Probe::active_checks`]).
//!
//! A peer joins in state `Up`, or on proof ([`Peers::joining_on_proof`]): then it starts `Ejected` and
//! due.
//!
//! An outcome counts only for the state in which its peer was picked. A slow failure from before a
//! recovery does not eject the peer, and a slow success from before an ejection does not bring it
//! back.
//!
//! # Outcomes that come late
//!
//! The head of a stream may be well while its body breaks. If each head counts as a success, breaks
//! do not add up; if a head counts as nothing, a probe ends before it has shown anything. So a
//! connector can say that its ticket decides. The attempt then counts once, with what the ticket
//! reports:
//!
//! ```
//! use std::io;
//! use evenhand::{Attempt, BalanceLayer, Peers, Ticket, Verdict};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! struct Body { ticket: Ticket<String> }
//!
//! impl Body {
//!     async fn read(self) -> io::Result<()> {
//!         // ..and it breaks off:
//!         self.ticket.report(Verdict::down().because("the body broke off"));
//!         Err(io::ErrorKind::UnexpectedEof.into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let peers = Peers::new([("a", "10.0.0.1".to_owned())])?;
//! let balance = BalanceLayer::new(peers.clone()).layer(service_fn(
//!     async |attempt: Attempt<String, ()>| Ok::<_, io::Error>(Body { ticket: attempt.deciding_ticket() }),
//! ));
//! let body = balance.oneshot(()).await?;
//! assert_eq!(peers.up_count(), 1);
//! assert!(body.read().await.is_err());
//! assert_eq!(peers.up_count(), 0);
//! # Ok(()) }
//! ```
//!
//! # Defaults
//!
//! | what | default | where |
//! | --- | --- | --- |
//! | verdicts | any error ejects | [`AnyErrorIsDown`] |
//! | retry | only idempotent requests; no request is | [`Cloned`] |
//! | ejection | the first `Down`, or 5 consecutive `Degraded` | [`Eject::on_first`] |
//! | first recheck | after 1 s, ±10 % | [`DEFAULT_FIRST_RECHECK`] |
//! | further rechecks | doubling up to 30 s, ±10 % | [`DEFAULT_MAX_RECHECK_INTERVAL`] |
//! | peers that stay up | 0 | [`Eject::min_up`] |
//! | all down | fail at once | [`AllDown::Fail`] |
//! | pick | uniform | [`Uniform`] |
//! | tiers | all peers are of tier 0 | [`Peers::set_tier`] |
//! | how much more than its share a tier can carry | 1.4 times | [`DEFAULT_OVERPROVISIONING`] |
//! | time of an attempt, time of a request | no limits | [`BalanceLayer::attempt_timeout`], [`BalanceLayer::deadline`] |
//! | an attempt that timed out | counts as `Degraded`; only idempotent requests are retried | [`BalanceLayer::timeout_verdict`] |
//! | wait for a deciding ticket | the probe's timeout; without a probe 1 s | [`BalanceLayer::ticket_timeout`] |
//! | probe | the next caller's attempt | [`BalanceLayer::probe`] |
//! | active checks, hedging | none | [`Probe::active_checks`], [`BalanceLayer::hedge_after`] |
//! | a peer that joins | is up at once | [`Peers::joining_on_proof`] |
//! | slow start | off | [`BalanceLayer::slow_start`] |
//!
//! With these defaults no request is tried on a second peer: say with [`BalanceLayer::classify`] which
//! errors are safe to retry, or with [`BalanceLayer::replay`] which requests are idempotent.
//!
//! # Runtime
//!
//! Times are those of tokio. [`AllDown::WaitUpTo`], [`BalanceLayer::attempt_timeout`],
//! [`BalanceLayer::deadline`], [`BalanceLayer::probe`], hedging and [`Attempt::deciding_ticket`] need a
//! runtime with a timer; [`Peers::observe`] needs a runtime. The rest
//! works without one.
//!
//! # How to stack it
//!
//! [`Balance`] is always ready and can be cloned freely, so it needs no `Buffer`.
//!
//! - **Above it** goes what applies to the request as a whole: a `ConcurrencyLimit` or `LoadShed` for
//!   backpressure (the balancer exerts none), metrics of what the caller sees.
//! - **Below it**, around the connector, goes what applies to each attempt: a `ConcurrencyLimit` for
//!   all peers, metrics of each attempt.
//! - **In it** are time limits, as only the balancer knows the peers:
//!   [`BalanceLayer::attempt_timeout`] finds a peer that hangs, and [`BalanceLayer::deadline`] ends a
//!   request with an error that names all that were tried. A `Timeout` above the balancer names none.
//! - Targets and requests own their data: a `SocketAddr` or a `String`, no `&'static str`. With a
//!   reference in them the compiler may refuse to spawn a task that calls the stack ("implementation of
//!   `FnOnce` is not general enough").
//! - Not above it: `Retry` for a peer's failures. The balancer tries other peers itself, and knows
//!   which it has tried.
//!
//! [`BalanceLayer::service`] checks that connector and rules fit, and says what does not. With
//! [`BalanceLayer::service_classified_by`] a closure takes its types from the connector.
//!
//! [`Error<E>`] is a `std::error::Error` if `E` is one. `Box<dyn Error>`, the error of tower's
//! `Timeout` and others, is none: put a [`BoxErrorsLayer`] between the balancer and such a layer.
//!
//! ```
//! use std::io;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use evenhand::{Attempt, BalanceLayer, BoxErrorsLayer, BoxedError, Peers, Verdict};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = ServiceBuilder::new()
//!     .layer(BoxErrorsLayer)
//!     .timeout(Duration::from_secs(2))
//!     .service(service_fn(async |attempt: Attempt<SocketAddr, String>| {
//!         Ok::<_, io::Error>(format!("{} from {}", attempt.request, *attempt.peer))
//!     }));
//! let at: SocketAddr = "10.0.0.1:80".parse()?;
//! let balance = BalanceLayer::new(Peers::new([("a", at), ("b", at)])?)
//!     .deadline(Duration::from_secs(5))
//!     .service_classified_by(connector, |outcome| match outcome {
//!         Ok(_) => Verdict::healthy(),
//!         Err(error) => match error.downcast_ref::<io::Error>() {
//!             Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
//!                 Verdict::down().safe()
//!             }
//!             _ => Verdict::degraded().if_idempotent(),
//!         },
//!     });
//! let task = tokio::spawn(async move { balance.clone().oneshot("hello".to_owned()).await });
//! assert_eq!(task.await??, "hello from 10.0.0.1:80");
//! # Ok(()) }
//! ```
//!
//! # Compared with tower's `balance`
//!
//! `tower::balance::p2c` picks the less loaded of two ready services. It is the better choice if
//! peers differ in speed, so that load tells them apart; if they are long-lived connections with
//! their own readiness; and if none of them fails fast. It does not know of a peer's failure: a peer
//! that returns errors quickly looks idle and draws traffic, a request is tried once, a service that
//! fails in `poll_ready` is dropped, and the balancer must be shared through a `Buffer`. Choose this
//! crate if peers are equal and fail, restart and are drained, and a request that failed on one
//! should be served by another.
//!
//! # Features
//!
//! | feature | gives |
//! | --- | --- |
//! | `discover` | `Peers::follow` and `follow_placed`: peers from a `tower::discover::Discover` |
//! | `metrics` | `Peers::record_metrics` and `BalanceLayer::record_metrics`: what happens to peers, and what requests do, through the `metrics` facade; `METRICS` and `REQUEST_METRICS` list them |
//! | `serde` | `Serialize` for [`Status`], [`State`], [`Event`], [`EventKind`] and [`SetEvent`] |
//!
//! None is on by default.
//!
//! # Cost
//!
//! On the healthy path a request takes no lock, allocates nothing, reads no clock and spawns no task.
//! Its cost does not grow with the number of peers. While a peer is ejected and no background probe
//! is set, a pick reads the clock. While a peer ramps ([`BalanceLayer::slow_start`]), a pick that draws it does.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod stable_hash;
mod task_guard;
mod timeouts;

pub use attempt::{Attempt, PeerTarget, PerPeer, PerPeerFuture, Ticket};
pub use balance::all_down::AllDown;
pub use balance::future::ResponseFuture;
pub use balance::layer::{BalanceLayer, DEFAULT_TICKET_TIMEOUT};
pub use balance::rules::{Rules, RulesFor};
pub use balance::service::Balance;
pub use balance::shared::{DEFAULT_MAX_REFUSALS, DEFAULT_MAX_UNKNOWN};
pub use classify::{
    AnyErrorIsDown, Classify, NothingIsDown, OnError, PeerVerdict, Retry, Unless, Verdict,
    classify_fn, on_error,
};
pub use eject::{
    Accrual, DEFAULT_DEGRADED_LIMIT, DEFAULT_FIRST_RECHECK, DEFAULT_MAX_RECHECK_INTERVAL, Eject,
};
pub use error::{
    BoxErrors, BoxErrorsFuture, BoxErrorsLayer, BoxedError, Cause, CauseError, Error, PeersError,
    Tried,
};
pub use event::{Event, EventKind, Events, Lagged, SetEvent};
pub use hedge::{Hedge, HedgeFuture, HedgeLayer};
pub use observe::Observer;
#[cfg(feature = "metrics")]
pub use observe::table::{METRICS, Metric, MetricKind, REQUEST_METRICS};
pub use peers::Peers;
pub use pick::{
    Affinity, Candidates, LeastInFlight, NoKey, Pick, PickBy, PickFor, Uniform, Weighted,
};
pub use probe::{ActiveChecks, DEFAULT_FALL, Probe};
pub use replay::{Cloned, Once, Replay};
pub use set::peer::Peer;
pub use set::placed::Placed;
pub use set::snapshot::offer::DEFAULT_OVERPROVISIONING;
pub use set::status::{State, Status};
pub use task_guard::TaskGuard;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
