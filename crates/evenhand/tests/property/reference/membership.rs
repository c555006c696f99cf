//! What operators do to the set, and who joins and leaves.

use std::time::Duration;

use tokio::time::Instant;

use super::Reference;
use super::peer::{Is, Peer, up_since};
use crate::decisions::{Record, Span};
use crate::rules::Join;

impl Reference {
    /// How many peers have been up.
    pub(super) fn proved(&self) -> usize {
        self.peers.iter().filter(|peer| !peer.is_joining).count()
    }

    fn leaving(&self) -> usize {
        self.peers.iter().filter(|peer| peer.is_leaving).count()
    }

    /// How many peers may leave: one for each that came up in its place, and all once no other is to.
    pub(crate) fn may_leave(&self) -> usize {
        if self.proved() == self.peers.len() {
            self.leaving()
        } else {
            self.came_up.min(self.leaving())
        }
    }

    /// So many leave, those that are out before those that are up.
    pub(crate) fn let_leave(&mut self) {
        for _ in 0..self.may_leave() {
            let leaving = self.peers.iter().filter(|peer| peer.is_leaving);
            let first = leaving.min_by_key(|peer| peer.is_up());
            self.leaves(first.unwrap().instance);
        }
        self.came_up = match self.proved() == self.peers.len() {
            true => 0,
            false => self.came_up.min(self.leaving()),
        };
    }

    /// This peer is up now.
    pub(super) fn comes_up(&mut self, instance: u32) {
        let leaving = self.leaving();
        let mut peers = self.peers.iter_mut();
        let peer = peers.find(|peer| peer.instance == instance).unwrap();
        if std::mem::take(&mut peer.is_joining) {
            self.came_up = leaving.min(self.came_up + 1);
        }
    }

    fn joins(&mut self, name: &str, instance: u32, join: Join) {
        let mut peer = Peer {
            name: name.to_owned(),
            instance,
            is: Is::Up,
            record: None,
            era: 0,
            failures: 0,
            is_joining: false,
            is_leaving: false,
        };
        if join == Join::OnProof {
            let now = Instant::now();
            peer.is_joining = true;
            peer.becomes(Is::Ejected);
            // As if a probe had ended that said nothing.
            peer.record = Some(Record {
                streak: 0,
                released: Some(now),
                ..up_since(now)
            });
        }
        self.peers.push(peer);
        self.call_one();
        self.tell(instance, "was added", None);
    }

    /// This peer leaves, in whatever state it is.
    fn leaves(&mut self, instance: u32) {
        let at = self.peers.iter().position(|p| p.instance == instance);
        self.tell(instance, "was removed", None);
        if self.peers.remove(at.unwrap()).is_leaving {
            self.came_up = self.came_up.saturating_sub(1);
        }
    }

    // Operators.

    pub(crate) fn add(&mut self, name: &str, instance: u32, join: Join) {
        self.joins(name, instance, join);
        self.let_leave();
    }

    /// Removes all peers of this name.
    pub(crate) fn remove(&mut self, name: &str) {
        for peer in self.peers.clone() {
            if peer.name == name {
                self.leaves(peer.instance);
            }
        }
        self.call();
        self.let_leave();
    }

    /// The set is to be these.
    pub(crate) fn replace(&mut self, wanted: &[(String, u32)], join: Join) {
        let mut changes = false;
        for peer in self.peers.clone() {
            let Peer { name, instance, .. } = peer;
            if wanted.contains(&(name, instance)) {
                changes |= self.set_leaving(instance, false);
            } else if join == Join::AtOnce || peer.is_joining {
                changes = true;
                self.leaves(instance);
            } else {
                changes = true;
                self.set_leaving(instance, true);
            }
        }
        for (name, instance) in wanted {
            if self.peer(*instance).is_none() {
                changes = true;
                self.joins(name, *instance, join);
            }
        }
        if changes {
            self.call();
            self.let_leave();
        }
    }

    /// Whether this peer is to leave. Returns whether it was.
    fn set_leaving(&mut self, instance: u32, is_leaving: bool) -> bool {
        let mut peers = self.peers.iter_mut();
        let peer = peers.find(|peer| peer.instance == instance).unwrap();
        std::mem::replace(&mut peer.is_leaving, is_leaving)
    }

    /// The peer of this name: of several the newest.
    pub(crate) fn named(&mut self, name: &str) -> &mut Peer {
        let mut peers = self.peers.iter_mut().rev();
        peers.find(|peer| peer.name == name).unwrap()
    }

    pub(crate) fn eject(&mut self, name: &str, time: Duration) {
        let (now, peer) = (Instant::now(), self.named(name));
        peer.becomes(Is::Ejected);
        peer.record = Some(Record {
            set: Some(now + time),
            ..up_since(now)
        });
        let (instance, due) = (peer.instance, Some(Span::at(now + time)));
        self.tell(instance, "ejected (by an operator)", due);
    }

    pub(crate) fn drain(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Draining => return,
            // Draining is no ejection, so the era stays.
            Is::Up => peer.is = Is::Draining,
            _ => peer.becomes(Is::Draining),
        }
        peer.record = None;
        let instance = peer.instance;
        self.tell(instance, "is being drained", None);
    }

    pub(crate) fn restore(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Up => return,
            Is::Draining => peer.is = Is::Up,
            _ => peer.becomes(Is::Up),
        }
        peer.record = None;
        let instance = peer.instance;
        self.comes_up(instance);
        self.call_one();
        self.tell(instance, "was restored by an operator", None);
    }
}
