//! A probe: a word, or a query.

use super::{Value, string, word};
use crate::keys::ValueKind;
use crate::plan::ProbeKind;
use crate::problem::{Finding, name};
use crate::read::context::Context;
use crate::suggest::nearest;
use crate::tree::{Data, Item, Table};

const KEYS: [&str; 2] = ["query", "expect"];

impl Value for ProbeKind {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        match &item.data {
            Data::Table(table) => query(item, table, cx),
            _ => word(item, kind, ProbeKind::from_word, cx),
        }
    }
}

fn query(item: &Item, table: &Table, cx: &mut Context<'_>) -> Option<ProbeKind> {
    let mut guesses = Vec::new();
    for (key, item) in table {
        if !KEYS.contains(&key.as_str()) {
            let missing = KEYS.into_iter().filter(|known| !table.contains_key(*known));
            let guess = nearest(key, missing);
            guesses.extend(guess);
            let name = name::shown(key);
            let message = format!("unknown key `{name}`; a probe has: query, expect");
            let finding = Finding::new(message).expected_only("query, expect");
            cx.report.key_error(&item.location, finding.suggest(guess));
        }
    }
    let mut text = |key: &str| match table.get(key) {
        Some(item) => string(item, ValueKind::Text, cx),
        None if guesses.contains(&key) => None,
        None => {
            let message = format!("a probe without `{key}`: give it `query` and `expect`");
            cx.report.key_error(&item.location, message);
            None
        }
    };
    let (sql, expect) = (text("query"), text("expect"));
    if let (Some(sql), Some(item)) = (sql, table.get("query"))
        && sql.trim().is_empty()
    {
        cx.report
            .value_error(&item.location, "empty: give a statement");
    }
    Some(ProbeKind::Query {
        sql: sql?.to_owned(),
        expect: expect?.to_owned(),
    })
}
