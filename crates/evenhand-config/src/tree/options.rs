//! Django's `OPTIONS`: what its driver is given.

use super::django::ignore;
use super::{Data, Item, Table};
use crate::problem::Finding;
use crate::read::report::Report;

/// Options that are keys of ours.
const OURS: &[(&str, &str)] = &[
    ("host", "host"),
    ("port", "port"),
    ("user", "user"),
    ("password", "password"),
    ("passwd", "password"),
    ("database", "name"),
    ("db", "name"),
];

/// Options that are none, and why.
const OTHERS: &[(&str, &str)] = &[
    ("charset", "connections are in utf8mb4"),
    ("use_unicode", "texts are UTF-8"),
    ("collation", "it is the server's: set it there"),
    ("init_command", "send the statement where it is needed"),
    (
        "sql_mode",
        "it is the server's: set it there, or send a statement",
    ),
    (
        "isolation_level",
        "a transaction is given one when it begins",
    ),
    (
        "autocommit",
        "connections are in autocommit, outside of transactions",
    ),
    ("compress", "give it in a URL: ?compression=fast"),
    (
        "read_timeout",
        "a statement's time is limited where it is sent",
    ),
    (
        "write_timeout",
        "a statement's time is limited where it is sent",
    ),
    (
        "read_default_file",
        "no option file is read: give the keys here",
    ),
    (
        "read_default_group",
        "no option file is read: give the keys here",
    ),
    ("unix_socket", "peers are reached over TCP: see HOST"),
    ("cursorclass", "it is about Django's driver"),
    ("conv", "it is about Django's driver"),
    ("local_infile", "files are never sent"),
];

/// Puts the options that have a meaning among `ours`.
pub(super) fn translate(options: Item, balanced: bool, ours: &mut Table, report: &mut Report<'_>) {
    let Data::Table(table) = options.data else {
        let found = options.kind(report.dialect);
        let finding = Finding::new("").expected("an object").found(found);
        report.wrong(&options, finding);
        return;
    };
    for (key, item) in table {
        if let Some((_, name)) = OURS.iter().find(|(option, _)| *option == key) {
            ours.insert((*name).to_owned(), item);
        } else if key == "connect_timeout" {
            connect_timeout(item, balanced, ours, report);
        } else if key == "ssl" {
            ssl(item, ours, report);
        } else if key == "ssl_mode" {
            ssl_mode(item, ours, report);
        } else {
            let why = OTHERS.iter().find(|(option, _)| *option == key);
            let why = why.map_or("it is about Django's driver", |(_, why)| *why);
            ignore(&item, why, report);
        }
    }
}

fn connect_timeout(item: Item, balanced: bool, ours: &mut Table, report: &mut Report<'_>) {
    if balanced {
        ours.insert("attempt_timeout".to_owned(), item);
    } else {
        let why = "give ATTEMPT_TIMEOUT where the balanced database stands";
        ignore(&item, why, report);
    }
}

fn ssl(item: Item, ours: &mut Table, report: &mut Report<'_>) {
    let Data::Table(table) = item.data else {
        match item.data {
            Data::Bool(_) => drop(ours.insert("tls".to_owned(), item)),
            _ => {
                let found = item.kind(report.dialect);
                let finding = Finding::new("").expected("an object with ca, cert and key");
                report.wrong(&item, finding.found(found));
            }
        }
        return;
    };
    for (key, item) in table {
        match key.as_str() {
            "ca" | "cert" | "key" => drop(ours.insert(format!("tls_{key}"), item)),
            "check_hostname" => ignore(&item, "the server's name is always checked", report),
            _ => ignore(&item, "give a file of certificates as ca", report),
        }
    }
}

fn ssl_mode(mut item: Item, ours: &mut Table, report: &mut Report<'_>) {
    let Data::Text(mode) = &item.data else {
        let found = item.kind(report.dialect);
        report.wrong(&item, Finding::new("").expected("a string").found(found));
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
            report.wrong(&item, Finding::new("unknown word").expected(words));
            return;
        }
    };
    item.data = Data::Bool(on);
    ours.insert("tls".to_owned(), item);
}
