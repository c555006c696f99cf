//! The documents that are made of the table of keys are those in `docs/`, and the schema is true.
//! `EVENHAND_BLESS=1` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

#[track_caller]
fn assert_is(path: &str, made: &str) {
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        fs::write(path, made).unwrap();
    }
    let stands = fs::read_to_string(path).unwrap_or_default();
    assert!(
        stands == made,
        "{path} is not what is made of the table of keys: run with EVENHAND_BLESS=1"
    );
}

#[test]
fn the_reference_page_is_made_of_the_keys() {
    assert_is("../../docs/CONFIG.md", &evenhand_config::reference());
}

#[test]
fn the_schema_is_made_of_the_keys() {
    assert_is(
        "../../docs/evenhand.schema.json",
        &evenhand_config::schema(),
    );
}

#[test]
fn the_file_on_the_reference_page_is_valid() {
    let page = evenhand_config::reference();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let file = file.replace(
        "password_file = \"/run/secrets/shop\"",
        "password = \"secret\"",
    );
    let config = evenhand_config::Config::parse(&file, "evenhand.toml").unwrap();
    assert!(config.warnings().is_empty());
}

/// The schema, ready to be asked.
fn compiled() -> (Schemas, SchemaIndex) {
    let schema: Value = serde_json::from_str(&evenhand_config::schema()).unwrap();
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.add_resource("evenhand.json", schema).unwrap();
    let index = compiler.compile("evenhand.json", &mut schemas).unwrap();
    (schemas, index)
}

fn value(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).unwrap();
    toml::from_str(&text).ok()
}

fn toml_files(directory: &str) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(directory).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap_or_default() == "toml")
        .collect()
}

#[test]
fn the_schema_accepts_every_good_file() {
    let (schemas, index) = compiled();
    let files = toml_files("tests/good");
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        if let Err(error) = schemas.validate(&value(&path).unwrap(), index) {
            panic!("{}: {error:#}", path.display());
        }
    }
}

#[test]
fn the_schema_refuses_what_concerns_one_key() {
    /// What only reading a file tells: it takes several keys, other files, or the environment.
    const BEYOND: [&str; 35] = [
        "alias_is_a_url",
        "attempt_longer_than_checkout",
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
        "keep_more_than_there_are",
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
    ];
    const BEYOND_TOO: [&str; 8] = [
        "interval_near_the_parsers_end",
        "password_given_as_a_variable",
        "peer_url_parameters",
        "tls_cert_without_key",
        "tls_file_missing",
        "tls_off_with_ca",
        "weights_all_nought",
        "weights_that_do_not_count",
    ];
    let (schemas, index) = compiled();
    for path in toml_files("tests/bad") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What is not TOML is no value to ask about.
        let Some(value) = value(&path) else { continue };
        let beyond = BEYOND.contains(&name.as_str()) || BEYOND_TOO.contains(&name.as_str());
        assert_eq!(
            schemas.validate(&value, index).is_ok(),
            beyond,
            "{name}: {}",
            if beyond { "refused" } else { "accepted" }
        );
    }
}
