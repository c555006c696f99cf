//! The servers of the HTTP measurements.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tonic::transport::server::TcpIncoming;

use super::PEERS;

/// The body of each answer.
pub const BODY: &str = "hello";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 5\r\n\
    date: Sat, 28 Nov 2026 18:00:00 GMT\r\n\
    \r\n\
    hello";

/// Starts servers that answer any request of HTTP/1.1 without a body, each with a thread for each
/// connection. Returns their base URLs. They run as long as the process.
///
/// They look for the end of a request's head and no further, so that a request costs them no
/// allocation.
pub fn start_http() -> [String; PEERS] {
    std::array::from_fn(|_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                thread::spawn(move || serve(socket));
            }
        });
        format!("http://{address}")
    })
}

/// Answers requests until the client closes the connection.
fn serve(mut socket: TcpStream) {
    socket.set_nodelay(true).expect("it is a socket");
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..) {
        match socket.read(rest) {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if socket.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

/// Servers of gRPC's health service.
pub struct Grpc {
    /// Their base URLs.
    pub urls: [String; PEERS],
    _runtime: Runtime,
}

/// Starts them on one thread of their own.
pub fn start_grpc() -> Grpc {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(1).enable_all().build();
    let runtime = built.expect("a runtime can be made");
    let guard = runtime.enter();
    let urls = std::array::from_fn(|_| {
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        let address = incoming.local_addr().expect("it is bound");
        let (_, health) = tonic_health::server::health_reporter();
        let server = tonic::transport::Server::builder().add_service(health);
        runtime.spawn(server.serve_with_incoming(incoming.with_nodelay(Some(true))));
        format!("http://{address}")
    });
    drop(guard);
    Grpc {
        urls,
        _runtime: runtime,
    }
}
