//! The connector: sends each attempt to its peer's base URL.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use evenhand::Attempt;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::base_url::BaseUrl;
use crate::body::tracked::{TrackedBody, Watch};
use crate::classify::{HttpClassifier, status_of};

/// The connector over any HTTP client, that is, any cloneable `Service<http::Request<B>>` that goes by
/// the request's URL: sends each attempt to its peer's [`BaseUrl`].
///
/// It sets scheme and authority of the URL, and keeps path, query, method and headers. The version is
/// set to HTTP/1.1, which a client over HTTP/2 ignores: it is that of the connection, not of the request.
///
/// It hands all headers on: in a gateway put a [`StripHopByHopLayer`](crate::StripHopByHopLayer) on top,
/// which removes those that are meant for one connection.
///
/// # What an attempt counts as
///
/// - A response that is not a success (2xx), has no body, or is one of gRPC with a `grpc-status` in its head
///   counts with its head, as the balancer's classifier judges it.
/// - Any other counts once, with its end: as a success at the end of its body, or with the `grpc-status`
///   of its trailers, or as its error says if the body breaks off ([`HttpClassifier`]). If the caller drops the body before, it
///   counts neither way. If it takes longer than
///   [`ticket_timeout`](evenhand::BalanceLayer::ticket_timeout), the head's verdict counts then, in
///   place of the end.
///
/// The attempt is in flight while the body lives, so a drain waits for it. If a classifier rejects a
/// success because of its head, so that the request goes to another peer, that counts as a dropped body.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use bytes::Bytes;
/// use evenhand_http::{KeepBodyLayer, PeerClient};
/// use http::Request;
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().route("/", get(async || "hello"));
/// let service = ServiceBuilder::new()
///     .layer(KeepBodyLayer::new())
///     .layer(evenhand_http::balance(evenhand_http::peers(["http://10.0.0.1", "http://10.0.0.2"])?))
///     .service(PeerClient::new(router));
/// let response = service.oneshot(Request::new(Full::<Bytes>::default())).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(()) }
/// ```
///
/// # reqwest
///
/// A `reqwest::Client` is a service of its own types of requests and responses, which are made from those of
/// the crate `http` and back:
///
/// ```no_run
/// use bytes::Bytes;
/// use evenhand_http::{KeptBody, PeerClient};
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::service_fn;
///
/// # fn run() -> reqwest::Result<()> {
/// // A redirect may lead to another host, so it is the caller's to follow.
/// let none = reqwest::redirect::Policy::none();
/// // Through a proxy, which the environment may name, each peer would be judged by the proxy's answers.
/// let client = reqwest::Client::builder().redirect(none).no_proxy().build()?;
/// let connector = PeerClient::new(service_fn(move |request: Request<KeptBody<Full<Bytes>>>| {
///     let client = client.clone();
///     async move {
///         let request = request.map(reqwest::Body::wrap).try_into()?;
///         client.execute(request).await.map(Response::from)
///     }
/// }));
/// # Ok(()) }
/// ```
///
/// Its errors are judged like those of hyper-util's client, which is in it.
#[derive(Clone, Copy, Debug)]
pub struct PeerClient<S> {
    service: S,
    classifier: HttpClassifier,
    keep_host: bool,
}

impl<S> PeerClient<S> {
    /// Sends attempts by `service`.
    pub const fn new(service: S) -> Self {
        Self {
            service,
            classifier: HttpClassifier::new(),
            keep_host: false,
        }
    }

    /// How a `grpc-status` in trailers is judged. Default: [`HttpClassifier::new`].
    #[must_use]
    pub fn classifier(mut self, classifier: HttpClassifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Whether the request's header `Host` is kept, or without one the authority of the caller's URL is
    /// sent as `Host`, for peers that serve several hosts. Default: `false`, so that `Host` is the peer's
    /// authority.
    ///
    /// Over HTTP/2 the peer's authority is sent as `:authority`, and this `Host` beside it. Some servers
    /// refuse a request in which the two differ.
    #[must_use]
    pub fn keep_host(mut self, keep_host: bool) -> Self {
        self.keep_host = keep_host;
        self
    }

    /// The service that requests are sent by.
    pub fn get_ref(&self) -> &S {
        &self.service
    }
}

impl<S, B, R> Service<Attempt<BaseUrl, Request<B>>> for PeerClient<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<TrackedBody<R>>;
    type Error = S::Error;
    type Future = PeerClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt<BaseUrl, Request<B>>) -> Self::Future {
        let (attempt, mut request) = attempt.into_parts();
        attempt.peer.direct(&mut request, self.keep_host);
        PeerClientFuture {
            future: self.service.call(request),
            attempt,
            classifier: self.classifier,
        }
    }
}

pin_project! {
    /// The future of [`PeerClient`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct PeerClientFuture<F> {
        #[pin]
        future: F,
        attempt: Attempt<BaseUrl, ()>,
        classifier: HttpClassifier,
    }
}

impl<F, R, E> Future for PeerClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<TrackedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let watch = (!response.body().is_end_stream()).then(|| {
            let headers = response.headers();
            let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
            let may_have_status = content_type.is_some_and(|of| of.starts_with(GRPC));
            let has_status = may_have_status && status_of(headers).is_some();
            let decides = response.status().is_success() && !has_status;
            Watch {
                ticket: if decides {
                    this.attempt.deciding_ticket()
                } else {
                    this.attempt.ticket()
                },
                decides,
                classifier: *this.classifier,
                is_grpc: content_type.is_some_and(is_grpc),
            }
        });
        Poll::Ready(Ok(response.map(|body| TrackedBody::new(body, watch))))
    }
}

/// How the types of gRPC's responses and those of gRPC-Web begin.
const GRPC: &[u8] = b"application/grpc";

/// Whether a body of this type ends with trailers of gRPC. That of gRPC-Web, which has them in its data,
/// does not.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(GRPC);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

impl<F> fmt::Debug for PeerClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerClientFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_web_is_no_grpc() {
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc; a=b",
        ] {
            assert!(is_grpc(grpc.as_bytes()), "{grpc}");
        }
        for other in [
            "application/grpc-web",
            "application/grpc-web-text+proto",
            "text/html",
        ] {
            assert!(!is_grpc(other.as_bytes()), "{other}");
        }
    }
}
