//! Clients and peers of the tests.

pub(crate) mod peer;
pub(crate) mod tls;
pub(crate) mod wire;

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use evenhand::{Balance, BalanceLayer, Eject, Peers, Rules, State};
use evenhand_http::{
    BaseUrl, HttpClassifier, HttpClient, HttpReplay, KeepBody, KeepBodyLayer, PeerClient, PeerName,
    PeerNameLayer, TellPeerName, TrackedBody,
};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder, ServiceExt};

use self::peer::Peer;

/// Nothing here takes so long: a guard against hanging.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

pub(crate) type TestBody = Full<Bytes>;
pub(crate) type Connector = TellPeerName<PeerClient<HttpClient<TestBody>>>;
pub(crate) type TestRules = Rules<HttpClassifier, HttpReplay>;
pub(crate) type Client = KeepBody<Balance<Connector, BaseUrl, TestRules>>;
pub(crate) type TestError = evenhand::Error<hyper_util::client::legacy::Error>;

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

pub(crate) const BOTH: [Http; 2] = [Http::One, Http::Two];

pub(crate) fn hyper_client(http: Http) -> HttpClient<TestBody> {
    match http {
        Http::One => evenhand_http::client(),
        Http::Two => evenhand_http::http2_client(),
    }
}

pub(crate) fn connector(http: Http) -> Connector {
    PeerNameLayer.layer(PeerClient::new(hyper_client(http)))
}

/// A client of this layer.
pub(crate) fn client_of(http: Http, layer: &BalanceLayer<BaseUrl, TestRules>) -> Client {
    let stack = ServiceBuilder::new()
        .layer(KeepBodyLayer::new())
        .layer(layer);
    stack.service(connector(http))
}

/// A client under which no peer that was ejected comes back within a test.
pub(crate) fn client(http: Http, peers: &Peers<BaseUrl>) -> Client {
    client_of(http, &balance(peers))
}

pub(crate) fn balance(peers: &Peers<BaseUrl>) -> BalanceLayer<BaseUrl, TestRules> {
    let never = Eject::on_first().recheck_every(Duration::from_secs(3600));
    evenhand_http::balance(peers.clone()).eject(never)
}

/// The peers by their names, `0`, `1`, and so on.
pub(crate) fn peers_of<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Peers<BaseUrl> {
    let peers = peers.into_iter().enumerate();
    Peers::new(peers.map(|(i, peer)| (i.to_string(), peer.base_url()))).unwrap()
}

pub(crate) fn request(method: &str, path: &str, body: &'static str) -> Request<TestBody> {
    let request = Request::builder().method(method).uri(path);
    request.body(Full::from(body)).unwrap()
}

pub(crate) fn get(path: &str) -> Request<TestBody> {
    request("GET", path, "")
}

pub(crate) async fn send(
    client: &Client,
    request: Request<TestBody>,
) -> Result<Response<TrackedBody<Incoming>>, TestError> {
    let answer = tokio::time::timeout(GUARD, client.clone().oneshot(request));
    answer.await.expect("the request ends")
}

/// The whole body as text, or the error that it broke off with.
pub(crate) async fn text<B: Body>(response: Response<B>) -> Result<String, B::Error> {
    let body = tokio::time::timeout(GUARD, response.into_body().collect());
    let bytes = body.await.expect("the body ends")?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).expect("a text"))
}

/// The first frame of a body.
pub(crate) async fn first_frame<B>(body: &mut B) -> Bytes
where
    B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    let frame = body.frame().await.expect("a frame").expect("no error");
    frame.into_data().expect("data")
}

pub(crate) fn peer_name(response: &Response<impl Sized>) -> &str {
    let name: &PeerName = response.extensions().get().expect("the peer's name");
    &name.0
}

pub(crate) fn states(peers: &Peers<BaseUrl>) -> Vec<State> {
    peers.iter().map(|peer| peer.state()).collect()
}

pub(crate) fn in_flight(peers: &Peers<BaseUrl>) -> Vec<u32> {
    let statuses = peers.statuses();
    statuses.iter().map(|status| status.in_flight).collect()
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(GUARD, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

/// Polls a future once, which is not ready then.
pub(crate) async fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}
