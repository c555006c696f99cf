//! Times that must not be longer than others.

use std::time::Duration;

use super::duration::shown;
use super::report::Report;
use crate::keys;
use crate::plan::Settings;
use crate::tree::Table;

/// The second contains the first; a longer first one would never come to its end.
const ORDER: [(&str, &str); 4] = [
    ("first_recheck", "check_interval"),
    ("attempt_timeout", "checkout_timeout"),
    ("hedge_after", "checkout_timeout"),
    ("try_timeout", "work_timeout"),
];

/// Reports what is out of order in merged settings. `tables` are those that were merged, the nearest
/// first.
pub(super) fn check(settings: &Settings, tables: &[&Table], report: &mut Report<'_>) {
    for (shorter, longer) in ORDER {
        // Where only the longer one is given, the pool's own default for the other gives way.
        let Some(short) = given(settings, shorter) else {
            continue;
        };
        let Some(long) = given(settings, longer).or_else(|| default_of(longer)) else {
            continue;
        };
        let at = tables
            .iter()
            .find_map(|table| table.get(shorter).or_else(|| table.get(longer)));
        if let Some(item) = at.filter(|_| short > long) {
            let spell = |key| report.dialect.spell(key);
            let message = format!(
                "`{}` is {}, longer than `{}`, which is {}",
                spell(shorter),
                shown(short),
                spell(longer),
                shown(long)
            );
            report.wrong(item, message);
        }
    }
}

fn given(settings: &Settings, key: &str) -> Option<Duration> {
    match key {
        "first_recheck" => settings.first_recheck,
        "check_interval" => settings.check_interval,
        "attempt_timeout" => settings.attempt_timeout,
        "checkout_timeout" => settings.checkout_timeout,
        "hedge_after" => settings.hedge_after.flatten(),
        "try_timeout" => settings.try_timeout,
        "work_timeout" => settings.work_timeout,
        _ => None,
    }
}

fn default_of(key: &str) -> Option<Duration> {
    keys::find(key)?.default_duration()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_longer_time_has_a_default() {
        for (_, longer) in ORDER {
            assert!(default_of(longer).is_some(), "{longer}");
        }
    }
}
