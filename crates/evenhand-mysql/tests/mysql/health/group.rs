//! Writable pools over a real group of MySQL servers. The double's groups are in `writable`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_mysql::mysql_async::{self, Conn, TxOpts, prelude::Queryable};
use evenhand_mysql::{HealthCheck, Pool, PoolOptions, Transaction};
use evenhand_testkit::{Group, Maker};
use tokio::task::{JoinSet, spawn_blocking};

use crate::common::setup::{as_user, failed_probe, pool_of, root};
use crate::common::{GUARD, soon, states, until};

async fn group() -> Option<Group> {
    if !Maker::MySql.is_here("Group Replication") {
        return None;
    }
    let group = spawn_blocking(|| Group::start(3)).await.unwrap();
    let group = group.unwrap_or_else(|error| panic!("{error}"));
    let mut primary = root(&group[0].url()).await;
    let table = "CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, task INT)";
    primary.query_drop(table).await.unwrap();
    Some(group)
}

fn writable() -> PoolOptions {
    PoolOptions::new()
        .writable(true)
        .checkout_timeout(GUARD)
        .work_timeout(GUARD)
}

async fn one_is_up(pool: &Pool, number: usize) {
    let only = |(at, state): (usize, &State)| (*state == State::Up) == (at == number);
    let what = format!("only the peer {number} is up");
    until(&what, || states(pool).iter().enumerate().all(only)).await;
}

#[tokio::test]
async fn planned_switchover_of_a_group_costs_no_transaction() {
    let Some(group) = group().await else { return };
    let pool = pool_of(&group.urls(), writable());
    let (done, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut tasks = JoinSet::new();
    for task in 0..10 {
        let (pool, done, stop) = (pool.clone(), done.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let work = async |mut tx: Transaction<'_>| {
                    tx.exec_drop("INSERT INTO t (task) VALUES (?)", (task,))
                        .await
                };
                let outcome: mysql_async::Result<()> =
                    pool.transaction(TxOpts::default(), work).await;
                outcome.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let goes_on = async || {
        let before = done.load(Ordering::SeqCst);
        until("work is done", || {
            done.load(Ordering::SeqCst) >= before + 100
        })
        .await;
    };
    goes_on().await;
    let group = Arc::new(group);
    for to in [1, 2, 0] {
        let switching = group.clone();
        let switched = spawn_blocking(move || switching.switch_primary(to)).await;
        switched.unwrap().unwrap_or_else(|error| panic!("{error}"));
        goes_on().await;
        one_is_up(&pool, to).await;
    }
    stop.store(true, Ordering::SeqCst);
    tasks.join_all().await;
    let mut primary = root(&group[0].url()).await;
    let count: Option<u64> = primary.query_first("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(count, Some(done.load(Ordering::SeqCst)));
}

/// Each of these says that it is not read-only.
#[tokio::test]
async fn member_that_would_lose_its_writes_is_ejected() {
    let Some(group) = group().await else { return };
    let check = HealthCheck::new().active(Duration::from_millis(100), 1);
    let pool = pool_of(&group.urls(), writable().health_check(check.clone()));
    drop(pool.get_conn().await.unwrap());
    one_is_up(&pool, 0).await;

    // It left the group, and an operator made it writable.
    let mut alone = root(&group[2].url()).await;
    for statement in [
        "STOP GROUP_REPLICATION",
        "SET GLOBAL super_read_only = OFF",
        "SET GLOBAL read_only = OFF",
    ] {
        alone.query_drop(statement).await.unwrap();
    }
    let outside = pool_of(&[group[2].url()], writable());
    let mut events = outside.subscribe();
    outside
        .peers()
        .eject("a", Duration::from_millis(1))
        .unwrap();
    let probe = tokio::spawn({
        let outside = outside.clone();
        async move { outside.get_conn().await.map(drop) }
    });
    let reason = failed_probe(&mut events).await;
    assert_eq!(reason, "the peer is not online in its group");
    probe.abort();

    // A user who may not see the group judges by the settings.
    for statement in [
        "SET sql_log_bin = 0",
        "CREATE USER app@'%' IDENTIFIED BY 'secret'",
        "GRANT ALL ON test.* TO app@'%'",
    ] {
        alone.query_drop(statement).await.unwrap();
    }
    let blind = pool_of(&[as_user(&group[2].url(), "app:secret")], writable());
    blind.peers().eject("a", Duration::from_millis(1)).unwrap();
    drop(soon(blind.get_conn()).await.unwrap());

    // The other one is silent, so the primary has no majority: its writes hang.
    let mut events = pool.subscribe();
    group[1].freeze().unwrap();
    let ejected = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if let (EventKind::Ejected { reason, .. }, "a") = (event.kind, &*event.peer) {
                return reason.unwrap_or("");
            }
        }
    };
    assert_eq!(soon(ejected).await, "the peer's group has no majority");
    let mut primary = Conn::from_url(group[0].url()).await.unwrap();
    let read_only: Option<u8> = primary.query_first("SELECT @@read_only").await.unwrap();
    assert_eq!(read_only, Some(0), "its settings do not tell");
    group[1].thaw().unwrap();
}
