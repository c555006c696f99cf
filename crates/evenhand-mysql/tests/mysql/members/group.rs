//! A real group of MySQL servers that shrinks and grows.

use std::time::Duration;

use evenhand_mysql::Membership;
use evenhand_testkit::{Group, Maker};
use tokio::task::spawn_blocking;

use super::{Load, up_are};
use crate::common::setup::patient;

#[tokio::test]
async fn group_that_shrinks_and_grows_costs_no_checkout() {
    if !Maker::MySql.is_here("Group Replication") {
        return;
    }
    let started = spawn_blocking(|| Group::start(3)).await.unwrap();
    let mut group = started.unwrap_or_else(|error| panic!("{error}"));
    let seed = format!("{}?pool_min=0", group[0].url());
    let at = |number: usize| format!("127.0.0.1:{}", group[number].port());
    let (second, third) = (at(1), at(2));
    let membership = Membership::group_replication().interval(Duration::from_millis(200));
    let pool = patient()
        .discover(membership)
        .open([("seed", seed.as_str())])
        .unwrap();
    let load = Load::on(&pool);
    up_are(&pool, &["seed", &second, &third]).await;
    load.goes_on().await;

    // It leaves, but runs on: reads there would be old.
    group[2].leave().unwrap();
    up_are(&pool, &["seed", &second]).await;
    load.goes_on().await;
    group[2].join().unwrap();
    up_are(&pool, &["seed", &second, &third]).await;
    // The seed, which is the primary, goes.
    let group = spawn_blocking(move || {
        group[0].stop().unwrap();
        group
    });
    let _group = group.await.unwrap();
    up_are(&pool, &[&second, &third]).await;
    load.end().await;
}
