//! A name that moves, over doubles.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::FakeMySql;

use super::{Names, at_one_port};
use crate::common::setup::still as quick;
use crate::common::{soon, states, until};

/// A pool of one peer, `db`, of this name and port.
fn pool_of(host: &str, port: u16, options: PoolOptions) -> Pool {
    let url = format!("mysql://root@{host}:{port}/test?pool_min=0");
    options.open([("db", url.as_str())]).unwrap()
}

pub(super) fn pool(fakes: &[FakeMySql], options: PoolOptions) -> Pool {
    pool_of("db.internal", fakes[0].port(), options)
}

/// How many each has, and no check adds one.
fn connections(fakes: &[FakeMySql]) -> Vec<usize> {
    fakes.iter().map(FakeMySql::connections).collect()
}

#[tokio::test]
async fn connections_follow_a_name() {
    let fakes: [_; 2] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    let pool = pool(&fakes, names.known_to(quick()));
    let mut held = pool.get_conn().await.unwrap();
    drop(pool.get_conn().await.unwrap());
    until("one is idle", || pool.usage().peers[0].idle == 1).await;
    assert_eq!(connections(&fakes), [2, 0]);

    names.are(&[2]);
    until("the idle one is closed", || connections(&fakes) == [1, 0]).await;
    for _ in 0..4 {
        drop(pool.get_conn().await.unwrap());
    }
    assert_eq!(connections(&fakes)[0], 1, "no checkout went to the old one");
    held.query_drop("DO 1").await.unwrap();
    drop(held);
    let closed = || connections(&fakes)[0] == 0;
    until("it is closed when it is returned", closed).await;
    assert_eq!(states(&pool), [State::Up]);
}

#[tokio::test]
async fn other_order_and_further_addresses_move_nothing() {
    let fakes: [_; 3] = at_one_port().await;
    let names = Names::default();
    names.are(&[2, 1]);
    let pool = pool(&fakes, names.known_to(quick()));
    drop(pool.get_conn().await.unwrap());
    for same in [&[1, 2][..], &[3, 2, 1], &[2]] {
        names.are(same);
        names.are_looked_up_again().await;
        drop(pool.get_conn().await.unwrap());
    }
    assert_eq!(connections(&fakes)[0] + connections(&fakes)[2], 0);
    assert_eq!(pool.usage().peers[0].opened, 1);
    names.are(&[3, 1]);
    until("it has moved", || connections(&fakes) == [0, 0, 0]).await;
    drop(pool.get_conn().await.unwrap());
    assert!(connections(&fakes)[2] > 0);
}

#[tokio::test]
async fn failed_and_empty_lookups_keep_the_last_address() {
    let fakes: [_; 1] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    let pool = pool(&fakes, names.known_to(quick()));
    drop(pool.get_conn().await.unwrap());
    names.fail();
    names.are_looked_up_again().await;
    drop(pool.get_conn().await.unwrap());
    names.are(&[]);
    names.are_looked_up_again().await;
    drop(pool.get_conn().await.unwrap());
    assert_eq!(pool.usage().peers[0].opened, 1);
    assert!(pool.check(Duration::from_secs(9)).await[0].is_online());
}

#[tokio::test]
async fn name_that_is_not_found_yet_takes_its_peer_out_until_it_is() {
    let fakes: [_; 1] = at_one_port().await;
    let names = Names::default();
    let pool = pool(&fakes, names.known_to(quick()));
    pool.get_conn().await.unwrap_err();
    assert_eq!(states(&pool), [State::Ejected]);
    let report = pool.check(Duration::from_secs(9)).await;
    let fault = report[0].fault.as_ref().map(ToString::to_string);
    assert!(fault.unwrap().starts_with("cannot be reached"));
    names.are(&[1]);
    until("its probe passes", || states(&pool) == [State::Up]).await;
    drop(pool.get_conn().await.unwrap());
}

/// The driver, given a name, would try all of its addresses, too.
#[tokio::test]
async fn checkout_goes_to_the_next_address_where_one_is_refused() {
    let fakes: [_; 3] = at_one_port().await;
    fakes[0].kill();
    let names = Names::default();
    names.are(&[1, 2, 3]);
    let pool = pool(&fakes, names.known_to(quick()));
    drop(pool.get_conn().await.unwrap());
    assert_eq!(connections(&fakes), [0, 1, 0]);
    assert_eq!(states(&pool), [State::Up]);
    // It stays where it is until that fails, too.
    fakes[0].restart().await.unwrap();
    fakes[1].kill();
    drop(soon(pool.get_conn()).await.unwrap());
    let connections = connections(&fakes);
    assert!(connections[2] > 0 && connections[0] == 0, "{connections:?}");
    assert_eq!(states(&pool), [State::Up]);
}

#[tokio::test]
async fn peer_that_was_out_is_back_as_soon_as_its_name_has_moved() {
    let fakes: [_; 2] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    let hour = Duration::from_secs(3600);
    let options = quick().first_recheck(hour).max_recheck_interval(hour);
    let pool = pool(&fakes, names.known_to(options.clone()));
    drop(pool.get_conn().await.unwrap());
    fakes[0].kill();
    pool.get_conn().await.unwrap_err();
    assert_eq!(states(&pool), [State::Ejected]);
    names.are(&[2]);
    until("it is up again", || states(&pool) == [State::Up]).await;
    drop(pool.get_conn().await.unwrap());
    assert_eq!(connections(&fakes), [0, 1]);

    // An operator's decision stands.
    pool.peers().eject("db", hour).unwrap();
    fakes[0].restart().await.unwrap();
    names.are(&[1]);
    names.are_looked_up_again().await;
    names.are_looked_up_again().await;
    assert_eq!(states(&pool), [State::Ejected]);
}

#[tokio::test]
async fn addresses_are_not_looked_up() {
    let fakes: [_; 1] = at_one_port().await;
    let names = Names::default();
    let pool = pool_of("127.0.0.1", fakes[0].port(), names.known_to(quick()));
    drop(pool.get_conn().await.unwrap());
    assert_eq!(names.lookups(), 0);

    // Without an interval, a name is the driver's.
    let options = names.known_to(quick()).name_lookup_interval(None);
    let pool = pool_of("localhost", fakes[0].port(), options);
    drop(pool.get_conn().await.unwrap());
    assert_eq!(names.lookups(), 0);
}

/// `localhost` may have an IPv6 address first, at which nothing listens.
#[tokio::test]
async fn the_system_looks_names_up_by_default() {
    let fakes: [_; 1] = at_one_port().await;
    let pool = pool_of("localhost", fakes[0].port(), quick());
    drop(pool.get_conn().await.unwrap());
    assert_eq!(states(&pool), [State::Up]);
}

/// Each of many callers would look the name up.
#[tokio::test]
async fn first_lookup_is_shared() {
    let fakes: [_; 1] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    let options = names.known_to(quick().checkout_timeout(Duration::from_secs(30)));
    let options = options.name_lookup_interval(Duration::from_secs(3600));
    let pool = pool(&fakes, options);
    let checkouts = (0..50).map(|_| pool.get_conn());
    let conns = futures_util::future::try_join_all(checkouts).await.unwrap();
    assert_eq!((conns.len(), names.lookups()), (50, 1));
}
