//! The reference page, `docs/CONFIG.md`, is made from the table of keys. `EVENHAND_BLESS=1` rewrites it.

use std::fmt::Write as _;

use evenhand_config::{Config, Key, Scope, keys};

use crate::assert_file;

/// The page, with a comment in place of each table.
const TEMPLATE: &str = include_str!("reference.md");

fn page() -> String {
    let tables = [
        ("PEER", Scope::Peer),
        ("INHERITED", Scope::Inherited),
        ("BALANCED", Scope::Balanced),
        ("SETTING", Scope::Setting),
    ];
    tables
        .iter()
        .fold(TEMPLATE.to_owned(), |page, (name, scope)| {
            page.replace(&format!("<!-- {name} -->\n"), &table(*scope))
        })
}

fn table(scope: Scope) -> String {
    let mut table = "| key | value | default | meaning | setting |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for key in keys().iter().filter(|key| key.scope == scope) {
        let (name, kind, doc, setting) = (key.name, key.kind.expected(), key.doc, key.setting);
        let default = default(key);
        writeln!(
            table,
            "| `{name}` | {kind} | {default} | {doc} | `{setting}` |"
        )
        .unwrap();
    }
    table
}

fn default(key: &Key) -> String {
    let is_value = !key.default.contains(' ') && !["none", "required"].contains(&key.default);
    if is_value || key.kind.may_be_none() {
        format!("`{}`", key.default)
    } else {
        key.default.to_owned()
    }
}

#[test]
fn reference_page_is_up_to_date() {
    assert_file("../../docs/CONFIG.md", &page());
}

#[test]
fn file_on_the_reference_page_is_valid() {
    let (_, rest) = TEMPLATE.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let file = file.replace(
        "password_file = \"/run/secrets/shop\"",
        "password = \"secret\"",
    );
    let config = Config::parse(&file, "evenhand.toml").unwrap();
    assert!(config.warnings().is_empty());
}
