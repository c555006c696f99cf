//! Callers that find a good peer busy go to the other one, and that one is of no use: they must
//! come back, as there is time until their deadline.

use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_testkit::Blackhole;
use evenhand_tests::scene::options;
use evenhand_tests::servers;
use tokio::task::JoinSet;

/// The work of one caller. All of them one after the other take a fraction of a deadline.
const WORK: &str = "SELECT SLEEP(0.05)";
const CALLERS: usize = 10;

/// Callers ask at once for the good peer's only connection, and for the other peer's. Each error.
async fn ask(other: &str, good: &str) -> Vec<String> {
    let good = format!("{good}?pool_min=0&pool_max=1");
    let pool = options().open([("other", other), ("good", &good)]).unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..CALLERS {
        let pool = pool.clone();
        asking.spawn(async move {
            let mut conn = pool.get_conn().await?;
            conn.query_drop(WORK).await.unwrap();
            Ok::<_, evenhand_mysql::mysql_async::Error>(())
        });
    }
    let mut failed = Vec::new();
    while let Some(asked) = asking.join_next().await {
        failed.extend(asked.unwrap().err().map(|error| error.to_string()));
    }
    pool.disconnect().await.unwrap();
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_peer_is_retried_when_other_refuses_login() {
    let servers = servers(2).await;
    let wrong = servers[0].url().replace("root@", "root:not-it@");
    let failed = ask(&wrong, &servers[1].url()).await;
    assert!(
        failed.is_empty(),
        "{} of {CALLERS}: {failed:#?}",
        failed.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_peer_is_retried_when_other_is_absent() {
    let servers = servers(1).await;
    let hole = Blackhole::start().unwrap();
    let failed = ask(&hole.url(), &servers[0].url()).await;
    assert!(
        failed.is_empty(),
        "{} of {CALLERS}: {failed:#?}",
        failed.len()
    );
}
