//! A probe by gRPC's health checking protocol.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use evenhand::{Peer, Verdict};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use prost::Message;
use tower_service::Service;

use super::{ask, read};
use crate::base_url::BaseUrl;
use crate::classify::status_of;

/// `HealthCheckResponse.ServingStatus.SERVING`
const SERVING: i32 = 1;
/// gRPC's `UNIMPLEMENTED`
const UNIMPLEMENTED: u32 = 12;
/// A byte that says whether the message is compressed, and its length.
const PREFIX: usize = 5;

/// Probes a peer by `grpc.health.v1.Health/Check`: a service for
/// [`Probe::new`](evenhand::Probe::new). Needs a client of HTTP/2 whose request bodies can be made from
/// bytes.
///
/// The peer is well if it answers `SERVING`. A server without the health service answers
/// `UNIMPLEMENTED`: it works, but it cannot tell, so the probe fails with that reason.
///
/// The request names no encoding that it accepts, so the answer is not to be compressed. If it is, the probe
/// fails and says so.
///
/// `A` is the type of the client's request bodies.
#[must_use]
pub struct GrpcProbe<S, A> {
    client: S,
    message: Bytes,
    body: PhantomData<fn() -> A>,
}

impl<S, A> GrpcProbe<S, A> {
    /// Asks by `client` whether `service` is served, such as `shop.Shop`. An empty name means the server
    /// as a whole.
    pub fn new(client: S, service: &str) -> Self {
        // On the wire a request with one string, field 1, is what a `StringValue` is.
        let service = service.to_owned();
        let length = service.encoded_len();
        let mut message = BytesMut::with_capacity(PREFIX + length);
        message.put_u8(0);
        // A name of 4 GiB would not be sent in full.
        message.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.put_slice(&service.encode_to_vec());
        Self {
            client,
            message: message.freeze(),
            body: PhantomData,
        }
    }
}

impl<S, A, B> Service<Peer<BaseUrl>> for GrpcProbe<S, A>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    A: From<Bytes> + Send + 'static,
    B: Body<Data = Bytes> + Send,
{
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer<BaseUrl>) -> Self::Future {
        let mut client = self.client.clone();
        let mut request = Request::new(A::from(self.message.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/grpc.health.v1.Health/Check");
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        peer.direct(&mut request, false);
        Box::pin(async move {
            let response = match ask(&mut client, request).await {
                Ok(response) => response,
                Err(failed) => return Ok(failed),
            };
            let (head, body) = response.into_parts();
            let answer = match read(body).await {
                Ok(answer) => answer,
                Err(failed) => return Ok(failed),
            };
            let trailers = answer.trailers.as_ref().unwrap_or(&head.headers);
            Ok(judge(status_of(trailers), &answer.data))
        })
    }
}

impl<S: Clone, A> Clone for GrpcProbe<S, A> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            message: self.message.clone(),
            body: PhantomData,
        }
    }
}

impl<S, A> fmt::Debug for GrpcProbe<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcProbe").finish_non_exhaustive()
    }
}

fn judge(status: Option<u32>, data: &[u8]) -> Verdict {
    match status {
        Some(0) => {}
        Some(UNIMPLEMENTED) => return Verdict::down().because("the peer has no health service"),
        _ => return Verdict::down().because("the health check failed"),
    }
    if data.first().is_some_and(|flag| *flag != 0) {
        // Against the protocol: the request names no encoding that it accepts.
        return Verdict::down().because("the health check's answer is compressed");
    }
    // On the wire a response with one number, field 1, is what an `Int32Value` is.
    let message = data.get(PREFIX..).unwrap_or_default();
    match i32::decode(message) {
        Ok(SERVING) => Verdict::healthy(),
        Ok(_) => Verdict::down().because("the peer does not serve"),
        Err(_) => Verdict::down().because("the health check's answer is not valid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_that_of_the_protocol() {
        let message = |service| GrpcProbe::<_, Bytes>::new((), service).message;
        assert_eq!(&*message(""), b"\0\0\0\0\0");
        assert_eq!(&*message("shop"), b"\0\0\0\0\x06\x0a\x04shop");
    }

    #[test]
    fn only_serving_is_healthy() {
        let is_healthy = |status, data: &[u8]| judge(status, data) == Verdict::healthy();
        assert!(is_healthy(Some(0), b"\0\0\0\0\x02\x08\x01"));
        assert!(!is_healthy(Some(0), b"\0\0\0\0\x02\x08\x02"));
        assert!(
            !is_healthy(Some(0), b"\0\0\0\0\0"),
            "UNKNOWN is 0, which is not sent"
        );
        assert!(!is_healthy(Some(0), b""));
        assert!(!is_healthy(Some(0), b"\0\0\0\0\x01\x08"));
        assert!(!is_healthy(None, b"\0\0\0\0\x02\x08\x01"));
        assert!(!is_healthy(Some(12), b""));
        assert!(!is_healthy(Some(5), b""));
    }

    /// Even if its bytes could be read as a message.
    #[test]
    fn compressed_answer_is_told_as_such() {
        let compressed = judge(Some(0), b"\x01\0\0\0\x02\x08\x01");
        let expected = Verdict::down().because("the health check's answer is compressed");
        assert_eq!(compressed, expected);
    }
}
