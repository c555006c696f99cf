//! What the nodes say, and what the pool makes of it, over doubles.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::{Change, Membership, Pool, PoolOptions};
use evenhand_testkit::{ErrPacket, FakeMySql};

use super::{names, up_are};
use crate::common::setup::still;
use crate::common::{fakes, soon, states, until};

pub(super) const QUESTION: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
                        ('wsrep_cluster_status', 'wsrep_incoming_addresses')";

/// The node is in a component of this kind, with this list.
pub(super) fn says(fake: &FakeMySql, component: &str, list: &str) {
    let rows = [
        ["wsrep_cluster_status", component],
        ["wsrep_incoming_addresses", list],
    ];
    fake.answer(QUESTION, ["Variable_name", "Value"], rows);
}

pub(super) fn list(members: &[&FakeMySql]) -> String {
    let addresses: Vec<String> = members.iter().map(|fake| fake.addr().to_string()).collect();
    addresses.join(",")
}

/// Each says that these are the members.
pub(super) fn cluster(members: &[&FakeMySql]) {
    let list = list(members);
    members.iter().for_each(|fake| says(fake, "Primary", &list));
}

pub(super) fn addr(fake: &FakeMySql) -> String {
    fake.addr().to_string()
}

pub(super) fn galera() -> Membership {
    Membership::galera().interval(Duration::from_millis(20))
}

pub(super) fn pool_of(seeds: &[(&str, &FakeMySql)], options: PoolOptions) -> Pool {
    let urls = seeds
        .iter()
        .map(|(name, fake)| (*name, format!("{}?pool_min=0", fake.url())));
    let urls: Vec<(&str, String)> = urls.collect();
    let urls = urls.iter().map(|(name, url)| (*name, url.as_str()));
    options.open(urls).unwrap()
}

/// A pool that follows the cluster, and has begun.
pub(super) async fn following(seeds: &[(&str, &FakeMySql)], membership: Membership) -> Pool {
    let pool = pool_of(seeds, still().discover(membership));
    drop(soon(pool.get_conn()).await.unwrap());
    pool
}

/// The node has been asked, and once more, since.
pub(super) async fn asked_again(fake: &FakeMySql) {
    let before = fake.logins();
    until("asked again", || fake.logins() >= before + 3).await;
}

#[tokio::test]
async fn peers_are_the_members() {
    let [a, b, c] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    up_are(&pool, &["seed", &addr(&b)]).await;
    cluster(&[&a, &b, &c]);
    up_are(&pool, &["seed", &addr(&b), &addr(&c)]).await;
    // The seed leaves, and is there again.
    cluster(&[&b, &c]);
    a.kill();
    up_are(&pool, &[&addr(&b), &addr(&c)]).await;
    a.restart().await.unwrap();
    cluster(&[&a, &b, &c]);
    up_are(&pool, &["seed", &addr(&b), &addr(&c)]).await;
}

#[tokio::test]
async fn member_takes_work_once_its_probe_has_passed() {
    let [a, b] = fakes().await;
    b.answer_err(
        "DO 1",
        ErrPacket::new(1047, "08S01", "WSREP has not yet prepared node"),
    );
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    until("it is a peer", || pool.statuses().len() == 2).await;
    asked_again(&a).await;
    assert_eq!(states(&pool), [State::Up, State::Ejected]);
    b.answer("DO 1", ["1"], [["1"]]);
    up_are(&pool, &["seed", &addr(&b)]).await;
}

#[tokio::test]
async fn list_of_a_minority_and_no_list_at_all_change_nothing() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    let both = ["seed", &addr(&b)];
    up_are(&pool, &both).await;
    says(&a, "non-Primary", &list(&[&a]));
    says(&b, "non-Primary", &list(&[&b]));
    asked_again(&a).await;
    assert_eq!(pool.statuses().len(), 2);
    for list in ["", ",", "AUTO", &format!("{},AUTO", addr(&a)), "no address"] {
        says(&a, "Primary", list);
        says(&b, "Primary", list);
        asked_again(&a).await;
        assert_eq!(pool.statuses().len(), 2, "{list}");
    }
    // The one that has the quorum is believed, also where another was asked first.
    says(&b, "Primary", &list(&[&b]));
    up_are(&pool, &[&addr(&b)]).await;
}

/// Each of two halves that were both made primary has a list.
#[tokio::test]
async fn split_cluster_loses_no_peer() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    let both = ["seed", &addr(&b)];
    up_are(&pool, &both).await;
    cluster(&[&a]);
    cluster(&[&b]);
    asked_again(&a).await;
    asked_again(&b).await;
    up_are(&pool, &both).await;
}

#[tokio::test]
async fn seeds_are_asked_again_where_no_member_is_left() {
    let [a, b, c, d] = fakes().await;
    cluster(&[&b]);
    // The seeds are of a service, and no members.
    for seed in [&a, &d] {
        says(seed, "Primary", &list(&[&b]));
    }
    let pool = following(&[("seed", &a), ("other", &d)], galera()).await;
    up_are(&pool, &[&addr(&b)]).await;
    b.kill();
    a.kill();
    cluster(&[&c]);
    says(&d, "Primary", &list(&[&c]));
    up_are(&pool, &[&addr(&c)]).await;
    assert_eq!(soon(pool.get_conn()).await.unwrap().peer(), addr(&c));
}

#[tokio::test]
async fn addresses_of_the_cluster_are_mapped() {
    let [a, b] = fakes().await;
    for fake in [&a, &b] {
        says(fake, "Primary", "10.0.0.1:3306,10.0.0.2:3306");
    }
    let membership = galera()
        .map_address("10.0.0.1".parse().unwrap(), addr(&a).parse().unwrap())
        .map_address("10.0.0.2".parse().unwrap(), addr(&b).parse().unwrap());
    let pool = following(&[("seed", &a)], membership).await;
    up_are(&pool, &["seed", &addr(&b)]).await;
}

#[tokio::test]
async fn given_list_replaces_the_seeds() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    up_are(&pool, &["seed", &addr(&b)]).await;
    let url = |fake: &FakeMySql| format!("{}?pool_min=0&pool_max=7", fake.url());
    pool.peers().replace_all([("b", url(&b).as_str())]).unwrap();
    up_are(&pool, &[&addr(&a), "b"]).await;
    // Its options are those of the other members now.
    let limits = || pool.usage().peers.iter().all(|peer| peer.limit == 7);
    until("the options are the new ones", limits).await;
    let url = url(&a);
    let twice = pool
        .peers()
        .replace_all([("a", url.as_str()), ("a", url.as_str())]);
    assert!(twice.is_err());

    // Before the list has come, the peers are the seeds.
    let unused = pool_of(&[("seed", &a)], still().discover(galera()));
    unused.peers().replace_all([("c", url.as_str())]).unwrap();
    assert_eq!(names(&unused), ["c"]);
}

#[tokio::test]
async fn reload_replaces_the_seeds_and_no_member() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let config = |alias: &str, fake: &FakeMySql| {
        let text = format!(
            "[defaults]\ndiscover = 'galera'\ndiscover_interval = '20ms'\n\
             [databases.{alias}]\nurl = '{}?pool_min=0'\nweight = 2\n\
             [databases.orders]\npeers = ['{alias}']\npick = 'weighted'\n",
            fake.url()
        );
        Config::parse(&text, "f").unwrap_or_else(|error| panic!("{error}"))
    };
    let databases = still().open_databases(&config("a", &a)).unwrap();
    let pool = databases.get("orders").unwrap();
    drop(soon(pool.get_conn()).await.unwrap());
    up_are(&pool, &["a", &addr(&b)]).await;
    let changes = databases.reload(&config("b", &b)).unwrap();
    assert_eq!(changes.get("orders"), Some(&Change::Peers));
    up_are(&pool, &[&addr(&a), "b"]).await;
    until("it has its weight", || {
        pool.statuses().iter().any(|s| s.weight == 2)
    })
    .await;
    // A seed that is no peer keeps its weight for when it is one.
    says(&a, "Primary", &list(&[&b]));
    says(&b, "Primary", &list(&[&b]));
    up_are(&pool, &["b"]).await;
    databases.reload(&config("a", &a)).unwrap();
    up_are(&pool, &[&addr(&b)]).await;
    assert_eq!(pool.statuses()[0].weight, 1);
    says(&a, "Primary", &list(&[&a]));
    says(&b, "Primary", &list(&[&a]));
    up_are(&pool, &["a"]).await;
    assert_eq!(pool.statuses()[0].weight, 2);
}

#[tokio::test]
async fn without_discovery_the_peers_are_the_listed() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = pool_of(&[("seed", &a)], still());
    // One that follows them shows how long an answer takes.
    let other = following(&[("seed", &a)], galera()).await;
    drop(pool.get_conn().await.unwrap());
    up_are(&other, &["seed", &addr(&b)]).await;
    asked_again(&a).await;
    assert_eq!(names(&pool), ["seed"]);
}
