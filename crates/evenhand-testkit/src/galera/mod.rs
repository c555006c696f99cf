//! [`Galera`]: a real Galera cluster on loopback.
//!
//! | file | holds |
//! | --- | --- |
//! | `node.rs` | [`GaleraNode`]: one node, its process and the faults that only Galera has |
//! | `provider.rs` | the provider's library, its options, a node's ports |
//! | `state.rs` | `grastate.dat`: a node's saved view of its data |
//! | `error.rs` | [`GaleraError`] |
//!
//! A cluster of one starts in a third of a second, one of three in a second and a half. No data
//! needs to be sent for that: every node starts from a copy of the same data directory. So a node
//! that joins is told that what it has is what the cluster has, which Galera believes.
//!
//! All calls block, and work inside and outside of tokio; inside an async test use
//! `tokio::task::spawn_blocking`, or accept that they hold up a worker.

mod error;
mod node;
mod provider;
mod state;

use std::ops::{Index, IndexMut};

use crate::mariadb::{Maker, MariaDb};
use node::{Cluster, LIMIT};
use provider::Ports;

pub use error::GaleraError;
pub use node::GaleraNode;

/// A running Galera cluster.
///
/// As on a [`MariaDb`], `root` logs in without a password and there is an empty database `test`.
/// All processes are killed and their folders removed on drop, so also when the test panics.
///
/// ```no_run
/// use evenhand_testkit::Galera;
///
/// let mut cluster = Galera::start(3)?;
/// println!("{:?}", cluster.urls());
/// cluster[2].isolate()?; // logs clients in, and refuses their work
/// cluster[2].rejoin()?;
/// cluster[0].kill()?;
/// cluster[0].restart()?; // joins again, with the others' data
/// # Ok::<(), evenhand_testkit::GaleraError>(())
/// ```
#[derive(Debug)]
pub struct Galera {
    nodes: Vec<GaleraNode>,
}

/// Settings of a [`Galera`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct GaleraBuilder {
    args: Vec<String>,
    options: Vec<String>,
}

impl GaleraBuilder {
    /// Another argument for every node's `mariadbd`; it may override the testkit's own, but for
    /// `--wsrep-provider-options`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Another option for the provider, such as `evs.suspect_timeout=PT5S`; it may override the
    /// testkit's own, which make a lost node noticed after two seconds.
    pub fn provider_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Starts `n` nodes, one after the other, and waits until all are synced and know of each
    /// other. A cluster of two has no quorum without one of them.
    ///
    /// # Errors
    /// If `n` is 0, MariaDB or Galera is not installed, a folder or port cannot be had, or a node
    /// ends, stays silent or does not join in time; then with the end of its log.
    pub fn start(&self, n: usize) -> Result<Galera, GaleraError> {
        if n == 0 {
            return Err(GaleraError::NoNodes);
        }
        let provider = provider::find()?;
        let ports = (0..n)
            .map(|_| Ports::reserve())
            .collect::<Result<Vec<_>, _>>()?;
        let cluster = Cluster::of(&ports);
        let mut nodes: Vec<GaleraNode> = Vec::with_capacity(n);
        for (number, ports) in ports.into_iter().enumerate() {
            let name = format!("node{number}");
            let mut builder = MariaDb::builder().maker(Maker::MariaDb);
            for arg in provider::args(&provider, &name, &ports, &self.options) {
                builder = builder.arg(arg);
            }
            for arg in &self.args {
                builder = builder.arg(arg);
            }
            let mut node = GaleraNode::prepare(name, &builder, ports, cluster.clone())?;
            match nodes.first() {
                None => node.found_cluster()?,
                Some(first) => {
                    node.adopt(&first.position()?)?;
                    node.join()?;
                }
            }
            nodes.push(node);
        }
        for node in &nodes {
            node.wait_for_size(n, LIMIT)?;
        }
        Ok(Galera { nodes })
    }
}

impl Galera {
    /// Starts `n` nodes with default settings; see [`GaleraBuilder::start`].
    ///
    /// # Errors
    /// As [`GaleraBuilder::start`].
    pub fn start(n: usize) -> Result<Galera, GaleraError> {
        Galera::builder().start(n)
    }

    /// Settings to change before the start.
    pub fn builder() -> GaleraBuilder {
        GaleraBuilder::default()
    }

    /// The nodes, those that do not run included; `cluster[i]` is one of them.
    pub fn nodes(&self) -> &[GaleraNode] {
        &self.nodes
    }

    /// The nodes, to be killed and restarted.
    pub fn nodes_mut(&mut self) -> &mut [GaleraNode] {
        &mut self.nodes
    }

    /// Every node's [`url`](GaleraNode::url).
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(GaleraNode::url).collect()
    }

    /// Stops all nodes that run and starts all again, from whatever they were in, kills of all of
    /// them included: the node with the most recent data founds the cluster anew and the others
    /// join it.
    ///
    /// # Errors
    /// As [`GaleraNode::restart`].
    pub fn restart(&mut self) -> Result<(), GaleraError> {
        let mut latest: Option<(usize, state::Position)> = None;
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.stop()?;
            let position = node.saved_position()?;
            if latest
                .as_ref()
                .is_none_or(|(_, best)| position.seqno > best.seqno)
            {
                latest = Some((number, position));
            }
        }
        let Some((founder, position)) = latest else {
            return Err(GaleraError::NoNodes);
        };
        self.nodes[founder].adopt(&position)?;
        self.nodes[founder].found_cluster()?;
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if number != founder {
                node.restart()?;
            }
        }
        for node in &self.nodes {
            node.wait_for_size(self.nodes.len(), LIMIT)?;
        }
        Ok(())
    }
}

impl Index<usize> for Galera {
    type Output = GaleraNode;

    fn index(&self, number: usize) -> &GaleraNode {
        &self.nodes[number]
    }
}

impl IndexMut<usize> for Galera {
    fn index_mut(&mut self, number: usize) -> &mut GaleraNode {
        &mut self.nodes[number]
    }
}
