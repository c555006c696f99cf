//! A check interval in humantime's notation, within limits.

use std::time::Duration;

use humantime::{format_duration, parse_duration};

use super::node::Value;
use super::report::Report;
use crate::plan::MAX_CHECK_INTERVAL;

const NOTATION: &str = "expected a number and a unit, such as \"30s\", \"500ms\" or \"1m 30s\"";

/// As many digits as an interval may have in all. An interval within the limit needs fewer, unless it
/// is written in nanoseconds. The parser panics on some sums near the end of its range (2.4.0, on
/// `18446744073709551615s 1000ms`), and twelve digits do not reach that far.
const MAX_DIGITS: usize = 12;

/// The interval; none if it has been reported.
pub(super) fn check_interval(value: &Value<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let text = value.string("a string such as \"30s\"", report)?;
    match parse(text) {
        Ok(interval) => Some(interval),
        Err(message) => {
            value.wrong(message, report);
            None
        }
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    let out_of_range = || {
        let most = format_duration(MAX_CHECK_INTERVAL);
        format!("out of range: at most \"{most}\", in whole nanoseconds")
    };
    if text.chars().filter(char::is_ascii_digit).count() > MAX_DIGITS {
        return Err(out_of_range());
    }
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("zero: {NOTATION}")),
        Ok(interval) if interval > MAX_CHECK_INTERVAL => Err(out_of_range()),
        Ok(interval) => Ok(interval),
        Err(humantime::DurationError::NumberOverflow) => Err(out_of_range()),
        // The parser's own words would repeat a part of the text.
        Err(_) => Err(format!("not a duration: {NOTATION}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::tests::problem;

    fn with_interval(interval: &str) -> String {
        format!(
            "[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']\ncheck_interval = {interval}"
        )
    }

    #[test]
    fn intervals_are_in_humantime() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse("1day"), Ok(MAX_CHECK_INTERVAL));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for interval in ["", "30", "s", "-1s", "1 fortnight", "mysql://app:secret@h"] {
            assert_eq!(
                problem(&with_interval(&format!("'{interval}'"))),
                "f:5:18: databases.d.check_interval: not a duration: \
                 expected a number and a unit, such as \"30s\", \"500ms\" or \"1m 30s\""
            );
        }
    }

    #[test]
    fn zero_is_refused() {
        for interval in ["0", "0s", "0ms 0h"] {
            assert_eq!(
                problem(&with_interval(&format!("'{interval}'"))),
                "f:5:18: databases.d.check_interval: zero: \
                 expected a number and a unit, such as \"30s\", \"500ms\" or \"1m 30s\""
            );
        }
    }

    #[test]
    fn what_is_longer_than_a_day_or_finer_than_a_nanosecond_is_refused() {
        for interval in [
            "1day 1ns",
            "25h",
            "1y",
            "584542046090y",
            "99999999999999999999999s",
            // These two make the parser panic.
            "18446744073709551615s 1000ms",
            "18446744073709551615s 0.5s 500ms",
            "0.5ns",
        ] {
            assert_eq!(
                problem(&with_interval(&format!("'{interval}'"))),
                "f:5:18: databases.d.check_interval: out of range: \
                 at most \"1day\", in whole nanoseconds"
            );
        }
    }

    #[test]
    fn an_interval_of_the_wrong_type_says_which_is_expected() {
        assert_eq!(
            problem(&with_interval("30")),
            "f:5:18: databases.d.check_interval: expected a string such as \"30s\", found an integer"
        );
    }
}
