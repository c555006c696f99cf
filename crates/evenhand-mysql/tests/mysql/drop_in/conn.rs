//! A checked-out connection does what the driver's own does.

use std::mem;

use evenhand_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{self, ChangeUserOpts, Conn, TxOpts};
use evenhand_mysql::{PeerConn, Pool};
use evenhand_testkit::{Direction, FaultProxy, MariaDb};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::common::setup::{add_app, patient, pool_of, root, rows_query, servers, until_gone};
use crate::common::{until, up};

/// A server, and a pool with one connection to it.
async fn stage() -> (MariaDb, Pool) {
    let server = servers(1, MariaDb::builder().arg("--local-infile=1"))
        .await
        .remove(0);
    let pool = pool_of(&[format!("{}?pool_max=1", server.url())], patient());
    (server, pool)
}

async fn port_of(conn: &mut Conn) -> mysql_async::Result<Option<u16>> {
    conn.query_first("SELECT @@port").await
}

#[tokio::test]
async fn helper_for_the_drivers_connection_is_served() {
    let (server, pool) = stage().await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT)").await.unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    drop(transaction);
    let lent = conn.conn_mut().await.unwrap();
    assert_eq!(port_of(lent).await.unwrap(), Some(server.addr().port()));
    let left: Option<u32> = lent.query_first("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(left, Some(0), "what was dropped is rolled back first");
    let id = conn.id();
    drop(conn);
    assert_eq!(pool.get_conn().await.unwrap().id(), id, "it is used again");
}

#[tokio::test]
async fn exchanged_connection_is_closed() {
    let (server, pool) = stage().await;
    let mut conn = pool.get_conn().await.unwrap();
    let own = conn.id();
    let other = root(&server.url()).await;
    let other_id = other.id();
    let taken_out = mem::replace(conn.conn_mut().await.unwrap(), other);
    assert_eq!((taken_out.id(), conn.id()), (own, other_id));
    drop(conn);
    drop(taken_out);
    for _ in 0..5 {
        assert_ne!(pool.get_conn().await.unwrap().id(), other_id);
    }
    let mut operator = root(&server.url()).await;
    until_gone(&mut operator, other_id).await;
}

#[tokio::test]
async fn connection_lost_in_a_helper_moves_idempotent_work() {
    let servers = servers(2, MariaDb::builder()).await;
    let proxy = FaultProxy::start(servers[0].addr()).unwrap();
    let pool = pool_of(&[proxy.url(), servers[1].url()], patient());
    proxy.cut_after(Direction::ToClient, 100_000);
    let rows = &*rows_query(1000);
    for _ in 0..10 {
        let work = async |mut conn: PeerConn| {
            let rows: Vec<String> = conn.conn_mut().await?.query(rows).await?;
            mysql_async::Result::Ok(rows.len())
        };
        assert_eq!(pool.run_idempotent(work).await.unwrap(), 1000);
    }
    assert_eq!(up(&pool), 2, "the check found it well");
}

#[tokio::test]
async fn changed_user_does_not_reach_the_next_caller() {
    let (server, pool) = stage().await;
    let _ = add_app(std::slice::from_ref(&server)).await;
    let app = || {
        ChangeUserOpts::new()
            .with_user(Some("app".into()))
            .with_pass(Some("secret".into()))
    };
    let user = async |conn: &mut Conn| {
        let user: Option<String> = conn.query_first("SELECT USER()").await.unwrap();
        user.unwrap().split('@').next().unwrap().to_owned()
    };
    for through_the_driver in [false, true] {
        let mut conn = pool.get_conn().await.unwrap();
        match through_the_driver {
            false => conn.change_user(app()).await.unwrap(),
            true => conn
                .conn_mut()
                .await
                .unwrap()
                .change_user(app())
                .await
                .unwrap(),
        }
        assert_eq!(user(conn.conn_mut().await.unwrap()).await, "app");
        let id = conn.id();
        drop(conn);
        let mut conn = pool.get_conn().await.unwrap();
        assert_ne!(conn.id(), id);
        assert_eq!(user(conn.conn_mut().await.unwrap()).await, "root");
    }

    // With the options as they are it is a reset.
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("SET @mine = 1").await.unwrap();
    conn.change_user(ChangeUserOpts::default()).await.unwrap();
    assert_eq!(
        conn.query_first("SELECT @mine IS NULL").await.unwrap(),
        Some(1)
    );
    let id = conn.id();
    drop(conn);
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.id(), id);

    let wrong = app().with_pass(Some("wrong".into()));
    conn.change_user(wrong).await.unwrap_err();
    drop(conn);
    assert_ne!(pool.get_conn().await.unwrap().id(), id);
}

#[tokio::test]
async fn session_is_reset_as_the_caller_says() {
    let (_server, pool) = stage().await;
    let mine = "SELECT @mine";
    let mut conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    conn.query_drop("SET @mine = 1").await.unwrap();
    assert!(conn.reset().await.unwrap());
    assert_eq!(
        conn.query_first::<Option<u8>, _>(mine).await.unwrap(),
        Some(None)
    );

    conn.query_drop("SET @mine = 2").await.unwrap();
    conn.reset_connection(false);
    drop(conn);
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.id(), id);
    assert_eq!(conn.query_first(mine).await.unwrap(), Some(2), "kept");
    drop(conn);
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.id(), id);
    assert_eq!(
        conn.query_first::<Option<u8>, _>(mine).await.unwrap(),
        Some(None),
        "once"
    );
}

#[tokio::test]
async fn local_file_is_served_by_the_callers_handler() {
    let (_server, pool) = stage().await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT)").await.unwrap();
    conn.set_infile_handler(async {
        let lines = ["1\n", "2\n"].map(|line| Ok(line.into()));
        Ok(stream::iter(lines).boxed())
    });
    conn.query_drop("LOAD DATA LOCAL INFILE 'any' INTO TABLE t")
        .await
        .unwrap();
    assert_eq!(
        conn.query::<u32, _>("SELECT id FROM t").await.unwrap(),
        [1, 2]
    );
}

#[tokio::test]
async fn rows_are_streamed_from_a_connection_by_value() {
    let (_server, pool) = stage().await;
    let numbers = "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3";
    // From now on the driver takes connections back itself.
    "DO 1".ignore(&pool).await.unwrap();
    let conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    let mut rows = numbers.stream::<u32, _>(conn).await.unwrap();
    assert_eq!(rows.try_next().await.unwrap(), Some(1));
    assert_eq!(pool.usage().in_use, 1, "its place is taken");
    let rest: Vec<u32> = rows.try_collect().await.unwrap();
    assert_eq!(rest, [2, 3]);
    until("it is back", || pool.usage().in_use == 0).await;

    let conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.id(), id);
    let first: Option<u32> = format!("SELECT n FROM ({numbers}) AS t WHERE n > ?")
        .with((1,))
        .first(conn)
        .await
        .unwrap();
    assert_eq!(first, Some(2));
}

/// The driver does not tell of an error that is not read.
#[tokio::test]
async fn unread_error_keeps_the_connection() {
    let (_server, pool) = stage().await;
    let mut ids = Vec::new();
    for round in 0..6 {
        let mut conn = pool.get_conn().await.unwrap();
        ids.push(conn.id());
        match round % 3 {
            0 => {
                let mut result = conn.query_iter("SELECT 1; SELECT nonsense").await.unwrap();
                let rows: Vec<u8> = result.collect().await.unwrap();
                assert_eq!(rows, [1]);
            }
            1 => drop(conn.query_iter("SELECT 1; SELECT nonsense").await.unwrap()),
            _ => conn.query_drop("DO 1").await.unwrap(),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(pool.usage().peers[0].opened, 1);
}
