//! The reference page of all keys.

use std::fmt::Write as _;

use crate::keys::{Key, Scope, keys};

const PAGE: &str = include_str!("reference.md");

/// The reference page of all keys, in Markdown.
///
/// ```
/// assert!(evenhand_config::reference().contains("| `check_interval` |"));
/// ```
pub fn reference() -> String {
    let places = [
        ("PEER", Scope::Peer),
        ("INHERITED", Scope::Inherited),
        ("BALANCED", Scope::Balanced),
        ("SETTING", Scope::Setting),
    ];
    places.iter().fold(PAGE.to_owned(), |page, (name, scope)| {
        page.replace(&format!("<!-- {name} -->\n"), &table(*scope))
    })
}

/// The keys that may stand in one place.
fn table(scope: Scope) -> String {
    let mut table = "| key | value | default | meaning | setting |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for key in keys().iter().filter(|key| key.scope == scope) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | `{}` |",
            key.name,
            key.kind.expected(),
            default(key),
            key.doc,
            key.setting
        );
    }
    table
}

fn default(key: &Key) -> String {
    let is_a_value = !key.default.contains(' ') && !["none", "required"].contains(&key.default);
    if is_a_value || key.kind.may_be_none() {
        format!("`{}`", key.default)
    } else {
        key.default.to_owned()
    }
}
