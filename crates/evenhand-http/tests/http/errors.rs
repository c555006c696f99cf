use std::io;

use evenhand::{Classify, Peers, State, Verdict};
use evenhand_http::{BaseUrl, HttpClassifier, KeepBodyLayer, KeptBody, PeerClient};
use http::{Response, Uri};
use hyper::rt::Executor;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::peer::{Mode, Peer};
use crate::common::wire::{INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, Wire, WirePeer};
use crate::common::*;

/// A peer that plays this, and one that serves.
async fn beside(wire: Wire) -> (WirePeer, Peer, Peers<BaseUrl>) {
    let (bad, good) = (WirePeer::start(wire).await, Peer::start(Mode::Serve).await);
    let named = [("bad", bad.base_url()), ("good", good.base_url())];
    let peers = Peers::new(named).unwrap();
    (bad, good, peers)
}

#[tokio::test]
async fn refused_connection_moves_any_request() {
    for http in BOTH {
        let mut peers = Peer::start_all::<2>(Mode::Serve).await;
        peers[0].kill().await;
        let set = peers_of(&peers);
        let client = client(http, &set);
        for _ in 0..20 {
            let response = send(&client, request("POST", "/", "x")).await.unwrap();
            assert_eq!(peer_name(&response), "1");
        }
        assert_eq!(states(&set), [State::Ejected, State::Up]);
        assert_eq!(peers[1].requests(), 20);
    }
}

/// Whatever the connector's error is: one of TLS, say.
#[tokio::test]
async fn failed_handshake_moves_any_request() {
    let good = Peer::start(Mode::Serve).await;
    let bad = "https://bad.example".parse().unwrap();
    let set = Peers::new([("bad", bad), ("good", good.base_url())]).unwrap();
    let connector = service_fn(|uri: Uri| {
        Box::pin(async move {
            if uri.scheme_str() == Some("https") {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "bad certificate",
                ));
            }
            let stream = TcpStream::connect(uri.authority().unwrap().as_str()).await?;
            Ok(TokioIo::new(stream))
        })
    });
    let hyper = HyperClient::builder(TokioExecutor::new());
    let hyper = hyper.build::<_, KeptBody<TestBody>>(connector);
    let service = KeepBodyLayer::new().layer(balance(&set).layer(PeerClient::new(hyper)));
    for _ in 0..20 {
        let sent = service
            .clone()
            .oneshot(request("POST", "/", "x"))
            .await
            .unwrap();
        assert_eq!(sent.status(), 200);
    }
    assert_eq!(states(&set), [State::Ejected, State::Up]);
}

#[tokio::test]
async fn error_names_each_peer_with_its_reason() {
    let mut peers = Peer::start_all::<2>(Mode::Serve).await;
    for peer in &mut peers {
        peer.kill().await;
    }
    let error = send(&client(Http::One, &peers_of(&peers)), get("/"))
        .await
        .unwrap_err();
    let text = error.to_string();
    for name in ["0", "1"] {
        assert!(
            text.contains(&format!("{name}: connection refused")),
            "{text}"
        );
    }
    assert!(error.next_due().is_some());
}

/// Sends until the bad peer has had two more requests, which do not eject it. Returns how many failed.
async fn failures(client: &Client, bad: &WirePeer, method: &str) -> usize {
    let mut failed = 0;
    let before = bad.requests();
    for _ in 0..200 {
        failed += usize::from(send(client, request(method, "/", "")).await.is_err());
        if bad.requests() - before >= 2 {
            return failed;
        }
    }
    panic!("the bad peer got {} requests", bad.requests() - before);
}

#[tokio::test]
async fn lost_connection_moves_idempotent_requests_only() {
    for wire in [Wire::Lose, Wire::Nonsense] {
        let (bad, _good, peers) = beside(wire).await;
        let client = client(Http::One, &peers);
        assert_eq!(failures(&client, &bad, "PUT").await, 0, "{wire:?}");
        assert_eq!(failures(&client, &bad, "POST").await, 2, "{wire:?}");
    }
}

#[tokio::test]
async fn lost_connections_eject() {
    let (bad, _good, peers) = beside(Wire::Lose).await;
    let client = client(Http::One, &peers);
    for _ in 0..200 {
        send(&client, get("/")).await.unwrap();
    }
    assert_eq!(bad.requests(), 5);
    assert_eq!(states(&peers), [State::Ejected, State::Up]);
}

#[tokio::test]
async fn goaway_moves_any_request_and_blames_no_peer_that_leaves() {
    let (bad, good, peers) = beside(Wire::GoAway(NO_ERROR)).await;
    let client = client(Http::Two, &peers);
    assert_eq!(failures(&client, &bad, "POST").await, 0);
    while bad.requests() < 10 {
        send(&client, request("POST", "/", "")).await.unwrap();
    }
    assert_eq!(states(&peers), [State::Up, State::Up]);
    assert!(good.requests() >= bad.requests());
}

#[tokio::test]
async fn goaway_with_an_error_counts_as_a_failure() {
    let (bad, _good, peers) = beside(Wire::GoAway(INTERNAL_ERROR)).await;
    let client = client(Http::Two, &peers);
    for _ in 0..200 {
        send(&client, request("POST", "/", "")).await.unwrap();
    }
    assert_eq!(states(&peers), [State::Ejected, State::Up]);
    assert_eq!(bad.requests(), 5);
}

#[tokio::test]
async fn refused_stream_moves_any_request_and_blames_no_peer() {
    let (bad, _good, peers) = beside(Wire::Reset(REFUSED_STREAM)).await;
    let client = client(Http::Two, &peers);
    assert_eq!(failures(&client, &bad, "POST").await, 0);
    while bad.requests() < 10 {
        send(&client, request("POST", "/", "")).await.unwrap();
    }
    assert_eq!(states(&peers), [State::Up, State::Up]);
}

#[tokio::test]
async fn other_resets_move_idempotent_requests_only() {
    let (bad, _good, peers) = beside(Wire::Reset(INTERNAL_ERROR)).await;
    let client = client(Http::Two, &peers);
    assert_eq!(failures(&client, &bad, "GET").await, 0);
    assert_eq!(failures(&client, &bad, "POST").await, 2);
}

#[tokio::test]
async fn pings_without_an_answer_eject_and_move_idempotent_requests() {
    let (bad, _good, peers) = beside(Wire::Silent).await;
    let client = client(Http::Two, &peers);
    while bad.requests() == 0 {
        let response = send(&client, get("/")).await.unwrap();
        assert_eq!(peer_name(&response), "good");
    }
    assert_eq!(states(&peers), [State::Ejected, State::Up]);
    let error = peers.statuses()[0].last_reason;
    assert_eq!(error, Some("no answer to a ping"));
}

/// The connection to a peer is lost while requests wait on it: it was killed.
#[tokio::test]
async fn killed_peer_moves_the_idempotent_requests_on_it() {
    for http in BOTH {
        let mut peers = Peer::start_all::<2>(Mode::Hang).await;
        let set = peers_of(&peers);
        let client = client(http, &set);
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { send(&client, get("/")).await }
        });
        until("a peer has the request", || {
            peers.iter().any(|peer| peer.requests() > 0)
        })
        .await;
        let hit = usize::from(peers[1].requests() > 0);
        peers[1 - hit].set(Mode::Serve);
        peers[hit].kill().await;
        let response = waiting.await.unwrap().unwrap();
        assert_eq!(peer_name(&response), (1 - hit).to_string());
    }
}

/// Runs the tasks of connections on a runtime of its own.
#[derive(Clone)]
struct On(tokio::runtime::Handle);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for On {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Where the task of a connection is dropped it is not the request's body that failed.
#[test]
fn connection_whose_task_is_dropped_blames_neither_the_peer_nor_the_body() {
    for http in BOTH {
        let runtime = || {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let (ours, theirs) = (runtime(), runtime());
        let mut builder = HyperClient::builder(On(theirs.handle().clone()));
        let client = builder.http2_only(http == Http::Two);
        let client = client.build_http::<KeptBody<TestBody>>();
        let (_peer, answer) = ours.block_on(async {
            let peer = Peer::start(Mode::Hang).await;
            let request = client.get(format!("{}/", peer.base_url()).parse().unwrap());
            let answer = tokio::spawn(request);
            until("the peer has the request", || peer.requests() == 1).await;
            (peer, answer)
        });
        drop(theirs);
        let error = ours.block_on(answer).unwrap().unwrap_err();
        let verdict = HttpClassifier::new().classify(Err::<&Response<()>, _>(&error));
        let expected = Verdict::neutral().if_idempotent();
        assert_eq!(
            verdict,
            expected.because("the connection ended on this side"),
            "{http:?}"
        );
    }
}
