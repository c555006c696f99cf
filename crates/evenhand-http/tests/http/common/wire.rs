//! Peers that a server library cannot play: what they send is written byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use evenhand_http::BaseUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What such a peer does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Reads the head of a request of HTTP/1.1, and closes the connection.
    Lose,
    /// Reads the head, and answers with something that is no HTTP.
    Nonsense,
    /// HTTP/2: `GOAWAY` that excludes the request, with this error code.
    GoAway(u8),
    /// HTTP/2: resets the request's stream, with this error code.
    Reset(u8),
    /// HTTP/2: sends a head and a piece of a body, then `GOAWAY` that excludes the request, with this code.
    BodyGoAway(u8),
    /// HTTP/2: sends a head with a length and a piece of the body, then as `BodyGoAway` without an error.
    ShortGoAway,
    /// HTTP/2: sends a head with a length and a piece of the body, then resets the stream without an error.
    ShortReset,
    /// HTTP/2: sends a head and a piece of a body, and answers no pings.
    BodySilent,
    /// HTTP/2: answers neither requests nor pings, as a machine that is gone.
    Silent,
}

pub(crate) const NO_ERROR: u8 = 0;
pub(crate) const INTERNAL_ERROR: u8 = 2;
pub(crate) const REFUSED_STREAM: u8 = 7;

/// A peer that does the same with every request.
pub(crate) struct WirePeer {
    address: SocketAddr,
    requests: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl WirePeer {
    pub(crate) async fn start(wire: Wire) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU32::new(0));
        let counter = requests.clone();
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let counter = counter.clone();
                connections.spawn(async move { play(socket, wire, &counter).await });
            }
        });
        Self {
            address,
            requests,
            server,
        }
    }

    pub(crate) fn base_url(&self) -> BaseUrl {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// How many requests it got.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for WirePeer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn play(mut socket: TcpStream, wire: Wire, requests: &AtomicU32) -> Option<()> {
    match wire {
        Wire::Lose | Wire::Nonsense => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.ok()?);
            }
            requests.fetch_add(1, Ordering::Relaxed);
            if wire == Wire::Nonsense {
                socket
                    .write_all(b"220 mail.example ESMTP\r\n\r\n")
                    .await
                    .ok()?;
            }
        }
        Wire::GoAway(_)
        | Wire::Reset(_)
        | Wire::BodyGoAway(_)
        | Wire::ShortGoAway
        | Wire::ShortReset
        | Wire::BodySilent
        | Wire::Silent => {
            let mut preface = [0; 24];
            socket.read_exact(&mut preface).await.ok()?;
            // SETTINGS
            socket.write_all(&frame(4, 0, &[])).await.ok()?;
            loop {
                let stream = next_request(&mut socket).await?;
                requests.fetch_add(1, Ordering::Relaxed);
                let headers: &[u8] = match wire {
                    // `:status: 200`, the eighth entry of the static table.
                    Wire::BodyGoAway(_) | Wire::BodySilent => &[0x88],
                    // And `content-length: 9`, whose name is the 28th.
                    Wire::ShortGoAway | Wire::ShortReset => &[0x88, 0x0f, 13, 1, b'9'],
                    _ => &[],
                };
                if !headers.is_empty() {
                    // HEADERS, and their end.
                    let mut head = frame(1, stream, headers);
                    head[4] = 4;
                    socket.write_all(&head).await.ok()?;
                    socket.write_all(&frame(0, stream, b"half")).await.ok()?;
                }
                let answer = match wire {
                    // The last stream that it processed is none.
                    Wire::GoAway(code) | Wire::BodyGoAway(code) => {
                        frame(7, 0, &[0, 0, 0, 0, 0, 0, 0, code])
                    }
                    Wire::ShortGoAway => frame(7, 0, &[0, 0, 0, 0, 0, 0, 0, NO_ERROR]),
                    Wire::ShortReset => frame(3, stream, &[0, 0, 0, NO_ERROR]),
                    Wire::Reset(code) => frame(3, stream, &[0, 0, 0, code]),
                    _ => continue,
                };
                socket.write_all(&answer).await.ok()?;
            }
        }
    }
    Some(())
}

/// The stream of the next request. Acknowledges settings.
async fn next_request(socket: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.ok()?;
        match kind {
            1 => return Some(stream),
            4 if flags & 1 == 0 => {
                let mut acknowledged = frame(4, 0, &[]);
                acknowledged[4] = 1;
                socket.write_all(&acknowledged).await.ok()?;
            }
            _ => {}
        }
    }
}

/// A frame of HTTP/2 without flags (RFC 9113, section 4.1).
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
