//! Sixteen callers, and peers that do all that peers do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use evenhand::{Eject, Probe};
use evenhand_http::HttpProbe;
use http::{Request, Uri};
use tokio::task::JoinSet;

use crate::common::peer::{Mode, Peer};
use crate::common::*;

const CALLERS: u32 = 16;

/// What callers saw.
#[derive(Default)]
struct Tally {
    posts: AtomicU32,
    gets: AtomicU32,
    next: AtomicU32,
    is_over: AtomicBool,
}

impl Tally {
    fn path(&self, kind: &str) -> String {
        format!("/{kind}/{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Sends requests until it is over. A GET whose head came and whose body broke off is the caller's to
/// repeat; a GET that fails, or is answered with a failure, fails the test.
async fn call(client: Client, tally: Arc<Tally>, caller: u32) {
    while !tally.is_over.load(Ordering::Relaxed) {
        if caller.is_multiple_of(4) {
            let path = tally.path("post");
            let request = Request::post(&path).body(TestBody::from("x")).unwrap();
            if let Ok(response) = send(&client, request).await {
                let _ = text(response).await;
            }
            tally.posts.fetch_add(1, Ordering::Relaxed);
        } else {
            let path = tally.path("get");
            let response = send(&client, get(&path)).await;
            let response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(response.status(), 200, "{path} of {}", peer_name(&response));
            let _ = text(response).await;
            tally.gets.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets callers send so many requests more.
async fn go_on(tally: &Tally, requests: u32) {
    let all = || tally.gets.load(Ordering::Relaxed) + tally.posts.load(Ordering::Relaxed);
    let before = all();
    until("requests go on", || all() >= before + requests).await;
}

async fn run(http: Http) {
    // One peer is well all the time; two are not.
    let mut peers = Peer::start_all::<3>(Mode::Serve).await;
    let set = peers_of(&peers);
    let tick = Duration::from_millis(20);
    let probe = Probe::new(
        HttpProbe::new(hyper_client(http), Uri::from_static("/healthz")),
        tick * 10,
    );
    let layer = evenhand_http::balance(set.clone())
        .eject(Eject::on_first().recheck_every(tick))
        .attempt_timeout(Duration::from_millis(250))
        .probe(probe);
    let client = client_of(http, &layer);
    let tally = Arc::new(Tally::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(client.clone(), tally.clone(), caller));
    }
    let mut executed = HashMap::new();
    for round in 0..2 {
        for bad in [0, 1] {
            for mode in [Mode::Status(500), Mode::Rest(1), Mode::Break, Mode::Hang] {
                peers[bad].set(mode);
                go_on(&tally, 150).await;
                peers[bad].set(Mode::Serve);
            }
            // It is stopped, comes back, is killed, and comes back.
            peers[bad].drain().await;
            go_on(&tally, 150).await;
            peers[bad].restart(Mode::Serve).await;
            go_on(&tally, 150).await;
            peers[bad].kill().await;
            go_on(&tally, 150).await;
            peers[bad].restart(Mode::Serve).await;
            until("it comes back", || {
                set.up_count() == 3 || callers.is_empty()
            })
            .await;
        }
        assert_eq!(callers.len(), CALLERS as usize, "round {round}");
    }
    tally.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    for peer in &peers {
        for (path, times) in peer.paths() {
            *executed.entry(path).or_insert(0) += times;
        }
    }
    let twice: Vec<_> = executed
        .iter()
        .filter(|(path, times)| path.starts_with("/post") && **times > 1)
        .collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    assert!(executed.keys().any(|path| path.starts_with("/post")));
    until("nothing is left in flight", || in_flight(&set) == [0, 0, 0]).await;
}

/// While one peer is well, no idempotent request fails and no POST is executed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_request_fails_and_no_post_is_sent_twice_over_http1() {
    run(Http::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_request_fails_and_no_post_is_sent_twice_over_http2() {
    run(Http::Two).await;
}
