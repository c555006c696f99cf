//! What every peer says about itself, asked of all at once: before a migration, which needs every peer,
//! or before a service starts.
//!
//! `inspect` asks one peer; it knows peers, not the pool.

pub(crate) mod inspect;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Error;

/// The findings about one peer, from [`Pool::check`](crate::Pool::check).
#[derive(Debug)]
#[non_exhaustive]
pub struct PeerReport {
    /// The peer's name.
    pub peer: Arc<str>,
    /// Its host and port.
    pub address: String,
    /// What it said about itself before the fault, if there is one; `None` if the login failed.
    pub facts: Option<PeerFacts>,
    /// Why it is not online, if it is not.
    pub fault: Option<PeerFault>,
}

impl PeerReport {
    /// Whether the peer can be reached, accepts this client's login, and passes its pool's
    /// [health check](crate::HealthCheck).
    pub fn is_online(&self) -> bool {
        self.fault.is_none()
    }
}

/// What a peer says about itself. A field is `None` if the peer does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerFacts {
    /// Its version, such as `11.8.3-MariaDB`.
    pub version: Option<String>,
    /// Whether it accepts writes: none of `read_only`, `super_read_only`, `innodb_read_only` is on.
    pub writable: Option<bool>,
    /// Its state in its Galera cluster; `None` also for a server that is in none.
    pub galera: Option<GaleraFacts>,
    /// The TLS cipher of the connection, such as `TLS_AES_256_GCM_SHA384`; `None` without TLS.
    pub tls: Option<String>,
    /// The shortest of three round trips.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub round_trip: Option<Duration>,
    /// How far its clock is ahead of this host's, in seconds, with an error of about half a round trip;
    /// negative if it is behind.
    pub clock_ahead: Option<f64>,
}

/// A server's state in its Galera cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GaleraFacts {
    /// `wsrep_local_state_comment`, such as `Synced` or `Donor/Desynced`.
    pub state: String,
    /// `wsrep_ready`: whether it accepts statements.
    pub ready: bool,
    /// `wsrep_cluster_status`: `Primary` if the node's part of the cluster has the quorum.
    pub cluster: String,
    /// `wsrep_cluster_size`: the number of nodes that it sees, itself included.
    pub nodes: u32,
}

/// Why a peer is not online. `Display` shows the driver's error, and there is no
/// [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// Connecting to it failed, or it does not speak MySQL.
    #[error("cannot be reached: {0}")]
    Unreachable(Error),
    /// It had not answered everything within the time limit.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// It refused this client's login.
    #[error("login refused: {0}")]
    LoginRefused(Error),
    /// A statement failed after the login.
    #[error("failed after the login: {0}")]
    Failed(Error),
    /// It answers, but does not pass its pool's probe.
    #[error("not ready: {0}")]
    NotReady(&'static str),
}

/// The findings about every peer of every database, from
/// [`Databases::check`](crate::Databases::check). `Display` shows a table and a verdict below it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Each database's alias and peers, in the order of the aliases and of the peers.
    pub databases: Vec<(String, Vec<PeerReport>)>,
}

impl Report {
    /// Whether every peer of every database is online.
    pub fn all_online(&self) -> bool {
        self.peers().all(|(_, peer)| peer.is_online())
    }

    /// Every peer, with its database's alias.
    pub fn peers(&self) -> impl Iterator<Item = (&str, &PeerReport)> {
        self.databases
            .iter()
            .flat_map(|(alias, peers)| peers.iter().map(move |peer| (alias.as_str(), peer)))
    }
}

const COLUMNS: [&str; 9] = [
    "database",
    "peer",
    "address",
    "online",
    "version",
    "role",
    "TLS",
    "round trip",
    "clock",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![COLUMNS.map(str::to_owned)];
        lines.extend(self.peers().map(|(alias, peer)| line(alias, peer)));
        let width = |column: usize| {
            let widths = lines.iter().map(|line| line[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
        for line in &lines {
            let cells = line.iter().zip(widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        let faults: Vec<_> = self
            .peers()
            .filter_map(|(alias, peer)| Some((alias, peer, peer.fault.as_ref()?)))
            .collect();
        if faults.is_empty() {
            return write!(f, "\nall peers are online");
        }
        write!(f, "\nnot online:")?;
        for (alias, peer, fault) in faults {
            write!(f, "\n  {alias}: {} ({}): {fault}", peer.peer, peer.address)?;
        }
        Ok(())
    }
}

fn line(alias: &str, peer: &PeerReport) -> [String; COLUMNS.len()] {
    let facts = peer.facts.clone().unwrap_or_default();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let online = if peer.is_online() { "yes" } else { "NO" };
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    [
        alias.to_owned(),
        peer.peer.to_string(),
        peer.address.clone(),
        online.to_owned(),
        or_dash(facts.version.clone()),
        or_dash(role(&facts)),
        or_dash(facts.tls),
        or_dash(facts.round_trip.map(milliseconds)),
        or_dash(facts.clock_ahead.map(|ahead| format!("{ahead:+.3} s"))),
    ]
}

/// Such as `writable, Galera Synced in Primary of 3`.
fn role(facts: &PeerFacts) -> Option<String> {
    let mut role = match facts.writable? {
        true => "writable".to_owned(),
        false => "read-only".to_owned(),
    };
    if let Some(galera) = &facts.galera {
        let ready = if galera.ready { "" } else { ", not ready" };
        role += &format!(
            ", Galera {} in {} of {}{ready}",
            galera.state, galera.cluster, galera.nodes
        );
    }
    Some(role)
}
