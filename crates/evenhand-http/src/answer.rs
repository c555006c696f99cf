//! The balancer's errors as responses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenhand::Error;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// The response of a gateway whose request failed so: 504 if its time or that of an attempt was over, 502 if
/// a peer failed and no other may be asked, and otherwise 503, as no peer was left to try. With `Retry-After` from the
/// time when the next peer is due, if one is out. Its body is empty, and it names no peer.
///
/// ```
/// use evenhand::Error;
/// use http::Response;
///
/// let response: Response<String> = evenhand_http::unavailable(&Error::<std::io::Error>::NoPeers);
/// assert_eq!(response.status(), 503);
/// ```
pub fn unavailable<B: Default, E>(error: &Error<E>) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = match error {
        _ if error.is_timeout() => StatusCode::GATEWAY_TIMEOUT,
        Error::Failed { .. } | Error::Inconclusive { .. } => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Some(due) = error.next_due() {
        let wait = due.saturating_duration_since(Instant::now());
        // Whole seconds, and not before the peer is due.
        let secs = wait
            .saturating_add(Duration::from_nanos(999_999_999))
            .as_secs();
        let value = HeaderValue::from(secs.max(1));
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// The response of gRPC to a request that failed so: `DEADLINE_EXCEEDED` if its time or that of an attempt
/// was over, `UNAVAILABLE` otherwise. Its message is the error's text, which names the peers that were
/// tried: it is for your own client, and not for callers from outside.
pub fn grpc_unavailable<B: Default, E>(error: &Error<E>) -> Response<B> {
    let mut response = Response::new(B::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let status = if error.is_timeout() { "4" } else { "14" };
    headers.insert("grpc-status", HeaderValue::from_static(status));
    // Percent-encoded, it has no character that a header may not have.
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(&error.to_string())) {
        headers.insert("grpc-message", message);
    }
    response
}

/// As gRPC's protocol asks for `grpc-message`: printable ASCII but `%` as it is.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Answers with a response where the balancer fails. Goes above the balancer.
///
/// With [`grpc`](Self::grpc), tonic's callers see `Unavailable` where no peer is left: tonic knows no
/// other error than its own. With [`http`](Self::http) a gateway needs no error of its own.
///
/// The service below is not to fail in `poll_ready`, as a balancer never does.
#[derive(Clone, Copy, Debug)]
pub struct AnswerErrorsLayer(Protocol);

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http,
    Grpc,
}

impl AnswerErrorsLayer {
    /// Answers as [`unavailable`] does.
    #[must_use]
    pub const fn http() -> Self {
        Self(Protocol::Http)
    }

    /// Answers as [`grpc_unavailable`] does.
    #[must_use]
    pub const fn grpc() -> Self {
        Self(Protocol::Grpc)
    }
}

impl<S> Layer<S> for AnswerErrorsLayer {
    type Service = AnswerErrors<S>;

    fn layer(&self, service: S) -> AnswerErrors<S> {
        AnswerErrors {
            service,
            protocol: self.0,
        }
    }
}

/// A service that answers where the balancer fails; made by [`AnswerErrorsLayer`].
#[derive(Clone, Copy, Debug)]
pub struct AnswerErrors<S> {
    service: S,
    protocol: Protocol,
}

impl<S, A, B, E> Service<Request<A>> for AnswerErrors<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Error<E>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = Error<E>;
    type Future = AnswerErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error<E>>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        AnswerErrorsFuture {
            future: self.service.call(request),
            protocol: self.protocol,
        }
    }
}

pin_project! {
    /// The future of [`AnswerErrors`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct AnswerErrorsFuture<F> {
        #[pin]
        future: F,
        protocol: Protocol,
    }
}

impl<F, B, E> Future for AnswerErrorsFuture<F>
where
    F: Future<Output = Result<Response<B>, Error<E>>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.future.poll(cx));
        Poll::Ready(Ok(match (outcome, *this.protocol) {
            (Ok(response), _) => response,
            (Err(error), Protocol::Http) => unavailable(&error),
            (Err(error), Protocol::Grpc) => grpc_unavailable(&error),
        }))
    }
}

impl<F> fmt::Debug for AnswerErrorsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerErrorsFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenhand::{Cause, Tried};

    #[test]
    fn message_is_percent_encoded() {
        assert_eq!(percent_encoded("50% of \u{e4}\n"), "50%25 of %C3%A4%0A");
    }

    #[test]
    fn deadline_that_passed_is_told() {
        let late = Error::<std::io::Error>::timed_out(Vec::new(), None);
        let response: Response<String> = unavailable(&late);
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let response: Response<String> = grpc_unavailable(&late);
        assert_eq!(response.headers()["grpc-status"], "4");
    }

    #[test]
    fn attempt_that_timed_out_may_have_been_executed() {
        let tried = Tried::new("a", Cause::<std::io::Error>::TimedOut);
        let failed = Error::failed(vec![tried]);
        let response: Response<String> = unavailable(&failed);
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let response: Response<String> = grpc_unavailable(&failed);
        assert_eq!(response.headers()["grpc-status"], "4");
    }

    #[test]
    fn error_without_a_due_time_has_no_retry_after() {
        let response: Response<String> = unavailable(&Error::<std::io::Error>::NoPeers);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(RETRY_AFTER), None);
    }
}
