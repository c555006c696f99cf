//! The settings of time limits.

use std::time::Duration;

use super::BalanceLayer;
use crate::classify::Verdict;
use crate::interval::within_bounds;

impl<Target, R> BalanceLayer<Target, R> {
    /// The most time that one attempt takes (1 ms to 1 year), from when it first has to wait. An attempt
    /// without an outcome by then is dropped, and the [`timeout_verdict`](Self::timeout_verdict) says
    /// what it means. In errors its [`Cause`](crate::Cause) is `TimedOut`. Default: no limit.
    ///
    /// Only such a limit finds a peer that hangs: tower's `Timeout` above the balancer drops the request,
    /// and names and blames no peer. An attempt whose connector answers without a wait costs no timer
    /// and reads no clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand::{Attempt, BalanceLayer, Cloned, Peers};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = BalanceLayer::new(Peers::new([("hangs", false), ("works", true)])?)
    ///     .replay(Cloned::idempotent())
    ///     .attempt_timeout(Duration::from_secs(1))
    ///     .deadline(Duration::from_secs(5));
    /// let balance = layer.layer(service_fn(async |attempt: Attempt<bool, ()>| match *attempt.peer {
    ///     true => Ok::<_, std::io::Error>(attempt.peer.shared_name()),
    ///     false => std::future::pending().await,
    /// }));
    /// assert_eq!(&*balance.oneshot(()).await?, "works");
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// A request that has to wait panics outside a tokio runtime with a timer.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.times.attempt = Some(within_bounds(timeout));
        self
    }

    /// What an attempt that took longer than the [`attempt_timeout`](Self::attempt_timeout) says of its
    /// peer, and whether another peer may be tried. Default: `Verdict::degraded().if_idempotent()`, as a
    /// slow request looks like a peer that hangs, and may have been executed.
    ///
    /// Where connections are all that the connector opens, `Verdict::down().safe()` finds a peer that
    /// hangs with the first attempt.
    pub fn timeout_verdict(mut self, verdict: Verdict) -> Self {
        self.settings.times.verdict = verdict;
        self
    }

    /// The most time that one request takes, over all its attempts and waits (1 ms to 1 year), from when
    /// it first has to wait. Default: no limit.
    ///
    /// A request without an outcome by then ends with [`Error::TimedOut`](crate::Error::TimedOut), which
    /// names the peers that were tried and the one that had not answered; or with a response, if one was
    /// rejected. So does a request that waits for a peer
    /// ([`AllDown::WaitUpTo`](crate::AllDown::WaitUpTo)), unless its wait is over before. The attempt in
    /// flight is dropped, and its peer is not blamed, as it may have been asked a moment ago. So a
    /// deadline alone finds no peer that hangs: set an [`attempt_timeout`](Self::attempt_timeout), too.
    ///
    /// # Panics
    ///
    /// A request that has to wait panics outside a tokio runtime with a timer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.times.request = Some(within_bounds(deadline));
        self
    }
}
