//! What a user sets about verdicts.

use std::time::Duration;

use evenhand::Verdict;

/// The longest time for which `Retry-After` rests a peer, unless
/// [`HttpClassifier::max_rest`] says otherwise: 60 s.
pub const DEFAULT_MAX_REST: Duration = Duration::from_secs(60);

/// Judges responses by their status, that of HTTP and that of gRPC, and errors by what they say of the
/// request.
///
/// # Status codes
///
/// | status | the peer | another peer |
/// | --- | --- | --- |
/// | 1xx, 2xx, 3xx, and any not named here | did its job | no |
/// | 408 | it says nothing | if the request is idempotent |
/// | 421 | failed ([`Degraded`](evenhand::PeerVerdict::Degraded)) | yes: it was not executed |
/// | 429 | did its job: the caller's quota is used up; see [`too_many_requests`](Self::too_many_requests) | no |
/// | 500, 502, 504 | failed (`Degraded`) | if the request is idempotent |
/// | 503 | failed (`Degraded`) | if the request is idempotent |
/// | 503 with `Retry-After` | rests for that time, at most [`max_rest`](Self::max_rest) | if the request is idempotent |
///
/// # gRPC
///
/// A `grpc-status`, in the head or in the trailers, comes before the table above. Once the head was
/// handed to the caller nothing is retried, so a status in the trailers counts for the peer only.
///
/// | status | the peer | another peer |
/// | --- | --- | --- |
/// | `UNAVAILABLE` | failed (`Degraded`) | if the request is idempotent |
/// | `UNKNOWN`, `INTERNAL`, `DATA_LOSS` | failed (`Degraded`) | no |
/// | `CANCELLED`, `DEADLINE_EXCEEDED` | it says nothing | no |
/// | `RESOURCE_EXHAUSTED` | as 429 | as 429 |
/// | any other | did its job | no |
///
/// With `grpc-retry-pushback-ms` (gRPC's proposal A6) a server that is `UNAVAILABLE` forbids further
/// attempts, by a value that is no time, or rests for that time, as with `Retry-After`.
///
/// # Errors
///
/// | error | the peer | another peer |
/// | --- | --- | --- |
/// | the connection could not be made: refused, unreachable, no TLS | [`Down`](evenhand::PeerVerdict::Down) | yes: nothing was sent |
/// | this machine has no file descriptor or port left | it says nothing | yes |
/// | the request was not sent when its connection ended | it says nothing | yes |
/// | HTTP/2: `GOAWAY` of the peer that excludes the request | it says nothing; `Degraded` if it tells an error | yes: it was not executed |
/// | HTTP/2: `REFUSED_STREAM` | it says nothing: no room | yes, and back to this one |
/// | HTTP/2: a ping without an answer | `Down` | if the request is idempotent |
/// | the request's own body failed | it says nothing | no |
/// | the connection ended on this side: its runtime ended, or a body panicked | it says nothing | if the request is idempotent |
/// | any other: the connection was lost, a timeout, no HTTP | `Degraded` | if the request is idempotent |
///
/// A body that breaks off is judged by the same rows, as far as they are about connections that were made, and
/// otherwise counts as `Degraded`. Nothing is retried then. Two of them hyper tells only to requests that wait
/// for their head. To a body, a ping without an answer is a lost connection, and `GOAWAY` or `RST_STREAM`
/// without an error is its end: if less came than its `Content-Length`, it broke off; one without a length
/// counts as whole.
///
/// The rows of HTTP/2 need the feature `http2`. Errors are looked for in the chain of
/// [`sources`](std::error::Error::source), so other services may wrap them.
///
/// Exceptions are added with [`Classify::unless`](evenhand::Classify::unless):
///
/// ```
/// use evenhand::{Classify, Verdict};
/// use evenhand_http::HttpClassifier;
/// use http::{Response, StatusCode};
/// # use std::io;
///
/// // 507 is the caller's quota here, and 503 means that nothing was executed.
/// let classify = HttpClassifier::new().unless(|outcome: Result<&Response<()>, &io::Error>| {
///     match outcome.ok()?.status() {
///         StatusCode::SERVICE_UNAVAILABLE => Some(Verdict::degraded().safe()),
///         StatusCode::INSUFFICIENT_STORAGE => Some(Verdict::healthy()),
///         _ => None,
///     }
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct HttpClassifier {
    max_rest: Duration,
    pub(super) too_many_requests: TooManyRequests,
}

/// What `429 Too Many Requests` and gRPC's `RESOURCE_EXHAUSTED` mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TooManyRequests {
    /// The caller's quota is used up, at every peer. The peer did its job, and the caller gets the
    /// response. The default.
    #[default]
    Caller,
    /// This peer has too much to do, and executed nothing. It rests for the time of `Retry-After`, if it
    /// names one, and any request goes to another peer.
    Peer,
}

impl HttpClassifier {
    /// As the tables say.
    pub const fn new() -> Self {
        Self {
            max_rest: DEFAULT_MAX_REST,
            too_many_requests: TooManyRequests::Caller,
        }
    }

    /// The longest time for which `Retry-After` or `grpc-retry-pushback-ms` rests a peer; a longer one
    /// is cut to this. With zero neither rests any peer. Default: [`DEFAULT_MAX_REST`].
    pub const fn max_rest(mut self, time: Duration) -> Self {
        self.max_rest = time;
        self
    }

    /// What 429 and `RESOURCE_EXHAUSTED` mean. Default: [`TooManyRequests::Caller`].
    pub const fn too_many_requests(mut self, meaning: TooManyRequests) -> Self {
        self.too_many_requests = meaning;
        self
    }

    /// A failure of a peer that asks for a rest.
    pub(super) fn rest(&self, time: Option<Duration>) -> Verdict {
        match time.map(|time| time.min(self.max_rest)) {
            Some(time) if !time.is_zero() => Verdict::down().recover_in(time),
            _ => Verdict::degraded(),
        }
    }
}

impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}
