//! Judging an attempt's outcome: is the peer healthy, and may another peer be tried?
//!
//! The two questions are separate, because one answer does not imply the other. A refused
//! connection is the peer's fault and nothing was executed, so the request may go to another peer.
//! A connection lost in the middle of a write may be the peer's fault too, but the write may have
//! happened. A syntax error is the caller's fault, and would fail on every peer.
//!
//! # How to write a classifier
//!
//! A closure is a classifier:
//!
//! ```
//! use std::io;
//! use evenhand::{BalanceLayer, Peers, Verdict};
//!
//! let peers = Peers::new([("a", 1), ("b", 2)])?;
//! let layer = BalanceLayer::new(peers).classify(|outcome: Result<&String, &io::Error>| {
//!     match outcome {
//!         Ok(_) => Verdict::healthy(),
//!         // Nothing was sent: any request may go to another peer.
//!         Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
//!             Verdict::down().safe().because("refused")
//!         }
//!         // The request was the caller's mistake; the peer did its job.
//!         Err(e) if e.kind() == io::ErrorKind::InvalidInput => Verdict::healthy(),
//!         // Sent, and no answer came: only an idempotent request may go to another peer.
//!         Err(_) => Verdict::degraded().if_idempotent().because("connection lost"),
//!     }
//! });
//! # Ok::<(), evenhand::PeersError>(())
//! ```
//!
//! Where responses say nothing about the peer, [`on_error`] judges errors alone, and
//! [`Classify::unless`] adds exceptions to any classifier.
//!
//! For each outcome, ask whether the same request would have failed on a healthy peer. If so, the
//! verdict is [`Healthy`](PeerVerdict::Healthy) if the peer answered, or
//! [`Neutral`](PeerVerdict::Neutral) if it was not asked. A classifier that blames the peer for the
//! caller's mistake lets one bad caller eject every peer. Where the outcome alone does not say,
//! [`Suspect`](PeerVerdict::Suspect) lets another peer decide.

use std::time::Duration;

/// Judges the outcome of an attempt.
///
/// A closure `Fn(Result<&Response, &Error>) -> Verdict` is a classifier; see the
/// [module docs](self) for an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge outcomes of type `Result<&{T}, &{E}>`",
    label = "no classifier of this connector's outcomes",
    note = "a closure with this type is a classifier: `|outcome: Result<&{T}, &{E}>| -> Verdict`",
    note = "`classify_fn::<{T}, {E}, _>(|outcome| ..)` and `BalanceLayer::service_classified_by(connector, |outcome| ..)` give a closure its type"
)]
pub trait Classify<T, E> {
    /// Judges one outcome. Runs once for each attempt, on the caller's task, and must not block.
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict;

    /// This classifier with exceptions: where `rule` returns a verdict, that one applies.
    ///
    /// ```
    /// use std::io;
    /// use evenhand::{BalanceLayer, Classify, Peers, Verdict, on_error};
    ///
    /// struct Response { status: u16 }
    ///
    /// let classify = on_error(|_: &io::Error| Verdict::down().if_idempotent())
    ///     // A proxy without a backend answers, but executes nothing.
    ///     .unless(|outcome: Result<&Response, &io::Error>| match outcome {
    ///         Ok(response) if response.status == 503 => Some(Verdict::degraded().safe()),
    ///         _ => None,
    ///     });
    /// # let verdict = classify.classify(Ok(&Response { status: 503 }));
    /// # assert_eq!(verdict, Verdict::degraded().safe());
    /// let layer = BalanceLayer::new(Peers::new([("a", 1), ("b", 2)])?).classify(classify);
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    fn unless<F>(self, rule: F) -> Unless<Self, F>
    where
        Self: Sized,
        F: Fn(Result<&T, &E>) -> Option<Verdict>,
    {
        Unless {
            otherwise: self,
            rule,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<F, T, E> Classify<T, E> for F
where
    F: Fn(Result<&T, &E>) -> Verdict,
{
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        self(outcome)
    }
}

/// Gives a closure the type of a classifier, with the types of the connector's responses and errors
/// named once and not in the closure.
///
/// Where the connector is at hand, [`BalanceLayer::service_classified_by`] needs no types at all.
///
/// ```
/// use std::io;
/// use evenhand::{BalanceLayer, Peers, Verdict, classify_fn};
///
/// let layer = BalanceLayer::new(Peers::new([("a", 1), ("b", 2)])?)
///     .classify(classify_fn::<String, io::Error, _>(|outcome| match outcome {
///         Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Verdict::down().safe(),
///         Err(_) => Verdict::degraded().if_idempotent(),
///         Ok(_) => Verdict::healthy(),
///     }));
/// # Ok::<(), evenhand::PeersError>(())
/// ```
///
/// [`BalanceLayer::service_classified_by`]: crate::BalanceLayer::service_classified_by
pub const fn classify_fn<T, E, F>(classify: F) -> F
where
    F: Fn(Result<&T, &E>) -> Verdict,
{
    classify
}

/// What an outcome says about the peer that produced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerVerdict {
    /// The peer did its job. An application error is healthy.
    Healthy,
    /// It says nothing about the peer: the caller's own fault, a cancellation, a local shortage.
    Neutral,
    /// A failure that counts towards ejection: [`DEFAULT_DEGRADED_LIMIT`] consecutive ones eject,
    /// unless [`Eject`] says otherwise.
    ///
    /// [`DEFAULT_DEGRADED_LIMIT`]: crate::DEFAULT_DEGRADED_LIMIT
    /// [`Eject`]: crate::Eject
    Degraded,
    /// The peer failed. The first such outcome ejects it, unless [`Eject`](crate::Eject) says
    /// otherwise.
    Down,
    /// It is unknown whether the peer or the caller is at fault, so other peers are asked, if
    /// [`Retry`] allows it. Once one is `Healthy`, those that refused are ejected, if their verdicts
    /// are of the same [kind](Verdict::of_kind). Once [`BalanceLayer::max_refusals`] peers are `Suspect`,
    /// or all peers if they are fewer, the request ends with the first refusal and no peer is ejected.
    ///
    /// [`BalanceLayer::max_refusals`]: crate::BalanceLayer::max_refusals
    Suspect,
}

/// Whether another peer may be tried after an outcome.
///
/// It applies to responses too: a response whose verdict allows a retry is rejected, and returned
/// only if no other peer is left to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// No: this outcome is returned.
    Never,
    /// Yes: nothing was executed.
    Safe,
    /// Yes: nothing was executed, because the peer had no room. If no other peer can serve the
    /// request either, it comes back to this one at once, once. In that attempt
    /// [`Attempt::is_second_pass`](crate::Attempt::is_second_pass) is true.
    Busy,
    /// Only if the request is idempotent (see [`Replay`](crate::Replay)): whether it was executed is
    /// unknown. Such a request goes to at most [`BalanceLayer::max_unknown`] peers, and to each of
    /// them again only once the peer has proved itself.
    ///
    /// [`BalanceLayer::max_unknown`]: crate::BalanceLayer::max_unknown
    IfIdempotent,
}

/// A classifier's answer. Made by [`healthy`](Self::healthy), [`neutral`](Self::neutral),
/// [`degraded`](Self::degraded), [`down`](Self::down) or [`suspect`](Self::suspect), with
/// [`Retry::Never`] unless a further method says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Verdict {
    /// What the outcome says about the peer.
    pub peer: PeerVerdict,
    /// Whether another peer may be tried.
    pub retry: Retry,
    /// The reason, for events, logs and errors. A fixed text, so that it contains no secret.
    pub reason: Option<&'static str>,
    /// If this outcome ejects the peer: the time until its next probe, instead of the interval of
    /// [`Eject`](crate::Eject); at least 1 ms and at most a year. Short for a peer that is merely
    /// full, long for one that needs an operator. `None`: as `Eject` says.
    pub recover_in: Option<Duration>,
    /// What kind of thing the peer did or refused, such as `"login"`. A success convicts a peer that
    /// refused the request only if it is of the same kind. All are of one kind, `""`, by default.
    pub kind: &'static str,
}

impl Verdict {
    const fn of(peer: PeerVerdict) -> Self {
        Self {
            peer,
            retry: Retry::Never,
            reason: None,
            recover_in: None,
            kind: "",
        }
    }

    /// The peer did its job.
    pub const fn healthy() -> Self {
        Self::of(PeerVerdict::Healthy)
    }

    /// The outcome says nothing about the peer.
    pub const fn neutral() -> Self {
        Self::of(PeerVerdict::Neutral)
    }

    /// A failure that counts towards ejection.
    pub const fn degraded() -> Self {
        Self::of(PeerVerdict::Degraded)
    }

    /// The peer failed: ejects it, unless [`Eject`](crate::Eject) needs more failures.
    pub const fn down() -> Self {
        Self::of(PeerVerdict::Down)
    }

    /// Lets other peers decide. Add [`safe`](Self::safe), [`busy`](Self::busy) or
    /// [`if_idempotent`](Self::if_idempotent): otherwise no other peer is asked, and the verdict has
    /// no effect.
    pub const fn suspect() -> Self {
        Self::of(PeerVerdict::Suspect)
    }

    /// Nothing was executed: any request may go to another peer.
    pub const fn safe(mut self) -> Self {
        self.retry = Retry::Safe;
        self
    }

    /// Nothing was executed, because the peer has no room: any request may go to another peer, and
    /// comes back to this one once if no other can serve it. See [`Retry::Busy`].
    pub const fn busy(mut self) -> Self {
        self.retry = Retry::Busy;
        self
    }

    /// The request may have been executed: only an idempotent request may go to another peer.
    pub const fn if_idempotent(mut self) -> Self {
        self.retry = Retry::IfIdempotent;
        self
    }

    /// Sets the [`reason`](Self#structfield.reason).
    pub const fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// If this outcome ejects the peer, its next probe is due after `interval`.
    pub const fn recover_in(mut self, interval: Duration) -> Self {
        self.recover_in = Some(interval);
        self
    }

    /// Sets the [`kind`](Self#structfield.kind).
    pub const fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }
}

/// `()` is healthy: for a probe service whose every answer means that the peer works.
impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::healthy()
    }
}

/// Any error is [`Down`](PeerVerdict::Down); any response is healthy. The default.
///
/// It cannot know whether a failed request was executed, so only idempotent requests are tried on
/// another peer. With [`safe`](Self::safe) all are: right for a service that only opens connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyErrorIsDown {
    safe: bool,
}

impl AnyErrorIsDown {
    /// As the default, but errors mean that nothing was executed, so any request may go to another
    /// peer.
    #[must_use]
    pub const fn safe() -> Self {
        Self { safe: true }
    }
}

impl<T, E> Classify<T, E> for AnyErrorIsDown {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::healthy(),
            Err(_) if self.safe => Verdict::down().safe(),
            Err(_) => Verdict::down().if_idempotent(),
        }
    }
}

/// Every outcome is healthy: no outcome ejects a peer, and no request is tried twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingIsDown;

impl<T, E> Classify<T, E> for NothingIsDown {
    fn classify(&self, _: Result<&T, &E>) -> Verdict {
        Verdict::healthy()
    }
}

/// A classifier for which every response is healthy, and which judges errors with `judge`. For
/// connectors whose responses say nothing about the peer.
pub const fn on_error<E, F>(judge: F) -> OnError<F>
where
    F: Fn(&E) -> Verdict,
{
    OnError(judge)
}

/// Judges errors alone; made by [`on_error`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct OnError<F>(F);

impl<T, E, F> Classify<T, E> for OnError<F>
where
    F: Fn(&E) -> Verdict,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        outcome.map_or_else(&self.0, |_| Verdict::healthy())
    }
}

/// A classifier with exceptions; made by [`Classify::unless`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Unless<C, F> {
    otherwise: C,
    rule: F,
}

impl<T, E, C, F> Classify<T, E> for Unless<C, F>
where
    C: Classify<T, E>,
    F: Fn(Result<&T, &E>) -> Option<Verdict>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        let exception = (self.rule)(outcome);
        exception.unwrap_or_else(|| self.otherwise.classify(outcome))
    }
}

#[cfg(test)]
mod tests;
