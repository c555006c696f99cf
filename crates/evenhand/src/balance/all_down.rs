//! What a request does when no peer is left to try.

use std::time::Duration;

/// What a request does when no peer is left to try and some may come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllDown {
    /// The request fails at once. The default.
    #[default]
    Fail,
    /// The request waits until a peer recovers or is due for a probe, for at most this long in all
    /// (at most a year).
    WaitUpTo(Duration),
    /// The request makes one attempt on the ejected peer that is due soonest, before it is due. If
    /// that peer is being probed already, the request fails. A peer that an operator ejected is
    /// left alone.
    LastResort,
}
