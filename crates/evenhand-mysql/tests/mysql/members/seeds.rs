//! Seeds: names that move, other clusters, weights, and what operators said.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::{ErrPacket, FakeMySql};

use super::doubles::{QUESTION, addr, asked_again, cluster, following, galera, list, says};
use super::{names as members, up_are};
use crate::common::setup::still;
use crate::common::{fakes, soon, until};
use crate::names::{Names, at_one_port};

/// Each of the first tells that the second are the members.
fn told(by: &[&FakeMySql], members: &[&FakeMySql]) {
    by.iter()
        .for_each(|fake| says(fake, "Primary", &list(members)));
}

/// A pool with one seed, `db`, of this name, that has begun.
async fn pool_of_name(fakes: &[FakeMySql], names: &Names) -> Pool {
    let url = format!(
        "mysql://root@db.internal:{}/test?pool_min=0",
        fakes[0].port()
    );
    let options = names.known_to(still().discover(galera()));
    let pool = options.open([("db", url.as_str())]).unwrap();
    drop(soon(pool.get_conn()).await.unwrap());
    pool
}

/// One name for all servers, all of which are made anew elsewhere.
#[tokio::test]
async fn seed_that_is_no_peer_is_asked_where_its_name_leads_now() {
    let fakes: [_; 3] = at_one_port().await;
    let [a, b, c] = &fakes;
    let names = Names::default();
    names.are(&[1, 2]);
    cluster(&[a, b]);
    cluster(&[c]);
    says(a, "Primary", &list(&[a, b]));
    let pool = pool_of_name(&fakes, &names).await;
    up_are(&pool, &[&addr(a), &addr(b)]).await;
    names.are(&[3]);
    a.kill();
    b.kill();
    // It is the only one of the name.
    up_are(&pool, &["db"]).await;
}

#[tokio::test]
async fn seed_that_is_no_peer_is_asked_at_each_address_of_its_name() {
    let fakes: [_; 4] = at_one_port().await;
    let [a, b, c, d] = &fakes;
    let names = Names::default();
    names.are(&[1, 2]);
    for fake in [a, b, c] {
        says(fake, "Primary", &list(&[c]));
    }
    let pool = pool_of_name(&fakes, &names).await;
    up_are(&pool, &[&addr(c)]).await;
    says(b, "Primary", &list(&[d]));
    cluster(&[d]);
    a.kill();
    c.kill();
    up_are(&pool, &[&addr(d)]).await;
}

/// As a pod of a stateful set.
#[tokio::test]
async fn seed_that_comes_back_elsewhere_is_the_same_peer() {
    let fakes: [_; 3] = at_one_port().await;
    let [a, b, c] = &fakes;
    let names = Names::default();
    names.are(&[1]);
    cluster(&[a, b]);
    let pool = pool_of_name(&fakes, &names).await;
    up_are(&pool, &["db", &addr(b)]).await;
    a.kill();
    cluster(&[b]);
    up_are(&pool, &[&addr(b)]).await;
    names.are(&[3]);
    cluster(&[b, c]);
    up_are(&pool, &["db", &addr(b)]).await;
}

#[tokio::test]
async fn seeds_of_another_cluster_lead_to_it_while_the_one_before_lives() {
    let [a, b, c, d] = fakes().await;
    cluster(&[&a, &b]);
    cluster(&[&c, &d]);
    let pool = following(&[("a", &a)], galera()).await;
    up_are(&pool, &["a", &addr(&b)]).await;
    let url = |fake: &FakeMySql| format!("{}?pool_min=0", fake.url());
    pool.peers().replace_all([("c", url(&c).as_str())]).unwrap();
    up_are(&pool, &["c", &addr(&d)]).await;
    asked_again(&c).await;
    up_are(&pool, &["c", &addr(&d)]).await;

    // Until one of them answers, the members of before stay.
    a.kill();
    cluster(&[&b]);
    pool.peers().replace_all([("a", url(&a).as_str())]).unwrap();
    asked_again(&d).await;
    up_are(&pool, &["c", &addr(&d)]).await;
    a.restart().await.unwrap();
    cluster(&[&a, &b]);
    up_are(&pool, &["a", &addr(&b)]).await;
}

/// By another alias, and by the same.
#[tokio::test]
async fn members_of_the_cluster_before_are_not_asked_while_they_wait_to_leave() {
    for alias in ["c", "a"] {
        let [a, b, c, d] = fakes().await;
        cluster(&[&a, &b]);
        cluster(&[&c, &d]);
        // It never proves itself, so that one of those before stays.
        d.answer_err("DO 1", ErrPacket::new(1047, "08S01", "not yet"));
        let pool = following(&[("a", &a)], galera()).await;
        up_are(&pool, &["a", &addr(&b)]).await;
        let url = format!("{}?pool_min=0", c.url());
        pool.peers().replace_all([(alias, url.as_str())]).unwrap();
        let at = addr(&d);
        until("it is a peer", || members(&pool).contains(&at)).await;
        asked_again(&c).await;
        let asked = || (a.logins(), b.logins());
        let (before, peers) = (asked(), members(&pool));
        for _ in 0..5 {
            asked_again(&c).await;
            assert_eq!(asked(), before, "{alias}");
            assert_eq!(members(&pool), peers, "{alias}");
        }
        assert_eq!(peers.len(), 3, "{peers:?}");
        d.answer("DO 1", ["1"], [["1"]]);
        up_are(&pool, &[alias, &at]).await;
    }
}

#[tokio::test]
async fn drained_member_of_the_cluster_before_leaves() {
    let [a, b, c] = fakes().await;
    cluster(&[&a, &b]);
    cluster(&[&c]);
    let pool = following(&[("a", &a)], galera()).await;
    up_are(&pool, &["a", &addr(&b)]).await;
    soon(pool.peers().drain(&addr(&b))).await.unwrap();
    let url = format!("{}?pool_min=0", c.url());
    pool.peers().replace_all([("c", url.as_str())]).unwrap();
    up_are(&pool, &["c"]).await;
}

#[tokio::test]
async fn added_peer_of_another_cluster_is_not_asked() {
    let [a, c] = fakes().await;
    cluster(&[&a]);
    cluster(&[&c]);
    let pool = following(&[("a", &a)], galera()).await;
    asked_again(&a).await;
    let url = format!("{}?pool_min=0", c.url());
    pool.peers().add("c", url.as_str()).unwrap();
    up_are(&pool, &["a"]).await;
    assert_eq!(c.logins(), 0);
}

#[tokio::test]
async fn seeds_that_do_not_answer_change_no_name_weight_or_option() {
    let [a, b, c] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("a", &a)], galera()).await;
    let at = addr(&b);
    up_are(&pool, &["a", &at]).await;
    pool.peers().set_weight("a", 0).unwrap();
    let shown = || {
        let statuses = pool.statuses();
        let mut shown: Vec<_> = statuses
            .iter()
            .zip(pool.usage().peers)
            .map(|(status, usage)| (status.peer.to_string(), status.weight, usage.limit))
            .collect();
        shown.sort();
        shown
    };
    let before = shown();
    c.kill();
    let url = format!("{}?pool_min=0&pool_max=7", c.url());
    pool.peers().replace_all([("c", url.as_str())]).unwrap();
    asked_again(&b).await;
    assert_eq!(shown(), before);
    // The seed of before leaves, and is there again.
    told(&[&a, &b], &[&b]);
    up_are(&pool, &[&at]).await;
    cluster(&[&a, &b]);
    up_are(&pool, &["a", &at]).await;
    assert_eq!(shown(), before);
    // A new one answers.
    told(&[&c], &[&a, &b]);
    c.restart().await.unwrap();
    up_are(&pool, &[&addr(&a), &at]).await;
    assert!(shown().iter().all(|peer| (peer.1, peer.2) == (1, 7)));
}

#[tokio::test]
async fn seed_has_its_weight_whenever_it_is_a_peer() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    up_are(&pool, &["seed", &addr(&b)]).await;
    let weight = || {
        let statuses = pool.statuses();
        let seed = statuses.iter().find(|status| &*status.peer == "seed");
        seed.map(|seed| seed.weight)
    };
    pool.peers().set_weight("seed", 0).unwrap();
    for then in [5, 7] {
        let before = weight();
        told(&[&a, &b], &[&b]);
        up_are(&pool, &[&addr(&b)]).await;
        cluster(&[&a, &b]);
        up_are(&pool, &["seed", &addr(&b)]).await;
        assert_eq!(weight(), before);
        told(&[&a, &b], &[&b]);
        up_are(&pool, &[&addr(&b)]).await;
        pool.peers().set_weight("seed", then).unwrap();
        cluster(&[&a, &b]);
        up_are(&pool, &["seed", &addr(&b)]).await;
        assert_eq!(weight(), Some(then));
    }
    assert!(pool.peers().set_weight("no seed", 1).is_err());
}

#[tokio::test]
async fn drained_member_stays_out_until_it_is_restored() {
    let [a, b] = fakes().await;
    cluster(&[&a, &b]);
    let pool = following(&[("seed", &a)], galera()).await;
    up_are(&pool, &["seed", &addr(&b)]).await;
    let state = || {
        let statuses = pool.statuses();
        let drained = statuses.iter().find(|status| *status.peer == *addr(&b));
        drained.map(|drained| drained.state)
    };
    soon(pool.peers().drain(&addr(&b))).await.unwrap();
    // It is restarted.
    told(&[&a, &b], &[&a]);
    asked_again(&a).await;
    assert_eq!(state(), Some(State::Draining));
    cluster(&[&a, &b]);
    asked_again(&a).await;
    assert_eq!(state(), Some(State::Draining));
    pool.peers().restore(&addr(&b)).unwrap();
    up_are(&pool, &["seed", &addr(&b)]).await;
}

/// A proxy answers as it likes.
#[tokio::test]
async fn answer_of_another_shape_is_no_list_and_ends_nothing() {
    let [a, b] = fakes().await;
    a.answer(QUESTION, ["one"], [["1"]]);
    let pool = following(&[("seed", &a)], galera()).await;
    asked_again(&a).await;
    cluster(&[&a, &b]);
    up_are(&pool, &["seed", &addr(&b)]).await;
}

/// Neither the names' task nor the one that keeps connections open ends.
#[tokio::test]
async fn resolver_that_panics_ends_nothing() {
    let fakes: [_; 1] = at_one_port().await;
    cluster(&[&fakes[0]]);
    let calls = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let (counted, address) = (calls.clone(), fakes[0].addr().ip());
    let resolver = evenhand_mysql::Resolver::new(move |_| {
        let call = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            assert!(call >= 3, "not yet");
            Ok(vec![address])
        }
    });
    let interval = Duration::from_millis(20);
    let options = PoolOptions::name_lookup_interval(still().resolver(resolver), interval);
    let url = format!(
        "mysql://root@db.internal:{}/test?pool_min=2",
        fakes[0].port()
    );
    let pool = options
        .discover(galera())
        .open([("db", url.as_str())])
        .unwrap();
    drop(soon(pool.get_conn()).await);
    // No checkout: only the pool's own task looks the name up again.
    until("the connections are kept", || {
        pool.usage().peers[0].idle == 2
    })
    .await;
    let before = fakes[0].logins();
    until("members are asked for", || fakes[0].logins() > before).await;
}
