//! Durations in humantime's notation, within limits.

use std::time::Duration;

use humantime::{format_duration, parse_duration};

use super::context::{Context, given, quoted};
use crate::keys::Kind;
use crate::problem::Finding;
use crate::tree::{Data, Dialect, Table};

/// As many digits as a duration may have in all. One within the limits needs fewer, unless it is
/// written in nanoseconds. The parser panics on some sums near the end of its range (2.4.0, on
/// `18446744073709551615s 1000ms`), and twelve digits do not reach that far.
const MAX_DIGITS: usize = 12;

/// The value of a key; `Some(None)` is `"none"`, where that is allowed.
pub(super) fn read(table: &Table, key: &str, cx: &mut Context<'_>) -> Option<Option<Duration>> {
    let (item, kind) = given(table, key)?;
    let Kind::Duration { most, none } = kind else {
        return None;
    };
    let django = cx.report.dialect == Dialect::Django;
    let (parsed, found) = match &item.data {
        Data::Text(text) | Data::Loose(text) if none && text == "none" => return Some(None),
        Data::Null if none => return Some(None),
        Data::Text(text) | Data::Loose(text) => (parse(text, most), quoted(text)),
        // Django's own are numbers of seconds.
        Data::Integer(seconds) if django => {
            let text = seconds.to_string();
            let seconds = u64::try_from(*seconds).ok().map(Duration::from_secs);
            (in_range(seconds, most), text)
        }
        Data::Float(seconds) if django => {
            let duration = Duration::try_from_secs_f64(*seconds).ok();
            (in_range(duration, most), "a float".to_owned())
        }
        Data::Integer(number) if (1..=9999).contains(number) => {
            let finding = Finding::new("no unit").expected(cx.expected(kind));
            let guess = format!("{number}s");
            let finding = finding.found(number.to_string()).near(Some(&guess));
            cx.report.wrong(item, finding);
            return None;
        }
        _ => {
            let expected = cx.expected(kind);
            cx.wrong_type(item, expected);
            return None;
        }
    };
    match parsed {
        Ok(duration) => Some(Some(duration)),
        Err(what) => {
            let finding = Finding::new(what).expected(cx.expected(kind)).found(found);
            cx.report.wrong(item, finding);
            None
        }
    }
}

/// Says what is wrong with it in two or three words.
fn parse(text: &str, most: Duration) -> Result<Duration, &'static str> {
    const OUT_OF_RANGE: &str = "out of range";
    if text.chars().filter(char::is_ascii_digit).count() > MAX_DIGITS {
        return Err(OUT_OF_RANGE);
    }
    match parse_duration(text) {
        Ok(duration) => in_range(Some(duration), most),
        Err(humantime::DurationError::NumberOverflow) => Err(OUT_OF_RANGE),
        // The parser's own words would repeat a part of the text.
        Err(_) if text.trim().parse::<u64>().is_ok() => Err("no unit"),
        Err(_) => Err("not a duration"),
    }
}

fn in_range(duration: Option<Duration>, most: Duration) -> Result<Duration, &'static str> {
    match duration {
        Some(Duration::ZERO) => Err("zero"),
        Some(duration) if duration <= most => Ok(duration),
        _ => Err("out of range"),
    }
}

/// A duration in a message.
pub(super) fn shown(duration: Duration) -> String {
    format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_CHECK_INTERVAL;
    use crate::read::tests::problem;

    const EXPECTED: &str = "expected a string such as \"30s\", \"500ms\" or \"1m 30s\", \
                            at most \"1day\"";

    fn with_interval(interval: &str) -> String {
        format!(
            "[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']\ncheck_interval = {interval}"
        )
    }

    #[test]
    fn durations_are_in_humantime() {
        let parse = |text| parse(text, MAX_CHECK_INTERVAL);
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse("1day"), Ok(MAX_CHECK_INTERVAL));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
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
    fn an_address_in_its_place_is_not_shown() {
        assert_eq!(
            problem(&with_interval("'mysql://app:secret@h'")),
            format!(
                "f:5:18: databases.d.check_interval: not a duration: {EXPECTED}, found a string"
            )
        );
    }

    #[test]
    fn a_number_without_a_unit_is_told_the_likely_one() {
        assert_eq!(
            problem(&with_interval("30")),
            format!(
                "f:5:18: databases.d.check_interval: no unit: {EXPECTED}, found 30 \
                 (did you mean `30s`?)"
            )
        );
    }
}
