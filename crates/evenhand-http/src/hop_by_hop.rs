//! Headers that are meant for one connection, which a gateway does not hand on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Those that have always been meant for one connection, whether `Connection` names them or not.
const FIXED: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// For gateways: removes the headers that are meant for one connection, from requests and from responses
/// (RFC 9110, section 7.6.1). Goes above the balancer.
///
/// Layers that set headers of requests, such as a user's identity, `X-Forwarded-For`, `Forwarded` or `Via`, go
/// below it, not to axum's `Router::layer`: of what is set above it, a caller can have `x-user` removed by
/// `Connection: x-user`. Layers that set headers of responses go above it, as a peer can do the same.
///
/// These are the headers that `Connection` names, and `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`,
/// `Transfer-Encoding` and `Upgrade`. Of a request's `TE` the value `trailers` is kept, which gRPC needs: the
/// connector hands trailers on. All other headers stay, so `Forwarded` and `Via` are yours to set, below.
///
/// A connection cannot be upgraded through it, to a WebSocket for one: the request for it has lost its
/// `Upgrade`, and is answered as any other.
///
/// ```
/// use evenhand_http::StripHopByHopLayer;
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ServiceBuilder::new()
///     .layer(StripHopByHopLayer)
///     .service(service_fn(async |request: Request<()>| {
///         assert!(request.headers().is_empty());
///         Response::builder().header("keep-alive", "timeout=5").body(())
///     }));
/// let request = Request::get("/").header("connection", "x-hop").header("x-hop", "1").body(())?;
/// assert!(service.oneshot(request).await?.headers().is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StripHopByHopLayer;

impl<S> Layer<S> for StripHopByHopLayer {
    type Service = StripHopByHop<S>;

    fn layer(&self, service: S) -> StripHopByHop<S> {
        StripHopByHop { service }
    }
}

/// Removes the headers that are meant for one connection; made by [`StripHopByHopLayer`].
#[derive(Clone, Copy, Debug)]
pub struct StripHopByHop<S> {
    service: S,
}

impl<S, A, B> Service<Request<A>> for StripHopByHop<S>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = StripHopByHopFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let takes_trailers = takes_trailers(request.headers());
        strip(request.headers_mut());
        if takes_trailers {
            let trailers = HeaderValue::from_static("trailers");
            request.headers_mut().insert(TE, trailers);
        }
        StripHopByHopFuture {
            future: self.service.call(request),
        }
    }
}

pin_project! {
    /// The future of [`StripHopByHop`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct StripHopByHopFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, B, E> Future for StripHopByHopFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.project().future.poll(cx))?;
        strip(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for StripHopByHopFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripHopByHopFuture")
            .finish_non_exhaustive()
    }
}

/// The members of all lists of this header.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    members(headers, &TE).any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

fn strip(headers: &mut HeaderMap) {
    let named = members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok());
    for name in named.chain(FIXED).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    type Pairs<'a> = &'a [(&'a str, &'a [u8])];

    fn map(pairs: Pairs<'_>) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).expect("a value");
            (name.parse().expect("a name"), value)
        });
        // With all values of a name.
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name;
            headers.append(name, value);
        }
        headers
    }

    /// What a server sees of these headers of a request, and a caller of the same in a response.
    async fn handed_on(pairs: Pairs<'_>) -> (HeaderMap, HeaderMap) {
        let service = StripHopByHopLayer.layer(service_fn(async |request: Request<HeaderMap>| {
            let (head, sent) = request.into_parts();
            let mut response = Response::new(head.headers);
            *response.headers_mut() = sent;
            Ok::<_, Infallible>(response)
        }));
        let mut request = Request::new(map(pairs));
        *request.headers_mut() = map(pairs);
        let (head, seen) = service
            .oneshot(request)
            .await
            .expect("no error")
            .into_parts();
        (seen, head.headers)
    }

    #[tokio::test]
    async fn headers_of_one_connection_are_not_handed_on() {
        let (seen, answered) = handed_on(&[
            ("connection", b"close, X-Hop"),
            ("connection", b"\xff, ,x-second"),
            ("x-hop", b"1"),
            ("x-second", b"1"),
            ("x-second", b"2"),
            ("keep-alive", b"timeout=5"),
            ("proxy-connection", b"keep-alive"),
            ("te", b"gzip"),
            ("transfer-encoding", b"chunked"),
            ("upgrade", b"websocket"),
            ("x-end", b"1"),
        ])
        .await;
        let expected = map(&[("x-end", b"1")]);
        assert_eq!((&seen, &answered), (&expected, &expected));
    }

    #[tokio::test]
    async fn trailers_are_still_asked_for() {
        for te in [b"trailers".as_slice(), b"gzip;q=0.5, Trailers"] {
            let (seen, answered) = handed_on(&[("te", te), ("connection", b"te")]).await;
            assert_eq!(seen, map(&[("te", b"trailers")]));
            assert_eq!(answered, map(&[]), "a response has none");
        }
    }
}
