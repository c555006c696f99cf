//! A pool whose peers are the members of its cluster. The listed peers are its seeds.
//!
//! Any server that is up is asked for the list, and where none is to be believed, all others at once, the
//! seeds included. The last list holds until there is another. A member that has left it is asked itself,
//! before it is removed: one that belongs to a cluster of its own, with a quorum of its own, stays.
//!
//! Where the seeds were replaced, they are asked first, as they may be of another cluster. What was a peer before
//! is asked no more once one of them has answered, and is no part of a split, for as long as it takes to leave.
//! The same goes for a peer that an operator adds.

mod wanted;

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use evenhand::{Peers, State};
use evenhand_config::HostPort;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::background::purge_idle::Made;
use super::peers::PeersHandle;
use super::seeds::Seeds;
use crate::caught::Caught;
use crate::membership::view::{self, NoView};
use crate::membership::{Kind, Membership};
use crate::options::PoolOptions;
use crate::peer::{Endpoint, NamedEndpoint, Peer};
use wanted::{Wanted, add_others, wanted};

/// How long a server that was asked may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// Gives the pool the peers that its cluster lists. Runs until it is dropped.
pub(crate) async fn follow(pool: PeersHandle, membership: Option<Membership>) {
    let (Some(membership), Some(seeds)) = (membership, pool.seeds) else {
        return;
    };
    let mut follower = Follower {
        peers: pool.peers,
        made: pool.made,
        membership,
        options: pool.options,
        applied: None,
        own: Vec::new(),
        is_blind: false,
        is_split: false,
    };
    loop {
        let listed = seeds.listed().seeds.clone();
        follower.look_up(&listed).await;
        match follower.members(&listed).await {
            Ok(told) => follower.apply(told, &listed, &seeds).await,
            Err(why) => follower.warn(&why),
        }
        let pause = follower.membership.interval;
        let pause = pause.mul_f64(rand::random_range(0.9..=1.1));
        tokio::select! {
            () = sleep(pause) => {}
            () = seeds.changed.notified() => {}
        }
    }
}

/// A list of members.
struct Told {
    members: Vec<HostPort>,
    /// By servers of a list of seeds that was replaced, as none of the present one answers.
    is_by_old: bool,
}

struct Follower {
    peers: Peers<Arc<Endpoint>>,
    made: Made,
    membership: Membership,
    options: PoolOptions,
    /// The list that came last, and the seeds that its peers were made from.
    applied: Option<(Vec<Wanted>, Arc<Vec<NamedEndpoint>>)>,
    /// The peers that lists of those seeds made or kept. The set has those of other seeds while they leave,
    /// and those that an operator adds: either may be of another cluster.
    own: Vec<Weak<Endpoint>>,
    /// Whether the latest question had no answer.
    is_blind: bool,
    /// Whether servers that left the latest list had one of their own.
    is_split: bool,
}

impl Follower {
    /// Where the names of the seeds lead. Those of peers are looked up elsewhere, once they are found.
    async fn look_up(&self, seeds: &[NamedEndpoint]) {
        let peers: HashSet<usize> = self.peers.iter().map(|peer| id(&peer)).collect();
        let mut lookups = JoinSet::new();
        for (_, seed) in seeds {
            if seed.must_be_found() || !peers.contains(&id(seed)) {
                let seed = seed.clone();
                lookups.spawn(async move {
                    let _ = timeout(seed.connect_timeout, seed.look_up_again()).await;
                });
            }
        }
        while lookups.join_next().await.is_some() {}
    }

    /// Whether the peers are those of the present seeds.
    fn keeps(&self, seeds: &Arc<Vec<NamedEndpoint>>) -> bool {
        let same_seeds = |(_, of): &(Vec<Wanted>, _)| Arc::ptr_eq(of, seeds);
        self.applied.as_ref().is_none_or(same_seeds)
    }

    /// The identities of the peers that are to be believed, and of the seeds.
    fn own(&self, seeds: &[NamedEndpoint]) -> HashSet<usize> {
        let own = self.own.iter().map(|own| own.as_ptr().addr());
        own.chain(seeds.iter().map(|(_, seed)| id(seed))).collect()
    }

    /// The members' addresses, as clients reach them, from one server that is up or else from any.
    async fn members(&self, seeds: &Arc<Vec<NamedEndpoint>>) -> Result<Told, NoView> {
        let listed = || seeds.iter().map(|(_, seed)| seed.clone());
        let told = |members, is_by_old| Told { members, is_by_old };
        let own = self.own(seeds);
        let peers = || {
            let peers = self.peers.iter();
            peers.filter(|peer| own.contains(&id(peer)))
        };
        if !self.keeps(seeds) {
            if let Ok(members) = self.first_of(listed(), NoView::Late).await {
                return Ok(told(members, false));
            }
            let peers = peers().map(|peer| (*peer).clone());
            let members = self.first_of(peers, NoView::Late).await;
            return members.map(|members| told(members, true));
        }
        let up: Vec<_> = peers().filter(|peer| peer.state() == State::Up).collect();
        let mut asked = None;
        let mut failed = NoView::Late;
        if !up.is_empty() {
            let first = (*up[rand::random_range(0..up.len())]).clone();
            match ask(first.clone(), self.membership.clone()).await {
                Ok(members) => return Ok(told(members, false)),
                Err(why) => failed = why,
            }
            asked = Some(first);
        }
        let mut known: HashSet<usize> = asked.iter().map(id).collect();
        let peers = peers().map(|peer| (*peer).clone());
        let others = peers.chain(listed());
        let others = others.filter(|endpoint| known.insert(id(endpoint)));
        let members = self.first_of(others, failed).await;
        members.map(|members| told(members, false))
    }

    /// The first list that one of these gives, all of which are asked at once. `failed` is why there was none
    /// before.
    async fn first_of(
        &self,
        endpoints: impl Iterator<Item = Arc<Endpoint>>,
        mut failed: NoView,
    ) -> Result<Vec<HostPort>, NoView> {
        let peers: HashSet<usize> = self.peers.iter().map(|peer| id(&peer)).collect();
        let mut questions = JoinSet::new();
        for endpoint in endpoints {
            let is_peer = peers.contains(&id(&endpoint));
            let membership = self.membership.clone();
            questions.spawn(async move {
                let from = endpoint.at();
                let told = ask(endpoint.clone(), membership).await;
                // Of a peer, the checks decide that.
                if !is_peer && matches!(told, Err(NoView::Late)) {
                    endpoint.move_on(from);
                }
                told
            });
        }
        while let Some(ended) = questions.join_next().await {
            match ended {
                Ok(Ok(members)) => return Ok(members),
                // What is to be set is said rather than who is not there.
                Ok(Err(why)) if !matches!(failed, NoView::Auto) => failed = why,
                _ => {}
            }
        }
        Err(failed)
    }

    /// Makes the members the pool's peers.
    async fn apply(
        &mut self,
        Told { members, is_by_old }: Told,
        seeds: &Arc<Vec<NamedEndpoint>>,
        listed: &Seeds,
    ) {
        if is_by_old && !self.is_blind {
            let pool = &*self.options.get_name();
            tracing::warn!(
                pool,
                "no listed server tells the members of its cluster: those of before are asked"
            );
        }
        self.is_blind = is_by_old;
        // What the old ones tell changes nothing else: the listed ones are asked again.
        let of = match &self.applied {
            Some((_, before)) if is_by_old => before.clone(),
            _ => seeds.clone(),
        };
        let wanted = wanted(&members, &of);
        let keeps = self.keeps(&of);
        let own = match keeps {
            true => self.own(&of),
            false => HashSet::new(),
        };
        let names: BTreeSet<Arc<str>> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
        let present: BTreeSet<Arc<str>> =
            self.peers.iter().map(|peer| peer.shared_name()).collect();
        let are_own = || self.peers.iter().all(|peer| own.contains(&id(&peer)));
        if keeps && names == present && are_own() {
            self.keep(&own, &[]);
            self.note(wanted, of);
            listed.listed().are_left = true;
            return;
        }
        let mut list = self.endpoints(&wanted, &of, keeps);
        // One that an operator drains stays until it is restored or removed.
        let leaves = |peer: &Peer| own.contains(&id(peer)) && !names.contains(peer.name());
        let (drained, leaving): (Vec<Peer>, Vec<Peer>) = self
            .peers
            .iter()
            .filter(leaves)
            .partition(|peer| peer.state() == State::Draining);
        let split = self.with_other_lists(named(leaving), &members).await;
        if !split.is_empty() && !self.is_split {
            let (pool, kept) = (
                &*self.options.get_name(),
                shown(split.iter().map(|(name, _)| name)),
            );
            tracing::warn!(
                pool,
                kept,
                "the cluster is split: these are not in its list, and have a list of their own"
            );
        }
        self.is_split = !split.is_empty();
        add_others(&mut list, named(drained).into_iter().chain(split));
        let mut state = listed.listed();
        // Others were given meanwhile, and are asked next.
        if !Arc::ptr_eq(&state.seeds, seeds) {
            return;
        }
        if !is_by_old {
            state.forget_weights();
        }
        self.made.add(list.iter().map(|(_, endpoint)| endpoint));
        let placed = list.iter().map(|peer| state.placed(peer.clone()));
        let placed: Vec<_> = placed.collect();
        match self.peers.joining_on_proof().replace_all_placed(placed) {
            Ok(()) => state.are_left = true,
            Err(error) => tracing::warn!(%error, "the cluster's members are not used"),
        }
        drop(state);
        self.keep(&own, &list);
        self.note(wanted, of);
    }

    /// The members' endpoints, and those that are there already.
    fn endpoints(
        &self,
        wanted: &[Wanted],
        seeds: &[NamedEndpoint],
        keeps: bool,
    ) -> Vec<NamedEndpoint> {
        let endpoint = |wanted: &Wanted| {
            let name = wanted.name.clone();
            let present = self.peers.get(&name).filter(|_| keeps);
            let endpoint = match (wanted.seed, present, seeds.first()) {
                (Some(seed), ..) => seeds[seed].1.clone(),
                (None, Some(peer), _) => (*peer).clone(),
                (None, None, Some((_, first))) => {
                    let opts = wanted::opts(first.given(), &wanted.address, &self.membership);
                    Arc::new(Endpoint::new(&name, opts, &self.options))
                }
                (None, None, None) => return None,
            };
            Some((name, endpoint))
        };
        wanted.iter().filter_map(endpoint).collect()
    }

    /// Those that are members of a cluster with another list.
    async fn with_other_lists(
        &self,
        leaving: Vec<NamedEndpoint>,
        members: &[HostPort],
    ) -> Vec<NamedEndpoint> {
        let members: BTreeSet<String> = members.iter().map(ToString::to_string).collect();
        let mut questions = JoinSet::new();
        for (name, endpoint) in leaving {
            let (membership, members) = (self.membership.clone(), members.clone());
            questions.spawn(async move {
                let own = ask(endpoint.clone(), membership).await.ok()?;
                let own: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
                (own != members).then_some((name, endpoint))
            });
        }
        let mut others = Vec::new();
        while let Some(ended) = questions.join_next().await {
            others.extend(ended.ok().flatten());
        }
        others
    }

    /// Remembers which peers are these. One that was there already is equal to what the list has.
    fn keep(&mut self, own: &HashSet<usize>, list: &[NamedEndpoint]) {
        let is_listed = |peer: &Peer| {
            let same =
                |(name, endpoint): &NamedEndpoint| **name == *peer.name() && **endpoint == ***peer;
            list.iter().any(same)
        };
        let peers = self.peers.iter();
        let peers = peers.filter(|peer| own.contains(&id(peer)) || is_listed(peer));
        self.own = peers.map(|peer| Arc::downgrade(&peer)).collect();
    }

    /// Remembers the list, and says what is new in it.
    fn note(&mut self, wanted: Vec<Wanted>, seeds: Arc<Vec<NamedEndpoint>>) {
        let names = |list: &[Wanted]| -> BTreeSet<Arc<str>> {
            list.iter().map(|wanted| wanted.name.clone()).collect()
        };
        let now = names(&wanted);
        let before = self.applied.as_ref().map(|(before, _)| names(before));
        if before.as_ref() != Some(&now) {
            let pool = &*self.options.get_name();
            tracing::info!(
                pool,
                members = shown(now.iter()),
                "the cluster has these members"
            );
        }
        self.applied = Some((wanted, seeds));
    }

    fn warn(&mut self, why: &NoView) {
        let pool = &*self.options.get_name();
        if self.is_blind {
            tracing::debug!(pool, %why, "no server tells the members of its cluster");
        } else {
            tracing::warn!(pool, %why, "no server tells the members of its cluster: the last list stays");
        }
        self.is_blind = true;
    }
}

/// What one server says, on a connection of its own. One that cannot be reached is asked at its name's next
/// address the next time.
async fn ask(endpoint: Arc<Endpoint>, membership: Membership) -> Result<Vec<HostPort>, NoView> {
    let kind: Kind = membership.kind;
    let question = async {
        let mut conn = endpoint.log_in().await?;
        let members = { Caught(pin!(view::ask(kind, &mut conn))).await };
        // A courtesy to the server: its outcome means nothing.
        let _ = timeout(GOODBYE, conn.disconnect()).await;
        members
    };
    let members = timeout(endpoint.connect_timeout, question).await;
    let members = members.unwrap_or(Err(NoView::Late))?;
    Ok(members
        .iter()
        .map(|member| membership.mapped(member))
        .collect())
}

fn named(peers: Vec<Peer>) -> Vec<NamedEndpoint> {
    let peers = peers.into_iter();
    peers
        .map(|peer| (peer.shared_name(), (*peer).clone()))
        .collect()
}

fn id(endpoint: &Arc<Endpoint>) -> usize {
    Arc::as_ptr(endpoint).addr()
}

fn shown<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> String {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    names.join(", ")
}
