//! Idempotent work is done again elsewhere when its connection fails, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{LIMIT, err, fakes, pool, quick, soon, states, until, up};
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::{self, Error, prelude::Queryable};
use evenhand_mysql::{Error as PoolError, PeerConn, Pool};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::Instant;

async fn read(pool: &Pool) -> mysql_async::Result<Option<u16>> {
    pool.run_idempotent(async |mut conn| conn.query_first("SELECT @@port").await)
        .await
}

#[tokio::test]
async fn failed_connection_moves_to_another_peer() {
    let faults = [
        Fault::CutMidPacket,
        Fault::StallInQuery,
        Fault::NotPrimary,
        Fault::ErrInQuery(err(
            1047,
            "WSREP has not yet prepared node for application use",
        )),
        Fault::ErrInQuery(err(1053, "Server shutdown in progress")),
        Fault::ErrInQuery(err(1927, "Connection was killed")),
        Fault::ErrInQuery(err(
            9001,
            "Max connect timeout reached while reaching hostgroup 0",
        )),
    ];
    for fault in faults {
        let fakes: [_; 2] = fakes().await;
        fakes[0].answer("SELECT name FROM users", ["name"], [["ann"]]);
        fakes[1].answer("SELECT name FROM users", ["name"], [["ann"]]);
        let pool = pool(&fakes, quick());
        fakes[0].set_fault(fault.clone());
        for _ in 0..10 {
            let name: Option<String> = pool
                .run_idempotent(async |mut conn| conn.query_first("SELECT name FROM users").await)
                .await
                .unwrap_or_else(|error: Error| unreachable!("{fault:?}: {error}"));
            assert_eq!(name.as_deref(), Some("ann"), "{fault:?}");
        }
        assert_eq!(states(&pool)[1], State::Up, "{fault:?}");
    }
}

/// Idle connections are handed out without a word to the peer, so no checkout notices.
#[tokio::test]
async fn silent_peer_is_ejected_by_a_check() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    // Idle connections to both.
    let mut held = Vec::new();
    while fakes.iter().any(|fake| fake.connections() < 3) {
        held.push(pool.get_conn().await.unwrap());
    }
    drop(held);
    until("they are back", || {
        pool.statuses().iter().all(|status| status.in_flight == 0)
    })
    .await;

    fakes[0].freeze();
    loop {
        let start = Instant::now();
        assert_eq!(read(&pool).await.unwrap(), Some(fakes[1].port()));
        if start.elapsed() >= LIMIT {
            break;
        }
    }
    // One try was lost on it, and there is no request now.
    until("it is out", || up(&pool) == 1).await;
    fakes[0].thaw();
    until("it is back", || up(&pool) == 2).await;
}

#[tokio::test]
async fn ejection_moves_hanging_work_on() {
    let fakes: [_; 2] = fakes().await;
    // One try may take long here: what ends it is the ejection.
    let options = quick()
        .try_timeout(Duration::from_secs(60))
        .work_timeout(Duration::from_secs(60));
    let pool = pool(&fakes, options);
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            let work = async move |mut conn: PeerConn| {
                conn.query_first::<u16, _>("SELECT SLEEP(0.2)").await?;
                conn.query_first::<u16, _>("SELECT @@port").await
            };
            tokio::spawn(async move { pool.run_idempotent(work).await })
        })
        .collect();
    until("all reads are under way", || {
        fakes[0].queries() + fakes[1].queries() >= 20
    })
    .await;
    fakes[0].freeze();
    // Someone else finds out.
    let mut held = Vec::new();
    while up(&pool) == 2 {
        held.push(pool.get_conn().await.unwrap());
    }
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), Some(fakes[1].port()));
    }
}

#[tokio::test]
async fn own_error_is_returned() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let tries = AtomicUsize::new(0);
    let outcome: mysql_async::Result<()> = pool
        .run_idempotent(|mut conn| {
            tries.fetch_add(1, Ordering::Relaxed);
            async move { conn.query_drop("SELECT nonsense FROM nowhere").await }
        })
        .await;
    assert!(
        matches!(outcome, Err(Error::Server(ref e)) if e.code == 1064),
        "{outcome:?}"
    );
    assert_eq!(tries.into_inner(), 1);
    assert_eq!(up(&pool), 2);
}

#[tokio::test]
async fn work_that_each_peer_dropped_once_is_done_on_the_next_round() {
    let fakes: [_; 3] = fakes().await;
    let pool = pool(&fakes, quick());
    let tried = Mutex::new(Vec::new());
    let work = async |mut conn: PeerConn| {
        let tries = {
            let mut tried = tried.lock().unwrap();
            tried.push(conn.peer().to_owned());
            tried.len()
        };
        if tries <= 3 {
            of(&fakes, &conn).cut_connections();
        }
        conn.query_first::<u16, _>("SELECT @@port").await
    };
    pool.run_idempotent(work).await.unwrap();
    let mut tried = tried.into_inner().unwrap();
    assert_eq!(tried.len(), 4);
    tried[..3].sort();
    assert_eq!(tried[..3], ["a", "b", "c"]);
}

#[tokio::test]
async fn work_that_fails_everywhere_reaches_few_peers() {
    for limit in [1, 3] {
        let fakes: [_; 4] = fakes().await;
        let pool = pool(&fakes, quick().max_unknown(limit));
        let tries = AtomicUsize::new(0);
        let work = async |mut conn: PeerConn| {
            tries.fetch_add(1, Ordering::Relaxed);
            of(&fakes, &conn).cut_connections();
            conn.query_first::<u16, _>("SELECT @@port").await
        };
        let start = Instant::now();
        let error = pool.run_idempotent(work).await.unwrap_err();
        assert!(start.elapsed() >= 2 * LIMIT, "the time is used");
        let Some(PoolError::Work(error)) = PoolError::find(&error) else {
            unreachable!("{error:?}")
        };
        let peers: BTreeSet<&str> = error.tries.iter().map(|failed| &*failed.peer).collect();
        assert_eq!(peers.len(), limit);
        let tries = tries.into_inner();
        // With pauses that grow.
        assert!((limit + 1..30).contains(&tries), "{tries}");
    }
}

/// The double to which the connection is.
fn of<'f>(fakes: &'f [FakeMySql], conn: &PeerConn) -> &'f FakeMySql {
    let at = ["a", "b", "c", "d"]
        .iter()
        .position(|name| *name == conn.peer());
    &fakes[at.unwrap()]
}

#[tokio::test]
async fn work_comes_back_to_no_peer_that_answers_nothing() {
    let fakes: [_; 3] = fakes().await;
    let pool = pool(&fakes, quick());
    fakes
        .iter()
        .for_each(|fake| fake.set_fault(Fault::CutMidPacket));
    let error = read(&pool).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let Some(PoolError::Work(error)) = PoolError::find(&error) else {
        unreachable!("{error:?}")
    };
    let mut tried: Vec<&str> = error.tries.iter().map(|failed| &*failed.peer).collect();
    tried.sort_unstable();
    assert_eq!(tried, ["a", "b", "c"]);
    let queries: u64 = fakes.iter().map(|fake| fake.queries()).sum();
    // The checks that followed asked `DO 1`.
    let reads = fakes
        .iter()
        .flat_map(|fake| fake.statements())
        .filter(|s| s.contains("@@port"));
    assert!(reads.count() == 3 && queries >= 3);
    assert!(
        error.to_string().contains("the connection was lost"),
        "{error}"
    );
}

#[tokio::test]
async fn deadline_covers_all_tries() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().try_timeout(Duration::from_secs(3600)));
    let start = Instant::now();
    let work = pool.run_idempotent(async |mut conn| conn.query_drop("SELECT SLEEP(3600)").await);
    let outcome: mysql_async::Result<()> = soon(work).await;
    let took = start.elapsed();
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("no time or attempts were left"), "{error}");
    assert!(took >= 6 * LIMIT, "{took:?}");
    assert_eq!(up(&pool), 2, "slow work is not a dead peer");
}

#[tokio::test]
async fn plain_query_is_not_retried() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    fakes
        .iter()
        .for_each(|fake| fake.set_fault(Fault::CutMidPacket));
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("SELECT @@port").await.unwrap_err();
    drop(conn);
    let reads = fakes
        .iter()
        .flat_map(|fake| fake.statements())
        .filter(|s| s.contains("@@port"));
    assert_eq!(reads.count(), 1);
}

#[tokio::test]
async fn galera_node_without_quorum_is_ejected() {
    let fakes: [_; 2] = fakes().await;
    fakes
        .iter()
        .for_each(|fake| fake.answer("SELECT name FROM users", ["name"], [["ann"]]));
    let pool = pool(&fakes, quick());
    fakes[0].set_fault(Fault::NotPrimary);
    let mut events = pool.subscribe();
    let work = async |mut conn: PeerConn| {
        conn.query_first::<String, _>("SELECT name FROM users")
            .await
    };
    while up(&pool) == 2 {
        pool.run_idempotent(work).await.unwrap();
    }
    // It logs in, pings and answers `SELECT 1`, and yet its probe fails.
    loop {
        let event = events.next().await.unwrap().unwrap();
        if event.to_string().contains("failed its probe") {
            break;
        }
    }
    fakes[0].clear_fault();
    until("it is back", || up(&pool) == 2).await;
}
