//! What a request does when no peer is left to try.

use std::time::Duration;

/// What a request does when no peer is left to try and some may come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllDown {
    /// The request fails at once. The default.
    #[default]
    Fail,
    /// The request waits until a peer recovers or is due for a probe, for at most this time in total
    /// (cut to a year). It does not wait if its verdicts allow no other attempt.
    ///
    /// Needs a tokio runtime with a timer; a request that has to wait panics outside one.
    WaitUpTo(Duration),
    /// The request makes one attempt on the ejected peer that is due soonest, before it is due. If
    /// that peer is being probed already, the request fails. A peer that an operator ejected is
    /// left alone.
    LastResort,
}
