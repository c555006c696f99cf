//! Packets on a socket: reading them, gathering a reply, sending it whole or cut in half.
//!
//! A packet is three bytes of length, one of sequence number, and a body; a body of 16 MiB and more
//! goes on in the next packet. A reply's packets are gathered and sent in one write.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

const HEADER: usize = 4;
const MAX_BODY: usize = 0xff_ffff;
/// As much as any test sends; a length beyond it means that the peer does not speak our protocol.
const MAX_COMMAND: usize = 256 << 20;
const READ_AHEAD: usize = 16 << 10;

/// One connection's packets.
///
/// The stream is shared with the server's list of connections, which shuts it down when the server
/// is killed.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Arc<TcpStream>,
    input: Vec<u8>,
    output: Vec<u8>,
    sequence: u8,
}

impl Wire {
    pub(crate) fn new(stream: Arc<TcpStream>) -> Wire {
        Wire {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            sequence: 0,
        }
    }

    /// The next packet's body; `None` when the client closed the connection between two packets.
    /// The reply's packets go on counting where this one ended.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        loop {
            while self.input.len() < HEADER {
                if self.fill().await? == 0 {
                    return if self.input.is_empty() {
                        Ok(None)
                    } else {
                        Err(broken_off())
                    };
                }
            }
            let length =
                u32::from_le_bytes([self.input[0], self.input[1], self.input[2], 0]) as usize;
            if body.len() + length > MAX_COMMAND {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "packet too large",
                ));
            }
            self.sequence = self.input[3].wrapping_add(1);
            while self.input.len() < HEADER + length {
                if self.fill().await? == 0 {
                    return Err(broken_off());
                }
            }
            body.extend_from_slice(&self.input[HEADER..HEADER + length]);
            self.input.drain(..HEADER + length);
            if length < MAX_BODY {
                return Ok(Some(body));
            }
        }
    }

    /// Resolves when the client has closed the connection. What it sends meanwhile is kept for
    /// [`read`](Wire::read).
    pub(crate) async fn closed(&mut self) {
        // A limit, lest a client that never stops fills the memory.
        while self.input.len() < MAX_COMMAND {
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Reads and forgets, answering nothing, until the client closes the connection.
    pub(crate) async fn stay_mute(&mut self) {
        loop {
            self.input.clear();
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Adds a packet to the reply.
    pub(crate) fn put(&mut self, body: &[u8]) {
        let mut chunks = body.chunks(MAX_BODY);
        loop {
            let chunk = chunks.next().unwrap_or(&[]);
            self.output
                .extend_from_slice(&(chunk.len() as u32).to_le_bytes()[..3]);
            self.output.push(self.sequence);
            self.output.extend_from_slice(chunk);
            self.sequence = self.sequence.wrapping_add(1);
            // A full packet says that another follows, if only an empty one.
            if chunk.len() < MAX_BODY {
                return;
            }
        }
    }

    /// Sends the reply.
    pub(crate) async fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.output.len() {
            self.stream.writable().await?;
            match self.stream.try_write(&self.output[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Sends the reply up to the middle of its first packet that has a middle, and no more.
    pub(crate) async fn send_cut(&mut self) -> io::Result<()> {
        let mut start = 0;
        while let Some(header) = self.output.get(start..start + HEADER) {
            let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            if length >= 2 {
                self.output.truncate(start + HEADER + length / 2);
                break;
            }
            start += HEADER + length;
        }
        self.send().await
    }

    /// Reads what there is, at least a byte; 0 means that the client closed the connection.
    async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_AHEAD);
        loop {
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.input) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

fn broken_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the client closed the connection inside a packet",
    )
}
