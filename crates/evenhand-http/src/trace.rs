//! A span for each attempt.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use evenhand::Attempt;
use http::{Request, Response, Version};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::base_url::BaseUrl;

/// Makes a span of each attempt, with the fields that OpenTelemetry's conventions name for clients of
/// HTTP. Goes below the balancer, above the connector. For a span of the whole request, put
/// tower-http's `TraceLayer` above the balancer.
///
/// The span is called `http_attempt`, has the level `INFO` and the target `evenhand_http`, and lasts
/// from the call of the peer to the head of its response:
///
/// | field | value |
/// | --- | --- |
/// | `otel.name` | the method; `HTTP` if it is none of RFC 9110 or PATCH |
/// | `otel.kind` | `client` |
/// | `http.request.method` | the method; `_OTHER` if it is none of RFC 9110 or PATCH |
/// | `server.address`, `server.port` | those of the peer's base URL |
/// | `url.scheme`, `url.path` | those of the attempt's URL. Its query, which may hold a secret, is not shown |
/// | `network.protocol.version` | that of the response: `1.1`, `2` |
/// | `http.response.status_code` | that of the response |
/// | `error.type` | the status code if it is 400 or more; `error` if there was no response |
/// | `otel.status_code` | `ERROR` where `error.type` is set |
/// | `evenhand.peer` | the peer's name |
/// | `evenhand.probe` | whether the attempt is the probe of an ejected peer |
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceAttemptsLayer;

impl<S> Layer<S> for TraceAttemptsLayer {
    type Service = TraceAttempts<S>;

    fn layer(&self, connector: S) -> TraceAttempts<S> {
        TraceAttempts { connector }
    }
}

/// A connector with a span for each attempt; made by [`TraceAttemptsLayer`].
#[derive(Clone, Copy, Debug)]
pub struct TraceAttempts<S> {
    connector: S,
}

/// The methods that OpenTelemetry knows.
const KNOWN: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

impl<S, A, B> Service<Attempt<BaseUrl, Request<A>>> for TraceAttempts<S>
where
    S: Service<Attempt<BaseUrl, Request<A>>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TraceAttemptsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt<BaseUrl, Request<A>>) -> Self::Future {
        let method = attempt.request.method().as_str();
        let method = if KNOWN.contains(&method) {
            method
        } else {
            "_OTHER"
        };
        let span = info_span!(
            target: "evenhand_http",
            "http_attempt",
            otel.name = if method == "_OTHER" { "HTTP" } else { method },
            otel.kind = "client",
            http.request.method = method,
            server.address = attempt.peer.authority().host(),
            server.port = attempt.peer.port(),
            url.scheme = attempt.peer.scheme().as_str(),
            url.path = attempt.request.uri().path(),
            evenhand.peer = attempt.peer.name(),
            evenhand.probe = attempt.is_probe(),
            network.protocol.version = Empty,
            http.response.status_code = Empty,
            error.r#type = Empty,
            otel.status_code = Empty,
        );
        let future = span.in_scope(|| self.connector.call(attempt));
        TraceAttemptsFuture { future, span }
    }
}

pin_project! {
    /// The future of [`TraceAttempts`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TraceAttemptsFuture<F> {
        #[pin]
        future: F,
        span: Span,
    }
}

impl<F, B, E> Future for TraceAttemptsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let span = &*this.span;
        let future = this.future;
        let outcome = ready!(span.in_scope(|| future.poll(cx)));
        match &outcome {
            Ok(response) => {
                let status = response.status();
                span.record("http.response.status_code", status.as_u16());
                span.record("network.protocol.version", version(response.version()));
                if status.is_client_error() || status.is_server_error() {
                    span.record("error.type", status.as_str());
                    span.record("otel.status_code", "ERROR");
                }
            }
            Err(_) => {
                span.record("error.type", "error");
                span.record("otel.status_code", "ERROR");
            }
        }
        Poll::Ready(outcome)
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

impl<F> fmt::Debug for TraceAttemptsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceAttemptsFuture")
            .finish_non_exhaustive()
    }
}
