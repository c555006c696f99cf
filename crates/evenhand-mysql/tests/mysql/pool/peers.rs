//! What operators do with a pool's peers.

use std::time::Duration;

use crate::common::setup::conn_to;
use crate::common::{fakes, pool, pool_with, quick, soon, states, until, up};
use evenhand_mysql::Error;
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_testkit::FakeMySql;

#[tokio::test]
async fn drain_retires_returning_connections() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool_with("pool_min=0&pool_max=8", &fakes, quick());
    let mut at_a = Vec::new();
    while at_a.len() < 3 {
        at_a.extend(Some(pool.get_conn().await.unwrap()).filter(|conn| conn.peer() == "a"));
    }
    drop(at_a.pop());
    until("one is idle at a", || pool.usage().peers[0].idle >= 1).await;

    let peers = pool.peers();
    let draining = {
        let peers = peers.clone();
        tokio::spawn(async move { peers.drain("a").await })
    };
    until("it is out", || states(&pool)[0] == State::Draining).await;
    until("idle ones are closed, two are in use", || {
        fakes[0].connections() == 2
    })
    .await;
    for _ in 0..10 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    }
    let mut last = at_a.pop().unwrap();
    drop(at_a);
    until("a returned connection was closed", || {
        fakes[0].connections() == 1
    })
    .await;
    assert_eq!(last.query_first("SELECT 1").await.unwrap(), Some(1));
    assert!(!draining.is_finished());
    drop(last);
    draining.await.unwrap().unwrap();
    assert_eq!(pool.usage().peers[0].in_use, 0);
    until("the last one is closed", || fakes[0].connections() == 0).await;

    peers.restore("a").unwrap();
    while pool.get_conn().await.unwrap().peer() != "a" {}
}

#[tokio::test]
async fn drain_of_an_idle_peer_resolves() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    soon(async { pool.peers().drain("b").await }).await.unwrap();
    assert_eq!(states(&pool), [State::Up, State::Draining]);
}

#[tokio::test]
async fn peer_is_ejected_and_restored_manually() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let peers = pool.peers();
    peers.eject("a", Duration::from_secs(3600)).unwrap();
    assert_eq!(peers.up_count(), 1);
    for _ in 0..10 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    }
    peers.restore("a").unwrap();
    assert_eq!(up(&pool), 2);
    peers.eject("a", Duration::from_millis(50)).unwrap();
    until("its probe brings it back", || up(&pool) == 2).await;
}

#[tokio::test]
async fn peers_are_added_and_removed() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool_with("pool_min=0&pool_max=4", &fakes[..1], quick());
    let peers = pool.peers();
    let mut used = pool.get_conn().await.unwrap();
    drop(pool.get_conn().await.unwrap());
    until("one is idle", || pool.usage().peers[0].idle == 1).await;

    peers.add("b", &*fakes[1].url()).unwrap();
    while pool.get_conn().await.unwrap().peer() != "b" {}
    peers.remove("a").unwrap();
    until("its idle one is closed", || fakes[0].connections() == 1).await;
    assert_eq!(used.query_first("SELECT 1").await.unwrap(), Some(1));
    drop(used);
    until("the one in use, too, once it is back", || {
        fakes[0].connections() == 0
    })
    .await;
    for _ in 0..10 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    }

    let unknown = peers.restore("a").unwrap_err();
    assert_eq!(unknown.to_string(), "no peer is named `a`");
    let twice = peers.add("b", &*fakes[0].url()).unwrap_err();
    assert!(matches!(twice, Error::Peers(_)), "{twice}");
    let bad = peers.add("c", "postgres://u:hunter2@h").unwrap_err();
    assert!(!format!("{bad} {bad:?}").contains("hunter2"));
    pool.disconnect().await.unwrap();
    let late = peers.add("d", &*fakes[0].url()).unwrap_err();
    assert!(matches!(late, Error::Disconnected), "{late}");
}

/// While one in use keeps them alive.
#[tokio::test]
async fn peers_that_joined_later_leave_no_idle_connection() {
    let fakes: [_; 3] = fakes().await;
    let options = quick().idle_timeout(Duration::from_secs(3600));
    let pool = pool_with("pool_min=0", &fakes[..1], options);
    let peers = pool.peers();
    let list =
        |name: &'static str, fake: &FakeMySql| [(name, format!("{}?pool_min=0", fake.url()))];
    let [(b, url)] = list("b", &fakes[1]);
    peers.add(b, &*url).unwrap();
    for (name, fake, next) in [("b", &fakes[1], "c"), ("c", &fakes[2], "a")] {
        let in_use = conn_to(&pool, name).await;
        drop(conn_to(&pool, name).await);
        let idle = || {
            pool.usage()
                .peers
                .iter()
                .any(|p| &*p.peer == name && p.idle == 1)
        };
        until("one is idle", idle).await;
        let others = list(next, &fakes[if next == "c" { 2 } else { 0 }]);
        let others = others.iter().map(|(name, url)| (*name, url.as_str()));
        peers.replace_all(others).unwrap();
        until("it is closed", || fake.connections() == 1).await;
        drop(in_use);
    }
}

#[tokio::test]
async fn usage_counts_connections() {
    let [fake] = fakes::<1>().await;
    let pool = pool_with(
        "pool_min=0&pool_max=2",
        std::slice::from_ref(&fake),
        quick(),
    );
    let held = [
        pool.get_conn().await.unwrap(),
        pool.get_conn().await.unwrap(),
    ];
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get_conn().await) }
    });
    until("one waits", || pool.usage().peers[0].waiting == 1).await;
    let peer = pool.peers().usage().remove(0);
    assert_eq!((peer.in_use, peer.limit, peer.idle), (2, 2, 0));
    assert_eq!((&*peer.peer, peer.state), ("a", State::Up));
    drop(held);
    waiting.await.unwrap();
    until("both are idle", || {
        let peer = pool.peers().usage().remove(0);
        (peer.in_use, peer.idle, peer.waiting) == (0, 2, 0)
    })
    .await;

    // A probe is no connection of the pool's.
    pool.peers().eject("a", Duration::from_millis(1)).unwrap();
    until("its probe has logged in", || fake.logins() == 3).await;
    until("it is back", || up(&pool) == 1).await;
    assert_eq!(pool.peers().usage()[0].opened, 2);
    drop(pool.get_conn().await.unwrap());
    assert_eq!(pool.peers().usage()[0].opened, 3);
}
