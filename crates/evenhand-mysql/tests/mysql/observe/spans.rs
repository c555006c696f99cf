//! The spans of checkouts, tries and transactions.

use crate::common::setup::still;
use crate::common::{err, fakes, pool};
use crate::observe::subscriber::{Kept, Seen};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::mysql_async::{self, TxOpts};
use evenhand_mysql::{AllDownKind, PeerConn};
use evenhand_testkit::{FakeMySql, Fault};
use tracing::Level;

/// Which peer the span names, by all its fields.
fn assert_peer(span: &Seen, name: &str, fake: &FakeMySql) {
    assert_eq!(span.field("evenhand.peer"), Some(name), "{span:?}");
    assert_eq!(span.field("server.address"), Some("127.0.0.1"));
    assert_eq!(span.field("server.port"), Some(&*fake.port().to_string()));
    assert_eq!(span.field("db.namespace"), Some("test"));
}

fn assert_pool(span: &Seen) {
    assert_eq!(span.level, Level::DEBUG);
    assert_eq!(span.field("db.system.name"), Some("mysql"));
    let pool = span.field("db.client.connection.pool.name");
    assert_eq!(pool, Some("orders"));
}

#[tokio::test]
async fn checkout_names_its_peer_or_its_error() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    let options = || still().name("orders").all_down(AllDownKind::Fail);
    let one = std::slice::from_ref(&fake);
    drop(pool(one, options()).get_conn().await.unwrap());
    fake.set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    pool(one, options()).get_conn().await.unwrap_err();
    fake.kill();
    pool(one, options()).get_conn().await.unwrap_err();
    let full = pool(one, options().max_connections(0));
    full.get_conn().await.unwrap_err();
    full.clone().disconnect().await.unwrap();
    full.get_conn().await.unwrap_err();

    let spans = kept.spans(&["checkout"]);
    spans.iter().for_each(assert_pool);
    assert_peer(&spans[0], "a", &fake);
    let errors: Vec<_> = spans.iter().map(|span| span.field("error.type")).collect();
    let expected = [
        None,
        Some("1045"),
        Some("failed"),
        Some("full"),
        Some("disconnected"),
    ];
    assert_eq!(errors, expected);
    assert_eq!(spans[1].field("db.response.status_code"), Some("1045"));
}

#[tokio::test]
async fn refused_checkout_of_idempotent_work_has_the_servers_code() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    fake.set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    let options = still().name("orders").all_down(AllDownKind::Fail);
    let pool = pool(std::slice::from_ref(&fake), options);
    let work = async |mut conn: PeerConn| conn.query_drop("DO 1").await;
    pool.run_idempotent(work).await.unwrap_err();
    let checkout = &kept.spans(&["checkout"])[0];
    assert_eq!(checkout.field("error.type"), Some("1045"));
    assert_eq!(checkout.field("db.response.status_code"), Some("1045"));
}

#[tokio::test]
async fn tries_of_idempotent_work_have_numbers_and_peers() {
    let (kept, _guard) = Kept::set();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name("orders"));
    let tries = std::cell::RefCell::new(Vec::new());
    let work = async |mut conn: PeerConn| {
        let of = usize::from(conn.peer() == "b");
        tries.borrow_mut().push(of);
        if tries.borrow().len() == 1 {
            fakes[of].cut_connections();
        }
        conn.query_drop("DO 1").await
    };
    pool.run_idempotent(work).await.unwrap();
    let spans = kept.spans(&["checkout", "try"]);
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["checkout", "try", "checkout", "try"]);
    let tries = tries.into_inner();
    for (number, span) in [(0, &spans[1]), (1, &spans[3])] {
        assert_pool(span);
        let of = tries[number];
        assert_peer(span, ["a", "b"][of], &fakes[of]);
        assert_eq!(span.field("evenhand.try"), Some(&*(number + 1).to_string()));
    }
    let error = |nth: usize| spans[nth].field("error.type");
    assert_eq!((error(1), error(3)), (Some("connection_lost"), None));
}

#[tokio::test]
async fn transaction_contains_its_checkouts_and_tries() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), still().name("orders"));
    fake.answer_err("DO 2", err(1213, "Deadlock found when trying to get lock"));
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
    let spans = kept.spans(&["transaction", "checkout", "try"]);
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    let expected = ["transaction", "checkout", "try", "checkout", "try"];
    assert_eq!(names, expected);
    for span in &spans[1..] {
        assert_pool(span);
        assert_eq!(kept.parent(span).unwrap().name, "transaction");
    }
    assert_eq!(spans[2].field("error.type"), Some("1213"));
    let of_all = |nth: usize| {
        (
            spans[nth].field("error.type"),
            spans[nth].field("evenhand.try"),
        )
    };
    assert_eq!(of_all(4), (None, Some("2")));
    assert_eq!(of_all(0), (None, None));

    fake.set_fault(Fault::ErrInQuery(err(
        1064,
        "You have an error in your SQL",
    )));
    let work = async |mut tx: evenhand_mysql::Transaction<'static>| tx.query_drop("DO 3").await;
    let failed: mysql_async::Result<()> = pool.transaction(TxOpts::default(), work).await;
    failed.unwrap_err();
    let last = kept.spans(&["transaction"]).pop().unwrap();
    assert_eq!(last.field("error.type"), Some("1064"));
}

/// Nor the user.
#[tokio::test]
async fn secrets_are_in_no_span_or_event() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    let refusal = err(1045, "Access denied for user 'app' (hunter2)");
    fake.set_fault(Fault::ErrAtLogin(refusal));
    let url = format!(
        "mysql://app:hunter2@127.0.0.1:{}/test?pool_min=0",
        fake.port()
    );
    let options = still().all_down(AllDownKind::Fail);
    let pool = options.open([&*url]).unwrap();
    pool.get_conn().await.unwrap_err();
    let mut all = kept.spans(&["checkout"]);
    assert_eq!(all.len(), 1);
    for level in [Level::WARN, Level::INFO, Level::DEBUG] {
        all.extend(kept.events(level));
    }
    for seen in all {
        let shown = format!("{seen:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("app"),
            "{shown}"
        );
    }
}
