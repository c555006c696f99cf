//! What a peer of a writable pool must do to be in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenhand_testkit::FakeMySql;
use tracing::{Level, Metadata, span};

use super::probes::{checks, ejected, often, start};
use crate::common::{err, fakes, pool, until, up};

pub(super) const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', \
                                   'innodb_read_only', 'tx_read_only', 'transaction_read_only', \
                                   'group_replication_group_name')";
const MEMBERS: &str = "SELECT COUNT(*), SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')), \
                       SUM(MEMBER_ID = @@server_uuid AND MEMBER_STATE = 'ONLINE') \
                       FROM performance_schema.replication_group_members";

pub(super) fn set_read_only(fake: &FakeMySql, read_only: &str, super_read_only: &str) {
    let settings = [
        ("innodb_read_only", "OFF"),
        ("read_only", read_only),
        ("super_read_only", super_read_only),
    ];
    set(fake, &settings);
}

fn set(fake: &FakeMySql, settings: &[(&str, &str)]) {
    let rows = settings.iter().map(|(name, value)| [*name, *value]);
    fake.answer(SETTINGS, ["Variable_name", "Value"], rows);
}

/// A member of a group of `all`, of whom it reaches so many.
fn set_group(fake: &FakeMySql, all: u64, reachable: u64, online: u64) {
    let columns = ["COUNT(*)", "reachable", "online"];
    fake.answer(MEMBERS, columns, [[all, reachable, online]]);
}

#[tokio::test]
async fn read_only_peer_is_ejected_until_writable() {
    let cases = [
        ("read_only", "ON"),
        ("super_read_only", "ON"),
        ("read_only", "NO_LOCK"),
        ("tx_read_only", "ON"),
        ("transaction_read_only", "ON"),
    ];
    for (name, value) in cases {
        let fakes: [_; 1] = fakes().await;
        set(&fakes[0], &[("read_only", "OFF"), (name, "OFF")]);
        let pool = pool(&fakes, often().writable(true));
        let mut events = pool.subscribe();
        start(&pool).await;
        checks(&fakes[0], 2).await;
        assert_eq!(up(&pool), 1);
        set(&fakes[0], &[("innodb_read_only", "OFF"), (name, value)]);
        assert_eq!(
            ejected(&mut events).await,
            "the peer is read-only",
            "{name}"
        );
        set_read_only(&fakes[0], "OFF", "0");
        until("it is back", || up(&pool) == 1).await;
    }
}

#[tokio::test]
async fn member_without_its_group_is_ejected() {
    let fakes: [_; 1] = fakes().await;
    let member = [
        ("read_only", "OFF"),
        ("group_replication_group_name", "aa-bb"),
    ];
    set(&fakes[0], &member);
    set_group(&fakes[0], 3, 2, 1);
    let pool = pool(&fakes, often().writable(true));
    let mut events = pool.subscribe();
    start(&pool).await;
    checks(&fakes[0], 2).await;
    let no_majority = "the peer's group has no majority";
    let not_online = "the peer is not online in its group";
    for (all, reachable, online, reason) in [
        (3, 1, 1, no_majority),
        (2, 1, 1, no_majority),
        (3, 2, 0, not_online),
        (1, 0, 0, not_online),
    ] {
        set_group(&fakes[0], all, reachable, online);
        assert_eq!(ejected(&mut events).await, reason);
        set_group(&fakes[0], 3, 3, 1);
        until("it is back", || up(&pool) == 1).await;
    }
}

/// Counts this crate's warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("evenhand_mysql") && *metadata.level() == Level::WARN
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// A user that may not read the tables of the group learns nothing from them.
#[tokio::test]
async fn group_that_cannot_be_read_leaves_the_settings_to_decide() {
    let fakes: [_; 1] = fakes().await;
    let group = ("group_replication_group_name", "aa-bb");
    set(&fakes[0], &[("read_only", "OFF"), group]);
    let denied = "SELECT command denied to user 'app'@'localhost'";
    fakes[0].answer_err(MEMBERS, err(1142, denied));
    let warnings = Warnings::default();
    let _traced = tracing::subscriber::set_default(warnings.clone());
    let pool = pool(&fakes, often().writable(true));
    let mut events = pool.subscribe();
    start(&pool).await;
    checks(&fakes[0], 3).await;
    assert_eq!(up(&pool), 1);
    assert_eq!(warnings.0.load(Ordering::SeqCst), 1, "once");
    set(&fakes[0], &[("read_only", "ON"), group]);
    assert_eq!(ejected(&mut events).await, "the peer is read-only");
}
