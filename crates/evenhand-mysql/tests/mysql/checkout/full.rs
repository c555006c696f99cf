//! A server that has no room for one more connection is neither ejected nor besieged: callers share the
//! connections that there are, until there is room.

use std::time::Duration;

use evenhand_mysql::Pool;
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_testkit::MariaDb;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use crate::common::setup::{add_app, checkout_code, fill, patient, pool_of, root, servers};
use crate::common::{soon, states, until};

/// A server with room for so many, and its url for a user who gets no extra connection.
async fn server(room: usize) -> (MariaDb, String) {
    let builder = MariaDb::builder().arg(format!("--max-connections={room}"));
    let mut servers = servers(1, builder).await;
    let url = add_app(&servers).await.remove(0);
    (servers.remove(0), url)
}

/// How many logins the server has refused for want of room.
async fn refused(server: &MariaDb) -> u64 {
    let mut operator = root(&server.url()).await;
    let status = "SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'";
    let row: Option<(String, u64)> = operator.query_first(status).await.unwrap();
    row.unwrap().1
}

fn limit(pool: &Pool) -> usize {
    pool.usage().peers[0].limit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_the_connections_of_a_full_server() {
    let (server, url) = server(10).await;
    let pool = pool_of(&[url], patient());
    let mut events = pool.subscribe();
    let mut callers = JoinSet::new();
    for _ in 0..60 {
        let pool = pool.clone();
        callers.spawn(async move {
            for _ in 0..20 {
                let mut conn = pool.get_conn().await.unwrap();
                conn.query_drop("SELECT SLEEP(0.002)").await.unwrap();
            }
        });
    }
    let began = Instant::now();
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let usage = pool.usage().peers.remove(0);
    assert_eq!((usage.limit, usage.opened), (10, 10), "{usage:?}");
    assert!(events.try_next().unwrap().is_none());
    // Those that logged in at once at first, and then one after the other, with pauses.
    let seconds = began.elapsed().as_secs_f64();
    let refused = refused(&server).await as f64;
    assert!(
        refused <= 16.0 + 6.0 + 4.0 * seconds,
        "{refused} in {seconds} s"
    );

    // Room for more is found while callers wait.
    let mut operator = root(&server.url()).await;
    let more = "SET GLOBAL max_connections = 200";
    operator.query_drop(more).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..60 {
        let pool = pool.clone();
        waiting.spawn(async move { pool.get_conn().await.unwrap() });
    }
    let held = soon(waiting.join_all()).await;
    assert!((60..100).contains(&limit(&pool)), "{}", limit(&pool));
    drop(held);
}

#[tokio::test]
async fn connections_of_a_full_server_are_kept_and_handed_on() {
    let (_server, url) = server(10).await;
    let pool = pool_of(std::slice::from_ref(&url), patient());
    let mut in_use = pool.get_conn().await.unwrap();
    let other = pool.get_conn().await.unwrap();
    let (first, second) = (in_use.id(), other.id());
    drop(other);
    let others = fill(&url, 8).await;
    until("it is idle", || pool.usage().peers[0].idle == 1).await;

    let idle = pool.get_conn().await.unwrap();
    assert_eq!(idle.id(), second);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_conn().await.unwrap().id() }
    });
    until("it is full", || limit(&pool) == 2).await;
    in_use.query_drop("DO 1").await.unwrap();
    drop(in_use);
    assert_eq!(soon(waiting).await.unwrap(), first);
    assert_eq!(pool.usage().peers[0].opened, 2);
    drop(others);
}

#[tokio::test]
async fn checkout_waits_for_room_until_its_deadline() {
    let (_server, url) = server(10).await;
    let others = fill(&url, 10).await;
    let short = patient().checkout_timeout(Duration::from_millis(500));
    let began = Instant::now();
    let pool = pool_of(std::slice::from_ref(&url), short);
    let error = pool.get_conn().await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!(checkout_code(&error), Some(1040), "{error}");
    assert!(
        error.to_string().contains("too many connections"),
        "{error}"
    );
    assert_eq!(states(&pool), [State::Up]);

    let pool = pool_of(&[url], patient());
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_conn().await }
    });
    until("it was asked", || limit(&pool) == 1).await;
    drop(others);
    drop(soon(waiting).await.unwrap().unwrap());
}

/// Wherever they wait: for a permit, a turn to log in, a connection, or a trial.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_checkouts_cost_a_full_server_no_place() {
    let (_server, url) = server(10).await;
    let pool = pool_of(&[format!("{url}?pool_min=0&pool_max=20")], patient());
    let mut callers = JoinSet::new();
    for caller in 0..40 {
        let pool = pool.clone();
        callers.spawn(async move {
            for nth in 0..300 {
                // Polled this often at most.
                let yields = async {
                    for _ in 0..(caller + nth) % 16 {
                        yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    conn = pool.get_conn() => drop(conn.unwrap()),
                    () = yields => {}
                }
            }
        });
    }
    while let Some(ended) = soon(callers.join_next()).await {
        ended.unwrap();
    }
    let usage = || pool.usage().peers.remove(0);
    until("all are returned", || {
        let usage = usage();
        (usage.in_use, usage.waiting) == (0, 0)
    })
    .await;
    // The server may still be closing those whose logins were dropped.
    let mut held = Vec::new();
    while held.len() < 10 {
        held.push(soon(pool.get_conn()).await.unwrap());
    }
    assert_eq!(states(&pool), [State::Up]);
    assert_eq!(usage().in_use, 10);
}

/// A checkout that has met a full server waits for room on any, whatever it has tried.
#[tokio::test]
async fn no_caller_is_stuck_at_a_full_server() {
    let (_full, url) = server(10).await;
    let others = fill(&url, 10).await;
    let (_other, other) = server(50).await;
    let other = format!("{other}?pool_max=2");
    let pool = pool_of(&[url, other], patient());
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        callers.spawn(async move {
            for _ in 0..10 {
                let mut conn = pool.get_conn().await.unwrap();
                assert_eq!(conn.peer(), "b");
                conn.query_drop("SELECT SLEEP(0.01)").await.unwrap();
            }
        });
    }
    while let Some(ended) = soon(callers.join_next()).await {
        ended.unwrap();
    }
    drop(others);
}

#[tokio::test]
async fn min_connections_stop_at_what_a_full_server_has() {
    let (_server, url) = server(10).await;
    let mut others = fill(&url, 10).await;
    // Theirs stay six of the ten.
    others.truncate(6);
    let pool = patient().open([("a", url.as_str())]).unwrap();
    drop(soon(pool.get_conn()).await.unwrap());
    let idle = || pool.usage().peers[0].idle;
    until("four are open", || limit(&pool) == 4 && idle() == 4).await;
    assert_eq!(states(&pool), [State::Up]);
    drop(others);
    until("ten are open", || idle() == 10).await;
}
