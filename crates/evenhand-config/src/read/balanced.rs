//! The peers that a balanced database lists.

use std::collections::BTreeMap;

use super::kind::Kind;
use super::name;
use super::node::Value;
use super::report::Report;
use crate::suggest::nearest;

/// The aliases in the `peers` of the balanced database `owner`, in their order, without those that
/// have been reported. `kinds` holds every database of the file.
pub(super) fn peers<'a>(
    list: &Value<'a>,
    owner: &str,
    kinds: &BTreeMap<&str, Kind>,
    report: &mut Report<'_>,
) -> Vec<&'a str> {
    let expected = "an array of aliases, such as [\"db0\", \"db1\"]";
    let Some(items) = list.array(expected, report) else {
        return Vec::new();
    };
    if items.is_empty() {
        list.wrong(
            format!("no peer: list at least one; {}", known(kinds)),
            report,
        );
    }
    let mut aliases: Vec<&str> = Vec::new();
    for item in &items {
        let Some(alias) = item.string("a string, the alias of a peer", report) else {
            continue;
        };
        if aliases.contains(&alias) {
            let message = format!("`{}` is in the list already: remove it", name::shown(alias));
            item.wrong(message, report);
        } else if let Some(message) = problem(alias, owner, kinds) {
            item.wrong(message, report);
        }
        aliases.push(alias);
    }
    aliases
}

/// Why `alias` cannot be a peer of `owner`.
fn problem(alias: &str, owner: &str, kinds: &BTreeMap<&str, Kind>) -> Option<String> {
    match kinds.get(alias) {
        _ if alias == owner => Some(format!(
            "a balanced database cannot list itself; {}",
            known(kinds)
        )),
        Some(Kind::Balanced) => Some(format!(
            "`{}` is balanced itself: list its peers instead; {}",
            name::shown(alias),
            known(kinds)
        )),
        // What is unclear has been reported where it stands.
        Some(Kind::Peer | Kind::Unclear) => None,
        None if name::is_an_address(alias) => Some(format!(
            "an address, not an alias: give it a database of its own and list that; {}",
            known(kinds)
        )),
        None => Some(format!(
            "no database `{}`; {}{}",
            name::shown(alias),
            known(kinds),
            name::did_you_mean(nearest(alias, peers_of(kinds)))
        )),
    }
}

fn known(kinds: &BTreeMap<&str, Kind>) -> String {
    format!("known: {}", name::list(peers_of(kinds)))
}

fn peers_of<'a>(kinds: &BTreeMap<&'a str, Kind>) -> impl Iterator<Item = &'a str> {
    kinds
        .iter()
        .filter(|(_, kind)| **kind == Kind::Peer)
        .map(|(alias, _)| *alias)
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::read::tests::{problem, problems};

    /// Two peers, a balanced database, and another one whose list stands in line 8, column 9.
    fn listing(peers: &str) -> String {
        format!(
            "[databases.db0]\nhost = 'a'\n[databases.db1]\nhost = 'b'\n\
             [databases.other]\npeers = ['db0']\n[databases.default]\npeers = {peers}"
        )
    }

    #[test]
    fn peers_keep_the_order_of_the_list() {
        let config = Config::parse(&listing("['db1', 'db0']"), "f").unwrap();
        let peers = &config.balanced("default").unwrap().peers;
        let aliases: Vec<&str> = peers.iter().map(|peer| peer.alias.as_str()).collect();
        assert_eq!(aliases, ["db1", "db0"]);
    }

    #[test]
    fn an_unknown_alias_names_the_nearest_and_all_known() {
        assert_eq!(
            problem(&listing("['db0', 'dbl']")),
            "f:8:17: databases.default.peers[1]: no database `dbl`; \
             known: db0, db1 (did you mean `db0`?)"
        );
        assert_eq!(
            problem(&listing("['replica']")),
            "f:8:10: databases.default.peers[0]: no database `replica`; known: db0, db1"
        );
        assert_eq!(
            problem("[databases.d]\npeers = ['']"),
            "f:2:10: databases.d.peers[0]: no database `\"\"`; known: none"
        );
    }

    #[test]
    fn an_alias_is_exact() {
        assert_eq!(
            problem(&listing("['DB1']")),
            "f:8:10: databases.default.peers[0]: no database `DB1`; \
             known: db0, db1 (did you mean `db1`?)"
        );
    }

    #[test]
    fn an_empty_list_is_refused() {
        assert_eq!(
            problem(&listing("[]")),
            "f:8:9: databases.default.peers: no peer: list at least one; known: db0, db1"
        );
    }

    #[test]
    fn a_peer_that_is_listed_twice_is_refused() {
        assert_eq!(
            problem(&listing("['db0', 'db1', 'db0']")),
            "f:8:24: databases.default.peers[2]: `db0` is in the list already: remove it"
        );
    }

    #[test]
    fn a_balanced_database_cannot_list_itself() {
        assert_eq!(
            problem(&listing("['db0', 'default']")),
            "f:8:17: databases.default.peers[1]: a balanced database cannot list itself; \
             known: db0, db1"
        );
    }

    #[test]
    fn a_balanced_database_cannot_list_another() {
        assert_eq!(
            problem(&listing("['other']")),
            "f:8:10: databases.default.peers[0]: `other` is balanced itself: \
             list its peers instead; known: db0, db1"
        );
    }

    #[test]
    fn an_address_in_the_list_is_refused_and_not_shown() {
        assert_eq!(
            problem(&listing("['mysql://app:secret@h']")),
            "f:8:10: databases.default.peers[0]: an address, not an alias: \
             give it a database of its own and list that; known: db0, db1"
        );
    }

    #[test]
    fn a_list_of_the_wrong_type_says_which_is_expected() {
        assert_eq!(
            problem(&listing("'db0'")),
            "f:8:9: databases.default.peers: \
             expected an array of aliases, such as [\"db0\", \"db1\"], found a string"
        );
        assert_eq!(
            problems(&listing("['db0', 1, {}]")),
            [
                "f:8:17: databases.default.peers[1]: \
                 expected a string, the alias of a peer, found an integer",
                "f:8:20: databases.default.peers[2]: \
                 expected a string, the alias of a peer, found a table",
            ]
        );
    }
}
