//! Hedging: a second peer is asked where the first one takes its time.
//!
//! A service of its own over the same [`Peers`](crate::Peers), so that a plain
//! [`Balance`] does not carry a second future.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::{AnyErrorIsDown, Classify};
use crate::error::Error;
use crate::future::ResponseFuture;
use crate::hedge_future::HedgeFuture;
use crate::layer::BalanceLayer;
use crate::loser::{DropLoser, HandLoser, Loser, LoserLeg, OnLoser};
use crate::peers::Peers;
use crate::pick::{Pick, Uniform};
use crate::replay::{Cloned, Replay};
use crate::service::Balance;

/// How to balance, and after what time to ask a second peer: a [`BalanceLayer`] whose requests are
/// hedged. Made by [`BalanceLayer::hedge_after`].
///
/// A request starts as any other, failover included: that is its first leg. If it has no outcome
/// when the time is up, counted from its first attempt, a copy of it starts as a second leg, on a
/// peer that is up and that the first leg is not on and has not tried. (Dean, Barroso: "The tail at
/// scale", 2013.)
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
/// Those that [`Replay`](crate::Replay) can copy and calls idempotent: both legs may be executed in
/// full. All others are plain requests. With the default, [`Cloned`] with nothing idempotent, that
/// is every request. Opening a connection is safe to hedge: the one that is not wanted is closed.
///
/// A hedge is no probe and waits for no recovery: if no other peer is up when its time comes, or no
/// attempt is out because the connector is not ready or all peers are down, the request goes on
/// as a plain one. It also does outside a tokio runtime, where there is no timer.
///
/// # Which outcome wins
///
/// The first to settle the request, of either leg:
///
/// - a response that is not turned down;
/// - an error, or a response, whose verdict is [`Retry::Never`](crate::Retry::Never). It would have
///   ended a plain request: the peer did its job and the answer is no, or the classifier wants the
///   caller to see it;
/// - two peers that agree ([`Error::Agreed`]).
///
/// A leg whose outcome would send it to another peer goes there, but not to one that the other leg
/// is on or has tried. If none is left it ends, and the other goes on as a plain request that has
/// tried all that both did: it may probe, it meets the loss of all peers as
/// [`BalanceLayer::all_down`] says, and its error names every peer that either has tried.
///
/// The other leg is the loser. It is dropped at once, unless [`on_loser`](Self::on_loser) says
/// otherwise: its place is free, a probe's too, and no peer is blamed or praised for it.
///
/// # What it costs, and what time to choose
///
/// Every request that takes longer than the time is sent twice. At the 95th percentile of the
/// usual latency that is 5 % more load, at the 99th 1 %, and the tail beyond it shrinks to about
/// the time plus a usual answer. Start there, and rather too late than too early.
///
/// If *all* peers get slow, from too much load for instance, all requests are hedged, and the load
/// doubles when it is least wanted. A time well above the latency that peers have under full load
/// guards against that, and so does a `ConcurrencyLimit` on the connector: a hedge needs a permit too.
///
/// A request that is answered at its first poll costs nothing more; one that is not sets a timer;
/// the second leg is one allocation.
#[must_use]
pub struct HedgeLayer<P, C = AnyErrorIsDown, Y = Cloned, K = Uniform, L = DropLoser> {
    balance: BalanceLayer<P, C, Y, K>,
    after: Duration,
    on_loser: L,
}

impl<P, C, Y, K> HedgeLayer<P, C, Y, K> {
    pub(crate) fn new(balance: BalanceLayer<P, C, Y, K>, after: Duration) -> Self {
        Self {
            balance,
            after,
            on_loser: DropLoser,
        }
    }
}

impl<P, C, Y, K, L> HedgeLayer<P, C, Y, K, L> {
    /// Hands the losing leg to `callback` if an attempt of it is still out, so that it can be
    /// spawned and finish, in place of being cut off. For connectors, requests and responses that
    /// are `Send` and `'static`.
    ///
    /// It costs an allocation for each request, hedged or not. The callback runs on the caller's
    /// task, before the response is returned: it is to be short.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand::{BalanceLayer, Cloned, Peers};
    ///
    /// let peers = Peers::new([("a", 1), ("b", 2)])?;
    /// let layer = BalanceLayer::new(peers)
    ///     .replay(Cloned::idempotent())
    ///     .hedge_after(Duration::from_millis(50))
    ///     .on_loser(|loser| {
    ///         tokio::spawn(tokio::time::timeout(Duration::from_secs(1), loser));
    ///     });
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn on_loser<G: Fn(Loser)>(self, callback: G) -> HedgeLayer<P, C, Y, K, HandLoser<G>> {
        HedgeLayer {
            balance: self.balance,
            after: self.after,
            on_loser: HandLoser::new(callback),
        }
    }
}

impl<P, C: Clone, Y: Clone, K: Clone, L: Clone, S> Layer<S> for HedgeLayer<P, C, Y, K, L> {
    type Service = Hedge<S, P, C, Y, K, L>;

    fn layer(&self, connector: S) -> Self::Service {
        Hedge {
            balance: self.balance.layer(connector),
            after: self.after,
            on_loser: self.on_loser.clone(),
        }
    }
}

impl<P, C: Clone, Y: Clone, K: Clone, L: Clone> Clone for HedgeLayer<P, C, Y, K, L> {
    fn clone(&self) -> Self {
        Self {
            balance: self.balance.clone(),
            after: self.after,
            on_loser: self.on_loser.clone(),
        }
    }
}

impl<P, C, Y, K, L> fmt::Debug for HedgeLayer<P, C, Y, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeLayer")
            .field("balance", &self.balance)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// A [`Balance`] that asks a second peer where the first one takes its time. Made by
/// [`HedgeLayer`], which tells when and what follows. Always ready, as a [`Balance`] is.
pub struct Hedge<S, P, C, Y, K = Uniform, L = DropLoser> {
    balance: Balance<S, P, C, Y, K>,
    after: Duration,
    on_loser: L,
}

impl<S, P, C, Y, K, L> Hedge<S, P, C, Y, K, L> {
    /// The peers it balances over.
    pub fn peers(&self) -> &Peers<P> {
        self.balance.peers()
    }
}

impl<S, P, C, Y, K, L, R> Service<R> for Hedge<S, P, C, Y, K, L>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
    L: OnLoser<LoserLeg<S, P, R, C, Y, K>> + Clone,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = HedgeFuture<S, P, R, C, Y, K, L>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let first: ResponseFuture<S, P, R, C, Y, K> = self.balance.call(request);
        HedgeFuture::new(first, self.after, self.on_loser.clone())
    }
}

impl<S: Clone, P, C, Y, K, L: Clone> Clone for Hedge<S, P, C, Y, K, L> {
    fn clone(&self) -> Self {
        Self {
            balance: self.balance.clone(),
            after: self.after,
            on_loser: self.on_loser.clone(),
        }
    }
}

impl<S, P, C, Y, K, L> fmt::Debug for Hedge<S, P, C, Y, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("peers", self.peers())
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
