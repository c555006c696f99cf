//! The ways to make a pool.

use crate::common::{fakes, quick};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::mysql_async::{Opts, OptsBuilder};
use evenhand_mysql::{Error, Pool, PoolOptions, UrlError};
use evenhand_testkit::FakeMySql;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

fn names(pool: &Pool) -> Vec<String> {
    let statuses = pool.statuses();
    statuses.iter().map(|s| s.peer.to_string()).collect()
}

/// Asks until every double has answered.
async fn reaches_all(pool: &Pool, fakes: &[FakeMySql]) {
    while fakes.iter().any(|fake| fake.queries() == 0) {
        let mut conn = pool.get_conn().await.unwrap();
        let port: Option<u16> = conn.query_first("SELECT @@port").await.unwrap();
        assert_eq!(conn.peer(), format!("127.0.0.1:{}", port.unwrap()));
    }
}

#[tokio::test]
async fn one_url_names_several_peers() {
    let fakes: [_; 2] = fakes().await;
    let hosts = fakes.each_ref().map(|fake| fake.addr().to_string());
    let url = format!(
        "mysql://root@{},{}/test?pool_min=1&pool_max=3",
        hosts[0], hosts[1]
    );
    let pool = quick().open_url(&url).unwrap();
    assert_eq!(names(&pool), hosts);
    assert_eq!(pool.usage().peers[1].limit, 3, "parameters hold for each");
    reaches_all(&pool, &fakes).await;

    for pool in [
        Pool::from_url(&url).unwrap(),
        url.parse::<Pool>().unwrap(),
        Pool::try_from(&*url).unwrap(),
    ] {
        assert_eq!(names(&pool), hosts);
        assert_eq!(pool.options(), &PoolOptions::default());
    }
}

#[tokio::test]
async fn unnamed_peers_are_named_by_address() {
    let fakes: [_; 2] = fakes().await;
    let urls = fakes.each_ref().map(FakeMySql::url);
    let pool = Pool::new(urls.each_ref().map(|url| &**url)).unwrap();
    reaches_all(&pool, &fakes).await;

    let built = |host: &str| Opts::from(OptsBuilder::default().ip_or_hostname(host));
    let pool = Pool::new([built("h"), built("::1")]).unwrap();
    assert_eq!(names(&pool), ["h:3306", "[::1]:3306"]);
    let twice = Pool::new([built("h"), built("h")]).unwrap_err();
    assert!(
        matches!(Error::find(&twice), Some(Error::Peers(_))),
        "{twice}"
    );
    let bad = Pool::new(["mysql://h", "nonsense"]).unwrap_err();
    assert!(bad.to_string().contains("number 2"), "{bad}");
}

#[tokio::test]
async fn ipv6_address_in_a_url_is_reached() {
    let [fake] = fakes::<1>().await;
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = fake.addr();
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut to = TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
        }
    });
    let url = format!("mysql://root@[::1]:{port}/test");
    for pool in [
        quick().open_url(&url).unwrap(),
        quick().open([("a", &*url)]).unwrap(),
    ] {
        let mut conn = pool.get_conn().await.unwrap();
        assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
    }
}

#[test]
fn url_error_hides_the_password() {
    let error = Pool::from_url("mysql://u:hunter2@h,,i/d").unwrap_err();
    assert!(
        matches!(
            Error::find(&error),
            Some(Error::Url(UrlError::EmptyHost(2)))
        ),
        "{error:?}"
    );
    let mut shown = format!("{error} {error:?}");
    for url in [
        "mysql://u:hunter2@h,i:x/d",
        "mysql://u:hunter2@h,h/d",
        "mysql://u:hunter2@h,i/d?nonsense=1",
        "postgres://u:hunter2@h,i/d",
    ] {
        let error = url.parse::<Pool>().unwrap_err();
        shown.push_str(&format!("{error} {error:?}"));
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("nonsense"), "{shown}");
}

#[test]
fn socket_with_several_hosts_is_refused() {
    let error = Pool::from_url("mysql://h,i/d?socket=/run/mysqld.sock").unwrap_err();
    let found = Error::find(&error);
    assert!(
        matches!(found, Some(Error::Url(UrlError::Socket))),
        "{error}"
    );
    Pool::from_url("mysql://h/d?socket=/run/mysqld.sock").unwrap();
}

#[test]
fn host_list_is_not_one_peer() {
    let error = Pool::new([("a", "mysql://u:hunter2@h,i/d")]).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("Pool::from_url"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// What the caller wants done on each new connection is done, beside what this crate does then.
#[tokio::test]
async fn after_connect_hook_runs_on_each_connection() {
    let [fake] = fakes::<1>().await;
    let url = format!("{}?pool_min=0&pool_max=4", fake.url());
    let opts = OptsBuilder::from_opts(Opts::from_url(&url).unwrap())
        .after_connect(|conn| Box::pin(async move { conn.query_drop("SET @mine = 7").await }));
    let pool = quick().open([opts]).unwrap();
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.query_first("SELECT @mine").await.unwrap(), Some(7));
    assert_eq!(pool.usage().peers[0].opened, 1);
}

/// A pool belongs to the runtime of its first checkout.
#[test]
fn second_runtime_is_named_in_the_error() {
    let runtime = || Runtime::new().unwrap();
    let (doubles, first, second) = (runtime(), runtime(), runtime());
    let [fake] = doubles.block_on(fakes::<1>());
    let pool = quick().open([("a", &*fake.url())]).unwrap();
    first.block_on(async { drop(pool.get_conn().await.unwrap()) });
    fake.kill();
    // Idle ones are handed out without a word to the peer.
    let mut held = Vec::new();
    let error = loop {
        match second.block_on(pool.get_conn()) {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
    };
    assert!(
        error.to_string().contains("another tokio runtime"),
        "{error}"
    );
    let Some(Error::Checkout(checkout)) = Error::find(&error) else {
        unreachable!("{error:?}")
    };
    assert!(checkout.other_runtime);
}

#[tokio::test]
async fn statements_of_the_options_run_in_their_order() {
    let [fake] = fakes::<1>().await;
    let url = format!("{}?pool_min=0&pool_max=1", fake.url());
    let statements = || ["SET @mine = 1", "SET @mine = 2"];
    let init = quick().init(statements()).open_url(&url).unwrap();
    let setup = quick().setup(statements()).open_url(&url).unwrap();
    for (pool, after_a_reset) in [(init, None), (setup, Some(2))] {
        for expected in [Some(2), after_a_reset, after_a_reset] {
            let mut conn = pool.get_conn().await.unwrap();
            let mine: Option<Option<u8>> = conn.query_first("SELECT @mine").await.unwrap();
            assert_eq!(mine.unwrap(), expected);
            conn.query_drop("SET @mine = 3").await.unwrap();
        }
    }
}
