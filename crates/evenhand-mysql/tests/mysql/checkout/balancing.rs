//! How checkouts are spread over the peers, and what becomes of them while too few are up.

use std::time::Duration;

use crate::common::setup::{code, still};
use crate::common::{LIMIT, err, fakes, pool, soon, states, until, up};
use evenhand_mysql::evenhand::State;
use evenhand_mysql::{AllDownKind, EventKind, MinUp, PickKind, Pool};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::{Instant, timeout};

const HOUR: Duration = Duration::from_secs(3600);

/// How many of these checkouts went to the first peer. All are held to the end.
async fn held_by_first(pool: &Pool, checkouts: usize) -> usize {
    let mut held = Vec::new();
    for _ in 0..checkouts {
        held.push(pool.get_conn().await.unwrap());
    }
    held.iter().filter(|conn| conn.peer() == "a").count()
}

fn is_shutting_down(fake: &FakeMySql) {
    fake.set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
}

#[tokio::test]
async fn weights_set_each_peers_share() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().pick(PickKind::Weighted));
    pool.peers().set_weight("a", 0).unwrap();
    assert_eq!(held_by_first(&pool, 40).await, 0, "weight 0 means never");
    pool.peers().set_weight("a", 9).unwrap();
    // Nine of ten by expectation, and fewer than half about once in 1e12 runs.
    assert!(held_by_first(&pool, 60).await > 30);
    assert!(pool.peers().set_weight("unknown", 1).is_err());
}

#[tokio::test]
async fn least_in_flight_counts_held_connections() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().pick(PickKind::LeastInFlight));
    assert_eq!(
        held_by_first(&pool, 40).await,
        20,
        "as many at each, always"
    );
}

#[tokio::test]
async fn min_up_keeps_the_least_bad_peer() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().min_up(MinUp::Percent(50)));
    fakes.iter().for_each(is_shutting_down);
    let error = pool.get_conn().await.unwrap_err();
    assert_eq!(code(&error), Some(1053), "{error}");
    assert_eq!(up(&pool), 1, "one of two stays");
    let last = states(&pool).iter().position(|s| *s == State::Up).unwrap();
    fakes[last].clear_fault();
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn all_down_waits_fails_or_opens() {
    for (all_down, waits, serves) in [
        (AllDownKind::Wait, true, false),
        (AllDownKind::Fail, false, false),
        (AllDownKind::FailOpen, false, true),
    ] {
        let fakes: [_; 2] = fakes().await;
        let options = still()
            .all_down(all_down)
            .checkout_timeout(HOUR)
            .first_recheck(HOUR)
            .max_recheck_interval(HOUR);
        let pool = pool(&fakes, options);
        fakes.iter().for_each(is_shutting_down);
        // Where it waits, it does so for good.
        let first = pool.clone();
        let first = tokio::spawn(async move { first.get_conn().await });
        until("both are out", || up(&pool) == 0).await;
        first.abort();
        fakes.iter().for_each(|fake| fake.clear_fault());
        if waits {
            let waiting = timeout(LIMIT, pool.get_conn()).await;
            assert!(waiting.is_err(), "{all_down:?}");
        } else {
            let checkout = soon(pool.get_conn()).await;
            assert_eq!(checkout.is_ok(), serves, "{all_down:?}");
        }
    }
}

#[tokio::test]
async fn first_recheck_delay_is_configurable() {
    for (first, interval, expected) in [(LIMIT, HOUR, LIMIT), (HOUR, 2 * LIMIT, 2 * LIMIT)] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(
            &fakes,
            still().first_recheck(first).max_recheck_interval(interval),
        );
        let mut events = pool.subscribe();
        is_shutting_down(&fakes[0]);
        while up(&pool) == 2 {
            drop(pool.get_conn().await.unwrap());
        }
        let ejected = events.try_next().unwrap().unwrap();
        let EventKind::Ejected { probe_in, .. } = ejected.kind else {
            unreachable!("{ejected:?}")
        };
        // With a jitter of 10 %.
        assert!((expected * 9 / 10..=expected * 11 / 10).contains(&probe_in));
    }
}

/// One peer takes longer than an attempt may; the other gives a connection at once.
#[tokio::test]
async fn hedged_checkout_skips_a_slow_peer() {
    let fakes: [_; 2] = fakes().await;
    let options = still()
        .connect_timeout(100 * LIMIT)
        .checkout_timeout(100 * LIMIT);
    let pool = pool(&fakes, options.hedge_after(LIMIT / 10));
    fakes[0].set_fault(Fault::Silent);
    let mut went_to_the_slow_one = 0;
    while went_to_the_slow_one < 5 {
        let before = fakes[0].accepted();
        let conn = pool.get_conn().await.unwrap();
        assert_eq!(conn.peer(), "b");
        went_to_the_slow_one += u64::from(fakes[0].accepted() > before);
    }
    assert_eq!(up(&pool), 2, "being slower ejects no peer");
    // What lost is gone, its place too.
    until("the others were dropped", || fakes[0].connections() == 0).await;
    until("no place is taken", || pool.usage().in_use == 0).await;
}

/// The time limit tells what both legs tried.
#[tokio::test]
async fn hedged_checkout_ends_at_its_deadline() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(
        &fakes,
        still().connect_timeout(100 * LIMIT).hedge_after(LIMIT / 10),
    );
    fakes.iter().for_each(|fake| fake.set_fault(Fault::Silent));
    let start = Instant::now();
    let error = soon(pool.get_conn()).await.unwrap_err();
    assert!(start.elapsed() >= 3 * LIMIT, "{error}");
    until("both were asked and left", || {
        fakes
            .iter()
            .all(|fake| fake.accepted() == 1 && fake.connections() == 0)
    })
    .await;
}
