//! The driver's features, and its panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenhand_mysql::mysql_async::{Opts, OptsBuilder};

use crate::common::setup::ejection;
use crate::common::{fakes, quick, until, up};

/// The driver panics in some logins: with a long password that is to be encrypted, for one.
#[tokio::test]
async fn panic_in_a_login_is_a_bad_handshake() {
    let fakes: [_; 2] = fakes().await;
    let panics = Arc::new(AtomicBool::new(true));
    let its = panics.clone();
    let first = format!("{}?pool_min=0", fakes[0].url());
    let first = OptsBuilder::from_opts(Opts::from_url(&first).unwrap()).after_connect(move |_| {
        assert!(!its.load(Ordering::Relaxed), "as a driver might");
        Box::pin(async { Ok(()) })
    });
    let second = OptsBuilder::from_opts(Opts::from_url(&fakes[1].url()).unwrap());
    let pool = quick().open([("a", first), ("b", second)]).unwrap();
    let mut events = pool.subscribe();
    while up(&pool) == 2 {
        assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    }
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("a", "bad handshake"));
    // Its probes panic as well, until they do not.
    let failed = "failed its probe";
    while !events
        .next()
        .await
        .unwrap()
        .unwrap()
        .to_string()
        .contains(failed)
    {}
    panics.store(false, Ordering::Relaxed);
    until("it is back", || up(&pool) == 2).await;
}

#[cfg(feature = "derive")]
#[tokio::test]
async fn rows_are_read_into_derived_types() {
    use evenhand_mysql::mysql_async::prelude::{FromRow, Query};

    #[derive(Debug, PartialEq, FromRow)]
    struct Port {
        #[mysql(rename = "@@port")]
        number: u16,
    }

    let [fake] = fakes::<1>().await;
    let pool = quick().open([("a", &*fake.url())]).unwrap();
    let ports: Vec<Port> = "SELECT @@port".fetch(&pool).await.unwrap();
    let number = fake.port();
    assert_eq!(ports, [Port { number }]);
}

#[cfg(feature = "binlog")]
#[tokio::test]
async fn binlog_is_streamed_from_a_pools_connection() {
    use evenhand_mysql::mysql_async::BinlogStreamRequest;
    use evenhand_testkit::MariaDb;
    use futures_util::TryStreamExt;

    use crate::common::setup::{patient, pool_of, servers, urls};

    let builder = MariaDb::builder().arg("--log-bin").arg("--server-id=1");
    let servers = servers(1, builder).await;
    let pool = pool_of(&urls(&servers), patient());
    let conn = pool.get_conn().await.unwrap();
    let request = BinlogStreamRequest::new(7);
    let mut stream = conn.get_binlog_stream(request).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_some());
    assert_eq!(pool.usage().in_use, 0, "it is no longer the pool's");
    stream.close().await.unwrap();
}
