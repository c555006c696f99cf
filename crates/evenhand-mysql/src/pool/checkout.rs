//! One attempt of a checkout on one peer: a permit, a turn to log in, a connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, Peers, State, Ticket};
use mysql_async::Conn;
use tokio::time::Instant;
use tower_service::Service;

use crate::conn::PeerConn;
use crate::conn::recycle::HeldPermits;
use crate::error::AttemptError;
use crate::peer::permits::{Closed, Permit, Permits};
use crate::peer::{Endpoint, Peer};
use crate::time::deadline::timeout_lazy;

/// How often an attempt that waits for a permit looks whether another peer has room.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// A request for a connection.
#[derive(Clone, Debug)]
pub(crate) struct CheckoutRequest {
    pub(crate) began: Instant,
    pub(crate) deadline: Instant,
    /// The names of peers on which the same work has failed.
    pub(crate) avoid: Option<Arc<[Arc<str>]>>,
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
        let CheckoutRequest {
            deadline, avoid, ..
        } = attempt.request;
        let avoided =
            avoid.is_some_and(|avoid| avoid.iter().any(|name| **name == *ticket.peer().name()));
        Box::pin(async move {
            if avoided {
                return Err(AttemptError::Avoided);
            }
            let (conn, permit) = connect(&ticket, deadline, others.as_ref()).await?;
            let held = HeldPermits {
                peer: permit,
                pool: None,
            };
            Ok(PeerConn::new(conn, held, ticket))
        })
    }
}

/// Connects, or ends at once if the peer is ejected meanwhile.
async fn connect(
    ticket: &Ticket<Arc<Endpoint>>,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Conn, Permit), AttemptError> {
    let peer: &Peer = ticket.peer();
    // Pinned here: moved into the `select!`, it would need its size twice.
    let mut opening = pin!(open(peer, deadline, others));
    let opened = tokio::select! {
        biased;
        opened = opening.as_mut() => opened,
        () = ticket.ejected() => Err(AttemptError::Ejected),
    };
    if let Err(AttemptError::Slow(_)) = opened {
        peer.check_now(ticket);
    }
    opened
}

/// A connection, and the peer's permit that it holds.
async fn open(
    peer: &Peer,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Conn, Permit), AttemptError> {
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
