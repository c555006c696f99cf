//! The name that was probably meant.
//!
//! Two ways of being near cover what people do: a slip of the fingers (a small edit distance, case
//! aside), and another word for the same thing that holds the right one (`username` for `user`,
//! `interval` for `check_interval`).

/// The name among `known` that is nearest to `name`, if any is near enough to be worth a guess. Of
/// two that are equally near, the first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| Some((distance(&name, candidate)?, candidate)))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How far apart two names are; none if too far for one to be meant by the other.
fn distance(name: &str, candidate: &str) -> Option<usize> {
    let candidate = candidate.to_lowercase();
    let edits = edits(name, &candidate);
    // One slip in a short name, two in a longer one: three would make anything resemble anything.
    let allowed = if candidate.chars().count() < 6 { 1 } else { 2 };
    // Below three letters a name is inside of far too many others.
    let holds = name.len().min(candidate.len()) >= 3
        && (name.contains(candidate.as_str()) || candidate.contains(name));
    (edits <= allowed || holds).then_some(edits)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one name into the other
/// (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    // Three rows of the table are enough: a swap looks back two.
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
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
    fn a_slip_finds_the_key_that_was_meant() {
        assert_eq!(nearest("pasword", KEYS), Some("password"));
        assert_eq!(nearest("prot", KEYS), Some("port"));
        assert_eq!(nearest("peer", KEYS), Some("peers"));
        assert_eq!(nearest("check-interval", KEYS), Some("check_interval"));
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(nearest("HOST", KEYS), Some("host"));
        assert_eq!(nearest("CHECK_INTERVAL", KEYS), Some("check_interval"));
        assert_eq!(nearest("db1", ["DB1"]), Some("DB1"));
    }

    #[test]
    fn another_word_that_holds_the_key_finds_it() {
        assert_eq!(nearest("username", KEYS), Some("user"));
        assert_eq!(nearest("dbname", KEYS), Some("name"));
        assert_eq!(nearest("interval", KEYS), Some("check_interval"));
    }

    #[test]
    fn the_nearest_of_several_wins_and_the_first_of_equals() {
        assert_eq!(nearest("db12", ["db1", "db12x", "db112"]), Some("db1"));
        assert_eq!(
            nearest("reader", ["leader", "readers_eu", "readr"]),
            Some("leader")
        );
        assert_eq!(nearest("db10", ["db1", "db100", "db10"]), Some("db10"));
    }

    #[test]
    fn nothing_is_suggested_when_nothing_is_near() {
        assert_eq!(nearest("timezone", KEYS), None);
        assert_eq!(nearest("replica", ["db0", "db1"]), None);
        assert_eq!(nearest("", ["db0"]), None);
        assert_eq!(nearest("db0", []), None);
    }

    #[test]
    fn edits_are_counted_in_characters() {
        assert_eq!(edits("", ""), 0);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("größe", "grösse"), 2);
        assert_eq!(edits("ab", "ba"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
