//! The balancer and its reference side by side: every step is taken on both, and then their visible
//! states must agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use evenhand::{Balance, BalanceLayer, Error, Events, Peers, PeersError, Verdict};
use tokio::task::yield_now;
use tokio::time::{Instant, advance};
use tower::{Layer, Service};

use crate::controlled_connector::{
    AsMarked, AsTold, ControlledConnector, Driven, End, Kept, Request, Tickets,
};
use crate::reference::Reference;
use crate::reference::peer::{Is, Peer};
use crate::request::Asked;
use crate::rules::{Join, Rules};
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
    pub(crate) tickets: Vec<Kept>,
    pub(crate) budget: Arc<AtomicU32>,
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
        let (connector, budget) = (ControlledConnector::default(), Arc::<AtomicU32>::default());
        let layer = BalanceLayer::new(peers.clone())
            .classify(AsTold)
            .replay(AsMarked)
            .eject(rules.eject())
            .all_down(rules.all_down())
            .max_attempts(rules.max_attempts)
            .max_unknown(rules.max_unknown)
            .max_refusals(rules.max_refusals)
            .ticket_timeout(rules.ticket_timeout)
            .slow_start(rules.slow_start)
            .timeout_verdict(rules.timeout_verdict)
            .seed(seed);
        let layer = match rules.attempt_timeout {
            Some(timeout) => layer.attempt_timeout(timeout),
            None => layer,
        };
        let layer = match rules.deadline {
            Some(deadline) => layer.deadline(deadline),
            None => layer,
        };
        let layer = match rules.has_budget {
            true => layer.retry_budget(withdraw(budget.clone())),
            false => layer,
        };
        Self {
            events: peers.subscribe(),
            peers,
            balance: layer.layer(connector.clone()),
            connector,
            budget,
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

    /// Those whose attempt has no response yet.
    pub(crate) fn early_tickets(&self) -> Vec<usize> {
        let is_early = |at: &usize| self.reference.is_open(self.tickets[*at].serial);
        (0..self.tickets()).filter(is_early).collect()
    }

    /// The names and instances of the peers.
    pub(crate) fn peers(&self) -> Vec<(String, u32)> {
        let peer = |peer: &Peer| (peer.name.clone(), peer.instance);
        self.reference.peers.iter().map(peer).collect()
    }

    /// The future moments at which something is due, ends or is forgotten.
    pub(crate) fn moments(&self) -> Vec<Instant> {
        let (now, r) = (Instant::now(), &self.reference);
        let due = |peer| r.due(peer, r.demand()).map(|due| due.to);
        let forgotten = |peer: &Peer| Some(peer.record?.since + r.rules.forgets_after());
        let peers = r.peers.iter();
        let peers = peers.flat_map(|peer| due(peer).or_else(|| forgotten(peer)));
        let waits = self.requests.values();
        let waits = waits.flat_map(|live| live.asked.moments());
        let limits = r.deferred.iter().map(|one| one.limit);
        let all = peers.chain(waits.flatten()).chain(limits);
        all.filter(|moment| *moment > now).collect()
    }

    // The steps.

    pub(crate) fn ask(&mut self, request: Request, tickets: Tickets) {
        self.connector.leave_tickets(tickets);
        if self.reference.rules.has_budget {
            self.budget.fetch_add(1, Ordering::SeqCst);
            self.reference.budget += 1;
        }
        let id = self.asked;
        self.asked += 1;
        self.note(format!("request {id}: {request:?}, {tickets:?}"));
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
        let Kept {
            serial, decides, ..
        } = self.tickets[at];
        self.note(format!(
            "a ticket of attempt {serial} reports {verdict:?}, decides: {decides}"
        ));
        self.tickets[at].ticket.report(verdict);
        self.reference.ticket_reports(serial, decides, &verdict);
    }

    pub(crate) fn copy_ticket(&mut self, at: usize) {
        let kept = self.tickets[at].clone();
        self.reference.ticket_cloned(kept.serial, kept.decides);
        self.tickets.push(kept);
    }

    pub(crate) fn drop_ticket(&mut self, at: usize) {
        let Kept {
            serial, decides, ..
        } = self.tickets.swap_remove(at);
        self.note(format!(
            "a ticket of attempt {serial} is dropped, decides: {decides}"
        ));
        self.reference.ticket_dropped(serial, decides);
    }

    pub(crate) async fn pass(&mut self, time: Duration) {
        advance(time).await;
        self.note(format!("{time:?} later"));
        settle_tasks().await;
        self.reference.pass_limits();
    }

    fn joining(&self, join: Join) -> Peers<u32> {
        match join {
            Join::AtOnce => self.peers.clone(),
            Join::OnProof => self.peers.joining_on_proof(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, join: Join) {
        self.instances += 1;
        self.note(format!("{name} is added as {}, {join:?}", self.instances));
        self.joining(join).add(name, self.instances).unwrap();
        self.reference.add(name, self.instances, join);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.note(format!("{name} is removed"));
        self.peers.remove(name).unwrap();
        self.reference.remove(name);
    }

    /// The set is to be these, and new ones of these names.
    pub(crate) fn replace(&mut self, keep: &[(String, u32)], add: &[&str], join: Join) {
        let mut wanted = keep.to_vec();
        for name in add {
            self.instances += 1;
            wanted.push(((*name).to_owned(), self.instances));
        }
        self.note(format!("the set is now {wanted:?}, {join:?}"));
        self.joining(join).replace_all(wanted.clone()).unwrap();
        self.reference.replace(&wanted, join);
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
        let instance = self.reference.named(name).instance;
        let (peers, named) = (self.peers.clone(), name.to_owned());
        let future = Driven::new(async move { peers.drain(&named).await });
        self.reference.drain(name);
        // The drain begins with its first poll. Other drains are not polled now.
        let others = std::mem::replace(&mut self.drains, vec![(instance, future)]);
        let begun = self.follow_drains();
        self.drains.extend(others);
        self.broken = self.broken.take().or(begun.err());
    }

    /// Polls what was woken until nothing is, and checks after every poll.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        loop {
            settle_tasks().await;
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
            peers: self.peers.len(),
            is_perhaps_vain,
        };
        live.asked.follow(&mut self.reference, &seen)?;
        let kept = started.pop().map(|one| one.tickets);
        self.tickets.extend(kept.into_iter().flatten());
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

/// Lets background tasks run until they wait.
async fn settle_tasks() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// Takes one retry, if there is one.
fn withdraw(budget: Arc<AtomicU32>) -> impl Fn() -> bool {
    move || {
        let less = |left: u32| left.checked_sub(1);
        let taken = budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        taken.is_ok()
    }
}
