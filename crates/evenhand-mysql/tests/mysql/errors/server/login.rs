//! Errors that a login gets, from MariaDB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use evenhand_mysql::Pool;
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::{Conn, Opts, OptsBuilder, prelude::Queryable};
use evenhand_testkit::{Maker, MariaDb};
use tokio::task::JoinSet;

use crate::common::setup::{
    add_app, agreed, as_user, at_rest, checkout_code, ejection, fill, is_up, patient, pool_of,
    root, servers, until_gone, urls,
};
use crate::common::{soon, states, until, up};

/// Checks out until the first peer is out; no checkout may fail meanwhile.
async fn until_a_is_out(pool: &Pool) -> (String, &'static str, Duration) {
    let mut events = pool.subscribe();
    for _ in 0..100 {
        let conn = pool.get_conn().await.unwrap();
        assert_eq!(conn.peer(), "b");
        if !is_up(pool, 0) {
            break;
        }
    }
    assert_eq!(states(pool)[1], State::Up);
    ejection(&mut events).unwrap()
}

/// Rows: refused (MariaDB)
#[tokio::test]
async fn stopped_server_is_ejected() {
    let mut servers = servers(2, MariaDb::builder()).await;
    let pool = pool_of(&urls(&servers), patient());
    servers[0].kill().unwrap();
    let (_, reason, _) = until_a_is_out(&pool).await;
    assert_eq!(reason, "connection refused");
    let mut server = servers.remove(0);
    let restarted = tokio::task::spawn_blocking(move || server.restart().map(|()| server));
    let _server = restarted.await.unwrap().unwrap();
    until("it is back", || up(&pool) == 2).await;
}

/// Rows: attempt-timeout (MariaDB)
#[tokio::test]
async fn frozen_server_is_ejected() {
    let servers = servers(2, MariaDb::builder()).await;
    let options = patient().connect_timeout(Duration::from_millis(500));
    let pool = pool_of(&urls(&servers), options);
    servers[0].freeze().unwrap();
    let (_, reason, _) = until_a_is_out(&pool).await;
    assert_eq!(reason, "no connection in time");
    servers[0].thaw().unwrap();
    until("it is back", || up(&pool) == 2).await;
}

/// Checks out ten connections, which b gives, while a is full; then until a gives one, once there is room.
/// Nothing is ejected.
async fn full_a_costs_nothing(pool: &Pool, make_room: impl AsyncFnOnce()) {
    let mut events = pool.subscribe();
    let mut held = Vec::new();
    while held.len() < 10 || pool.usage().peers[0].limit > 1 {
        held.push(pool.get_conn().await.unwrap());
        assert_eq!(held.last().unwrap().peer(), "b");
    }
    drop(held);
    make_room().await;
    // A trial comes within a second.
    let given = async { while pool.get_conn().await.unwrap().peer() != "a" {} };
    soon(given).await;
    assert!(events.try_next().unwrap().is_none());
}

/// Rows: full (MariaDB)
#[tokio::test]
async fn full_server_is_not_ejected() {
    let servers = servers(2, MariaDb::builder().arg("--max-connections=10")).await;
    let urls = add_app(&servers[..1]).await;
    let mut operator = root(&servers[1].url()).await;
    operator
        .query_drop("SET GLOBAL max_connections = 500")
        .await
        .unwrap();
    let pool = pool_of(&[urls[0].clone(), servers[1].url()], patient());
    let others = fill(&urls[0], 10).await;
    full_a_costs_nothing(&pool, async || drop(others)).await;
}

/// Rows: user-limit (MariaDB)
#[tokio::test]
async fn user_limit_does_not_eject_the_server() {
    // No limit at the start cannot be changed later.
    let builder = MariaDb::builder().arg("--max-user-connections=1000");
    let servers = servers(2, builder).await;
    let urls = add_app(&servers).await;
    let limits = [
        // 1226
        (
            "ALTER USER app@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1",
            "ALTER USER app@'127.0.0.1' WITH MAX_USER_CONNECTIONS 0",
            1226,
        ),
        // 1203
        (
            "SET GLOBAL max_user_connections = 1",
            "SET GLOBAL max_user_connections = 1000",
            1203,
        ),
    ];
    let mut operator = root(&servers[0].url()).await;
    for (limit, lift, expected) in limits {
        let pool = pool_of(&urls, patient());
        operator.query_drop(limit).await.unwrap();
        let own = Conn::from_url(&urls[0]).await.unwrap();
        let refused = Conn::from_url(&urls[0]).await.unwrap_err();
        assert_eq!(
            crate::common::setup::code(&refused),
            Some(expected),
            "{refused}"
        );
        let lift = async || {
            own.disconnect().await.unwrap();
            operator.query_drop(lift).await.unwrap();
        };
        full_a_costs_nothing(&pool, lift).await;
    }
}

/// Rows: not-allowed (MariaDB)
#[tokio::test]
async fn disallowed_host_ejects_the_server() {
    let servers = servers(2, MariaDb::builder()).await;
    let mut operator = root(&servers[0].url()).await;
    let users: Vec<(String, String)> = operator
        .query("SELECT user, host FROM mysql.user WHERE host <> 'localhost'")
        .await
        .unwrap();
    for (i, (user, host)) in users.iter().enumerate() {
        let rename = format!("RENAME USER '{user}'@'{host}' TO '{user}'@'10.9.8.{i}'");
        operator.query_drop(rename).await.unwrap();
    }
    let pool = pool_of(&urls(&servers), patient());
    let (_, reason, probe_in) = until_a_is_out(&pool).await;
    let expected = ("this host is not allowed", Duration::from_secs(300));
    assert_eq!((reason, probe_in), expected);
}

/// Rows: login-refused (MariaDB)
#[tokio::test]
async fn login_refused_by_one_or_both_servers() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let locked = match servers[0].maker() {
        Maker::MariaDb => 4151,
        Maker::MySql => 3118,
    };
    let spoil = [
        (1045, "ALTER USER app@'127.0.0.1' IDENTIFIED BY 'other'"),
        (locked, "ALTER USER app@'127.0.0.1' ACCOUNT LOCK"),
        (1044, "REVOKE ALL ON test.* FROM app@'127.0.0.1'"),
        (1049, "DROP DATABASE test"),
    ];
    let mend = [
        "ALTER USER app@'127.0.0.1' IDENTIFIED BY 'secret'",
        "ALTER USER app@'127.0.0.1' ACCOUNT UNLOCK",
        "GRANT ALL ON test.* TO app@'127.0.0.1'",
        "CREATE DATABASE test",
    ];
    let mut operators = Vec::new();
    for server in &servers {
        operators.push(root(&server.url().replace("/test", "/mysql")).await);
    }
    for ((code, spoil), mend) in spoil.into_iter().zip(mend) {
        operators[0].query_drop(spoil).await.unwrap();
        let pool = pool_of(&urls, patient());
        let (_, reason, _) = until_a_is_out(&pool).await;
        assert_eq!(reason, "another peer did what this one refused", "{code}");

        operators[1].query_drop(spoil).await.unwrap();
        let pool = pool_of(&urls, patient());
        let error = pool.get_conn().await.unwrap_err();
        assert!(agreed(&error), "{error}");
        assert_eq!(checkout_code(&error), Some(code), "{error}");
        assert_eq!(up(&pool), 2, "no peer is ejected");

        for operator in &mut operators {
            operator.query_drop(mend).await.unwrap();
        }
        drop(pool.get_conn().await.unwrap());
    }
}

/// What happens to one of two servers under load shows in its logins only.
///
/// Rows: login-refused (MariaDB)
#[tokio::test]
async fn login_refused_by_one_server_costs_no_checkout() {
    let builder = MariaDb::builder().arg("--disconnect-on-expired-password=ON");
    let servers = servers(2, builder).await;
    let urls = add_app(&servers).await;
    let peer = |url: &String| -> OptsBuilder {
        OptsBuilder::from_opts(Opts::from_url(url).unwrap())
            .setup(vec!["DO (SELECT MAX(n) FROM test.here)"])
    };
    let table = "CREATE TABLE test.here (n INT)";
    let mut operators = Vec::new();
    for server in &servers {
        let mut operator = root(&server.url()).await;
        operator.query_drop(table).await.unwrap();
        operators.push(operator);
    }
    let operator = &mut operators[0];
    let renew = "ALTER USER app@'127.0.0.1' IDENTIFIED BY 'secret'";
    let mut cases = vec![
        (1146, "DROP TABLE test.here", table),
        (1862, "ALTER USER app@'127.0.0.1' PASSWORD EXPIRE", renew),
    ];
    match servers[0].maker() {
        Maker::MariaDb => {
            let stay = "SET GLOBAL disconnect_on_expired_password = OFF; \
                        ALTER USER app@'127.0.0.1' PASSWORD EXPIRE";
            cases.push((1820, stay, renew));
        }
        Maker::MySql => {
            const OFF: &str = "SET GLOBAL offline_mode = OFF, require_secure_transport = OFF";
            let once = "ALTER USER app@'127.0.0.1' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1";
            let unlock = "ALTER USER app@'127.0.0.1' ACCOUNT UNLOCK";
            cases.push((3032, "SET GLOBAL offline_mode = ON", OFF));
            cases.push((3159, "SET GLOBAL require_secure_transport = ON", OFF));
            cases.push((3955, once, unlock));
        }
    }
    for (expected, spoil, mend) in cases {
        let pool = patient()
            .open([("a", peer(&urls[0])), ("b", peer(&urls[1]))])
            .unwrap();
        let mut events = pool.subscribe();
        let load = Load::start(&pool);
        load.goes_on(50).await;
        operator.query_drop(spoil).await.unwrap();
        // One wrong password may be too many.
        let wrong = urls[0].replace("secret", "wrong");
        Conn::from_url(&wrong).await.unwrap_err();
        until("it is out", || !is_up(&pool, 0)).await;
        load.goes_on(200).await;
        load.stop().await;
        let (out, reason, _) = ejection(&mut events).unwrap();
        assert_eq!(out, "a", "{expected}");
        assert_eq!(reason, "another peer did what this one refused");
        let refused = Conn::new(peer(&urls[0])).await.unwrap_err();
        assert_eq!(checkout_code(&refused), Some(expected), "{refused}");
        operator.query_drop(mend).await.unwrap();
    }
}

/// Tasks that check out. None may fail.
struct Load {
    tasks: JoinSet<()>,
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(pool: &Pool) -> Self {
        let (done, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (pool, done, stop) = (pool.clone(), done.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    // Those that it holds make the next one a login.
                    let mut held = Vec::new();
                    for _ in 0..5 {
                        held.push(pool.get_conn().await.unwrap());
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                    for mut conn in held {
                        // Its server may have shut it out meanwhile.
                        let _ = conn.query_drop("DO 1").await;
                    }
                }
            });
        }
        Self { tasks, done, stop }
    }

    /// Waits until there were so many checkouts more.
    async fn goes_on(&self, checkouts: usize) {
        let done = || self.done.load(Ordering::SeqCst);
        let before = done();
        until("checkouts go on", || done() >= before + checkouts).await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
    }
}

/// A connection of before the refusals does not tell who is at fault.
///
/// Rows: login-refused (MariaDB)
#[tokio::test]
async fn refused_login_is_not_judged_by_an_idle_connection() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let pool = pool_of(&urls, patient());
    pool.peers().eject("a", Duration::from_secs(3600)).unwrap();
    drop(pool.get_conn().await.unwrap());
    at_rest(&pool).await;
    pool.peers().restore("a").unwrap();
    let mut events = pool.subscribe();
    let lock = "ALTER USER app@'127.0.0.1' ACCOUNT LOCK";
    for server in &servers {
        let mut operator = root(&server.url()).await;
        operator.query_drop(lock).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
        at_rest(&pool).await;
    }
    assert_eq!(ejection(&mut events), None);
    // A login tells.
    let mend = "ALTER USER app@'127.0.0.1' ACCOUNT UNLOCK";
    let mut operator = root(&servers[1].url()).await;
    operator.query_drop(mend).await.unwrap();
    let mut held = Vec::new();
    while is_up(&pool, 0) {
        held.push(pool.get_conn().await.unwrap());
    }
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!(peer, "a");
    assert_eq!(reason, "another peer did what this one refused");
}

/// Rows: idle-dead (MariaDB)
#[tokio::test]
async fn idle_session_closed_by_the_server_is_replaced() {
    let servers = servers(1, MariaDb::builder().arg("--wait-timeout=1")).await;
    let pool = pool_of(&urls(&servers), patient());
    let mut events = pool.subscribe();
    let conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    drop(conn);
    at_rest(&pool).await;
    let mut operator = root(&servers[0].url()).await;
    until_gone(&mut operator, id).await;
    let mut conn = pool.get_conn().await.unwrap();
    assert_ne!(conn.id(), id);
    conn.query_drop("DO 1").await.unwrap();
    assert_eq!(events.try_next().unwrap(), None, "nothing happened to it");
}

/// Rows: login-refused (MariaDB)
#[tokio::test]
async fn setup_that_all_servers_refuse_is_callers_error() {
    let servers = servers(2, MariaDb::builder()).await;
    let peer = |server: &MariaDb| -> OptsBuilder {
        let opts = Opts::from_url(&server.url()).unwrap();
        OptsBuilder::from_opts(opts).init(vec!["SET no_such_thing = 1"])
    };
    let peers = [("a", peer(&servers[0])), ("b", peer(&servers[1]))];
    let pool = patient().open(peers).unwrap();
    let error = pool.get_conn().await.unwrap_err();
    assert_eq!(checkout_code(&error), Some(1193), "{error}");
    assert_eq!(up(&pool), 2);
}

/// No error: a server may ask any client for it, and a driver that is built without it panics.
#[tokio::test]
async fn ed25519_account_logs_in() {
    if !Maker::MariaDb.only("MySQL has no ed25519") {
        return;
    }
    let servers = servers(1, MariaDb::builder()).await;
    let mut operator = root(&servers[0].url()).await;
    for statement in [
        "INSTALL SONAME 'auth_ed25519'",
        "CREATE USER ed@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
        "GRANT ALL ON test.* TO ed@'127.0.0.1'",
    ] {
        operator.query_drop(statement).await.unwrap();
    }
    let login = |login| as_user(&servers[0].url(), login);
    let pool = pool_of(&[login("ed:secret")], patient());
    pool.get_conn().await.unwrap().ping().await.unwrap();
    let pool = pool_of(&[login("ed:wrong")], patient());
    let error = pool.get_conn().await.unwrap_err();
    assert_eq!(checkout_code(&error), Some(1045), "{error}");
}
