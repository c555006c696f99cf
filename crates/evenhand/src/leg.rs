//! A balanced request as one of the two legs of a hedged one.
//!
//! While both legs are under way, neither goes to a peer that the other is on or has tried, and one
//! that finds no peer yields: its history goes to the other, which is then an ordinary request
//! that has tried all that both had. So the two end as one request would have: with everything
//! that was tried in the error, and what is to be done when all peers are down done once.

use std::pin::Pin;

use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::Classify;
use crate::future::{ResponseFuture, Step};
use crate::history::{History, Past, Role};
use crate::pick::Pick;
use crate::place::Place;
use crate::replay::Replay;

/// A leg that can be handed on.
pub(crate) type BoxedLeg<S, P, R, C, Y, K> = Pin<Box<ResponseFuture<S, P, R, C, Y, K>>>;

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>>,
{
    /// Whether an attempt is out on a peer.
    pub(crate) fn is_attempting(&self) -> bool {
        matches!(self.step, Step::Drawn { .. } | Step::Call { .. })
    }

    /// Whether the other leg is to decide; then this one never resolves.
    pub(crate) fn has_yielded(&self) -> bool {
        matches!(self.step, Step::Yielded)
    }

    /// The members that it is on, has tried, or was told to avoid.
    fn engaged(&self) -> impl Iterator<Item = u32> {
        let on = match &self.step {
            Step::Drawn { entry, .. } => self.handle.roster.member(*entry),
            Step::Call { place, .. } => place.as_ref().map(Place::member),
            _ => None,
        };
        let tried = self.history.excluded();
        tried.iter().copied().chain(on.map(|member| member.id))
    }

    /// Goes to no peer of the other leg.
    pub(crate) fn avoid(self: Pin<&mut Self>, other: &Self) {
        let history = self.project().history.get_or_insert_default();
        history.avoid(other.engaged());
    }

    /// Ends the leg, with or without an attempt under way, and gives what it had learnt.
    pub(crate) fn surrender(mut self: Pin<&mut Self>) -> History<P, S::Response, S::Error> {
        self.as_mut().end_drawn();
        let mut this = self.project();
        this.step.set(Step::Done);
        this.history.take().map_or_else(History::default, |h| *h)
    }

    /// Goes on alone after the other leg has ended.
    pub(crate) fn absorb(self: Pin<&mut Self>, other: History<P, S::Response, S::Error>) {
        let history = self.project().history.get_or_insert_default();
        history.absorb(other);
    }

    /// Starts no further attempt: where it would, it yields.
    pub(crate) fn finish_only(self: Pin<&mut Self>) {
        *self.project().request = None;
    }
}

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    /// Whether the request may be sent a second time while the first is under way.
    pub(crate) fn may_be_hedged(&self) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|request| self.handle.shared.replay.is_idempotent(request))
    }

    /// The second leg, if an attempt is out, the request can be copied, and a peer is up that this
    /// leg has not tried.
    pub(crate) fn hedge(self: Pin<&mut Self>) -> Option<Self> {
        if !self.is_attempting() {
            return None;
        }
        let mut hedge = History {
            role: Role::Hedge,
            ..History::default()
        };
        hedge.avoid(self.engaged());
        let view = self.handle.shared.peers.set.view();
        if view.up().all(|up| hedge.excluded.contains(&up.id)) {
            return None;
        }
        let request = self.handle.shared.replay.copy(self.request.as_ref()?)?;
        let this = self.project();
        this.history.get_or_insert_default().role = Role::First;
        let mut leg = Self::new(this.handle.clone(), this.connector.clone(), request);
        leg.history = Past::of(hedge);
        leg.step = Step::Pick;
        Some(leg)
    }
}
