//! The search list: the complete names that a name may stand for (`resolv.conf(5)`).

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::proto::rr::Name as DnsName;

/// What `resolv.conf` says of incomplete names.
#[derive(Clone, Debug)]
pub(super) struct Search {
    domains: Vec<DnsName>,
    ndots: usize,
}

impl Search {
    pub(super) fn new(config: &ResolverConfig, ndots: usize) -> Self {
        // hickory takes the domain from the machine's own name if `resolv.conf` has no `domain`. As in
        // `resolv.conf(5)` that one counts only where there is no search list.
        let domains = match config.search() {
            [] => config.domain().cloned().into_iter().collect(),
            search => search.to_vec(),
        };
        Self { domains, ndots }
    }

    /// The names to try, one after the other. None, if the text is no name.
    pub(super) fn candidates(&self, text: &str) -> Vec<DnsName> {
        let Ok(name) = DnsName::from_utf8(text) else {
            return Vec::new();
        };
        if name.is_fqdn() {
            return vec![name];
        }
        let mut complete = name.clone();
        complete.set_fqdn(true);
        let in_domains = self.domains.iter();
        let in_domains = in_domains.filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut candidates: Vec<_> = in_domains.collect();
        for candidate in &mut candidates {
            candidate.set_fqdn(true);
        }
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        if dots >= self.ndots || name.is_localhost() {
            candidates.insert(0, complete);
        } else {
            candidates.push(complete);
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> DnsName {
        DnsName::from_utf8(text).unwrap()
    }

    fn candidates_with(config: &ResolverConfig, text: &str, ndots: usize) -> Vec<String> {
        let names = Search::new(config, ndots).candidates(text);
        assert!(names.iter().all(DnsName::is_fqdn));
        names.iter().map(DnsName::to_utf8).collect()
    }

    fn candidates(text: &str, ndots: usize) -> Vec<String> {
        let search = vec![domain("db.svc.cluster.local."), domain("example.")];
        let config = ResolverConfig::from_parts(None, search, Vec::new());
        candidates_with(&config, text, ndots)
    }

    #[test]
    fn names_with_few_dots_are_searched_first() {
        assert_eq!(
            candidates("galera", 1),
            ["galera.db.svc.cluster.local.", "galera.example.", "galera."]
        );
        assert_eq!(candidates("a.b", 5)[0], "a.b.db.svc.cluster.local.");
    }

    #[test]
    fn domain_of_the_machine_is_searched_only_without_a_search_list() {
        let of_the_machine = || Some(domain("staging.example."));
        let config = ResolverConfig::from_parts(of_the_machine(), Vec::new(), Vec::new());
        assert_eq!(
            candidates_with(&config, "db", 1),
            ["db.staging.example.", "db."]
        );
        let search = vec![domain("prod.example.")];
        let config = ResolverConfig::from_parts(of_the_machine(), search, Vec::new());
        assert_eq!(
            candidates_with(&config, "db", 1),
            ["db.prod.example.", "db."]
        );
    }

    #[test]
    fn names_with_enough_dots_are_taken_as_they_are_first() {
        assert_eq!(candidates("a.b", 1)[0], "a.b.");
        assert_eq!(candidates("a.b", 1).len(), 3);
        assert_eq!(candidates("localhost", 5)[0], "localhost.");
    }

    #[test]
    fn complete_name_is_not_searched() {
        assert_eq!(candidates("galera.", 5), ["galera."]);
    }
}
