//! The address of a peer, before it has inherited a login.

use super::mysql_url;
use crate::plan::{DEFAULT_PORT, HostsKind};
use crate::read::context::Context;
use crate::read::value::{self, Host, Hosts, given, refuse, string};
use crate::tree::Table;

/// The part of an address that cannot be inherited.
pub(super) enum PartialAddress {
    Url(String),
    Host {
        host: String,
        port: u16,
        hosts: Option<HostsKind>,
    },
}

/// The address of a peer. `None` if it has none, or a wrong one.
pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<PartialAddress> {
    let url = url(table, cx);
    let host: Option<Host> = value::read(table, "host", cx);
    let port = match table.get("port") {
        None => Some(u32::from(DEFAULT_PORT)),
        Some(_) => value::read(table, "port", cx),
    };
    let hosts: Option<Hosts> = value::read(table, "hosts", cx);
    if table.contains_key("url") {
        return url.map(PartialAddress::Url);
    }
    if table.contains_key("hosts") {
        return hosts.map(|Hosts { kind, host, port }| PartialAddress::Host {
            host,
            port,
            hosts: Some(kind),
        });
    }
    let port = u16::try_from(port?).ok()?;
    let Host(host) = host?;
    Some(PartialAddress::Host {
        host,
        port,
        hosts: None,
    })
}

fn url(table: &Table, cx: &mut Context<'_>) -> Option<String> {
    let (item, kind) = given(table, "url")?;
    let url = string(item, kind, cx)?;
    if let Err(message) = mysql_url::check(url) {
        refuse(item, kind, message, cx);
        return None;
    }
    for finding in mysql_url::unknown_parameters(url) {
        cx.report.value_warning(&item.location, finding);
    }
    Some(url.to_owned())
}
