//! No server can do the work for a long while, and then one can. Probes of servers that are out have become
//! rare by then.

use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, Events};
use evenhand_mysql::mysql_async::{self, TxOpts, prelude::Queryable};
use evenhand_mysql::{DEFAULT_CONNECT_TIMEOUT, PeerConn, Pool, PoolOptions, Transaction};
use evenhand_testkit::MariaDb;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use crate::common::setup::{add_app, pool_of, root, servers, urls};
use crate::common::{GUARD, soon, states, until, up};

/// How soon work must go on.
const SOON: Duration = Duration::from_secs(2);

/// The rest is as usual.
fn options() -> PoolOptions {
    PoolOptions::new()
        .first_recheck(Duration::from_millis(20))
        .checkout_timeout(GUARD)
        .work_timeout(GUARD)
}

/// Waits until no server that is out is probed for a time longer than [`SOON`].
async fn until_probes_are_rare(events: &mut Events, peer: &str) {
    let rare = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if let EventKind::ProbeFailed { probe_in, .. } = event.kind
                && &*event.peer == peer
                && probe_in > 2 * SOON
            {
                return;
            }
        }
    };
    soon(rare).await;
}

/// Waits until so many probes have failed.
async fn until_probes_fail(events: &mut Events, mut times: u32) {
    let failed = async {
        while times > 0 {
            let event = events.next().await.unwrap().unwrap();
            times -= u32::from(matches!(event.kind, EventKind::ProbeFailed { .. }));
        }
    };
    soon(failed).await;
}

async fn write(conn: &mut impl Queryable) -> mysql_async::Result<()> {
    conn.query_drop("REPLACE INTO t VALUES (1)").await
}

async fn add_table(servers: &[MariaDb]) {
    for server in servers {
        let table = "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB";
        root(&server.url()).await.query_drop(table).await.unwrap();
    }
}

/// Some work for each of these tasks.
fn tasks(pool: &Pool) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for task in 0..20 {
        let pool = pool.clone();
        waiting.spawn(async move { one(&pool, task).await });
    }
    waiting
}

/// Waits until the first of them is done, which must be soon. No other may fail: its deadline is not over.
async fn go_on(mut waiting: JoinSet<()>, limit: Duration) {
    let returned = Instant::now();
    soon(waiting.join_next()).await.unwrap().unwrap();
    let took = returned.elapsed();
    println!("{took:?} after the return");
    assert!(took < limit, "{took:?}");
    soon(waiting.join_all()).await;
}

/// The server is killed, and started again by the future.
async fn restart(servers: &mut Vec<MariaDb>, number: usize) {
    let mut server = servers.remove(number);
    let restarted = spawn_blocking(move || server.restart().map(|()| server));
    servers.insert(number, restarted.await.unwrap().unwrap());
}

#[tokio::test]
async fn work_goes_on_soon_after_any_server_returns() {
    let mut servers = servers(2, MariaDb::builder()).await;
    add_table(&servers).await;
    for quiet in [true, false] {
        let pool = pool_of(&urls(&servers), options());
        let mut events = pool.subscribe();
        for server in &mut servers {
            server.kill().unwrap();
        }
        let mut waiting = tasks(&pool);
        until("both are out", || up(&pool) == 0).await;
        if quiet {
            drop(waiting);
            until_probes_are_rare(&mut events, "b").await;
            restart(&mut servers, 1).await;
            waiting = tasks(&pool);
        } else {
            until_probes_fail(&mut events, 50).await;
            restart(&mut servers, 1).await;
        }
        go_on(waiting, SOON).await;
        restart(&mut servers, 0).await;
    }
}

/// A probe may have to run into its time limit first.
#[tokio::test]
async fn work_goes_on_soon_after_a_frozen_server_answers_again() {
    let servers = servers(2, MariaDb::builder()).await;
    add_table(&servers).await;
    let pool = pool_of(&urls(&servers), options());
    for server in &servers {
        server.freeze().unwrap();
    }
    let mut events = pool.subscribe();
    let waiting = tasks(&pool);
    until("both are out", || up(&pool) == 0).await;
    until_probes_fail(&mut events, 2).await;
    servers[1].thaw().unwrap();
    go_on(waiting, SOON + DEFAULT_CONNECT_TIMEOUT).await;
    servers[0].thaw().unwrap();
}

/// Some work, of one of three ways.
async fn one(pool: &Pool, task: usize) {
    let work = async |mut conn: PeerConn| write(&mut conn).await;
    let transaction = async |mut tx: Transaction<'_>| write(&mut tx).await;
    let done = match task % 3 {
        0 => pool.run_idempotent(work).await,
        1 => pool.transaction(TxOpts::default(), transaction).await,
        _ => pool.get_conn().await.map(drop),
    };
    done.unwrap();
}

/// One server takes writes, the other does not; an operator turns them round.
#[tokio::test]
async fn writes_go_on_soon_after_a_switchover() {
    let servers = servers(2, MariaDb::builder()).await;
    add_table(&servers).await;
    let urls = add_app(&servers).await;
    let mut operators = Vec::new();
    for server in &servers {
        operators.push(root(&server.url()).await);
    }
    operators[1]
        .query_drop("SET GLOBAL read_only = 1")
        .await
        .unwrap();
    let pool = pool_of(&urls, options().writable(true));
    let mut events = pool.subscribe();
    write(&mut pool.get_conn().await.unwrap()).await.ok();
    until("the replica is out", || up(&pool) == 1).await;
    until_probes_are_rare(&mut events, "b").await;

    operators[0]
        .query_drop("SET GLOBAL read_only = 1")
        .await
        .unwrap();
    operators[1]
        .query_drop("SET GLOBAL read_only = 0")
        .await
        .unwrap();
    let switched = Instant::now();
    let work = async |mut tx: Transaction<'_>| write(&mut tx).await;
    let done: mysql_async::Result<()> = pool.transaction(TxOpts::default(), work).await;
    done.unwrap();
    let took = switched.elapsed();
    println!("{took:?} after the switchover");
    assert!(took < SOON, "{took:?}");
    assert_eq!(up(&pool), 1, "{:?}", states(&pool));
}
