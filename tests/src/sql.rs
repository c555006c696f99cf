//! Statements on a server beside the pool that is tested, and who else is there.

use std::time::Duration;

use evenhand_mysql::mysql_async::{Conn, Error, Opts, prelude::Queryable};
use tokio::time::{Instant, sleep};

/// Runs statements on a connection of their own.
///
/// # Panics
///
/// If one fails.
pub async fn run(url: &str, statements: &[&str]) {
    let mut conn = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
    for statement in statements {
        let done = conn.query_drop(*statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.disconnect().await.unwrap();
}

/// From now on this session reads what its whole cluster has, if it is in one.
///
/// # Panics
///
/// If the server refuses.
pub async fn read_all(conn: &mut Conn) {
    const UNKNOWN_VARIABLE: u16 = 1193;
    for wait in [
        "SET SESSION wsrep_sync_wait = 1",
        "SET SESSION group_replication_consistency = 'BEFORE'",
    ] {
        match conn.query_drop(wait).await {
            // A server of another kind.
            Err(Error::Server(error)) if error.code == UNKNOWN_VARIABLE => {}
            set => set.unwrap(),
        }
    }
}

/// The sessions on a server but for the asking one and the server's own.
pub async fn others(conn: &mut Conn) -> Vec<String> {
    let others = "SELECT CONCAT_WS(' ', id, user, host, command, time, info) \
                  FROM information_schema.processlist \
                  WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'event_scheduler') \
                  AND command NOT LIKE 'Binlog Dump%'";
    conn.query(others).await.unwrap()
}

/// Waits until at most `n` sessions are left on the server beside the asking one.
///
/// # Panics
///
/// If more still are after `limit`; says who.
pub async fn until_left(url: &str, n: usize, limit: Duration) {
    let start = Instant::now();
    let mut conn = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
    loop {
        let others = others(&mut conn).await;
        if others.len() <= n {
            break;
        }
        let waited = start.elapsed();
        assert!(waited < limit, "after {waited:?} on {url}: {others:?}");
        sleep(Duration::from_millis(20)).await;
    }
    conn.disconnect().await.unwrap();
}
