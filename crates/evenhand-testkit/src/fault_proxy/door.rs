//! The task that accepts connections and takes orders.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::{Control, Counters};
use super::relay::Relay;
use crate::port::{Listener, ReservedPort};

/// A pause after a failure to accept, as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// Something to do, and whom to tell when it is done.
pub(super) enum Order {
    /// Change the faults.
    Change(Box<dyn FnOnce(&mut Control) + Send>, Sender<io::Result<()>>),
    /// Reset all connections.
    Reset(Sender<io::Result<()>>),
    /// Stop listening.
    Refuse(Sender<io::Result<()>>),
    /// Listen.
    Accept(Sender<io::Result<()>>),
}

/// The proxy as its own thread sees it.
#[derive(Debug)]
pub(super) struct Door {
    port: ReservedPort,
    listener: Option<Listener>,
    upstream: SocketAddr,
    control: watch::Sender<Control>,
    counters: Arc<Counters>,
    connections: JoinSet<()>,
}

impl Door {
    /// Listens. Call it inside a tokio runtime.
    pub(super) fn open(
        port: ReservedPort,
        upstream: SocketAddr,
        counters: Arc<Counters>,
    ) -> io::Result<Door> {
        Ok(Door {
            listener: Some(port.listen()?),
            port,
            upstream,
            control: watch::Sender::default(),
            counters,
            connections: JoinSet::new(),
        })
    }

    /// Accepts connections and takes orders until every sender is gone.
    pub(super) async fn serve(&mut self, orders: &mut UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                Some(_) = self.connections.join_next() => {}
                accepted = accept(self.listener.as_ref()) => match accepted {
                    Ok(client) => self.relay(client),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        // The sender waits for the order, unless its thread is gone.
        let _ = match order {
            Order::Change(change, done) => {
                self.control.send_modify(change);
                done.send(Ok(()))
            }
            Order::Reset(done) => {
                self.control.send_modify(|control| control.resets += 1);
                while self.connections.join_next().await.is_some() {}
                done.send(Ok(()))
            }
            Order::Refuse(done) => {
                self.listener = None;
                done.send(Ok(()))
            }
            Order::Accept(done) => done.send(self.listen()),
        };
    }

    fn listen(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            self.listener = Some(self.port.listen()?);
        }
        Ok(())
    }

    fn relay(&mut self, client: TcpStream) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let relay = Relay::new(client, self.control.subscribe(), self.counters.clone());
        self.connections.spawn(relay.run(self.upstream));
    }
}

async fn accept(listener: Option<&Listener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => pending().await,
    }
}
