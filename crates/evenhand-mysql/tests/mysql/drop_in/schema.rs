//! A `USE` ends with its caller.

use evenhand_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{Opts, OptsBuilder, TxOpts};
use evenhand_mysql::{PeerConn, Pool};
use evenhand_testkit::{Maker, MariaDb};

use crate::common::setup::{patient, pool_of, root, servers};

/// How a caller leaves its schema.
#[derive(Clone, Copy, Debug)]
enum Way {
    Text,
    AmongOthers,
    Prepared,
    Transaction,
    Lent,
    Borrowed,
    ByValue,
    PreparedByValue,
    OnThePool,
}

const WAYS: [Way; 9] = [
    Way::Text,
    Way::AmongOthers,
    Way::Prepared,
    Way::Transaction,
    Way::Lent,
    Way::Borrowed,
    Way::ByValue,
    Way::PreparedByValue,
    Way::OnThePool,
];

/// MySQL prepares no `USE`.
fn ways(server: &MariaDb) -> Vec<Way> {
    let prepares = server.maker() == Maker::MariaDb;
    let here = |way: &Way| prepares || !matches!(way, Way::Prepared | Way::PreparedByValue);
    WAYS.into_iter().filter(here).collect()
}

async fn leave(pool: &Pool, way: Way) {
    let mut conn = pool.get_conn().await.unwrap();
    match way {
        Way::Text => conn.query_drop("use other").await,
        Way::AmongOthers => conn.query_drop("DO 1; USE other; DO 2").await,
        Way::Prepared => conn.exec_drop("USE other", ()).await,
        Way::Transaction => {
            let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
            transaction.query_drop("/* now */ USE other").await
        }
        Way::Lent => conn.conn_mut().await.unwrap().query_drop("USE other").await,
        Way::Borrowed => "USE other".ignore(&mut conn).await,
        Way::ByValue => return "USE other".ignore(conn).await.unwrap(),
        Way::PreparedByValue => return "USE other".with(()).ignore(conn).await.unwrap(),
        Way::OnThePool => {
            drop(conn);
            return "USE other".ignore(pool).await.unwrap();
        }
    }
    .unwrap();
    assert_eq!(schema(&mut conn).await.as_deref(), Some("other"), "{way:?}");
}

async fn schema(conn: &mut PeerConn) -> Option<String> {
    conn.query_first("SELECT DATABASE()")
        .await
        .unwrap()
        .unwrap()
}

async fn server() -> MariaDb {
    let server = servers(1, MariaDb::builder()).await.remove(0);
    let mut operator = root(&server.url()).await;
    operator.query_drop("CREATE DATABASE other").await.unwrap();
    server
}

#[tokio::test]
async fn schema_of_a_use_does_not_reach_the_next_caller() {
    let server = server().await;
    let with = format!("{}?pool_max=1", server.url());
    let without = with.replace("/test?", "/?");
    for (url, home) in [(with, Some("test")), (without, None)] {
        let pool = pool_of(&[url], patient());
        for way in ways(&server) {
            for _ in 0..3 {
                leave(&pool, way).await;
                let mut conn = pool.get_conn().await.unwrap();
                assert_eq!(schema(&mut conn).await.as_deref(), home, "{way:?}");
            }
        }
    }
}

#[tokio::test]
async fn connection_is_put_back_into_its_schema() {
    let server = server().await;
    let pool = pool_of(&[format!("{}?pool_max=1", server.url())], patient());
    let id = pool.get_conn().await.unwrap().id();
    let by_the_driver =
        |way: &Way| matches!(way, Way::ByValue | Way::PreparedByValue | Way::OnThePool);
    for way in ways(&server).into_iter().filter(|way| !by_the_driver(way)) {
        leave(&pool, way).await;
        assert_eq!(pool.get_conn().await.unwrap().id(), id, "{way:?}");
    }
    // From the first use of the driver alone the driver puts them back.
    leave(&pool, Way::OnThePool).await;
    let id = pool.get_conn().await.unwrap().id();
    for way in ways(&server) {
        leave(&pool, way).await;
        assert_eq!(pool.get_conn().await.unwrap().id(), id, "{way:?}");
    }
}

/// The options may choose the schema by a statement, and the pool does not know it then.
#[tokio::test]
async fn schema_of_the_options_own_statement_is_left_alone() {
    let server = server().await;
    let url = format!("{}?pool_max=1&pool_min=0", server.url());
    let opts = OptsBuilder::from_opts(Opts::from_url(&url).unwrap());
    for opts in [
        opts.clone().init(vec!["USE other"]),
        opts.setup(vec!["USE other"]),
    ] {
        let pool = patient().open([opts]).unwrap();
        for _ in 0..3 {
            let mut conn = pool.get_conn().await.unwrap();
            assert_eq!(schema(&mut conn).await.as_deref(), Some("other"));
            conn.exec_drop("DO 1", ()).await.unwrap();
            drop(conn);
            "DO 1".ignore(&pool).await.unwrap();
        }
    }
}
