//! A statement that waits on a lost peer ends; a slow one does not.

use std::time::Duration;

use crate::common::setup::{code, root, rows_query};
use crate::common::{GUARD, LIMIT, err, fakes, pool, quick, soon, states, until, up};
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::mysql_async::{self, DriverError, TxOpts};
use evenhand_mysql::{Error, EventKind, Events, HealthCheck, PeerConn, Pool, PoolOptions};
use evenhand_testkit::{Fault, FaultProxy, Maker, MariaDb};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Checked often.
fn watched() -> PoolOptions {
    quick().health_check(HealthCheck::new().active(Duration::from_millis(100), 3))
}

async fn server() -> MariaDb {
    let started = tokio::task::spawn_blocking(MariaDb::start).await;
    // The error says how to install what is missing.
    started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

fn pool_over(url: &str, options: PoolOptions) -> Pool {
    options
        .open([("db0", &*format!("{url}?pool_min=0"))])
        .unwrap()
}

/// Sends it, and lets the server begin.
async fn sleep_for(pool: &Pool, seconds: f32) -> JoinHandle<mysql_async::Result<Option<u32>>> {
    let mut conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    let waiting = tokio::spawn(async move {
        let sleep = format!("SELECT SLEEP({seconds})");
        conn.query_first(sleep).await
    });
    let mut other = pool.get_conn().await.unwrap();
    let start = Instant::now();
    loop {
        let running: Option<String> = other
            .exec_first(
                "SELECT state FROM information_schema.processlist WHERE id = ?",
                (id,),
            )
            .await
            .unwrap()
            .flatten();
        if running.as_deref() == Some("User sleep") {
            return waiting;
        }
        assert!(start.elapsed() < GUARD, "{running:?}");
    }
}

/// Waits until this number of probes have failed.
async fn probes_fail(events: &mut Events, times: usize) {
    let mut failed = 0;
    while failed < times {
        let event = soon(events.next()).await.unwrap().unwrap();
        if matches!(event.kind, EventKind::ProbeFailed { .. }) {
            failed += 1;
        }
    }
}

fn assert_lost(error: &mysql_async::Error) {
    assert!(
        matches!(Error::find(error), Some(Error::PeerLost { peer, .. }) if &**peer == "db0"),
        "{error}"
    );
}

#[tokio::test]
async fn statement_ends_when_its_peer_is_lost() {
    let server = server().await;
    let pool = pool_over(&server.url(), watched());
    let waiting = sleep_for(&pool, 3600.0).await;
    server.freeze().unwrap();
    let start = Instant::now();
    assert_lost(&soon(waiting).await.unwrap().unwrap_err());
    let took = start.elapsed();
    // Two checks that ran out of time, and not one. The first may have begun before the freeze.
    assert!(took >= 3 * LIMIT / 2, "{took:?}");
    server.thaw().unwrap();
    until("it is back", || up(&pool) == 1).await;
}

/// The driver gives these, and so cannot be told.
#[tokio::test]
async fn row_stream_can_be_given_up() {
    let server = server().await;
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let pool = pool_over(&proxy.url(), watched());
    let mut conn = pool.get_conn().await.unwrap();
    let mut lost = std::pin::pin!(conn.peer_lost());
    let many = rows_query(100_000);
    let mut rows = conn.query_iter(many).await.unwrap();
    proxy.freeze();
    let given_up = async {
        loop {
            tokio::select! {
                row = rows.next() => assert!(row.unwrap().is_some()),
                error = lost.as_mut() => return error,
            }
        }
    };
    let error = soon(given_up).await;
    assert_lost(&error.into());
    drop(rows);
    drop(conn);
    proxy.thaw();
    until("it is back", || up(&pool) == 1).await;
    pool.get_conn().await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn commit_ends_with_an_unknown_outcome() {
    let server = server().await;
    let pool = pool_over(&server.url(), watched());
    let transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    server.freeze().unwrap();
    let error = transaction.commit().await.unwrap_err();
    let Some(Error::OutcomeUnknown { source, .. }) = Error::find(&error) else {
        unreachable!("{error}")
    };
    assert_lost(source.downcast_ref().unwrap());
}

#[tokio::test]
async fn statement_waits_when_turned_off() {
    let server = server().await;
    let pool = pool_over(&server.url(), watched().end_on_lost_peer(false));
    let mut events = pool.subscribe();
    let waiting = sleep_for(&pool, 60.0).await;
    server.freeze().unwrap();
    probes_fail(&mut events, 3).await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn slow_statement_is_left_alone() {
    let server = server().await;
    let pool = pool_over(&server.url(), watched());
    // Time for ten checks, and more than many that fail would take.
    let waiting = sleep_for(&pool, 2.0).await;
    assert_eq!(waiting.await.unwrap().unwrap(), Some(0));
    assert_eq!(up(&pool), 1);
}

/// As a proxy that is being drained does: no new connections, and those that are held live on.
#[tokio::test]
async fn refused_logins_leave_statements_alone() {
    let server = server().await;
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let pool = pool_over(&proxy.url(), watched());
    let mut events = pool.subscribe();
    let waiting = sleep_for(&pool, 3600.0).await;
    proxy.refuse();
    probes_fail(&mut events, 3).await;
    assert!(!waiting.is_finished(), "it did not outlast the checks");
    // Its answer still comes.
    let mut operator = root(&server.url()).await;
    let asleep = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'";
    let id: u32 = operator.query_first(asleep).await.unwrap().unwrap();
    let kill = format!("KILL QUERY {id}");
    operator.query_drop(kill).await.unwrap();
    let interrupted = soon(waiting).await.unwrap();
    match server.maker() {
        Maker::MariaDb => assert_eq!(code(&interrupted.unwrap_err()), Some(1317)),
        // A `SLEEP` that is interrupted there returns 1, unless other work of its query is, too.
        Maker::MySql => assert_eq!(interrupted.unwrap(), Some(1)),
    }
}

#[tokio::test]
async fn full_or_ejected_peer_leaves_statements_alone() {
    let full = err(1040, "Too many connections");
    let no_backend = err(9001, "Max connect timeout reached");
    for (by_hand, error) in [
        (true, no_backend.clone()),
        (false, no_backend),
        (false, full),
    ] {
        let [fake] = fakes::<1>().await;
        let pool = pool(std::slice::from_ref(&fake), watched());
        let mut conn = pool.get_conn().await.unwrap();
        let waiting = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(3)").await });
        until("it is sent", || fake.queries() > 0).await;
        if by_hand {
            pool.peers().eject("a", Duration::from_millis(50)).unwrap();
        }
        let mut events = pool.subscribe();
        fake.set_fault(Fault::ErrAsGreeting(error.clone()));
        match error.code {
            1040 => {
                let asked = fake.accepted();
                until("it is checked", || fake.accepted() > asked + 2).await;
                assert_eq!(states(&pool), [State::Up]);
            }
            _ => {
                probes_fail(&mut events, 2).await;
                assert_ne!(states(&pool), [State::Up]);
            }
        }
        waiting.await.unwrap().unwrap();
    }
}

/// The guard does not see the rows that are taken one by one, but it sees that they broke off.
#[tokio::test]
async fn broken_stream_ends_its_connection() {
    let server = server().await;
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let pool = pool_over(&proxy.url(), quick());
    // More than fits into what lies between the two.
    let many = rows_query(100_000);
    for dropped in [true, false] {
        let mut conn = pool.get_conn().await.unwrap();
        let id = conn.id();
        {
            let mut stream = conn.query_stream::<String, _>(&*many).await.unwrap();
            next(&mut stream).await.unwrap().unwrap();
            if dropped {
                drop(stream);
            } else {
                proxy.reset_all();
                while let Some(Ok(_)) = next(&mut stream).await {}
            }
        }
        if dropped {
            // The driver reads the rest before the next statement.
            let next: Option<u32> = conn.query_first("SELECT 42").await.unwrap();
            assert_eq!(next, Some(42));
            continue;
        }
        let refused = conn.query_drop("DO 1").await;
        assert!(
            matches!(
                refused,
                Err(mysql_async::Error::Driver(DriverError::ConnectionClosed))
            ),
            "{refused:?}"
        );
        drop(conn);
        assert_ne!(pool.get_conn().await.unwrap().id(), id);
    }
}

/// A statement whose rows are collected is judged to its last row.
#[tokio::test]
async fn connection_lost_among_rows_is_classified() {
    let server = server().await;
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let pool = pool_over(&proxy.url(), quick().max_attempts(1));
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let outcome: mysql_async::Result<Vec<String>> = pool
        .run_idempotent(async |mut conn| {
            tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            proxy.cut_after(evenhand_testkit::Direction::ToClient, 100_000);
            conn.query(rows_query(1000)).await
        })
        .await;
    let error = outcome.unwrap_err();
    let Some(Error::Work(work)) = Error::find(&error) else {
        unreachable!("{error}")
    };
    assert!(
        work.tries[0].cause.to_string().contains("was lost"),
        "{error}"
    );
    assert_eq!(tries.into_inner(), 1);
}

async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx)).await
}

/// No other check would find it.
fn only_silence() -> PoolOptions {
    PoolOptions::new().health_check(HealthCheck::new().passive())
}

#[tokio::test]
async fn silence_ends_a_statement_that_waits() {
    let server = server().await;
    let pool = pool_over(&server.url(), only_silence());
    let waiting = sleep_for(&pool, 3600.0).await;
    server.freeze().unwrap();
    assert_lost(&soon(waiting).await.unwrap().unwrap_err());
    server.thaw().unwrap();
    until("it is back", || up(&pool) == 1).await;
}

/// The first silent check ejects, and that is enough for work that may run elsewhere.
#[tokio::test]
async fn silence_moves_idempotent_work_to_another_peer() {
    let servers = [server().await, server().await];
    let urls = servers
        .each_ref()
        .map(|server| format!("{}?pool_min=0", server.url()));
    let hour = Duration::from_secs(3600);
    let check = HealthCheck::new().passive().lost_after(u32::MAX);
    let options = only_silence()
        .health_check(check)
        .try_timeout(hour)
        .work_timeout(hour);
    let pool = options
        .open([("db0", &*urls[0]), ("db1", &*urls[1])])
        .unwrap();
    let port_of = |server: &MariaDb| Some(server.addr().port());
    let work = async |mut conn: PeerConn| {
        let port: Option<u16> = conn.query_first("SELECT @@port").await?;
        Ok::<_, mysql_async::Error>(port)
    };
    // It meets the frozen peer first at a login, and then in a statement.
    for _ in 0..2 {
        servers[0].freeze().unwrap();
        soon(async {
            while up(&pool) == 2 {
                let port = pool.run_idempotent(work).await.unwrap();
                assert_eq!(port, port_of(&servers[1]));
            }
        })
        .await;
        servers[0].thaw().unwrap();
        until("it is back", || up(&pool) == 2).await;
        let used =
            async { while pool.run_idempotent(work).await.unwrap() != port_of(&servers[0]) {} };
        soon(used).await;
    }
}
