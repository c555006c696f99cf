//! Opens pools over names in DNS.

use std::sync::Arc;

use evenhand_dns::{Dns, Name};
use mysql_async::Opts;

use super::{Found, Host};
use crate::error::Error;
use crate::options::PoolOptions;
use crate::peer::into_peer::IntoPeer;
use crate::pool::Pool;

impl PoolOptions {
    /// Opens a pool over the servers that these names stand for: every address of a host, or every target of a
    /// service's SRV records. Looks nothing up and connects to nothing yet; lookups begin with the first checkout,
    /// which waits for them, unless [`all_down`](Self::all_down) is set otherwise: then checkouts fail until the first
    /// probes have succeeded.
    ///
    /// A name comes with the connection options of its peers, as [`IntoPeer`] takes them; their host and port do
    /// not matter. TLS verifies the host's name, or that of the record's target. A peer's name is its host's, or
    /// its options' own, and its address: `db.example/10.0.0.1:3306`. With SRV records it has their weights,
    /// which [`PickKind::Weighted`](crate::PickKind::Weighted) uses, and their priorities as tiers. A weight of 1 in a
    /// record is 100 here, as [`Name::srv`] says; other peers have 1 unless it is set.
    ///
    /// A list is looked up again by its TTL (1 s to 5 min), and soon after an ejection. Addresses that join take
    /// work once their probe has succeeded, and those that leave are [removed](crate::PeersHandle::remove), also while they are
    /// [drained](crate::PeersHandle::drain): one that is listed again takes work after its probe. A
    /// lookup that fails, or finds nothing, changes no peer.
    ///
    /// ```
    /// use evenhand_mysql::{PoolOptions, evenhand_dns::Name};
    ///
    /// let name: Name = "dns:galera.db.svc.cluster.local.:3306".parse()?;
    /// # let dns = evenhand_mysql::evenhand_dns::Dns::name_server(([127, 0, 0, 1], 53).into())?;
    /// let pool = PoolOptions::new()
    /// #   .dns(dns)
    ///     .open_names([(name, "mysql://app:secret@galera/shop")])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// In [`mysql_async::Error::Other`]: [`Error::NoPeers`] for an empty list; [`Error::Options`] for invalid
    /// connection options, where the system's resolver cannot be set up, and for a pool that also
    /// [follows its cluster](Self::discover).
    pub fn open_names(
        self,
        names: impl IntoIterator<Item = (Name, impl IntoPeer)>,
    ) -> mysql_async::Result<Pool> {
        let host = |(name, peer): (Name, _)| {
            let (label, opts) = IntoPeer::into_peer(peer);
            let shown = name.to_string();
            // Such as `dns:db.example:3306`.
            let host = shown.split_once(':').map_or("", |(_, rest)| rest);
            let host = match shown.starts_with("dns:") {
                true => host.rsplit_once(':').map_or(host, |(host, _)| host),
                false => host,
            };
            let label = label.unwrap_or_else(|| host.trim_end_matches('.').into());
            let opts = opts.map_err(|cause| Error::Options {
                peer: label.clone(),
                cause,
            })?;
            Ok(Host {
                label,
                name,
                opts,
                weight: 1,
            })
        };
        let hosts: Result<Vec<Host>, Error> = names.into_iter().map(host).collect();
        Ok(self.build_found(Vec::<(Arc<str>, Opts)>::new(), hosts?)?)
    }

    /// Over listed peers, and over those that names stand for.
    pub(crate) fn build_found(
        self,
        peers: Vec<(impl Into<Arc<str>>, Opts)>,
        hosts: Vec<Host>,
    ) -> Result<Pool, Error> {
        let Some(first) = hosts.first() else {
            return self.build(peers);
        };
        let invalid = |cause| Error::Options {
            peer: first.label.clone(),
            cause,
        };
        if self.get_discover().is_some() {
            let both = "the peers are those of a name, or of a cluster: not both";
            return Err(invalid(both.into()));
        }
        let dns = match self.get_dns() {
            Some(dns) => dns,
            None => Arc::new(Dns::system().map_err(|error| invalid(error.into()))?),
        };
        let mut pool = self.assemble(peers)?;
        pool.found = Some(Found { dns, hosts });
        Ok(pool)
    }
}
