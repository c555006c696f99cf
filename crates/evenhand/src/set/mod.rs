//! The peer set: who is in it, who is up, and when those that are out are due. Knows of policies,
//! but of no request and no probe.

pub(crate) mod health;
pub(crate) mod in_flight;
pub(crate) mod ledger;
#[cfg(test)]
#[cfg(evenhand_loom)]
mod loom;
pub(crate) mod member;
pub(crate) mod peer;
pub(crate) mod policies;
pub(crate) mod registry;
pub(crate) mod snapshot;
pub(crate) mod status;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use self::member::Member;
use self::peer::Peer;
use self::registry::Registry;
use self::snapshot::Snapshot;
use self::status::{State, Status};
use crate::error::PeersError;
use crate::event::{Event, EventKind};

pub(crate) struct Set<Target> {
    pub(crate) registry: Arc<Registry>,
    snapshot: ArcSwap<Snapshot<Target>>,
}

impl<Target> Set<Target> {
    pub(crate) fn new() -> Self {
        Self {
            registry: Arc::new(Registry::new()),
            snapshot: ArcSwap::from_pointee(Snapshot::new(Box::default())),
        }
    }

    /// The current snapshot. Cheap; not to be held for long.
    #[inline]
    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot<Target>>> {
        self.snapshot.load()
    }

    /// Makes the snapshot anew.
    #[cold]
    pub(crate) fn refresh(&self) {
        let mut ledger = self.registry.lock();
        self.snapshot
            .store(Arc::new(self.snapshot.load().refreshed()));
        ledger.refreshed();
        self.registry.publish(&ledger);
    }

    /// The peer with this name.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none.
    pub(crate) fn peer(&self, name: &str) -> Result<Peer<Target>, PeersError> {
        let snapshot = self.snapshot();
        let found = snapshot.peers().iter().find(|peer| peer.name() == name);
        found
            .cloned()
            .ok_or_else(|| PeersError::Unknown(name.into()))
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let snapshot = self.snapshot.load_full();
        let members = || snapshot.peers().iter().map(Peer::member);
        let due_times = self.registry.due_times(members());
        let status = |(member, due): (&Member, Option<_>)| {
            let state = State::from(member.health.read().phase);
            Status {
                peer: member.name.clone(),
                state,
                next_probe: due.filter(|_| state == State::Ejected),
                in_flight: member.in_flight.count(),
                weight: member.weight(),
            }
        };
        members().zip(due_times).map(status).collect()
    }

    /// Removes the members for which `leaves` holds, and adds others, in one go. The names must be
    /// unique afterwards. `leaves` runs under the lock, so it calls no code of a user.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if they are not; then nothing is changed.
    pub(crate) fn edit(
        &self,
        leaves: impl Fn(&Member) -> bool,
        add: Vec<(Arc<str>, Target)>,
    ) -> Result<(), PeersError> {
        let mut ledger = self.registry.lock();
        let before = self.snapshot.load_full();
        let (gone, stay): (Vec<_>, Vec<_>) = before
            .peers()
            .iter()
            .partition(|peer| leaves(peer.member()));

        let mut names: Vec<&str> = add.iter().map(|(name, _)| &**name).collect();
        names.extend(stay.iter().map(|peer| peer.name()));
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = twice[0].into();
            // What was to be added is the user's, so it is not dropped under the lock.
            drop(ledger);
            return Err(PeersError::Duplicate(name));
        }

        let mut events = Vec::with_capacity(gone.len() + add.len());
        for peer in gone {
            ledger.leave(peer.member());
            events.push(Event::now(&peer.member().name, EventKind::Removed));
        }
        let mut peers: Vec<Peer<Target>> = stay.into_iter().cloned().collect();
        for (name, target) in add {
            events.push(Event::now(&name, EventKind::Added));
            let member = Member::new(ledger.next_id, name);
            ledger.next_id += 1;
            ledger.join();
            peers.push(Peer::new(member, target, &self.registry));
        }
        self.snapshot.store(Arc::new(Snapshot::new(peers.into())));
        ledger.refreshed();
        self.registry.publish(&ledger);
        events.iter().for_each(|event| self.registry.send(event));
        drop(ledger);

        // `before` may hold the last handle of a peer that left: it is dropped outside the lock.
        drop(before);
        self.registry.available.notify_one();
        events.iter().for_each(Event::trace);
        Ok(())
    }
}

impl<Target> fmt::Debug for Set<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}
