//! One connection: bytes from either side to the other, through the faults.
//!
//! Each direction has a reader, which stamps what it reads with the time at which it is due, and a
//! writer, which lets it pass when that has come and no fault is against it. Between a look at the
//! faults and the write there is no await, so no fault can be set in between.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::control::{Control, Counters, Direction};

/// How much is read at once, and how many such pieces a direction holds.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 64;
/// How often a second a throttled direction lets something pass.
const TICKS: u64 = 50;

/// How a connection ended other than by both ends of stream.
#[derive(Debug)]
enum Fate {
    /// FIN to both sides.
    Cut,
    /// RST to both sides.
    Reset,
}

/// A client's connection, and what it needs to know.
#[derive(Debug)]
pub(super) struct Relay {
    client: TcpStream,
    control: watch::Receiver<Control>,
    resets: u64,
    counters: Arc<Counters>,
}

/// What was read in one go, nothing at the end of the stream; and when it is due.
struct Piece {
    bytes: Vec<u8>,
    due: Instant,
}

impl Relay {
    pub(super) fn new(
        client: TcpStream,
        control: watch::Receiver<Control>,
        counters: Arc<Counters>,
    ) -> Relay {
        counters.open.fetch_add(1, Ordering::Relaxed);
        let resets = control.borrow().resets;
        Relay {
            client,
            control,
            resets,
            counters,
        }
    }

    /// Connects to the peer, and relays until the connection's end.
    pub(super) async fn run(self, upstream: SocketAddr) {
        let mut control = self.control.clone();
        // An error would mean that the proxy is gone, and with it this task.
        let reset = control.wait_for(|control| control.resets != self.resets);
        tokio::pin!(reset);
        let upstream = tokio::select! {
            biased;
            _ = &mut reset => return end_by_rst(&self.client),
            connected = self.connect(upstream) => match connected {
                Ok(upstream) => upstream,
                // It was made, and is gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return end_by_rst(&self.client);
                }
                Err(_) => return end_by_fin(&self.client),
            },
        };
        let ended = tokio::select! {
            biased;
            _ = &mut reset => Err(Fate::Reset),
            ended = self.both_ways(&upstream) => ended,
        };
        for side in [&self.client, &upstream] {
            match ended {
                Ok(()) => {}
                Err(Fate::Cut) => end_by_fin(side),
                Err(Fate::Reset) => end_by_rst(side),
            }
        }
    }

    async fn connect(&self, upstream: SocketAddr) -> io::Result<TcpStream> {
        let mut control = self.control.clone();
        until_thawed(&mut control).await;
        let upstream = TcpStream::connect(upstream).await?;
        // They only make replies quicker.
        let _ = (upstream.set_nodelay(true), self.client.set_nodelay(true));
        Ok(upstream)
    }

    async fn both_ways(&self, upstream: &TcpStream) -> Result<(), Fate> {
        tokio::try_join!(
            self.one_way(Direction::ToUpstream, &self.client, upstream),
            self.one_way(Direction::ToClient, upstream, &self.client),
        )?;
        Ok(())
    }

    async fn one_way(
        &self,
        direction: Direction,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Result<(), Fate> {
        let (pieces, read) = mpsc::channel(PIECES);
        let mut writer = Writer {
            direction,
            to,
            control: self.control.clone(),
            counters: &self.counters,
            cut: 0,
            passed: 0,
        };
        tokio::try_join!(self.read(direction, from, pieces), writer.write(read))?;
        Ok(())
    }

    async fn read(
        &self,
        direction: Direction,
        from: &TcpStream,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), Fate> {
        loop {
            let mut bytes = vec![0; PIECE];
            let read = match read_some(from, &mut bytes).await {
                Ok(read) => read,
                Err(_) => {
                    // A freeze holds this, too.
                    until_thawed(&mut self.control.clone()).await;
                    return Err(Fate::Reset);
                }
            };
            bytes.truncate(read);
            let delay = *self.control.borrow().delay.of(direction);
            let due = Instant::now() + delay;
            // The writer goes only together with the reader.
            if pieces.send(Piece { bytes, due }).await.is_err() || read == 0 {
                return Ok(());
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One direction's second half.
struct Writer<'a> {
    direction: Direction,
    to: &'a TcpStream,
    control: watch::Receiver<Control>,
    counters: &'a Counters,
    /// The cut that is counted for, and how much has passed since it was set.
    cut: u64,
    passed: u64,
}

impl Writer<'_> {
    async fn write(&mut self, mut pieces: mpsc::Receiver<Piece>) -> Result<(), Fate> {
        while let Some(piece) = pieces.recv().await {
            tokio::time::sleep_until(piece.due).await;
            let mut left = &piece.bytes[..];
            if left.is_empty() {
                until_thawed(&mut self.control).await;
                // It fails only where the connection is gone already.
                let _ = SockRef::from(self.to).shutdown(Shutdown::Write);
            }
            while !left.is_empty() {
                let written = self.write_some(left).await?;
                left = &left[written..];
            }
        }
        Ok(())
    }

    /// Lets as much pass as the faults allow, maybe nothing.
    async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Fate> {
        until_thawed(&mut self.control).await;
        self.to.writable().await.map_err(|_| Fate::Reset)?;
        let control = *self.control.borrow_and_update();
        if control.frozen {
            return Ok(0);
        }
        let mut most = bytes.len() as u64;
        if let Some(rate) = control.rate {
            most = most.min((rate.get() / TICKS).max(1));
        }
        let allowed = self.until_cut(&control);
        if allowed == 0 {
            return Err(Fate::Cut);
        }
        // It is no longer than the bytes are.
        let most = most.min(allowed) as usize;
        let written = match self.to.try_write(&bytes[..most]) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(Fate::Reset),
        };
        self.passed += written as u64;
        let counter = self.counters.bytes.of(self.direction);
        counter.fetch_add(written as u64, Ordering::Relaxed);
        if self.until_cut(&control) == 0 {
            return Err(Fate::Cut);
        }
        if let Some(rate) = control.rate {
            self.pause(written, rate).await;
        }
        Ok(written)
    }

    /// How many more bytes may pass before the connection is closed.
    fn until_cut(&mut self, control: &Control) -> u64 {
        match control.cut {
            Some(cut) if cut.direction == self.direction => {
                if self.cut != cut.number {
                    self.cut = cut.number;
                    self.passed = 0;
                }
                cut.after.saturating_sub(self.passed)
            }
            _ => u64::MAX,
        }
    }

    /// Waits as long as these bytes take at this rate, or until the rate changes.
    async fn pause(&mut self, bytes: usize, rate: NonZeroU64) {
        let pause = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let changed = self.control.wait_for(|control| control.rate != Some(rate));
        // Either is a reason to go on.
        let _ = tokio::time::timeout(pause, changed).await;
    }
}

async fn until_thawed(control: &mut watch::Receiver<Control>) {
    // An error would mean that the proxy is gone, and with it this task.
    let _ = control.wait_for(|control| !control.frozen).await;
}

async fn read_some(from: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Has the socket's close send what is written and a FIN. Where something has not been read, the
/// kernel would send a RST in place of what is not yet sent, so that is read first.
fn end_by_fin(socket: &TcpStream) {
    // It fails only where the connection is gone already.
    let _ = SockRef::from(socket).shutdown(Shutdown::Write);
    let mut rest = [0; PIECE];
    while matches!(socket.try_read(&mut rest), Ok(1..)) {}
}

/// Has the socket's close send a RST.
fn end_by_rst(socket: &TcpStream) {
    // It fails only where the connection is gone already.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_fin_loses_nothing_where_something_was_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut other = TcpStream::connect(addr).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        other.write_all(b"not read").await.unwrap();
        socket.readable().await.unwrap();
        // More than the other side's kernel takes.
        let mut written = 0;
        while let Ok(n) = socket.try_write(&[7; PIECE]) {
            written += n;
        }
        end_by_fin(&socket);
        drop(socket);
        let mut read = vec![];
        other.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), written);
    }
}
