//! [`evenhand`] for HTTP and gRPC. Requests go to one of several equal peers, and to another one where
//! that fails.
//!
//! ```no_run
//! use std::time::Duration;
//! use bytes::Bytes;
//! use evenhand_http::{KeepBodyLayer, PeerClient};
//! use http::Request;
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[cfg(feature = "client")]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
//! let service = ServiceBuilder::new()
//!     .layer(KeepBodyLayer::new())
//!     // Without it a peer that hangs is never found.
//!     .layer(evenhand_http::balance(peers).attempt_timeout(Duration::from_secs(2)))
//!     .service(PeerClient::new(evenhand_http::client()));
//!
//! // The host is that of the peer which is picked.
//! let request = Request::get("/orders/7").body(Full::<Bytes>::default())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! `ClientBody` shows how a struct names such a stack.
//!
//! # A gateway
//!
//! With [`AnswerErrorsLayer`] the stack never fails, as axum asks for:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, body::Body};
//! use evenhand_http::evenhand::AllDown;
//! use evenhand_http::{AnswerErrorsLayer, KeepBodyLayer, PeerClient, StripHopByHopLayer};
//! use tower::ServiceBuilder;
//!
//! # #[cfg(feature = "client")]
//! fn gateway() -> Result<Router, evenhand_http::InvalidPeers> {
//!     let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
//!     let balance = evenhand_http::balance(peers)
//!         .attempt_timeout(Duration::from_secs(2))
//!         // While all peers are out, requests wait for the first that comes back.
//!         .all_down(AllDown::WaitUpTo(Duration::from_secs(2)));
//!     let stack = ServiceBuilder::new()
//!         .layer(StripHopByHopLayer)
//!         .layer(AnswerErrorsLayer::http())
//!         .layer(KeepBodyLayer::new())
//!         .layer(balance)
//!         .service(PeerClient::new(evenhand_http::client::<Body>()));
//!     Ok(Router::new().fallback_service(stack))
//! }
//! ```
//!
//! # The stack
//!
//! From top to bottom:
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`StripHopByHopLayer`], for gateways | removes the headers that are meant for one connection |
//! | tower-http's and your own | what applies to a request as a whole |
//! | [`AnswerErrorsLayer`], optional | answers with 503, or gRPC's `UNAVAILABLE`, where the balancer fails |
//! | [`KeepBodyLayer`] | keeps small bodies, so that they can be sent again |
//! | [`balance`], an [`evenhand::BalanceLayer`] | picks, judges, ejects, goes to another peer |
//! | [`PeerNameLayer`], [`TraceAttemptsLayer`], optional | who answered; a span for each attempt |
//! | [`PeerClient`] | sends an attempt to its peer; its response's body counts |
//! | [`CollectBodyLayer`], optional | reads small answers within the attempt, so that one that breaks off is asked for elsewhere |
//! | tower-http's and your own | what applies to each attempt |
//! | an HTTP client: any `Service<http::Request<_>>` | such as `client` or `http2_client`, hyper-util's; [`PeerClient`] shows reqwest's |
//!
//! [`HttpClassifier`] has the tables of what statuses and errors mean, [`HttpReplay`] says which
//! requests may be sent twice, and [`PeerClient`] what an attempt counts as. [`HttpProbe`] and
//! `GrpcProbe` probe peers in the background.
//!
//! # What it guarantees
//!
//! - A request that is not idempotent is sent to another peer only if the first one did not execute it:
//!   it could not be connected to, or HTTP/2 says so.
//! - Once the head of a response was handed to the caller, nothing is sent again. So a body that breaks off
//!   counts against its peer, and the caller gets its error; [`CollectBodyLayer`] is for small answers.
//! - A body that breaks off is judged by its error, and trailers by the failure of gRPC that they tell, like a
//!   failed head. A body that the caller drops counts for nothing.
//!
//! # What hangs
//!
//! A peer that accepts a request and never answers is found by a time limit only: set
//! [`attempt_timeout`](evenhand::BalanceLayer::attempt_timeout), which covers the time to the head of the
//! response. A probe with [active checks](evenhand::ActiveChecks) finds it as well. Over HTTP/2
//! `http2_client` pings its connections, which finds a machine that is gone.
//!
//! # Features
//!
//! | feature | gives |
//! | --- | --- |
//! | `client` (default) | `client`: hyper-util's client, and its errors as verdicts |
//! | `http2` | `http2_client`; `GOAWAY` and `REFUSED_STREAM` as verdicts |
//! | `grpc-health` | `GrpcProbe`: `grpc.health.v1` |

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod balance;
mod base_url;
mod body;
mod classify;
#[cfg(feature = "client")]
mod client;
mod hop_by_hop;
mod peer_client;
mod peer_name;
mod probe;
mod replay;
mod trace;

pub use evenhand;
#[cfg(feature = "client")]
pub use hyper_util;

pub use answer::{
    AnswerErrors, AnswerErrorsFuture, AnswerErrorsLayer, grpc_unavailable, unavailable,
};
pub use balance::{DEFAULT_BODY_TIMEOUT, balance};
pub use base_url::{BaseUrl, BaseUrlError, InvalidPeers, peers};
pub use body::collect::{CollectBody, CollectBodyError, CollectBodyLayer};
pub use body::keep::{DEFAULT_KEPT_BYTES, KeepBody, KeepBodyFuture, KeepBodyLayer};
pub use body::kept::KeptBody;
pub use body::tracked::TrackedBody;
pub use classify::{BrokenBody, DEFAULT_MAX_REST, HttpClassifier, TooManyRequests};
#[cfg(feature = "client")]
pub use client::{ClientBody, ClientError, DEFAULT_CONNECT_TIMEOUT, HttpClient, client};
#[cfg(feature = "http2")]
pub use client::{DEFAULT_PING_INTERVAL, http2_client};
pub use hop_by_hop::{StripHopByHop, StripHopByHopFuture, StripHopByHopLayer};
pub use peer_client::{PeerClient, PeerClientFuture};
pub use peer_name::{PeerName, PeerNameLayer, TellPeerName, TellPeerNameFuture};
#[cfg(feature = "grpc-health")]
pub use probe::GrpcProbe;
pub use probe::HttpProbe;
pub use replay::{HttpReplay, Idempotent};
pub use trace::{TraceAttempts, TraceAttemptsFuture, TraceAttemptsLayer};

#[cfg(all(doctest, feature = "http2"))]
#[doc = include_str!("../README.md")]
struct Readme;
