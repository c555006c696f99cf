//! Statements on the pool itself: `"..".first(&pool)`.

use std::time::Duration;

use crate::common::{LIMIT, fakes, pool, pool_with, quick, states, until, up};
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::{BatchQuery, Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{self, Value};
use evenhand_mysql::{Error, Pool};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::timeout;

#[tokio::test]
async fn every_query_form_works() {
    let fakes: [_; 2] = fakes().await;
    for fake in &fakes {
        fake.answer("SELECT name FROM users", ["name"], [["ann"], ["bob"]]);
    }
    let pool = pool(&fakes, quick());
    let one: Option<u32> = "SELECT 1".first(&pool).await.unwrap();
    assert_eq!(one, Some(1));
    let row: Option<(u32, String)> = "SELECT ?, ?".with((42, "foo")).first(&pool).await.unwrap();
    assert_eq!(row, Some((42, "foo".into())));
    let names: Vec<String> = "SELECT name FROM users".fetch(&pool).await.unwrap();
    assert_eq!(names, ["ann", "bob"]);
    let names = "SELECT name FROM users";
    let long: Vec<usize> = names.map(&pool, |name: String| name.len()).await.unwrap();
    assert_eq!(long, [3, 3]);
    let sum = names.reduce(&pool, 0, |sum, name: String| sum + name.len());
    assert_eq!(sum.await.unwrap(), 6);
    "DO 1".ignore(&pool).await.unwrap();
    let mut result = "SELECT ?".with((7,)).run(&pool).await.unwrap();
    assert_eq!(result.next().await.unwrap().unwrap().get(0), Some(7));
    drop(result);
    "DO ?"
        .with((0..10).map(|x| (x,)))
        .batch(&pool)
        .await
        .unwrap();
    let one: Option<u32> = "SELECT 1".first(pool.clone()).await.unwrap();
    assert_eq!(one, Some(1), "by value, too");
    until("all are back", || pool.usage().in_use == 0).await;
    pool.disconnect().await.unwrap();
}

#[tokio::test]
async fn checkout_fails_over_and_names_failures() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    fakes[0].kill();
    for _ in 0..10 {
        let port: Option<u16> = "SELECT @@port".first(&pool).await.unwrap();
        assert_eq!(port, Some(fakes[1].port()));
    }
    assert_eq!(up(&pool), 1);
    fakes[1].kill();
    let outcome: mysql_async::Result<Option<u16>> = "SELECT @@port".first(&pool).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error}");
    // Unless it had an idle connection that died under it.
    let found = Error::find(&error);
    assert!(matches!(found, None | Some(Error::Checkout(_))), "{error}");
}

#[tokio::test]
async fn permits_last_until_the_result_ends() {
    let [fake] = fakes::<1>().await;
    let pool = pool_with(
        "pool_min=0&pool_max=1",
        std::slice::from_ref(&fake),
        quick().max_connections(1),
    );
    let result = "SELECT 1".run(&pool).await.unwrap();
    assert_eq!((pool.usage().in_use, pool.statuses()[0].in_flight), (1, 1));
    let error = pool.get_conn().await.unwrap_err();
    assert!(
        matches!(Error::find(&error), Some(Error::Full { .. })),
        "{error}"
    );
    drop(result);
    assert_eq!(pool.usage().in_use, 0);
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn drain_waits_for_the_result() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    pool.peers().eject("b", Duration::from_secs(3600)).unwrap();
    let result = "SELECT 1".run(&pool).await.unwrap();
    let peers = pool.peers();
    let mut draining = tokio::spawn(async move { peers.drain("a").await });
    let early = timeout(Duration::from_millis(200), &mut draining).await;
    assert!(early.is_err());
    drop(result);
    draining.await.unwrap().unwrap();
    until("its connection is closed", || fakes[0].connections() == 0).await;
}

#[tokio::test]
async fn session_is_reset_for_the_next() {
    let [fake] = fakes::<1>().await;
    let pool = pool_with(
        "pool_min=0&pool_max=1",
        std::slice::from_ref(&fake),
        quick(),
    );
    "SET @left = 1".ignore(&pool).await.unwrap();
    for _ in 0..5 {
        let left: Option<Value> = "SELECT @left".first(&pool).await.unwrap();
        assert_eq!(left, Some(Value::NULL));
    }
}

/// The driver alone would answer the next statement on it with this one's rows.
#[tokio::test]
async fn cancelled_query_leaves_no_answer_behind() {
    let [fake] = fakes::<1>().await;
    let pool = pool_with(
        "pool_min=0&pool_max=1",
        std::slice::from_ref(&fake),
        quick(),
    );
    for n in 0..5 {
        let slow = "SELECT 41, SLEEP(0.2)".first::<(u32, u32), _>(&pool);
        assert!(timeout(Duration::from_millis(50), slow).await.is_err());
        let next: Option<u32> = format!("SELECT {n}").first(&pool).await.unwrap();
        assert_eq!(next, Some(n));
    }
    assert_eq!(states(&pool), [State::Up]);
}

/// One idle connection, so that no login finds out.
async fn with_one_idle(fake: &FakeMySql) -> Pool {
    let pool = pool_with("pool_min=0&pool_max=1", std::slice::from_ref(fake), quick());
    drop(pool.get_conn().await.unwrap());
    until("it is idle", || pool.usage().peers[0].idle == 1).await;
    pool
}

#[tokio::test]
async fn frozen_peer_is_found() {
    let [fake] = fakes::<1>().await;
    let pool = with_one_idle(&fake).await;
    fake.freeze();
    let hangs = "SELECT 1".first::<u32, _>(&pool);
    assert!(timeout(LIMIT / 3, hangs).await.is_err());
    until("it is out", || up(&pool) == 0).await;
    fake.thaw();
    until("it is back", || up(&pool) == 1).await;
}

#[tokio::test]
async fn broken_silent_peer_is_found() {
    let [fake] = fakes::<1>().await;
    let pool = with_one_idle(&fake).await;
    fake.set_fault(Fault::CutMidPacket);
    let lost = "SELECT 1".first::<u32, _>(&pool).await.unwrap_err();
    assert!(matches!(lost, mysql_async::Error::Io(_)), "{lost}");
    until("it is out", || up(&pool) == 0).await;
}

#[tokio::test]
async fn galera_node_refusing_work_is_found() {
    let [fake] = fakes::<1>().await;
    let pool = with_one_idle(&fake).await;
    fake.set_fault(Fault::NotPrimary);
    let refused = "INSERT INTO t VALUES (1)".ignore(&pool).await.unwrap_err();
    assert!(matches!(refused, mysql_async::Error::Server(ref e) if e.code == 1047));
    until("it is out", || up(&pool) == 0).await;
}

/// The same through a connection of one's own, whose statements the driver's traits hide as well.
#[tokio::test]
async fn hidden_error_is_found_on_return() {
    let [fake] = fakes::<1>().await;
    let pool = with_one_idle(&fake).await;
    fake.set_fault(Fault::NotPrimary);
    let mut conn = pool.get_conn().await.unwrap();
    "INSERT INTO t VALUES (1)"
        .ignore(&mut conn)
        .await
        .unwrap_err();
    assert_eq!(states(&pool), [State::Up], "not judged by its code");
    drop(conn);
    until("it is out", || up(&pool) == 0).await;
}

#[tokio::test]
async fn own_error_ejects_no_peer() {
    let [fake] = fakes::<1>().await;
    let pool = with_one_idle(&fake).await;
    for _ in 0..10 {
        let wrong = "SELECT nonsense FROM nowhere".ignore(&pool).await;
        assert!(matches!(wrong, Err(mysql_async::Error::Server(ref e)) if e.code == 1064));
    }
    let mut conn = pool.get_conn().await.unwrap();
    conn.ping().await.unwrap();
    assert_eq!(states(&pool), [State::Up]);
}
