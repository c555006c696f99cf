//! SRV records (RFC 2782): targets with ports, weights and priorities, and the addresses of each target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hickory_resolver::Hosts;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name as DnsName, RData, RecordType};

use super::asker::{Answer, Asker, Ended, HostAddresses, shown, smallest_ttl};
use crate::lookup::address::Address;
use crate::lookup::error::Error;
use crate::lookup::found::{Found, Listing, Lost};

/// How many targets are looked up at a time.
const AT_A_TIME: usize = 16;

/// A target, as its record has it.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    name: DnsName,
    record: Listing,
}

pub(super) async fn look_up(asker: &Asker, service: &str, hosts: &Hosts) -> Result<Found, Error> {
    let shown_service = shown(service);
    let (records, ttl) = records(asker, service, &shown_service).await?;
    let targets = targets(&records);
    if targets.is_empty() {
        return Err(Error::Empty {
            name: shown_service,
        });
    }
    let each = targets.into_iter().map(|target| async move {
        let shown = shown(&target.name.to_utf8());
        let found = asker.host(&target.name.to_utf8(), &shown, hosts).await;
        (target, shown, found)
    });
    // In the order in which they end, so that those that a name server is silent about hold up no others.
    let each = stream::iter(each).buffer_unordered(AT_A_TIME);
    let each: Vec<_> = each.collect().await;

    let mut found = Found {
        addresses: Vec::new(),
        valid_for: ttl,
        lost: Vec::new(),
    };
    for (target, host, result) in each {
        match result {
            Ok(addresses) => add(&mut found, &target, host, addresses),
            Err(error) => found.lost.push(Lost {
                host,
                family: None,
                error: Arc::new(error),
                record: Some(target.record),
            }),
        }
    }
    if found.addresses.is_empty()
        && let Some(lost) = found.lost.pop()
    {
        return Err(Error::Failed {
            name: shown_service,
            source: Box::new(lost.error),
        });
    }
    Ok(found)
}

async fn records(
    asker: &Asker,
    service: &str,
    shown_service: &Arc<str>,
) -> Result<(Vec<SRV>, Duration), Error> {
    let mut ended = Ended::new(shown_service);
    for candidate in asker.search.candidates(service) {
        match asker.query(&candidate, RecordType::SRV).await {
            Answer::Records(records) => {
                let ttl = smallest_ttl(&records);
                let srv = records.into_iter().filter_map(|record| match record.data {
                    RData::SRV(srv) => Some(srv),
                    _ => None,
                });
                return Ok((srv.collect(), ttl));
            }
            // As for a host: the next domain may have another service of that name.
            Answer::Failed(error) => return Err(error),
            Answer::NoData => ended.exists = true,
            Answer::NotFound => {}
        }
    }
    Err(ended.error())
}

/// The targets with their tiers: the rank of their priority among those that are there.
fn targets(records: &[SRV]) -> Vec<Target> {
    let mut by_priority = BTreeMap::<u16, Vec<&SRV>>::new();
    for record in records {
        // `.` says that the service is decidedly not available.
        if !record.target.is_root() {
            by_priority.entry(record.priority).or_default().push(record);
        }
    }
    let mut targets = Vec::<Target>::new();
    for (tier, records) in (0..).zip(by_priority.into_values()) {
        // Then there is nothing to select by (RFC 2782), and all are equal.
        let is_unweighted = records.iter().all(|record| record.weight == 0);
        for record in records {
            let mut name = record.target.clone();
            name.set_fqdn(true);
            let port = record.port;
            let weight = if is_unweighted { 1 } else { record.weight };
            // In two tiers, a target is in the first one.
            if !targets
                .iter()
                .any(|t| t.name == name && t.record.port == port)
            {
                let record = Listing { port, weight, tier };
                targets.push(Target { name, record });
            }
        }
    }
    targets
}

/// Adds the addresses of a target, which share its weight.
fn add(found: &mut Found, target: &Target, host: Arc<str>, addresses: HostAddresses) {
    let record = target.record;
    let weight = record.share(addresses.ips.len());
    for ip in addresses.ips {
        let address = Address::new((ip, record.port).into()).with_host(host.clone());
        let address = address.with_weight(weight).with_tier(record.tier);
        found.addresses.push(address);
    }
    found.valid_for = found.valid_for.min(addresses.ttl);
    if let Some((family, error)) = addresses.lost {
        found.lost.push(Lost {
            host,
            family: Some(family),
            error: Arc::new(error),
            record: Some(record),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SRV {
        SRV::new(priority, weight, port, DnsName::from_utf8(target).unwrap())
    }

    fn addresses(ips: &[&str]) -> HostAddresses {
        HostAddresses {
            ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            ttl: Duration::from_secs(5),
            lost: None,
        }
    }

    #[test]
    fn priorities_are_tiers_by_rank() {
        let records = [
            srv(50, 1, 1, "c."),
            srv(10, 1, 1, "a."),
            srv(20, 1, 1, "b."),
            srv(10, 1, 2, "a."),
        ];
        let tiers = targets(&records);
        let tiers: Vec<_> = tiers
            .iter()
            .map(|t| (t.name.to_utf8(), t.record.port, t.record.tier))
            .collect();
        let expected = [("a.", 1, 0), ("a.", 2, 0), ("b.", 1, 1), ("c.", 1, 2)];
        assert_eq!(
            tiers,
            expected.map(|(name, port, tier)| (name.to_owned(), port, tier))
        );
    }

    #[test]
    fn target_in_two_tiers_is_in_the_first() {
        let records = [srv(20, 7, 1, "a."), srv(10, 3, 1, "a.")];
        let targets = targets(&records);
        assert_eq!(targets.len(), 1);
        let record = targets[0].record;
        assert_eq!((record.tier, record.weight), (0, 3));
    }

    #[test]
    fn target_that_is_a_dot_is_no_target() {
        assert_eq!(targets(&[srv(0, 0, 0, ".")]), []);
    }

    fn weights(records: &[SRV]) -> Vec<u16> {
        let targets = targets(records);
        targets.iter().map(|t| t.record.weight).collect()
    }

    #[test]
    fn targets_of_a_tier_without_any_weight_are_equal() {
        assert_eq!(weights(&[srv(0, 0, 1, "a."), srv(0, 0, 1, "b.")]), [1, 1]);
        assert_eq!(weights(&[srv(0, 0, 1, "a."), srv(0, 1, 1, "b.")]), [0, 1]);
        assert_eq!(weights(&[srv(0, 9, 1, "a."), srv(1, 0, 1, "b.")]), [9, 1]);
    }

    #[test]
    fn addresses_of_a_target_have_its_port_its_tier_and_a_share_of_its_weight() {
        for (ips, expected) in [(&["10.0.0.1", "10.0.0.2"][..], 500), (&["10.0.0.1"], 1000)] {
            let mut found = Found {
                addresses: Vec::new(),
                valid_for: Duration::from_secs(60),
                lost: Vec::new(),
            };
            let target = &targets(&[srv(0, 10, 3306, "db1.example.")])[0];
            add(&mut found, target, "db1.example".into(), addresses(ips));
            assert_eq!(found.valid_for, Duration::from_secs(5));
            assert_eq!(found.addresses.len(), ips.len());
            assert!(found.addresses.iter().all(|a| a.weight == expected));
            assert_eq!(
                found.addresses[0].key().as_str(),
                "db1.example/10.0.0.1:3306"
            );
        }
    }
}
