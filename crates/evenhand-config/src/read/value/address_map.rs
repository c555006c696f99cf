//! Addresses that stand for others.

use super::{Value, refuse, string};
use crate::host_port::HostPort;
use crate::keys::ValueKind;
use crate::read::context::Context;
use crate::tree::{Data, Item};

/// A text is one rule; a variable has them in one text, with commas.
impl Value for Vec<(HostPort, HostPort)> {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        match &item.data {
            Data::Array(items) => items
                .iter()
                .map(|item| rule(item, string(item, kind, cx)?, kind, cx))
                .collect(),
            Data::Loose(text) => {
                let rules = text.split(',');
                rules.map(|text| rule(item, text, kind, cx)).collect()
            }
            _ => {
                cx.wrong_type(item, kind.expected());
                None
            }
        }
    }
}

fn rule(
    item: &Item,
    text: &str,
    kind: ValueKind,
    cx: &mut Context<'_>,
) -> Option<(HostPort, HostPort)> {
    let rule = text.split_once('=').and_then(|(from, to)| {
        let address = |text: &str| text.trim().parse().ok();
        Some((address(from)?, address(to)?))
    });
    if rule.is_none() {
        let message = "not two addresses with `=` between them (IPv6 in brackets)";
        refuse(item, kind, message, cx);
    }
    rule
}
