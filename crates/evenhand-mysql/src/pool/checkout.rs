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

use crate::conn::PeerConn;
use crate::conn::recycle::HeldPermits;
use crate::error::AttemptError;
use crate::options::{AllDownKind, PoolOptions};
use crate::peer::permits::{Closed, Permit, Permits};
use crate::peer::{Connected, Endpoint, Peer};
use crate::time::deadline::timeout_lazy;
use crate::time::jitter::jittered;

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
        // On a second pass the others have been tried already.
        let others = (!attempt.is_second_pass()).then(|| self.peers.clone());
        let peers = self.peers.clone();
        let CheckoutRequest {
            deadline,
            failures,
            is_retry,
            ..
        } = attempt.request;
        let is_back = others.is_none();
        let admission = failures.map_or(Admission::Open, |failures| {
            failures.admission(ticket.peer(), is_back)
        });
        Box::pin(async move {
            match admission {
                Admission::Open => {}
                // Boxed, as it is rarely needed and would make every attempt larger.
                Admission::OnProof(since) => Box::pin(prove(&ticket, since, deadline)).await?,
                Admission::Closed => return Err(AttemptError::Avoided),
            }
            let (mut conn, permit) = connect(&ticket, deadline, others.as_ref()).await?;
            if is_retry && !conn.is_new {
                conn.is_new = accepts_logins(ticket.peer(), &peers).await;
            }
            let held = HeldPermits {
                peer: permit,
                pool: None,
            };
            Ok(PeerConn::new(conn, held, ticket))
        })
    }
}

/// Ends well if the peer has answered something since the moment, or passes a check now.
async fn prove(
    ticket: &Ticket<Arc<Endpoint>>,
    since: Instant,
    deadline: Instant,
) -> Result<(), AttemptError> {
    let peer: &Peer = ticket.peer();
    let _login = acquire(peer, &peer.logins, deadline, None).await?;
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
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Connected, Permit), AttemptError> {
    let peer: &Peer = ticket.peer();
    let is_out = peer.state() == State::Ejected;
    // Pinned here: moved into the `select!`, it would need its size twice.
    let mut opening = pin!(open(peer, deadline, others));
    let opened = tokio::select! {
        biased;
        opened = opening.as_mut() => opened,
        () = ticket.ejected(), if !is_out => Err(AttemptError::Ejected),
        // A login that waits for a silent peer goes on until the peer is ejected.
        never = watched(ticket) => never,
    };
    if let Err(AttemptError::Slow(_)) = opened {
        peer.check_now(ticket);
    }
    opened
}

/// Checks the peer whenever it is silent for long.
async fn watched<T>(ticket: &Ticket<Arc<Endpoint>>) -> T {
    let peer: &Peer = ticket.peer();
    loop {
        peer.silence.lost(|| peer.check_silence(ticket)).await;
    }
}

/// A connection, and the peer's permit that it holds.
async fn open(
    peer: &Peer,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Connected, Permit), AttemptError> {
    let permit = acquire(peer, &peer.permits, deadline, others).await?;
    // The connect timeout limits the login, not the wait for a turn to log in.
    let _login = match peer.has_idle() {
        true => None,
        false => Some(acquire(peer, &peer.logins, deadline, others).await?),
    };
    Ok((peer.connect(deadline).await?, permit))
}

/// One of the peer's permits. If all are held, the attempt ends as soon as another peer has room, and
/// waits only while none has.
async fn acquire(
    peer: &Peer,
    permits: &Permits,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<Permit, AttemptError> {
    if let Some(permit) = permits.try_acquire() {
        return Ok(permit);
    }
    // One wait, however often it looks around, so that it keeps its place in the queue.
    let mut acquiring = pin!(permits.acquire());
    let look_around = |began| match others {
        Some(_) => deadline.min(began + LOOK_AROUND),
        None => deadline,
    };
    loop {
        match timeout_lazy(look_around, acquiring.as_mut()).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(Closed)) => return Err(AttemptError::Disconnected),
            Err(_) if Instant::now() >= deadline => {
                return Err(AttemptError::NoFreeConnection(peer.usage(peer)));
            }
            Err(_) => {
                let is_other = |other: &Peer| !Arc::ptr_eq(other, peer);
                let has_room = |peer: &Peer| peer.state() == State::Up && peer.has_room();
                let mut others = others.into_iter().flat_map(Peers::iter);
                if others.any(|peer| is_other(&peer) && has_room(&peer)) {
                    return Err(AttemptError::Busy(peer.usage(peer)));
                }
            }
        }
    }
}
