//! The documented table of defaults says what the code does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::classify::Classifier;
use crate::options::PoolOptions;
use crate::spread::Spread;
use crate::watch::Watch;

const TABLE: &str = include_str!("defaults.md");

#[test]
fn every_option_stands_in_the_table_with_its_default() {
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
    let usual = options.check();
    let writable = options.clone().writable(true).check();
    let own = options.clone().attempt_timeout(Duration::from_secs(7));
    assert_eq!(own.check().limit, Duration::from_secs(7));
    // By name, so that no option is forgotten here.
    let PoolOptions {
        attempt_timeout,
        checkout_timeout,
        try_timeout,
        work_timeout,
        transaction_attempts,
        check_interval,
        max_connections,
        max_lifetime,
        idle_timeout,
        spread,
        watch,
    } = options;
    let Spread {
        pick,
        first_recheck,
        keep,
        all_down,
        hedge_after,
    } = spread;
    assert_eq!(hedge_after, None);
    let Watch {
        classifier,
        writable: declared,
        probe,
        probe_timeout,
        synced,
        check_up_every,
        fall,
        rise,
        end_on_lost_peer,
    } = watch;
    assert_eq!(classifier, Classifier::default());
    assert_eq!((probe, probe_timeout), (None, None));
    let probes = format!(
        "`{:?}`; `{:?}` for pools that are declared writable",
        usual.probe, writable.probe
    );
    [
        ("attempt_timeout", seconds(attempt_timeout)),
        ("checkout_timeout", seconds(checkout_timeout)),
        ("try_timeout", seconds(try_timeout)),
        ("work_timeout", seconds(work_timeout)),
        ("transaction_attempts", transaction_attempts.to_string()),
        ("check_interval", seconds(check_interval)),
        ("first_recheck", seconds(first_recheck)),
        ("pick", format!("`{pick:?}`")),
        ("keep", format!("`{keep:?}`")),
        ("all_down", format!("`{all_down:?}`")),
        ("hedge_after", "never".to_owned()),
        ("max_connections", limit(max_connections)),
        ("max_lifetime", seconds(max_lifetime.unwrap())),
        ("idle_timeout", seconds(idle_timeout.unwrap())),
        ("classifier", "the table".to_owned()),
        ("writable", yes(declared)),
        ("probe", probes),
        (
            "probe_timeout",
            format!("{}, as one attempt", seconds(usual.limit)),
        ),
        ("synced", yes(synced)),
        ("check_up_every", seconds(check_up_every.unwrap())),
        ("fall", fall.to_string()),
        ("rise", rise.to_string()),
        ("end_on_lost_peer", yes(end_on_lost_peer)),
    ]
    .into_iter()
    .map(|(name, default)| (name.to_owned(), default))
    .collect()
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0);
    format!("{} s", time.as_secs())
}

fn limit(limit: Option<usize>) -> String {
    limit.map_or("none".to_owned(), |limit| limit.to_string())
}

fn yes(set: bool) -> String {
    if set { "yes" } else { "no" }.to_owned()
}
