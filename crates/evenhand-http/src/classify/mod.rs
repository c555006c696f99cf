//! What a response or an error says about its peer, and whether another peer may be asked.

mod error;
mod grpc;
mod retry_after;
mod rules;
mod status;

use std::error::Error;

use evenhand::{Classify, Verdict};
use http::Response;

pub use self::error::BrokenBody;
pub(crate) use self::error::{broke_off, judge_body, judge_probe};
pub(crate) use self::grpc::{judge as judge_grpc, status_of};
pub use self::rules::{DEFAULT_MAX_REST, HttpClassifier, TooManyRequests};

impl<B, E: Error + 'static> Classify<Response<B>, E> for HttpClassifier {
    fn classify(&self, outcome: Result<&Response<B>, &E>) -> Verdict {
        match outcome {
            Ok(response) => {
                let grpc = judge_grpc(self, response.headers());
                grpc.unwrap_or_else(|| status::judge(self, response.status(), response.headers()))
            }
            Err(error) => error::judge(error),
        }
    }
}
