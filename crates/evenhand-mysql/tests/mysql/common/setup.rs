//! What the tests of errors share: real servers, and how to look at what came of an error.

use std::time::Duration;

use evenhand_mysql::evenhand::{self, EventKind, Events, State};
use evenhand_mysql::mysql_async::{Conn, Error, Opts, prelude::Queryable};
use evenhand_mysql::{HealthCheck, PeerConn, Pool, PoolOptions};
use evenhand_testkit::{FakeMySql, MariaDb, MariaDbBuilder};
use tokio::time::{Instant, sleep};

use crate::common::{self, GUARD, soon, until};

/// Nothing but what a test does itself happens: no checks of peers that are up.
pub(crate) fn still() -> PoolOptions {
    common::quick().health_check(HealthCheck::new().passive().silence(None))
}

/// Real servers take their time on a busy machine.
pub(crate) fn patient() -> PoolOptions {
    still()
        .connect_timeout(Duration::from_secs(3))
        .try_timeout(Duration::from_secs(5))
        .checkout_timeout(Duration::from_secs(15))
        .work_timeout(Duration::from_secs(30))
}

pub(crate) async fn servers(n: usize, builder: MariaDbBuilder) -> Vec<MariaDb> {
    let started = tokio::task::spawn_blocking(move || builder.start_many(n)).await;
    // The error says how to install what is missing.
    started.unwrap().unwrap_or_else(|error| panic!("{error}"))
}

/// A pool over these urls, named a, b, .. It opens nothing but what it is asked for.
pub(crate) fn pool_of(urls: &[String], options: PoolOptions) -> Pool {
    let names = ["a", "b", "c"].into_iter();
    let urls = urls.iter().map(|url| {
        let and = if url.contains('?') { '&' } else { '?' };
        format!("{url}{and}pool_min=0")
    });
    let urls: Vec<String> = urls.collect();
    options
        .open(names.zip(urls.iter().map(String::as_str)))
        .unwrap()
}

pub(crate) fn urls(servers: &[MariaDb]) -> Vec<String> {
    servers.iter().map(MariaDb::url).collect()
}

/// The url, for another user.
pub(crate) fn as_user(url: &str, user: &str) -> String {
    url.replace("root@", &format!("{user}@"))
}

/// A connection past any pool.
pub(crate) async fn root(url: &str) -> Conn {
    let start = Instant::now();
    loop {
        match Conn::new(Opts::from_url(url).unwrap()).await {
            // An administrator has a place of their own, which one before keeps until it is closed.
            Err(Error::Server(error)) if error.code == 1040 && start.elapsed() < GUARD => {
                sleep(Duration::from_millis(10)).await;
            }
            conn => return conn.unwrap(),
        }
    }
}

/// On each server: a user `app` with the password `secret`, who may do everything in `test` and
/// nothing else.
pub(crate) async fn add_app(servers: &[MariaDb]) -> Vec<String> {
    let mut urls = Vec::new();
    for server in servers {
        let mut root = root(&server.url()).await;
        root.query_drop("CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'")
            .await
            .unwrap();
        root.query_drop("GRANT ALL ON test.* TO app@'127.0.0.1'")
            .await
            .unwrap();
        root.disconnect().await.unwrap();
        urls.push(as_user(&server.url(), "app:secret"));
    }
    urls
}

/// So many connections, after which there is room for no more.
pub(crate) async fn fill(url: &str, room: usize) -> Vec<Conn> {
    let mut others = Vec::new();
    let fill = async {
        loop {
            match Conn::from_url(url).await {
                Ok(conn) => others.push(conn),
                Err(_) if others.len() == room => break,
                // A connection of before has its place until it is closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    soon(fill).await;
    others
}

/// A query for this many rows of 1000 bytes, a million at most, that any maker's server understands.
pub(crate) fn rows_query(rows: u32) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         SELECT REPEAT('x', 1000) FROM n AS a, n AS b LIMIT {rows}"
    )
}

/// A connection to the peer of this name.
pub(crate) async fn conn_to(pool: &Pool, peer: &str) -> PeerConn {
    let mut held = Vec::new();
    loop {
        let conn = pool.get_conn().await.unwrap();
        if conn.peer() == peer {
            return conn;
        }
        held.push(conn);
        assert!(held.len() < 100, "no connection to {peer}");
    }
}

pub(crate) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// The server's code that ended a checkout, whatever else was tried.
pub(crate) fn checkout_code(error: &Error) -> Option<u16> {
    code(error)
}

/// The peers refused, and none was ejected.
pub(crate) fn agreed(error: &Error) -> bool {
    error.to_string().contains("the peers refused the request")
}

/// The first ejection so far: its peer, why, and when the probe is due.
pub(crate) fn ejection(events: &mut Events) -> Option<(String, &'static str, Duration)> {
    while let Some(event) = events.try_next().unwrap() {
        if let EventKind::Ejected {
            reason, probe_in, ..
        } = event.kind
        {
            return Some((event.peer.to_string(), reason.unwrap_or(""), probe_in));
        }
    }
    None
}

/// Returned connections are cleaned up.
pub(crate) async fn at_rest(pool: &Pool) {
    let idle = || pool.statuses().iter().all(|status| status.in_flight == 0);
    until("all connections are given back", idle).await;
}

/// Whether the server has a session of this number.
pub(crate) async fn has_session(operator: &mut impl Queryable, id: u32) -> bool {
    let query = format!("SELECT 1 FROM information_schema.processlist WHERE id = {id}");
    let session: Option<u8> = operator.query_first(query).await.unwrap();
    session.is_some()
}

/// The server's session of this number has ended when it returns.
pub(crate) async fn until_gone(operator: &mut impl Queryable, id: u32) {
    let gone = async { while has_session(operator, id).await {} };
    soon(gone).await;
}

/// Whether the session went on after the error and was given out again; if not, it has ended.
pub(crate) async fn is_kept(pool: &Pool, url: &str, mut conn: PeerConn) -> bool {
    let (peer, id) = (conn.peer().to_owned(), conn.id());
    let works = conn.query_drop("DO 1").await.is_ok();
    drop(conn);
    let mut operator = root(url).await;
    let found = async {
        let mut held = Vec::new();
        while has_session(&mut operator, id).await {
            let usage = pool.usage().peers;
            if usage
                .iter()
                .any(|usage| *usage.peer == *peer && usage.idle > 0)
            {
                let conn = conn_to(pool, &peer).await;
                if conn.id() == id {
                    return works;
                }
                held.push(conn);
            }
        }
        false
    };
    // MariaDB sees every five seconds whether the client of one that sleeps is there.
    soon(found).await
}

/// Some session at the server runs `SLEEP` when it returns.
pub(crate) async fn until_asleep(operator: &mut impl Queryable) {
    let query = "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'";
    let asleep = async { while operator.query_first(query).await.unwrap() != Some(1) {} };
    soon(asleep).await;
}

/// Whatever was sent to the double before this has been accepted when it returns.
pub(crate) async fn barrier(fake: &FakeMySql) {
    let mut conn = root(&fake.url()).await;
    conn.ping().await.unwrap();
    conn.disconnect().await.unwrap();
}

pub(crate) fn is_up(pool: &Pool, peer: usize) -> bool {
    pool.statuses()[peer].state == State::Up
}

/// What a real server is given to do what it is to do.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Checks out until the first peer is out, and gives why and when its probe is due. No checkout
/// may fail meanwhile, and no other peer be blamed.
pub(crate) async fn a_goes_out(pool: &Pool) -> (&'static str, Duration) {
    let mut events = pool.subscribe();
    for _ in 0..100 {
        let conn = pool.get_conn().await.unwrap();
        assert_ne!(conn.peer(), "a");
        if !is_up(pool, 0) {
            break;
        }
    }
    let out = |status: &evenhand::Status| status.state != State::Up;
    assert_eq!(
        pool.statuses().iter().filter(|status| out(status)).count(),
        1
    );
    let (peer, reason, probe_in) = ejection(&mut events).unwrap();
    assert_eq!(peer, "a");
    (reason, probe_in)
}

/// The one peer of this pool is out after one attempt.
pub(crate) async fn once_is_enough(pool: Pool) {
    let own = pool.clone();
    let attempt = tokio::spawn(async move { own.get_conn().await });
    let failed = || !is_up(&pool, 0) || attempt.is_finished();
    until("the attempt fails", failed).await;
    assert!(!is_up(&pool, 0), "once was not enough");
    attempt.abort();
}

/// Why the next probe failed.
pub(crate) async fn failed_probe(events: &mut Events) -> &'static str {
    let next = async {
        loop {
            if let EventKind::ProbeFailed { reason, .. } =
                events.next().await.unwrap().unwrap().kind
            {
                return reason.unwrap_or("");
            }
        }
    };
    soon(next).await
}
