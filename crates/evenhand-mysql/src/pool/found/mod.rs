//! A pool whose peers are found by names in DNS: the feature `dns`.
//!
//! Each name has options, and a peer for each of its addresses. The lists are `evenhand-dns`'s: they are looked up
//! again by their TTL, and kept where a lookup fails.

mod open;

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenhand::Placed;
use evenhand::discover::Change;
use evenhand_dns::{Address, Changes, Discovery, Dns, Name, Source};
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
    fn peer_name(&self, address: &Address) -> Arc<str> {
        format!("{}/{}", self.label, address.addr).into()
    }

    /// TLS verifies the host's name, or that of the SRV record's target.
    fn endpoint(&self, address: &Address, options: &PoolOptions) -> NamedEndpoint {
        let ip: IpAddr = address.addr.ip();
        let opts = OptsBuilder::from_opts(self.opts.clone())
            .ip_or_hostname(&*address.host)
            .tcp_port(address.addr.port())
            .resolved_ips(Some(vec![ip]));
        let name = self.peer_name(address);
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
            options: pool.options.clone(),
            made: pool.made.clone(),
        };
        let guard = pool.peers.joining_on_proof().follow_placed(endpoints);
        following.push((looking, guard));
    }
    pending::<()>().await;
}

/// The changes of a name, with endpoints in place of addresses.
struct Endpoints {
    changes: Changes,
    host: Host,
    options: PoolOptions,
    made: Made,
}

impl Stream for Endpoints {
    type Item = Result<Change<Arc<str>, Placed<Arc<Endpoint>>>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.changes).poll_next(cx));
        let host = &this.host;
        Poll::Ready(next.map(|change| {
            change.map(|change| match change {
                Change::Insert(_, address) => {
                    let (name, endpoint) = host.endpoint(&address, &this.options);
                    this.made.add([&endpoint]);
                    let weight = address.weight.saturating_mul(host.weight);
                    let placed = Placed::new(endpoint).weight(weight).tier(address.tier);
                    Change::Insert(name, placed)
                }
                // A key ends with its address.
                Change::Remove(key) => {
                    let addr = key.as_str().rsplit('/').next().unwrap_or_default();
                    Change::Remove(format!("{}/{addr}", host.label).into())
                }
            })
        }))
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
