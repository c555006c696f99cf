//! What the tests share: a server, and a stream whose changes they apply.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use evenhand_dns::evenhand::discover::{Change, Discover};
use evenhand_dns::{Address, Changes, Discovery, Dns, Name, Source};
use evenhand_testkit::DnsServer;
use tokio::time::{sleep, timeout};

/// Only what hangs takes as long.
pub(crate) const GUARD: Duration = Duration::from_secs(300);
/// So that a test does not wait for TTLs of whole seconds.
pub(crate) const MIN_TTL: Duration = Duration::from_millis(100);

pub(crate) fn source(server: &DnsServer, name: &str) -> Source {
    let dns = Dns::name_server(server.addr()).unwrap();
    Source::dns(&dns, name.parse::<Name>().unwrap())
}

pub(crate) fn discovery(server: &DnsServer, names: &[&str]) -> Discovery {
    let sources: Vec<_> = names.iter().map(|name| source(server, name)).collect();
    Discovery::new(sources).min_ttl(MIN_TTL)
}

/// A stream, and the peers that a user of it has.
pub(crate) struct Follower {
    pub(crate) changes: Changes,
    pub(crate) peers: BTreeMap<String, Address>,
    /// All changes: `+db/10.0.0.1:1`, `-db/10.0.0.1:1`.
    pub(crate) told: Vec<String>,
}

impl Follower {
    pub(crate) fn new(discovery: Discovery) -> Self {
        Self {
            changes: discovery.changes(),
            peers: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Applies the next change.
    pub(crate) async fn step(&mut self) {
        let next = poll_fn(|cx| Pin::new(&mut self.changes).poll_discover(cx)).await;
        match next.expect("the stream does not end") {
            Ok(Change::Insert(key, address)) => {
                assert_eq!(address.key(), key);
                self.told.push(format!("+{key}"));
                self.peers.insert(key.to_string(), address);
            }
            Ok(Change::Remove(key)) => {
                self.told.push(format!("-{key}"));
                let removed = self.peers.remove(key.as_str());
                assert!(removed.is_some(), "{key} was never told");
            }
            Err(never) => match never {},
        }
    }

    /// Until these are the peers.
    pub(crate) async fn until(&mut self, expected: &[&str]) {
        let found = async {
            while !self.peers.keys().eq(expected) {
                self.step().await;
            }
        };
        if timeout(GUARD, found).await.is_err() {
            panic!("{:?} are not {expected:?}", self.peers.keys());
        }
    }

    /// Applies what there is while `condition` is waited for.
    pub(crate) async fn during<T>(&mut self, condition: impl Future<Output = T>) -> T {
        tokio::pin!(condition);
        loop {
            tokio::select! {
                biased;
                output = &mut condition => return output,
                () = self.step() => {}
            }
        }
    }
}

/// Waits for what is seldom waited for, and has no event of its own.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(GUARD, holds).await.expect(what);
}
