use evenhand::{Peers, State};
use evenhand_http::{AnswerErrorsLayer, BaseUrl, Idempotent, KeepBodyLayer, PeerClient};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use crate::common::peer::{Mode, Peer};
use crate::common::*;

/// A unary call by tonic's client.
async fn check(peers: &Peers<BaseUrl>, is_idempotent: bool) -> Result<(), Status> {
    let service = ServiceBuilder::new()
        .layer(AnswerErrorsLayer::grpc())
        .layer(KeepBodyLayer::new())
        .layer(balance(peers))
        .service(PeerClient::new(evenhand_http::http2_client()));
    let mut client = HealthClient::new(service);
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.extensions_mut().insert(Idempotent(is_idempotent));
    let answer = tokio::time::timeout(GUARD, client.check(request));
    answer.await.expect("the call ends").map(|_| ())
}

#[tokio::test]
async fn status_in_trailers_ejects_and_is_not_retried() {
    let peers = Peer::start_all::<2>(Mode::Trailers(0)).await;
    peers[0].set(Mode::Trailers(14));
    let set = peers_of(&peers);
    let mut failed = 0;
    for _ in 0..100 {
        if let Err(status) = check(&set, true).await {
            assert_eq!(status.code(), Code::Unavailable);
            failed += 1;
        }
    }
    assert_eq!(failed, 5, "the fifth in a row ejects");
    assert_eq!(peers[0].requests(), 5);
    assert_eq!(states(&set), [State::Ejected, State::Up]);
    assert_eq!(in_flight(&set), [0, 0]);
}

#[tokio::test]
async fn callers_status_in_trailers_ejects_no_peer() {
    let peer = Peer::start(Mode::Trailers(5)).await;
    let set = peers_of([&peer]);
    for _ in 0..20 {
        assert_eq!(check(&set, true).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(states(&set), [State::Up]);
}

#[tokio::test]
async fn unavailable_in_the_head_moves_idempotent_calls_only() {
    let peers = Peer::start_all::<2>(Mode::Trailers(0)).await;
    peers[0].set(Mode::Head(14));
    let set = peers_of(&peers);
    while peers[0].requests() < 3 {
        check(&set, true).await.unwrap();
    }
    let mut failed = 0;
    while peers[0].requests() < 5 {
        failed += u32::from(check(&set, false).await.is_err());
    }
    assert_eq!(failed, 2);
    assert_eq!(states(&set), [State::Ejected, State::Up]);
}

#[tokio::test]
async fn other_failures_in_the_head_are_not_retried() {
    let peers = Peer::start_all::<2>(Mode::Head(13)).await;
    let status = check(&peers_of(&peers), true).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(peers.iter().map(Peer::requests).sum::<u32>(), 1);
}

#[tokio::test]
async fn response_without_a_status_is_a_failure() {
    let peer = Peer::start(Mode::Serve).await;
    let set = peers_of([&peer]);
    let client = client(Http::Two, &set);
    // Not of gRPC: its end is a success.
    for _ in 0..10 {
        text(send(&client, get("/")).await.unwrap()).await.unwrap();
    }
    assert_eq!(states(&set), [State::Up]);
    peer.set(Mode::NoStatus);
    for _ in 0..5 {
        text(send(&client, get("/")).await.unwrap()).await.unwrap();
    }
    assert_eq!(states(&set), [State::Ejected]);
}

#[tokio::test]
async fn caller_sees_unavailable_where_every_peer_is_out() {
    let mut peers = Peer::start_all::<2>(Mode::Trailers(0)).await;
    for peer in &mut peers {
        peer.kill().await;
    }
    let set = peers_of(&peers);
    for text in ["connection refused", "all peers are down"] {
        let status = check(&set, false).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains(text), "{}", status.message());
    }
}
