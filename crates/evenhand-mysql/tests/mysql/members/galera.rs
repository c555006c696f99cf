//! A real Galera cluster that grows and shrinks.

use std::time::Duration;

use evenhand_mysql::Membership;
use evenhand_testkit::Galera;
use tokio::task::spawn_blocking;

use super::{Load, up_are};
use crate::common::setup::patient;

/// With this done to the cluster.
async fn then(mut cluster: Galera, change: impl FnOnce(&mut Galera) + Send + 'static) -> Galera {
    let changed = spawn_blocking(move || {
        change(&mut cluster);
        cluster
    });
    changed.await.unwrap()
}

#[tokio::test]
async fn cluster_that_grows_and_shrinks_costs_no_checkout() {
    let started = spawn_blocking(|| Galera::start(3)).await.unwrap();
    let cluster = started.unwrap_or_else(|error| panic!("{error}"));
    let cluster = then(cluster, |cluster| {
        cluster[1].stop().unwrap();
        cluster[2].stop().unwrap();
    })
    .await;
    let seed = format!("{}?pool_min=0", cluster[0].url());
    let at = |number: usize| cluster[number].addr().to_string();
    let (second, third) = (at(1), at(2));
    let pool = patient()
        .discover(Membership::galera().interval(Duration::from_millis(200)))
        .open([("seed", seed.as_str())])
        .unwrap();
    let load = Load::on(&pool);
    load.goes_on().await;
    up_are(&pool, &["seed"]).await;

    let cluster = then(cluster, |cluster| cluster[1].restart().unwrap()).await;
    up_are(&pool, &["seed", &second]).await;
    load.goes_on().await;
    let cluster = then(cluster, |cluster| cluster[2].restart().unwrap()).await;
    up_are(&pool, &["seed", &second, &third]).await;
    load.goes_on().await;

    // The seed goes first.
    let cluster = then(cluster, |cluster| cluster[0].stop().unwrap()).await;
    up_are(&pool, &[&second, &third]).await;
    load.goes_on().await;
    let _cluster = then(cluster, |cluster| cluster[1].stop().unwrap()).await;
    up_are(&pool, &[&third]).await;
    load.end().await;
}
