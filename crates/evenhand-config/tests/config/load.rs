//! Loading files.

use std::path::Path;

use evenhand_config::{Config, Error, Problem, Sources};

use crate::parts;

#[test]
fn text_without_a_file_is_called_inline() {
    let Err(Error::Invalid(problems)) = "".parse::<Config>() else {
        panic!("expected problems");
    };
    assert_eq!(
        problems.iter().next().map(Problem::origin),
        Some("<inline>")
    );
}

#[test]
fn loaded_file_is_named_in_its_errors() {
    let path = std::env::temp_dir().join(format!("evenhand-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[databases.db0]\nhost = 'h'").unwrap();
    let valid = Config::load(&path);
    std::fs::write(&path, "[databases.db0]\nhost = ''").unwrap();
    let invalid = Config::load(&path);
    std::fs::write(&path, b"[databases.db0]\nhost = '\xff'").unwrap();
    let not_utf8 = Config::load(&path);
    std::fs::remove_file(&path).unwrap();

    assert!(valid.unwrap().peer("db0").is_some());
    let shown = invalid.unwrap_err().to_string();
    assert!(
        shown.starts_with(&format!("{}:2:8: ", path.display())),
        "{shown}"
    );
    assert!(matches!(not_utf8, Err(Error::Read { .. })), "{not_utf8:?}");
}

#[test]
fn unreadable_file_is_reported_with_its_cause_once() {
    let error = Config::load("no/such/evenhand.toml").unwrap_err();
    assert_eq!(error.to_string(), "no/such/evenhand.toml: cannot be read");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let report = format!("error: no/such/evenhand.toml: cannot be read: {cause}");
    assert_eq!(error.report(), report);
    let Error::Read { path, source } = error else {
        panic!("expected a read error");
    };
    assert_eq!(path, Path::new("no/such/evenhand.toml"));
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn password_file_is_read_with_each_load() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "evenhand.toml",
        "[databases.a]\nhost = 'h'\npassword_file = 'password'",
    );
    let path = directory.path().join("evenhand.toml");
    let password = |config: &Config| parts(config.peer("a").unwrap()).3.to_owned();
    write("password", "old\r\n");
    let old = Sources::none().load(&path).unwrap();
    write("password", "new ");
    let new = Sources::none().load(&path).unwrap();
    assert_eq!(
        (password(&old), password(&new)),
        ("old".into(), "new ".into())
    );
    assert_ne!(old, new);
    assert_eq!(
        new.reload_inputs(),
        [path, directory.path().join("password")]
    );
}

#[test]
fn parsed_text_cannot_read_files() {
    let text = "[databases.a]\nhost = 'h'\npassword_file = '/etc/hostname'";
    let error = Config::parse(text, "f").unwrap_err().to_string();
    assert_eq!(
        error,
        "f:3:17: databases.a.password_file: files are not read here: \
         load the configuration itself from a file"
    );
}

#[test]
fn format_depends_on_the_extension() {
    let json = Config::load("tests/good/seed_two.json").unwrap();
    assert_eq!(json, Config::load("tests/good/seed_two.toml").unwrap());
    let text = std::fs::read_to_string("tests/good/seed_two.toml").unwrap();
    assert!(Config::parse_json(&text, "f").is_err());
}
