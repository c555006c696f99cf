use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use evenhand::State;
use evenhand_http::{KeepBodyLayer, KeptBody};
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::peer::{Mode, Peer};
use crate::common::*;

/// A body whose pieces come through a channel, of a length that may be known.
struct Channel {
    pieces: mpsc::UnboundedReceiver<Result<Frame<Bytes>, io::Error>>,
    length: Option<u64>,
}

type Pieces = mpsc::UnboundedSender<Result<Frame<Bytes>, io::Error>>;

fn channel(length: Option<u64>) -> (Pieces, Channel) {
    let (sender, pieces) = mpsc::unbounded_channel();
    (sender, Channel { pieces, length })
}

impl Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.pieces.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(text.into()))
}

/// The body that the service below gets.
async fn kept(limit: u64, body: Channel) -> KeptBody<Channel> {
    let echo = service_fn(async |request: Request<KeptBody<Channel>>| {
        Ok::<_, Infallible>(request.into_body())
    });
    let service = KeepBodyLayer::new().limit(limit).layer(echo);
    service.oneshot(Request::new(body)).await.unwrap()
}

#[tokio::test]
async fn body_of_known_length_is_waited_for_and_kept() {
    let (pieces, body) = channel(Some(5));
    let mut kept = pin!(kept(5, body));
    pieces.send(data("he")).unwrap();
    poll_once(&mut kept).await;
    pieces.send(data("llo")).unwrap();
    drop(pieces);
    let kept = kept.await;
    assert!(kept.is_kept());
    for copy in [kept.copy().unwrap(), kept.copy().unwrap(), kept] {
        assert_eq!(copy.size_hint().exact(), Some(5));
        assert_eq!(copy.collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn body_that_is_there_at_once_is_kept_with_its_trailers() {
    let (pieces, body) = channel(None);
    let mut trailers = HeaderMap::new();
    trailers.insert("a", "b".parse().unwrap());
    pieces.send(data("hello")).unwrap();
    pieces.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    let copy = kept(5, body).await.copy().unwrap().collect().await.unwrap();
    assert_eq!(copy.trailers(), Some(&trailers));
    assert_eq!(copy.to_bytes(), "hello");
}

#[tokio::test]
async fn body_that_is_longer_or_still_to_come_is_streamed_whole() {
    for (length, limit) in [(Some(10), 9), (None, 9), (None, 4), (None, 100)] {
        let (pieces, body) = channel(length);
        pieces.send(data("hello")).unwrap();
        if limit == 9 {
            pieces.send(data("world")).unwrap();
        }
        let kept = kept(limit, body).await;
        assert!(
            !kept.is_kept() && kept.copy().is_none(),
            "{length:?} {limit}"
        );
        assert!(!kept.is_end_stream());
        if limit != 9 {
            pieces.send(data("world")).unwrap();
        }
        drop(pieces);
        assert_eq!(kept.collect().await.unwrap().to_bytes(), "helloworld");
    }
}

/// A body that failed is not taken for one that has ended.
#[tokio::test]
async fn error_of_a_body_is_told() {
    for length in [None, Some(100)] {
        let (pieces, body) = channel(length);
        pieces.send(data("hello")).unwrap();
        pieces.send(Err(io::Error::other("lost"))).unwrap();
        drop(pieces);
        let mut kept = kept(1000, body).await;
        assert!(!kept.is_kept());
        assert_ne!(kept.size_hint().exact(), Some(5));
        assert_eq!(first_frame(&mut kept).await, "hello");
        assert!(!kept.is_end_stream());
        assert_eq!(kept.frame().await.unwrap().unwrap_err().to_string(), "lost");
        assert!(kept.frame().await.is_none());
    }
}

#[tokio::test]
async fn kept_body_goes_to_the_next_peer() {
    for http in BOTH {
        let peers = Peer::start_all::<2>(Mode::Serve).await;
        peers[0].set(Mode::Status(500));
        let client = client(http, &peers_of(&peers));
        while peers[0].requests() < 2 {
            let response = send(&client, request("PUT", "/", "hello")).await.unwrap();
            assert!(text(response).await.unwrap().ends_with(" hello"));
        }
        let mut keyed = request("POST", "/key", "hello");
        keyed
            .headers_mut()
            .insert("idempotency-key", "1".parse().unwrap());
        while !peers[0].paths().contains_key("/key") {
            let response = send(&client, keyed.clone()).await.unwrap();
            assert_eq!(response.status(), 200);
        }
    }
}

/// Streams into a peer that fails: the request is not sent again.
#[tokio::test]
async fn streamed_body_goes_to_one_peer_only() {
    let peers = Peer::start_all::<2>(Mode::Status(500)).await;
    let layer = evenhand_http::balance(peers_of(&peers));
    let hyper = evenhand_http::client::<Channel>();
    let service = KeepBodyLayer::new().layer(layer.layer(evenhand_http::PeerClient::new(hyper)));
    let (pieces, body) = channel(None);
    let sent = tokio::spawn(service.oneshot(Request::put("/").body(body).unwrap()));
    // Not there when the request is sent, so it is not kept.
    tokio::task::yield_now().await;
    pieces.send(data("x")).unwrap();
    drop(pieces);
    assert_eq!(sent.await.unwrap().unwrap().status(), 500);
    assert_eq!(peers.iter().map(Peer::requests).sum::<u32>(), 1);
}

/// It is the caller's own body that fails.
#[tokio::test]
async fn error_of_a_requests_body_blames_no_peer() {
    for http in BOTH {
        let peers = Peer::start_all::<2>(Mode::Serve).await;
        let set = peers_of(&peers);
        let hyper = match http {
            Http::One => evenhand_http::client::<Channel>(),
            Http::Two => evenhand_http::http2_client(),
        };
        let service = balance(&set).layer(evenhand_http::PeerClient::new(hyper));
        let service = KeepBodyLayer::new().layer(service);
        for _ in 0..20 {
            let (pieces, body) = channel(None);
            pieces.send(data("hello")).unwrap();
            pieces.send(Err(io::Error::other("lost"))).unwrap();
            let sent = service
                .clone()
                .oneshot(Request::put("/").body(body).unwrap());
            let sent = tokio::time::timeout(GUARD, sent)
                .await
                .expect("the request ends");
            assert!(sent.is_err(), "{http:?}");
        }
        assert_eq!(states(&set), [State::Up, State::Up], "{http:?}");
    }
}

/// A peer would take what came for all of it.
#[tokio::test]
async fn body_that_ends_before_its_length_is_executed_by_no_peer() {
    let peers = Peer::start_all::<2>(Mode::Serve).await;
    let set = peers_of(&peers);
    let hyper = evenhand_http::client::<Channel>();
    let service = balance(&set).layer(evenhand_http::PeerClient::new(hyper));
    let service = KeepBodyLayer::new().layer(service);
    for _ in 0..20 {
        let (pieces, body) = channel(Some(9));
        pieces.send(data("half")).unwrap();
        drop(pieces);
        let request = Request::put("/").body(body).unwrap();
        let sent = tokio::time::timeout(GUARD, service.clone().oneshot(request));
        let error = sent.await.expect("the request ends").unwrap_err();
        assert_eq!(error.tried().len(), 1, "{error}");
    }
    assert_eq!(states(&set), [State::Up, State::Up]);
    assert_eq!(peers.iter().map(Peer::requests).sum::<u32>(), 0);
}
