//! The balancer of a pool: [`evenhand`]'s, over connectors, as the options ask for it.
//!
//! A pool's type does not tell how it picks or whether it hedges; so each way is a case here. The
//! usual one, uniform picks without a hedge, keeps the balancer's shortest path.

use std::pin::pin;
use std::sync::{Arc, Mutex, TryLockError};

use evenhand::{
    Balance, BalanceLayer, Candidates, Cloned, Error, Hedge, LeastInFlight, Peers, Uniform,
    Weighted,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::ByPhase;
use crate::conn::PeerConn;
use crate::connector::{Checkout, Connector};
use crate::endpoint::Endpoint;
use crate::error::AttemptError;
use crate::limit::by;
use crate::options::PoolOptions;

pub(crate) enum Balancer {
    Uniform(Kept<Balance<Connector, Arc<Endpoint>, ByPhase, Cloned>>),
    Picked(Kept<Balance<Connector, Arc<Endpoint>, ByPhase, Cloned, Picked>>),
    Hedged(Kept<Hedge<Connector, Arc<Endpoint>, ByPhase, Cloned, Picked>>),
}

impl Balancer {
    pub(crate) fn new(peers: &Peers<Arc<Endpoint>>, options: &PoolOptions) -> Self {
        let check = options.check();
        let mut layer = BalanceLayer::new(peers.clone())
            .classify(ByPhase(check.rules.clone()))
            .eject(options.eject())
            .all_down(options.balancers_all_down())
            // The probe keeps its own time, and says more than that it was up.
            .probe(options.prober(), 2 * check.limit)
            .fall(options.watch.fall)
            .rise(options.watch.rise);
        if let Some(interval) = options.watch.check_up_every {
            layer = layer
                .check_every(interval)
                .check_busy(check.asks_more_than_traffic());
        }
        let connector = Connector {
            peers: peers.clone(),
        };
        let picked = Picked(options.spread.pick);
        match options.spread.hedge_after {
            // A connection that is asked for twice does no harm: the one that is not wanted is closed.
            Some(after) => {
                let layer = layer.pick(picked).replay(Cloned::idempotent());
                Self::Hedged(Kept::new(layer.hedge_after(after).layer(connector)))
            }
            None if picked.0 == evenhand_config::Pick::Uniform => {
                Self::Uniform(Kept::new(layer.layer(connector)))
            }
            None => Self::Picked(Kept::new(layer.pick(picked).layer(connector))),
        }
    }

    /// A connection, by the request's deadline.
    pub(crate) async fn checkout(
        &self,
        request: Checkout,
    ) -> Result<PeerConn, Error<AttemptError>> {
        /// Both kinds of futures can be abandoned, and share no trait that says so.
        macro_rules! by_deadline {
            ($balance:expr) => {{
                let deadline = request.deadline;
                let mut checkout = pin!($balance.call(request));
                match by(|_| deadline, checkout.as_mut()).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(checkout.as_mut().abandon()),
                }
            }};
        }
        match self {
            Self::Uniform(balance) => by_deadline!(balance),
            Self::Picked(balance) => by_deadline!(balance),
            Self::Hedged(hedge) => by_deadline!(hedge),
        }
    }
}

/// A balancer that many tasks call through a shared reference.
pub(crate) struct Kept<S> {
    /// Used again and again: a clone that was used before finds its peer at less cost than a new one. It
    /// holds on to a peer that was removed, whose connections are closed by then, until it is used
    /// again.
    kept: Mutex<S>,
    /// What who finds that in use makes a clone of. Nobody waits here for another.
    template: S,
}

impl<S: Service<Checkout> + Clone> Kept<S> {
    fn new(template: S) -> Self {
        Self {
            kept: Mutex::new(template.clone()),
            template,
        }
    }

    fn call(&self, request: Checkout) -> S::Future {
        match self.kept.try_lock() {
            Ok(mut kept) => kept.call(request),
            Err(TryLockError::Poisoned(kept)) => kept.into_inner().call(request),
            Err(TryLockError::WouldBlock) => self.template.clone().call(request),
        }
    }
}

/// The pick that the options name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked(evenhand_config::Pick);

impl evenhand::Pick for Picked {
    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
        match self.0 {
            evenhand_config::Pick::Uniform => Uniform.pick(candidates),
            evenhand_config::Pick::Weighted => Weighted.pick(candidates),
            evenhand_config::Pick::LeastInFlight => LeastInFlight.pick(candidates),
        }
    }
}
