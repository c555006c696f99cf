//! Django's `OPTIONS`: what its driver is given.

use super::{Data, Format, Item, Table};
use crate::problem::{Finding, Report};

/// Options that are keys of this crate.
const KEYS: &[(&str, &str)] = &[
    ("host", "host"),
    ("port", "port"),
    ("user", "user"),
    ("password", "password"),
    ("passwd", "password"),
    ("database", "name"),
    ("db", "name"),
];

/// Options without effect, and the reasons.
const IGNORED: &[(&str, &str)] = &[
    ("charset", "connections use utf8mb4"),
    ("use_unicode", "texts are UTF-8"),
    ("collation", "set it on the server"),
    (
        "autocommit",
        "connections use autocommit outside of transactions",
    ),
    ("compress", "use a URL: ?compression=fast"),
    (
        "read_timeout",
        "limit the time of statements where they are sent",
    ),
    (
        "write_timeout",
        "limit the time of statements where they are sent",
    ),
    (
        "read_default_file",
        "option files are not read: set the keys here",
    ),
    (
        "read_default_group",
        "option files are not read: set the keys here",
    ),
    ("unix_socket", "peers are reached over TCP: see HOST"),
    ("cursorclass", "it is an option of Django's driver"),
    ("conv", "it is an option of Django's driver"),
    ("local_infile", "files are never sent"),
];

/// Adds the options that have an effect to `keys`.
pub(super) fn translate(options: Item, balanced: bool, keys: &mut Table, report: &mut Report<'_>) {
    let Data::Table(mut table) = options.data else {
        wrong_type(&options, "an object", report);
        return;
    };
    // Django's driver sets the mode and the level after it has sent the command.
    let mut setup = Vec::new();
    for option in ["init_command", "sql_mode", "isolation_level"] {
        let item = table.remove(option);
        setup.extend(item.and_then(|item| statement(option, item, report)));
    }
    if let Some(first) = setup.first() {
        let location = first.location.clone();
        let data = Data::Array(setup);
        keys.insert("setup".to_owned(), Item { location, data });
    }
    for (option, item) in table {
        if let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == option) {
            keys.insert((*key).to_owned(), item);
        } else if option == "connect_timeout" && balanced {
            keys.insert(option, item);
        } else if option == "connect_timeout" {
            let why = "set CONNECT_TIMEOUT in the balanced database";
            ignore(&item, why, report);
        } else if option == "ssl" {
            ssl(item, keys, report);
        } else if option == "ssl_mode" {
            ssl_mode(item, keys, report);
        } else {
            let why = IGNORED.iter().find(|(name, _)| *name == option);
            let why = why.map_or("it is an option of Django's driver", |(_, why)| *why);
            ignore(&item, why, report);
        }
    }
}

/// The isolation levels that Django knows.
const LEVELS: [&str; 4] = [
    "read uncommitted",
    "read committed",
    "repeatable read",
    "serializable",
];

/// The statement that does what the option says, if it asks for one.
fn statement(option: &str, mut item: Item, report: &mut Report<'_>) -> Option<Item> {
    let text = match &item.data {
        Data::Text(text) => text.trim(),
        Data::Null => return None,
        _ => {
            wrong_type(&item, "a string", report);
            return None;
        }
    };
    let is_mode = |byte: u8| byte.is_ascii_alphanumeric() || b"_, ".contains(&byte);
    let statement = match option {
        "sql_mode" if !text.bytes().all(is_mode) => {
            let finding = Finding::new("not a mode").expected("words with commas between them");
            report.value_error(&item.location, finding);
            return None;
        }
        "sql_mode" => format!("SET SESSION sql_mode = '{text}'"),
        "isolation_level" if !LEVELS.contains(&&*text.to_lowercase()) => {
            let words = format!("one of {}", LEVELS.join(", "));
            let finding = Finding::new("unknown word").expected(words);
            report.value_error(&item.location, finding);
            return None;
        }
        "isolation_level" => {
            let level = text.to_uppercase();
            format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        }
        _ if text.is_empty() => return None,
        _ => text.to_owned(),
    };
    item.data = Data::Text(statement);
    Some(item)
}

/// Warns of a key or an option without effect.
pub(super) fn ignore(item: &Item, why: &str, report: &mut Report<'_>) {
    report.key_warning(&item.location, format!("it has no effect here: {why}"));
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type(item: &Item, expected: &str, report: &mut Report<'_>) {
    let found = item.type_name(Format::Django);
    let finding = Finding::new("").expected(expected).found(found);
    report.value_error(&item.location, finding);
}

fn ssl(item: Item, keys: &mut Table, report: &mut Report<'_>) {
    match item.data {
        Data::Bool(_) => drop(keys.insert("tls".to_owned(), item)),
        Data::Table(table) => {
            for (option, item) in table {
                match option.as_str() {
                    "ca" | "cert" | "key" => drop(keys.insert(format!("tls_{option}"), item)),
                    "check_hostname" => ignore(&item, "the host name is always checked", report),
                    _ => ignore(&item, "give a file of certificates as ca", report),
                }
            }
        }
        _ => wrong_type(&item, "an object with ca, cert and key", report),
    }
}

fn ssl_mode(mut item: Item, keys: &mut Table, report: &mut Report<'_>) {
    let Data::Text(mode) = &item.data else {
        wrong_type(&item, "a string", report);
        return;
    };
    let on = match mode.to_uppercase().as_str() {
        "DISABLED" => false,
        "REQUIRED" | "VERIFY_CA" | "VERIFY_IDENTITY" => true,
        "PREFERRED" => {
            let why = "encryption is on or off: give REQUIRED or DISABLED";
            return ignore(&item, why, report);
        }
        _ => {
            let words = "one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY";
            let finding = Finding::new("unknown word").expected(words);
            report.value_error(&item.location, finding);
            return;
        }
    };
    item.data = Data::Bool(on);
    keys.insert("tls".to_owned(), item);
}
