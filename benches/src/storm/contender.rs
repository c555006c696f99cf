//! What is compared under the storm.

use evenhand::classify::AnyErrorIsDown;
use evenhand::{Balance, BalanceLayer, Peers, PerPeer};
use tower::balance::p2c::Balance as P2c;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::retry::{Policy, Retry};
use tower::{BoxError, Layer, Service};

use crate::one_task::BUFFER_BOUND;
use crate::storm::breaker::Breaker;
use crate::storm::peer::{Request, StormPeer};

/// One way to get a request answered by ten peers of which five refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// `Buffer` over `p2c::Balance` over `PendingRequests`.
    P2c,
    /// The same under `tower::retry`, with nine retries.
    P2cRetried,
    /// As `P2c`, with a circuit breaker around each peer.
    Breaker,
    /// The same under `tower::retry`, with nine retries.
    BreakerRetried,
    /// Evenhand with its defaults; a refusal is safe to retry.
    Evenhand,
}

impl Contender {
    /// In the order in which they run.
    pub const ALL: [Self; 5] = [
        Self::P2c,
        Self::P2cRetried,
        Self::Breaker,
        Self::BreakerRetried,
        Self::Evenhand,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::P2c => "p2c",
            Self::P2cRetried => "p2c, 9 retries",
            Self::Breaker => "breakers under p2c",
            Self::BreakerRetried => "breakers under p2c, 9 retries",
            Self::Evenhand => "evenhand",
        }
    }
}

/// A `Buffer` over a p2c whose peers are of type `S`.
pub type Buffered<S> = Buffer<Request, <P2c<List<S>, Request> as Service<Request>>::Future>;
type List<S> = ServiceList<Vec<PendingRequests<S>>>;

/// tower's balancer, shared by a `Buffer`. To be made in a tokio runtime.
pub fn p2c(peers: Vec<StormPeer>) -> Buffered<StormPeer> {
    let peers: Vec<_> = peers.into_iter().map(pending).collect();
    Buffer::new(P2c::new(ServiceList::new::<Request>(peers)), BUFFER_BOUND)
}

/// The same with a circuit breaker around each peer.
pub fn breaker(peers: Vec<StormPeer>) -> Buffered<Breaker<StormPeer>> {
    let peers: Vec<_> = peers.into_iter().map(Breaker::new).map(pending).collect();
    Buffer::new(P2c::new(ServiceList::new::<Request>(peers)), BUFFER_BOUND)
}

fn pending<S>(peer: S) -> PendingRequests<S> {
    PendingRequests::new(peer, CompleteOnResponse::default())
}

/// Evenhand over the same peers.
pub fn evenhand(peers: Vec<StormPeer>) -> Balance<PerPeer, StormPeer> {
    let named = (0..)
        .zip(peers)
        .map(|(i, peer): (u32, _)| (format!("peer{i}"), peer));
    let peers = Peers::new(named).expect("the names are unique");
    BalanceLayer::new(peers)
        .classify(AnyErrorIsDown::safe())
        .layer(PerPeer)
}

/// tower's retry policy: up to nine more attempts, at once.
#[derive(Clone, Copy, Debug)]
pub struct NineRetries(u32);

impl NineRetries {
    /// Wraps a service.
    pub fn over<S>(service: S) -> Retry<Self, S> {
        Retry::new(Self(9), service)
    }
}

impl Policy<Request, (), BoxError> for NineRetries {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request,
        outcome: &mut Result<(), BoxError>,
    ) -> Option<Self::Future> {
        if outcome.is_ok() {
            return None;
        }
        self.0 = self.0.checked_sub(1)?;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(*request)
    }
}
