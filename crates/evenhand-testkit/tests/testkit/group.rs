//! A real group of MySQL servers, and what becomes of it when its primary goes.

use crate::common::soon;
use evenhand_testkit::{Group, Maker, Member};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};

async fn connect(member: &Member) -> Conn {
    soon(Conn::from_url(member.url())).await.unwrap()
}

async fn insert(member: &Member, value: u32) -> Result<(), Error> {
    let mut conn = connect(member).await;
    soon(conn.exec_drop("INSERT INTO t VALUES (?)", (value,))).await
}

async fn count(member: &Member) -> u64 {
    let mut conn = connect(member).await;
    conn.query_drop("SET SESSION group_replication_consistency = 'BEFORE'")
        .await
        .unwrap();
    let count = soon(conn.query_first("SELECT COUNT(*) FROM t")).await;
    count.unwrap().unwrap()
}

#[tokio::test]
async fn group_keeps_its_data_when_its_primary_goes() {
    if !Maker::MySql.is_here("Group Replication") {
        return;
    }
    let mut group = Group::start(3).unwrap();
    assert!(group[0].is_primary().unwrap());
    let mut conn = connect(&group[0]).await;
    conn.query_drop("CREATE TABLE t (a INT PRIMARY KEY)")
        .await
        .unwrap();
    insert(&group[0], 1).await.unwrap();
    let refused = insert(&group[1], 2).await.unwrap_err();
    assert!(
        matches!(refused, Error::Server(ref e) if e.code == 1290),
        "{refused}"
    );

    group.switch_primary(1).unwrap();
    assert!(group[1].is_primary().unwrap());
    insert(&group[1], 2).await.unwrap();

    group[1].leave().unwrap();
    let primary = group.wait_for_another_primary(1).unwrap();
    assert!(insert(&group[1], 3).await.is_err());
    insert(&group[primary], 3).await.unwrap();
    group[1].join().unwrap();

    group[primary].kill().unwrap();
    let next = group.wait_for_another_primary(primary).unwrap();
    insert(&group[next], 4).await.unwrap();
    group.restart(primary).unwrap();

    group[next].freeze().unwrap();
    let last = group.wait_for_another_primary(next).unwrap();
    insert(&group[last], 5).await.unwrap();
    group[next].thaw().unwrap();
    group.wait_for_size(3).unwrap();
    for member in group.members() {
        assert_eq!(count(member).await, 5, "{}", member.name());
    }
}
