//! A duration with its unit, such as `1m 30s`.

use std::time::Duration;

use super::Value;
use crate::keys::ValueKind;
use crate::problem::{Finding, name};
use crate::read::context::Context;
use crate::tree::{Data, Format, Item};

/// The maximum number of digits in a duration. Only nanoseconds could need more within the limits. The parser
/// panics on some sums near the end of its range (humantime 2.4.0, on `18446744073709551615s 1000ms`), which
/// twelve digits cannot reach.
const MAX_DIGITS: usize = 12;

impl Value for Duration {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let ValueKind::Duration { max, .. } = kind else {
            return None;
        };
        let django = cx.format == Format::Django;
        let expected = match django {
            true => format!("a number of seconds, or {}", kind.expected()),
            false => kind.expected(),
        };
        let (parsed, found) = match &item.data {
            Data::Text(text) | Data::Loose(text) => (parse(text, max), name::quoted(text)),
            Data::Integer(seconds) if django => {
                let duration = u64::try_from(*seconds).ok().map(Duration::from_secs);
                (in_range(duration, max), seconds.to_string())
            }
            Data::Float(seconds) if django => {
                let duration = Duration::try_from_secs_f64(*seconds).ok();
                (in_range(duration, max), "a float".to_owned())
            }
            Data::Integer(number) if (1..=9999).contains(number) => {
                let finding = Finding::new("no unit").expected(expected);
                let finding = finding.found(number.to_string());
                let finding = finding.suggest(Some(&format!("{number}s")));
                cx.report.value_error(&item.location, finding);
                return None;
            }
            _ => {
                cx.wrong_type(item, expected);
                return None;
            }
        };
        match parsed {
            Ok(duration) => Some(duration),
            Err(what) => {
                let finding = Finding::new(what).expected(expected).found(found);
                cx.report.value_error(&item.location, finding);
                None
            }
        }
    }
}

/// The duration, or what is wrong with it.
fn parse(text: &str, max: Duration) -> Result<Duration, &'static str> {
    if text.chars().filter(char::is_ascii_digit).count() > MAX_DIGITS {
        return Err("out of range");
    }
    match humantime::parse_duration(text) {
        Ok(duration) => in_range(Some(duration), max),
        Err(humantime::DurationError::NumberOverflow) => Err("out of range"),
        // The parser's message would quote the text.
        Err(_) if text.trim().parse::<u64>().is_ok() => Err("no unit"),
        Err(_) => Err("not a duration"),
    }
}

fn in_range(duration: Option<Duration>, max: Duration) -> Result<Duration, &'static str> {
    match duration {
        Some(Duration::ZERO) => Err("zero"),
        Some(duration) if duration <= max => Ok(duration),
        _ => Err("out of range"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_CHECK_INTERVAL;

    #[test]
    fn durations_have_units() {
        let parse = |text| parse(text, MAX_CHECK_INTERVAL);
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse("1day"), Ok(MAX_CHECK_INTERVAL));
    }
}
