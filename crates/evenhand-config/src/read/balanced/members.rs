//! The list of peers.

use std::collections::BTreeMap;

use crate::keys::ValueKind;
use crate::problem::{Finding, name};
use crate::read::context::Context;
use crate::suggest::nearest;
use crate::tree::{Data, Item, Role, Table};

/// The aliases in the `peers` of the balanced database `owner`, in order. Reports those that cannot be its
/// peers. `roles` and `databases` are those of all databases in the file.
pub(in crate::read) fn aliases<'t>(
    list: &'t Item,
    owner: &str,
    roles: &BTreeMap<&str, Role>,
    databases: &Table,
    cx: &mut Context<'_>,
) -> Vec<&'t str> {
    let items: Vec<(&Item, &str)> = match &list.data {
        Data::Array(items) => items
            .iter()
            .filter_map(|item| Some((item, alias(item, cx)?)))
            .collect(),
        // A variable has them in one text.
        Data::Loose(text) => text.split(',').map(|alias| (list, alias.trim())).collect(),
        _ => {
            cx.wrong_type(list, ValueKind::Aliases.expected());
            return Vec::new();
        }
    };
    if matches!(&list.data, Data::Array(all) if all.is_empty()) {
        let message = format!("no peer: list at least one; {}", known(roles));
        let finding = Finding::new(message).expected_only(known(roles));
        cx.report.value_error(&list.location, finding);
    }
    let mut aliases: Vec<&str> = Vec::new();
    for (item, alias) in items {
        if aliases.contains(&alias) {
            let message = format!("`{}` is already in the list: remove it", name::shown(alias));
            cx.report.value_error(&item.location, message);
        } else if let Some(finding) = mistake(alias, owner, roles, databases) {
            let finding = finding.found_only(name::shown(alias));
            let finding = finding.expected_only(known(roles));
            cx.report.value_error(&item.location, finding);
        }
        aliases.push(alias);
    }
    aliases
}

fn alias<'t>(item: &'t Item, cx: &mut Context<'_>) -> Option<&'t str> {
    match &item.data {
        Data::Text(alias) => Some(alias),
        _ => {
            cx.wrong_type(item, "a string, the alias of a peer");
            None
        }
    }
}

/// Why `alias` cannot be a peer of `owner`.
fn mistake(
    alias: &str,
    owner: &str,
    roles: &BTreeMap<&str, Role>,
    databases: &Table,
) -> Option<Finding> {
    let known = || known(roles);
    let shown = name::shown(alias);
    let message = match roles.get(alias) {
        _ if alias == owner => format!("a balanced database cannot list itself; {}", known()),
        Some(Role::Balanced) => format!(
            "`{shown}` is balanced itself: list its peers instead; {}",
            known()
        ),
        Some(Role::Foreign) => {
            format!("`{shown}` is not MySQL, as its ENGINE says; {}", known())
        }
        // An unclear role has been reported with its database.
        Some(Role::Peer | Role::Unclear) => return None,
        None if name::is_an_address(alias) => format!(
            "an address, not an alias: give it its own database and list that; {}",
            known()
        ),
        None => {
            let host_of = |peer: &&str| {
                let host = databases.get(*peer)?.table()?.get("host")?;
                matches!(&host.data, Data::Text(host) if host == alias).then_some(())
            };
            if let Some(guess) = nearest(alias, peers_of(roles)) {
                let message = format!("no database `{shown}`; {}", known());
                return Some(Finding::new(message).suggest(Some(guess)));
            }
            // The host of a peer may be given in place of its alias.
            let guess = peers_of(roles).find(|peer| host_of(peer).is_some());
            let host = guess.map_or("", |_| ", which is the host of one");
            let message = format!("no database `{shown}`{host}; {}", known());
            return Some(Finding::new(message).suggest(guess));
        }
    };
    Some(Finding::new(message))
}

fn known(roles: &BTreeMap<&str, Role>) -> String {
    format!("known: {}", name::list(peers_of(roles)))
}

fn peers_of<'a>(roles: &BTreeMap<&'a str, Role>) -> impl Iterator<Item = &'a str> {
    roles
        .iter()
        .filter(|(_, role)| **role == Role::Peer)
        .map(|(alias, _)| *alias)
}
