//! hyper-util's client, with settings for several peers.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use crate::body::kept::KeptBody;
use crate::body::tracked::TrackedBody;

/// How long connecting to a peer may take in a client made here: 2 s.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection of HTTP/2 may be silent before it is asked for a sign of life, in a client made
/// here: 2 s. One that gives none for as long again is given up.
#[cfg(feature = "http2")]
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(2);

/// hyper-util's client without TLS, for requests whose bodies are kept, behind an `Arc`: it is cloned for
/// each request. For TLS build one with a connector such as hyper-rustls': any
/// `Client<_, KeptBody<B>>` fits [`PeerClient`].
///
/// [`PeerClient`]: crate::PeerClient
pub struct HttpClient<B: Body>(Arc<Client<HttpConnector, KeptBody<B>>>);

/// The body of a response that a client made here got from a peer by [`PeerClient`](crate::PeerClient). A
/// stack of [`KeepBodyLayer`](crate::KeepBodyLayer), [`balance`](crate::balance) and a [`client`] or
/// `http2_client` answers with `Response<ClientBody>` or [`ClientError`], so a struct names it so:
///
/// ```no_run
/// use std::time::Duration;
/// use bytes::Bytes;
/// use evenhand_http::{ClientBody, ClientError, InvalidPeers, KeepBodyLayer, PeerClient};
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::util::BoxCloneSyncService;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[derive(Clone)]
/// struct Orders {
///     http: BoxCloneSyncService<Request<Full<Bytes>>, Response<ClientBody>, ClientError>,
/// }
///
/// impl Orders {
///     fn new(urls: &[String]) -> Result<Self, InvalidPeers> {
///         let peers = evenhand_http::peers(urls)?;
///         let stack = ServiceBuilder::new()
///             .layer(KeepBodyLayer::new())
///             .layer(evenhand_http::balance(peers).attempt_timeout(Duration::from_secs(2)))
///             .service(PeerClient::new(evenhand_http::client()));
///         Ok(Self { http: BoxCloneSyncService::new(stack) })
///     }
///
///     async fn status(&self, order: u64) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
///         let request = Request::get(format!("/orders/{order}")).body(Full::default())?;
///         Ok(self.http.clone().oneshot(request).await?.status())
///     }
/// }
/// ```
pub type ClientBody = TrackedBody<Incoming>;

/// Why a request over several peers failed, by a client made here. See [`ClientBody`].
pub type ClientError = evenhand::Error<hyper_util::client::legacy::Error>;

impl<B: Body> Clone for HttpClient<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Body> fmt::Debug for HttpClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl<B> Service<Request<KeptBody<B>>> for HttpClient<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
        + Send
        + 'static,
{
    type Response = Response<Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<KeptBody<B>>) -> Self::Future {
        self.0.request(request)
    }
}

/// A client of HTTP/1.1, with [`DEFAULT_CONNECT_TIMEOUT`] and `TCP_NODELAY`.
///
/// It has one pool of connections for each peer, each of which closes those that were idle for 90 s.
pub fn client<B>() -> HttpClient<B>
where
    B: Body<Data = Bytes, Error: Send> + Send,
{
    HttpClient(Arc::new(builder().build(connector())))
}

/// A client of HTTP/2 without TLS, as gRPC uses it: with one connection to each peer, and
/// [`DEFAULT_CONNECT_TIMEOUT`]. A connection that is silent is pinged ([`DEFAULT_PING_INTERVAL`]) while
/// responses are waited for, so that a machine that is gone or a process that is frozen is found.
#[cfg(feature = "http2")]
pub fn http2_client<B>() -> HttpClient<B>
where
    B: Body<Data = Bytes, Error: Send> + Send,
{
    let mut builder = builder();
    builder
        .http2_only(true)
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(DEFAULT_PING_INTERVAL)
        .http2_keep_alive_timeout(DEFAULT_PING_INTERVAL);
    HttpClient(Arc::new(builder.build(connector())))
}

fn builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    builder
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(DEFAULT_CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector
}
