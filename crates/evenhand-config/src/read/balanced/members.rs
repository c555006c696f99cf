//! The peers that a balanced database lists.

use std::collections::BTreeMap;

use super::context::Context;
use super::kind::Kind;
use super::name;
use crate::keys::Kind as ValueKind;
use crate::plan::{Keep, Peer, Pick, Settings};
use crate::problem::Finding;
use crate::suggest::nearest;
use crate::tree::{Data, Item, Table};

/// The aliases in the `peers` of the balanced database `owner`, in their order, without those that
/// have been reported. `kinds` holds every database of the file.
pub(super) fn peers<'t>(
    list: &'t Item,
    owner: &str,
    kinds: &BTreeMap<&str, Kind>,
    databases: &Table,
    cx: &mut Context<'_>,
) -> Vec<&'t str> {
    let items: Vec<(&Item, &str)> = match &list.data {
        Data::Array(items) => items
            .iter()
            .filter_map(|item| Some((item, alias(item, cx)?)))
            .collect(),
        // A variable holds them in one text.
        Data::Loose(text) => text.split(',').map(|alias| (list, alias.trim())).collect(),
        _ => {
            cx.wrong_type(list, ValueKind::Aliases.expected());
            return Vec::new();
        }
    };
    if matches!(&list.data, Data::Array(all) if all.is_empty()) {
        let message = format!("no peer: list at least one; {}", known(kinds));
        cx.report
            .wrong(list, Finding::new(message).allowed(known(kinds)));
    }
    let mut aliases: Vec<&str> = Vec::new();
    for (item, alias) in items {
        if aliases.contains(&alias) {
            let message = format!("`{}` is in the list already: remove it", name::shown(alias));
            cx.report.wrong(item, message);
        } else if let Some(finding) = problem(alias, owner, kinds, databases) {
            cx.report
                .wrong(item, finding.was(name::shown(alias)).allowed(known(kinds)));
        }
        aliases.push(alias);
    }
    aliases
}

fn alias<'t>(item: &'t Item, cx: &mut Context<'_>) -> Option<&'t str> {
    match &item.data {
        Data::Text(alias) => Some(alias),
        _ => {
            cx.wrong_type(item, "a string, the alias of a peer".to_owned());
            None
        }
    }
}

/// Rules between the settings of a balanced database and its peers. `tables` are those that its
/// settings come from, the nearest first.
pub(super) fn check(
    list: &Item,
    members: &[Peer],
    settings: &Settings,
    tables: &[&Table],
    cx: &mut Context<'_>,
) {
    let given = |key: &str| tables.iter().find_map(|table| table.get(key));
    if let (Some(Keep::Peers(least)), Some(keep)) = (settings.keep, given("keep"))
        && least > members.len()
        && !members.is_empty()
    {
        let message = format!("more peers than there are, which is {}", members.len());
        cx.report.wrong(keep, message);
    }
    let weighted = settings.pick == Some(Pick::Weighted);
    if weighted && !members.is_empty() && members.iter().all(|peer| peer.weight == Some(0)) {
        cx.report
            .wrong(list, "no peer weighs anything, so none would get work");
    }
    if !weighted
        && members
            .iter()
            .any(|peer| peer.weight.is_some_and(|weight| weight != 1))
    {
        let message = format!(
            "its peers' weights do not count, unless {} is \"weighted\"",
            cx.spell("pick")
        );
        cx.report.warn(&list.key_at, &list.path, message);
    }
    if settings.check_up_every == Some(None)
        && let Some(fall) = tables.first().and_then(|table| table.get("fall"))
    {
        let message = format!(
            "it does not count, since {} is \"none\"",
            cx.spell("check_up_every")
        );
        cx.report.warn(&fall.key_at, &fall.path, message);
    }
}

/// Why `alias` cannot be a peer of `owner`.
fn problem(
    alias: &str,
    owner: &str,
    kinds: &BTreeMap<&str, Kind>,
    databases: &Table,
) -> Option<Finding> {
    let known = || known(kinds);
    let shown = name::shown(alias);
    let message = match kinds.get(alias) {
        _ if alias == owner => format!("a balanced database cannot list itself; {}", known()),
        Some(Kind::Balanced) => {
            format!(
                "`{shown}` is balanced itself: list its peers instead; {}",
                known()
            )
        }
        Some(Kind::Foreign) => format!("`{shown}` is not MySQL: its engine says so; {}", known()),
        // What is unclear has been reported where it stands.
        Some(Kind::Peer | Kind::Unclear) => return None,
        None if name::is_an_address(alias) => format!(
            "an address, not an alias: give it a database of its own and list that; {}",
            known()
        ),
        None => {
            let host_of = |peer: &&str| {
                let host = databases.get(*peer)?.table()?.get("host")?;
                matches!(&host.data, Data::Text(host) if host == alias).then_some(())
            };
            // Somebody may think of a peer by its host.
            if let Some(guess) = nearest(alias, peers_of(kinds)) {
                let message = format!("no database `{shown}`; {}", known());
                return Some(Finding::new(message).near(Some(guess)));
            }
            let guess = peers_of(kinds).find(|peer| host_of(peer).is_some());
            let host = guess.map_or("", |_| ", which is the host of one");
            let message = format!("no database `{shown}`{host}; {}", known());
            return Some(Finding::new(message).near(guess));
        }
    };
    Some(Finding::new(message))
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
