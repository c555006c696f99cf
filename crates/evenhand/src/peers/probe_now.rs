//! Probes that come before their time.

use tokio::time::Instant;

use super::Peers;
use crate::error::PeersError;
use crate::set::health::Phase;
use crate::set::registry::Change;

impl<Target> Peers<Target> {
    /// Makes the next probe of an ejected peer due now: for those that know that the reason may be gone, as where
    /// the peer has moved. Nothing else changes, so the peer is back once the probe has succeeded.
    ///
    /// A peer in another state is left as it is, and so is one whose time was set: by an operator's
    /// [`eject`](Self::eject), or by [`Verdict::recover_in`](crate::Verdict::recover_in).
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand::{Peers, State};
    ///
    /// let peers = Peers::new([("db0", "10.0.0.1:3306")])?;
    /// peers.eject("db0", Duration::from_secs(60))?;
    /// peers.probe_now("db0")?;
    /// assert_eq!(peers.statuses()[0].state, State::Ejected, "for a minute, as the operator said");
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn probe_now(&self, name: &str) -> Result<(), PeersError> {
        let peer = self.set.peer(name)?;
        peer.change(|record, _| {
            if peer.member().health.read().phase != Phase::Ejected {
                return None;
            }
            let due = record.as_mut()?.due.as_mut().filter(|due| !due.firm)?;
            let now = Instant::now();
            (due.at, due.on_demand) = (due.at.min(now), due.on_demand.min(now));
            Some(Change::Due)
        });
        Ok(())
    }
}
