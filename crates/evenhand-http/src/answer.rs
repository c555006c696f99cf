//! The balancer's errors as responses.

use std::convert::Infallible;
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
/// time when the next peer is due to be probed, if one is out: the peer need not be back then. Its body is empty, and it names no peer.
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
/// other error than its own. With [`http`](Self::http) the stack is a service that never fails, as
/// `axum::Router::fallback_service` takes it.
///
/// If the service below fails in `poll_ready`, which a balancer never does, the next call is answered with
/// that error.
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

impl Protocol {
    fn answer<B: Default, E>(self, error: &Error<E>) -> Response<B> {
        match self {
            Self::Http => unavailable(error),
            Self::Grpc => grpc_unavailable(error),
        }
    }
}

impl<S> Layer<S> for AnswerErrorsLayer {
    type Service = AnswerErrors<S>;

    fn layer(&self, service: S) -> AnswerErrors<S> {
        AnswerErrors {
            service,
            protocol: self.0,
            failed: None,
        }
    }
}

/// A service that answers where the balancer fails; made by [`AnswerErrorsLayer`].
#[derive(Debug)]
pub struct AnswerErrors<S> {
    service: S,
    protocol: Protocol,
    /// The answer to the next call, if the service below failed to get ready for it.
    failed: Option<Box<Response<()>>>,
}

impl<S: Clone> Clone for AnswerErrors<S> {
    /// The clone gets ready by itself.
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            protocol: self.protocol,
            failed: None,
        }
    }
}

impl<S, A, B, E> Service<Request<A>> for AnswerErrors<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Error<E>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = AnswerErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.failed.is_none()
            && let Err(error) = ready!(self.service.poll_ready(cx))
        {
            self.failed = Some(Box::new(self.protocol.answer(&error)));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let step = match self.failed.take() {
            Some(response) => Step::Answer {
                response: Some(response),
            },
            None => Step::Call {
                future: self.service.call(request),
                protocol: self.protocol,
            },
        };
        AnswerErrorsFuture { step }
    }
}

pin_project! {
    /// The future of [`AnswerErrors`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct AnswerErrorsFuture<F> {
        #[pin]
        step: Step<F>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<F> {
        Call {
            #[pin]
            future: F,
            protocol: Protocol,
        },
        Answer { response: Option<Box<Response<()>>> },
    }
}

impl<F, B, E> Future for AnswerErrorsFuture<F>
where
    F: Future<Output = Result<Response<B>, Error<E>>>,
    B: Default,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().step.project() {
            StepProj::Call { future, protocol } => match ready!(future.poll(cx)) {
                Ok(response) => response,
                Err(error) => protocol.answer(&error),
            },
            StepProj::Answer { response } => match response.take() {
                Some(response) => response.map(|()| B::default()),
                // It has ended, and is not to be polled again.
                None => return Poll::Pending,
            },
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

    /// Fails to get ready the first time.
    #[derive(Clone)]
    struct LateReady(bool);

    impl Service<Request<()>> for LateReady {
        type Response = Response<String>;
        type Error = Error<std::io::Error>;
        type Future = std::future::Ready<Result<Response<String>, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(Error::NoPeers))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new("well".to_owned())))
        }
    }

    #[tokio::test]
    async fn error_of_poll_ready_answers_the_next_call() {
        use tower::ServiceExt;

        let mut service = AnswerErrorsLayer::http().layer(LateReady(false));
        for status in [503, 200] {
            let ready = service.ready().await.unwrap_or_else(|never| match never {});
            let response = ready.call(Request::new(())).await;
            assert_eq!(
                response.map(|response| response.status().as_u16()),
                Ok(status)
            );
        }
    }

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
