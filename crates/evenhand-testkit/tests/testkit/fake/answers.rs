//! What a healthy double answers, seen by mysql_async.

use std::time::{Duration, Instant};

use crate::common::{soon, until};
use evenhand_testkit::{ErrPacket, FakeMySql, Value};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Row};

async fn connect(fake: &FakeMySql) -> Conn {
    soon(Conn::from_url(fake.url())).await.unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("no error of the server's: {other:?}"),
    }
}

#[tokio::test]
async fn literals_and_variables_are_evaluated() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    assert_eq!(conn.server_version(), (8, 0, 36));
    assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
    assert_eq!(
        conn.query_first("SELECT @@port").await.unwrap(),
        Some(fake.port())
    );
    let hostname = format!("fake-{}", fake.port());
    assert_eq!(
        conn.query_first("SELECT @@hostname").await.unwrap(),
        Some(hostname)
    );
    assert_eq!(
        conn.query_first("SELECT CONNECTION_ID();").await.unwrap(),
        Some(conn.id())
    );
    assert_eq!(
        conn.query_first("SELECT DATABASE()").await.unwrap(),
        Some("test".to_owned())
    );
    let row: (u64, u64) = conn
        .query_first("SELECT @@max_allowed_packet,@@wait_timeout")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row, (64 << 20, 28_800));
    let row: (String, f64, Option<u8>) = conn
        .query_first("SELECT 'it''s', -1.5 AS x, NULL")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row, ("it's".to_owned(), -1.5, None));

    fake.set_variable("READ_ONLY", 1);
    assert_eq!(
        conn.query_first("SELECT @@global.read_only").await.unwrap(),
        Some(1)
    );
    assert_eq!(code(conn.query_drop("SELECT @@nonsense").await), 1193);
}

#[tokio::test]
async fn parameters_of_every_type_round_trip() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    let row: (i64, u64, f32, f64, String, Vec<u8>, Option<u8>) = conn
        .exec_first(
            "SELECT ?, ?, ?, ?, ?, ?, ?",
            (
                -5i64,
                u64::MAX,
                1.5f32,
                2.25f64,
                "grüße",
                vec![0xffu8, 0, 1],
                None::<u8>,
            ),
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        row,
        (
            -5,
            u64::MAX,
            1.5,
            2.25,
            "grüße".into(),
            vec![0xff, 0, 1],
            None
        )
    );

    let date = mysql_async::Value::Date(2024, 2, 29, 23, 59, 58, 42);
    let text: Option<String> = conn.exec_first("SELECT ?", (date,)).await.unwrap();
    assert_eq!(text.as_deref(), Some("2024-02-29 23:59:58.000042"));

    let statement = conn.prep("SELECT ? AS a, '?' AS b, @@port").await.unwrap();
    assert_eq!((statement.num_params(), statement.columns().len()), (1, 3));
    conn.close(statement).await.unwrap();
    assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
}

#[tokio::test]
async fn packets_over_16_mib_pass_both_ways() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    // More than a packet, so that the driver sends it ahead as long data; then one that fits.
    for size in [20 << 20, (16 << 20) - 100] {
        let long = "x".repeat(size);
        let back: Option<String> = soon(conn.exec_first("SELECT ?", (&long,))).await.unwrap();
        assert!(back == Some(long), "{size}");
    }
    // Exactly a full packet, which an empty one must follow.
    let long = "x".repeat((16 << 20) - 1 - 1 - "SELECT '' AS x".len());
    let back = soon(conn.query_first(format!("SELECT '{long}' AS x")))
        .await
        .unwrap();
    assert!(back == Some(long));
    conn.ping().await.unwrap();
}

#[tokio::test]
async fn canned_answers_keep_columns_rows_and_types() {
    let fake = FakeMySql::start().await.unwrap();
    let rows = [[Value::from(1), "ann".into()], [2.into(), Value::Null]];
    fake.answer("SELECT id, name FROM users", ["id", "name"], rows);
    fake.answer("SELECT name FROM users WHERE id = ?", ["name"], [["ann"]]);
    fake.answer("SELECT nothing", ["a"], [[0; 1]; 0]);
    let mut conn = connect(&fake).await;
    let users: Vec<(u32, Option<String>)> = vec![(1, Some("ann".into())), (2, None)];
    assert_eq!(
        conn.query::<(u32, Option<String>), _>("SELECT id, name FROM users")
            .await
            .unwrap(),
        users
    );
    assert_eq!(
        conn.exec::<(u32, Option<String>), _, _>("SELECT id, name FROM users", ())
            .await
            .unwrap(),
        users
    );
    let row: Row = conn
        .query_first(" SELECT id, name FROM users; ")
        .await
        .unwrap()
        .unwrap();
    let names: Vec<_> = row
        .columns_ref()
        .iter()
        .map(|c| c.name_str().into_owned())
        .collect();
    assert_eq!(names, ["id", "name"]);
    let name: Option<String> = conn
        .exec_first("SELECT name FROM users WHERE id = ?", (1,))
        .await
        .unwrap();
    assert_eq!(name.as_deref(), Some("ann"));
    assert_eq!(
        conn.query_first::<u8, _>("SELECT nothing").await.unwrap(),
        None
    );

    fake.answer_err(
        "DO 1",
        ErrPacket::new(1205, "HY000", "Lock wait timeout exceeded"),
    );
    assert_eq!(code(conn.query_drop("DO 1").await), 1205);
    assert_eq!(code(conn.exec_drop("DO 1", ()).await), 1205);
}

#[tokio::test]
async fn unknown_read_fails_and_write_succeeds() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    let error = conn.query_drop("SELECT a FROM t").await.unwrap_err();
    assert!(error.to_string().contains("SELECT a FROM t"), "{error}");
    assert_eq!(code(conn.exec_drop("SELECT a FROM t", ()).await), 1064);
    for write in [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a=1",
        "DELETE FROM t",
        "CREATE TABLE u (a INT)",
        "DO 1",
    ] {
        conn.query_drop(write).await.unwrap();
        assert_eq!(conn.affected_rows(), 1, "{write}");
    }
    conn.exec_drop("INSERT INTO t VALUES (?, ?)", (1, "a"))
        .await
        .unwrap();
    assert_eq!(conn.affected_rows(), 1);
}

#[tokio::test]
async fn several_statements_give_several_results() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    let mut result = conn
        .query_iter("SELECT 1; DO 1; SELECT ';' AS x")
        .await
        .unwrap();
    assert_eq!(result.collect::<u8>().await.unwrap(), [1]);
    assert_eq!(result.collect::<u8>().await.unwrap(), Vec::<u8>::new());
    assert_eq!(result.collect::<String>().await.unwrap(), [";"]);
    assert!(result.is_empty());
    drop(result);
    assert_eq!(fake.statements(), ["SELECT 1", "DO 1", "SELECT ';' AS x"]);
    assert_eq!(fake.queries(), 1);
}

#[tokio::test]
async fn sleep_waits_or_ends_with_its_client() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    let begun = Instant::now();
    assert_eq!(
        conn.query_first("SELECT SLEEP(0.05)").await.unwrap(),
        Some(0)
    );
    assert_eq!(
        conn.exec_first("SELECT SLEEP(?)", (0.05,)).await.unwrap(),
        Some(0)
    );
    conn.query_drop("DO SLEEP(0.05)").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150));

    let sleeping = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(1000)").await });
    until("it sleeps", || fake.queries() == 4).await;
    sleeping.abort();
    until("the server has noticed", || fake.connections() == 0).await;
}
