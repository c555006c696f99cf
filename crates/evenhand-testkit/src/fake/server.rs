//! What all connections of one double share: the door, the controls, the counters.
//!
//! The *door* is the listening socket and the list of the connections that came in by it. One mutex
//! guards both, and it is also held while a connection is accepted, so `kill` leaves no
//! connection behind that was accepted a moment earlier. The *controls* are a watched value: a
//! connection looks them up when it needs them, and one that waits to be thawed is woken.
//!
//! No lock is held across an await: accepting is a poll function that locks for the length of a
//! poll.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::faults::Fault;
use super::protocol::login::Account;
use super::sql::answers::Answers;
use crate::lock::lock;
use crate::port::{Listener, ReservedPort};

/// How many statements are remembered.
const REMEMBERED: usize = 10_000;
/// How often, and how far apart, a restart tries to listen: two seconds in all.
const LISTEN_TRIES: u32 = 100;
const LISTEN_PAUSE: Duration = Duration::from_millis(20);

/// What a test has told the double to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub(super) fault: Option<Fault>,
    pub(super) frozen: bool,
    pub(super) delay: Duration,
}

/// What was set before the start and stays so.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) version: String,
    pub(super) account: Option<Account>,
    pub(super) capabilities: u32,
}

/// The server behind a [`FakeMySql`](super::FakeMySql).
#[derive(Debug)]
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) answers: Answers,
    pub(super) port: ReservedPort,
    pub(super) control: watch::Sender<Control>,
    pub(super) accepted: AtomicU64,
    pub(super) logins: AtomicU64,
    pub(super) refused_logins: AtomicU64,
    pub(super) queries: AtomicU64,
    statements: Mutex<VecDeque<String>>,
    connection_ids: AtomicU32,
    door: Mutex<Door>,
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Door {
    /// False from a kill to the next restart.
    alive: bool,
    listener: Option<Listener>,
    held: HashMap<u32, Held>,
}

/// A connection that is open.
#[derive(Debug)]
struct Held {
    stream: Arc<TcpStream>,
    session: AbortHandle,
}

impl Server {
    pub(super) fn new(
        settings: Settings,
        answers: Answers,
        port: ReservedPort,
        runtime: Handle,
    ) -> Server {
        Server {
            settings,
            answers,
            port,
            control: watch::Sender::default(),
            accepted: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            refused_logins: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            statements: Mutex::default(),
            connection_ids: AtomicU32::new(1),
            door: Mutex::default(),
            runtime,
        }
    }

    /// Accepts connections for as long as the double lives, through kills and restarts, and has
    /// each served in a task.
    pub(super) async fn accept<Served>(
        self: Arc<Server>,
        serve: impl Fn(Arc<Server>, u32, Arc<TcpStream>) -> Served,
    ) where
        Served: Future<Output = ()> + Send + 'static,
    {
        let mut control = self.control.subscribe();
        loop {
            tokio::select! {
                biased;
                // The listener may be another one now, or we may be thawed.
                changed = control.changed() => if changed.is_err() { return },
                accepted = poll_fn(|cx| self.poll_accept(cx, &serve)) => if accepted.is_err() {
                    // Out of file descriptors, most likely: let others close some.
                    tokio::time::sleep(LISTEN_PAUSE).await;
                },
            }
        }
    }

    fn poll_accept<Served>(
        self: &Arc<Server>,
        cx: &mut Context<'_>,
        serve: impl Fn(Arc<Server>, u32, Arc<TcpStream>) -> Served,
    ) -> Poll<io::Result<()>>
    where
        Served: Future<Output = ()> + Send + 'static,
    {
        let mut door = lock(&self.door);
        if self.control.borrow().frozen {
            return Poll::Pending;
        }
        let Some(listener) = &door.listener else {
            return Poll::Pending;
        };
        let (stream, _) = ready!(listener.poll_accept(cx))?;
        // It only makes replies quicker; a connection that is closed already will be noticed soon.
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let id = self.connection_ids.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let session = self.runtime.spawn(serve(self.clone(), id, stream.clone()));
        door.held.insert(
            id,
            Held {
                stream,
                session: session.abort_handle(),
            },
        );
        Poll::Ready(Ok(()))
    }

    /// Forgets a connection that has ended.
    pub(super) fn ended(&self, id: u32) {
        lock(&self.door).held.remove(&id);
    }

    pub(super) fn connections(&self) -> usize {
        lock(&self.door).held.len()
    }

    /// Listens for the first time.
    pub(super) fn open(&self) -> io::Result<()> {
        let mut door = lock(&self.door);
        door.alive = true;
        self.settle(&mut door)
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) -> io::Result<()> {
        let mut door = lock(&self.door);
        self.control.send_modify(|control| control.fault = fault);
        self.settle(&mut door)
    }

    /// Closes the listening socket and every connection, and stays so.
    pub(super) fn kill(&self) {
        let mut door = lock(&self.door);
        door.alive = false;
        door.listener = None;
        door.cut();
    }

    /// Closes every connection; the listening socket stays.
    pub(super) fn cut(&self) {
        lock(&self.door).cut();
    }

    /// Listens again on the same port, with no fault and not frozen.
    pub(super) async fn restart(&self) -> io::Result<()> {
        self.kill();
        self.control.send_modify(|control| {
            control.fault = None;
            control.frozen = false;
        });
        let mut tries = 0;
        loop {
            tries += 1;
            match self.open() {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries < LISTEN_TRIES => {
                    tokio::time::sleep(LISTEN_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Opens or closes the listening socket, as life and fault want it.
    fn settle(&self, door: &mut Door) -> io::Result<()> {
        let wanted = door.alive && self.control.borrow().fault != Some(Fault::Refuse);
        if !wanted {
            door.listener = None;
        } else if door.listener.is_none() {
            // Needed to register the socket, should this be called from outside the runtime.
            let _runtime = self.runtime.enter();
            door.listener = Some(self.port.listen()?);
            // Tells the accepting task to look at the new listener.
            self.control.send_modify(|_| {});
        }
        Ok(())
    }

    /// Adds to the list of what was executed.
    pub(super) fn executed(&self, statement: &str) {
        let mut statements = lock(&self.statements);
        if statements.len() == REMEMBERED {
            statements.pop_front();
        }
        statements.push_back(statement.to_owned());
    }

    pub(super) fn statements(&self) -> Vec<String> {
        lock(&self.statements).iter().cloned().collect()
    }
}

impl Door {
    fn cut(&mut self) {
        for (_, held) in self.held.drain() {
            // At once, not when the runtime comes round to dropping the session. It fails only
            // where the client has closed the connection already, or for want of a descriptor.
            let _ = held
                .stream
                .as_fd()
                .try_clone_to_owned()
                .and_then(|stream| std::net::TcpStream::from(stream).shutdown(Shutdown::Both));
            held.session.abort();
        }
    }
}
