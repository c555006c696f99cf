//! One attempt of a checkout on one peer: a permit, a turn to log in, a connection. For work that has
//! failed on the peer before, a proof that the peer works comes first.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, PeerVerdict, Peers, State, Ticket};
use tokio::time::Instant;
use tower_service::Service;

use crate::classify::Phase;
use crate::conn::PeerConn;
use crate::conn::recycle::HeldPermits;
use crate::error::AttemptError;
use crate::options::{AllDownKind, PoolOptions};
use crate::peer::connect::{Connected, NoConnection};
use crate::peer::permits::{Closed, Permit, Permits};
use crate::peer::{Endpoint, Peer};
use crate::time::deadline::{race_lazy, timeout_lazy};
use crate::time::jitter::jittered;
use crate::usage::PeerUsage;

/// How often an attempt that waits for a permit looks whether another peer has room.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// The shortest and longest pause of work that fails again on a peer to which it came back.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A request for a connection.
#[derive(Clone, Debug)]
pub(crate) struct CheckoutRequest {
    pub(crate) began: Instant,
    pub(crate) deadline: Instant,
    /// Another attempt was made before.
    pub(crate) is_retry: bool,
    /// Where the same work has failed, if it has.
    pub(crate) failures: Option<Arc<Failures>>,
}

/// Where some work has failed. It goes to other peers first. It comes back to one of these when no other is
/// left and the peer has answered something since.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    on: Vec<Failure>,
    /// The pause after the next failure on a peer to which the work came back.
    pause: Duration,
    /// On how many peers the work may run while its outcome is unknown.
    max_unknown: usize,
    /// Whether the work comes back at all.
    comes_back: bool,
}

#[derive(Clone, Debug)]
struct Failure {
    peer: Arc<str>,
    /// The last time.
    at: Instant,
    may_have_run: bool,
}

/// Whether work may go to a peer.
enum Admission {
    Open,
    /// If the peer has answered something since.
    OnProof(Instant),
    Closed,
}

impl Failures {
    pub(crate) fn new(options: &PoolOptions, max_unknown: usize) -> Self {
        Self {
            on: Vec::new(),
            pause: PAUSE.0,
            max_unknown,
            comes_back: options.get_all_down() == AllDownKind::Wait,
        }
    }

    /// The work failed on this peer, where it may have run. Returns when it may be tried again.
    pub(crate) fn add(&mut self, peer: &Arc<str>, may_have_run: bool) -> Instant {
        let at = Instant::now();
        let Some(failure) = self.on.iter_mut().find(|failure| failure.peer == *peer) else {
            let peer = peer.clone();
            self.on.push(Failure {
                peer,
                at,
                may_have_run,
            });
            return at;
        };
        failure.at = at;
        failure.may_have_run |= may_have_run;
        let pause = self.pause;
        self.pause = PAUSE.1.min(2 * pause);
        at + jittered(pause)
    }

    fn admission(&self, peer: &Peer, is_back: bool) -> Admission {
        let unknown = self.on.iter().filter(|failure| failure.may_have_run);
        match self.on.iter().find(|failure| *failure.peer == *peer.name()) {
            Some(failure) if is_back && self.comes_back => Admission::OnProof(failure.at),
            None if unknown.count() < self.max_unknown => Admission::Open,
            _ => Admission::Closed,
        }
    }
}

/// The balancer's connector.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) peers: Peers<Arc<Endpoint>>,
    /// A request that finds no peer waits for one.
    pub(crate) waits: bool,
}

impl Service<Attempt<Arc<Endpoint>, CheckoutRequest>> for Connector {
    type Response = PeerConn;
    type Error = AttemptError;
    type Future = Pin<Box<dyn Future<Output = Result<PeerConn, AttemptError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Arc<Endpoint>, CheckoutRequest>) -> Self::Future {
        let ticket = attempt.ticket();
        let others = Others {
            peers: self.peers.clone(),
            are_tried: attempt.is_second_pass(),
            are_waited_for: self.waits,
        };
        let CheckoutRequest {
            deadline,
            failures,
            is_retry,
            ..
        } = attempt.request;
        let is_back = others.are_tried;
        if is_retry {
            ticket.peer().metrics.retried();
        }
        let admission = failures.map_or(Admission::Open, |failures| {
            failures.admission(ticket.peer(), is_back)
        });
        Box::pin(async move {
            match admission {
                Admission::Open => {}
                // Boxed, as it is rarely needed and would make every attempt larger.
                Admission::OnProof(since) => {
                    Box::pin(prove(&ticket, since, deadline, &others)).await?
                }
                Admission::Closed => return Err(AttemptError::Avoided),
            }
            let connected = connect(&ticket, deadline, &others).await;
            let (mut conn, permit) =
                connected.inspect_err(|error| note_failed(ticket.peer(), error))?;
            if is_retry && !conn.is_new {
                conn.is_new = accepts_logins(ticket.peer(), &others.peers).await;
            }
            let held = HeldPermits {
                peer: permit,
                pool: None,
            };
            Ok(PeerConn::new(conn, held, ticket))
        })
    }
}

fn note_failed(peer: &Peer, error: &AttemptError) {
    let row = || peer.check.rules.row_of_attempt(error);
    peer.metrics.failed(Phase::Connect, row);
}

/// Ends well if the peer has answered something since the moment, or passes a check now.
async fn prove(
    ticket: &Ticket<Arc<Endpoint>>,
    since: Instant,
    deadline: Instant,
    others: &Others,
) -> Result<(), AttemptError> {
    let peer: &Peer = ticket.peer();
    let _login = acquire(peer, &peer.logins, deadline, others).await?;
    if peer.traffic.was_heard_since(since) {
        return Ok(());
    }
    let verdict = peer.run_check().await;
    if verdict.peer == PeerVerdict::Healthy {
        peer.traffic.note_heard();
        return Ok(());
    }
    ticket.report(verdict);
    Err(AttemptError::Avoided)
}

/// Whether the peer accepts a login, which is tried only if another refuses this client. An idle connection
/// would not tell who is at fault.
async fn accepts_logins(peer: &Peer, peers: &Peers<Arc<Endpoint>>) -> bool {
    let refuses = |peer: Peer| peer.refuses_logins() && peer.state() == State::Up;
    if peer.refuses_logins() || !peers.iter().any(refuses) {
        return false;
    }
    // Boxed, as it is rarely needed and would make every attempt larger.
    let verdict = Box::pin(peer.run_check()).await;
    peer.note_login(verdict.peer);
    verdict.peer == PeerVerdict::Healthy
}

/// Connects, or ends at once if the peer is ejected meanwhile. A pool that fails open asks peers that are
/// out already.
async fn connect(
    ticket: &Ticket<Arc<Endpoint>>,
    deadline: Instant,
    others: &Others,
) -> Result<(Connected, Permit), AttemptError> {
    let peer: &Peer = ticket.peer();
    let is_out = peer.state() == State::Ejected;
    let other = || async {
        tokio::select! {
            () = ticket.ejected(), if !is_out => AttemptError::Ejected,
            // A login that waits for a silent peer goes on until the peer is ejected.
            never = watched(ticket) => never,
        }
    };
    let opening = pin!(open(peer, deadline, others));
    let opened = race_lazy(opening, other).await.unwrap_or_else(Err);
    if let Err(AttemptError::Slow(_)) = opened {
        peer.check_now(ticket);
    }
    opened
}

/// Checks the peer whenever it is silent for long.
async fn watched<T>(ticket: &Ticket<Arc<Endpoint>>) -> T {
    let peer: &Peer = ticket.peer();
    loop {
        let stay = peer.driver.stay();
        peer.silence.lost(stay, || peer.check_silence(ticket)).await;
    }
}

/// A connection, and the peer's permit that it holds.
///
/// If the peer turns out to be full the attempt goes back to the queue: for a connection that is returned, for a
/// trial, or for room on another peer.
async fn open(
    peer: &Peer,
    deadline: Instant,
    others: &Others,
) -> Result<(Connected, Permit), AttemptError> {
    loop {
        let permit = acquire(peer, &peer.permits, deadline, others).await?;
        // The connect timeout limits the login, not the wait for a turn to log in.
        let _login = match peer.has_idle() {
            true => None,
            false => Some(acquire(peer, &peer.logins, deadline, others).await?),
        };
        match peer.connect(deadline).await {
            Ok(connected) => return Ok((connected, permit)),
            Err(NoConnection::Failed(error)) => return Err(error),
            // Its probe decides when it is back.
            Err(NoConnection::Full(error)) if peer.state() != State::Up => return Err(error),
            Err(NoConnection::Full(error)) => note_failed(peer, &error),
            Err(NoConnection::NoRoom) => {}
        }
        peer.permits.give_up(permit);
    }
}

/// One of the peer's permits. If all are held, the attempt ends as soon as another peer has room, and
/// waits only while none has.
async fn acquire(
    peer: &Peer,
    permits: &Permits,
    deadline: Instant,
    others: &Others,
) -> Result<Permit, AttemptError> {
    if let Some(permit) = permits.try_acquire() {
        return Ok(permit);
    }
    // Boxed, as it is rarely needed and would make every attempt larger.
    Box::pin(wait_for_permit(peer, permits, deadline, others)).await
}

async fn wait_for_permit(
    peer: &Peer,
    permits: &Permits,
    deadline: Instant,
    others: &Others,
) -> Result<Permit, AttemptError> {
    if permits.are_short() {
        permits.begin_trial(|| peer.driver.open_in_all());
        if let Some(permit) = permits.try_acquire() {
            return Ok(permit);
        }
        if others.have_room(peer) {
            return Err(no_room(peer, AttemptError::Busy));
        }
    }
    peer.metrics.waits();
    // One wait, however often it looks around, so that it keeps its place in the queue.
    let mut acquiring = pin!(permits.acquire());
    loop {
        permits.begin_trial(|| peer.driver.open_in_all());
        let look = |began| deadline.min(began + LOOK_AROUND);
        match timeout_lazy(look, acquiring.as_mut()).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(Closed)) => return Err(AttemptError::Disconnected),
            Err(_) if Instant::now() >= deadline => {
                return Err(no_room(peer, AttemptError::NoFreeConnection));
            }
            Err(_) if others.have_room(peer) => {
                return Err(no_room(peer, AttemptError::Busy));
            }
            Err(_) => {}
        }
    }
}

/// Why there was no permit: the words of a peer that is full, or else this.
fn no_room(peer: &Peer, otherwise: impl FnOnce(PeerUsage) -> AttemptError) -> AttemptError {
    let refusal = peer.last_refusal();
    refusal.unwrap_or_else(|| otherwise(peer.usage(peer)))
}

/// The peers that an attempt may leave its own for.
struct Others {
    peers: Peers<Arc<Endpoint>>,
    /// They have been tried already.
    are_tried: bool,
    /// A request that finds no peer waits, and so may come back.
    are_waited_for: bool,
}

impl Others {
    /// Whether one of them has room. If all have been tried, only a peer that is full is left: what is
    /// open there may not come back for long.
    fn have_room(&self, peer: &Peer) -> bool {
        if self.are_tried && !(self.are_waited_for && peer.permits.are_short()) {
            return false;
        }
        let has_room = |peer: &Peer| peer.state() == State::Up && peer.has_room();
        let is_other = |other: &Peer| !Arc::ptr_eq(other, peer);
        self.peers
            .iter()
            .any(|other| is_other(&other) && has_room(&other))
    }
}
