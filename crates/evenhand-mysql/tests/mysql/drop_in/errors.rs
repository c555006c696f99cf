//! Code that was written for the driver's pool meets the driver's errors.

use std::io::ErrorKind;

use evenhand_mysql::mysql_async::{self, DriverError, Error, IoError, TxOpts, prelude::Queryable};
use evenhand_mysql::{Error as PoolError, Pool, PoolOptions};
use evenhand_testkit::{FakeMySql, Fault, MariaDb};

use crate::common::setup::{add_app, patient, servers};
use crate::common::{LIMIT, fakes, pool, quick, until};

/// A service's own error. It knows the driver's and no other.
#[derive(Debug)]
struct Failed(#[expect(dead_code, reason = "shown")] Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

async fn service(url: &str) -> Result<Option<u16>, Failed> {
    let pool = Pool::from_url(url)?;
    pool.get_conn().await?.query_drop("DO 1").await?;
    let mut transaction = pool.start_transaction(TxOpts::default()).await?;
    transaction.query_drop("DO 2").await?;
    transaction.commit().await?;
    let port = pool
        .run_idempotent(async |mut conn| Ok::<_, Failed>(conn.query_first("SELECT @@port").await?))
        .await?;
    pool.disconnect().await?;
    let pool = PoolOptions::new().open_url(url)?;
    Pool::new([("a", url)])?.disconnect().await?;
    pool.disconnect().await?;
    Ok(port)
}

#[tokio::test]
async fn question_mark_needs_only_the_drivers_error() {
    let [fake] = fakes::<1>().await;
    let url = format!("{}?pool_min=0", fake.url());
    assert_eq!(service(&url).await.unwrap(), Some(fake.port()));
}

/// An error that borrows, and that is no [`std::error::Error`].
struct Borrowed<'a>(&'a str, Error);

impl From<Error> for Borrowed<'_> {
    fn from(error: Error) -> Self {
        Borrowed("the pool", error)
    }
}

#[tokio::test]
async fn idempotent_work_may_have_any_error() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().max_attempts(2));
    let name = String::from("a report");
    fakes
        .iter()
        .for_each(|fake| fake.set_fault(Fault::CutMidPacket));
    let work = async |mut conn: evenhand_mysql::PeerConn| {
        let read = conn.query_first("SELECT @@port").await;
        read.map_err(|error| Borrowed(&name, error))
    };
    let outcome: Result<Option<u16>, _> = pool.run_idempotent(work).await;
    let Borrowed(by, error) = outcome.unwrap_err();
    assert_eq!(by, "the pool");
    let Some(PoolError::Work(work)) = PoolError::find(&error) else {
        unreachable!("{error:?}")
    };
    // The connection's guard has seen what the work keeps to itself.
    let cause = std::error::Error::source(&work.tries[0].cause).unwrap();
    let cause: &Error = cause.downcast_ref().unwrap();
    assert!(matches!(cause, Error::Io(_)), "{cause:?}");
}

#[tokio::test]
async fn refused_login_is_a_server_error() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let wrong = urls.iter().map(|url| url.replace("secret", "wrong"));
    let wrong: Vec<String> = wrong.collect();
    let peers = ["db0", "db1"]
        .into_iter()
        .zip(wrong.iter().map(String::as_str));
    let pool = patient().open(peers).unwrap();
    let refusals = [
        pool.get_conn().await.map(drop).unwrap_err(),
        pool.start_transaction(TxOpts::default())
            .await
            .map(drop)
            .unwrap_err(),
        pool.run_idempotent(async |_| mysql_async::Result::Ok(()))
            .await
            .unwrap_err(),
        pool.transaction(TxOpts::default(), async |_| mysql_async::Result::Ok(()))
            .await
            .unwrap_err(),
    ];
    for error in refusals {
        let Error::Server(error) = error else {
            unreachable!("{error:?}")
        };
        assert_eq!((error.code, &*error.state), (1045, "28000"));
        assert!(
            error.message.starts_with("Access denied for user 'app'"),
            "{error}"
        );
        assert!(error.message.contains("(peer `db"), "{error}");
    }
}

#[tokio::test]
async fn unreachable_peers_are_an_io_error_that_carries_ours() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    fakes.iter().for_each(FakeMySql::kill);
    let refused = pool.get_conn().await.unwrap_err();
    assert_eq!(kind_of(&refused), ErrorKind::ConnectionRefused);
    let Some(PoolError::Checkout(checkout)) = PoolError::find(&refused) else {
        unreachable!("{refused:?}")
    };
    assert_eq!(checkout.tried.tried().len(), 2);
    assert!(refused.to_string().contains("a: "), "{refused}");

    let [silent] = self::fakes::<1>().await;
    silent.set_fault(Fault::Silent);
    let pool = self::pool(
        std::slice::from_ref(&silent),
        quick().checkout_timeout(LIMIT),
    );
    let silent = pool.start_transaction(TxOpts::default()).await.unwrap_err();
    assert_eq!(kind_of(&silent), ErrorKind::TimedOut);
    assert!(PoolError::find(&silent).is_some());
}

fn kind_of(error: &Error) -> ErrorKind {
    match error {
        Error::Io(IoError::Io(error)) => error.kind(),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn disconnected_pool_gives_the_drivers_error() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    drop(pool.get_conn().await.unwrap());
    pool.clone().disconnect().await.unwrap();
    let options = TxOpts::default;
    for error in [
        pool.get_conn().await.map(drop).unwrap_err(),
        pool.start_transaction(options())
            .await
            .map(drop)
            .unwrap_err(),
        pool.run_idempotent(async |_| mysql_async::Result::Ok(()))
            .await
            .unwrap_err(),
        pool.transaction(options(), async |_| mysql_async::Result::Ok(()))
            .await
            .unwrap_err(),
    ] {
        let Error::Driver(DriverError::PoolDisconnected) = error else {
            unreachable!("{error:?}")
        };
    }
    until("it is closed", || fake.connections() == 0).await;
}

#[test]
fn bad_parameter_of_a_url_is_a_url_error() {
    for url in ["mysql://h,i/d?nonsense=1", "mysql://h/d?pool_min=x"] {
        let error = Pool::from_url(url).unwrap_err();
        assert_eq!(
            error.to_string(),
            mysql_async::Pool::from_url(url).unwrap_err().to_string()
        );
        assert!(matches!(error, Error::Url(_)), "{error:?}");
    }
}
