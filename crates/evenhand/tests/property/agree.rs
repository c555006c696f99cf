//! Whether the balancer's visible state is that of the reference.

use std::sync::atomic::Ordering;
use std::time::Duration;

use evenhand::{Event, EventKind};
use tokio::time::Instant;

use crate::reference::Told;
use crate::world::World;

impl World {
    /// Requests that wait look again in time, and one does at once if a peer came or another request
    /// ended.
    pub(crate) fn none_sleeps_too_long(&self) -> Result<(), String> {
        // Timers ring at whole milliseconds.
        let now = Instant::now() - Duration::from_millis(1);
        let (mut waits, mut could_ask) = (0, false);
        for (id, live) in &self.requests {
            if let Some(by) = live.asked.looks_by() {
                waits += 1;
                could_ask |= live.asked.could_ask(&self.reference);
                if by <= now {
                    return Err(format!("request {id} sleeps for {:?} too long", now - by));
                }
            }
        }
        // One that has an attempt in flight passes its turn on later.
        if self.reference.lets_in && could_ask && waits == self.reference.waiting {
            return Err("no request was let in".into());
        }
        Ok(())
    }

    /// Compares the balancer's visible state with the reference, which learns the jitter from it.
    pub(crate) fn agree(&mut self) -> Result<(), String> {
        self.agree_on_events()?;
        let (statuses, r) = (self.peers.statuses(), &mut self.reference);
        let demand = r.demand();
        let found = statuses.iter().map(|status| {
            let name = status.peer.to_string();
            (name, status.state, status.in_flight)
        });
        let expected = r.peers.iter();
        let expected =
            expected.map(|peer| (peer.name.clone(), peer.state(), r.in_flight(peer.instance)));
        let (found, expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
        if found != expected {
            return Err(format!("peers {found:?}, expected {expected:?}"));
        }
        for (at, status) in statuses.iter().enumerate() {
            let (told, due) = (status.next_probe, r.due(&r.peers[at], demand));
            let as_told = due.zip(told).is_none_or(|(due, told)| due.contains(told));
            if told.is_some() != due.is_some() || !as_told {
                let name = &status.peer;
                return Err(format!("{name} is due at {told:?}, expected {due:?}"));
            }
            if let Some(record) = &mut r.peers[at].record
                && record.released.is_none()
                && told.is_some()
            {
                record.shown[usize::from(demand)] = told;
            }
        }
        let counts = (self.peers.len(), self.peers.up_count());
        if counts != (expected.len(), r.up()) {
            return Err(format!("{counts:?} peers and up, of {expected:?}"));
        }
        let budget = self.budget.load(Ordering::SeqCst);
        if budget != r.budget {
            return Err(format!("a budget of {budget}, expected {}", r.budget));
        }
        let mut tickets = self.tickets.iter();
        let wrong = tickets.find(|one| one.ticket.is_stale() != r.is_stale(one.serial));
        match wrong {
            Some(one) => Err(format!("attempt {}: {:?}", one.serial, one.ticket)),
            None => Ok(()),
        }
    }

    /// The events of each peer are as expected, in order.
    fn agree_on_events(&mut self) -> Result<(), String> {
        let mut found: Vec<Event> = Vec::new();
        while let Some(event) = self.events.try_next().map_err(|why| why.to_string())? {
            found.push(event);
        }
        let mut expected = std::mem::take(&mut self.reference.events);
        found.sort_by(|a, b| a.peer.cmp(&b.peer));
        expected.sort_by(|a, b| a.peer.cmp(&b.peer));
        let agree = |event: &Event, told: &Told| {
            let text = event.to_string();
            let what = text.split("; next probe in ").next();
            let due = due(event).zip(told.due);
            what == Some(&*format!("{} {}", told.peer, told.what))
                && due.is_none_or(|(due, span)| span.contains(due))
        };
        if found.len() != expected.len() || !found.iter().zip(&expected).all(|(a, b)| agree(a, b)) {
            return Err(format!("events {found:?}, expected {expected:?}"));
        }
        for (event, told) in found.iter().zip(&expected) {
            let mut peers = self.reference.peers.iter_mut();
            let peer = peers.find(|peer| peer.instance == told.instance);
            if let Some(record) = peer.and_then(|peer| peer.record.as_mut())
                && due(event).is_some()
                && record.since == event.at
            {
                record.shown[0] = due(event);
            }
        }
        Ok(())
    }
}

/// When the peer that the event is about is due next.
fn due(event: &Event) -> Option<Instant> {
    match event.kind {
        EventKind::Ejected { probe_in, .. } | EventKind::ProbeFailed { probe_in, .. } => {
            Some(event.at + probe_in)
        }
        _ => None,
    }
}
