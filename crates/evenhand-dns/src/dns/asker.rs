//! How one name server, or the system's, is asked: single queries, and all addresses of a host.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name as DnsName, Record, RecordType};
use hickory_resolver::{Hosts, MAX_TTL, TokioResolver};
use tokio::time::timeout;

use super::candidates::Search;
use crate::lookup::error::Error;
use crate::lookup::found::Family;

/// A resolver and its settings.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) resolver: TokioResolver,
    pub(super) search: Search,
    pub(super) families: Families,
    /// How long one query takes at most.
    pub(super) query_timeout: Duration,
}

/// The families of addresses that are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Families {
    pub(super) v4: bool,
    pub(super) v6: bool,
}

/// The addresses of one host.
pub(super) struct HostAddresses {
    pub(super) ips: Vec<IpAddr>,
    pub(super) ttl: Duration,
    pub(super) lost: Option<(Family, Error)>,
}

/// What one query found.
pub(super) enum Answer {
    Records(Vec<Record>),
    /// The name exists, without such records.
    NoData,
    NotFound,
    Failed(Error),
}

impl Asker {
    /// All addresses of a host: from the hosts file as the name is written there, or from the first domain
    /// of the search list that has any.
    ///
    /// A domain that does not answer ends the search. It may have the name, and the next domain another host
    /// of that name.
    pub(super) async fn host(
        &self,
        host: &str,
        shown: &Arc<str>,
        hosts: &Hosts,
    ) -> Result<HostAddresses, Error> {
        if let Some(found) = in_hosts(hosts, host) {
            return Ok(found);
        }
        let mut ended = Ended::new(shown);
        for candidate in self.search.candidates(host) {
            let (v4, v6) = join(
                self.family(&candidate, Family::V4),
                self.family(&candidate, Family::V6),
            )
            .await;
            let mut records = Vec::new();
            let mut lost: Option<(Family, Error)> = None;
            for (family, answer) in [(Family::V4, v4), (Family::V6, v6)] {
                match answer {
                    Answer::Records(found) => records.extend(found),
                    Answer::Failed(error) => {
                        lost.get_or_insert((family, error));
                    }
                    Answer::NoData => ended.exists = true,
                    Answer::NotFound => {}
                }
            }
            let ips: Vec<_> = records.iter().filter_map(|r| r.data.ip_addr()).collect();
            match lost {
                lost if !ips.is_empty() => {
                    let ttl = smallest_ttl(&records);
                    return Ok(HostAddresses { ips, ttl, lost });
                }
                Some((_, error)) => return Err(error),
                None => {}
            }
        }
        Err(ended.error())
    }

    async fn family(&self, name: &DnsName, family: Family) -> Answer {
        match family {
            Family::V4 if self.families.v4 => self.query(name, RecordType::A).await,
            Family::V6 if self.families.v6 => self.query(name, RecordType::AAAA).await,
            // Not asked for: the other one says whether the name exists.
            _ => Answer::NotFound,
        }
    }

    /// One query. The name is complete.
    pub(super) async fn query(&self, name: &DnsName, of: RecordType) -> Answer {
        let asked = || format!("{} ({of})", name.to_utf8()).into();
        let answered = timeout(self.query_timeout, self.resolver.lookup(name.clone(), of)).await;
        let records = match answered {
            Err(_) => {
                return Answer::Failed(Error::TimedOut {
                    name: asked(),
                    limit: self.query_timeout,
                });
            }
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                return match none.response_code {
                    ResponseCode::NXDomain => Answer::NotFound,
                    _ => Answer::NoData,
                };
            }
            Ok(Err(error)) => {
                return Answer::Failed(Error::Failed {
                    name: asked(),
                    source: Box::new(error),
                });
            }
            Ok(Ok(lookup)) => lookup.answers().to_vec(),
        };
        if records.iter().any(|record| record.record_type() == of) {
            Answer::Records(records)
        } else {
            Answer::NoData
        }
    }
}

/// What to say where no candidate has an answer: that there are no addresses rather than that the name does not
/// exist.
pub(super) struct Ended {
    name: Arc<str>,
    /// Whether a candidate exists.
    pub(super) exists: bool,
}

impl Ended {
    pub(super) fn new(name: &Arc<str>) -> Self {
        Self {
            name: name.clone(),
            exists: false,
        }
    }

    pub(super) fn error(self) -> Error {
        let name = self.name;
        if self.exists {
            Error::Empty { name }
        } else {
            Error::NotFound { name }
        }
    }
}

/// As the hosts file has it, which has no TTL.
fn in_hosts(hosts: &Hosts, host: &str) -> Option<HostAddresses> {
    let name = DnsName::from_utf8(host).ok()?;
    let types = [RecordType::A, RecordType::AAAA];
    let listed = types
        .iter()
        .filter_map(|of| hosts.lookup_static_host(&Query::query(name.clone(), *of)));
    let records: Vec<_> = listed.flat_map(|found| found.answers().to_vec()).collect();
    let ips: Vec<_> = records.iter().filter_map(|r| r.data.ip_addr()).collect();
    (!ips.is_empty()).then(|| HostAddresses {
        ips,
        ttl: longest_ttl(),
        lost: None,
    })
}

fn longest_ttl() -> Duration {
    Duration::from_secs(MAX_TTL.into())
}

/// Of the records and the aliases that led to them.
pub(super) fn smallest_ttl(records: &[Record]) -> Duration {
    let ttls = records.iter().map(|record| record.ttl);
    Duration::from_secs(ttls.min().unwrap_or(0).into())
}

/// A name as addresses show it, and as certificates have it: in ASCII and lower case, without a dot at the
/// end.
pub(super) fn shown(name: &str) -> Arc<str> {
    let ascii = DnsName::from_utf8(name).map(|name| name.to_lowercase().to_ascii());
    let ascii = ascii.unwrap_or_else(|_| name.to_lowercase());
    ascii.strip_suffix('.').unwrap_or(&ascii).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_has_both_families_of_a_name() {
        let mut hosts = Hosts::default();
        let file = "10.0.0.1 db.example db\nfd00::1 DB.example # a comment\n10.0.0.9 other\n";
        hosts.read_hosts_conf(file.as_bytes()).unwrap();
        let found = in_hosts(&hosts, "db.example").unwrap();
        let expected: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(found.ips, expected);
        assert_eq!(in_hosts(&hosts, "db.").unwrap().ips, expected[..1]);
        assert!(in_hosts(&hosts, "db.example.com").is_none());
    }

    #[test]
    fn name_is_shown_as_certificates_have_it() {
        for (name, expected) in [
            ("DB.Example.", "db.example"),
            ("_mysql._tcp.db.example", "_mysql._tcp.db.example"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(&*shown(name), expected);
        }
    }

    #[test]
    fn name_that_exists_somewhere_has_no_addresses() {
        let name: Arc<str> = "db".into();
        let mut ended = Ended::new(&name);
        ended.exists = true;
        assert!(matches!(ended.error(), Error::Empty { .. }));
        assert!(matches!(Ended::new(&name).error(), Error::NotFound { .. }));
    }
}
