use std::time::Duration;

use evenhand::{Error, State};
use evenhand_http::{AnswerErrorsLayer, unavailable};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::common::peer::{Mode, Peer};
use crate::common::*;

#[tokio::test]
async fn failing_status_moves_idempotent_requests_only_and_ejects() {
    for http in BOTH {
        for status in [500, 502, 503, 504] {
            let peers = Peer::start_all::<2>(Mode::Serve).await;
            peers[0].set(Mode::Status(status));
            let set = peers_of(&peers);
            let client = client(http, &set);
            while peers[0].requests() < 3 {
                let response = send(&client, get("/")).await.unwrap();
                assert_eq!(response.status(), 200);
                text(response).await.unwrap();
            }
            let mut failed = 0;
            while states(&set)[0] == State::Up {
                let response = send(&client, request("POST", "/post", "")).await.unwrap();
                failed += u32::from(response.status() == status);
            }
            assert_eq!(failed, 2, "the fifth failure in a row ejects");
            assert_eq!(peers[0].requests(), 5);
        }
    }
}

#[tokio::test]
async fn callers_fault_ejects_no_peer_and_is_not_retried() {
    let peers = Peer::start_all::<2>(Mode::Status(404)).await;
    let set = peers_of(&peers);
    let client = client(Http::One, &set);
    for status in [400, 404, 409, 429, 501] {
        peers.iter().for_each(|peer| peer.set(Mode::Status(status)));
        for _ in 0..20 {
            let response = send(&client, get("/")).await.unwrap();
            assert_eq!(response.status(), status);
        }
    }
    assert_eq!(peers.iter().map(Peer::requests).sum::<u32>(), 100);
    assert_eq!(states(&set), [State::Up, State::Up]);
}

#[tokio::test]
async fn retry_after_rests_the_peer_at_once() {
    let peers = Peer::start_all::<2>(Mode::Serve).await;
    peers[0].set(Mode::Rest(30));
    let set = peers_of(&peers);
    let client = client(Http::One, &set);
    while peers[0].requests() == 0 {
        assert_eq!(send(&client, get("/")).await.unwrap().status(), 200);
    }
    assert_eq!(states(&set), [State::Ejected, State::Up]);
    let due = set.statuses()[0].next_probe.unwrap() - Instant::now();
    assert!(
        (Duration::from_secs(20)..=Duration::from_secs(30)).contains(&due),
        "{due:?}"
    );
}

#[tokio::test]
async fn gateway_answers_503_with_the_time_of_the_next_probe() {
    let peers = Peer::start_all::<2>(Mode::Rest(30)).await;
    let client = client(Http::One, &peers_of(&peers));
    // The first gets what a peer says: that is better than an error.
    let response = send(&client, get("/")).await.unwrap();
    assert_eq!(response.status(), 503);
    let error = send(&client, get("/")).await.unwrap_err();
    let response: http::Response<String> = unavailable(&error);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds = |headers: &http::HeaderMap| -> u64 {
        headers[RETRY_AFTER].to_str().unwrap().parse().unwrap()
    };
    assert!(
        (20..=30).contains(&seconds(response.headers())),
        "{response:?}"
    );

    let answering = AnswerErrorsLayer::http().layer(client);
    let response = answering.oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        (20..=30).contains(&seconds(response.headers())),
        "{response:?}"
    );
    assert_eq!(text(response).await.unwrap(), "");
}

/// As a router's fallback, which may not fail.
#[tokio::test]
async fn stack_is_a_gateway_of_axum() {
    use axum::body::Body;
    use evenhand_http::{KeepBodyLayer, PeerClient, StripHopByHopLayer};
    use http_body_util::BodyExt;

    let mut peer = Peer::start(Mode::Serve).await;
    let stack = tower::ServiceBuilder::new()
        .layer(StripHopByHopLayer)
        .layer(AnswerErrorsLayer::http())
        .layer(KeepBodyLayer::new())
        .layer(balance(&peers_of([&peer])))
        .service(PeerClient::new(evenhand_http::client::<Body>()));
    let gateway = axum::Router::new().fallback_service(stack);
    let ask = async || {
        let request = http::Request::get("/orders/7").body(Body::empty()).unwrap();
        gateway.clone().oneshot(request).await.unwrap()
    };
    let response = ask().await;
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"GET /orders/7 "), "{body:?}");

    peer.kill().await;
    let response = ask().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty(), "{body:?}");
}

#[tokio::test]
async fn gateway_answers_502_where_the_outcome_is_not_known() {
    use crate::common::wire::{Wire, WirePeer};
    let bad = WirePeer::start(Wire::Lose).await;
    let peers = evenhand::Peers::new([("bad", bad.base_url())]).unwrap();
    let error = send(&client(Http::One, &peers), request("POST", "/", ""))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    let response: http::Response<String> = unavailable(&error);
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(response.headers().get(RETRY_AFTER), None);
}
