//! What a pool records, by documented names.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::setup::{conn_to, still};
use crate::common::{LIMIT, err, fakes, pool, pool_with, quick, soon, states, until, up};
use crate::observe::recorder::{recorded, recorder, value, values};
use evenhand_mysql::evenhand::{self, State};
use evenhand_mysql::mysql_async::TxOpts;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{AllDownKind, Error, HealthCheck, Pool, PoolOptions};
use evenhand_testkit::{FakeMySql, Fault};

const CHECKOUTS: &str = "evenhand_mysql_checkouts_total";
const SECONDS: &str = "evenhand_mysql_checkout_seconds";

/// A pool of this name over one double, named a.
fn one(name: &str, fake: &FakeMySql, options: PoolOptions) -> Pool {
    recorder();
    pool(std::slice::from_ref(fake), options.name(name))
}

fn outcome(pool: &str, outcome: &str) -> f64 {
    let labels = format!("outcome={outcome}");
    let count = value(pool, CHECKOUTS, &labels);
    assert_eq!(count, value(pool, SECONDS, &labels), "each has a time");
    count
}

#[tokio::test]
async fn checkouts_are_counted_by_outcome_with_their_times() {
    const NAME: &str = "outcomes";
    let [fake] = fakes::<1>().await;
    let options = || quick().max_connections(1).all_down(AllDownKind::Fail);
    let pool = one(NAME, &fake, options());
    let held = pool.get_conn().await.unwrap();
    assert_eq!(outcome(NAME, "ok"), 1.0);
    assert_eq!(outcome(NAME, "full"), 0.0);
    pool.get_conn().await.unwrap_err();
    assert_eq!(outcome(NAME, "full"), 1.0);

    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_conn().await }
    });
    until("it waits", || pool.usage().waiting == 1).await;
    waiting.abort();
    until("it was dropped", || outcome(NAME, "cancelled") == 1.0).await;
    assert_eq!(value(NAME, "evenhand_mysql_pool_waits_total", ""), 2.0);
    drop(held);
    pool.clone().disconnect().await.unwrap();
    pool.get_conn().await.unwrap_err();
    assert_eq!(outcome(NAME, "disconnected"), 1.0);

    fake.set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    one(NAME, &fake, options()).get_conn().await.unwrap_err();
    assert_eq!(outcome(NAME, "refused"), 1.0);
    fake.kill();
    one(NAME, &fake, options()).get_conn().await.unwrap_err();
    assert_eq!(outcome(NAME, "failed"), 1.0);
    assert_eq!(outcome(NAME, "ok"), 1.0);
}

#[tokio::test]
async fn gauges_show_the_usage_until_the_pool_is_gone() {
    const NAME: &str = "usage";
    recorder();
    let fakes: [_; 2] = fakes().await;
    let options = quick().name(NAME).max_connections(5);
    let pool = pool_with("pool_min=0&pool_max=2", &fakes, options);
    let held = [conn_to(&pool, "a").await, conn_to(&pool, "a").await];
    let connections = |peer: &str, state: &str| {
        let labels = format!("peer={peer},state={state}");
        value(NAME, "evenhand_mysql_connections", &labels)
    };
    until("two are in use", || connections("a", "in_use") == 2.0).await;
    // An increase from nothing would go unnoticed.
    let refused = "peer=a,phase=connect,row=login-refused";
    for (counter, labels) in [
        ("evenhand_mysql_pool_waits_total", ""),
        ("evenhand_mysql_failures_total", refused),
    ] {
        assert_eq!(recorded(NAME, counter, labels), Some(0.0), "{counter}");
    }
    let limit = |peer| value(NAME, "evenhand_mysql_connection_limit", peer);
    assert_eq!((limit("peer=a"), limit("peer=b")), (2.0, 2.0));
    assert_eq!(value(NAME, "evenhand_mysql_pool_limit", ""), 5.0);
    drop(held);
    until("they are idle", || connections("a", "idle") == 2.0).await;
    assert_eq!(connections("a", "in_use"), 0.0);

    pool.peers().remove("b").unwrap();
    until("b is gone", || limit("peer=b") == 0.0).await;
    assert_eq!(limit("peer=a"), 2.0);
    let up = || value(NAME, "evenhand_peers", "state=up");
    assert_eq!(up(), 1.0);
    drop(pool);
    until("the pool is gone", || limit("peer=a") == 0.0).await;
    assert_eq!(connections("a", "idle"), 0.0);
    assert_eq!(value(NAME, "evenhand_mysql_pool_limit", ""), 0.0);
    until("so are its peers", || up() == 0.0).await;
    assert_eq!(value(NAME, "evenhand_peer_up", "peer=a"), 0.0);
}

#[tokio::test]
async fn refusals_of_a_full_peer_are_counted() {
    const NAME: &str = "refusals";
    let [fake] = fakes::<1>().await;
    fake.set_fault(Fault::ErrAtLogin(err(1040, "Too many connections")));
    let options = still().checkout_timeout(Duration::from_secs(60));
    let pool = one(NAME, &fake, options);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get_conn().await.unwrap()) }
    });
    until("it was refused", || fake.refused_logins() > 0).await;
    fake.clear_fault();
    soon(waiting).await.unwrap();
    let refusals = value(
        NAME,
        "evenhand_mysql_failures_total",
        "peer=a,phase=connect,row=full",
    );
    assert_eq!(refusals, fake.refused_logins() as f64);
}

#[tokio::test]
async fn checkouts_that_wait_are_shown() {
    const NAME: &str = "waiting";
    recorder();
    let [fake] = fakes::<1>().await;
    let options = quick().name(NAME).checkout_timeout(Duration::from_secs(60));
    let one = std::slice::from_ref(&fake);
    let pool = pool_with("pool_min=0&pool_max=1", one, options);
    let held = pool.get_conn().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get_conn().await.unwrap()) }
    });
    let shown = || value(NAME, "evenhand_mysql_waiting", "peer=a") == 1.0;
    until("one waits", shown).await;
    assert_eq!(value(NAME, "evenhand_mysql_waits_total", "peer=a"), 1.0);
    drop(held);
    soon(waiting).await.unwrap();
    assert_eq!(value(NAME, "evenhand_mysql_logins_total", "peer=a"), 1.0);
}

/// With the balancer's own metrics under the same label.
#[tokio::test]
async fn failures_are_counted_by_row_and_retries_by_peer() {
    const NAME: &str = "failures";
    recorder();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name(NAME));
    drop(pool.get_conn().await.unwrap());
    let shutdown = err(1053, "Server shutdown in progress");
    fakes[0].set_fault(Fault::ErrAtLogin(shutdown));
    let mut held = Vec::new();
    while states(&pool)[0] == State::Up {
        held.push(pool.get_conn().await.unwrap());
    }
    let failures = |labels: &str| value(NAME, "evenhand_mysql_failures_total", labels);
    assert!(failures("peer=a,phase=connect,row=connect-shutdown") >= 1.0);
    assert!(value(NAME, "evenhand_mysql_retries_total", "peer=b") >= 1.0);
    let ejected = "peer=a,reason=shutting down";
    let ejections = || value(NAME, "evenhand_ejections_total", ejected);
    until("the ejection is counted", || ejections() == 1.0).await;
    let is_up = |peer| value(NAME, "evenhand_peer_up", peer);
    until("a is out", || is_up("peer=a") == 0.0).await;
    assert_eq!(is_up("peer=b"), 1.0);

    let mut conn = pool.get_conn().await.unwrap();
    fakes[1].answer_err("SELECT 1", err(1146, "Table 'd.t' doesn't exist"));
    conn.query_drop("SELECT 1").await.unwrap_err();
    let statements = values(NAME);
    let statements = statements.iter().filter(|(name, _)| {
        name.starts_with("evenhand_mysql_failures_total{peer=b,phase=query,row=")
    });
    assert_eq!(statements.map(|(_, count)| count).sum::<f64>(), 1.0);
}

#[tokio::test]
async fn work_that_is_run_again_is_counted_by_cause() {
    const NAME: &str = "reruns";
    recorder();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name(NAME).work_timeout(100 * LIMIT));
    let tries = std::cell::Cell::new(0);
    let again = async |conn: evenhand_mysql::PeerConn| {
        let mut conn = conn;
        tries.set(tries.get() + 1);
        if tries.get() == 1 {
            let own = usize::from(conn.peer() == "b");
            fakes[own].cut_connections();
        }
        conn.query_drop("DO 1").await
    };
    pool.run_idempotent(again).await.unwrap();
    let reruns = |labels: &str| value(NAME, "evenhand_mysql_reruns_total", labels);
    assert_eq!(reruns("work=idempotent,cause=connection_lost"), 1.0);

    let deadlock = err(1213, "Deadlock found when trying to get lock");
    fakes
        .iter()
        .for_each(|fake| fake.answer_err("DO 2", deadlock.clone()));
    let tries = std::cell::Cell::new(0);
    pool.transaction(TxOpts::default(), async |mut tx| {
        tries.set(tries.get() + 1);
        match tries.get() {
            1 => tx.query_drop("DO 2").await,
            _ => Ok(()),
        }
    })
    .await
    .unwrap();
    assert_eq!(reruns("work=transaction,cause=rolled_back"), 1.0);
}

/// It commits nothing, so it is no idempotent work of the caller's.
#[tokio::test]
async fn transaction_that_starts_elsewhere_is_counted_as_such() {
    const NAME: &str = "starts";
    recorder();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name(NAME).checkout_timeout(100 * LIMIT));
    fakes[0].set_fault(Fault::CutMidPacket);
    let reruns = |work: &str| {
        let labels = format!("work={work},cause=connection_lost");
        value(NAME, "evenhand_mysql_reruns_total", &labels)
    };
    let starts = async {
        while reruns("start_transaction") + reruns("idempotent") == 0.0 {
            drop(pool.start_transaction(TxOpts::default()).await.unwrap());
        }
    };
    soon(starts).await;
    assert_eq!(reruns("start_transaction"), 1.0);
    assert_eq!(reruns("idempotent"), 0.0);
}

#[tokio::test]
async fn commit_without_an_answer_is_counted() {
    const NAME: &str = "unknown";
    let [fake] = fakes::<1>().await;
    let pool = one(NAME, &fake, still());
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    transaction.query_drop("DO 1").await.unwrap();
    fake.set_fault(Fault::CutMidPacket);
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(
        Error::find(&error),
        Some(Error::OutcomeUnknown { .. })
    ));
    let unknown = "evenhand_mysql_unknown_outcomes_total";
    assert_eq!(value(NAME, unknown, "peer=a"), 1.0);
}

/// Each once, whether the pool or the work sends it, and whatever comes after it.
#[tokio::test]
async fn commit_that_work_sends_itself_is_counted_if_it_has_no_answer() {
    for (name, fault, expected) in [
        ("own-commit-lost", Some(Fault::CutMidPacket), 1.0),
        ("own-commit-stalls", Some(Fault::StallInQuery), 1.0),
        ("own-commit-works", None, 0.0),
    ] {
        let [fake] = fakes::<1>().await;
        let pool = one(name, &fake, still().work_timeout(LIMIT));
        let work = pool.transaction(TxOpts::default(), async |mut tx| {
            tx.query_drop("DO 1").await?;
            if let Some(fault) = fault.clone() {
                fake.set_fault(fault);
            }
            // It goes on, whatever came of it, until its time is up.
            let _ = tx.query_drop("COMMIT").await;
            std::future::pending::<evenhand_mysql::mysql_async::Result<()>>().await
        });
        let error = soon(work).await.unwrap_err();
        let error = Error::find(&error);
        assert!(
            matches!(error, Some(Error::OutcomeUnknown { .. })),
            "{name}"
        );
        let unknown = value(name, "evenhand_mysql_unknown_outcomes_total", "peer=a");
        assert_eq!(unknown, expected, "{name}");
    }
}

#[tokio::test]
async fn lost_peer_is_counted() {
    const NAME: &str = "lost";
    let [fake] = fakes::<1>().await;
    let check = HealthCheck::new().active(Duration::from_millis(100), 3);
    let pool = one(NAME, &fake, quick().health_check(check));
    let mut conn = pool.get_conn().await.unwrap();
    let lost = || value(NAME, "evenhand_mysql_lost_peers_total", "peer=a");
    assert_eq!(lost(), 0.0);
    fake.freeze();
    let error = soon(conn.query_drop("DO 1")).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::PeerLost { .. })));
    assert!(lost() >= 1.0);
    fake.thaw();
}

/// Whatever any test of this process has recorded.
#[tokio::test]
async fn recorded_names_and_labels_are_documented() {
    const NAME: &str = "documented";
    let [fake] = fakes::<1>().await;
    let pool = one(NAME, &fake, quick());
    pool.peers().eject("a", Duration::from_millis(1)).unwrap();
    drop(pool.get_conn().await.unwrap());
    until("it is back", || up(&pool) == 1).await;
    let recoveries = || value(NAME, "evenhand_recoveries_total", "peer=a");
    until("it is counted", || recoveries() == 1.0).await;
    let all = || evenhand_mysql::METRICS.iter().chain(evenhand::METRICS);
    // Those of names in DNS are that crate's own, and it tests them.
    let is_own = |name: &String| !name.starts_with("evenhand_discovery_");
    let described: BTreeSet<_> = all().map(|metric| metric.name.to_owned()).collect();
    let own: BTreeSet<_> = recorder().described().into_iter().filter(is_own).collect();
    assert_eq!(own, described);
    let recorded = recorder().labels();
    assert!(recorded.contains_key("evenhand_peer_up"));
    for (name, labels) in recorded.into_iter().filter(|(name, _)| is_own(name)) {
        let metric = all().find(|metric| metric.name == name).unwrap();
        let documented = BTreeSet::from([metric.labels.iter().map(|&l| l.to_owned()).collect()]);
        assert_eq!(labels, documented, "{name}");
    }
}

/// As the pools of a config file are named.
#[tokio::test]
async fn secrets_are_in_no_label() {
    recorder();
    let [fake] = fakes::<1>().await;
    let refusal = err(1045, "Access denied for user 'app' (hunter2)");
    fake.set_fault(Fault::ErrAtLogin(refusal));
    let login = format!("app:hunter2@127.0.0.1:{}", fake.port());
    let url = format!("mysql://{login}/test?pool_min=0");
    let options = quick().name("secrets").all_down(AllDownKind::Fail);
    let pool = options.open([&*url]).unwrap();
    pool.get_conn().await.unwrap_err();
    let values = values("secrets");
    assert!(!values.is_empty());
    for name in values.keys() {
        assert!(!name.contains("hunter2") && !name.contains("app"), "{name}");
    }
}
