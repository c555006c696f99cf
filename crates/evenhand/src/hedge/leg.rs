//! A balanced request as one of the two legs of a hedged one.
//!
//! While both legs are in flight, neither goes to a peer that the other is on or has tried. A leg
//! that finds no peer yields: its history goes to the other leg, which is then a plain request that
//! has tried all that both had. So the two end as one request would have: with every attempt in the
//! error, and with one answer to the loss of all peers.

use std::pin::Pin;

use tower_service::Service;

use crate::attempt::Attempt;
use crate::balance::future::{ResponseFuture, Step};
use crate::balance::history::{History, Role};
use crate::balance::rules::RulesFor;

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    /// Whether an attempt is in flight.
    pub(super) fn is_attempting(&self) -> bool {
        matches!(self.step, Step::Call { .. })
    }

    /// Whether the other leg decides; then this one never resolves.
    pub(super) fn has_yielded(&self) -> bool {
        matches!(self.step, Step::Yielded)
    }

    /// The ids of the peers that the leg is on, has tried, or avoids.
    fn engaged(&self) -> impl Iterator<Item = u64> {
        let on = match &self.step {
            Step::Call { permit, .. } => permit.as_ref().map(|permit| permit.peer().member().id),
            _ => None,
        };
        let history = self.lazy.history().into_iter();
        let asked = history.flat_map(|history| history.asked.round());
        asked.chain(on)
    }

    /// How many attempts the leg has made.
    fn attempts(&self) -> u32 {
        let ended = self.lazy.history().map_or(0, |history| history.attempts);
        ended + u32::from(self.is_attempting())
    }

    /// Keeps the leg from the peers of the other one.
    pub(super) fn avoid(self: Pin<&mut Self>, other: &Self) {
        let this = self.project();
        let history = this.lazy.make_history();
        if let Some(other) = other.lazy.history() {
            history
                .asked
                .learn(&other.asked, this.shared.limits.unknown);
        }
        other.engaged().for_each(|id| history.asked.add(id));
        history.elsewhere = other.attempts();
    }

    /// Ends the leg, with or without an attempt in flight, and returns what it had learnt.
    pub(super) fn into_history(
        self: Pin<&mut Self>,
    ) -> History<Target, Connector::Response, Connector::Error> {
        let mut this = self.project();
        this.step.set(Step::Done);
        this.lazy.take_history()
    }

    /// Goes on alone after the other leg has ended.
    pub(super) fn merge(
        self: Pin<&mut Self>,
        other: History<Target, Connector::Response, Connector::Error>,
    ) {
        self.project().lazy.make_history().merge(other);
    }
}

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Rules: RulesFor<Request, Connector::Response, Connector::Error>,
{
    /// Whether the request may be sent a second time while the first is in flight.
    pub(super) fn may_be_hedged(&self) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|request| self.shared.rules.is_idempotent(request))
    }

    /// The second leg, if an attempt is in flight, the request can be copied, and a peer is up that
    /// this leg has not tried.
    pub(super) fn hedge(self: Pin<&mut Self>) -> Option<Self> {
        if !self.is_attempting() {
            return None;
        }
        let mut hedge = History::default();
        hedge.role = Role::Hedge;
        if let Some(history) = self.lazy.history() {
            hedge
                .asked
                .learn(&history.asked, self.shared.limits.unknown);
        }
        self.engaged().for_each(|id| hedge.asked.add(id));
        hedge.elsewhere = self.attempts();
        if hedge.elsewhere >= self.shared.limits.attempts {
            return None;
        }
        let snapshot = self.shared.peers.set.snapshot();
        if !snapshot
            .up()
            .any(|peer| hedge.asked.may_probe(peer.member().id))
        {
            return None;
        }
        let request = self.shared.rules.copy(self.request.as_ref()?)?;
        if let Step::Call {
            permit: Some(permit),
            ..
        } = &self.step
        {
            self.shared.meter.hedged(permit.peer().name());
        }
        let this = self.project();
        this.lazy.make_history().role = Role::First;
        let mut leg = Self::new(this.shared.clone(), this.connector.clone(), request);
        *leg.lazy.make_history() = hedge;
        leg.lazy.share_deadline(this.lazy.begun_deadline());
        Some(leg)
    }
}
