//! The table of metrics: what is told to the recorder, and what documentation is held to.

use evenhand::{Metric, MetricKind};

pub(crate) const LOOKUPS: &str = "evenhand_discovery_lookups_total";
pub(crate) const LOOKUP_SECONDS: &str = "evenhand_discovery_lookup_seconds";
pub(crate) const CHANGES: &str = "evenhand_discovery_changes_total";
pub(crate) const ADDRESSES: &str = "evenhand_discovery_addresses";

/// What a [`Changes`](crate::Changes) records with the feature `metrics`. `source` is the name of the
/// [`Source`](crate::Source).
pub const METRICS: &[Metric] = &[
    Metric::new(
        MetricKind::Counter,
        LOOKUPS,
        &["source", "outcome"],
        "Lookups that ended: `answered`; `partial`, as a family or a target could not be looked up; \
         `empty`, with no address; `failed`.",
    ),
    Metric::new(
        MetricKind::Seconds,
        LOOKUP_SECONDS,
        &["source"],
        "How long these lookups took.",
    ),
    Metric::new(
        MetricKind::Counter,
        CHANGES,
        &["source", "change"],
        "Addresses that `joined`, `left`, or `changed` their weight or tier.",
    ),
    Metric::new(
        MetricKind::Gauge,
        ADDRESSES,
        &["source"],
        "Addresses that the source lists, those that are kept while lookups fail included. 0 once the \
         stream is dropped.",
    ),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn documentation_lists_every_metric_with_its_labels() {
        let rows = include_str!("../lib.rs").lines();
        let rows = rows.filter_map(|line| line.strip_prefix("//! | `evenhand_"));
        let documented: Vec<_> = rows
            .map(|line| {
                let (name, rest) = line.split_once("` | ").unwrap();
                let (labels, _) = rest.split_once(" | ").unwrap();
                let labels = labels.split(", ").map(|label| label.trim_matches('`'));
                (format!("evenhand_{name}"), labels.collect::<Vec<_>>())
            })
            .collect();
        let table = METRICS.iter();
        let table: Vec<_> = table
            .map(|m| (m.name.to_owned(), m.labels.to_vec()))
            .collect();
        assert_eq!(documented, table);
    }

    #[test]
    fn the_page_of_metrics_has_the_table() {
        let mut table = "| name | kind | labels | |\n| --- | --- | --- | --- |\n".to_owned();
        for metric in METRICS {
            let labels = metric.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                _ => "histogram, seconds",
            };
            let (name, help) = (metric.name, metric.help);
            writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
        let kept = fs::read_to_string(&path).unwrap();
        let (before, rest) = kept.split_once("<!-- metrics: discovery -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end -->\n").unwrap();
        let made = format!("{before}<!-- metrics: discovery -->\n\n{table}\n<!-- end -->\n{after}");
        if env::var_os("EVENHAND_BLESS").is_some() {
            return fs::write(&path, made).unwrap();
        }
        assert!(
            made == kept,
            "docs/METRICS.md is out of date; run this test with EVENHAND_BLESS=1"
        );
    }
}
