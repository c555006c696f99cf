//! How a caller with a permit gets a connection to its peer.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use evenhand::PeerVerdict;
use mysql_async::{Conn, Error, IoError, Opts, ServerError};
use tokio::time::{Instant, sleep};

use super::Endpoint;
use super::driver_pool::at;
use crate::caught::Caught;
use crate::classify::{Phase, is_full};
use crate::error::AttemptError;
use crate::names::place::Place;
use crate::time::deadline::timeout_lazy;

/// A checkout that may not open a connection yet yields this many times, then sleeps this long between
/// its looks.
const YIELDS: u32 = 16;
const SLEEP: Duration = Duration::from_millis(1);
/// After this many looks, some milliseconds or about a login, a connection that may be on its way back
/// is no longer waited for.
const PATIENCE: u32 = YIELDS + 4;

/// Why there is no connection.
pub(crate) enum NoConnection {
    /// None is idle, and the peer was full a moment ago.
    NoRoom,
    /// The peer is full.
    Full(AttemptError),
    Failed(AttemptError),
}

/// A connection to a peer.
pub(crate) struct Connected {
    pub(crate) conn: Conn,
    /// The peer has just accepted a login for it.
    pub(crate) is_new: bool,
    /// See [`DriverPool::stay`](super::driver_pool::DriverPool::stay).
    pub(crate) stay: u32,
}

impl Endpoint {
    /// An idle or new connection, within the connect timeout and by the deadline.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Connected, NoConnection> {
        let (limit, from) = (self.connect_timeout, self.at());
        let end = |began| {
            self.traffic.note_begun(began);
            deadline.min(began + limit)
        };
        let error = match timeout_lazy(end, pin!(self.checkout())).await {
            Ok(Ok(Some(connected))) => {
                // An idle one is handed out without a word to the peer.
                if connected.is_new && !self.driver.has_left(connected.stay) {
                    self.traffic.note_heard();
                    self.note_login(PeerVerdict::Healthy);
                    self.permits.note_login(self.driver.open_in_all());
                }
                return Ok(connected);
            }
            Ok(Ok(None)) => return Err(NoConnection::NoRoom),
            Ok(Err(error)) => {
                let verdict = self.check.rules.error(Phase::Connect, &error).verdict;
                self.note_login(verdict.peer);
                if is_full(&verdict) {
                    self.note_full(Some(&error));
                    return Err(NoConnection::Full(AttemptError::Connect(error)));
                }
                AttemptError::Connect(error)
            }
            // The caller's deadline came first, which says nothing about the peer. If it is full, that is why.
            Err(cut) if deadline < cut.began + limit => {
                self.last_refusal().unwrap_or(AttemptError::OutOfTime)
            }
            // Nor does time that was spent at an address that the name had then, and has no more.
            Err(cut) if self.traffic.was_heard_since(cut.began) || self.is_gone(from) => {
                AttemptError::Slow(limit)
            }
            Err(_) => AttemptError::TimedOut(limit),
        };
        Err(NoConnection::Failed(error))
    }

    /// The peer has room for the connections that are open, and for no other.
    pub(crate) fn note_full(&self, refusal: Option<&Error>) {
        if let Some(Error::Server(refusal)) = refusal {
            *self.refusal() = Some(refusal.clone());
        }
        // It answers, which is no proof that it works.
        self.traffic.forget_begun();
        self.permits.learn_limit(self.driver.open_in_all());
    }

    /// What a peer that is full said last.
    pub(crate) fn last_refusal(&self) -> Option<AttemptError> {
        if !self.permits.are_short() {
            return None;
        }
        let refusal = self.refusal().clone()?;
        Some(AttemptError::Connect(refusal.into()))
    }

    fn refusal(&self) -> MutexGuard<'_, Option<ServerError>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection from the driver's pool, as soon as one is idle or one more may be opened.
    ///
    /// A caller with a permit may have a connection. But the driver takes returned connections back in
    /// a separate task, and until that has run, each further caller would open another. So while more
    /// connections are open than are in use, the caller waits a moment for the one that may be on its
    /// way. No more are ever opened than may be in use; if returned ones do not arrive because the peer
    /// is silent, the attempt's timeout ends the wait. `None` if the peer turned out to be full, so that
    /// there are more callers with a permit than connections.
    async fn checkout(&self) -> mysql_async::Result<Option<Connected>> {
        let (mut looks, mut moves): (u32, usize) = (0, 0);
        loop {
            if self.must_be_found() {
                Box::pin(self.find()).await?;
            }
            let from = self.at();
            let (stay, checkout) = self.driver.checkout();
            let mut checkout = pin!(checkout);
            let may_start = || {
                if self.has_idle() {
                    return true;
                }
                let open = self.driver.open();
                // One of the permits held is the caller's, who has no connection yet.
                let one_may_come = open >= self.permits.held() && looks < PATIENCE;
                open < self.permits.limit() && !one_may_come
            };
            match self.driver.poll_first(checkout.as_mut(), may_start).await {
                // A login takes more than one poll, an idle connection no more.
                Some(Poll::Ready(conn)) => {
                    return Ok(Some(Connected {
                        conn: conn?,
                        is_new: false,
                        stay,
                    }));
                }
                Some(Poll::Pending) => {
                    let began = Instant::now();
                    let conn = match Caught(checkout).await {
                        // The driver, given a name, would go on to its next address, too.
                        Err(error) if moves < self.others() && is_elsewhere(&error, from) => {
                            self.move_on(from);
                            moves += 1;
                            continue;
                        }
                        // The name moved meanwhile.
                        Err(_) if self.is_gone(from) => continue,
                        conn => conn?,
                    };
                    self.traffic.note_login(began.elapsed());
                    return Ok(Some(Connected {
                        conn,
                        is_new: true,
                        stay,
                    }));
                }
                None if looks >= PATIENCE && self.permits.are_in_excess() => return Ok(None),
                None if looks < YIELDS => tokio::task::yield_now().await,
                // Boxed, as it is rarely needed and would make every checkout larger.
                None => Box::pin(sleep(SLEEP)).await,
            }
            looks += 1;
        }
    }

    /// Whether the peer's host has to be looked up before it can be connected to.
    pub(crate) fn must_be_found(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| !place.is_found())
    }

    /// Looks the peer's host up, if that was not done yet.
    pub(crate) async fn find(&self) -> io::Result<()> {
        match &self.place {
            Some(place) => place.find(|address| self.lead_to(address)).await,
            None => Ok(()),
        }
    }

    /// Looks the peer's host up, and again if that was done before.
    pub(crate) async fn look_up_again(&self) -> io::Result<()> {
        match &self.place {
            Some(place) if place.is_found() => {
                let moved = place.look_up_again(|address| self.lead_to(address));
                moved.await.map(drop)
            }
            _ => self.find().await,
        }
    }

    /// A connection outside of the pool's. If it is refused, goes on to the name's next address, if there is one.
    pub(crate) async fn log_in(&self) -> mysql_async::Result<Conn> {
        let mut moves = 0;
        loop {
            let opts = self.opts_to_reach().await?;
            let from = self.at();
            match Caught(Conn::new(opts)).await {
                Err(error) if moves < self.others() && is_elsewhere(&error, from) => {
                    self.move_on(from);
                    moves += 1;
                }
                conn => return conn,
            }
        }
    }

    /// The options with which the peer is connected to where it is now.
    pub(crate) async fn opts_to_reach(&self) -> io::Result<Opts> {
        self.find().await?;
        let opts = self.opts.clone();
        Ok(match self.at() {
            Some(address) => at(opts, address),
            None => opts,
        })
    }

    /// Where the peer of a host name is.
    pub(crate) fn at(&self) -> Option<IpAddr> {
        self.place.as_ref()?.at()
    }

    /// Whether the peer's name has no longer this address, which it had.
    pub(super) fn is_gone(&self, from: Option<IpAddr>) -> bool {
        match (&self.place, from) {
            (Some(place), Some(from)) => !place.has(from),
            _ => false,
        }
    }

    /// The peer is at this address now.
    pub(crate) fn lead_to(&self, address: IpAddr) {
        self.driver.lead_to(address);
        // What another server said.
        *self.refusal() = None;
        self.permits.forget_limit();
        self.traffic.forget_begun();
        self.refuses_logins.store(false, Ordering::Relaxed);
    }

    /// The peer cannot be reached at this address: goes on to the next one of its name, if there is another.
    pub(crate) fn move_on(&self, from: Option<IpAddr>) {
        if let (Some(place), Some(from)) = (&self.place, from) {
            place.leave(from, |to| self.lead_to(to));
        }
    }

    /// How many addresses the peer's name has besides the one where the peer is.
    fn others(&self) -> usize {
        self.place.as_ref().map_or(0, Place::others)
    }
}

/// Whether an error says that no server is at this address.
fn is_elsewhere(error: &Error, at: Option<IpAddr>) -> bool {
    use std::io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let Error::Io(IoError::Io(error)) = error else {
        return false;
    };
    match error.kind() {
        ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut => true,
        // This host has no IPv6. Else it is short of ports, and another address would not help.
        AddrNotAvailable => at.is_some_and(|at| at.is_ipv6()),
        _ => false,
    }
}
