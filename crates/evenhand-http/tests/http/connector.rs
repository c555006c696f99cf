use bytes::Bytes;
use evenhand::State;
use evenhand_http::{KeepBodyLayer, KeptBody, PeerClient};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::common::peer::{Mode, Peer};
use crate::common::*;

#[tokio::test]
async fn each_peer_gets_requests_and_the_response_names_it() {
    for http in BOTH {
        let peers = Peer::start_all::<2>(Mode::Serve).await;
        let set = peers_of(&peers);
        let client = client(http, &set);
        let mut seen = [0, 0];
        for _ in 0..40 {
            let response = send(&client, get("/a?b=c")).await.unwrap();
            let index: usize = peer_name(&response).parse().unwrap();
            let authority = peers[index].base_url().authority().to_string();
            assert_eq!(
                text(response).await.unwrap(),
                format!("GET /a {authority} ")
            );
            seen[index] += 1;
        }
        assert_eq!(seen, peers.each_ref().map(Peer::requests));
        assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
        assert_eq!(in_flight(&set), [0, 0]);
    }
}

#[tokio::test]
async fn host_of_the_callers_url_is_kept_if_told() {
    let peer = Peer::start(Mode::Serve).await;
    let layer = evenhand_http::balance(peers_of([&peer]));
    for (keep, expected) in [
        (true, "shop.example".into()),
        (false, peer.base_url().authority().to_string()),
    ] {
        let connector = PeerClient::new(evenhand_http::client()).keep_host(keep);
        let stack = ServiceBuilder::new()
            .layer(KeepBodyLayer::new())
            .layer(&layer);
        let response = stack
            .service(connector)
            .oneshot(get("http://shop.example/"))
            .await
            .unwrap();
        assert_eq!(text(response).await.unwrap(), format!("GET / {expected} "));
    }
}

/// Any service of HTTP is a client.
#[tokio::test]
async fn router_of_axum_is_a_client() {
    let router = axum::Router::new().route("/", axum::routing::get(async || "hello"));
    let layer = evenhand_http::balance(evenhand_http::peers(["http://a", "http://b"]).unwrap());
    let balance = layer.layer(PeerClient::new(router));
    let service = KeepBodyLayer::new().layer(balance);
    let request = http::Request::new(Full::<Bytes>::default());
    assert_eq!(
        text(service.oneshot(request).await.unwrap()).await.unwrap(),
        "hello"
    );
}

/// As the documentation of `PeerClient` has it.
#[tokio::test]
async fn reqwest_is_a_transport_whose_errors_are_judged() {
    let mut peers = Peer::start_all::<2>(Mode::Serve).await;
    let set = peers_of(&peers);
    let none = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(none).no_proxy();
    let client = client.build().unwrap();
    let connector = PeerClient::new(service_fn(move |request: Request<KeptBody<TestBody>>| {
        let client = client.clone();
        async move {
            let request = request.map(reqwest::Body::wrap).try_into()?;
            client.execute(request).await.map(Response::from)
        }
    }));
    let service = KeepBodyLayer::new().layer(balance(&set).layer(connector));
    peers[0].kill().await;
    for _ in 0..20 {
        let answer = service.clone().oneshot(request("POST", "/a?b", "x"));
        let answer = tokio::time::timeout(GUARD, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(text(answer).await.unwrap().ends_with(" x"));
    }
    assert_eq!(states(&set), [State::Ejected, State::Up]);
    assert_eq!(set.statuses()[0].last_reason, Some("connection refused"));
    assert_eq!(in_flight(&set), [0, 0]);
}
