//! The list of peers of a balanced database.

use evenhand_config::Config;

use crate::{problem, problems};

/// Two peers, a balanced database, and another one with its list in line 8, column 9.
fn listing(peers: &str) -> String {
    format!(
        "[databases.db0]\nhost = 'a'\n[databases.db1]\nhost = 'b'\n\
         [databases.other]\npeers = ['db0']\n[databases.default]\npeers = {peers}"
    )
}

#[test]
fn peers_have_the_order_of_the_list() {
    let config = Config::parse(&listing("['db1', 'db0']"), "f").unwrap();
    let peers = &config.balanced("default").unwrap().peers;
    let aliases: Vec<&str> = peers.iter().map(|peer| peer.alias.as_str()).collect();
    assert_eq!(aliases, ["db1", "db0"]);
}

#[test]
fn unknown_alias_is_reported_with_a_suggestion() {
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
fn aliases_are_case_sensitive() {
    assert_eq!(
        problem(&listing("['DB1']")),
        "f:8:10: databases.default.peers[0]: no database `DB1`; \
         known: db0, db1 (did you mean `db1`?)"
    );
}

#[test]
fn empty_list_is_refused() {
    assert_eq!(
        problem(&listing("[]")),
        "f:8:9: databases.default.peers: no peer: list at least one; known: db0, db1"
    );
}

#[test]
fn duplicate_peer_is_refused() {
    assert_eq!(
        problem(&listing("['db0', 'db1', 'db0']")),
        "f:8:24: databases.default.peers[2]: `db0` is already in the list: remove it"
    );
}

#[test]
fn balanced_database_cannot_list_itself() {
    assert_eq!(
        problem(&listing("['db0', 'default']")),
        "f:8:17: databases.default.peers[1]: a balanced database cannot list itself; \
         known: db0, db1"
    );
}

#[test]
fn balanced_database_cannot_list_another() {
    assert_eq!(
        problem(&listing("['other']")),
        "f:8:10: databases.default.peers[0]: `other` is balanced itself: \
         list its peers instead; known: db0, db1"
    );
}

#[test]
fn address_in_the_list_is_refused_and_not_shown() {
    assert_eq!(
        problem(&listing("['mysql://app:secret@h']")),
        "f:8:10: databases.default.peers[0]: an address, not an alias: \
         give it its own database and list that; known: db0, db1"
    );
}

#[test]
fn list_of_the_wrong_type_is_refused() {
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
