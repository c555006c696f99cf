//! The documented table of defaults is what the code does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PoolOptions;
use super::health::HealthCheck;
use crate::classify::Classifier;
use crate::names::resolver::Resolver;
use crate::peer::check::Check;

const TABLE: &str = include_str!("defaults.md");

#[test]
fn every_option_is_in_the_table_with_its_default() {
    let documented: BTreeMap<String, String> = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| [`"))
        .map(|line| {
            let (name, rest) = line.split_once('`').unwrap();
            let (_, default) = rest.split_once(" | ").unwrap();
            (name.to_owned(), default.trim_end_matches(" |").to_owned())
        })
        .collect();
    assert_eq!(documented, in_code());
}

fn in_code() -> BTreeMap<String, String> {
    let options = PoolOptions::default();
    let usual = Check::new(&options);
    let writable = Check::new(&options.clone().writable(true));
    let own = options.clone().connect_timeout(Duration::from_secs(7));
    assert_eq!(Check::new(&own).timeout, Duration::from_secs(7));
    // Destructured, so that no option is forgotten here.
    let PoolOptions {
        name,
        connect_timeout,
        checkout_timeout,
        try_timeout,
        work_timeout,
        transaction_attempts,
        max_connections,
        max_lifetime,
        idle_timeout,
        pick,
        first_recheck,
        max_recheck_interval,
        min_up,
        all_down,
        max_attempts,
        max_unknown,
        max_refusals,
        hedge_after,
        classifier,
        writable: declared,
        health_check,
        end_on_lost_peer,
        name_lookup_interval,
        resolver,
        discover,
        // A setting of one feature.
        dns: _,
        init,
        setup,
    } = options;
    assert_eq!((init.len(), setup.len()), (0, 0));
    assert_eq!(health_check, HealthCheck::new());
    assert_eq!(
        (
            max_connections,
            max_attempts,
            transaction_attempts,
            hedge_after
        ),
        (None, None, None, None)
    );
    assert_eq!(classifier, Classifier::default());
    assert_eq!((resolver, discover), (Resolver::system(), None));
    let (interval, fall) = health_check.get_active().unwrap();
    let probes = format!(
        "`{:?}`; `{:?}` in pools that are declared writable",
        usual.probe, writable.probe
    );
    [
        ("name", format!("`{name}`")),
        ("connect_timeout", seconds(connect_timeout)),
        ("checkout_timeout", seconds(checkout_timeout)),
        ("try_timeout", seconds(try_timeout)),
        ("work_timeout", seconds(work_timeout)),
        ("transaction_attempts", "none".to_owned()),
        ("max_connections", "none".to_owned()),
        ("max_lifetime", seconds(max_lifetime.unwrap())),
        ("idle_timeout", seconds(idle_timeout.unwrap())),
        ("pick", format!("`{pick:?}`")),
        ("first_recheck", seconds(first_recheck)),
        ("max_recheck_interval", seconds(max_recheck_interval)),
        ("min_up", format!("`{min_up:?}`")),
        ("all_down", format!("`{all_down:?}`")),
        ("max_attempts", "none".to_owned()),
        ("max_unknown", max_unknown.to_string()),
        ("max_refusals", max_refusals.to_string()),
        ("hedge_after", "never".to_owned()),
        ("classifier", "the table".to_owned()),
        ("writable", yes(declared)),
        ("health_check", "the next seven rows".to_owned()),
        ("probe", probes),
        (
            "timeout",
            format!("{}, as `connect_timeout`", seconds(usual.timeout)),
        ),
        ("synced", yes(usual.synced)),
        (
            "active",
            format!("every {}, {fall} failures eject", seconds(interval)),
        ),
        ("rise", health_check.get_rise().to_string()),
        (
            "silence",
            format!("{:?}", health_check.get_silence().unwrap()),
        ),
        ("lost_after", health_check.get_lost_after().to_string()),
        ("end_on_lost_peer", yes(end_on_lost_peer)),
        (
            "name_lookup_interval",
            seconds(name_lookup_interval.unwrap()),
        ),
        ("resolver", "the system".to_owned()),
        ("discover", "none".to_owned()),
        ("init", "none".to_owned()),
        ("setup", "none".to_owned()),
    ]
    .into_iter()
    .map(|(name, default)| (name.to_owned(), default))
    .collect()
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0);
    format!("{} s", time.as_secs())
}

fn yes(set: bool) -> String {
    if set { "yes" } else { "no" }.to_owned()
}
