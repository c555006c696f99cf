//! Errors before which a proxy stands, from HAProxy.

use std::time::Duration;

use evenhand_mysql::mysql_async::{self, prelude::Queryable};
use evenhand_testkit::{HaProxy, MariaDb};

use crate::common::setup::{
    a_goes_out, at_rest, conn_to, ejection, is_up, once_is_enough, patient, pool_of, root, servers,
};
use crate::common::{until, up};

/// Two servers, and a proxy before the first.
async fn behind_a_proxy() -> (Vec<MariaDb>, HaProxy, Vec<String>) {
    let servers = servers(2, MariaDb::builder()).await;
    // The error says how to install what is missing.
    let proxy = HaProxy::start(&[servers[0].addr()]).unwrap_or_else(|error| panic!("{error}"));
    let urls = vec![proxy.url(), servers[1].url()];
    (servers, proxy, urls)
}

/// Rows: refused, connect-lost, attempt-timeout (HAProxy)
#[tokio::test]
async fn proxy_without_a_working_backend_is_ejected() {
    let (servers, proxy, urls) = behind_a_proxy().await;
    let pool = pool_of(&urls, patient());
    proxy.disable_frontend().unwrap();
    assert_eq!(a_goes_out(&pool).await.0, "connection refused");
    once_is_enough(pool_of(&urls[..1], patient())).await;
    proxy.enable_frontend().unwrap();
    until("it is back", || up(&pool) == 2).await;

    // It accepts the connection, and ends it before a word is said.
    let pool = pool_of(&urls, patient());
    proxy.maint(0).unwrap();
    assert_eq!(a_goes_out(&pool).await.0, "connection failed");
    once_is_enough(pool_of(&urls[..1], patient())).await;
    proxy.ready(0).unwrap();
    until("it is back", || up(&pool) == 2).await;

    let options = patient().connect_timeout(Duration::from_millis(500));
    let pool = pool_of(&urls, options.clone());
    servers[0].freeze().unwrap();
    assert_eq!(a_goes_out(&pool).await.0, "no connection in time");
    once_is_enough(pool_of(&urls[..1], options)).await;
    servers[0].thaw().unwrap();
    until("it is back", || up(&pool) == 2).await;
}

/// It sends a line before the client's data, and the server was not told to expect
/// that. The server's answer, 1130, comes before the client has said anything.
///
/// Rows: bad-handshake (HAProxy)
#[tokio::test]
async fn untrusted_proxy_protocol_is_ejected() {
    let (servers, proxy, urls) = behind_a_proxy().await;
    let pool = pool_of(&urls, patient());
    let add = format!("add server peers/new {} send-proxy", servers[0].addr());
    let reply = proxy.command(&add).unwrap();
    assert!(reply.contains("registered"), "{reply}");
    proxy.maint(0).unwrap();
    proxy.command("set server peers/new state ready").unwrap();
    assert_eq!(a_goes_out(&pool).await.0, "bad handshake");
    once_is_enough(pool_of(&urls[..1], patient())).await;
    proxy.command("set server peers/new state maint").unwrap();
    proxy.ready(0).unwrap();
    until("it is back", || up(&pool) == 2).await;
}

/// Rows: lost, idle-dead (HAProxy)
#[tokio::test]
async fn proxy_ending_its_sessions_is_ejected() {
    let (servers, proxy, urls) = behind_a_proxy().await;
    let pool = pool_of(&urls, patient());
    let mut events = pool.subscribe();
    let end_all = async || {
        proxy.command("shutdown sessions server peers/s0").unwrap();
        let ended = || !proxy.command("show sess").unwrap().contains("fe=clients");
        until("no session is left", ended).await;
        // By now the runtime has seen it, too.
        root(&servers[1].url()).await.ping().await.unwrap();
    };
    let conn = conn_to(&pool, "a").await;
    let id = conn.id();
    drop(conn);
    at_rest(&pool).await;
    until("it is idle", || pool.peers().usage()[0].idle == 1).await;
    end_all().await;
    let mut conn = conn_to(&pool, "a").await;
    assert_ne!(conn.id(), id);
    conn.query_drop("DO 1").await.unwrap();

    // The check gets through to the server.
    end_all().await;
    let error = conn.query_drop("DO 1").await.unwrap_err();
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error}");
    drop(conn);
    conn_to(&pool, "a").await.query_drop("DO 1").await.unwrap();
    assert_eq!(events.try_next().unwrap(), None);

    // Another pool: a check that has just passed stands for a second.
    let pool = pool_of(&urls, patient());
    let mut events = pool.subscribe();
    let mut conn = conn_to(&pool, "a").await;
    proxy.maint(0).unwrap();
    end_all().await;
    conn.query_drop("DO 1").await.unwrap_err();
    until("the check found no backend", || !is_up(&pool, 0)).await;
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("a", "connection failed"));
}
