//! The claim: this balancer is never worse than one fixed peer without retries.

use crate::results::{ROWS, Row};
use crate::run::Load;

/// How many of 100 requests that the fixed peer serves this balancer may not serve, where clients send
/// one at a time: one that waits sends fewer than one that fails.
const FEWER_IN_100: u64 = 5;

/// How many requests fewer than the fixed peer this balancer serves.
pub(crate) fn fewer(row: &Row) -> u64 {
    row.fixed.served.saturating_sub(row.evenhand.served)
}

/// In what this balancer is worse than one fixed peer: in nothing, if the claim holds.
pub(crate) fn worse(row: &Row) -> Vec<String> {
    let mut worse = Vec::new();
    let allowed = match row.load {
        Load::Steady => 0,
        Load::OneAtATime => row.fixed.served * FEWER_IN_100 / 100,
    };
    if fewer(row) > allowed {
        worse.push(format!("serves {} fewer", fewer(row)));
    }
    let more = row.evenhand.failed.saturating_sub(row.fixed.failed);
    if more > 0 {
        worse.push(format!("fails {more} more"));
    }
    if row.evenhand.longest > row.history.longest {
        worse.push(format!("waits {:.3} s", row.evenhand.longest.as_secs_f64()));
    }
    worse
}

#[test]
fn balancer_is_never_worse_than_one_fixed_peer() {
    let found: Vec<_> = ROWS
        .iter()
        .map(|row| (row.history.name, row.load, worse(row)))
        .filter(|(.., worse)| !worse.is_empty())
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}
