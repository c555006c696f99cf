//! Hedging: a second peer is asked where the first one takes long.
//!
//! A layer and service over [`Balance`], so that a plain balancer does not carry a second future.

mod future;
mod leg;

use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::balance::layer::BalanceLayer;
use crate::balance::rules::RulesFor;
use crate::balance::service::Balance;
use crate::error::Error;
use crate::peers::Peers;

pub use self::future::HedgeFuture;

impl<Target, R> BalanceLayer<Target, R> {
    /// Sends a request that has no outcome `after` this time to a second peer as well, and takes
    /// the first answer. Applies only to idempotent requests, and so has no effect with the default
    /// [`replay`](Self::replay). See [`HedgeLayer`] for when it helps and what it costs.
    ///
    /// Call it last: it returns a [`HedgeLayer`], which has no other settings.
    pub fn hedge_after(self, after: Duration) -> HedgeLayer<Self> {
        HedgeLayer {
            balance: self,
            after,
        }
    }
}

/// A [`BalanceLayer`] whose requests are hedged. Made by [`BalanceLayer::hedge_after`].
///
/// A request starts as any other, failover included: that is its first leg. If it has no outcome
/// when the time is over, counted from its first attempt, a copy of it starts as a second leg, on
/// a peer that is up and that the first leg is not on and has not tried. (Dean, Barroso: "The tail
/// at scale", 2013.)
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use evenhand::{Attempt, BalanceLayer, Cloned, Peers};
/// use tower::{Layer, Service, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let peers = Peers::new([("quick", 1_u64), ("slow", 2000)])?;
/// let mut service = BalanceLayer::new(peers)
///     .replay(Cloned::idempotent_if(|query: &&str| query.starts_with("SELECT")))
///     .hedge_after(Duration::from_millis(20))
///     .layer(service_fn(|attempt: Attempt<u64, &str>| async move {
///         tokio::time::sleep(Duration::from_millis(*attempt.peer)).await;
///         Ok::<_, Infallible>(attempt.peer.shared_name())
///     }));
/// for _ in 0..10 {
///     assert_eq!(&*service.call("SELECT 1").await?, "quick");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Which requests are hedged
///
/// Those that [`Replay`](crate::Replay) can copy and calls idempotent, as both legs may be executed
/// in full. All others are plain requests. With the default, [`Cloned`](crate::Cloned) with no request idempotent, no
/// request is hedged. Opening a connection is safe to hedge: the one that is not used is closed.
///
/// A hedge is no probe and waits for no recovery. If no other peer is up when the time is over, or
/// no attempt is in flight because the connector is not ready or all peers are down, the request
/// goes on as a plain one. So do all requests outside a tokio runtime, where there is no timer.
///
/// # Which outcome wins
///
/// The first to settle the request, of either leg:
///
/// - a response that is not rejected;
/// - an error, or a response, whose verdict is [`Retry::Never`](crate::Retry::Never). It would have
///   ended a plain request: the peer did its job and the answer is no, or the classifier wants the
///   caller to see it;
/// - the refusal that ends a request ([`Error::Inconclusive`]).
///
/// A leg whose outcome would send it to another peer goes there, but not to a peer that the other
/// leg is on or has tried. If none is left the leg ends, and the other leg goes on as a plain
/// request that has tried all that both did: it may probe, it follows [`BalanceLayer::all_down`],
/// and its error names every peer that either leg has tried.
///
/// The losing attempt is dropped at once. Its permit is released, and no peer is blamed for it.
///
/// # What it costs, and what time to choose
///
/// Every request that takes longer than the time is sent twice. With the 95th percentile of the
/// usual latency that is 5 % more load, with the 99th 1 %. The tail beyond it shrinks to about the
/// time plus a usual answer. Start with one of these; if in doubt, choose the longer time.
///
/// If all peers get slow, for instance from too much load, all requests are hedged, and the load
/// doubles when it does most harm. A time well above the latency that peers have under full load
/// guards against that, and so does a `ConcurrencyLimit` on the connector: a hedge needs a permit too.
///
/// A request that is answered at its first poll costs nothing more; one that is not sets a timer;
/// the second leg is one allocation.
#[derive(Clone, Debug)]
#[must_use]
pub struct HedgeLayer<B> {
    balance: B,
    after: Duration,
}

impl<B: Layer<Connector>, Connector> Layer<Connector> for HedgeLayer<B> {
    type Service = Hedge<B::Service>;

    fn layer(&self, connector: Connector) -> Self::Service {
        Hedge {
            balance: self.balance.layer(connector),
            after: self.after,
        }
    }
}

/// A [`Balance`] that sends a slow request to a second peer as well. Made by [`HedgeLayer`].
/// Always ready, as a [`Balance`] is.
#[derive(Clone, Debug)]
pub struct Hedge<B> {
    balance: B,
    after: Duration,
}

impl<Connector, Target, R> Hedge<Balance<Connector, Target, R>> {
    /// The peers that this service balances over.
    pub fn peers(&self) -> &Peers<Target> {
        self.balance.peers()
    }
}

impl<Connector, Target, R, Request> Service<Request> for Hedge<Balance<Connector, Target, R>>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Target: Send + Sync + 'static,
    R: RulesFor<Request, Connector::Response, Connector::Error>,
{
    type Response = Connector::Response;
    type Error = Error<Connector::Error>;
    type Future = HedgeFuture<Connector, Target, Request, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        HedgeFuture::new(self.balance.call(request), self.after)
    }
}
