use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use evenhand::{ActiveChecks, Eject, Peers, Probe, State};
use evenhand_http::{GrpcProbe, HttpProbe};
use http::{Request, Response, StatusCode, Uri};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Layer, service_fn};

use crate::common::peer::{Mode, Peer};
use crate::common::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn soon() -> Eject {
    let tick = Duration::from_millis(10);
    Eject::on_first().recheck_every(tick)
}

fn often() -> ActiveChecks {
    ActiveChecks::every(Duration::from_millis(10)).fall(1)
}

#[tokio::test]
async fn get_probe_brings_a_peer_back_and_takes_it_out() {
    for http in BOTH {
        let peer = Peer::start(Mode::Status(503)).await;
        let set = peers_of([&peer]);
        let service = HttpProbe::new(hyper_client(http), Uri::from_static("/healthz?full"));
        let probe = Probe::new(service, TIMEOUT).active_checks(often());
        let layer = evenhand_http::balance(set.clone())
            .eject(soon())
            .probe(probe);
        let _client = client_of(http, &layer);
        until("a failed check ejects", || states(&set) == [State::Ejected]).await;
        assert!(peer.paths()["/healthz"] > 0);
        for mode in [Mode::Break, Mode::Status(404)] {
            peer.set(mode);
            let before = peer.requests();
            until("it is probed", || peer.requests() > before + 3).await;
            assert_ne!(states(&set), [State::Up], "{mode:?}");
        }
        peer.set(Mode::Serve);
        until("a probe brings it back", || states(&set) == [State::Up]).await;
    }
}

/// Not as if it were silent.
#[tokio::test]
async fn probe_of_a_peer_that_was_killed_says_so() {
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let client = || hyper_client(Http::Two);
    for probe in [
        Probe::new(HttpProbe::new(client(), Uri::from_static("/")), TIMEOUT),
        Probe::new(GrpcProbe::new(client(), ""), TIMEOUT),
    ] {
        let set = Peers::new([("a", url.parse().unwrap())]).unwrap();
        let layer = evenhand_http::balance(set.clone()).eject(soon());
        let layer = layer.probe(probe.active_checks(often()));
        let _client = client_of(Http::Two, &layer);
        until("a check ejects", || states(&set) != [State::Up]).await;
        assert_eq!(set.statuses()[0].last_reason, Some("connection refused"));
    }
}

/// No descriptor may be left for the probes of any peer.
#[tokio::test]
async fn probe_that_this_machine_cannot_send_blames_no_peer() {
    let probes = Arc::new(AtomicU32::new(0));
    let counter = probes.clone();
    let client = service_fn(move |_: Request<TestBody>| {
        counter.fetch_add(1, Ordering::Relaxed);
        let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
        std::future::ready(Err::<Response<TestBody>, _>(error))
    });
    let set = Peers::new([("a", "http://10.0.0.1".parse().unwrap())]).unwrap();
    let probe = Probe::new(HttpProbe::new(client, Uri::from_static("/")), TIMEOUT);
    let layer = evenhand_http::balance(set.clone()).eject(soon());
    let layer = layer.probe(probe.active_checks(often()));
    let _client = client_of(Http::One, &layer);
    until("it is probed", || probes.load(Ordering::Relaxed) > 5).await;
    assert_eq!(states(&set), [State::Up]);
}

/// hyper tells that the request was not sent, which blames no peer where a request can go to another one.
#[tokio::test]
async fn probe_ejects_a_peer_that_accepts_and_closes_at_once() {
    for http in BOTH {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let set = Peers::new([("a", url.parse().unwrap())]).unwrap();
        let service = HttpProbe::new(hyper_client(http), Uri::from_static("/"));
        let probe = Probe::new(service, TIMEOUT).active_checks(often());
        let layer = evenhand_http::balance(set.clone())
            .eject(soon())
            .probe(probe);
        let _client = client_of(http, &layer);
        until("a check ejects", || states(&set) != [State::Up]).await;
        server.abort();
    }
}

#[tokio::test]
async fn get_probe_expects_the_status_that_it_was_told() {
    let peer = Peer::start(Mode::Status(418)).await;
    let set = peers_of([&peer]);
    let service = HttpProbe::new(hyper_client(Http::One), Uri::from_static("/"));
    let probe = Probe::new(service.expect(StatusCode::IM_A_TEAPOT), TIMEOUT);
    set.eject("0", Duration::from_millis(1)).unwrap();
    let layer = evenhand_http::balance(set.clone())
        .eject(soon())
        .probe(probe);
    let _client = client_of(Http::One, &layer);
    until("a probe brings it back", || states(&set) == [State::Up]).await;
}

/// A server with tonic's health service, and its address.
async fn health_server() -> (HealthReporter, String, tokio::task::JoinHandle<()>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap());
    let incoming = incoming.unwrap();
    let address = incoming.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(service);
    let server = tokio::spawn(async move {
        server.serve_with_incoming(incoming).await.unwrap();
    });
    (reporter, format!("http://{address}"), server)
}

#[tokio::test]
async fn grpc_probe_goes_by_the_health_service() {
    let (mut reporter, url, server) = health_server().await;
    reporter
        .set_service_status("shop", ServingStatus::NotServing)
        .await;
    let set = Peers::new([("a", url.parse().unwrap())]).unwrap();
    let service = GrpcProbe::new(hyper_client(Http::Two), "shop");
    let probe = Probe::new(service, TIMEOUT).active_checks(often());
    let layer = evenhand_http::balance(set.clone())
        .eject(soon())
        .probe(probe);
    let _client = client_of(Http::Two, &layer);
    until("a check ejects what does not serve", || {
        states(&set) == [State::Ejected]
    })
    .await;
    reporter
        .set_service_status("shop", ServingStatus::Serving)
        .await;
    until("a probe brings it back", || states(&set) == [State::Up]).await;
    reporter.clear_service_status("shop").await;
    until("a check ejects what it does not know", || {
        states(&set) != [State::Up]
    })
    .await;
    server.abort();
}

#[tokio::test]
async fn grpc_probe_of_a_server_without_the_service_fails() {
    let peer = Peer::start(Mode::Head(12)).await;
    let set = peers_of([&peer]);
    let probe = Probe::new(GrpcProbe::new(hyper_client(Http::Two), ""), TIMEOUT);
    let layer = evenhand_http::balance(set.clone()).eject(soon());
    let _client = layer
        .probe(probe.active_checks(often()))
        .layer(connector(Http::Two));
    until("a check ejects", || states(&set) == [State::Ejected]).await;
}
