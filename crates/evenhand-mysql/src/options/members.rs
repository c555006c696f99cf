//! The setting that makes a pool's peers those of its cluster.

use super::PoolOptions;
use crate::membership::Membership;

impl PoolOptions {
    /// Makes the members of the cluster the pool's peers, from the first checkout on. The listed peers are the
    /// seeds: any of them tells the list. `None`: the peers are those that are listed. Default: `None`.
    ///
    /// - A server that is up is asked once an [interval](Membership::interval); where its answer is not to be
    ///   believed, all others, seeds included. Without a believed answer the last list stays, which is logged at
    ///   `WARN` once. A server without quorum is not believed.
    /// - A member that is new takes work once its probe has succeeded. One that has left is
    ///   [removed](crate::PeersHandle::remove), after the new ones have proved themselves, and unless it belongs to
    ///   a cluster of its own that has a quorum: then both lists count, which is logged at `WARN`.
    /// - A member has the options of the first seed, and `host:port` for its name. A seed that is a member, by
    ///   its host or the only address of that, and its port, is one peer, by the seed's name, options and weight.
    ///   One that is none, such as the name of a service, is a peer only until the list has come.
    /// - [`PeersHandle::replace_all`](crate::PeersHandle::replace_all) and a reload replace the seeds. Peers that
    ///   are [added](crate::PeersHandle::add) or removed by hand are so until the next answer.
    pub fn discover(mut self, membership: impl Into<Option<Membership>>) -> Self {
        self.discover = membership.into();
        self
    }
}
