use std::time::Duration;

use bytes::Bytes;
use evenhand::{Cause, Error, Peers, State};
use evenhand_http::{BaseUrl, CollectBodyLayer, KeepBodyLayer, PeerClient};
use http::{Request, Response};
use http_body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::common::peer::{Mode, Peer};
use crate::common::wire::{Wire, WirePeer};
use crate::common::*;

type AnyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;
type Failed = Error<evenhand_http::CollectBodyError<hyper_util::client::legacy::Error>>;
type Collecting = BoxCloneSyncService<Request<TestBody>, Response<AnyBody>, Failed>;

/// A client that reads answers of up to `limit` bytes within the attempt.
fn collecting(http: Http, peers: &Peers<BaseUrl>, limit: u64) -> Collecting {
    let client = CollectBodyLayer::new()
        .limit(limit)
        .layer(hyper_client(http));
    let stack = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(http_body_util::BodyExt::boxed_unsync))
        .layer(KeepBodyLayer::new())
        .layer(balance(peers).attempt_timeout(GUARD))
        .service(PeerClient::new(client));
    BoxCloneSyncService::new(stack)
}

async fn ask(client: &Collecting, request: Request<TestBody>) -> Result<Response<AnyBody>, Failed> {
    let answer = tokio::time::timeout(GUARD, client.clone().oneshot(request));
    answer.await.expect("the request ends")
}

#[tokio::test]
async fn answer_that_breaks_off_is_asked_for_elsewhere() {
    for http in BOTH {
        let peers = Peer::start_all::<2>(Mode::Serve).await;
        peers[0].set(Mode::Break);
        let set = peers_of(&peers);
        let client = collecting(http, &set, 1024);
        for _ in 0..100 {
            let response = ask(&client, get("/")).await.unwrap();
            assert!(text(response).await.unwrap().starts_with("GET / "));
        }
        assert_eq!(peers[0].requests(), 5, "the fifth in a row ejects");
        assert_eq!(states(&set), [State::Ejected, State::Up]);
        assert_eq!(set.statuses()[0].last_reason, Some("the body broke off"));
        assert_eq!(in_flight(&set), [0, 0]);
    }
}

/// hyper lets a body end there, without an error. The head promises more than came.
#[tokio::test]
async fn answer_that_is_shorter_than_its_length_is_asked_for_elsewhere() {
    for wire in [Wire::ShortGoAway, Wire::ShortReset] {
        let (bad, good) = (WirePeer::start(wire).await, Peer::start(Mode::Serve).await);
        let named = [("bad", bad.base_url()), ("good", good.base_url())];
        let set = Peers::new(named).unwrap();
        let client = collecting(Http::Two, &set, 1024);
        for _ in 0..100 {
            let response = ask(&client, get("/")).await.unwrap();
            let text = text(response).await.unwrap();
            assert!(text.starts_with("GET / "), "{wire:?}: {text}");
        }
        assert_eq!(bad.requests(), 5, "the fifth in a row ejects");
        assert_eq!(set.statuses()[0].last_reason, Some("the body broke off"));
    }
}

/// It was executed: there was a head.
#[tokio::test]
async fn request_that_is_not_idempotent_is_not_sent_again() {
    let peers = Peer::start_all::<2>(Mode::Break).await;
    let client = collecting(Http::One, &peers_of(&peers), 1024);
    let error = ask(&client, request("POST", "/", "")).await.unwrap_err();
    assert_eq!(error.tried().len(), 1, "{error}");
    assert!(matches!(error.tried()[0].cause, Cause::Error(_)), "{error}");
    assert_eq!(peers.iter().map(Peer::requests).sum::<u32>(), 1);
}

#[tokio::test]
async fn body_beyond_the_limit_is_streamed() {
    for http in BOTH {
        let peer = Peer::start(Mode::Stream).await;
        let set = peers_of([&peer]);
        let client = collecting(http, &set, 3);
        let mut body = ask(&client, get("/")).await.unwrap().into_body();
        assert_eq!(first_frame(&mut body).await, "half");
        assert_eq!(in_flight(&set), [1], "it is counted to its end");
        peer.go_on();
        assert_eq!(first_frame(&mut body).await, " whole");
        drop(body);
    }
}

/// The limit of the attempt finds it.
#[tokio::test]
async fn peer_that_stops_within_a_body_is_left() {
    let peers = Peer::start_all::<2>(Mode::Serve).await;
    peers[0].set(Mode::Stream);
    let set = peers_of(&peers);
    let client = CollectBodyLayer::new().layer(hyper_client(Http::One));
    let service = KeepBodyLayer::new().layer(
        balance(&set)
            .attempt_timeout(Duration::from_millis(200))
            .service(PeerClient::new(client)),
    );
    while peers[0].requests() == 0 {
        let answer = tokio::time::timeout(GUARD, service.clone().oneshot(get("/")));
        let response = answer.await.expect("the request ends").unwrap();
        assert!(!response.body().is_end_stream());
        assert!(text(response).await.unwrap().starts_with("GET / "));
    }
}
