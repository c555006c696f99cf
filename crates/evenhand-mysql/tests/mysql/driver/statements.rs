//! What the driver's tests ask of statements, batches and local files.

use evenhand_mysql::PeerConn;
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{
    Opts, OptsBuilder, TxOpts, WhiteListFsHandler, from_row, params,
};
use evenhand_testkit::{Maker, MariaDb};
use futures_util::stream::{self, StreamExt};

use super::{pool_with, stage, stage_on};
use crate::common::setup::{code, servers};

/// Where the protocol splits a packet.
const PACKET: usize = 0xFF_FF_FF;
const LARGE: &str = "--max-allowed-packet=64M";

#[tokio::test]
async fn text_as_long_as_a_packet_arrives_whole() {
    let (_server, pool) = stage_on(&[LARGE], "").await;
    let mut conn = pool.get_conn().await.unwrap();
    for length in PACKET - 2..=PACKET + 2 {
        let text = "a".repeat(length);
        let query = format!("SELECT '{text}', 1");
        let row: Option<(String, u8)> = conn.query_first(query).await.unwrap();
        assert!(row == Some((text, 1)), "{length}");
    }
}

#[tokio::test]
async fn statements_are_prepared_executed_and_closed() {
    let (_server, pool) = stage_on(&[LARGE], "").await;
    let mut conn = pool.get_conn().await.unwrap();
    let statement = conn.prep("SELECT ?").await.unwrap();
    {
        let query = String::from("SELECT ?, ?");
        let inner = conn.prep(&*query).await.unwrap();
        conn.close(inner).await.unwrap();
        let mut other = pool.get_conn().await.unwrap();
        let inner = other.prep(&*query).await.unwrap();
        other.close(inner).await.unwrap();
        other.disconnect().await.unwrap();
    }
    let long = "a".repeat(18 * 1024 * 1024);
    let result = conn.exec_iter(&statement, (&long,)).await.unwrap();
    let rows = result.map_and_drop(from_row::<String>).await.unwrap();
    assert!(rows == [long]);
    let result = conn.exec_iter(&statement, (42,)).await.unwrap();
    assert_eq!(result.collect_and_drop::<u8>().await.unwrap(), [42]);
    let result = conn.exec_iter(&statement, (8,)).await.unwrap();
    let sum = result.reduce_and_drop(2, |sum, row| sum + from_row::<i32>(row));
    assert_eq!(sum.await.unwrap(), 10);
    conn.close(statement).await.unwrap();
    conn.disconnect().await.unwrap();
}

#[tokio::test]
async fn parameters_may_have_names() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let named = "SELECT :a, :b, :a, 3";
    let statement = conn.prep(named).await.unwrap();
    let texts = || params! { "a" => "x", "b" => "y" };
    let result = conn.exec_iter(&statement, texts()).await.unwrap();
    let rows: Vec<(String, String, String, u8)> = result.collect_and_drop().await.unwrap();
    assert_eq!(rows, [("x".into(), "y".into(), "x".into(), 3)]);
    let numbers = || params! { "a" => 2, "b" => 3 };
    let by_text: Option<(u8, u8, u8, u8)> = conn.exec_first(named, numbers()).await.unwrap();
    let prepared = conn.exec_first(&statement, numbers()).await.unwrap();
    assert_eq!(
        (by_text, prepared),
        (Some((2, 3, 2, 3)), Some((2, 3, 2, 3)))
    );
    let positional = conn.prep("SELECT ?, ?, ?, ?").await.unwrap();
    let row = conn.exec_first(&positional, (2, 3, 2, 3)).await.unwrap();
    assert_eq!(prepared, row);
    let first = "SELECT :a UNION ALL SELECT :b";
    assert_eq!(conn.exec_first(first, numbers()).await.unwrap(), Some(2));
    let result = conn.exec_iter(named, numbers()).await.unwrap();
    let product = |row| {
        let (a, b, c, d): (u8, u8, u8, u8) = from_row(row);
        a * b * c * d
    };
    assert_eq!(result.map_and_drop(product).await.unwrap(), [36]);
}

#[tokio::test]
async fn numbers_and_bytes_are_read_as_they_were_written() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let create = "CREATE TEMPORARY TABLE t (a VARBINARY(16), b BINARY(4), c BIGINT UNSIGNED)";
    conn.query_drop(create).await.unwrap();
    let insert = "INSERT INTO t VALUES (0xC066F966B0860000, 0x7939DA98, 0), ('', 0x00, 1)";
    conn.query_drop(insert).await.unwrap();
    assert_eq!(conn.affected_rows(), 2);
    let result = conn.query_iter("SELECT a, b, c FROM t").await.unwrap();
    let rows = result.map_and_drop(from_row::<(Vec<u8>, Vec<u8>, u64)>);
    let rows = rows.await.unwrap();
    assert_eq!(rows[0].0, [0xC0, 0x66, 0xF9, 0x66, 0xB0, 0x86, 0, 0]);
    assert_eq!(rows[1], (vec![], vec![0; 4], 1));
}

#[tokio::test]
async fn cache_keeps_as_many_statements_as_it_may() {
    let closed = async |conn: &mut PeerConn| {
        let status = "SHOW SESSION STATUS LIKE 'Com_stmt_close'";
        let row: Option<(String, u32)> = conn.query_first(status).await.unwrap();
        row.unwrap().1
    };
    let (_server, pool) = stage("stmt_cache_size=3").await;
    let mut conn = pool.get_conn().await.unwrap();
    for number in [1, 2, 3, 1, 4, 3, 5, 6] {
        conn.exec_drop(format!("DO {number}"), ()).await.unwrap();
    }
    assert_eq!(closed(&mut conn).await, 3);

    let (_server, pool) = stage("stmt_cache_size=0").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.exec_drop("DO ?", (1,)).await.unwrap();
    let statement = conn.prep("DO 2").await.unwrap();
    conn.exec_drop(&statement, ()).await.unwrap();
    conn.exec_drop(&statement, ()).await.unwrap();
    conn.close(statement).await.unwrap();
    conn.exec_drop("DO 3", ()).await.unwrap();
    conn.exec_batch("DO 4", vec![(), ()]).await.unwrap();
    conn.exec_first::<u8, _, _>("DO 5", ()).await.unwrap();
    assert_eq!(closed(&mut conn).await, 1);
}

type Batch = (i32, Option<String>, Option<u64>);

#[tokio::test]
async fn batch_is_executed_for_each_of_its_parameters() {
    let (server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let create = "CREATE TEMPORARY TABLE t (id INT, name TEXT, number BIGINT UNSIGNED)";
    conn.query_drop(create).await.unwrap();
    let insert = "INSERT INTO t VALUES (?, ?, ?)";
    let rows: [Batch; 3] = [
        (1, Some("a".to_owned()), None),
        (3, None, Some(1)),
        (4, Some("b".to_owned()), Some(u64::MAX)),
    ];
    conn.exec_batch(insert, rows.clone()).await.unwrap();
    let last: Batch = (8, None, None);
    conn.exec_batch(insert, [last.clone()]).await.unwrap();
    let written: Vec<Batch> = conn.query("SELECT id, name, number FROM t").await.unwrap();
    assert_eq!(written[..3], rows);
    assert_eq!(written[3], last);

    let add = "UPDATE t SET id = id + 1 WHERE id < 3";
    conn.exec_batch(add, vec![(); 5]).await.unwrap();
    assert_eq!(
        conn.query_first("SELECT MIN(id) FROM t").await.unwrap(),
        Some(3)
    );

    let selected = conn.exec_batch("SELECT ?", [(1,), (2,), (3,)]).await;
    match server.maker() {
        // It takes a batch as a whole.
        Maker::MariaDb => assert_eq!(code(&selected.unwrap_err()), Some(1295)),
        Maker::MySql => selected.unwrap(),
    }
}

#[tokio::test]
async fn batch_larger_than_a_packet_is_split() {
    let (_server, pool) = stage("max_allowed_packet=1024").await;
    let mut conn = pool.get_conn().await.unwrap();
    let create = "CREATE TEMPORARY TABLE t (id BIGINT, name VARCHAR(1024))";
    conn.query_drop(create).await.unwrap();
    let rows: Vec<(u64, String)> = (1..=3).map(|id| (id, "a".repeat(1024 / 3))).collect();
    let insert = "INSERT INTO t VALUES (?, ?)";
    conn.exec_batch(insert, rows.clone()).await.unwrap();
    for row in rows {
        let select = format!("SELECT id, name FROM t WHERE id = {}", row.0);
        assert_eq!(conn.query_first(select).await.unwrap(), Some(row));
    }
    let too_large = [(4_u64, "a".repeat(1024))];
    assert!(conn.exec_batch(insert, too_large).await.is_err());
}

#[tokio::test]
async fn transactions_are_committed_and_rolled_back() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE t (id INT DEFAULT 10, name TEXT)")
        .await
        .unwrap();
    let count = "SELECT COUNT(*) FROM t";
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        .await
        .unwrap();
    assert_eq!(transaction.last_insert_id(), None);
    assert_eq!(
        (transaction.affected_rows(), transaction.get_warnings()),
        (2, 0)
    );
    assert_eq!(transaction.info(), "Records: 2  Duplicates: 0  Warnings: 0");
    transaction.commit().await.unwrap();
    assert_eq!(conn.query_first(count).await.unwrap(), Some(2));

    for is_dropped in [false, true] {
        let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
        transaction
            .query_drop("INSERT INTO t VALUES (3, 'c'), (4, 'd')")
            .await
            .unwrap();
        assert_eq!(transaction.exec_first(count, ()).await.unwrap(), Some(4));
        match is_dropped {
            true => drop(transaction),
            false => transaction.rollback().await.unwrap(),
        }
        assert_eq!(conn.query_first(count).await.unwrap(), Some(2));
    }
}

#[tokio::test]
async fn dropped_results_and_transactions_leave_nothing() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE t (id SERIAL)")
        .await
        .unwrap();
    drop(conn.query_iter("SELECT 1").await.unwrap());
    conn.ping().await.unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO t VALUES (42)")
        .await
        .unwrap();
    drop(
        transaction
            .exec_iter("SELECT COUNT(*) FROM t", ())
            .await
            .unwrap(),
    );
    drop(transaction);
    conn.ping().await.unwrap();
    assert_eq!(
        conn.query_first("SELECT COUNT(*) FROM t").await.unwrap(),
        Some(0)
    );
}

#[tokio::test]
async fn local_files_are_read_by_the_connections_handler_or_the_options() {
    let server = servers(1, MariaDb::builder().arg("--local-infile=1"))
        .await
        .remove(0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    std::fs::write(&path, "aaa\nbbb\nccc\n").unwrap();
    let path = path.to_str().unwrap();
    let opts = OptsBuilder::from_opts(Opts::from_url(&server.url()).unwrap());
    let handler = WhiteListFsHandler::new(&[path][..]);
    let pool = pool_with(opts.local_infile_handler(Some(handler)));
    let mut conn = pool.get_conn().await.unwrap();
    let create = "DROP TEMPORARY TABLE IF EXISTS t; CREATE TEMPORARY TABLE t (a TEXT)";
    let load = format!("LOAD DATA LOCAL INFILE '{path}' INTO TABLE t");
    conn.query_drop(create).await.unwrap();
    conn.query_drop(&*load).await.unwrap();
    let rows: Vec<String> = conn.query("SELECT a FROM t").await.unwrap();
    assert_eq!(rows, ["aaa", "bbb", "ccc"]);

    conn.query_drop(create).await.unwrap();
    conn.set_infile_handler(async {
        let parts = ["ddd\n", "eee\nfff\n"].map(|part| Ok(part.into()));
        Ok(stream::iter(parts).boxed())
    });
    conn.query_drop("LOAD DATA LOCAL INFILE 'none' INTO TABLE t")
        .await
        .unwrap();
    let rows: Vec<String> = conn.query("SELECT a FROM t").await.unwrap();
    assert_eq!(rows, ["ddd", "eee", "fff"]);

    conn.query_drop(create).await.unwrap();
    let among = format!("SELECT a FROM t; {load}; {load}; SELECT a FROM t");
    let mut result = among.run(&mut conn).await.unwrap();
    assert!(result.collect::<String>().await.unwrap().is_empty());
    for _ in 0..2 {
        assert!(result.collect::<String>().await.unwrap().is_empty());
        assert_eq!(result.affected_rows(), 3);
    }
    let rows = result.collect::<String>().await.unwrap();
    assert_eq!(rows, ["aaa", "bbb", "ccc", "aaa", "bbb", "ccc"]);
    drop(result);
    conn.ping().await.unwrap();
}
