//! What the driver's tests ask of results.

use std::sync::atomic::{AtomicUsize, Ordering};

use evenhand_mysql::mysql_async::consts::ColumnType;
use evenhand_mysql::mysql_async::prelude::{BatchQuery, StatementLike, WithParams};
use evenhand_mysql::mysql_async::prelude::{FromRow, Protocol, Query, Queryable};
use evenhand_mysql::mysql_async::{Column, Error, QueryResult, Result, Row, TxOpts, from_row};
use evenhand_testkit::Maker;
use futures_util::TryStreamExt;

use super::stage;

fn code<T>(outcome: Result<T>) -> Option<u16> {
    match outcome {
        Err(Error::Server(error)) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn text_results_are_streamed_one_after_the_other() {
    let (_server, pool) = stage("").await;
    let query = "SELECT 1; SELECT 'a' UNION ALL SELECT 'b'; SELECT 3, 4 UNION ALL SELECT 5, 6; \
                 SELECT nonsense(); SELECT 7";
    let mut conn = pool.get_conn().await.unwrap();
    let mut result = query.run(&mut conn).await.unwrap();
    let rows = result.stream::<u8>().await.unwrap().unwrap();
    assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap(), [1]);
    drop(result.stream::<Row>().await.unwrap().unwrap());
    let rows = result.stream::<(u8, u8)>().await.unwrap().unwrap();
    assert_eq!(
        rows.try_collect::<Vec<_>>().await.unwrap(),
        [(3, 4), (5, 6)]
    );
    assert!(result.stream::<Row>().await.is_err());
    assert!(result.stream::<Row>().await.unwrap().is_none());

    let mut conn = pool.get_conn().await.unwrap();
    let mut result = query.run(&mut conn).await.unwrap();
    assert_eq!(result.collect::<u8>().await.unwrap(), [1]);
    let first: String = from_row(result.next().await.unwrap().unwrap());
    assert_eq!(first, "a");
    drop(result.stream::<Row>().await.unwrap().unwrap());
    let first: (u8, u8) = from_row(result.next().await.unwrap().unwrap());
    assert_eq!(first, (3, 4));
    assert_eq!(result.collect::<(u8, u8)>().await.unwrap(), [(5, 6)]);
    assert!(result.collect::<Row>().await.is_err());
    assert!(result.stream::<Row>().await.unwrap().is_none());
}

#[tokio::test]
async fn prepared_result_is_streamed() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let mut result = "SELECT ?".with((1,)).run(&mut conn).await.unwrap();
    assert_eq!(result.collect::<u8>().await.unwrap(), [1]);
    assert!(result.stream::<Row>().await.unwrap().is_none());
    drop(result);

    let mut result = "SELECT ?".with((1,)).run(&mut conn).await.unwrap();
    let rows = result.stream::<u8>().await.unwrap().unwrap();
    assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap(), [1]);
    assert!(result.collect::<u8>().await.unwrap().is_empty());
}

#[tokio::test]
async fn error_of_an_unread_result_meets_the_next_statement() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    drop(conn.query_iter("SELECT 1; nonsense").await.unwrap());
    assert_eq!(code(conn.query_drop("DO 1").await), Some(1064));
    conn.ping().await.unwrap();
}

#[tokio::test]
async fn row_of_another_type_is_an_error_of_its_own() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let query = "SELECT 'a', 1 UNION ALL SELECT 'b', 'c' UNION ALL SELECT 'd', 2; SELECT 'e', 3";
    let fits = |rows: Vec<std::result::Result<(String, u8), _>>| -> Vec<bool> {
        rows.iter().map(std::result::Result::is_ok).collect()
    };
    let mut result = conn.query_iter(query).await.unwrap();
    assert_eq!(
        fits(result.try_collect().await.unwrap()),
        [true, false, true]
    );
    result.drop_result().await.unwrap();
    let result = conn.query_iter(query).await.unwrap();
    let rows = result.try_collect_and_drop().await.unwrap();
    assert_eq!(fits(rows), [true, false, true]);
}

#[tokio::test]
async fn results_are_collected_mapped_reduced_and_visited() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let query = "SELECT 'a', 1 UNION ALL SELECT 'b', 2; SELECT 'c', 3";
    let expected = |rows: Vec<(String, u8)>, last: Vec<(String, u8)>| {
        assert_eq!(rows, [("a".into(), 1), ("b".into(), 2)]);
        assert_eq!(last, [("c".into(), 3)]);
    };
    let mut result = conn.query_iter(query).await.unwrap();
    let rows = result.collect().await.unwrap();
    expected(rows, result.collect_and_drop().await.unwrap());
    let mut result = conn.query_iter(query).await.unwrap();
    let rows = result.map(from_row).await.unwrap();
    expected(rows, result.map_and_drop(from_row).await.unwrap());

    let numbers = "SELECT 5 UNION ALL SELECT 6; SELECT 7";
    let sum = |sum, row| sum + from_row::<u32>(row);
    let mut result = conn.query_iter(numbers).await.unwrap();
    assert_eq!(result.reduce(0, sum).await.unwrap(), 11);
    assert_eq!(result.collect_and_drop::<u32>().await.unwrap(), [7]);

    let seen = AtomicUsize::new(0);
    let count = |row| {
        seen.fetch_add(from_row::<usize>(row), Ordering::Relaxed);
    };
    let mut result = conn.query_iter(numbers).await.unwrap();
    result.for_each(count).await.unwrap();
    result.for_each_and_drop(count).await.unwrap();
    assert_eq!(seen.into_inner(), 18);
}

#[tokio::test]
async fn results_without_rows_may_lie_between_others() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE t (id INT)")
        .await
        .unwrap();
    let query = "SELECT 1; UPDATE t SET id = 1; SELECT 2; SELECT 3; UPDATE t SET id = 1; \
                 UPDATE t SET id = 2; SELECT 4";
    let mut transaction = conn.start_transaction(TxOpts::new()).await.unwrap();
    transaction.query_drop(query).await.unwrap();
    let result = transaction.query_iter(query).await.unwrap();
    assert_eq!(result.collect_and_drop::<u8>().await.unwrap(), [1]);
    let result = transaction.query_iter(query).await.unwrap();
    let check = |row| assert_eq!(from_row::<u8>(row), 1);
    result.for_each_and_drop(check).await.unwrap();
    let result = transaction.query_iter(query).await.unwrap();
    assert_eq!(result.map_and_drop(from_row::<u8>).await.unwrap(), [1]);
    let result = transaction.query_iter(query).await.unwrap();
    let sum = result.reduce_and_drop(0, |sum, row| sum + from_row::<u8>(row));
    assert_eq!(sum.await.unwrap(), 1);
    transaction.query_drop(query).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(conn.exec_first("SELECT 1", ()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn error_among_results_is_the_last_of_them() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    for create in [
        "CREATE PROCEDURE first() BEGIN SELECT * FROM nowhere; SELECT 1; END",
        "CREATE PROCEDURE middle() BEGIN SELECT 1; SELECT * FROM nowhere; SELECT 2; END",
    ] {
        conn.query_drop(create).await.unwrap();
    }
    let missing = Some(1146);
    for (first, middle) in [
        (
            "SELECT * FROM nowhere; SELECT 1",
            "SELECT 1; SELECT * FROM nowhere; SELECT 2",
        ),
        ("CALL first()", "CALL middle()"),
    ] {
        assert_eq!(code(first.run(&mut conn).await), missing);
        let mut result = middle.run(&mut conn).await.unwrap();
        assert_eq!(result.collect::<u8>().await.unwrap(), [1]);
        assert_eq!(code(result.collect::<u8>().await), missing);
        assert!(result.is_empty());
        drop(result);
        conn.ping().await.unwrap();
    }
}

#[tokio::test]
async fn columns_of_each_result_are_known() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE t (id INT, name TEXT)")
        .await
        .unwrap();
    let query = "SELECT 1; SELECT id, name FROM t; DO 1; SELECT 2";
    let mut result = conn.query_iter(query).await.unwrap();
    let mut columns = Vec::new();
    for _ in 0..4 {
        columns.push(result.columns().map_or(0, |columns| columns.len()));
        result.for_each(drop).await.unwrap();
    }
    assert_eq!(columns, [1, 2, 0, 1]);
}

#[tokio::test]
async fn inserted_ids_are_known() {
    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE t (id SERIAL, name TEXT)")
        .await
        .unwrap();
    let insert = "INSERT INTO t (name) VALUES (?)";
    let result = conn.exec_iter(insert, ("a",)).await.unwrap();
    assert_eq!(result.last_insert_id(), Some(1));
    result.drop_result().await.unwrap();
    conn.exec_drop(insert, ("b",)).await.unwrap();
    assert_eq!(conn.last_insert_id(), Some(2));
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction.exec_drop(insert, ("c",)).await.unwrap();
    assert_eq!(transaction.last_insert_id(), Some(3));
}

fn described(columns: &[Column]) -> Vec<(String, ColumnType)> {
    let columns = columns.iter();
    columns
        .map(|column| (column.name_str().into_owned(), column.column_type()))
        .collect()
}

/// MariaDB sends the columns of a prepared statement again only when they have changed.
#[tokio::test]
async fn columns_of_a_prepared_statement_are_right_each_time() {
    use ColumnType::{MYSQL_TYPE_LONG, MYSQL_TYPE_LONGLONG, MYSQL_TYPE_VAR_STRING};

    let (server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let create = "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(32))";
    conn.query_drop(create).await.unwrap();
    let insert = conn.prep("INSERT INTO t (name) VALUES (?)").await.unwrap();
    for name in ["a", "b"] {
        conn.exec_drop(&insert, (name,)).await.unwrap();
    }
    let select = conn.prep("SELECT id, name FROM t").await.unwrap();
    let expected = [
        ("id".to_owned(), MYSQL_TYPE_LONG),
        ("name".to_owned(), MYSQL_TYPE_VAR_STRING),
    ];
    assert_eq!(described(&select.columns()), expected);
    for _ in 0..2 {
        let mut result = conn.exec_iter(&select, ()).await.unwrap();
        assert_eq!(described(&result.columns().unwrap()), expected);
        let rows: Vec<(i32, String)> = result.collect().await.unwrap();
        assert_eq!(rows, [(1, "a".into()), (2, "b".into())]);
    }
    let one = conn.prep("SELECT name FROM t WHERE id = ?").await.unwrap();
    assert_eq!(described(&one.columns()), expected[1..]);
    assert_eq!(
        conn.exec_first(&one, (1,)).await.unwrap(),
        Some("a".to_owned())
    );

    let any = conn.prep("SELECT ?").await.unwrap();
    for number in [12, 42] {
        let mut result = conn.exec_iter(&any, (number,)).await.unwrap();
        let columns = described(&result.columns().unwrap());
        assert_eq!(columns, [("?".to_owned(), MYSQL_TYPE_LONGLONG)]);
        assert_eq!(result.collect::<i32>().await.unwrap(), [number]);
    }
    if server.maker() == Maker::MySql {
        // It reads all that comes after a number as numbers.
        return;
    }
    let mut result = conn.exec_iter(&any, ("c",)).await.unwrap();
    let columns = described(&result.columns().unwrap());
    assert_eq!(columns, [("?".to_owned(), MYSQL_TYPE_VAR_STRING)]);
    assert_eq!(result.collect::<String>().await.unwrap(), ["c"]);
}

/// A macro, as each use needs a fresh connection argument.
macro_rules! in_every_form {
    ($query:expr, $conn:expr) => {{
        let mut result = $query.run($conn).await.unwrap();
        let rows: Vec<(u8, u8)> = result.collect().await.unwrap();
        assert_eq!(rows, [(1, 2), (3, 4)]);
        drop(result);
        $query.ignore($conn).await.unwrap();
        let first: Option<(u8, u8)> = $query.first($conn).await.unwrap();
        assert_eq!(first, Some((1, 2)));
        let rows: Vec<(u8, u8)> = $query.fetch($conn).await.unwrap();
        assert_eq!(rows, [(1, 2), (3, 4)]);
        let sums = $query.map($conn, |(a, b): (u8, u8)| a + b).await.unwrap();
        assert_eq!(sums, [3, 7]);
        let sum = $query.reduce($conn, 0, |sum, (a, b): (u8, u8)| sum + a + b);
        assert_eq!(sum.await.unwrap(), 10);
    }};
}

#[tokio::test]
async fn text_query_runs_on_everything_in_every_form() {
    let (_server, pool) = stage("").await;
    let text = "SELECT 1, 2 UNION ALL SELECT 3, 4; SELECT 5, 6";
    let string = text.to_owned();
    let mut conn = pool.get_conn().await.unwrap();
    in_every_form!(text, &mut conn);
    in_every_form!(&string, &mut conn);
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    in_every_form!(text, &mut transaction);
    in_every_form!(string.clone(), &mut transaction);
    transaction.rollback().await.unwrap();
    drop(conn);

    in_every_form!(text, &pool);
    in_every_form!(&string, &pool);
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    in_every_form!(text, &mut transaction);
    in_every_form!(&string, &mut transaction);
    transaction.rollback().await.unwrap();
    pool.disconnect().await.unwrap();
}

#[tokio::test]
async fn prepared_query_runs_on_everything_in_every_form() {
    let (_server, pool) = stage("").await;
    let text = "SELECT ?, ? UNION ALL SELECT ?, ?";
    let string = text.to_owned();
    let params = ("1", 2, "3", 4);
    let batch = || vec![params; 3];
    let mut conn = pool.get_conn().await.unwrap();
    let statement = conn.prep(text).await.unwrap();
    in_every_form!(text.with(params), &mut conn);
    in_every_form!(string.clone().with(params), &mut conn);
    in_every_form!(string.clone().into_boxed_str().with(params), &mut conn);
    in_every_form!((&statement).with(params), &mut conn);
    in_every_form!(statement.clone().with(params), &mut conn);
    text.with(batch()).batch(&mut conn).await.unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    in_every_form!(text.with(params), &mut transaction);
    in_every_form!((&statement).with(params), &mut transaction);
    text.with(batch()).batch(&mut transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    drop(conn);

    in_every_form!(text.with(params), &pool);
    in_every_form!(string.clone().with(params), &pool);
    text.with(batch()).batch(&pool).await.unwrap();
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    in_every_form!(text.with(params), &mut transaction);
    transaction.rollback().await.unwrap();
    pool.disconnect().await.unwrap();
}

/// A caller's own code may be generic over the protocol, the row and the statement.
#[tokio::test]
async fn generic_code_takes_results_and_statements() {
    async fn one<T, P>(mut result: QueryResult<'_, '_, P>) -> Option<T>
    where
        T: FromRow + Send + 'static,
        P: Protocol + Send + 'static,
    {
        result.collect().await.unwrap().pop()
    }

    async fn ask<S: StatementLike>(conn: &mut impl Queryable, statement: S) -> Option<u8> {
        conn.exec_first(statement, (1,)).await.unwrap()
    }

    let (_server, pool) = stage("").await;
    let mut conn = pool.get_conn().await.unwrap();
    let result = conn.query_iter("SELECT 1, 2, 3").await.unwrap();
    assert_eq!(one(result).await, Some((1, 2, 3)));
    let result = conn.exec_iter("SELECT ?, 2", (1,)).await.unwrap();
    assert_eq!(one(result).await, Some((1, 2)));
    assert_eq!(ask(&mut conn, "SELECT ?").await, Some(1));
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    let statement = transaction.prep("SELECT ?").await.unwrap();
    assert_eq!(ask(&mut transaction, &statement).await, Some(1));
}
