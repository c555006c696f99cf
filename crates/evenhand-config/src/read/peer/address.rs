//! Where a peer is, before it has inherited anything.

use super::context::{Context, given};
use super::{host, mysql_url};
use crate::plan::DEFAULT_PORT;
use crate::problem::Finding;
use crate::tree::Table;

/// The part of an address that is a peer's own.
pub(super) enum Own {
    Url(String),
    Host { host: String, port: u16 },
}

/// Where a peer is; none if it has no address, or a wrong one.
pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<Own> {
    let url = url(table, cx);
    let host = host::read(table, "host", cx);
    let port = match table.get("port") {
        None => Some(u32::from(DEFAULT_PORT)),
        Some(_) => cx.integer(table, "port"),
    };
    if table.contains_key("url") {
        return url.map(Own::Url);
    }
    let port = u16::try_from(port?).ok()?;
    Some(Own::Host { host: host?, port })
}

fn url(table: &Table, cx: &mut Context<'_>) -> Option<String> {
    let (item, kind) = given(table, "url")?;
    let url = cx.string(item, kind)?;
    match mysql_url::check(url) {
        Ok(()) => {
            for doubt in mysql_url::doubts(url) {
                cx.report.warn(&item.at, &item.path, doubt);
            }
            Some(url.to_owned())
        }
        Err(message) => {
            let finding = Finding::new(message).allowed(kind.expected());
            cx.report.wrong(item, finding);
            None
        }
    }
}
