//! The pool's `min` is kept open on peers that are up.

use std::time::Duration;

use crate::common::{err, fakes, pool_with, quick, soon, until, up};
use evenhand_mysql::{HealthCheck, Pool};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::Instant;

fn with_min(fake: &FakeMySql) -> String {
    format!("{}?pool_min=2&pool_max=4", fake.url())
}

/// Adds these peers, one when the one before has its connections. As each round looks at every
/// peer, there have been as many rounds when it returns.
async fn rounds(pool: &Pool, more: &[FakeMySql]) {
    let names = ["v", "w", "x", "y", "z"];
    for (name, fake) in names.into_iter().zip(more) {
        pool.peers().add(name, &*with_min(fake)).unwrap();
        let opened = || {
            pool.usage()
                .peers
                .iter()
                .any(|p| &*p.peer == name && p.idle == 2)
        };
        until("a peer that was added has its two", opened).await;
    }
}

#[tokio::test]
async fn opened_ahead_on_every_peer_that_is_up() {
    let fakes: [_; 3] = fakes().await;
    let pool = pool_with("pool_min=3&pool_max=8", &fakes, quick());
    assert!(
        fakes.iter().all(|fake| fake.accepted() == 0),
        "lazy at first"
    );
    drop(pool.get_conn().await.unwrap());
    let idle = |n: usize| pool.usage().peers.iter().filter(|p| p.idle == n).count();
    until("three are idle at each", || idle(3) == 3).await;
    assert_eq!(pool.usage().in_use, 0);
    let logins: u64 = fakes.iter().map(|fake| fake.logins()).sum();
    assert_eq!(logins, 9, "no more than that were opened");

    // A failover finds them.
    fakes[0].kill();
    while up(&pool) == 3 {
        let _ = pool.get_conn().await;
    }
    until("all are idle again", || pool.usage().in_use == 0).await;
    let logins = || fakes[1].logins() + fakes[2].logins();
    let before = logins();
    let held = [
        pool.get_conn().await.unwrap(),
        pool.get_conn().await.unwrap(),
        pool.get_conn().await.unwrap(),
    ];
    assert_eq!(logins(), before, "none had to be opened");
    drop(held);
}

#[tokio::test]
async fn ejected_peer_gets_none_until_restored() {
    let fakes: [_; 4] = fakes().await;
    let pool = pool_with("pool_min=2&pool_max=4", &fakes[..2], quick());
    pool.peers().eject("a", Duration::from_secs(3600)).unwrap();
    drop(pool.get_conn().await.unwrap());
    until("two are idle at b", || pool.usage().peers[1].idle == 2).await;
    rounds(&pool, &fakes[2..]).await;
    assert_eq!(fakes[0].accepted(), 0);
    pool.peers().restore("a").unwrap();
    until("two are idle at a", || pool.usage().peers[0].idle == 2).await;
}

#[tokio::test]
async fn failed_open_ejects_no_peer_and_backs_off() {
    let fakes: [_; 2] = fakes().await;
    let options = quick().health_check(HealthCheck::new().passive());
    let pool = pool_with("pool_min=1&pool_max=4", &fakes, options);
    drop(pool.get_conn().await.unwrap());
    until("one is idle at each", || {
        pool.usage().peers.iter().all(|peer| peer.idle == 1)
    })
    .await;
    fakes[0].set_fault(Fault::ErrAtLogin(err(1226, "user limit")));
    fakes[0].cut_connections();
    // The dead one is found at a checkout, which takes the next peer's instead of failing.
    let before = fakes[0].accepted();
    let accepted = || fakes[0].accepted() - before;
    // A moment shortly before the second try, however late that is noticed.
    let mut not_yet = Instant::now();
    let found = async {
        while accepted() == 0 {
            not_yet = Instant::now();
            drop(pool.get_conn().await.unwrap());
        }
    };
    soon(found).await;
    until("it is tried once more", || {
        let tried = accepted() >= 2;
        if !tried {
            not_yet = Instant::now();
        }
        tried
    })
    .await;
    assert_eq!(accepted(), 2);
    until("it is tried a third time", || accepted() >= 3).await;
    assert_eq!(accepted(), 3);
    // The shortest pause is a second, or half of it with jitter, if the first try was a checkout's.
    // A unit test shows that it grows.
    let rested = not_yet.elapsed();
    assert!(rested >= Duration::from_millis(500), "{rested:?}");
    assert_eq!(up(&pool), 2);
    fakes[0].clear_fault();
    until("one is idle at a again", || pool.usage().peers[0].idle == 1).await;
}

#[tokio::test]
async fn opening_ends_with_the_pool() {
    let fakes: [_; 7] = fakes().await;
    let pool = pool_with("pool_min=2&pool_max=4", &fakes[..1], quick());
    drop(pool.get_conn().await.unwrap());
    until("two are idle", || pool.usage().peers[0].idle == 2).await;
    let operators = pool.peers();
    let url = with_min(&fakes[1]);
    operators.add("b", &*url).unwrap();
    until("and at one that came later", || fakes[1].accepted() > 0).await;
    operators.remove("b").unwrap();
    until("they are closed", || fakes[1].connections() == 0).await;

    drop(pool);
    let before = fakes[1].accepted();
    operators.add("b", &*url).unwrap();
    let other = pool_with("pool_min=2&pool_max=4", &fakes[2..3], quick());
    drop(other.get_conn().await.unwrap());
    // Four rounds of one, each half a second at least, take as long as the longest of another.
    rounds(&other, &fakes[3..]).await;
    assert_eq!(fakes[1].accepted(), before, "no connection is opened");
}
