//! The name that was probably meant.
//!
//! Two names are similar if they differ by a typing mistake (a small edit distance, case ignored), or if one
//! contains the other (`username` for `user`, `interval` for `check_interval`).

use strsim::osa_distance;

/// The name among `known` that is most similar to `name`, if any is similar enough. The first of several that
/// are equally similar.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| Some((distance(&name, candidate)?, candidate)))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two names. `None` if they are not similar.
fn distance(name: &str, candidate: &str) -> Option<usize> {
    let candidate = candidate.to_lowercase();
    let edits = osa_distance(name, &candidate);
    // One mistake in a short name, two in a longer one.
    let allowed = if candidate.chars().count() < 6 { 1 } else { 2 };
    // Too many names contain one of less than three letters.
    let contains = name.len().min(candidate.len()) >= 3
        && (name.contains(candidate.as_str()) || candidate.contains(name));
    (edits <= allowed || contains).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 8] = [
        "url",
        "host",
        "port",
        "user",
        "password",
        "name",
        "peers",
        "check_interval",
    ];

    #[test]
    fn nearest_finds_a_misspelt_key() {
        assert_eq!(nearest("pasword", KEYS), Some("password"));
        assert_eq!(nearest("prot", KEYS), Some("port"));
        assert_eq!(nearest("peer", KEYS), Some("peers"));
        assert_eq!(nearest("check-interval", KEYS), Some("check_interval"));
    }

    #[test]
    fn nearest_ignores_case() {
        assert_eq!(nearest("HOST", KEYS), Some("host"));
        assert_eq!(nearest("CHECK_INTERVAL", KEYS), Some("check_interval"));
        assert_eq!(nearest("db1", ["DB1"]), Some("DB1"));
    }

    #[test]
    fn nearest_finds_a_contained_key() {
        assert_eq!(nearest("username", KEYS), Some("user"));
        assert_eq!(nearest("dbname", KEYS), Some("name"));
        assert_eq!(nearest("interval", KEYS), Some("check_interval"));
    }

    #[test]
    fn nearest_prefers_the_most_similar_then_the_first() {
        assert_eq!(nearest("db12", ["db1", "db12x", "db112"]), Some("db1"));
        assert_eq!(
            nearest("reader", ["leader", "readers_eu", "readr"]),
            Some("leader")
        );
        assert_eq!(nearest("db10", ["db1", "db100", "db10"]), Some("db10"));
    }

    #[test]
    fn nearest_is_none_if_nothing_is_similar() {
        assert_eq!(nearest("timezone", KEYS), None);
        assert_eq!(nearest("replica", ["db0", "db1"]), None);
        assert_eq!(nearest("", ["db0"]), None);
        assert_eq!(nearest("db0", []), None);
    }

    #[test]
    fn nearest_counts_characters_and_swaps() {
        assert_eq!(nearest("grösse", ["größe"]), None);
        assert_eq!(nearest("größ", ["größe"]), Some("größe"));
        assert_eq!(nearest("abdc", ["abcd"]), Some("abcd"));
    }
}
