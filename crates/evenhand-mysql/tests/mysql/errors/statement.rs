//! Errors that a statement gets, from the double.

use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::{self, TxOpts, prelude::Queryable};
use evenhand_mysql::{PeerConn, Pool, PoolOptions, Transaction};
use evenhand_testkit::{ErrPacket, Fault};
use tokio::time::timeout;

use crate::common::setup::{at_rest, barrier, code, conn_to, is_up, still};
use crate::common::{LIMIT, err, fakes, pool, states, until, up};

const STATEMENT: &str = "SELECT name FROM users";
const DEGRADING: &str = "SELECT degraded";

/// What an error of one statement brings about, in words.
async fn effect(error: &ErrPacket, options: fn() -> PoolOptions) -> String {
    let mut effect = vec![peer(error, options).await];
    let [fake] = fakes::<1>().await;
    fake.answer_err(STATEMENT, error.clone());
    let fakes = [fake];
    let pool = pool(&fakes, options());

    let mut conn = pool.get_conn().await.unwrap();
    let (id, before) = (conn.id(), fakes[0].accepted());
    let failed = conn.query_drop(STATEMENT).await.unwrap_err();
    assert_eq!(code(&failed), Some(error.code));
    // A check would have come by now; the barrier is one connection, too.
    barrier(&fakes[0]).await;
    if fakes[0].accepted() - before > 1 {
        effect.push("checked");
    }
    let ejected = !is_up(&pool, 0);
    drop(conn);
    at_rest(&pool).await;
    if !ejected {
        // The pool has one connection to give, or opens another.
        if pool.get_conn().await.unwrap().id() != id {
            until("discarded", || fakes[0].connections() <= 1).await;
            effect.push("discarded");
        }
    }
    if elsewhere(error, options).await {
        effect.push("done elsewhere");
    }
    effect.join(", ")
}

/// What it says of the peer. A degrading outcome is one of five in a row that eject; what is
/// healthy breaks the row, and what is neutral does not.
async fn peer(error: &ErrPacket, options: fn() -> PoolOptions) -> &'static str {
    let fakes: [_; 1] = fakes().await;
    fakes[0].answer_err(STATEMENT, error.clone());
    fakes[0].answer_err(DEGRADING, err(9001, "Max connect timeout reached"));
    let pool = pool(&fakes, options());
    let mut conn = pool.get_conn().await.unwrap();
    let mut fail = async |statement: &str, times| {
        for _ in 0..times {
            conn.query_drop(statement).await.unwrap_err();
        }
    };
    fail(STATEMENT, 1).await;
    if up(&pool) == 0 {
        return "down";
    }
    // Before a check, which would break the row, can have its answer: nothing here waits for it.
    fail(STATEMENT, 4).await;
    if up(&pool) == 0 {
        return "degraded";
    }
    fail(DEGRADING, 4).await;
    fail(STATEMENT, 1).await;
    fail(DEGRADING, 1).await;
    match up(&pool) {
        0 => "neutral",
        _ => "healthy",
    }
}

/// Whether idempotent work goes to another peer for it.
async fn elsewhere(error: &ErrPacket, options: fn() -> PoolOptions) -> bool {
    let fakes: [_; 2] = fakes().await;
    fakes[0].answer_err(STATEMENT, error.clone());
    fakes[1].answer(STATEMENT, ["name"], [["ann"]]);
    let pool = pool(&fakes, options());
    let work = async |mut conn: PeerConn| conn.query_first::<String, _>(STATEMENT).await;
    for _ in 0..100 {
        let outcome = pool.run_idempotent(work).await;
        if fakes[0].queries() == 0 {
            continue;
        }
        return match outcome {
            Ok(name) => name.as_deref() == Some("ann"),
            Err(failed) => {
                assert_eq!(code(&failed), Some(error.code), "its own error");
                false
            }
        };
    }
    panic!("it was never asked")
}

/// Rows: idle-timeout, galera, unknown-command, shutdown, killed, packet-too-large, protocol-fault,
/// restart-transaction, group-left, read-only-option, read-only-mode, read-only-transaction,
/// user-limit-in-statement, password-expired, interrupted, stopped, proxy, proxy-other, other (the double)
#[tokio::test]
async fn each_statement_error_has_its_effect() {
    let wsrep = "WSREP has not yet prepared node for application use";
    let read_only = "The server is running with the --read-only option";
    let before_commit = "Error on observer while running replication hook 'before_commit'.";
    let cases = [
        (4031, "", "neutral, discarded, done elsewhere"),
        (1047, wsrep, "down, done elsewhere"),
        (1047, "Unknown command", "neutral"),
        (1053, "", "down, done elsewhere"),
        (1077, "", "down, done elsewhere"),
        (1927, "", "neutral, discarded, done elsewhere"),
        (3169, "", "neutral, discarded, done elsewhere"),
        (1153, "", "neutral, discarded"),
        (1156, "", "neutral, discarded"),
        (1157, "", "neutral, discarded"),
        (1020, "", "healthy"),
        (1205, "", "healthy"),
        (1213, "", "healthy"),
        (1614, "", "healthy"),
        (3101, "", "healthy"),
        (1290, read_only, "healthy, discarded, done elsewhere"),
        (1290, "--skip-grant-tables", "healthy"),
        (1836, "", "healthy, discarded, done elsewhere"),
        (1792, "", "healthy"),
        (3100, before_commit, "healthy, discarded, done elsewhere"),
        (3100, "hook 'after_commit'", "healthy"),
        (1226, "", "neutral, discarded, done elsewhere"),
        (1820, "", "neutral, discarded, done elsewhere"),
        (1317, "", "healthy, checked"),
        (1969, "", "healthy"),
        (3024, "", "healthy"),
        (9001, "", "degraded, discarded, done elsewhere"),
        (9002, "", "degraded, discarded, done elsewhere"),
        (9003, "", "healthy"),
        (9005, "", "healthy"),
        (9006, "", "healthy"),
        (1062, "", "healthy"),
    ];
    for (code, message, expected) in cases {
        let effect = effect(&err(code, message), still).await;
        assert_eq!(effect, expected, "{code} {message}");
    }
}

/// Rows: quorum-lost, wire (the double)
#[tokio::test]
async fn ambiguous_error_triggers_a_check() {
    for (code, elsewhere) in [(1180, false), (1152, true), (1158, true), (1161, true)] {
        let effect = effect(&err(code, ""), still).await;
        let expected = match elsewhere {
            true => "checked, discarded, done elsewhere",
            false => "checked, discarded",
        };
        // Checks that pass in between break the row of degrading outcomes.
        let (_, effect) = effect.split_once(", ").unwrap();
        assert_eq!(effect, expected, "{code}");
    }
    // Five in a row and no check that passes: the peer accepts no login.
    for code in [1180, 1158] {
        let fakes: [_; 1] = fakes().await;
        fakes[0].answer_err(STATEMENT, err(code, ""));
        let pool = pool(&fakes, still());
        let mut conn = pool.get_conn().await.unwrap();
        fakes[0].set_fault(Fault::ErrAtLogin(err(9001, "no backend")));
        for n in 1..=5 {
            assert_eq!(up(&pool), 1, "{code}, {n}");
            conn.query_drop(STATEMENT).await.unwrap_err();
            if up(&pool) == 0 {
                break;
            }
        }
        until("it is out", || up(&pool) == 0).await;
    }
}

/// Rows: group-left, read-only-option, read-only-mode, read-only-transaction (the double)
#[tokio::test]
async fn read_only_peer_of_a_writable_pool_is_ejected() {
    let writable = || still().writable(true);
    for error in [
        err(1290, "the --super-read-only option"),
        err(1836, ""),
        err(3100, "hook 'before_commit'"),
    ] {
        assert_eq!(effect(&error, writable).await, "down, done elsewhere");
    }
    let other = err(1290, "--skip-grant-tables");
    assert_eq!(effect(&other, writable).await, "healthy");
}

/// A server that shuts down may answer as after `KILL QUERY`.
///
/// Rows: interrupted (the double)
#[tokio::test]
async fn interrupted_work_goes_elsewhere_if_its_server_shuts_down() {
    for shuts_down in [true, false] {
        let fakes: [_; 2] = fakes().await;
        fakes[0].answer_err(STATEMENT, err(1317, "Query execution was interrupted"));
        fakes[1].answer(STATEMENT, ["name"], [["ann"]]);
        let idempotent = async |pool: &Pool| {
            let work = async |mut conn: PeerConn| conn.query_first(STATEMENT).await;
            pool.run_idempotent(work).await
        };
        let transaction = async |pool: &Pool| {
            let work = async |mut tx: Transaction<'_>| tx.query_first(STATEMENT).await;
            pool.transaction(TxOpts::default(), work).await
        };
        for is_transaction in [true, false] {
            let pool = pool(&fakes, still());
            drop(conn_to(&pool, "a").await);
            at_rest(&pool).await;
            if shuts_down {
                fakes[0].set_fault(Fault::Refuse);
            }
            let before = fakes[0].queries();
            let mut outcome: mysql_async::Result<Option<String>> = Ok(None);
            while fakes[0].queries() == before {
                outcome = match is_transaction {
                    true => transaction(&pool).await,
                    false => idempotent(&pool).await,
                };
            }
            match shuts_down {
                true => assert_eq!(outcome.unwrap().as_deref(), Some("ann")),
                false => assert_eq!(code(&outcome.unwrap_err()), Some(1317)),
            }
            assert_eq!(is_up(&pool, 0), !shuts_down);
            fakes[0].clear_fault();
        }
    }
}

/// Rows: lost (the double)
#[tokio::test]
async fn lost_connection_triggers_a_check() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, still());
    let mut conn = pool.get_conn().await.unwrap();
    let accepted = fakes[0].accepted();
    fakes[0].cut_connections();
    conn.query_drop("SELECT 1").await.unwrap_err();
    until("it was checked", || {
        fakes[0].statements().contains(&"DO 1".to_owned())
    })
    .await;
    assert_eq!(fakes[0].accepted(), accepted + 1);
    assert_eq!(states(&pool), [State::Up]);

    // Another pool: a check that has just passed stands for a second.
    let pool = crate::common::pool(&fakes, still());
    let mut conn = pool.get_conn().await.unwrap();
    fakes[0].kill();
    conn.query_drop("SELECT 1").await.unwrap_err();
    until("the check failed", || up(&pool) == 0).await;
}

/// Rows: own-deadline (the double)
#[tokio::test]
async fn dropped_statement_triggers_a_check() {
    for freeze in [false, true] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(&fakes, still());
        let mut conn = conn_to(&pool, "a").await;
        let before = fakes[0].accepted();
        // An error that was judged long ago.
        conn.query_drop("SELECT nonsense").await.unwrap_err();
        if freeze {
            fakes[0].freeze();
        }
        let slow = conn.query_drop("SELECT SLEEP(30)");
        timeout(LIMIT / 6, slow).await.unwrap_err();
        drop(conn);
        if freeze {
            until("it is out", || !is_up(&pool, 0)).await;
        } else {
            until("it was checked", || fakes[0].accepted() > before).await;
            barrier(&fakes[0]).await;
            assert!(is_up(&pool, 0), "a slow statement is not a dead peer");
        }
        assert!(is_up(&pool, 1));
    }
}

/// Rows: closed (the double)
#[tokio::test]
async fn closed_connection_ejects_no_peer() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, still());
    let mut conn = pool.get_conn().await.unwrap();
    fakes[0].cut_connections();
    conn.query_drop("SELECT 1").await.unwrap_err();
    for _ in 0..10 {
        conn.query_drop("SELECT 1").await.unwrap_err();
    }
    assert_eq!(up(&pool), 1);
}

/// Rows: idle-dead (the double)
#[tokio::test]
async fn dead_idle_connection_costs_nothing() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, still());
    let conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    drop(conn);
    at_rest(&pool).await;
    fakes[0].cut_connections();
    // The driver sees the end of a connection when the runtime has.
    barrier(&fakes[0]).await;
    let mut events = pool.subscribe();
    let mut conn = pool.get_conn().await.unwrap();
    assert_ne!(conn.id(), id);
    conn.query_drop("SELECT 1").await.unwrap();
    assert_eq!(events.try_next().unwrap(), None);
}
