//! What a balancer asks of its user: how to judge outcomes, copy requests and pick peers.

use crate::classify::{AnyErrorIsDown, Classify, Verdict};
use crate::pick::{Pick, PickFor, Uniform};
use crate::replay::{Cloned, Replay};

/// The rules of a balancer, as the last type parameter of [`Balance`](crate::Balance) and
/// [`BalanceLayer`](crate::BalanceLayer): a [`Classify`], a [`Replay`] and a [`PickFor`].
///
/// You need to name it only where you name the type of a balancer. A balancer with these rules is a
/// `Service<Request>` over a connector with this `Response` and `Error` if
/// `Classifier: Classify<Response, Error>`, `Replayer: Replay<Request>` and `Picker: PickFor<Request>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<Classifier = AnyErrorIsDown, Replayer = Cloned, Picker = Uniform> {
    pub(crate) classifier: Classifier,
    pub(crate) replayer: Replayer,
    pub(crate) picker: Picker,
}

/// [`Rules`] that fit a connector's requests and outcomes. Implemented for every `Rules` whose
/// parts do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no rules for requests of type `{Request}` with outcomes of type `Result<{Response}, {Error}>`",
    note = "the classifier, the replayer and the pick must fit the connector: see `BalanceLayer::classify`, `replay` and `pick`"
)]
pub trait RulesFor<Request, Response, Error> {
    /// [`PickFor::Key`].
    type Key;
    /// [`PickFor::Pick`].
    type Pick: Pick<Self::Key>;

    /// [`Classify::classify`].
    fn classify(&self, outcome: Result<&Response, &Error>) -> Verdict;
    /// [`Replay::copy`].
    fn copy(&self, request: &Request) -> Option<Request>;
    /// [`Replay::is_idempotent`].
    fn is_idempotent(&self, request: &Request) -> bool;
    /// [`PickFor::key`].
    fn key<'a>(&self, request: impl FnOnce() -> &'a Request) -> Self::Key
    where
        Request: 'a;
    /// [`PickFor::pick`].
    fn pick(&self) -> &Self::Pick;
}

impl<Classifier, Replayer, Picker, Request, Response, Error> RulesFor<Request, Response, Error>
    for Rules<Classifier, Replayer, Picker>
where
    Classifier: Classify<Response, Error>,
    Replayer: Replay<Request>,
    Picker: PickFor<Request>,
{
    type Key = Picker::Key;
    type Pick = Picker::Pick;

    #[inline]
    fn classify(&self, outcome: Result<&Response, &Error>) -> Verdict {
        self.classifier.classify(outcome)
    }

    #[inline]
    fn copy(&self, request: &Request) -> Option<Request> {
        self.replayer.copy(request)
    }

    #[inline]
    fn is_idempotent(&self, request: &Request) -> bool {
        self.replayer.is_idempotent(request)
    }

    #[inline(always)]
    fn key<'a>(&self, request: impl FnOnce() -> &'a Request) -> Self::Key
    where
        Request: 'a,
    {
        self.picker.key(request)
    }

    #[inline(always)]
    fn pick(&self) -> &Self::Pick {
        self.picker.pick()
    }
}
