//! The schema for editors, `docs/evenhand.schema.json`, is made from the table of keys. `EVENHAND_BLESS=1` rewrites
//! it.

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use evenhand_config::{Key, Scope, ValueKind, keys};
use serde_json::{Map, Value, json};

use crate::{assert_file, files};

/// A JSON Schema, draft 7. It has every key with its kind and bounds, but no rules among keys.
fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Evenhand",
        "type": "object",
        "required": ["databases"],
        "additionalProperties": false,
        "properties": {
            "defaults": { "$ref": "#/definitions/defaults" },
            "databases": {
                "description": "The databases, by alias.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "anyOf": [
                        { "$ref": "#/definitions/peer" },
                        { "$ref": "#/definitions/balanced" },
                    ],
                },
            },
        },
        "definitions": {
            "defaults": table("The defaults of every database.", Scope::in_defaults, json!({})),
            "peer": table("A peer.", Scope::in_peers, json!({
                "anyOf": [{ "required": ["url"] }, { "required": ["host"] }, { "required": ["hosts"] }],
            })),
            "balanced": table("A balanced database.", Scope::in_balanced, json!({
                "required": ["peers"],
            })),
        },
    })
}

/// A table with the keys in a scope, and a rule.
fn table(description: &str, in_scope: fn(Scope) -> bool, rule: Value) -> Value {
    let keys = keys().iter().filter(|key| in_scope(key.scope));
    let properties: Map<String, Value> = keys
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    merged(
        json!({
            "description": description,
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        }),
        rule,
    )
}

fn property(key: &Key) -> Value {
    let description = format!("{} Default: {}.", key.doc, key.default);
    merged(json!({ "description": description }), kind(key.kind))
}

fn merged(mut object: Value, other: Value) -> Value {
    let (Value::Object(entries), Value::Object(other)) = (&mut object, other) else {
        panic!("expected objects");
    };
    entries.extend(other);
    object
}

fn kind(kind: ValueKind) -> Value {
    const UNITS: &str = "(ns|us|ms|s|m|h|d|w|nsec|usec|msec|sec|secs|second|seconds|min|mins|minute|\
                         minutes|hr|hrs|hour|hours|day|days|week|weeks)";
    match kind {
        ValueKind::Text | ValueKind::Secret => json!({ "type": "string" }),
        ValueKind::Url => json!({ "type": "string", "pattern": "^[Mm][Yy][Ss][Qq][Ll]://" }),
        ValueKind::Host | ValueKind::Variable | ValueKind::File => {
            json!({ "type": "string", "minLength": 1 })
        }
        ValueKind::Hosts => json!({ "type": "string", "pattern": "^(dns|srv):." }),
        ValueKind::Statements => json!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 } },
            ],
        }),
        ValueKind::Aliases => json!({
            "type": "array",
            "items": { "type": "string" },
            "minItems": 1,
            "uniqueItems": true,
        }),
        ValueKind::Duration { none, .. } => {
            let or_none = if none { "none|" } else { "" };
            let pattern = format!("^({or_none}(\\s*[0-9.]+\\s*{UNITS}\\s*)+)$");
            json!({ "type": "string", "pattern": pattern })
        }
        ValueKind::Integer { min, max, none } => {
            let integer = json!({ "type": "integer", "minimum": min, "maximum": max });
            if none {
                json!({ "anyOf": [integer, { "const": "none" }] })
            } else {
                integer
            }
        }
        ValueKind::MinUp => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^\\s*(100|[0-9]{1,2})\\s*%\\s*$" },
            ],
        }),
        ValueKind::AddressMap => json!({
            "type": "array",
            "items": { "type": "string", "pattern": "^[^=]+=[^=]+$" },
        }),
        ValueKind::Switch => json!({ "type": "boolean" }),
        ValueKind::Choice(words) => json!({ "enum": words }),
        ValueKind::Probe(words) => json!({
            "anyOf": [
                { "enum": words },
                {
                    "type": "object",
                    "required": ["query", "expect"],
                    "additionalProperties": false,
                    "properties": {
                        "query": { "type": "string" },
                        "expect": { "type": "string" },
                    },
                },
            ],
        }),
        other => panic!("no schema for {other:?}"),
    }
}

/// The compiled schema.
fn compiled() -> (Schemas, SchemaIndex) {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.add_resource("evenhand.json", schema()).unwrap();
    let index = compiler.compile("evenhand.json", &mut schemas).unwrap();
    (schemas, index)
}

/// A TOML file as a value. `None` if it is not TOML.
fn value(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).unwrap();
    toml::from_str(&text).ok()
}

#[test]
fn schema_is_up_to_date() {
    let text = format!("{:#}\n", schema());
    assert_file("../../docs/evenhand.schema.json", &text);
}

#[test]
fn schema_accepts_good_files() {
    let (schemas, index) = compiled();
    let files = files("tests/good", &["toml"]);
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        if let Err(error) = schemas.validate(&value(&path).unwrap(), index) {
            panic!("{}: {error:#}", path.display());
        }
    }
}

#[test]
fn schema_refuses_mistakes_in_single_keys() {
    /// These need several keys, other files, or the environment.
    const BEYOND: [&str; 43] = [
        "alias_is_a_url",
        "connect_longer_than_checkout",
        "defaults_out_of_order",
        "env_ambiguous",
        "env_bad_values",
        "env_unknown_database",
        "env_unknown_key",
        "env_unknown_section",
        "env_url_beside_host",
        "fall_without_checks",
        "first_recheck_longer",
        "interval_too_long",
        "interval_zero",
        "min_up_more_than_there_are",
        "password_env_empty",
        "password_env_not_set",
        "password_file_empty",
        "password_file_is_a_directory",
        "password_file_missing",
        "peer_host_is_a_socket",
        "peer_host_with_login",
        "peer_host_with_port",
        "peer_hosts",
        "peer_pool_min_above_default",
        "peer_pool_min_above_max",
        "peer_two_passwords",
        "peer_url_says_it_too",
        "peer_url_with_hosts",
        "peer_url_with_slash_in_password",
        "peer_url_without_user",
        "peer_with_url_and_parts",
        "peers_by_host",
        "peers_nested",
        "peers_unknown",
        "peers_with_a_url",
        "interval_near_the_parsers_end",
        "password_given_as_a_variable",
        "peer_url_parameters",
        "tls_cert_without_key",
        "tls_file_missing",
        "tls_off_with_ca",
        "weights_all_zero",
        "weights_that_do_not_count",
    ];
    let (schemas, index) = compiled();
    for path in files("tests/bad", &["toml"]) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let Some(value) = value(&path) else { continue };
        let beyond = BEYOND.contains(&name.as_str());
        assert_eq!(
            schemas.validate(&value, index).is_ok(),
            beyond,
            "{name}: {}",
            if beyond { "refused" } else { "accepted" }
        );
    }
}
