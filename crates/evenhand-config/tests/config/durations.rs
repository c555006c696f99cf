//! Durations.

use crate::problem;

const EXPECTED: &str = "expected a string such as \"30s\", \"500ms\" or \"1m 30s\", \
                        at most \"1day\"";

fn with_interval(interval: &str) -> String {
    format!("[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']\ncheck_interval = {interval}")
}

#[test]
fn other_texts_are_refused_as_durations() {
    for (text, what) in [
        ("", "not a duration"),
        ("30", "no unit"),
        ("s", "not a duration"),
        ("-1s", "not a duration"),
        ("1 fortnight", "not a duration"),
        ("0s", "zero"),
        ("0ms 0h", "zero"),
        ("1day 1ns", "out of range"),
        ("25h", "out of range"),
        ("99999999999999999999999s", "out of range"),
        // These two make the parser panic.
        ("18446744073709551615s 1000ms", "out of range"),
        ("18446744073709551615s 0.5s 500ms", "out of range"),
    ] {
        assert_eq!(
            problem(&with_interval(&format!("'{text}'"))),
            format!("f:5:18: databases.d.check_interval: {what}: {EXPECTED}, found \"{text}\"")
        );
    }
}

#[test]
fn address_as_duration_is_not_shown() {
    assert_eq!(
        problem(&with_interval("'mysql://app:secret@h'")),
        format!("f:5:18: databases.d.check_interval: not a duration: {EXPECTED}, found a string")
    );
}

#[test]
fn number_without_unit_is_refused_with_a_suggestion() {
    assert_eq!(
        problem(&with_interval("30")),
        format!(
            "f:5:18: databases.d.check_interval: no unit: {EXPECTED}, found 30 \
             (did you mean `30s`?)"
        )
    );
}
