//! A probe: one of the known ones, or a query.

use super::context::{Context, given};
use super::name;
use crate::keys::{Kind, PROBES};
use crate::plan::Probe;
use crate::problem::Finding;
use crate::suggest::nearest;
use crate::tree::{Data, Item, Table};

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<Probe> {
    let (item, kind) = given(table, "probe")?;
    match &item.data {
        Data::Table(own) => query(item, own, cx),
        Data::Text(word) | Data::Loose(word) => match word.as_str() {
            "ping" => Some(Probe::Ping),
            "ready" => Some(Probe::Ready),
            "writable" => Some(Probe::Writable),
            _ => {
                cx.unknown_word(item, word, kind, PROBES);
                None
            }
        },
        _ => {
            cx.wrong_type(item, kind.expected());
            None
        }
    }
}

fn query(item: &Item, table: &Table, cx: &mut Context<'_>) -> Option<Probe> {
    const PARTS: [&str; 2] = ["query", "expect"];
    let mut guesses = Vec::new();
    for (key, item) in table {
        if !PARTS.contains(&key.as_str()) {
            let guess = nearest(
                key,
                PARTS.into_iter().filter(|part| !table.contains_key(*part)),
            );
            guesses.extend(guess);
            let message = format!(
                "unknown key `{}`; a probe has: query, expect",
                name::shown(key)
            );
            let finding = Finding::new(message).allowed("query, expect").near(guess);
            cx.report.add(&item.key_at, &item.path, finding);
        }
    }
    let mut part = |key: &str| match table.get(key) {
        Some(item) => cx.string(item, Kind::Text),
        None if guesses.contains(&key) => None,
        None => {
            let message = format!("a probe without `{key}`: give it `query` and `expect`");
            cx.report.add(&item.key_at, &item.path, message);
            None
        }
    };
    let (sql, expect) = (part("query"), part("expect"));
    if let (Some(sql), Some(item)) = (sql, table.get("query"))
        && sql.trim().is_empty()
    {
        cx.report.wrong(item, "empty: give a statement");
    }
    Some(Probe::Query {
        sql: sql?.to_owned(),
        expect: expect?.to_owned(),
    })
}
