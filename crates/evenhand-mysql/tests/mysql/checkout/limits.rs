//! How many connections may be out: for each peer and in all. What is not to be had for want of a
//! place is the callers' own, and no peer's fault.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{LIMIT, fakes, pool, pool_with, quick, soon, until, up};
use evenhand_mysql::mysql_async::{self, DriverError, TxOpts, prelude::Query};
use evenhand_mysql::{Error, HealthCheck, Pool, PoolOptions};
use tokio::time::Instant;

async fn full(pool: &Pool) -> (Duration, evenhand_mysql::Usage, String) {
    let start = Instant::now();
    let error = soon(pool.get_conn()).await.unwrap_err();
    let took = start.elapsed();
    assert!(took >= 3 * LIMIT, "{took:?}");
    let text = error.to_string();
    match Error::find(&error) {
        Some(Error::Full { waited, usage, .. }) => (*waited, usage.clone(), text),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn longest_times_do_not_overflow() {
    let fakes: [_; 2] = fakes().await;
    let longest = Duration::MAX;
    let health = HealthCheck::new().timeout(longest).active(longest, 1);
    let options = PoolOptions::new()
        .connect_timeout(longest)
        .checkout_timeout(longest)
        .try_timeout(longest)
        .work_timeout(longest)
        .max_lifetime(longest)
        .idle_timeout(longest)
        .first_recheck(longest)
        .max_recheck_interval(longest)
        .hedge_after(longest)
        .health_check(health);
    let pool = pool(&fakes, options);
    drop(soon(pool.get_conn()).await.unwrap());
    drop(
        soon(pool.start_transaction(TxOpts::default()))
            .await
            .unwrap(),
    );
    let work = pool.run_idempotent(async |mut conn| "DO 1".ignore(&mut conn).await);
    soon(work).await.unwrap();
}

#[tokio::test]
async fn max_connections_spans_all_peers() {
    let fakes: [_; 3] = fakes().await;
    let pool = pool(&fakes, quick().max_connections(4));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.get_conn().await.unwrap());
    }
    let (waited, usage, text) = full(&pool).await;
    assert!(waited >= 3 * LIMIT, "{waited:?}");
    assert_eq!((usage.in_use, usage.limit), (4, Some(4)));
    assert_eq!(usage.peers.iter().map(|p| p.in_use).sum::<usize>(), 4);
    assert!(text.contains("4 of 4 connections in use (a: "), "{text}");
    assert!(text.contains(" of 100"), "{text}");
    assert_eq!(up(&pool), 3, "no peer is to blame");

    held.pop();
    held.push(pool.get_conn().await.unwrap());
    assert_eq!(pool.usage().in_use, 4);
    drop(held);
    until("all are back", || pool.usage().in_use == 0).await;
}

/// A returned connection is not idle at once. The next checkout must not open another meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_connections_stay_within_the_limit() {
    let [fake] = fakes::<1>().await.map(Arc::new);
    let pool = pool_with(
        "pool_min=0&pool_max=8",
        std::slice::from_ref(&*fake),
        PoolOptions::default(),
    );
    // The first such use of a peer replaces its connections.
    "DO 1".ignore(&pool).await.unwrap();
    until("the first is closed", || fake.connections() == 0).await;
    let most = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for i in 0..32 {
        let (pool, most, fake) = (pool.clone(), most.clone(), fake.clone());
        callers.spawn(async move {
            for _ in 0..50 {
                match i % 2 {
                    0 => drop(pool.get_conn().await.unwrap()),
                    _ => "DO 1".ignore(&pool).await.unwrap(),
                }
                most.fetch_max(fake.connections(), Ordering::Relaxed);
            }
        });
    }
    callers.join_all().await;
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 8, "{most} connections where 8 may be out");
}

/// After a statement on the pool itself its place is free, and the driver resets its connection.
#[tokio::test]
async fn resetting_connection_still_counts() {
    let [fake] = fakes::<1>().await;
    let parameters = "pool_min=0&pool_max=1";
    let pool = pool_with(
        parameters,
        std::slice::from_ref(&fake),
        PoolOptions::default(),
    );
    fake.set_delay(Duration::from_millis(100));
    for _ in 0..4 {
        "DO 1".ignore(&pool).await.unwrap();
    }
    // The first such use of a peer replaces its connections.
    assert_eq!(pool.usage().peers[0].opened, 2);
}

/// The driver takes it back in a background task, a moment later; a login takes longer. With one
/// thread that moment does not depend on what else the machine does.
#[tokio::test]
async fn returning_connection_is_awaited() {
    let [fake] = fakes::<1>().await;
    let parameters = "pool_min=0&pool_max=100&reset_connection=false";
    let pool = pool_with(parameters, std::slice::from_ref(&fake), quick());
    for _ in 0..2000 {
        drop(pool.get_conn().await.unwrap());
    }
    let opened = pool.usage().peers[0].opened;
    assert!(opened <= 2, "{opened} opened for one caller");
}

#[tokio::test]
async fn full_peer_reports_its_counts() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool_with("pool_min=0&pool_max=1", &fakes, quick());
    let held = [
        pool.get_conn().await.unwrap(),
        pool.get_conn().await.unwrap(),
    ];
    let (_, usage, text) = full(&pool).await;
    assert_eq!((usage.in_use, usage.limit), (2, None));
    assert!(
        text.contains("2 connections in use (a: 1 of 1, b: 1 of 1)"),
        "{text}"
    );
    assert_eq!(up(&pool), 2);
    drop(held);
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn checkouts_are_counted_apart_from_connections() {
    let [fake] = fakes::<1>().await;
    fake.kill();
    let pool = pool(std::slice::from_ref(&fake), quick().max_connections(2));
    let waiting = [(); 3].map(|()| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.get_conn().await.unwrap_err() })
    });
    let told = "0 of 2 connections in use, 2 checkouts in progress (a: 0 of 100)";
    until("two wait for the peer", || pool.usage().to_string() == told).await;
    assert_eq!(pool.usage().waiting, 1);
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(pool.usage().checking_out, 0);
}

/// Also for the places at one peer, however often those who wait look around for another.
#[tokio::test]
async fn waiters_are_served_in_order() {
    let [fake] = fakes::<1>().await;
    let fakes = std::slice::from_ref(&fake);
    let long = quick().checkout_timeout(Duration::from_secs(3600));
    for pool in [
        pool(fakes, long.clone().max_connections(1)),
        pool_with("pool_min=0&pool_max=1", fakes, long),
    ] {
        let held = pool.get_conn().await.unwrap();
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        for i in 0..8_usize {
            let (task, told) = (pool.clone(), done.clone());
            tokio::spawn(async move {
                let conn = task.get_conn().await.unwrap();
                told.send(i).unwrap();
                drop(conn);
            });
            let queued = || {
                let usage = pool.usage();
                usage.waiting + usage.peers[0].waiting == i + 1
            };
            until("it waits, too", queued).await;
        }
        drop(held);
        for i in 0..8 {
            assert_eq!(order.recv().await, Some(i));
        }
    }
}

/// Dropped after each number of polls there is, a checkout gives its place back.
#[tokio::test]
async fn dropped_checkout_returns_its_permit() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick().max_connections(1));
    for polls in 0..12 {
        let mut left = polls;
        let mut checkout = Box::pin(pool.get_conn());
        let dropped = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            checkout.as_mut().poll(cx).map(Some)
        })
        .await;
        drop(checkout);
        drop(dropped);
        drop(pool.get_conn().await.unwrap());
    }
    // One that waits for a place, and is dropped when it is its turn.
    let held = pool.get_conn().await.unwrap();
    let mut first = Box::pin(pool.get_conn());
    let mut second = pin!(pool.get_conn());
    std::future::poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(held);
    until("the place is passed on", || pool.usage().waiting == 2).await;
    drop(first);
    drop(second.await.unwrap());
}

#[tokio::test]
async fn disconnect_wakes_waiters() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick().max_connections(1));
    let held = pool.get_conn().await.unwrap();
    let waiting = pool.clone();
    let waiting = tokio::spawn(async move { waiting.get_conn().await });
    until("it waits", || pool.usage().waiting == 1).await;
    let disconnecting = tokio::spawn(pool.disconnect());
    let error = waiting.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            mysql_async::Error::Driver(DriverError::PoolDisconnected)
        ),
        "{error}"
    );
    drop(held);
    disconnecting.await.unwrap().unwrap();
}
