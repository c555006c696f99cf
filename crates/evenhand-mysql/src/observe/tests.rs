//! Holds `docs/METRICS.md` and `docs/alerts.yml` to the tables of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use evenhand::{Metric, MetricKind, State};
use yaml_rust2::{Yaml, YamlLoader};

use super::outcome::Outcome;
use super::table::{CHECKOUT_SECONDS, CHECKOUTS, CONNECTIONS, METRICS, RERUNS};
use crate::classify::{Phase, rows};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

fn all() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(evenhand::METRICS)
}

#[test]
fn the_page_of_metrics_agrees_with_the_tables() {
    let path = docs("METRICS.md");
    let kept = fs::read_to_string(&path).unwrap();
    let made = with_table(&kept, "pool", METRICS);
    let made = with_table(&made, "peers", evenhand::METRICS);
    let made = with(&made, "rows", &row_table());
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        return fs::write(&path, made).unwrap();
    }
    assert!(
        made == kept,
        "docs/METRICS.md is out of date; run this test with EVENHAND_BLESS=1"
    );
}

/// The page with the table of this name made anew.
fn with_table(page: &str, name: &str, metrics: &[Metric]) -> String {
    let mut table = "| name | kind | labels | |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in metrics {
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
    with(page, &format!("metrics: {name}"), &table)
}

/// The rows whose errors are counted.
fn row_table() -> String {
    let mut table = "| `row` | meaning |\n| --- | --- |\n".to_owned();
    // A caller that avoids a peer has not asked it, and a try has failed for what is counted already.
    let counted = rows().filter(|row| !["avoided", "try-failed"].contains(&row.id));
    for row in counted {
        let reason = row.judgement.verdict.reason.unwrap();
        writeln!(table, "| `{}` | {reason} |", row.id).unwrap();
    }
    table
}

/// The page with this table under the mark.
fn with(page: &str, mark: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {mark} -->\n"), "<!-- end -->\n");
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{begin}\n{table}\n{end}{after}")
}

#[test]
fn names_are_unique_and_tell_their_kind() {
    let mut names = BTreeSet::new();
    for metric in all() {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(
            metric.kind == MetricKind::Counter,
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
        assert_eq!(
            metric.kind == MetricKind::Seconds,
            metric.name.ends_with("_seconds"),
            "{}",
            metric.name
        );
        assert_eq!(metric.labels[0], "pool", "{}", metric.name);
    }
}

#[test]
fn outcomes_are_indices_into_their_list() {
    for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, index);
    }
}

/// A part of a PromQL expression.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(expr: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => 2 + rest[1..].find('"').unwrap(),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, others) = rest.split_at(length);
        match first {
            '"' => tokens.push(Token::Text(token.trim_matches('"').to_owned())),
            _ if is_word(first) => tokens.push(Token::Word(token.to_owned())),
            _ if first.is_whitespace() => {}
            _ => tokens.push(Token::Sign(first)),
        }
        rest = others;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What an expression uses.
#[derive(Debug, Default, PartialEq)]
struct Uses {
    /// Metrics, each with its labels and the values they are compared with.
    metrics: Vec<(String, Vec<(String, String)>)>,
    /// Labels by which values are grouped.
    groups: BTreeSet<String>,
}

fn uses(expr: &str) -> Uses {
    let tokens = tokens(expr);
    let mut uses = Uses::default();
    let mut at = 0;
    // The words and texts in the brackets that open here.
    let inside = |open: usize, close: char| -> Vec<String> {
        let within = tokens[open + 1..].iter();
        within
            .take_while(|token| **token != Token::Sign(close))
            .filter_map(|token| match token {
                Token::Word(text) | Token::Text(text) => Some(text.clone()),
                Token::Sign(_) => None,
            })
            .collect()
    };
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Word(word) if ["by", "on", "without", "ignoring"].contains(&&**word) => {
                uses.groups.extend(inside(at + 1, ')'));
            }
            Token::Word(word) if word.starts_with("evenhand_") => {
                let mut compared = Vec::new();
                if tokens.get(at + 1) == Some(&Token::Sign('{')) {
                    let pairs = inside(at + 1, '}');
                    let pairs = pairs.chunks_exact(2);
                    compared.extend(pairs.map(|pair| (pair[0].clone(), pair[1].clone())));
                }
                uses.metrics.push((word.clone(), compared));
            }
            _ => {}
        }
        at += 1;
    }
    uses
}

/// The metric of which this is a series, and the labels of the series.
fn series(name: &str) -> Option<(&'static Metric, BTreeSet<&'static str>)> {
    all().find_map(|metric| {
        let suffix = name.strip_prefix(metric.name)?;
        let mut labels: BTreeSet<_> = metric.labels.iter().copied().collect();
        match (metric.kind, suffix) {
            (MetricKind::Counter | MetricKind::Gauge, "") => {}
            (MetricKind::Seconds, "_sum" | "_count") => {}
            (MetricKind::Seconds, "_bucket") => {
                labels.insert("le");
            }
            _ => return None,
        }
        Some((metric, labels))
    })
}

/// What may be compared with a label of this metric, where that is a fixed list.
fn values(metric: &Metric, label: &str) -> Option<BTreeSet<String>> {
    let own = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
    Some(match (metric.name, label) {
        (_, "row") => {
            let rows = rows().map(|row| row.id.to_owned());
            rows.chain(["custom".to_owned()]).collect()
        }
        (_, "phase") => own(&Phase::ALL.map(Phase::name)),
        (CHECKOUTS | CHECKOUT_SECONDS, "outcome") => own(&Outcome::ALL.map(Outcome::name)),
        ("evenhand_probes_total", "outcome") => own(&["recovered", "failed", "abandoned"]),
        ("evenhand_peers", "state") => {
            let states = [State::Up, State::Ejected, State::Probing, State::Draining];
            states.iter().map(State::to_string).collect()
        }
        (CONNECTIONS, "state") => own(&["in_use", "idle"]),
        (RERUNS, "work") => own(&["idempotent", "transaction", "start_transaction"]),
        (RERUNS, "cause") => own(&["connection_lost", "rolled_back", "try_timeout", "ejected"]),
        // Names of users, and reasons.
        (_, "pool" | "peer" | "reason") => return None,
        (name, label) => panic!("what values has {label} of {name}?"),
    })
}

/// Each rule's name and its expression.
fn alerts() -> BTreeMap<String, Yaml> {
    let text = fs::read_to_string(docs("alerts.yml")).unwrap();
    let file = YamlLoader::load_from_str(&text).unwrap().remove(0);
    let mut alerts = BTreeMap::new();
    for group in file["groups"].as_vec().unwrap() {
        for rule in group["rules"].as_vec().unwrap() {
            let name = rule["alert"].as_str().unwrap().to_owned();
            assert!(alerts.insert(name, rule.clone()).is_none());
        }
    }
    alerts
}

#[test]
fn alert_rules_use_documented_metrics_and_labels() {
    let alerts = alerts();
    assert!(!alerts.is_empty());
    for (alert, rule) in alerts {
        let expr = rule["expr"].as_str().unwrap();
        let uses = uses(expr);
        assert!(!uses.metrics.is_empty(), "{alert}");
        let mut known = BTreeSet::new();
        for (name, compared) in &uses.metrics {
            let Some((metric, labels)) = series(name) else {
                panic!("{alert}: no metric has the series {name}")
            };
            for (label, text) in compared {
                assert!(labels.contains(&**label), "{alert}: {name} has no {label}");
                if let Some(values) = values(metric, label) {
                    let unknown: Vec<&str> = text
                        .split('|')
                        .filter(|value| !values.contains(*value))
                        .collect();
                    assert!(unknown.is_empty(), "{alert}: {label} is never {unknown:?}");
                }
            }
            known.extend(labels);
        }
        for group in &uses.groups {
            assert!(known.contains(&**group), "{alert}: no metric has {group}");
        }
        // What its texts fill in is there.
        for text in ["summary", "description"] {
            let text = rule["annotations"][text].as_str().unwrap();
            for part in text.split("$labels.").skip(1) {
                let label = part.split(|c| !is_word(c)).next().unwrap();
                assert!(known.contains(label), "{alert}: no metric has {label}");
                let kept = uses.groups.is_empty() || uses.groups.contains(label);
                assert!(kept, "{alert}: {label} is not in the result");
            }
        }
        assert!(rule["labels"]["severity"].as_str().is_some(), "{alert}");
    }
}

#[test]
fn values_of_a_label_are_those_of_its_metric() {
    let refused = [
        ("evenhand_mysql_checkouts_total", "outcome", "recovered"),
        (
            "evenhand_mysql_checkout_seconds_bucket",
            "outcome",
            "abandoned",
        ),
        ("evenhand_probes_total", "outcome", "refused"),
        ("evenhand_peers", "state", "idle"),
        ("evenhand_mysql_connections", "state", "up"),
        ("evenhand_mysql_reruns_total", "work", "other"),
        ("evenhand_mysql_reruns_total", "cause", "refused"),
    ];
    for (name, label, value) in refused {
        let (metric, _) = series(name).unwrap();
        let values = values(metric, label).unwrap();
        assert!(!values.contains(value), "{name} has no {label}={value}");
    }
}

#[test]
fn expressions_are_read() {
    let ratio =
        r#"sum by (pool, le) (rate(evenhand_a_bucket{state=~"up|down", x!="1"}[5m])) > 0.5"#;
    let expected = Uses {
        metrics: vec![(
            "evenhand_a_bucket".into(),
            vec![("state".into(), "up|down".into()), ("x".into(), "1".into())],
        )],
        groups: ["pool", "le"].map(String::from).into(),
    };
    assert_eq!(uses(ratio), expected);
}
