//! What a database is, judged by its keys, and which keys go together.
//!
//! The file does not say "this is a peer": its keys do. So these rules look at keys only, never at
//! values, and they all stand here, since what is right for one key depends on the others.

use super::name;
use super::node::Table;
use super::report::Report;
use crate::suggest::nearest;

const PEER_KEYS: &[&str] = &["url", "host", "port", "user", "password", "name"];
const BALANCED_KEYS: &[&str] = &["peers", "check_interval"];

/// Keys that may stand somewhere, and what it is that has them.
type Allowed = (&'static str, &'static [&'static str]);
const IN_A_PEER: Allowed = ("a peer", PEER_KEYS);
const IN_A_BALANCED: Allowed = ("a balanced database", BALANCED_KEYS);

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One server.
    Peer,
    /// A list of peers.
    Balanced,
    /// Neither or both, which has been reported.
    Unclear,
}

/// Tells what a database is, and reports keys that are unknown, missing, or not for it.
pub(super) fn judge(database: &Table<'_>, report: &mut Report<'_>) -> Kind {
    let of_a_peer: Vec<&str> = given(database, PEER_KEYS).collect();
    let kind = match (database.has("peers"), of_a_peer.is_empty()) {
        (true, true) => Kind::Balanced,
        (false, false) => Kind::Peer,
        _ => Kind::Unclear,
    };
    let allowed: &[Allowed] = match kind {
        Kind::Peer => &[IN_A_PEER],
        Kind::Balanced => &[IN_A_BALANCED],
        Kind::Unclear => &[IN_A_PEER, IN_A_BALANCED],
    };
    let guesses = unknown_keys(database, allowed, report);
    match kind {
        Kind::Peer => judge_peer(database, &guesses, report),
        Kind::Balanced => {}
        Kind::Unclear => judge_unclear(database, &of_a_peer, &guesses, report),
    }
    kind
}

/// Reports each key that is not among the allowed ones. Answers with the keys that were probably
/// meant, so that nobody reports those as missing too.
pub(super) fn unknown_keys(
    table: &Table<'_>,
    allowed: &[Allowed],
    report: &mut Report<'_>,
) -> Vec<&'static str> {
    let known = || allowed.iter().flat_map(|(_, keys)| keys.iter().copied());
    // Keys of the other kind of database are known; whoever judges the kind reports them.
    let elsewhere = |key: &str| allowed.contains(&IN_A_PEER) && BALANCED_KEYS.contains(&key);
    let mut guesses = Vec::new();
    for (key, value) in table.entries() {
        if known().any(|known| known == key) || elsewhere(key) {
            continue;
        }
        let guess = nearest(key, known().filter(|known| !table.has(known)));
        guesses.extend(guess);
        let lists: Vec<String> = allowed
            .iter()
            .map(|(owner, keys)| format!("{owner} has: {}", keys.join(", ")))
            .collect();
        let message = format!(
            "unknown key `{}`; {}{}",
            name::shown(key),
            lists.join("; "),
            name::did_you_mean(guess)
        );
        report.add(value.key_at, &value.path, message);
    }
    guesses
}

/// The rules among the keys of a peer.
fn judge_peer(peer: &Table<'_>, guesses: &[&str], report: &mut Report<'_>) {
    if let Some(interval) = peer.get("check_interval") {
        let message = "not for a peer: it belongs to a balanced database, one with `peers`";
        report.add(interval.key_at, &interval.path, message);
    }
    let parts: Vec<&str> = given(peer, PEER_KEYS).filter(|key| *key != "url").collect();
    if let Some(url) = peer.get("url") {
        if !parts.is_empty() {
            let message = format!(
                "a url is the whole address: remove `url`, or remove {}",
                in_backticks(&parts)
            );
            report.add(url.key_at, &url.path, message);
        }
    } else if !peer.has("host") && !guesses.iter().any(|guess| ["url", "host"].contains(guess)) {
        let message = format!(
            "a peer without an address: give it `host` beside {}, or only `url`",
            in_backticks(&parts)
        );
        report.add(peer.at, &peer.path, message);
    }
}

/// Says why it is unclear what a database is.
fn judge_unclear(
    database: &Table<'_>,
    of_a_peer: &[&str],
    guesses: &[&str],
    report: &mut Report<'_>,
) {
    if let Some(peers) = database.get("peers") {
        let message = format!(
            "a database is balanced or a peer, not both: remove `peers`, or remove {}",
            in_backticks(of_a_peer)
        );
        report.add(peers.key_at, &peers.path, message);
    } else if guesses.is_empty() {
        let message = "neither a peer nor balanced: give it `url` or `host` to be a peer, \
                       or `peers` to be balanced";
        report.add(database.at, &database.path, message);
    }
}

/// Those of the keys that the table has.
fn given(table: &Table<'_>, keys: &[&'static str]) -> impl Iterator<Item = &'static str> {
    keys.iter().copied().filter(|key| table.has(key))
}

fn in_backticks(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::read::tests::{problem, problems};

    #[test]
    fn an_unknown_key_of_a_peer_names_the_nearest_and_all_that_a_peer_has() {
        assert_eq!(
            problem("[databases.db0]\nhost = 'h'\n  pasword = 'secret'"),
            "f:3:3: databases.db0.pasword: unknown key `pasword`; \
             a peer has: url, host, port, user, password, name (did you mean `password`?)"
        );
    }

    #[test]
    fn an_unknown_key_of_a_balanced_database_names_what_that_has() {
        assert_eq!(
            problem("[databases.a]\nhost = 'h'\n[databases.b]\npeers = ['a']\ninterval = '5s'"),
            "f:5:1: databases.b.interval: unknown key `interval`; \
             a balanced database has: peers, check_interval (did you mean `check_interval`?)"
        );
    }

    #[test]
    fn a_key_that_resembles_none_gets_no_guess() {
        assert_eq!(
            problem("[databases.db0]\nhost = 'h'\ntimezone = 'UTC'"),
            "f:3:1: databases.db0.timezone: unknown key `timezone`; \
             a peer has: url, host, port, user, password, name"
        );
    }

    #[test]
    fn a_key_that_is_there_already_is_not_guessed() {
        assert_eq!(
            problem("[databases.db0]\nhost = 'h'\nHOST = 'h'"),
            "f:3:1: databases.db0.HOST: unknown key `HOST`; \
             a peer has: url, host, port, user, password, name"
        );
    }

    #[test]
    fn a_slip_in_the_key_that_tells_the_kind_is_reported_once() {
        assert_eq!(
            problem("[databases.d]\npeer = ['db0']"),
            "f:2:1: databases.d.peer: unknown key `peer`; \
             a peer has: url, host, port, user, password, name; \
             a balanced database has: peers, check_interval (did you mean `peers`?)"
        );
        assert_eq!(
            problem("[databases.d]\nhots = 'h'\nport = 3306"),
            "f:2:1: databases.d.hots: unknown key `hots`; \
             a peer has: url, host, port, user, password, name (did you mean `host`?)"
        );
    }

    #[test]
    fn an_unknown_key_that_is_an_address_is_not_shown() {
        let shown = problem("[databases.db0]\nhost = 'h'\n'mysql://app:secret@h' = 1");
        assert!(
            shown.starts_with("f:3:1: databases.db0.***: unknown key `***`;"),
            "{shown}"
        );
    }

    #[test]
    fn url_excludes_the_parts_of_an_address() {
        assert_eq!(
            problem("[databases.db0]\nport = 3306\nurl = 'mysql://h'\npassword = 'secret'"),
            "f:3:1: databases.db0.url: a url is the whole address: \
             remove `url`, or remove `port`, `password`"
        );
        for part in [
            "host = 'h'",
            "port = 1",
            "user = 'u'",
            "password = 'p'",
            "name = 'n'",
        ] {
            let shown = problem(&format!("[databases.db0]\nurl = 'mysql://h'\n{part}"));
            assert!(shown.contains("remove `url`, or remove `"), "{shown}");
        }
    }

    #[test]
    fn a_database_cannot_be_balanced_and_a_peer() {
        assert_eq!(
            problem(
                "[databases.a]\nhost = 'h'\n[databases.b]\nhost = 'h'\npeers = ['a']\nport = 1"
            ),
            "f:5:1: databases.b.peers: a database is balanced or a peer, not both: \
             remove `peers`, or remove `host`, `port`"
        );
    }

    #[test]
    fn a_database_that_is_neither_is_refused() {
        let neither = "neither a peer nor balanced: give it `url` or `host` to be a peer, \
                       or `peers` to be balanced";
        assert_eq!(
            problem("[databases.d]"),
            format!("f:1:12: databases.d: {neither}")
        );
        assert_eq!(
            problem("[databases.d]\ncheck_interval = '5s'"),
            format!("f:1:12: databases.d: {neither}")
        );
    }

    #[test]
    fn a_peer_needs_an_address() {
        assert_eq!(
            problem("[databases.db0]\nuser = 'app'\nport = 3306"),
            "f:1:12: databases.db0: a peer without an address: \
             give it `host` beside `port`, `user`, or only `url`"
        );
    }

    #[test]
    fn check_interval_is_not_for_a_peer() {
        assert_eq!(
            problem("[databases.db0]\nhost = 'h'\ncheck_interval = '5s'"),
            "f:3:1: databases.db0.check_interval: not for a peer: \
             it belongs to a balanced database, one with `peers`"
        );
    }

    #[test]
    fn a_database_of_unclear_kind_is_still_a_name_that_may_be_listed() {
        let text = "[databases.a]\n[databases.b]\npeers = ['a']";
        assert_eq!(problems(text).len(), 1);
    }
}
