//! Answers queries from a zone.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::{Name, Record};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::sync::watch;

use super::zone::{Reply, Zone};
use crate::lock::lock;

pub(super) struct Answers {
    pub(super) zone: Arc<Mutex<Zone>>,
    /// Counts all queries.
    pub(super) tell: watch::Sender<u64>,
}

#[async_trait]
impl RequestHandler for Answers {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let reply = match request.request_info() {
            Ok(info) => {
                let name = Name::from(info.query.name().clone());
                lock(&self.zone).reply(&name, info.query.query_type())
            }
            Err(_) => Reply::Code(ResponseCode::FormErr),
        };
        self.tell.send_modify(|count| *count += 1);
        let mut records = Vec::<Record>::new();
        match reply {
            Reply::Records(found) => records = found,
            Reply::Code(code) => metadata.response_code = code,
            Reply::Nothing => return nothing(metadata),
        }
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().max(512));
            edns
        });
        let message = MessageResponseBuilder::new(&request.queries, edns.as_ref());
        let message = message.build(metadata, &records, [], [], []);
        // A client that is gone needs no answer.
        match response.send_response(message).await {
            Ok(info) => info,
            Err(_) => nothing(metadata),
        }
    }
}

fn nothing(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata,
        counts: HeaderCounts::default(),
    })
}
