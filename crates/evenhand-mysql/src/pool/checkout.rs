//! Gets a connection from one peer, within its time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, Peers, State, Ticket};
use mysql_async::Conn;
use tokio::time::Instant;
use tower_service::Service;

use crate::admission::{Closed, Held, Place, Places};
use crate::conn::PeerConn;
use crate::endpoint::{Endpoint, Peer};
use crate::error::AttemptError;
use crate::limit::by;

/// How often a request that waits for a free connection looks whether another peer has one.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// A request for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// When the caller asked for it.
    pub(crate) began: Instant,
    /// When the caller's time is up.
    pub(crate) deadline: Instant,
    /// Peers that it does not go to, if there are any.
    pub(crate) avoid: Option<Arc<[Arc<str>]>>,
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
        let ticket = attempt.ticket();
        // One that comes back has been at the others, and they were of no use.
        let others = (!attempt.comes_back()).then(|| self.peers.clone());
        let Checkout {
            deadline, avoid, ..
        } = attempt.request;
        let avoided =
            avoid.is_some_and(|avoid| avoid.iter().any(|name| **name == *ticket.peer().name()));
        Box::pin(async move {
            if avoided {
                return Err(AttemptError::Avoided);
            }
            let (conn, place) = connect(&ticket, deadline, others.as_ref()).await?;
            Ok(PeerConn::new(conn, Held::new(place), ticket))
        })
    }
}

/// Waits for a free place among this client's connections and for a turn to log in, then for the
/// connection. Ends at once if the peer is ejected meanwhile: whoever waits on a lost peer moves on
/// then.
async fn connect(
    ticket: &Ticket<Arc<Endpoint>>,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Conn, Place), AttemptError> {
    let peer: &Peer = ticket.peer();
    // In place: moved into what waits for it, it would take its room twice.
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

/// A connection, and the place that it holds.
async fn open(
    peer: &Peer,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<(Conn, Place), AttemptError> {
    let place = turn(peer, &peer.places, deadline, others).await?;
    // The attempt's time limit is of the login, not of the wait for a turn at it.
    let _login = match peer.has_idle() {
        true => None,
        false => Some(turn(peer, &peer.logins, deadline, others).await?),
    };
    Ok((peer.connect(deadline).await?, place))
}

/// A turn at what only so many may have at a time. Where all are taken, the request goes to one of
/// the others that has one to spare, and waits only while none has.
async fn turn(
    peer: &Peer,
    turns: &Places,
    deadline: Instant,
    others: Option<&Peers<Arc<Endpoint>>>,
) -> Result<Place, AttemptError> {
    if let Some(place) = turns.try_take() {
        return Ok(place);
    }
    // One wait, however often it looks around: its turn comes by when it came.
    let mut taking = pin!(turns.take());
    let look_around = |began| match others {
        Some(_) => deadline.min(began + LOOK_AROUND),
        None => deadline,
    };
    loop {
        match by(look_around, taking.as_mut()).await {
            Ok(Ok(place)) => return Ok(place),
            Ok(Err(Closed)) => return Err(AttemptError::Disconnected),
            Err(_) if Instant::now() >= deadline => {
                return Err(AttemptError::NoFreeConnection(peer.usage(peer)));
            }
            Err(_) => {
                let other = |other: &Peer| !Arc::ptr_eq(other, peer);
                let spare = |peer: &Peer| peer.state() == State::Up && peer.has_spare();
                let others = others.into_iter().flat_map(Peers::iter);
                if others.into_iter().any(|peer| other(&peer) && spare(&peer)) {
                    return Err(AttemptError::Busy(peer.usage(peer)));
                }
            }
        }
    }
}
