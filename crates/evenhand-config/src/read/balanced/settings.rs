//! The settings of a balanced database, and the rules among them and its peers.

use std::time::Duration;

use humantime::format_duration;

use crate::keys;
use crate::plan::{DiscoverKind, MinUp, Peer, PickKind, Settings, for_each_setting};
use crate::read::context::Context;
use crate::read::value;
use crate::tree::{Item, Table};

macro_rules! define_reader {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $row:tt;)+) => {
        /// The settings that a table gives.
        pub(in crate::read) fn read(table: &Table, cx: &mut Context<'_>) -> Settings {
            Settings { $($name: value::read(table, stringify!($name), cx),)+ }
        }
    };
}
for_each_setting!(define_reader);

/// The first duration must not exceed the second, or it would never elapse.
const ORDER: [(Time, Time); 4] = [
    (
        ("first_recheck", |settings| settings.first_recheck),
        ("check_interval", |settings| settings.check_interval),
    ),
    (
        ("connect_timeout", |settings| settings.connect_timeout),
        CHECKOUT,
    ),
    (
        ("hedge_after", |settings| settings.hedge_after.flatten()),
        CHECKOUT,
    ),
    (
        ("try_timeout", |settings| settings.try_timeout),
        ("work_timeout", |settings| settings.work_timeout),
    ),
];
const CHECKOUT: Time = ("checkout_timeout", |settings| settings.checkout_timeout);

/// A key, and how to get its value.
type Time = (&'static str, fn(&Settings) -> Option<Duration>);

/// Checks merged settings. `list` is the list of `members`, and `tables` are those that the settings come from,
/// the nearest first.
pub(in crate::read) fn check(
    list: &Item,
    members: &[Peer],
    settings: &Settings,
    tables: &[&Table],
    cx: &mut Context<'_>,
) {
    check_order(settings, tables, cx);
    let given = |key: &str| tables.iter().find_map(|table| table.get(key));
    let discovers = settings
        .discover
        .is_some_and(|kind| kind != DiscoverKind::Nothing);
    if let (Some(MinUp::Peers(min)), Some(item)) = (settings.min_up, given("min_up"))
        && !discovers
        && min > members.len()
        && !members.is_empty()
    {
        let message = format!("more than the number of peers, which is {}", members.len());
        cx.report.value_error(&item.location, message);
    }
    let weighted = settings.pick == Some(PickKind::Weighted);
    if weighted && !members.is_empty() && members.iter().all(|peer| peer.weight == Some(0)) {
        let message = "every peer has weight 0, so none would get work";
        cx.report.value_error(&list.location, message);
    }
    if !weighted
        && members
            .iter()
            .any(|peer| peer.weight.is_some_and(|weight| weight != 1))
    {
        let message = format!(
            "the weights of its peers have no effect unless {} is \"weighted\"",
            cx.spell("pick")
        );
        cx.report.key_warning(&list.location, message);
    }
    let parts = [
        "discover_interval",
        "discover_addresses",
        "discover_tls_name",
    ];
    let is_off = settings.discover == Some(DiscoverKind::Nothing);
    for key in parts.into_iter().filter(|_| is_off) {
        if let Some(item) = tables.first().and_then(|table| table.get(key)) {
            let discover = cx.spell("discover");
            let message = format!("it has no effect, because {discover} is \"none\"");
            cx.report.key_warning(&item.location, message);
        }
    }
    if settings.health_check_interval == Some(None)
        && let Some(fall) = tables.first().and_then(|table| table.get("fall"))
    {
        let message = format!(
            "it has no effect, because {} is \"none\"",
            cx.spell("health_check_interval")
        );
        cx.report.key_warning(&fall.location, message);
    }
}

fn check_order(settings: &Settings, tables: &[&Table], cx: &mut Context<'_>) {
    for ((shorter, short), (longer, long)) in ORDER {
        // If only the longer one is given, the pool reduces its default for the other.
        let Some(short) = short(settings) else {
            continue;
        };
        let Some(long) = long(settings).or_else(|| default_of(longer)) else {
            continue;
        };
        let given = |table: &&Table| {
            let item = table.get(shorter).or_else(|| table.get(longer))?;
            Some(item.location.clone())
        };
        if let Some(location) = tables.iter().find_map(given).filter(|_| short > long) {
            let message = format!(
                "{} is {}, longer than {}, which is {}",
                cx.spell(shorter),
                format_duration(short),
                cx.spell(longer),
                format_duration(long)
            );
            cx.report.value_error(&location, message);
        }
    }
}

fn default_of(key: &str) -> Option<Duration> {
    keys::find(key)?.default_duration()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_times_have_defaults() {
        for (_, (longer, _)) in ORDER {
            assert!(default_of(longer).is_some(), "{longer}");
        }
    }
}
