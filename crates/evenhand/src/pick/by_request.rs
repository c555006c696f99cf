//! Picks that know of the request, by a projection of it.

use super::Pick;
use super::candidates::NoKey;

/// A pick as a balancer asks it, with what it is to know of a request. Implemented for every [`Pick`]
/// without a key, and for [`PickBy`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot pick peers without a key",
    label = "no `Pick`",
    note = "`Uniform`, `Weighted` and `LeastInFlight` can; a closure is no `Pick`, as that is generic over the peers' type",
    note = "`Affinity` and any other `Pick<Key>` need a key: `BalanceLayer::pick_by` says what of a request it is"
)]
pub trait PickFor<Request> {
    /// What of the request it is.
    type Key;
    /// The pick.
    type Pick: Pick<Self::Key>;

    /// The key of a request, which is asked for only if it has one.
    fn key<'a>(&self, request: impl FnOnce() -> &'a Request) -> Self::Key
    where
        Request: 'a;

    /// The pick.
    fn pick(&self) -> &Self::Pick;
}

#[diagnostic::do_not_recommend]
impl<Request, P: Pick> PickFor<Request> for P {
    type Key = NoKey;
    type Pick = P;

    #[inline(always)]
    fn key<'a>(&self, _: impl FnOnce() -> &'a Request) -> NoKey
    where
        Request: 'a,
    {
        NoKey
    }

    #[inline(always)]
    fn pick(&self) -> &P {
        self
    }
}

/// A pick, and what of a request its key is. Made by
/// [`BalanceLayer::pick_by`](crate::BalanceLayer::pick_by).
#[derive(Clone, Copy, Debug)]
pub struct PickBy<F, P> {
    pub(crate) key: F,
    pub(crate) pick: P,
}

impl<Request, Key, F, P> PickFor<Request> for PickBy<F, P>
where
    F: Fn(&Request) -> Key,
    P: Pick<Key>,
{
    type Key = Key;
    type Pick = P;

    fn key<'a>(&self, request: impl FnOnce() -> &'a Request) -> Key
    where
        Request: 'a,
    {
        (self.key)(request())
    }

    fn pick(&self) -> &P {
        &self.pick
    }
}
