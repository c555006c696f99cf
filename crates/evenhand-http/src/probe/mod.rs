//! Services that ask a peer whether it is well, for [`evenhand::Probe`].

mod get;
#[cfg(feature = "grpc-health")]
mod grpc;

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use evenhand::Verdict;
use http::Request;
use http_body::Body;
use tower_service::Service;

use crate::classify::judge_probe;

pub use self::get::HttpProbe;
#[cfg(feature = "grpc-health")]
pub use self::grpc::GrpcProbe;

/// What a probe may answer with, at most; of a longer answer the connection is given up.
const MAX_ANSWER: usize = 64 * 1024;

/// What is read of an answer: its bytes, and its trailers.
struct Answer {
    data: Vec<u8>,
    trailers: Option<http::HeaderMap>,
}

/// Sends the probe's request, once the client is ready. A failure has the reason that a request's would
/// have. One of this host says nothing of the peer.
async fn ask<S, A>(client: &mut S, request: Request<A>) -> Result<S::Response, Verdict>
where
    S: Service<Request<A>, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let failed = |error: S::Error| judge_probe(&*error.into());
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(failed)?;
    client.call(request).await.map_err(failed)
}

/// Reads an answer to its end, so that its connection can be used again.
async fn read<B: Body<Data = Bytes>>(body: B) -> Result<Answer, Verdict> {
    let mut body = pin!(body);
    let mut answer = Answer {
        data: Vec::new(),
        trailers: None,
    };
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else {
            return Err(Verdict::down().because("the probe's answer broke off"));
        };
        match frame.into_data() {
            Ok(data) => answer.data.extend_from_slice(&data),
            Err(frame) => answer.trailers = frame.into_trailers().ok(),
        }
        if answer.data.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(answer)
}
