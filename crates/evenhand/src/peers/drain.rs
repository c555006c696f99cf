//! How peers are drained: no new attempt, and a wait for those in flight.

use std::pin::pin;

use super::Peers;
use crate::error::PeersError;
use crate::event::EventKind;
use crate::set::health::Phase;
use crate::set::ledger::Join;
use crate::set::member::Member;
use crate::set::peer::Peer;
use crate::set::registry::Change;

impl<Target> Peers<Target> {
    /// Takes a peer out of the picks, and resolves once no attempt is in flight on it and no
    /// [`Ticket`](crate::Ticket) for one lives. The peer stays out until it is
    /// [restored](Self::restore) or [removed](Self::remove); it is neither probed nor checked.
    ///
    /// There is no time limit: put your own around it.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the peer stays out of the picks. If it is never
    /// polled, nothing happens.
    pub async fn drain(&self, name: &str) -> Result<(), PeersError> {
        let peer = self.set.peer(name)?;
        begin_drain(&peer);
        end_of_drain(&peer).await;
        Ok(())
    }

    /// [Drains](Self::drain) all peers that the set has now, and resolves once no attempt is in flight on
    /// any. All are taken out of the picks before it waits. Requests fail meanwhile with
    /// [`Error::Drained`](crate::Error::Drained), after their wait if they wait for a peer, unless one is added
    /// or restored.
    ///
    /// There is no time limit: put your own around it.
    ///
    /// # Cancel safety
    ///
    /// As of [`drain`](Self::drain).
    pub async fn drain_all(&self) {
        let peers: Vec<_> = self.iter().collect();
        peers.iter().for_each(begin_drain);
        for peer in &peers {
            end_of_drain(peer).await;
        }
    }

    /// [Drains](Self::drain) a peer, and removes it once no attempt is in flight on it. A peer that was
    /// restored meanwhile stays.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the peer stays in the set and out of the picks. If it
    /// is never polled, nothing happens.
    pub async fn drain_and_remove(&self, name: &str) -> Result<(), PeersError> {
        let drained = self.set.peer(name)?;
        begin_drain(&drained);
        end_of_drain(&drained).await;
        let id = drained.member().id;
        let is_drained = |member: &Member| member.health.read().phase == Phase::Draining;
        let stays = |peer: &&Peer<Target>| peer.member().id != id || !is_drained(peer.member());
        self.set.edit_if(
            Join::AtOnce,
            is_drained,
            |_| None,
            |peers| Ok(peers.iter().filter(stays).cloned().collect()),
        )
    }
}

fn begin_drain<Target>(peer: &Peer<Target>) {
    peer.change(|record, _| {
        peer.member().health.drain()?;
        *record = None;
        Some(Change::Event(EventKind::Draining))
    });
}

/// Resolves once no attempt is in flight on a peer, or it drains no more.
async fn end_of_drain<Target>(peer: &Peer<Target>) {
    let member = peer.member();
    loop {
        let mut changed = pin!(member.changed().notified());
        // Listens before it looks, so that the last attempt's end does not fall between.
        changed.as_mut().enable();
        let is_draining = member.health.read().phase == Phase::Draining;
        if member.in_flight.count() == 0 || !is_draining {
            return;
        }
        changed.await;
    }
}
