use std::time::Duration;

use evenhand::{Peers, State};
use http_body_util::BodyExt;

use crate::common::peer::{Mode, Peer};
use crate::common::wire::{INTERNAL_ERROR, NO_ERROR, Wire, WirePeer};
use crate::common::*;

#[tokio::test]
async fn bodies_that_break_off_eject() {
    for http in BOTH {
        let peers = Peer::start_all::<2>(Mode::Serve).await;
        peers[0].set(Mode::Break);
        let set = peers_of(&peers);
        let client = client(http, &set);
        let mut broken = 0;
        for _ in 0..100 {
            let response = send(&client, get("/")).await.unwrap();
            broken += u32::from(text(response).await.is_err());
        }
        assert_eq!(broken, 5, "the fifth in a row ejects");
        assert_eq!(states(&set), [State::Ejected, State::Up]);
        assert_eq!(in_flight(&set), [0, 0]);
    }
}

#[tokio::test]
async fn attempt_is_in_flight_while_its_body_lives() {
    for http in BOTH {
        for (mode, half) in [(Mode::Stream, "half"), (Mode::Status(404), "sorry")] {
            let peer = Peer::start(mode).await;
            let set = peers_of([&peer]);
            let response = send(&client(http, &set), get("/")).await.unwrap();
            assert_eq!(in_flight(&set), [1]);
            let mut body = response.into_body();
            assert_eq!(first_frame(&mut body).await, half);
            if mode == Mode::Stream {
                assert_eq!(in_flight(&set), [1]);
                peer.go_on();
                assert_eq!(body.collect().await.unwrap().to_bytes(), " whole");
            } else {
                drop(body);
            }
            assert_eq!(in_flight(&set), [0], "{mode:?}");
        }
    }
}

#[tokio::test]
async fn drain_waits_for_a_body() {
    let peer = Peer::start(Mode::Stream).await;
    let set = peers_of([&peer]);
    let response = send(&client(Http::One, &set), get("/")).await.unwrap();
    let mut drain = std::pin::pin!(set.drain("0"));
    poll_once(&mut drain).await;
    drop(response);
    tokio::time::timeout(GUARD, drain)
        .await
        .expect("the drain ends")
        .unwrap();
}

#[tokio::test]
async fn dropped_body_blames_no_peer() {
    for http in BOTH {
        let peer = Peer::start(Mode::Stream).await;
        let set = peers_of([&peer]);
        let client = client(http, &set);
        for _ in 0..20 {
            let mut body = send(&client, get("/")).await.unwrap().into_body();
            assert_eq!(first_frame(&mut body).await, "half");
        }
        assert_eq!(states(&set), [State::Up]);
        assert_eq!(in_flight(&set), [0]);
    }
}

/// Heads that count as successes would end a row of failures.
#[tokio::test]
async fn head_of_a_body_that_runs_is_no_success() {
    let peer = Peer::start(Mode::StreamAndBreak).await;
    let set = peers_of([&peer]);
    let client = client(Http::Two, &set);
    let mut bodies = Vec::new();
    for _ in 0..5 {
        let mut body = send(&client, get("/")).await.unwrap().into_body();
        assert_eq!(first_frame(&mut body).await, "half");
        bodies.push(body);
    }
    peer.go_on();
    for body in bodies {
        assert_eq!(states(&set), [State::Up]);
        assert!(body.collect().await.is_err());
    }
    assert_eq!(states(&set), [State::Ejected]);
}

/// A caller's request is the probe: its body decides.
#[tokio::test]
async fn peer_that_is_out_comes_back_with_the_end_of_a_body() {
    for (mode, back) in [
        (Mode::Stream, State::Up),
        (Mode::StreamAndBreak, State::Ejected),
    ] {
        let peer = Peer::start(mode).await;
        let set = peers_of([&peer]);
        set.eject("0", Duration::from_millis(1)).unwrap();
        let client = client_of(Http::One, &evenhand_http::balance(set.clone()));
        let response = loop {
            if let Ok(response) = send(&client, get("/")).await {
                break response;
            }
        };
        let mut body = response.into_body();
        assert_eq!(first_frame(&mut body).await, "half");
        assert_eq!(states(&set), [State::Probing]);
        peer.go_on();
        let _ = body.collect().await;
        assert_eq!(states(&set), [back]);
    }
}

/// Five bodies at once on a peer that plays this. Returns how many break off, what the peer is then, and the
/// reason.
async fn five_bodies(wire: Wire) -> (usize, State, Option<&'static str>) {
    let peer = WirePeer::start(wire).await;
    let set = Peers::new([("bad", peer.base_url())]).unwrap();
    let client = client(Http::Two, &set);
    let mut responses = Vec::new();
    for _ in 0..5 {
        responses.push(send(&client, get("/")).await.unwrap());
    }
    let mut broken = 0;
    for response in responses {
        broken += usize::from(text(response).await.is_err());
    }
    assert_eq!(in_flight(&set), [0]);
    let status = &set.statuses()[0];
    (broken, status.state, status.last_reason)
}

/// As before the head: a peer that leaves is not to blame. (hyper lets a body end there.)
#[tokio::test]
async fn body_that_goaway_ends_is_judged_by_its_code() {
    let (_, state, reason) = five_bodies(Wire::BodyGoAway(NO_ERROR)).await;
    assert_eq!((state, reason), (State::Up, None));
    let goaway = five_bodies(Wire::BodyGoAway(INTERNAL_ERROR)).await;
    assert_eq!(goaway, (5, State::Ejected, Some("GOAWAY")));
}

/// hyper lets it end there, without an error.
#[tokio::test]
async fn body_that_is_shorter_than_its_length_broke_off() {
    for wire in [Wire::ShortGoAway, Wire::ShortReset] {
        let (_, state, reason) = five_bodies(wire).await;
        let expected = (State::Ejected, Some("the body broke off"));
        assert_eq!((state, reason), expected, "{wire:?}");
    }
}

/// hyper tells the missing answer to a ping only to requests that wait for their head.
#[tokio::test]
async fn bodies_that_run_on_a_machine_that_is_gone_eject() {
    let silent = five_bodies(Wire::BodySilent).await;
    assert_eq!(silent, (5, State::Ejected, Some("the body broke off")));
}
