//! [`evenhand`]'s balancer over the connector, as the options ask for it.
//!
//! A pool's type does not say how it picks or whether it hedges.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{
    ActiveChecks, AllDown, Balance, BalanceLayer, Candidates, Classify, Eject, Error, Hedge,
    LeastInFlight, PeerVerdict, Peers, Probe, Replay, Uniform, Verdict, Weighted,
};
use tower_layer::Layer;
use tower_service::Service;

use super::checkout::{CheckoutRequest, Connector};
use super::prober::Prober;
use crate::classify::Rules;
use crate::conn::PeerConn;
use crate::error::AttemptError;
use crate::options::health::DEFAULT_HEALTH_CHECK_INTERVAL;
use crate::options::{AllDownKind, MinUp, PickKind, PoolOptions};
use crate::peer::Endpoint;
use crate::peer::check::Check;
use crate::time::deadline::timeout_lazy;

type Plain = Balance<Connector, Arc<Endpoint>, evenhand::Rules<Judge, Copies, ConfiguredPick>>;

pub(crate) enum Balancer {
    Plain(Plain),
    Hedged(Hedge<Plain>),
}

impl Balancer {
    pub(crate) fn new(peers: &Peers<Arc<Endpoint>>, options: &PoolOptions) -> Self {
        let check = Check::new(options);
        let layer = BalanceLayer::new(peers.clone())
            .classify(Judge(check.rules.clone()))
            .eject(eject(options))
            .all_down(all_down(options))
            .max_attempts(options.get_max_attempts().unwrap_or(u32::MAX))
            .max_refusals(options.get_max_refusals())
            .probe(probe(options, &check))
            .replay(Copies)
            .pick(ConfiguredPick(options.get_pick()));
        let connector = Connector {
            peers: peers.clone(),
            waits: options.get_all_down() == AllDownKind::Wait,
        };
        match options.get_hedge_after() {
            Some(after) => Self::Hedged(layer.hedge_after(after).layer(connector)),
            None => Self::Plain(layer.layer(connector)),
        }
    }

    /// A connection, by the request's deadline.
    pub(crate) async fn checkout(
        &self,
        request: CheckoutRequest,
    ) -> Result<PeerConn, Error<AttemptError>> {
        /// Both kinds of futures can be abandoned, but share no trait for it.
        macro_rules! by_deadline {
            ($balance:expr) => {{
                let deadline = request.deadline;
                let mut checkout = pin!($balance.clone().call(request));
                match timeout_lazy(|_| deadline, checkout.as_mut()).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(checkout.as_mut().abandon()),
                }
            }};
        }
        match self {
            Self::Plain(balance) => by_deadline!(balance),
            Self::Hedged(hedge) => by_deadline!(hedge),
        }
    }
}

fn probe(options: &PoolOptions, check: &Check) -> Probe<Arc<Endpoint>> {
    let health = options.get_health_check();
    let active = health.get_active();
    let interval = active.map_or(DEFAULT_HEALTH_CHECK_INTERVAL, |(interval, _)| interval);
    let prober = Prober {
        heard_within: active.map(|(interval, _)| interval),
    };
    // The prober has its own time limit, and its verdict says more than that it passed.
    let probe = Probe::new(prober, 2 * check.timeout).rise(health.get_rise(), interval);
    match active {
        Some((interval, fall)) => probe.active_checks(
            ActiveChecks::every(interval)
                .fall(fall)
                .under_traffic(check.is_asked_for()),
        ),
        None => probe,
    }
}

fn eject(options: &PoolOptions) -> Eject {
    let longest = options.get_max_recheck_interval();
    let first = options.get_first_recheck().min(longest);
    let eject = Eject::on_first().recheck_growing(first, longest);
    match options.get_min_up() {
        MinUp::Peers(peers) => eject.min_up(peers),
        MinUp::Percent(percent) => eject.min_up_share(f64::from(percent) / 100.0),
    }
}

fn all_down(options: &PoolOptions) -> AllDown {
    match options.get_all_down() {
        // The caller's own deadline ends the wait.
        AllDownKind::Wait => AllDown::WaitUpTo(Duration::MAX),
        AllDownKind::Fail => AllDown::Fail,
        AllDownKind::FailOpen => AllDown::FailOpen,
    }
}

/// The kind of what a peer that refuses a login is judged by.
const LOGIN: &str = "login";

/// Judges the outcomes of checkouts.
#[derive(Clone, Debug)]
pub(crate) struct Judge(Arc<Rules>);

impl Classify<PeerConn, AttemptError> for Judge {
    fn classify(&self, outcome: Result<&PeerConn, &AttemptError>) -> Verdict {
        match outcome {
            Ok(conn) if conn.is_new() => Verdict::healthy().of_kind(LOGIN),
            // An idle connection says nothing of logins.
            Ok(_) => Verdict::healthy(),
            Err(error) => match self.0.attempt(error) {
                verdict if verdict.peer == PeerVerdict::Suspect => verdict.of_kind(LOGIN),
                verdict => verdict,
            },
        }
    }
}

/// Copies requests for further attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies;

impl Replay<CheckoutRequest> for Copies {
    fn copy(&self, request: &CheckoutRequest) -> Option<CheckoutRequest> {
        let mut copy = request.clone();
        copy.is_retry = true;
        Some(copy)
    }

    /// Asking for a connection twice is harmless: the one that is not wanted is closed.
    fn is_idempotent(&self, _: &CheckoutRequest) -> bool {
        true
    }
}

/// The pick that the options name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfiguredPick(PickKind);

impl evenhand::Pick for ConfiguredPick {
    const IS_RANDOM: bool = true;

    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
        match self.0 {
            PickKind::Uniform => Uniform.pick(candidates),
            PickKind::Weighted => Weighted.pick(candidates),
            PickKind::LeastInFlight => LeastInFlight.pick(candidates),
        }
    }
}
