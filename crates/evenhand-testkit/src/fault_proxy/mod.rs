//! [`FaultProxy`]: a TCP proxy in the test's own process, for any peer to be put behind, and whose
//! faults can be changed while it runs.
//!
//! | file | holds |
//! | --- | --- |
//! | `control.rs` | the faults as values, and what is counted |
//! | `door.rs` | the task that accepts connections and takes orders |
//! | `relay.rs` | one connection |
//!
//! A proxy has a separate thread that handles its connections and its orders. So an order is never
//! carried out while data is being relayed.

mod control;
mod door;
mod relay;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc::UnboundedSender;

use crate::port::ReservedPort;
use control::{Control, Counters, Cut};
use door::{Door, Order};

pub use control::Direction;

/// A TCP proxy before one peer, that can fail in the ways in which networks do.
///
/// All methods may be called at any time, in any order, from any thread, inside and outside of
/// tokio; each blocks for some microseconds, and what it asks for is so when it returns. The proxy
/// passes on the ends of streams one by one, and a reset of either side as a reset. If the peer
/// refuses a connection, the client's is accepted and closed, as any proxy does it. Everything ends
/// when it is dropped.
///
/// ```no_run
/// # async fn demo() -> std::io::Result<()> {
/// use evenhand_testkit::{Direction, FakeMySql, FaultProxy};
/// use std::time::Duration;
///
/// let fake = FakeMySql::start().await?;
/// let proxy = FaultProxy::start(fake.addr())?;
/// println!("{}", proxy.url());
/// proxy.set_delay(Direction::ToClient, Duration::from_millis(30));
/// proxy.freeze(); // accepts connections, and holds every byte
/// proxy.thaw(); // delivers them
/// proxy.cut_after(Direction::ToClient, 20); // breaks replies off
/// proxy.reset_all();
/// proxy.heal()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    upstream: SocketAddr,
    counters: Arc<Counters>,
    // Dropped to end the thread.
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy without faults on a free port of 127.0.0.1. Nothing needs to listen on
    /// `upstream` yet.
    ///
    /// # Errors
    /// If no port, thread or runtime can be had.
    pub fn start(upstream: SocketAddr) -> io::Result<FaultProxy> {
        let port = ReservedPort::any()?;
        let addr = port.addr();
        let counters = Arc::new(Counters::default());
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut door = {
            let _runtime = runtime.enter();
            Door::open(port, upstream, counters.clone())?
        };
        let (orders, mut received) = tokio::sync::mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || runtime.block_on(door.serve(&mut received)))?;
        Ok(FaultProxy {
            addr,
            upstream,
            counters,
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Where it listens. The port stays the same, and stays reserved while it refuses.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](FaultProxy::addr).
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.addr)
    }

    /// The peer behind it.
    pub fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// Delays all that is read from now on by this time, without slowing down how much passes; 0,
    /// the default, is none. Making a connection takes no longer.
    pub fn set_delay(&self, direction: Direction, delay: Duration) {
        self.change(move |control| *control.delay.of_mut(direction) = delay);
    }

    /// Holds all bytes and ends of streams. Connections stay open, and new ones are accepted.
    pub fn freeze(&self) {
        self.change(|control| control.frozen = true);
    }

    /// Ends [`freeze`](FaultProxy::freeze): what was held is delivered.
    pub fn thaw(&self) {
        self.change(|control| control.frozen = false);
    }

    /// Closes each connection on both sides, by FIN, as soon as this number of further bytes has passed in
    /// this direction: on the open ones from now, on new ones from their start. With 0 that is when
    /// the next byte would pass. In place of any cut that was set before.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.change(move |control| {
            control.cuts += 1;
            control.cut = Some(Cut {
                number: control.cuts,
                direction,
                after: bytes,
            });
        });
    }

    /// Closes no more connections.
    pub fn cut_none(&self) {
        self.change(|control| control.cut = None);
    }

    /// Limits the number of bytes a second on each connection in each direction; `None`, the default,
    /// is no limit.
    pub fn throttle(&self, bytes_per_second: Option<NonZeroU64>) {
        self.change(move |control| control.rate = bytes_per_second);
    }

    /// Ends every open connection by RST, on both sides; what was on its way is lost. It goes on
    /// listening.
    pub fn reset_all(&self) {
        // Closing connections has nothing that could fail.
        let _ = self.order(Order::Reset);
    }

    /// Stops listening: new connections are refused, open ones live on.
    pub fn refuse(&self) {
        // Nor has closing a socket.
        let _ = self.order(Order::Refuse);
    }

    /// Ends [`refuse`](FaultProxy::refuse): listens again, on the same port.
    ///
    /// # Errors
    /// If something else has come to listen on the port.
    pub fn accept(&self) -> io::Result<()> {
        self.order(Order::Accept)
    }

    /// Ends all faults: what is frozen is delivered, new connections are accepted.
    ///
    /// # Errors
    /// As [`accept`](FaultProxy::accept).
    pub fn heal(&self) -> io::Result<()> {
        self.change(Control::heal);
        self.accept()
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open now. One that both sides have closed is counted until the
    /// proxy has passed that on.
    pub fn connections(&self) -> usize {
        self.counters.open.load(Ordering::Relaxed)
    }

    /// How many bytes have ever passed in this direction.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.counters.bytes.of(direction).load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Control) + Send + 'static) {
        // A change has nothing that could fail.
        let _ = self.order(|done| Order::Change(Box::new(change), done));
    }

    /// Gives an order, and waits until it is carried out.
    fn order(&self, order: impl FnOnce(mpsc::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the proxy's thread has ended");
        let (done, outcome) = mpsc::channel();
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(order(done)).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so itself.
            let _ = thread.join();
        }
    }
}
