//! How a request is copied for another attempt, and whether it may be executed twice.

/// Copies a request for the next attempt, and says whether it is idempotent.
///
/// An attempt consumes its request, so a request that may go to another peer must be copied first. A
/// request that cannot be copied gets one attempt.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot copy requests of type `{R}`",
    label = "no `Replay<{R}>`",
    note = "`Cloned`, the default, copies requests that are `Clone`",
    note = "for others, give `BalanceLayer::replay` a `Replay` of your own, or `Once`, with which each request gets one attempt"
)]
pub trait Replay<R> {
    /// A copy for the next attempt, or `None` if there must not be one. Called before each attempt, on
    /// the caller's task.
    fn copy(&self, request: &R) -> Option<R>;

    /// Whether the request may be executed twice. Called after an outcome whose verdict is
    /// [`Retry::IfIdempotent`](crate::Retry::IfIdempotent), and before a request is
    /// [hedged](crate::HedgeLayer).
    fn is_idempotent(&self, request: &R) -> bool;
}

/// Copies by `Clone`. The default, with no request idempotent.
///
/// Made by [`idempotent`](Self::idempotent) or [`idempotent_if`](Cloned::idempotent_if), or by
/// [`Default`]. `F` is `bool`, for all requests alike, or a closure that decides for each.
///
/// ```
/// use evenhand::{BalanceLayer, Cloned, Peers};
///
/// struct Command { text: String, write: bool }
/// # impl Clone for Command { fn clone(&self) -> Self { Command { text: self.text.clone(), write: self.write } } }
///
/// let peers = Peers::new([("a", 1), ("b", 2)])?;
/// let layer = BalanceLayer::new(peers).replay(Cloned::idempotent_if(|c: &Command| !c.write));
/// # Ok::<(), evenhand::PeersError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned<F = bool> {
    idempotent: F,
}

impl Cloned {
    /// Every request may be executed twice.
    #[must_use]
    pub const fn idempotent() -> Self {
        Self { idempotent: true }
    }
}

impl<F> Cloned<F> {
    /// The requests for which `idempotent`, a `Fn(&Request) -> bool`, returns true may be executed
    /// twice.
    #[must_use]
    pub const fn idempotent_if(idempotent: F) -> Self {
        Self { idempotent }
    }
}

#[diagnostic::do_not_recommend]
impl<R: Clone> Replay<R> for Cloned<bool> {
    fn copy(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn is_idempotent(&self, _: &R) -> bool {
        self.idempotent
    }
}

#[diagnostic::do_not_recommend]
impl<R: Clone, F: Fn(&R) -> bool> Replay<R> for Cloned<F> {
    fn copy(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn is_idempotent(&self, request: &R) -> bool {
        (self.idempotent)(request)
    }
}

/// Copies no request: each gets one attempt. For requests that are not `Clone`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Once;

impl<R> Replay<R> for Once {
    fn copy(&self, _: &R) -> Option<R> {
        None
    }

    fn is_idempotent(&self, _: &R) -> bool {
        false
    }
}
