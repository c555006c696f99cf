//! Attempts that fail for what this client, or its account, is or has, at MariaDB.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use evenhand_mysql::mysql_async::{self, DriverError, Opts, OptsBuilder, prelude::Queryable};
use evenhand_mysql::{AttemptError, CheckoutError, Error};
use evenhand_testkit::{Maker, MariaDb};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::common::setup::{
    LIMIT, a_goes_out, add_app, as_user, checkout_code, conn_to, ejection, is_up, patient, pool_of,
    root, servers, urls,
};
use crate::common::{until, up};

/// Why a checkout failed that no server's refusal ended.
fn checkout(error: &mysql_async::Error) -> &CheckoutError {
    match Error::find(error) {
        Some(Error::Checkout(checkout)) => checkout,
        _ => panic!("{error:?}"),
    }
}

/// How many peers it tried.
fn tried(error: &mysql_async::Error) -> usize {
    checkout(error).tried.tried().len()
}

/// The driver's error that ended it.
fn cause(error: &mysql_async::Error) -> &mysql_async::Error {
    match checkout(error).tried.cause() {
        Some(AttemptError::Connect(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The server logs the client in, and then has something else to do.
///
/// Rows: slow-login (MariaDB)
#[tokio::test]
async fn slow_login_on_a_responsive_server() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let mut operator = root(&servers[0].url()).await;
    let options = || patient().connect_timeout(Duration::from_secs(1));
    // The first login only, and then all of them, those of the checks included.
    let slow = "SET GLOBAL init_connect = 'SET @slow = IF(GET_LOCK(\"once\", 0), SLEEP(30), 0)'";
    let all_slow = "SET GLOBAL init_connect = 'SET @slow = SLEEP(30)'";
    for (init_connect, well) in [(slow, true), (all_slow, false)] {
        let pool = pool_of(&urls, options());
        let mut events = pool.subscribe();
        let mut talks = conn_to(&pool, "a").await;
        let before = checks(&mut operator).await;
        operator.query_drop(init_connect).await.unwrap();
        let mut held = Vec::new();
        let begun = Instant::now();
        while checks(&mut operator).await == before && is_up(&pool, 0) {
            assert!(begun.elapsed() < LIMIT, "it is not checked");
            let own = pool.clone();
            let checkout = tokio::spawn(async move { own.get_conn().await });
            while !checkout.is_finished() {
                talks.query_drop("SELECT 1").await.unwrap();
            }
            // No caller notices.
            held.push(checkout.await.unwrap().unwrap());
        }
        if well {
            // The check found it so.
            drop(held);
            drop(conn_to(&pool, "a").await);
            assert_eq!(events.try_next().unwrap(), None);
        } else {
            let (peer, reason, _) = ejection(&mut events).unwrap();
            assert_eq!((&*peer, reason), ("a", "no connection in time"));
        }
        let none = "SET GLOBAL init_connect = ''";
        operator.query_drop(none).await.unwrap();
    }
}

/// How many checks have got through to the server: nothing else here sends `DO`.
async fn checks(operator: &mut mysql_async::Conn) -> u64 {
    let status = "SHOW GLOBAL STATUS LIKE 'Com_do'";
    let row: Option<(String, u64)> = operator.query_first(status).await.unwrap();
    row.unwrap().1
}

const URLS: &str = "EVENHAND_TEST_URLS";

/// A child, as this process needs its own descriptors.
///
/// Rows: local-shortage (MariaDB)
#[tokio::test]
async fn missing_descriptors_eject_no_peer() {
    if let Ok(urls) = std::env::var(URLS) {
        let urls: Vec<String> = urls.split(' ').map(str::to_owned).collect();
        return without_descriptors(&urls).await;
    }
    let servers = servers(2, MariaDb::builder()).await;
    let urls = urls(&servers).join(" ");
    let this = concat!(module_path!(), "::missing_descriptors_eject_no_peer");
    let (_, this) = this.split_once("::").unwrap();
    let child = move || {
        Command::new("sh")
            .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(URLS, urls)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(child).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn without_descriptors(urls: &[String]) {
    let pool = pool_of(urls, patient());
    let mut events = pool.subscribe();
    drop(pool.get_conn().await.unwrap());
    let idle = || {
        pool.peers()
            .usage()
            .iter()
            .map(|peer| peer.idle)
            .sum::<usize>()
            == 1
    };
    until("it is idle", idle).await;
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    let mut held = Vec::new();
    for _ in 0..20 {
        match pool.get_conn().await {
            // The idle one.
            Ok(conn) => held.push(conn),
            Err(error) => {
                assert!(cause(&error).to_string().contains("os error 24"), "{error}");
                assert_eq!(tried(&error), 1, "{error}");
            }
        }
    }
    assert!(held.len() <= 1);
    assert_eq!(events.try_next().unwrap(), None);
    drop(files);
    drop(pool.get_conn().await.unwrap());
}

/// Rows: no-free-slot, out-of-time, disconnected (MariaDB)
#[tokio::test]
async fn missing_time_or_permit_ejects_no_peer() {
    let servers = servers(1, MariaDb::builder()).await;
    let url = format!("{}?pool_min=1&pool_max=1", servers[0].url());
    let pool = pool_of(
        std::slice::from_ref(&url),
        patient().checkout_timeout(LIMIT / 20),
    );
    let mut events = pool.subscribe();
    let held = pool.get_conn().await.unwrap();
    for _ in 0..6 {
        let error = pool.get_conn().await.unwrap_err();
        assert!(
            matches!(Error::find(&error), Some(Error::Full { .. })),
            "{error}"
        );
    }
    assert_eq!(events.try_next().unwrap(), None);
    drop(held);

    let pool = pool_of(std::slice::from_ref(&url), patient());
    let held = pool.get_conn().await.unwrap();
    let own = pool.clone();
    let waiter = tokio::spawn(async move { own.get_conn().await });
    until("it waits", || pool.peers().usage()[0].waiting == 1).await;
    let mut events = pool.subscribe();
    let closing = tokio::spawn(pool.disconnect());
    let error = waiter.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            mysql_async::Error::Driver(DriverError::PoolDisconnected)
        ),
        "{error}"
    );
    drop(held);
    closing.await.unwrap().unwrap();
    assert!(!matches!(events.try_next(), Ok(Some(_))));

    // Less time than one attempt may take.
    let options = patient()
        .connect_timeout(LIMIT)
        .checkout_timeout(LIMIT / 20);
    let pool = pool_of(&[url], options);
    let mut events = pool.subscribe();
    servers[0].freeze().unwrap();
    for _ in 0..3 {
        pool.get_conn().await.unwrap_err();
    }
    assert_eq!(events.try_next().unwrap(), None);
    servers[0].thaw().unwrap();
    let begun = Instant::now();
    while pool.get_conn().await.is_err() {
        assert!(begun.elapsed() < LIMIT);
    }
}

/// Rows: moved-on (MariaDB)
#[tokio::test]
async fn unanswered_checkouts_move_on() {
    let servers = servers(2, MariaDb::builder()).await;
    let one_only = format!("{}?pool_max=1", servers[0].url());
    let other = servers[1].url();

    // The first server's only place is taken.
    let pool = pool_of(&[one_only, other.clone()], patient());
    let mut events = pool.subscribe();
    let _held = conn_to(&pool, "a").await;
    for _ in 0..20 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    }
    assert_eq!(events.try_next().unwrap(), None);

    // The first server is taken out while some wait for it.
    let first = servers[0].url();
    let pool = pool_of(
        &[first, other],
        patient().connect_timeout(Duration::from_secs(60)),
    );
    servers[0].freeze().unwrap();
    let mut checkouts = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        checkouts.spawn(async move { pool.get_conn().await });
    }
    let waits = || pool.statuses()[0].in_flight > 0;
    until("some wait for the first server", waits).await;
    pool.peers().eject("a", Duration::from_secs(60)).unwrap();
    while let Some(ended) = checkouts.join_next().await {
        assert_eq!(ended.unwrap().unwrap().peer(), "b");
    }
    assert_eq!(up(&pool), 1);
}

/// Rows: caller-connect (MariaDB)
#[tokio::test]
async fn init_statement_wanting_a_file_is_callers_error() {
    let servers = servers(2, MariaDb::builder().arg("--local-infile=1")).await;
    let init = "LOAD DATA LOCAL INFILE 'file' INTO TABLE t";
    let mut peers = Vec::new();
    for (server, name) in servers.iter().zip(["a", "b"]) {
        let mut operator = root(&server.url()).await;
        operator
            .query_drop("CREATE TABLE t (id INT)")
            .await
            .unwrap();
        let opts = Opts::from_url(&server.url()).unwrap();
        peers.push((name, OptsBuilder::from_opts(opts).init(vec![init])));
    }
    let pool = patient().open(peers).unwrap();
    let mut events = pool.subscribe();
    for _ in 0..6 {
        let error = pool.get_conn().await.unwrap_err();
        let cause = cause(&error);
        assert!(matches!(cause, mysql_async::Error::Driver(_)), "{error}");
        assert_eq!(tried(&error), 1, "{error}");
    }
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: own-settings (MariaDB)
#[tokio::test]
async fn disallowed_plugin_ejects_no_peer() {
    if !Maker::MariaDb.only("MySQL has no passwords of before version 4.1") {
        return;
    }
    let servers = servers(2, MariaDb::builder().arg("--secure-auth=0")).await;
    for server in &servers {
        let mut operator = root(&server.url()).await;
        let plugin = "mysql_old_password USING '428567f408994404'";
        let create = format!("CREATE USER app@'127.0.0.1' IDENTIFIED VIA {plugin}");
        operator.query_drop(create).await.unwrap();
    }
    let urls = urls(&servers);
    let urls: Vec<String> = urls.iter().map(|url| as_user(url, "app:secret")).collect();
    let pool = pool_of(&urls, patient());
    let mut events = pool.subscribe();
    for _ in 0..6 {
        let error = pool.get_conn().await.unwrap_err();
        let cause = cause(&error);
        let disabled = DriverError::MysqlOldPasswordDisabled;
        assert_eq!(
            cause.to_string(),
            mysql_async::Error::from(disabled).to_string()
        );
        assert_eq!(tried(&error), 1, "{error}");
    }
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: login-refused (MariaDB)
#[tokio::test]
async fn account_restricted_to_its_host_is_refused() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let mut operator = root(&servers[0].url()).await;
    let alters: &[_] = match servers[0].maker() {
        Maker::MariaDb => &["ALTER USER app@'127.0.0.1' IDENTIFIED VIA unix_socket"],
        Maker::MySql => &[
            "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
            "ALTER USER app@'127.0.0.1' IDENTIFIED WITH auth_socket",
        ],
    };
    for alter in alters {
        operator.query_drop(*alter).await.unwrap();
    }
    let alone = pool_of(&urls[..1], patient().checkout_timeout(LIMIT));
    let error = alone.get_conn().await.unwrap_err();
    assert_eq!(checkout_code(&error), Some(1698), "{error}");
    let (reason, _) = a_goes_out(&pool_of(&urls, patient())).await;
    assert_eq!(reason, "another peer did what this one refused");
}
