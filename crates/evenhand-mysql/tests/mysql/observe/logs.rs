//! What a pool logs, without any feature.

use std::time::Duration;

use crate::common::setup::still;
use crate::common::{fakes, pool, until, up};
use crate::observe::subscriber::Kept;
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::{Databases, Pool};
use tracing::Level;

#[tokio::test]
async fn ejection_says_pool_peer_reason_and_next_probe() {
    let (kept, _guard) = Kept::set();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name("orders"));
    fakes[0].kill();
    let mut held = Vec::new();
    while up(&pool) == 2 {
        held.push(pool.get_conn().await.unwrap());
    }
    let hour = Duration::from_secs(3600);
    pool.peers().eject("b", hour).unwrap();
    let warnings = kept.events(Level::WARN);
    let [first, last] = &warnings[..] else {
        unreachable!("{warnings:?}")
    };
    let field = |name| first.field(name).unwrap();
    assert_eq!(field("message"), "peer ejected");
    assert_eq!((field("pool"), field("peer")), ("orders", "a"));
    assert_eq!(field("reason"), "connection refused");
    assert!(field("probe_in").ends_with('s'), "{first:?}");
    assert_eq!(field("up"), "1");
    let field = |name| last.field(name).unwrap();
    assert_eq!((field("message"), field("up")), ("peer ejected", "0"));
    assert_eq!((field("pool"), field("peer")), ("orders", "b"));
    assert_eq!(
        (field("reason"), field("probe_in")),
        ("by an operator", "3600s")
    );
    let errors = kept.events(Level::ERROR);
    let [all] = &errors[..] else {
        unreachable!("{errors:?}")
    };
    assert_eq!(all.field("message").unwrap(), "all peers are down");
    assert_eq!(all.field("pool").unwrap(), "orders");
}

#[tokio::test]
async fn events_and_recoveries_name_the_pool() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), still().name("orders"));
    let mut events = pool.subscribe();
    pool.peers().eject("a", Duration::from_millis(1)).unwrap();
    drop(pool.get_conn().await.unwrap());
    until("it is back", || up(&pool) == 1).await;
    let event = events.try_next().unwrap().unwrap();
    assert_eq!(event.pool.as_deref(), Some("orders"));
    assert!(
        event.to_string().starts_with("a of orders ejected"),
        "{event}"
    );
    let news = kept.events(Level::INFO);
    let back = news
        .iter()
        .find(|news| news.field("message") == Some("peer recovered"));
    assert_eq!(back.unwrap().field("pool"), Some("orders"));
}

#[test]
fn pool_is_named_by_option_or_alias() {
    let pool = Pool::new(["mysql://h/d"]).unwrap();
    assert_eq!(&*pool.name(), "default");
    let shown = format!(
        "{:?}",
        still().name("orders").open(["mysql://h/d"]).unwrap()
    );
    assert!(shown.contains("orders"), "{shown}");
    let text = "[databases.a]\nurl = 'mysql://u@h/d'\n[databases.shop]\npeers = ['a']";
    let config = Config::parse(text, "f").unwrap();
    let databases = Databases::open(&config).unwrap();
    assert_eq!(&*databases.get("shop").unwrap().name(), "shop");
}
