//! A peer: a server of HTTP/1.1 and HTTP/2 that does as it is told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use evenhand_http::BaseUrl;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// What a peer does with a request that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers 200 with the request's method, path, `Host` and body.
    Serve,
    /// Never answers.
    Hang,
    /// Answers with this status.
    Status(u16),
    /// Answers 503 with `Retry-After` of this many seconds.
    Rest(u32),
    /// Sends a head and the beginning of a body, and breaks off at the second piece.
    Break,
    /// Sends the beginning of a body, and the rest when it is told to go on.
    Stream,
    /// As `Stream`, and then breaks off.
    StreamAndBreak,
    /// A response of gRPC with this status in its trailers.
    Trailers(u32),
    /// A response of gRPC with this status in its head.
    Head(u32),
    /// A response of gRPC without a status.
    NoStatus,
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<Mode>,
    /// How often each path was executed.
    requests: Mutex<HashMap<String, u32>>,
    go_on: Notify,
}

/// One peer. Its drop kills it.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
    drain: watch::Sender<bool>,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl Peer {
    pub(crate) async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(mode),
            requests: Mutex::default(),
            go_on: Notify::new(),
        });
        let mut peer = Self {
            address: listener.local_addr().unwrap(),
            shared,
            drain: watch::Sender::new(false),
            server: None,
        };
        peer.serve(listener);
        peer
    }

    pub(crate) async fn start_all<const N: usize>(mode: Mode) -> [Self; N] {
        let mut peers = Vec::new();
        for _ in 0..N {
            peers.push(Self::start(mode).await);
        }
        peers.try_into().unwrap()
    }

    fn serve(&mut self, listener: TcpListener) {
        let (shared, drain) = (self.shared.clone(), self.drain.subscribe());
        self.server = Some(tokio::spawn(run(listener, shared, drain)));
    }

    pub(crate) fn base_url(&self) -> BaseUrl {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// Sends the rest of the bodies that wait.
    pub(crate) fn go_on(&self) {
        self.shared.go_on.notify_waiters();
    }

    /// How many requests it got.
    pub(crate) fn requests(&self) -> u32 {
        self.shared.requests.lock().unwrap().values().sum()
    }

    /// How often it got each path.
    pub(crate) fn paths(&self) -> HashMap<String, u32> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Ends it at once, as a process that is killed: connections are reset, new ones refused.
    pub(crate) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }

    /// Lets it leave as a server does that is stopped: no new connection, `GOAWAY` or `connection:
    /// close` on old ones, and what is in flight is served.
    pub(crate) async fn drain(&mut self) {
        self.drain.send_replace(true);
        if let Some(server) = self.server.take() {
            server.await.unwrap();
        }
    }

    /// Starts it anew at its address.
    pub(crate) async fn restart(&mut self, mode: Mode) {
        self.kill().await;
        self.set(mode);
        self.drain.send_replace(false);
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

async fn run(listener: TcpListener, shared: Arc<Shared>, mut drain: watch::Receiver<bool>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            socket = listener.accept() => socket,
            _ = drain.wait_for(|drain| *drain) => break,
        };
        let Ok((socket, _)) = socket else { continue };
        let (shared, mut drain) = (shared.clone(), drain.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(socket), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                _ = connection.as_mut() => true,
                _ = drain.wait_for(|drain| *drain) => false,
            };
            if !ended {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Pieces>, Infallible> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let host = request.headers().get("host").cloned();
    let authority = request.uri().authority().map(ToString::to_string);
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    *shared
        .requests
        .lock()
        .unwrap()
        .entry(path.clone())
        .or_default() += 1;
    let mode = *shared.mode.lock().unwrap();
    let grpc = || HeaderValue::from_static("application/grpc");
    Ok(match mode {
        Mode::Serve => {
            let host = host.map(|host| host.to_str().unwrap().to_owned());
            let host = host.or(authority).unwrap_or_default();
            let text = format!("{method} {path} {host} {}", String::from_utf8_lossy(&body));
            Response::new(Pieces::of([Piece::Data(text.into())]))
        }
        Mode::Hang => std::future::pending().await,
        Mode::Status(status) => {
            let mut response = Response::new(Pieces::of([Piece::Data("sorry".into())]));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        }
        Mode::Rest(seconds) => {
            let mut response = Response::new(Pieces::of([]));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        Mode::Break => Response::new(Pieces::of([Piece::Data("half".into()), Piece::Break])),
        Mode::Stream | Mode::StreamAndBreak => {
            let wait = Box::pin(async move { shared.go_on.notified().await });
            let last = match mode {
                Mode::Stream => Piece::Data(" whole".into()),
                _ => Piece::Break,
            };
            Response::new(Pieces::of([
                Piece::Data("half".into()),
                Piece::Wait(wait),
                last,
            ]))
        }
        Mode::Trailers(status) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.into());
            let message = Piece::Data(Bytes::from_static(b"\0\0\0\0\0"));
            let mut response = Response::new(Pieces::of([message, Piece::Trailers(trailers)]));
            response.headers_mut().insert("content-type", grpc());
            response
        }
        Mode::NoStatus => {
            let mut response = Response::new(Pieces::of([Piece::Data("x".into())]));
            response.headers_mut().insert("content-type", grpc());
            response
        }
        Mode::Head(status) => {
            let mut response = Response::new(Pieces::of([]));
            response.headers_mut().insert("content-type", grpc());
            response.headers_mut().insert("grpc-status", status.into());
            response
        }
    })
}

enum Piece {
    Data(Bytes),
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    Trailers(HeaderMap),
    Break,
}

/// A body in pieces, each of which is sent before the next is looked at.
struct Pieces {
    pieces: std::collections::VecDeque<Piece>,
    pauses: bool,
}

impl Pieces {
    fn of<const N: usize>(pieces: [Piece; N]) -> Self {
        Self {
            pieces: pieces.into(),
            pauses: false,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // What was sent is flushed before the next piece.
        self.pauses = !self.pauses;
        if self.pauses {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(Piece::Wait(wait)) = self.pieces.front_mut() {
            if wait.as_mut().poll(cx).is_pending() {
                self.pauses = true;
                return Poll::Pending;
            }
            self.pieces.pop_front();
        }
        Poll::Ready(match self.pieces.pop_front() {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Piece::Break) => Some(Err(io::Error::other("breaks off"))),
            Some(Piece::Wait(_)) | None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }
}
