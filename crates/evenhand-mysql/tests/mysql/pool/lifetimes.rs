//! How long connections live, and what becomes of those that ended without a word.

use std::time::Duration;

use crate::common::{fakes, pool_with, quick, soon, until, up};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::{FakeMySql, MariaDb};
use tokio::task::JoinSet;
use tokio::time::Instant;

async fn hold(pool: &Pool, n: usize) -> Vec<evenhand_mysql::PeerConn> {
    let mut held = Vec::new();
    for _ in 0..n {
        held.push(pool.get_conn().await.unwrap());
    }
    held
}

#[tokio::test]
async fn idle_connections_beyond_the_min_are_closed() {
    let [fake] = fakes::<1>().await;
    let fakes = std::slice::from_ref(&fake);
    let options = quick().idle_timeout(Some(Duration::from_secs(1)));
    let pool = pool_with("pool_min=2&pool_max=8", fakes, options);
    drop(hold(&pool, 6).await);
    let start = Instant::now();
    until("all are idle", || pool.usage().peers[0].idle == 6).await;
    until("those beyond the min are closed", || {
        fake.connections() == 2
    })
    .await;
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert_eq!(fake.logins(), 6);
    // Once more: the min stays, and is used.
    drop(hold(&pool, 6).await);
    until("all are idle", || pool.usage().peers[0].idle == 6).await;
    until("those beyond the min are closed", || {
        fake.connections() == 2
    })
    .await;
    drop(hold(&pool, 2).await);
    assert_eq!(fake.logins(), 6 + 4, "the min stays");
}

#[tokio::test]
async fn idle_connections_are_kept_by_default() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool_with("pool_min=0&pool_max=8", &fakes[..1], quick());
    let impatient = quick().idle_timeout(Some(Duration::from_secs(1)));
    let impatient = pool_with("pool_min=0&pool_max=8", &fakes[1..], impatient);
    drop(hold(&pool, 6).await);
    drop(hold(&impatient, 6).await);
    until("another pool's are closed", || fakes[1].connections() == 0).await;
    assert_eq!(fakes[0].connections(), 6);
    drop(hold(&pool, 6).await);
    assert_eq!(fakes[0].logins(), 6, "they are used again");
}

#[tokio::test]
async fn max_lifetime_spares_connections_in_use() {
    let [fake] = fakes::<1>().await;
    let fakes = std::slice::from_ref(&fake);
    let options = quick().max_lifetime(Some(Duration::from_secs(1)));
    let pool = pool_with("pool_min=1&pool_max=8", fakes, options);
    let mut used = hold(&pool, 1).await.remove(0);
    let held = hold(&pool, 3).await;
    let ids: Vec<u32> = held.iter().map(|conn| conn.id()).collect();
    drop(held);
    // Used without pause, and closed all the same.
    let replaced = async {
        loop {
            let mut next = hold(&pool, 3).await;
            if next.iter().all(|conn| !ids.contains(&conn.id())) {
                return next;
            }
            for conn in &mut next {
                conn.ping().await.unwrap();
            }
        }
    };
    let next = soon(replaced).await;
    used.ping().await.unwrap();
    let id = used.id();
    drop(used);
    drop(next);
    until("all are back", || pool.usage().in_use == 0).await;
    let next = hold(&pool, 4).await;
    assert!(next.iter().all(|conn| conn.id() != id));
}

/// The stated time: idle time and lifetime, whichever is shorter, and the driver's look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_spread_after_a_recovery() {
    let fakes: [_; 2] = fakes().await;
    let idle = Duration::from_secs(2);
    let options = PoolOptions::new()
        .max_recheck_interval(Duration::from_millis(300))
        .idle_timeout(idle);
    let pool = pool_with("pool_min=0&pool_max=500", &fakes, options);
    let mut work = JoinSet::new();
    for _ in 0..100 {
        let pool = pool.clone();
        work.spawn(async move {
            loop {
                if let Ok(mut conn) = pool.get_conn().await {
                    let _ = conn.query_drop("SELECT SLEEP(0.02)").await;
                }
            }
        });
    }
    let open = |fake: &FakeMySql| fake.connections();
    until("all work", || pool.usage().in_use >= 90).await;
    fakes[0].kill();
    until("it is out", || up(&pool) == 1).await;
    until("the other one has them all", || open(&fakes[1]) >= 95).await;

    fakes[0].restart().await.unwrap();
    until("it is back", || up(&pool) == 2).await;
    let start = Instant::now();
    let share = || {
        let (a, b) = (open(&fakes[0]), open(&fakes[1]));
        (a as f64 / (a + b) as f64, a, b)
    };
    until("each has half of them", || (share().0 - 0.5).abs() <= 0.05).await;
    let took = start.elapsed();
    println!("spread after {took:?}: {:?}", share());
    work.abort_all();
}

async fn mariadb(wait_timeout: Option<u32>) -> MariaDb {
    let mut builder = MariaDb::builder();
    if let Some(seconds) = wait_timeout {
        builder = builder.arg(format!("--wait-timeout={seconds}"));
    }
    let started = tokio::task::spawn_blocking(move || builder.start()).await;
    started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

fn over(server: &MariaDb) -> Pool {
    let url = format!("{}?pool_min=0&pool_max=20", server.url());
    PoolOptions::new().open([("db0", &*url)]).unwrap()
}

/// How many connections the server has beside the one that asks.
async fn others(asking: &mut evenhand_mysql::PeerConn) -> u64 {
    let query = "SELECT COUNT(*) - 1 FROM information_schema.processlist WHERE user = 'root'";
    asking.query_first(query).await.unwrap().unwrap()
}

#[tokio::test]
async fn connections_closed_by_the_server_cost_nothing() {
    let server = mariadb(Some(1)).await;
    // The driver asks the server for its limit, and would not try older ones. Told another, it has
    // to find out.
    let url = format!("{}?pool_min=0&pool_max=20&conn_ttl=3600", server.url());
    let pool = PoolOptions::new().open([("db0", &*url)]).unwrap();
    let mut events = pool.subscribe();
    let mut asking = pool.get_conn().await.unwrap();
    drop(hold(&pool, 10).await);
    until("ten are idle", || pool.usage().peers[0].idle == 10).await;
    soon(async { while others(&mut asking).await > 0 {} }).await;
    assert_eq!(pool.usage().peers[0].idle, 10, "the pool has not noticed");
    for mut conn in hold(&pool, 10).await {
        conn.ping().await.unwrap();
    }
    assert_eq!(events.try_next().unwrap(), None, "the peer is not to blame");
}

#[tokio::test]
async fn connections_killed_by_a_restart_cost_nothing() {
    let mut server = mariadb(None).await;
    let pool = over(&server);
    let mut events = pool.subscribe();
    drop(hold(&pool, 10).await);
    until("ten are idle", || pool.usage().peers[0].idle == 10).await;
    let server = tokio::task::spawn_blocking(move || {
        server.kill().unwrap();
        server.restart().unwrap();
        server
    });
    let _server = server.await.unwrap();
    assert_eq!(pool.usage().peers[0].idle, 10, "the pool has not noticed");
    for mut conn in hold(&pool, 10).await {
        conn.ping().await.unwrap();
    }
    assert_eq!(events.try_next().unwrap(), None, "the peer is not to blame");
}
