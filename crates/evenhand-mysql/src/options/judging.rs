//! Settings that say how errors and health checks are judged.

use super::PoolOptions;
use super::health::HealthCheck;
use crate::classify::Classifier;

impl PoolOptions {
    /// How errors are judged. Default: [`Classifier::default`], this crate's table of MySQL's errors
    /// without additions.
    pub fn classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Declares whether every peer must accept writes. If so, a peer that refuses a statement because it is
    /// read-only, or left its replication group, is ejected; one that says that a transaction is read-only
    /// is checked at once; and the default probe is
    /// [`ProbeKind::Writable`](crate::ProbeKind::Writable). Default: `false`, so that a read-only peer
    /// is healthy.
    pub fn writable(mut self, writable: bool) -> Self {
        self.writable = writable;
        self
    }

    /// How peers are probed and checked. Default: [`HealthCheck::default`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand_mysql::{HealthCheck, PoolOptions};
    ///
    /// let often = HealthCheck::new().active(Duration::from_secs(1), 2);
    /// let options = PoolOptions::new().health_check(often);
    /// ```
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.health_check = check;
        self
    }

    /// Whether an operation that waits for a connection's peer ends when the peer is lost, with
    /// [`Error::PeerLost`](crate::Error::PeerLost). A peer is lost when consecutive checks, two
    /// unless [set](HealthCheck::lost_after), got no answer from it, not even a refusal, and nothing else did meanwhile. Otherwise the operation
    /// waits until the kernel gives up the connection, which may take 15 minutes. Default: `true`.
    ///
    /// With the defaults this is 3 s after the statement began: 500 ms of [silence](HealthCheck::silence),
    /// and two checks of 1 s. Where slow statements have waited for long already, it may be 7 s. A slow statement on
    /// a peer that answers its checks is never ended, nor is one on a peer that is full, refuses
    /// logins, is draining, or was ejected manually. A draining peer is not checked. With
    /// [`HealthCheck::passive`] a peer is checked only if an outcome or its silence raises doubt.
    ///
    /// Rows that are read one by one (`query_iter`, `exec_iter`, streams, and
    /// `"SELECT ..".fetch(&mut conn)`) come from the driver, so waiting for them is not ended. Wait for
    /// [`PeerConn::peer_lost`](crate::PeerConn::peer_lost) beside them if that matters.
    pub fn end_on_lost_peer(mut self, end: bool) -> Self {
        self.end_on_lost_peer = end;
        self
    }
}
