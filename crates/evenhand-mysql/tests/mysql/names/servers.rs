//! A name that moves from one real server to another, under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{EventKind, Pool};
use evenhand_testkit::{MariaDb, MariaDbError};
use tokio::task::{JoinSet, spawn_blocking};

use super::{Names, ip};
use crate::common::setup::{patient, root};
use crate::common::{soon, until};

/// Two servers on one port, at 127.0.0.1 and 127.0.0.2. Each says which it is.
fn start() -> Result<(MariaDb, MariaDb), MariaDbError> {
    let old = MariaDb::builder().arg("--server-id=1").start()?;
    let addr = SocketAddr::new(ip(2), old.port());
    let new = MariaDb::builder().arg("--server-id=2").addr(addr).start()?;
    Ok((old, new))
}

/// How many connections to the old one are in use as it ends.
const HELD: usize = 20;

/// The server that a checkout goes to.
async fn server(pool: &Pool) -> u64 {
    let mut conn = pool.get_conn().await.unwrap();
    let id: Option<u64> = conn.query_first("SELECT @@server_id").await.unwrap();
    id.unwrap()
}

#[tokio::test]
async fn moved_name_under_load_costs_no_checkout_and_blames_no_peer() {
    let started = spawn_blocking(start).await.unwrap();
    let (mut old, _new) = started.unwrap_or_else(|error| panic!("{error}"));
    let names = Names::default();
    names.are(&[1]);
    let url = format!("mysql://root@db.internal:{}/test", old.port());
    let options = names.known_to(patient());
    let pool = options.open([("db", url.as_str())]).unwrap();
    let mut events = pool.subscribe();
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(pool.get_conn().await.unwrap());
    }

    let stop = Arc::<AtomicBool>::default();
    let answers: [Arc<AtomicU64>; 2] = Default::default();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (pool, stop, answers) = (pool.clone(), stop.clone(), answers.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let server = server(&pool).await;
                answers[if server == 1 { 0 } else { 1 }].fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let done = |server: usize| answers[server].load(Ordering::SeqCst);
    until("the old one has work", || done(0) > 100).await;
    assert_eq!(done(1), 0);
    names.are(&[2]);
    names.are_looked_up_again().await;
    let before = done(1);
    until("the new one has work", || done(1) > before + 100).await;
    assert_eq!(soon(server(&pool)).await, 2);
    let mut operator = root(&old.url()).await;
    let sessions = "SELECT COUNT(*) FROM information_schema.processlist \
                    WHERE db = 'test' AND id != CONNECTION_ID()";
    let only_held = async { while operator.query_first(sessions).await.unwrap() != Some(HELD) {} };
    soon(only_held).await;
    // Half of them wait for it as it ends, half find out later.
    let later = held.split_off(held.len() / 2);
    let waiting = held.into_iter().map(|mut conn| async move {
        conn.query_drop("SELECT SLEEP(1000)").await.unwrap_err();
    });
    let waiting: JoinSet<()> = waiting.collect();
    let sleeping = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
    let all_wait =
        async { while operator.query_first(sleeping).await.unwrap() != Some(HELD / 2) {} };
    soon(all_wait).await;
    old.kill().unwrap();
    soon(waiting.join_all()).await;
    for mut conn in later {
        soon(conn.query_drop("DO 1")).await.unwrap_err();
    }
    let before = done(1);
    until("work goes on", || done(1) > before + 200).await;
    stop.store(true, Ordering::SeqCst);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    while let Some(event) = events.try_next().unwrap() {
        let is_ejection = matches!(event.kind, EventKind::Ejected { .. });
        assert!(!is_ejection, "{event}");
    }
}
