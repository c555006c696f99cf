//! A probe by `GET`.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use evenhand::{Peer, Verdict};
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use tower_service::Service;

use super::{ask, read};
use crate::base_url::BaseUrl;

/// Probes a peer by `GET` of a path: a service for [`Probe::new`](evenhand::Probe::new).
///
/// The peer is well if it answers with the [expected](Self::expect) status, to the end or for 64 KiB. The client may
/// be the one that requests are sent by. A probe that gets no answer fails with the reason that a request
/// would, such as "connection refused". One that this machine cannot send, as it has no port or file descriptor
/// left, says nothing of a peer that is up.
///
/// ```no_run
/// use std::time::Duration;
/// use evenhand::{ActiveChecks, Probe};
/// use evenhand_http::{HttpProbe, KeepBodyLayer, PeerClient};
/// use http::Uri;
/// use tower::ServiceBuilder;
///
/// # #[cfg(feature = "client")]
/// # fn run() -> Result<(), evenhand_http::InvalidPeers> {
/// let client = evenhand_http::client::<http_body_util::Full<bytes::Bytes>>();
/// let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
/// let health = HttpProbe::new(client.clone(), Uri::from_static("/healthz"));
/// let probe = Probe::new(health, Duration::from_secs(1))
///     .active_checks(ActiveChecks::every(Duration::from_secs(5)));
/// let service = ServiceBuilder::new()
///     .layer(KeepBodyLayer::new())
///     .layer(
///         evenhand_http::balance(peers)
///             .attempt_timeout(Duration::from_secs(2))
///             .probe(probe),
///     )
///     .service(PeerClient::new(client));
/// # Ok(()) }
/// ```
///
/// `A` is the type of the client's request bodies.
#[must_use]
pub struct HttpProbe<S, A> {
    client: S,
    path: Uri,
    expected: Option<StatusCode>,
    body: PhantomData<fn() -> A>,
}

impl<S, A> HttpProbe<S, A> {
    /// Asks by `client`, for the path and query of `path`.
    pub const fn new(client: S, path: Uri) -> Self {
        Self {
            client,
            path,
            expected: None,
            body: PhantomData,
        }
    }

    /// The status of a peer that is well. Default: any success (2xx).
    pub const fn expect(mut self, status: StatusCode) -> Self {
        self.expected = Some(status);
        self
    }
}

impl<S, A, B> Service<Peer<BaseUrl>> for HttpProbe<S, A>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    A: Default + Send + 'static,
    B: Body<Data = Bytes> + Send,
{
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer<BaseUrl>) -> Self::Future {
        let mut client = self.client.clone();
        let mut request = Request::new(A::default());
        *request.uri_mut() = self.path.clone();
        peer.direct(&mut request, false);
        let expected = self.expected;
        Box::pin(async move {
            let response = match ask(&mut client, request).await {
                Ok(response) => response,
                Err(failed) => return Ok(failed),
            };
            let status = response.status();
            if !expected.map_or(status.is_success(), |expected| status == expected) {
                return Ok(Verdict::down().because("the probe got another status"));
            }
            let read = read(response.into_body()).await;
            Ok(read.map_or_else(|failed| failed, |_| Verdict::healthy()))
        })
    }
}

impl<S: Clone, A> Clone for HttpProbe<S, A> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            path: self.path.clone(),
            expected: self.expected,
            body: PhantomData,
        }
    }
}

impl<S, A> fmt::Debug for HttpProbe<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbe")
            .field("path", &self.path)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}
