//! A JSON Schema for the TOML file.

use super::json::Json;
use crate::keys::{Key, Kind, PROBES, Scope, keys};

/// The schema of the TOML file, for editors: JSON Schema, draft 7. It knows every key, its kind and
/// bounds; what depends on several keys, and whether files and peers are there, only reading tells.
///
/// ```
/// assert!(evenhand_config::schema().contains("\"check_interval\""));
/// ```
pub fn schema() -> String {
    let refer =
        |name: &str| Json::Object(vec![("$ref", Json::text(format!("#/definitions/{name}")))]);
    let databases = Json::Object(vec![
        ("description", Json::text("The databases, by alias.")),
        ("type", Json::text("object")),
        ("minProperties", Json::Number(1)),
        (
            "additionalProperties",
            Json::Object(vec![(
                "anyOf",
                Json::Array(vec![refer("peer"), refer("balanced")]),
            )]),
        ),
    ]);
    let one_of_two = |key: &str| Json::Object(vec![("required", Json::texts([key]))]);
    let has_address = (
        "anyOf",
        Json::Array(vec![one_of_two("url"), one_of_two("host")]),
    );
    let has_peers = ("required", Json::texts(["peers"]));
    let definitions = Json::Object(vec![
        (
            "defaults",
            table("What holds for every database.", Scope::in_defaults, None),
        ),
        ("peer", table("A peer.", Scope::in_peers, Some(has_address))),
        (
            "balanced",
            table("A balanced database.", Scope::in_balanced, Some(has_peers)),
        ),
    ]);
    let schema = Json::Object(vec![
        (
            "$schema",
            Json::text("http://json-schema.org/draft-07/schema#"),
        ),
        ("title", Json::text("Evenhand")),
        ("type", Json::text("object")),
        ("required", Json::texts(["databases"])),
        ("additionalProperties", Json::Bool(false)),
        (
            "properties",
            Json::Object(vec![
                ("defaults", refer("defaults")),
                ("databases", databases),
            ]),
        ),
        ("definitions", definitions),
    ]);
    format!("{schema}\n")
}

/// A table with the keys that may stand in it.
fn table(
    description: &str,
    in_scope: fn(Scope) -> bool,
    rule: Option<(&'static str, Json)>,
) -> Json {
    let keys = keys().iter().filter(|key| in_scope(key.scope));
    let mut table = vec![
        ("description", Json::text(description)),
        ("type", Json::text("object")),
        ("additionalProperties", Json::Bool(false)),
        (
            "properties",
            Json::Object(keys.map(|key| (key.name, value(key))).collect()),
        ),
    ];
    table.extend(rule);
    Json::Object(table)
}

fn value(key: &Key) -> Json {
    let description = format!("{} Default: {}.", key.doc, key.default);
    let mut value = vec![("description", Json::text(description))];
    value.extend(kind(key.kind));
    Json::Object(value)
}

fn kind(kind: Kind) -> Vec<(&'static str, Json)> {
    let of_type = |name: &str| ("type", Json::text(name));
    let none = || Json::Object(vec![("const", Json::text("none"))]);
    let either = |first: Vec<(&'static str, Json)>, second: Json| {
        vec![("anyOf", Json::Array(vec![Json::Object(first), second]))]
    };
    match kind {
        Kind::Text | Kind::Secret => vec![of_type("string")],
        Kind::Url => vec![
            of_type("string"),
            ("pattern", Json::text("^[Mm][Yy][Ss][Qq][Ll]://")),
        ],
        Kind::Host | Kind::Variable | Kind::File => {
            vec![of_type("string"), ("minLength", Json::Number(1))]
        }
        Kind::Aliases => vec![
            of_type("array"),
            ("items", Json::Object(vec![of_type("string")])),
            ("minItems", Json::Number(1)),
            ("uniqueItems", Json::Bool(true)),
        ],
        Kind::Duration { none, .. } => {
            let units = "(ns|us|ms|s|m|h|d|w|nsec|usec|msec|sec|secs|second|seconds|min|mins|minute|\
                         minutes|hr|hrs|hour|hours|day|days|week|weeks)";
            let or_none = if none { "none|" } else { "" };
            let pattern = format!("^({or_none}(\\s*[0-9.]+\\s*{units}\\s*)+)$");
            vec![of_type("string"), ("pattern", Json::Text(pattern))]
        }
        Kind::Integer {
            least,
            most,
            none: may_be_none,
        } => {
            let integer = vec![
                of_type("integer"),
                ("minimum", Json::Number(least.into())),
                ("maximum", Json::Number(most.into())),
            ];
            if may_be_none {
                either(integer, none())
            } else {
                integer
            }
        }
        Kind::Keep => either(
            vec![of_type("integer"), ("minimum", Json::Number(0))],
            Json::Object(vec![
                of_type("string"),
                ("pattern", Json::text("^\\s*(100|[0-9]{1,2})\\s*%\\s*$")),
            ]),
        ),
        Kind::Switch => vec![of_type("boolean")],
        Kind::Choice(words) => vec![("enum", Json::texts(words.iter().copied()))],
        Kind::Probe => {
            let text = || Json::Object(vec![of_type("string")]);
            let query = Json::Object(vec![
                of_type("object"),
                ("required", Json::texts(["query", "expect"])),
                ("additionalProperties", Json::Bool(false)),
                (
                    "properties",
                    Json::Object(vec![("query", text()), ("expect", text())]),
                ),
            ]);
            either(vec![("enum", Json::texts(PROBES.iter().copied()))], query)
        }
    }
}
