//! The balancer and its reference side by side: every step is taken on both, and then their visible
//! states must agree.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use evenhand::{Balance, BalanceLayer, Error, Events, Peers, PeersError, Ticket, Verdict};
use tokio::task::yield_now;
use tokio::time::{Instant, advance};
use tower::{Layer, Service};

use crate::controlled_connector::{AsMarked, AsTold, ControlledConnector, Driven, End, Request};
use crate::peer::{Is, Peer};
use crate::reference::Reference;
use crate::request::Asked;
use crate::rules::Rules;
use crate::turns::Seen;

type Balanced = Balance<ControlledConnector, u32, evenhand::Rules<AsTold, AsMarked>>;

pub(crate) struct Live {
    pub(crate) asked: Asked,
    future: Driven<Result<End, Error<End>>>,
    /// In its latest poll.
    woke_itself: bool,
}

pub(crate) struct World {
    pub(crate) peers: Peers<u32>,
    balance: Balanced,
    connector: ControlledConnector,
    pub(crate) reference: Reference,
    pub(crate) events: Events,
    pub(crate) requests: BTreeMap<usize, Live>,
    asked: usize,
    pub(crate) tickets: Vec<(usize, Ticket<u32>)>,
    drains: Vec<(u32, Driven<Result<(), PeersError>>)>,
    /// The first disagreement within a step.
    broken: Option<String>,
    instances: u32,
    start: Instant,
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, rules: Rules) -> Self {
        let peers = Peers::new([("", 0); 0]).unwrap();
        let connector = ControlledConnector::default();
        let balance = BalanceLayer::new(peers.clone())
            .classify(AsTold)
            .replay(AsMarked)
            .eject(rules.eject())
            .all_down(rules.all_down())
            .max_attempts(rules.max_attempts)
            .max_unknown(rules.max_unknown)
            .max_refusals(rules.max_refusals)
            .seed(seed)
            .layer(connector.clone());
        Self {
            events: peers.subscribe(),
            peers,
            balance,
            connector,
            reference: Reference::new(rules),
            requests: BTreeMap::new(),
            asked: 0,
            tickets: Vec::new(),
            drains: Vec::new(),
            broken: None,
            instances: 0,
            start: Instant::now(),
            log: vec![format!("{rules:?}")],
        }
    }

    fn note(&mut self, what: String) {
        let at = self.start.elapsed().as_millis();
        self.log.push(format!("{at} ms: {what}"));
    }

    // What the schedule chooses from.

    pub(crate) fn requests(&self) -> Vec<usize> {
        self.requests.keys().copied().collect()
    }

    /// Requests whose attempt hangs.
    pub(crate) fn hanging(&self) -> Vec<usize> {
        let hangs = |(id, live): (&usize, &Live)| live.asked.hangs_on().map(|_| *id);
        self.requests.iter().filter_map(hangs).collect()
    }

    pub(crate) fn tickets(&self) -> usize {
        self.tickets.len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let name = |peer: &Peer| peer.name.clone();
        self.reference.peers.iter().map(name).collect()
    }

    /// The future moments at which something is due, ends or is forgotten.
    pub(crate) fn moments(&self) -> Vec<Instant> {
        let (now, r) = (Instant::now(), &self.reference);
        let due = |peer| r.due(peer, r.demand()).map(|due| due.to);
        let forgotten = |peer: &Peer| Some(peer.record?.since + r.rules.forgets_after());
        let peers = r.peers.iter();
        let peers = peers.flat_map(|peer| due(peer).or_else(|| forgotten(peer)));
        let waits = self.requests.values();
        let waits = waits.flat_map(|live| [live.asked.looks_by(), live.asked.deadline()]);
        let all = peers.chain(waits.flatten());
        all.filter(|moment| *moment > now).collect()
    }

    // The steps.

    pub(crate) fn ask(&mut self, request: Request, ticket: bool) {
        self.connector.leave_tickets(ticket);
        let id = self.asked;
        self.asked += 1;
        self.note(format!("request {id}: {request:?}, ticket: {ticket}"));
        let live = Live {
            asked: Asked::new(request),
            future: Driven::new(self.balance.call(request)),
            woke_itself: false,
        };
        self.requests.insert(id, live);
    }

    pub(crate) fn end(&mut self, id: usize, ok: bool, verdict: Verdict) {
        let live = self.requests.get_mut(&id).unwrap();
        let serial = live.asked.hangs_on().unwrap();
        live.asked.told = Some((ok, verdict));
        self.connector.end(serial, ok, verdict);
        self.note(format!(
            "request {id}: its attempt {serial} ends, ok: {ok}, {verdict:?}"
        ));
    }

    pub(crate) fn cancel(&mut self, id: usize) {
        self.note(format!("request {id} is cancelled"));
        let live = self.requests.remove(&id).unwrap();
        drop(live.future);
        live.asked.cancel(&mut self.reference);
    }

    pub(crate) fn report(&mut self, at: usize, verdict: Verdict) {
        let serial = self.tickets[at].0;
        self.note(format!("a ticket of attempt {serial} reports {verdict:?}"));
        self.tickets[at].1.report(verdict);
        self.reference.report(serial, &verdict);
    }

    pub(crate) fn copy_ticket(&mut self, at: usize) {
        let (serial, ticket) = &self.tickets[at];
        self.reference.ticket_cloned(*serial);
        self.tickets.push((*serial, ticket.clone()));
    }

    pub(crate) fn drop_ticket(&mut self, at: usize) {
        let (serial, _) = self.tickets.swap_remove(at);
        self.note(format!("a ticket of attempt {serial} is dropped"));
        self.reference.ticket_dropped(serial);
    }

    pub(crate) async fn pass(&mut self, time: Duration) {
        advance(time).await;
        self.note(format!("{time:?} later"));
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.instances += 1;
        self.note(format!("{name} is added as {}", self.instances));
        self.peers.add(name, self.instances).unwrap();
        self.reference.add(name, self.instances);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.note(format!("{name} is removed"));
        let instance = self.instance(name);
        self.peers.remove(name).unwrap();
        self.reference.remove(instance);
    }

    /// Keeps the named peers, and adds one that has a new name or other data.
    pub(crate) fn replace(&mut self, keep: &[String], add: Option<&str>) {
        self.note(format!("the set is now {keep:?} and {add:?}"));
        self.instances += 1;
        let new = add.map(|name| (name.to_owned(), self.instances));
        let kept = |name: &String| (name.clone(), self.instance(name));
        let wanted: Vec<(String, u32)> = keep.iter().map(kept).chain(new.clone()).collect();
        self.peers.replace_all(wanted.clone()).unwrap();
        for peer in self.reference.peers.clone() {
            if !wanted.contains(&(peer.name, peer.instance)) {
                self.reference.remove(peer.instance);
            }
        }
        if let Some((name, instance)) = new {
            self.reference.add(&name, instance);
        }
    }

    pub(crate) fn eject(&mut self, name: &str, time: Duration) {
        self.note(format!("{name} is ejected manually for {time:?}"));
        self.peers.eject(name, time).unwrap();
        self.reference.eject(name, time);
    }

    pub(crate) fn restore(&mut self, name: &str) {
        self.note(format!("{name} is restored"));
        self.peers.restore(name).unwrap();
        self.reference.restore(name);
    }

    pub(crate) fn drain(&mut self, name: &str) {
        self.note(format!("{name} is drained"));
        let instance = self.instance(name);
        let (peers, named) = (self.peers.clone(), name.to_owned());
        let future = Driven::new(async move { peers.drain(&named).await });
        self.reference.drain(name);
        // The drain begins with its first poll. Other drains are not polled now.
        let others = std::mem::replace(&mut self.drains, vec![(instance, future)]);
        let begun = self.follow_drains();
        self.drains.extend(others);
        self.broken = self.broken.take().or(begun.err());
    }

    pub(crate) fn instance(&self, name: &str) -> u32 {
        let mut peers = self.reference.peers.iter();
        peers.find(|peer| peer.name == name).unwrap().instance
    }

    /// Polls what was woken until nothing is, and checks after every poll.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        loop {
            for _ in 0..4 {
                yield_now().await;
            }
            self.broken.take().map_or(Ok(()), Err)?;
            self.follow_drains()?;
            self.agree()?;
            let woken = self
                .requests
                .iter()
                .find(|(_, live)| live.future.is_woken());
            let Some((&id, _)) = woken else { break };
            self.follow(id)
                .map_err(|why| format!("request {id}: {why}"))?;
        }
        for (instance, _) in &self.drains {
            if self.is_drained(*instance) {
                return Err(format!("the drain of {instance} did not resolve"));
            }
        }
        self.none_sleeps_too_long()
    }

    fn follow(&mut self, id: usize) -> Result<(), String> {
        let live = self.requests.get_mut(&id).unwrap();
        let is_perhaps_vain = live.woke_itself;
        let outcome = live.future.poll();
        live.woke_itself = live.future.is_woken();
        let mut started = self.connector.started();
        for one in &started {
            let line = format!(
                "  request {id}: attempt {} on {} ({}), probe: {}, second pass: {}",
                one.serial, one.name, one.instance, one.probe, one.second_pass
            );
            self.log.push(line);
        }
        if started.len() > 1 {
            return Err("two attempts at a time".into());
        }
        let seen = Seen {
            started: started.first(),
            outcome: &outcome,
            is_perhaps_vain,
        };
        live.asked.follow(&mut self.reference, &seen)?;
        let started = started.pop();
        if let Some((serial, ticket)) = started.and_then(|one| Some((one.serial, one.ticket?))) {
            self.tickets.push((serial, ticket));
        }
        // A completed request holds nothing, even before it is dropped.
        self.agree()?;
        if let Poll::Ready(outcome) = outcome {
            let outcome = outcome.map(|end| end.serial);
            self.log.push(format!("  request {id} ended: {outcome:?}"));
            self.requests.remove(&id);
        }
        Ok(())
    }

    fn is_drained(&self, instance: u32) -> bool {
        let peer = self.reference.peer(instance);
        let draining = peer.is_none_or(|peer| matches!(peer.is, Is::Draining));
        !draining || self.reference.in_flight(instance) == 0
    }

    fn follow_drains(&mut self) -> Result<(), String> {
        for (instance, mut drain) in std::mem::take(&mut self.drains) {
            if drain.is_woken() && drain.poll().is_ready() {
                if !self.is_drained(instance) {
                    return Err(format!("the drain of {instance} resolved too soon"));
                }
            } else {
                self.drains.push((instance, drain));
            }
        }
        Ok(())
    }
}
