//! What a request does when no peer is left to try.

use std::time::Duration;

/// What a request does when no peer is left to try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllDown {
    /// The request fails at once. The default.
    #[default]
    Fail,
    /// The request waits, for at most this time in total (cut to a year), and is tried again
    /// whenever a peer comes back or is due for a probe, and after pauses of its own, which grow from
    /// 10 ms to 1 s. It also goes back to peers that it has tried. It does not wait if its verdicts
    /// allow no other attempt.
    ///
    /// While no peer is up and requests wait, probes come at the spacing of the first recheck, see
    /// [`Eject`](crate::Eject). When a peer comes back, the requests that wait are let in one by one
    /// at first, and two more for each that has ended.
    ///
    /// Needs a tokio runtime with a timer; a request that has to wait panics outside one.
    WaitUpTo(Duration),
    /// The request goes to peers that are out, picked like any, as if they were up. A success brings
    /// its peer back; a failure changes nothing, and another peer is tried. Peers that an operator
    /// ejected, or whose verdict set [`recover_in`](crate::Verdict::recover_in), are left alone until
    /// they are due.
    ///
    /// For services whose peers are ejected by mistake more often than they are all down.
    FailOpen,
}
