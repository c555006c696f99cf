//! Gets a connection from one peer, within its time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, Peers, State, Ticket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use crate::conn::PeerConn;
use crate::endpoint::{Endpoint, Peer};
use crate::error::AttemptError;

/// How often a request that waits for a free connection looks whether another peer has one.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// A request for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// When the caller's time is up.
    pub(crate) deadline: Instant,
    /// Peers that it does not go to.
    pub(crate) avoid: Arc<[Arc<str>]>,
}

#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) peers: Peers<Arc<Endpoint>>,
}

impl Service<Attempt<Arc<Endpoint>, Checkout>> for Connector {
    type Response = PeerConn;
    type Error = AttemptError;
    type Future = Pin<Box<dyn Future<Output = Result<PeerConn, AttemptError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Arc<Endpoint>, Checkout>) -> Self::Future {
        let (ticket, peers) = (attempt.ticket(), self.peers.clone());
        let Checkout { deadline, avoid } = attempt.request;
        Box::pin(async move {
            if avoid.iter().any(|name| **name == *ticket.peer().name()) {
                return Err(AttemptError::Avoided);
            }
            connect(ticket, deadline, &peers).await
        })
    }
}

/// Waits for a free place among this client's connections, then for the connection. Ends at once
/// if the peer is ejected meanwhile: whoever waits on a lost peer moves on then.
async fn connect(
    ticket: Ticket<Arc<Endpoint>>,
    deadline: Instant,
    peers: &Peers<Arc<Endpoint>>,
) -> Result<PeerConn, AttemptError> {
    let opening = async {
        let permit = admit(ticket.peer(), deadline, peers).await?;
        Ok((open(ticket.peer(), deadline).await?, permit))
    };
    let (conn, permit) = tokio::select! {
        biased;
        opened = opening => opened?,
        () = ticket.ejected() => return Err(AttemptError::Ejected),
    };
    Ok(PeerConn::new(conn, permit, ticket))
}

/// A place among this client's connections to the peer. Where all are taken, the request goes to a
/// peer that has one to spare, and waits only while none has.
async fn admit(
    endpoint: &Endpoint,
    deadline: Instant,
    peers: &Peers<Arc<Endpoint>>,
) -> Result<OwnedSemaphorePermit, AttemptError> {
    loop {
        // At once, if there is a free place: the semaphore is asked before the clock.
        let look_around = deadline.min(Instant::now() + LOOK_AROUND);
        let admission = endpoint.admission.clone();
        match timeout_at(look_around, admission.acquire_owned()).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(_)) => return Err(AttemptError::Disconnected),
            Err(_) if Instant::now() >= deadline => {
                return Err(AttemptError::NoFreeConnection(endpoint.limit()));
            }
            Err(_) => {
                let spare = |peer: &Peer| peer.admission.available_permits() > 0;
                if peers
                    .iter()
                    .any(|peer| peer.state() == State::Up && spare(&peer))
                {
                    return Err(AttemptError::Busy(endpoint.limit()));
                }
            }
        }
    }
}

async fn open(endpoint: &Endpoint, deadline: Instant) -> Result<mysql_async::Conn, AttemptError> {
    let limit = endpoint.attempt_timeout;
    let own_end = Instant::now() + limit;
    match timeout_at(own_end.min(deadline), endpoint.pool().get_conn()).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(AttemptError::Connect(error)),
        Err(_) if own_end <= deadline => Err(AttemptError::TimedOut(limit)),
        // Cut short by the caller: it says nothing of the peer.
        Err(_) => Err(AttemptError::OutOfTime),
    }
}
