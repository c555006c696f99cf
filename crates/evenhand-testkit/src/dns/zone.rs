//! The records of a [`DnsServer`](super::DnsServer), and what it counts.

use std::collections::HashMap;

use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::{Name, RData, Record, RecordType};

use super::fault::DnsFault;

/// All names are complete and in lower case.
#[derive(Debug, Default)]
pub(super) struct Zone {
    records: HashMap<Name, HashMap<RecordType, Vec<Record>>>,
    faults: HashMap<(Name, Option<RecordType>), DnsFault>,
    queries: HashMap<(Name, RecordType), u64>,
}

/// What to answer.
#[derive(Debug)]
pub(super) enum Reply {
    Records(Vec<Record>),
    Code(ResponseCode),
    Nothing,
}

impl Zone {
    pub(super) fn set(
        &mut self,
        name: &Name,
        of: RecordType,
        ttl: u32,
        data: impl IntoIterator<Item = RData>,
    ) {
        let record = |data| Record::from_rdata(name.clone(), ttl, data);
        let records = data.into_iter().map(record).collect();
        let types = self.records.entry(name.clone()).or_default();
        types.insert(of, records);
    }

    pub(super) fn remove(&mut self, name: &Name) {
        self.records.remove(name);
    }

    pub(super) fn fail(&mut self, name: &Name, of: Option<RecordType>, fault: Option<DnsFault>) {
        match fault {
            Some(fault) => self.faults.insert((name.clone(), of), fault),
            None => self.faults.remove(&(name.clone(), of)),
        };
    }

    pub(super) fn queries(&self, name: &Name, of: RecordType) -> u64 {
        let count = self.queries.get(&(name.clone(), of));
        count.copied().unwrap_or(0)
    }

    pub(super) fn reply(&mut self, name: &Name, of: RecordType) -> Reply {
        *self.queries.entry((name.clone(), of)).or_default() += 1;
        let fault = [Some(of), None]
            .into_iter()
            .find_map(|of| self.faults.get(&(name.clone(), of)));
        match fault {
            Some(DnsFault::ServFail) => return Reply::Code(ResponseCode::ServFail),
            Some(DnsFault::NxDomain) => return Reply::Code(ResponseCode::NXDomain),
            Some(DnsFault::Empty) => return Reply::Records(Vec::new()),
            Some(DnsFault::Silent) => return Reply::Nothing,
            None => {}
        }
        let Some(types) = self.records.get(name) else {
            return Reply::Code(ResponseCode::NXDomain);
        };
        let aliases = types.get(&RecordType::CNAME).into_iter().flatten();
        let records = types.get(&of).into_iter().flatten();
        Reply::Records(aliases.chain(records).cloned().collect())
    }
}
