//! What a pool logs, without any feature.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::setup::still;
use crate::common::{err, fakes, pool, until, up};
use crate::observe::subscriber::{Kept, Seen};
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::{Databases, Membership, Pool, Resolver};
use evenhand_testkit::{Fault, Galera};
use tracing::Level;

#[tokio::test]
async fn ejection_says_pool_peer_reason_and_next_probe() {
    let (kept, _guard) = Kept::set();
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, still().name("orders"));
    let shutdown = err(1053, "Server shutdown in progress");
    fakes[0].set_fault(Fault::ErrAtLogin(shutdown));
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
    assert_eq!(field("reason"), "shutting down");
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

/// As Galera is set up by default.
#[tokio::test]
async fn nodes_that_do_not_tell_their_addresses_are_warned_of_once() {
    let (kept, _guard) = Kept::set();
    let auto = "--wsrep-node-incoming-address=AUTO";
    let start = move || Galera::builder().arg(auto).start(1);
    let started = tokio::task::spawn_blocking(start).await.unwrap();
    let cluster = started.unwrap_or_else(|error| panic!("{error}"));
    let membership = Membership::galera().interval(Duration::from_millis(20));
    let url = cluster[0].url();
    let pool = still().name("orders").discover(membership);
    let pool = pool.open([("seed", url.as_str())]).unwrap();
    drop(pool.get_conn().await.unwrap());
    let told = |level| {
        kept.events(level)
            .into_iter()
            .filter(|told| told.field("why").is_some())
    };
    let again = || told(Level::DEBUG).count() >= 2;
    until("it was asked again", again).await;
    let warnings: Vec<_> = told(Level::WARN).collect();
    let [warning] = &warnings[..] else {
        unreachable!("{warnings:?}")
    };
    let why = warning.field("why").unwrap();
    assert!(why.contains("set `wsrep_node_incoming_address`"), "{why}");
    assert_eq!(warning.field("pool"), Some("orders"));
    assert_eq!(pool.statuses().len(), 1, "the listed peers stay");
}

#[tokio::test]
async fn moves_and_failed_lookups_of_a_name_are_told() {
    let (kept, _guard) = Kept::set();
    let [fake] = fakes::<1>().await;
    let step = Arc::new(AtomicUsize::new(0));
    let asked = step.clone();
    // It moves once, to where nothing is, and is lost.
    let resolver = Resolver::new(move |_| {
        let last = match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Some(1),
            1 => Some(9),
            _ => None,
        };
        async move {
            let last: u8 = last.ok_or(std::io::ErrorKind::NotFound)?;
            Ok(vec![[127, 0, 0, last].into()])
        }
    });
    let url = format!("mysql://root@db.internal:{}/test?pool_min=0", fake.port());
    let options = still().name("orders").resolver(resolver);
    let options = options.name_lookup_interval(Duration::from_millis(20));
    let pool = options.open([("db", url.as_str())]).unwrap();
    drop(pool.get_conn().await.unwrap());
    until("it was looked up", || step.load(Ordering::SeqCst) > 6).await;
    let told = |level, what: &str| {
        let events = kept.events(level).into_iter();
        let of_it = |told: &Seen| {
            told.field("message")
                .is_some_and(|text| text.contains(what))
        };
        events.filter(of_it).collect::<Vec<_>>()
    };
    let moved = &told(Level::INFO, "has moved")[0];
    let fields = ["pool", "peer", "host", "from", "to"].map(|name| moved.field(name).unwrap());
    assert_eq!(
        fields,
        ["orders", "db", "db.internal", "127.0.0.1", "127.0.0.9"]
    );
    assert_eq!(told(Level::WARN, "is not found").len(), 1);
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
