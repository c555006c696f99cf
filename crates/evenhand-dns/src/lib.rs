//! Peers by name: streams of changes that follow DNS names, SRV records, a file, or a registry of your
//! own. [`evenhand::Peers::follow`] takes them, and so does any user of
//! [`tower::discover::Discover`](evenhand::discover::Discover).
//!
//! ```no_run
//! use evenhand_dns::evenhand::{
//!     AllDown, Attempt, BalanceLayer, Peer, Peers, Placed, Probe, Verdict,
//! };
//! use evenhand_dns::{Discovery, Dns, Source};
//! use std::io;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use tokio::net::TcpStream;
//! use tower::{ServiceExt, service_fn};
//!
//! # async fn send(_: TcpStream, _: &str) -> io::Result<String> { Ok(String::new()) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dns = Dns::system()?;
//! let name = "dns:echo.prod.svc.cluster.local.:7777".parse()?;
//! let changes = Discovery::new([Source::dns(&dns, name)]).changes();
//!
//! let peers: Peers<SocketAddr> = Peers::new::<&str>([])?;
//! // A peer that is ejected, or stays so, may have moved: look its name up soon.
//! let _looking = peers.observe(changes.handle());
//! // An address that leaves gets no new work, and what it has goes on. One that joins takes work
//! // once its probe has succeeded.
//! let _following = peers
//!     .joining_on_proof()
//!     .follow_placed(changes.targets(Placed::from));
//!
//! let probe = service_fn(async |peer: Peer<SocketAddr>| TcpStream::connect(*peer).await.map(drop));
//! let balance = BalanceLayer::new(peers)
//!     .probe(Probe::new(probe, Duration::from_secs(1)))
//!     // The first lookup takes a moment.
//!     .all_down(AllDown::WaitUpTo(Duration::from_secs(5)))
//!     .service_classified_by(
//!         service_fn(async |attempt: Attempt<SocketAddr, &'static str>| {
//!             send(TcpStream::connect(*attempt.peer).await?, attempt.request).await
//!         }),
//!         |outcome| match outcome {
//!             Ok(_) => Verdict::healthy(),
//!             Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
//!                 Verdict::down().safe()
//!             }
//!             Err(_) => Verdict::down(),
//!         },
//!     );
//! println!("{}", balance.oneshot("hello").await?);
//! # Ok(()) }
//! ```
//!
//! # The parts
//!
//! - [`Source`]: what is looked up. A [`Name`] in DNS, by a [`Dns`] (every address of a host, or SRV
//!   records); a file; a function of yours.
//! - [`Discovery`]: sources and settings, as a value.
//! - [`Changes`]: the stream. [`Changes::targets`] makes targets of its [`Address`]es.
//! - [`Handle`]: asks for a lookup, and tells what is known of each source.
//!
//! All sources work in the same way. A lookup returns a whole list and how long it is valid; one task a source
//! decides what stays, and the stream tells the differences.
//!
//! # What it guarantees
//!
//! - An address leaves only when an answer that is there does not have it. A lookup that fails or takes too
//!   long, a name that does not exist and an empty list change nothing
//!   ([`Discovery::keep_for`] sets for how long). Where a part of an answer could not be looked up, such as its AAAA
//!   records or one target of an SRV record, the addresses of that part stay.
//! - A source that fails does not touch what the others list.
//! - The order of an answer does not matter. An address is told once, under a [`Key`] that it keeps, and again
//!   only if its weight, tier or host changes.
//! - TTLs are respected: after a whole answer no lookup comes sooner, unless it is asked for, and none later than a
//!   tenth after it, between [`Discovery::min_ttl`] and [`Discovery::max_ttl`]. hickory's cache answers nothing.
//!   Sooner, on purpose, comes a lookup after one that failed or found a part only, and one as the time of
//!   [`Discovery::keep_for`] ends.
//! - Over [`Discovery::max_addresses`], the same addresses are used in every lookup.
//! - A search domain that does not answer ends the search. No other domain's host of the same name takes the
//!   place of the one that could not be looked up.
//!
//! # Weights and tiers
//!
//! An [`Address`] has a weight and a tier: those of an SRV record, of a file, or of your function. See
//! [`Name::srv`] for how records become weights and tiers. They reach the peers by
//! [`Peers::follow_placed`](evenhand::Peers::follow_placed). Where one changes, the peer keeps its state. Weights
//! count with the pick [`Weighted`](evenhand::Weighted).
//!
//! | peers | stream |
//! | --- | --- |
//! | `Peers<SocketAddr>` | `changes.targets(Placed::from)` |
//! | `Peers<Endpoint>`, for TLS: with the name that the certificate is checked for, see [`Endpoint`] | `changes.targets(Placed::from)` |
//! | your own targets | `changes.targets(\|address\| address.placed(..))` |
//!
//! An [`Address`] itself is no target: `Placed::from` would lose its weight and tier.
//!
//! # In Kubernetes
//!
//! A Service has one address, so to a client it is one peer. A *headless* Service (`clusterIP: None`) has a record
//! for each pod that is ready, and an SRV record for each of its named ports:
//!
//! ```yaml
//! apiVersion: v1
//! kind: Service
//! metadata: { name: galera, namespace: db }
//! spec:
//!   clusterIP: None
//!   selector: { app: galera }
//!   ports: [{ name: mysql, port: 3306 }]
//! ```
//!
//! Look up `dns:galera.db.svc.cluster.local.:3306` or `srv:_mysql._tcp.galera.db.svc.cluster.local.`. The dot at the end
//! saves the queries in the search domains, of which pods have several.
//!
//! A pod that is not ready leaves DNS: it gets no more work, and joins again on proof. With
//! `publishNotReadyAddresses: true` it stays, and the balancer's probes alone decide whether it is used. Prefer that
//! if readiness depends on what other pods do, as then all may become unready at once. (A name without any
//! record keeps its last addresses here.)
//!
//! This is how Kubernetes documents its DNS. The tests run on a DNS server of their own, not in a cluster.
//!
//! # What it cannot do
//!
//! - A caching name server between gives its old answer until the TTL is over, also to a lookup that was
//!   asked for.
//! - A name server that gives a few addresses of many, others each time, makes peers come and go. Ask one that
//!   gives all.
//! - `/etc/resolv.conf` is read when [`Dns::system`] is called, and not again.
//!
//! # Defaults
//!
//! | what | default | where |
//! | --- | --- | --- |
//! | shortest time between lookups | 1 s | [`DEFAULT_MIN_TTL`] |
//! | longest time between lookups | 5 min, and up to a tenth more | [`DEFAULT_MAX_TTL`] |
//! | longest pause while lookups fail | 30 s, and up to a tenth more | [`DEFAULT_MAX_RETRY`] |
//! | how long a list stays that no lookup shows | for ever | [`Discovery::keep_for`] |
//! | addresses of a source | 100 | [`DEFAULT_MAX_ADDRESSES`] |
//! | time of a lookup | 30 s | [`DEFAULT_LOOKUP_TIMEOUT`] |
//! | time of one query in it | 5 s | [`DEFAULT_QUERY_TIMEOUT`] |
//!
//! # Log and metrics
//!
//! Each change is logged at `DEBUG`. When lookups of a source begin to fail, it is logged once at `WARN`, and when
//! they work again at `INFO`. With the feature `metrics` the following are recorded; `source` is the name of
//! the [`Source`]:
//!
//! | name | labels | shows |
//! | --- | --- | --- |
//! | `evenhand_discovery_lookups_total` | `source`, `outcome` | counter: lookups that were `answered`, `partial` (a part could not be looked up), `empty` or `failed` |
//! | `evenhand_discovery_lookup_seconds` | `source` | histogram: how long they took |
//! | `evenhand_discovery_changes_total` | `source`, `change` | counter: addresses that `joined`, `left` or `changed` |
//! | `evenhand_discovery_addresses` | `source` | gauge: addresses that it lists, those that are kept while lookups fail included; 0 once the stream is dropped |
//!
//! # Features
//!
//! | feature | gives |
//! | --- | --- |
//! | `file` | `Source::file`: a list in a JSON or TOML file |
//! | `metrics` | the metrics above; `METRICS` lists them |
//!
//! None is on by default.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod discovery;
mod dns;
mod lookup;
mod observe;
mod source;
mod stream;

pub use evenhand;
pub use hickory_resolver;

pub use discovery::{
    DEFAULT_LOOKUP_TIMEOUT, DEFAULT_MAX_ADDRESSES, DEFAULT_MAX_RETRY, DEFAULT_MAX_TTL,
    DEFAULT_MIN_TTL, Discovery,
};
pub use dns::{DEFAULT_QUERY_TIMEOUT, Dns};
pub use lookup::address::{Address, Endpoint, Key};
pub use lookup::error::{BoxError, Error};
pub use lookup::found::{Family, Found, Lost};
pub use lookup::name::Name;
#[cfg(feature = "metrics")]
pub use observe::table::METRICS;
pub use source::Source;
pub use stream::board::SourceStatus;
pub use stream::changes::{Changes, Targets};
pub use stream::handle::Handle;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
