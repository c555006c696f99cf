//! What the driver's tests ask of pools.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{PoolConstraints, PoolOpts, Row, TxOpts, Value};
use evenhand_mysql::{PeerConn, Pool};
use evenhand_testkit::MariaDb;
use futures_util::future::{join_all, select_all, try_join_all};
use futures_util::{FutureExt, poll};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{opts_of, pool_with, stage};
use crate::common::setup::{patient, root};
use crate::common::{quick, soon, until};

const ONE: &str = "pool_min=1&pool_max=1";
/// How many clients are connected; a server may list tasks of its own beside them.
const CONNECTED: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root'";

async fn held(pool: &Pool, count: usize) -> Vec<PeerConn> {
    try_join_all((0..count).map(|_| pool.get_conn()))
        .await
        .unwrap()
}

/// Waits until the query gives this number. What the server sent to other connections before has arrived
/// then.
async fn until_read(operator: &mut impl Queryable, query: &str, number: u32) {
    let read = async { while operator.query_first(query).await.unwrap() != Some(number) {} };
    soon(read).await;
    // One answer more: the runtime has seen all that came before it.
    operator.ping().await.unwrap();
}

fn idle(pool: &Pool) -> usize {
    pool.usage().peers[0].idle
}

#[tokio::test]
async fn reset_on_return_can_be_turned_off() {
    let (server, pool) = stage(ONE).await;
    let mine = async |conn: &mut PeerConn| {
        let mine: Option<Value> = conn.query_first("SELECT @mine").await.unwrap();
        mine != Some(Value::NULL)
    };
    for keep in [false, true, false] {
        let mut conn = pool.get_conn().await.unwrap();
        assert!(!mine(&mut conn).await);
        conn.query_drop("SET @mine = 1").await.unwrap();
        conn.reset_connection(!keep);
        drop(conn);
        let mut conn = pool.get_conn().await.unwrap();
        assert_eq!(mine(&mut conn).await, keep);
    }

    let constraints = PoolConstraints::new(1, 1).unwrap();
    let kept = PoolOpts::new()
        .with_constraints(constraints)
        .with_reset_connection(false);
    let pool = pool_with(opts_of(&server).pool_opts(kept));
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("SET @mine = 1").await.unwrap();
    drop(conn);
    assert!(mine(&mut pool.get_conn().await.unwrap()).await);
}

#[test]
fn pool_that_was_not_used_disconnects_at_once() {
    let runtime = Runtime::new().unwrap();
    let pool = Pool::from_url("mysql://127.0.0.1:1/d").unwrap();
    runtime.block_on(pool.disconnect()).unwrap();
}

#[tokio::test]
async fn connection_that_was_disconnected_by_hand_is_accounted_for() {
    let (_server, pool) = stage("").await;
    pool.get_conn().await.unwrap().ping().await.unwrap();
    let conn = pool.get_conn().await.unwrap();
    conn.disconnect().await.unwrap();
    pool.disconnect().await.unwrap();
}

#[tokio::test]
async fn connections_that_were_killed_while_idle_are_replaced() {
    let (server, pool) = stage("pool_min=0").await;
    let mut operator = root(&server.url()).await;
    let conns = held(&pool, 5).await;
    let ids: Vec<u32> = conns.iter().map(|conn| conn.id()).collect();
    drop(conns);
    until("all are idle", || idle(&pool) == 5).await;
    for id in &ids {
        operator.query_drop(format!("KILL {id}")).await.unwrap();
    }
    // Deviation: the server's goodbye may still be on its way, and then the first statement meets it.
    until_read(&mut operator, CONNECTED, 1).await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.ping().await.unwrap();
    assert!(!ids.contains(&conn.id()));
    drop(conn);
    pool.disconnect().await.unwrap();
}

#[tokio::test]
async fn one_connection_serves_one_caller_after_the_other() {
    let (_server, pool) = stage(ONE).await;
    let id = pool.get_conn().await.unwrap().id();
    for _ in 0..16 {
        assert_eq!(pool.get_conn().await.unwrap().id(), id);
    }
    // An error that was not read does not end it.
    for _ in 0..10 {
        let mut conn = pool.get_conn().await.unwrap();
        drop(conn.query_iter("DO 1; nonsense").await.unwrap());
        assert_eq!(conn.id(), id);
    }
}

#[tokio::test]
async fn many_callers_are_served() {
    let (_server, pool) = stage("pool_max=20").await;
    let callers = (0..2_000).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { drop(pool.get_conn().await.unwrap()) })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn dropped_transaction_of_the_pool_is_rolled_back() {
    let (_server, pool) = stage(ONE).await;
    "CREATE TABLE t (id INT)".ignore(&pool).await.unwrap();
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    let insert = "INSERT INTO t VALUES (?)";
    transaction.exec_batch(insert, [(1,), (2,)]).await.unwrap();
    transaction.exec_drop("SELECT * FROM t", ()).await.unwrap();
    drop(transaction);
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(
        conn.query_first("SELECT COUNT(*) FROM t").await.unwrap(),
        Some(0)
    );
    drop(conn);
    pool.disconnect().await.unwrap();
}

/// Deviation: where the options set no time, those above `pool_min` stay for `idle_timeout`, not for none.
#[tokio::test]
async fn idle_connections_above_the_minimum_end_after_their_time() {
    for parameters in [
        "inactive_connection_ttl=1&ttl_check_interval=1",
        "ttl_check_interval=1",
    ] {
        let url = format!("pool_min=2&pool_max=5&{parameters}");
        let (server, _pool) = stage("").await;
        let options = patient().idle_timeout(Duration::from_secs(1));
        let pool = options.open_url(format!("{}?{url}", server.url())).unwrap();
        drop(held(&pool, 5).await);
        until("all are idle", || idle(&pool) == 5).await;
        until("two are left", || idle(&pool) == 2).await;
        assert_eq!(pool.usage().peers[0].opened, 5);
        pool.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn connections_end_after_their_lifetime() {
    let parameters = "pool_min=0&pool_max=3&abs_conn_ttl=1&ttl_check_interval=1";
    let (server, pool) = stage(parameters).await;
    drop(held(&pool, 3).await);
    let mut operator = root(&server.url()).await;
    while operator.query_first(CONNECTED).await.unwrap() != Some(1) {}
    assert_eq!(idle(&pool), 0);
}

#[tokio::test]
async fn failed_logins_take_no_place() {
    let pool = quick().open_url("mysql://255.255.255.255").unwrap();
    let outcomes = join_all([pool.get_conn(), pool.get_conn()]).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!((pool.usage().in_use, idle(&pool)), (0, 0));
}

/// The driver looks at the server's `wait_timeout`.
#[tokio::test]
async fn connection_that_the_server_has_closed_is_replaced() {
    let (server, pool) = stage(ONE).await;
    let mut operator = root(&server.url()).await;
    operator
        .query_drop("SET GLOBAL wait_timeout = 1")
        .await
        .unwrap();
    let mut conn = pool.get_conn().await.unwrap();
    let limit: Option<u32> = conn.query_first("SELECT @@wait_timeout").await.unwrap();
    assert_eq!(limit, Some(1));
    let id = conn.id();
    drop(conn);
    let gone = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
    until_read(&mut operator, &gone, 0).await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.ping().await.unwrap();
    assert_ne!(conn.id(), id);
}

#[tokio::test]
async fn pool_and_connections_may_be_dropped_in_any_order() {
    let (server, pool) = stage("").await;
    let conns = held(&pool, 10).await;
    drop(conns);
    drop(pool);
    let pool = pool_with(opts_of(&server));
    let conns = held(&pool, 10).await;
    drop(pool);
    drop(conns);
}

fn server_outside() -> MariaDb {
    MariaDb::start().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn unwinding_with_a_connection_keeps_the_panic() {
    let server = server_outside();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _conn = pool_with(opts_of(&server)).get_conn().await.unwrap();
            std::panic::panic_any("the caller's own");
        });
    }));
    let panic = panic.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the caller's own"));
}

#[test]
fn runtime_may_end_before_a_connection() {
    let server = server_outside();
    for disconnects in [false, true].repeat(5) {
        let runtime = Runtime::new().unwrap();
        let (go_on, waits) = tokio::sync::oneshot::channel::<()>();
        let used = runtime.spawn({
            let pool = pool_with(opts_of(&server));
            async move {
                let mut conn = pool.get_conn().await.unwrap();
                tokio::spawn(async move {
                    let _ = waits.await;
                    let _ = conn.query_drop("SELECT 1").await;
                });
                if disconnects {
                    let _ = pool.disconnect().await;
                }
            }
        });
        if disconnects {
            let _ = go_on.send(());
            runtime.block_on(used).unwrap();
            drop(runtime);
        } else {
            runtime.block_on(used).unwrap();
            drop(runtime);
            let _ = go_on.send(());
        }
    }
}

#[tokio::test]
async fn caller_that_gave_up_waiting_leaves_nothing() {
    let (_server, pool) = stage(ONE).await;
    let only = pool.get_conn().await.unwrap();
    let waits = timeout(Duration::from_millis(100), pool.get_conn());
    assert!(waits.await.is_err());
    assert_eq!(pool.usage().peers[0].waiting, 0);
    drop(only);
    drop(soon(pool.get_conn()).await.unwrap());
}

#[tokio::test]
async fn waiting_callers_are_served_in_their_order() {
    let (_server, pool) = stage(ONE).await;
    let only = pool.get_conn().await.unwrap();
    let wait = || Box::pin(pool.get_conn());
    let (mut first, mut second) = (wait(), wait());
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert_eq!(pool.usage().peers[0].waiting, 2);
    drop(only);
    let held = soon(&mut first).await.unwrap();
    assert!(poll!(&mut second).is_pending());
    drop(held);
    drop(soon(second).await.unwrap());
}

#[tokio::test]
async fn cancelled_work_breaks_no_connection() {
    let (_server, pool) = stage("pool_max=10").await;
    drop(held(&pool, 10).await);
    let work = async |pool: Pool| {
        let mut conn = pool.get_conn().await.unwrap();
        let row: Option<Row> = conn.exec_first("SELECT ?, ?", (42, "a")).await.unwrap();
        drop(row);
    };
    for micros in 0..200_u64 {
        let works = (0..5).map(|_| work(pool.clone()).boxed());
        let _ = timeout(Duration::from_micros(10 * micros), select_all(works)).await;
    }
    work(pool.clone()).await;
    until("all are back", || pool.usage().in_use == 0).await;
}

#[tokio::test]
async fn connections_in_use_and_idle_are_counted() {
    let (_server, pool) = stage(ONE).await;
    for _ in 0..2 {
        let conn = pool.get_conn().await.unwrap();
        assert_eq!((pool.usage().in_use, idle(&pool)), (1, 0));
        drop(conn);
        until("it is idle", || {
            (pool.usage().in_use, idle(&pool)) == (0, 1)
        })
        .await;
    }
}
