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
use crate::lookup::found::{Found, Lost};

/// How many targets are looked up at a time.
const AT_A_TIME: usize = 16;

/// A target, as its record has it.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    name: DnsName,
    port: u16,
    weight: u16,
    tier: u32,
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
    let each: Vec<_> = stream::iter(each).buffered(AT_A_TIME).collect().await;

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
            other => ended.note(other),
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
        for record in records {
            let mut name = record.target.clone();
            name.set_fqdn(true);
            let (port, weight) = (record.port, record.weight);
            // In two tiers, a target is in the first one.
            if !targets.iter().any(|t| t.name == name && t.port == port) {
                targets.push(Target {
                    name,
                    port,
                    weight,
                    tier,
                });
            }
        }
    }
    targets
}

/// Adds the addresses of a target, which share its weight.
fn add(found: &mut Found, target: &Target, host: Arc<str>, addresses: HostAddresses) {
    let count = u32::try_from(addresses.ips.len()).unwrap_or(u32::MAX);
    let weight = u32::from(target.weight).div_ceil(count.max(1)).max(1);
    for ip in addresses.ips {
        let address = Address::new((ip, target.port).into()).with_host(host.clone());
        let address = address.with_weight(weight).with_tier(target.tier);
        found.addresses.push(address);
    }
    found.valid_for = found.valid_for.min(addresses.ttl);
    if let Some((family, error)) = addresses.lost {
        found.lost.push(Lost {
            host,
            family: Some(family),
            error: Arc::new(error),
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
            .map(|t| (t.name.to_utf8(), t.port, t.tier))
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
        assert_eq!((targets[0].tier, targets[0].weight), (0, 3));
    }

    #[test]
    fn target_that_is_a_dot_is_no_target() {
        assert_eq!(targets(&[srv(0, 0, 0, ".")]), []);
    }

    #[test]
    fn addresses_of_a_target_share_its_weight_and_none_has_less_than_one() {
        for (weight, ips, expected) in [
            (10, &["10.0.0.1", "10.0.0.2"][..], 5),
            (10, &["10.0.0.1"], 10),
            (3, &["10.0.0.1", "10.0.0.2"], 2),
            (0, &["10.0.0.1"], 1),
            (1, &["10.0.0.1", "10.0.0.2"], 1),
        ] {
            let mut found = Found {
                addresses: Vec::new(),
                valid_for: Duration::from_secs(60),
                lost: Vec::new(),
            };
            let target = &targets(&[srv(0, weight, 3306, "db1.example.")])[0];
            add(&mut found, target, "db1.example".into(), addresses(ips));
            assert_eq!(found.valid_for, Duration::from_secs(5));
            assert_eq!(found.addresses.len(), ips.len());
            assert!(
                found.addresses.iter().all(|a| a.weight == expected),
                "{weight} over {ips:?}"
            );
            assert_eq!(
                found.addresses[0].key().as_str(),
                "db1.example/10.0.0.1:3306"
            );
        }
    }
}
