//! A pool whose peers are found by names in DNS: the feature `dns`.
//!
//! Each name has options, and a peer for each of its addresses. The lists are `evenhand-dns`'s: they are looked up
//! again by their TTL, and kept where a lookup fails.

mod open;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenhand::Placed;
use evenhand::discover::Change;
use evenhand_dns::{Address, Changes, Discovery, Dns, Key, Name, Source};
use futures_core::Stream;
use mysql_async::{Opts, OptsBuilder};
use tokio::time::timeout;

use super::background::purge_idle::Made;
use super::peers::PeersHandle;
use crate::options::PoolOptions;
use crate::peer::{Endpoint, NamedEndpoint};
use crate::report::{PeerFault, PeerReport};

/// The names of a pool.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) dns: Arc<Dns>,
    pub(crate) hosts: Vec<Host>,
}

/// A name, and the peers that it stands for.
#[derive(Clone)]
pub(crate) struct Host {
    /// What the names of its peers begin with.
    pub(crate) label: Arc<str>,
    pub(crate) name: Name,
    /// The options of each of its peers but for the address.
    pub(crate) opts: Opts,
    pub(crate) weight: u32,
}

impl Host {
    fn peer_name(&self, addr: SocketAddr) -> Arc<str> {
        format!("{}/{addr}", self.label).into()
    }

    /// TLS verifies the host's name, or that of the SRV record's target.
    fn endpoint(&self, address: &Address, options: &PoolOptions) -> NamedEndpoint {
        let ip: IpAddr = address.addr.ip();
        let opts = OptsBuilder::from_opts(self.opts.clone())
            .ip_or_hostname(&*address.host)
            .tcp_port(address.addr.port())
            .resolved_ips(Some(vec![ip]))
            // Each would be the same local server.
            .socket(None::<String>);
        let name = self.peer_name(address.addr);
        let endpoint = Endpoint::new(&name, opts.into(), options);
        (name, Arc::new(endpoint))
    }
}

/// Gives the pool the peers of its names. Runs until it is dropped.
pub(crate) async fn follow(pool: PeersHandle, found: Option<Found>) {
    let Some(found) = found else { return };
    let mut following = Vec::new();
    for host in found.hosts {
        let source = Source::dns(&found.dns, host.name.clone());
        let changes = Discovery::new([source]).changes();
        // A peer that is ejected may have moved.
        let looking = pool.peers.observe(changes.handle());
        let endpoints = Endpoints {
            changes,
            host,
            keys: HashMap::new(),
            options: pool.options.clone(),
            made: pool.made.clone(),
        };
        let guard = pool.peers.joining_on_proof().follow_placed(endpoints);
        following.push((looking, guard));
    }
    pending::<()>().await;
}

type PeerChange = Change<Arc<str>, Placed<Arc<Endpoint>>>;

/// The changes of a name, with endpoints in place of addresses.
struct Endpoints {
    changes: Changes,
    host: Host,
    /// The key under which each address was told last. A peer is its address, under whatever host it is
    /// listed, so the end of another key is not the peer's.
    keys: HashMap<SocketAddr, Key>,
    options: PoolOptions,
    made: Made,
}

impl Endpoints {
    /// What a change of the list is for the pool, if it is one.
    fn change(&mut self, change: Change<Key, Address>) -> Option<PeerChange> {
        let host = &self.host;
        match change {
            Change::Insert(key, address) => {
                self.keys.insert(address.addr, key);
                let (name, endpoint) = host.endpoint(&address, &self.options);
                self.made.add([&endpoint]);
                let weight = address.weight.saturating_mul(host.weight);
                let placed = Placed::new(endpoint).weight(weight).tier(address.tier);
                Some(Change::Insert(name, placed))
            }
            Change::Remove(key) => {
                let mut told = self.keys.iter();
                let addr = *told.find(|(_, told)| **told == key)?.0;
                self.keys.remove(&addr);
                Some(Change::Remove(host.peer_name(addr)))
            }
        }
    }
}

impl Stream for Endpoints {
    type Item = Result<PeerChange, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let next = ready!(Pin::new(&mut this.changes).poll_next(cx));
            let Some(Ok(change)) = next else {
                return Poll::Ready(None);
            };
            if let Some(change) = this.change(change) {
                return Poll::Ready(Some(Ok(change)));
            }
        }
    }
}

impl Found {
    /// The endpoints of the names that are no peers yet, or why there are none. For a report before the pool is
    /// used.
    pub(crate) async fn look_up(
        &self,
        options: &PoolOptions,
        limit: Duration,
        peers: &HashSet<Arc<str>>,
    ) -> (Vec<NamedEndpoint>, Vec<PeerReport>) {
        let (mut endpoints, mut failed) = (Vec::new(), Vec::new());
        for host in &self.hosts {
            let fault = match timeout(limit, self.dns.look_up(&host.name)).await {
                Ok(Ok(found)) => {
                    let new = found
                        .addresses
                        .iter()
                        .map(|address| host.endpoint(address, options));
                    endpoints.extend(new.filter(|(name, _)| !peers.contains(name)));
                    continue;
                }
                Ok(Err(error)) => PeerFault::Unreachable(std::io::Error::other(error).into()),
                Err(_) => PeerFault::NoAnswer(limit),
            };
            // One that is only not found now has its peers.
            let prefix = format!("{}/", host.label);
            if peers.iter().any(|peer| peer.starts_with(&prefix)) {
                continue;
            }
            failed.push(PeerReport {
                peer: host.label.clone(),
                address: host.name.to_string(),
                facts: None,
                fault: Some(fault),
            });
        }
        (endpoints, failed)
    }
}
