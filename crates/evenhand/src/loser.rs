//! What becomes of the leg of a hedged request that did not decide it.
//!
//! Dropping it is right for most: its attempt ends, its place is free, and no peer is blamed. But
//! some attempts are better ended than cut off: a connection whose query was cancelled can not be
//! used again, one whose query was answered can.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::Classify;
use crate::leg::BoxedLeg;
use crate::pick::Pick;
use crate::replay::Replay;

/// What to do with a loser `F`. [`DropLoser`] and [`HandLoser`] are such.
pub trait OnLoser<F> {
    /// Whether it wants the loser at all. If it does, each request is boxed, as what was polled in
    /// place cannot be handed to anyone.
    const WANTED: bool;

    /// Takes the loser. Runs on the caller's task, before the winner's outcome is returned.
    fn take(&self, loser: F);
}

/// Drops the loser where it is. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct DropLoser;

impl<F> OnLoser<F> for DropLoser {
    const WANTED: bool = false;

    fn take(&self, _: F) {}
}

/// Hands the loser to a callback: see [`HedgeLayer::on_loser`](crate::HedgeLayer::on_loser).
pub struct HandLoser<G>(Arc<G>);

impl<G: Fn(Loser)> HandLoser<G> {
    pub(crate) fn new(callback: G) -> Self {
        Self(Arc::new(callback))
    }
}

impl<F, G> OnLoser<F> for HandLoser<G>
where
    F: Future<Output = ()> + Send + 'static,
    G: Fn(Loser),
{
    const WANTED: bool = true;

    fn take(&self, loser: F) {
        (self.0)(Loser(Box::pin(loser)));
    }
}

impl<G> Clone for HandLoser<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G> fmt::Debug for HandLoser<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandLoser").finish_non_exhaustive()
    }
}

/// The leg of a hedged request that did not decide it: one attempt, still under way.
///
/// Awaited or spawned it lets the attempt finish. Its outcome is judged, so it counts for or
/// against its peer, and its response is dropped; no other peer is tried. Until then it is in
/// flight. Dropping it ends the attempt; no peer is blamed.
#[must_use = "futures do nothing unless they are polled"]
pub struct Loser(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Loser {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Loser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loser").finish_non_exhaustive()
    }
}

/// A leg that is to end with the attempt that is under way.
pub struct LoserLeg<S, P, R, C, Y, K>(BoxedLeg<S, P, R, C, Y, K>)
where
    S: Service<Attempt<P, R>>;

impl<S, P, R, C, Y, K> LoserLeg<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>>,
{
    /// `None` if no attempt is under way, so there is nothing to finish.
    pub(crate) fn new(mut leg: BoxedLeg<S, P, R, C, Y, K>) -> Option<Self> {
        leg.as_mut().finish_only();
        leg.is_attempting().then_some(Self(leg))
    }
}

impl<S, P, R, C, Y, K> Future for LoserLeg<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ended = self.0.as_mut().poll(cx).is_ready();
        if ended || self.0.has_yielded() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
