//! What a source holds: the rules by which a lookup changes the list.
//!
//! An address leaves only if a lookup says so: if an answer is there and does not have it. What a lookup
//! could not find out changes nothing, until the address has not been seen for as long as is set.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::lookup::address::Address;
use crate::lookup::found::{Found, Lost};

/// The list of one source.
#[derive(Debug)]
pub(crate) struct Held {
    /// By address, so that the order of an answer does not matter.
    entries: BTreeMap<SocketAddr, Entry>,
    /// How long an address stays that no lookup has shown.
    keep: Option<Duration>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    address: Address,
    /// Since when lookups do not show it.
    missing: Option<Instant>,
}

impl Held {
    pub(crate) fn new(keep: Option<Duration>, most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            keep,
            most,
        }
    }

    /// Takes a list over, and returns how many addresses are left out as there are too many.
    pub(crate) fn take(&mut self, found: &Found, now: Instant) -> usize {
        let mut next = BTreeMap::<SocketAddr, Entry>::new();
        for address in &found.addresses {
            let entry = Entry {
                address: address.clone(),
                missing: None,
            };
            // Listed twice, it is there once, as the one that is preferred.
            let there = next.entry(address.addr).or_insert_with(|| entry.clone());
            if rank(address) < rank(&there.address) {
                *there = entry;
            }
        }
        self.fail(now);
        for lost in &found.lost {
            self.keep(lost, &mut next);
        }
        let left_out = next.len().saturating_sub(self.most);
        if left_out > 0 {
            next = self.cut(next);
        }
        self.entries = next;
        left_out
    }

    /// Keeps the addresses that may be in a part that could not be looked up. What is known of that part counts: the
    /// port, weight and tier that an SRV record has now.
    fn keep(&self, lost: &Lost, next: &mut BTreeMap<SocketAddr, Entry>) {
        let entries = self.entries.values();
        for entry in entries.filter(|entry| lost.covers(&entry.address)) {
            let address = lost.kept(&entry.address);
            next.entry(address.addr).or_insert_with(|| Entry {
                address,
                missing: entry.missing,
            });
        }
        let Some(record) = &lost.record else {
            return;
        };
        // Those of the other family, which was found, share the weight with them.
        let of_target =
            |address: &Address| address.host == lost.host && address.addr.port() == record.port;
        let count = next.values().filter(|e| of_target(&e.address)).count();
        for entry in next.values_mut().filter(|e| of_target(&e.address)) {
            entry.address.weight = record.share(count);
        }
    }

    /// Nothing could be found out: all stay, but for what has been missing for too long.
    pub(crate) fn fail(&mut self, now: Instant) {
        let keep = self.keep;
        self.entries.retain(|_, entry| {
            let missing = *entry.missing.get_or_insert(now);
            keep.is_none_or(|keep| now.saturating_duration_since(missing) < keep)
        });
    }

    /// When the first address is to be dropped if no lookup shows it.
    pub(crate) fn next_to_drop(&self) -> Option<Instant> {
        let missing = self.entries.values().filter_map(|entry| entry.missing);
        missing.min()?.checked_add(self.keep?)
    }

    pub(crate) fn addresses(&self) -> Vec<Address> {
        let addresses = self.entries.values().map(|entry| &entry.address);
        addresses.cloned().collect()
    }

    /// The first tiers first, in them those that are held already, and then some at random. So the same list always
    /// leaves the same addresses, and other clients have others.
    fn cut(&self, all: BTreeMap<SocketAddr, Entry>) -> BTreeMap<SocketAddr, Entry> {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_cached_key(|(addr, entry)| {
            let is_new = !self.entries.contains_key(addr);
            (entry.address.tier, is_new, rand::random::<u64>())
        });
        all.truncate(self.most);
        all.into_iter().collect()
    }
}

/// Which of two listings of one address counts: that of the lower tier, and then of the first name, so that the
/// order of an answer does not matter.
fn rank(address: &Address) -> (u32, &str, std::cmp::Reverse<u32>) {
    let weight = std::cmp::Reverse(address.weight);
    (address.tier, &address.host, weight)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::lookup::error::Error;
    use crate::lookup::found::{Family, Listing};

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> Address {
        Address::new(text.parse().unwrap()).with_host("db")
    }

    fn found(addresses: &[&str]) -> Found {
        Found {
            addresses: addresses.iter().map(|text| address(text)).collect(),
            valid_for: SECOND,
            lost: Vec::new(),
        }
    }

    fn losing(mut found: Found, host: &str, family: Option<Family>) -> Found {
        let name: Arc<str> = host.into();
        found.lost.push(Lost {
            host: name.clone(),
            family,
            error: Arc::new(Error::NotFound { name }),
            record: None,
        });
        found
    }

    /// As [`losing`], where an SRV record lists the target `db` so.
    fn losing_target(found: Found, family: Option<Family>, record: Listing) -> Found {
        let mut found = losing(found, "db", family);
        for lost in &mut found.lost {
            lost.record = Some(record);
        }
        found
    }

    fn texts(held: &Held) -> Vec<String> {
        let addresses = held.addresses().into_iter();
        addresses.map(|address| address.addr.to_string()).collect()
    }

    #[test]
    fn answer_replaces_the_list_whatever_its_order() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        held.take(&found(&["10.0.0.1:1", "10.0.0.2:1"]), now);
        let first = held.addresses();
        held.take(&found(&["10.0.0.2:1", "10.0.0.1:1"]), now);
        assert_eq!(held.addresses(), first);
        held.take(&found(&["10.0.0.3:1", "10.0.0.2:1"]), now);
        assert_eq!(texts(&held), ["10.0.0.2:1", "10.0.0.3:1"]);
    }

    #[test]
    fn address_that_is_listed_twice_is_there_once_in_its_first_tier() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        let backup = address("10.0.0.1:1").with_tier(1).with_weight(7);
        let mut list = found(&["10.0.0.1:1"]);
        list.addresses.insert(0, backup);
        held.take(&list, now);
        assert_eq!(held.addresses(), [address("10.0.0.1:1")]);
    }

    #[test]
    fn family_that_could_not_be_looked_up_keeps_its_addresses() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        held.take(&found(&["10.0.0.1:1", "[fd00::1]:1"]), now);
        let part = losing(found(&["10.0.0.2:1"]), "db", Some(Family::V6));
        held.take(&part, now);
        assert_eq!(texts(&held), ["10.0.0.2:1", "[fd00::1]:1"]);
        held.take(&found(&["10.0.0.2:1"]), now);
        assert_eq!(texts(&held), ["10.0.0.2:1"]);
    }

    #[test]
    fn target_that_could_not_be_looked_up_keeps_its_addresses_only() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        let mut list = found(&["10.0.0.1:1", "10.0.0.2:1"]);
        list.addresses
            .push(Address::new("10.0.0.9:1".parse().unwrap()).with_host("db9"));
        held.take(&list, now);
        held.take(&losing(found(&["10.0.0.1:1"]), "db9", None), now);
        assert_eq!(texts(&held), ["10.0.0.1:1", "10.0.0.9:1"]);
    }

    fn places(held: &Held) -> Vec<(String, u32, u32)> {
        let addresses = held.addresses().into_iter();
        addresses
            .map(|a| (a.addr.to_string(), a.weight, a.tier))
            .collect()
    }

    #[test]
    fn target_that_could_not_be_looked_up_has_the_place_that_its_record_has_now() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        held.take(&found(&["10.0.0.1:1", "[fd00::1]:1"]), now);
        let record = Listing {
            port: 2,
            weight: 3,
            tier: 1,
        };
        held.take(&losing_target(found(&[]), None, record), now);
        let both = |weight| {
            let texts = ["10.0.0.1:2", "[fd00::1]:2"];
            texts.map(|text| (text.to_owned(), weight, 1))
        };
        assert_eq!(places(&held), both(150));
        // One family is found, with the whole weight for itself.
        let mut list = found(&["10.0.0.1:2"]);
        list.addresses[0].weight = 500;
        list.addresses[0].tier = 1;
        let record = Listing {
            weight: 5,
            ..record
        };
        held.take(&losing_target(list, Some(Family::V6), record), now);
        assert_eq!(places(&held), both(250));
    }

    #[test]
    fn target_that_could_not_be_looked_up_is_kept_at_each_port_of_its_records() {
        let (mut held, start) = (Held::new(Some(60 * SECOND), 100), Instant::now());
        held.take(&found(&["10.0.0.1:1", "10.0.0.1:2"]), start);
        let record = |port| Listing {
            port,
            weight: 1,
            tier: 0,
        };
        let mut list = losing(losing(found(&[]), "db", None), "db", None);
        list.lost[0].record = Some(record(2));
        list.lost[1].record = Some(record(3));
        held.take(&list, start);
        assert_eq!(texts(&held), ["10.0.0.1:2", "10.0.0.1:3"]);
        // Under another port it has not been seen for as long.
        assert_eq!(held.next_to_drop(), Some(start + 60 * SECOND));
    }

    #[test]
    fn address_that_no_lookup_shows_is_dropped_after_the_time_that_is_set() {
        let (mut held, start) = (Held::new(Some(60 * SECOND), 100), Instant::now());
        held.take(&found(&["10.0.0.1:1", "[fd00::1]:1"]), start);
        assert_eq!(held.next_to_drop(), None);
        // The time begins with the first lookup that does not show it, however long a TTL was.
        let start = start + 300 * SECOND;
        let part = losing(found(&["10.0.0.1:1"]), "db", Some(Family::V6));
        held.take(&part, start);
        assert_eq!(held.next_to_drop(), Some(start + 60 * SECOND));
        held.take(&part, start + 59 * SECOND);
        assert_eq!(texts(&held), ["10.0.0.1:1", "[fd00::1]:1"]);
        held.take(&part, start + 60 * SECOND);
        assert_eq!(texts(&held), ["10.0.0.1:1"]);
        held.fail(start + 70 * SECOND);
        held.fail(start + 129 * SECOND);
        assert_eq!(texts(&held), ["10.0.0.1:1"]);
        held.fail(start + 130 * SECOND);
        assert!(held.addresses().is_empty());
    }

    #[test]
    fn address_that_is_shown_again_is_kept_for_the_whole_time_anew() {
        let (mut held, start) = (Held::new(Some(60 * SECOND), 100), Instant::now());
        held.take(&found(&["10.0.0.1:1"]), start);
        held.fail(start + 50 * SECOND);
        held.take(&found(&["10.0.0.1:1"]), start + 100 * SECOND);
        held.fail(start + 120 * SECOND);
        held.fail(start + 179 * SECOND);
        assert_eq!(texts(&held), ["10.0.0.1:1"]);
    }

    #[test]
    fn list_is_kept_for_ever_unless_a_time_is_set() {
        let (mut held, start) = (Held::new(None, 100), Instant::now());
        held.take(&found(&["10.0.0.1:1"]), start);
        held.fail(start);
        held.fail(start + 1_000_000 * SECOND);
        assert_eq!(texts(&held), ["10.0.0.1:1"]);
        assert_eq!(held.next_to_drop(), None);
    }

    fn many(range: std::ops::Range<u8>) -> Vec<String> {
        range.map(|n| format!("10.0.0.{n}:1")).collect()
    }

    fn list(texts: &[String]) -> Found {
        found(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn too_many_addresses_are_cut_to_the_same_ones_in_any_order() {
        let (mut held, now) = (Held::new(None, 100), Instant::now());
        let mut all = many(0..200);
        assert_eq!(held.take(&list(&all), now), 100);
        let first = held.addresses();
        assert_eq!(first.len(), 100);
        for _ in 0..10 {
            all.rotate_left(37);
            held.take(&list(&all), now);
            assert_eq!(held.addresses(), first);
        }
    }

    #[test]
    fn addresses_that_join_over_the_bound_push_none_out() {
        let (mut held, now) = (Held::new(None, 50), Instant::now());
        held.take(&list(&many(0..60)), now);
        let first: BTreeSet<_> = texts(&held).into_iter().collect();
        held.take(&list(&many(0..200)), now);
        assert_eq!(texts(&held).into_iter().collect::<BTreeSet<_>>(), first);
        // One that leaves is replaced by one other.
        let gone = first.iter().next().unwrap();
        let mut rest = many(0..200);
        rest.retain(|text| text != gone);
        held.take(&list(&rest), now);
        let now_there: BTreeSet<_> = texts(&held).into_iter().collect();
        assert_eq!(now_there.len(), 50);
        assert_eq!(first.difference(&now_there).collect::<Vec<_>>(), [gone]);
    }

    #[test]
    fn first_tier_is_cut_last() {
        let (mut held, now) = (Held::new(None, 10), Instant::now());
        let mut all = list(&many(0..60));
        for (at, address) in all.addresses.iter_mut().enumerate() {
            address.tier = u32::from(at >= 8);
        }
        held.take(&all, now);
        let first = held.addresses().iter().filter(|a| a.tier == 0).count();
        assert_eq!((first, held.addresses().len()), (8, 10));
    }

    #[test]
    fn clients_leave_out_different_addresses() {
        let now = Instant::now();
        let (mut one, mut other) = (Held::new(None, 50), Held::new(None, 50));
        one.take(&list(&many(0..200)), now);
        other.take(&list(&many(0..200)), now);
        // The chance that they are equal is less than 1 in 10^47.
        assert_ne!(texts(&one), texts(&other));
    }
}
