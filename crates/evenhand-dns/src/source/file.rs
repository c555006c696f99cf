//! A list of addresses in a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::lookup::address::Address;
use crate::lookup::error::{BoxError, Error};
use crate::lookup::found::Found;

/// A list is not longer, in bytes: what is was not meant as one.
const MOST_BYTES: u64 = 4 << 20;

/// How the list is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Json,
    Toml,
}

impl Format {
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("toml") => Ok(Self::Toml),
            _ => Err(Error::Name {
                text: path.display().to_string(),
                reason: "a list of peers is a file that ends in `.json` or `.toml`",
            }),
        }
    }
}

/// Reads and checks the whole list.
pub(super) fn read(
    path: &Path,
    name: &Arc<str>,
    format: Format,
    interval: Duration,
) -> Result<Found, Error> {
    let list = text(path).map_err(BoxError::from);
    let list = list.and_then(|text| parse(&text, format));
    let list = list.map_err(|source| Error::Failed {
        name: name.clone(),
        source,
    })?;
    Ok(Found {
        addresses: list,
        valid_for: interval,
        lost: Vec::new(),
    })
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MOST_BYTES + 1);
    let mut read = io::BufReader::new(read);
    if read.read_to_string(&mut text)? as u64 > MOST_BYTES {
        let error = format!("it is longer than {MOST_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(text)
}

fn parse(text: &str, format: Format) -> Result<Vec<Address>, BoxError> {
    let entries: Vec<Entry> = match format {
        Format::Json => serde_json::from_str(text)?,
        Format::Toml => toml::from_str::<Document>(text)?.peers,
    };
    Ok(entries.into_iter().map(|entry| entry.0).collect())
}

/// TOML has no lists at the top.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    peers: Vec<Entry>,
}

/// `"10.0.0.1:3306"`, or a table. Read by hand, as serde's untagged enums do not say what is wrong.
struct Entry(Address);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: Entry,
    host: Option<String>,
    weight: Option<u32>,
    tier: Option<u32>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address with a port, as in \"10.0.0.1:3306\", or a table with `address`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        match text.parse() {
            Ok(addr) => Ok(Entry(Address::new(addr))),
            Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        let mut address = table.address.0;
        if let Some(host) = table.host {
            address.host = host.into();
        }
        address.weight = table.weight.unwrap_or(address.weight);
        address.tier = table.tier.unwrap_or(address.tier);
        Ok(Entry(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Vec<Address> {
        let address = |text: &str| Address::new(text.parse().unwrap());
        vec![
            address("10.0.0.1:3306"),
            address("[fd00::2]:3306")
                .with_host("db2.example")
                .with_weight(3)
                .with_tier(1),
        ]
    }

    #[test]
    fn json_and_toml_say_the_same() {
        let json = r#"[
            "10.0.0.1:3306",
            {"address": "[fd00::2]:3306", "host": "db2.example", "weight": 3, "tier": 1}
        ]"#;
        assert_eq!(parse(json, Format::Json).unwrap(), full());
        let toml = r#"
            peers = [
                "10.0.0.1:3306",
                { address = "[fd00::2]:3306", host = "db2.example", weight = 3, tier = 1 },
            ]
        "#;
        assert_eq!(parse(toml, Format::Toml).unwrap(), full());
        let tables = r#"
            [[peers]]
            address = "10.0.0.1:3306"
            [[peers]]
            address = "[fd00::2]:3306"
            host = "db2.example"
            weight = 3
            tier = 1
        "#;
        assert_eq!(parse(tables, Format::Toml).unwrap(), full());
    }

    #[test]
    fn mistake_is_named_with_its_line() {
        for (text, format, expected) in [
            (
                "[\n\"db.example:3306\"]",
                Format::Json,
                "an IP address with a port",
            ),
            (
                "[\n{\"address\": \"10.0.0.1:1\", \"wieght\": 3}]",
                Format::Json,
                "wieght",
            ),
            ("[\n{\"weight\": 3}]", Format::Json, "address"),
            ("[\n\"10.0.0.1:1\"", Format::Json, "EOF"),
            (
                "\npeers = [\"10.0.0.1\"]",
                Format::Toml,
                "an IP address with a port",
            ),
            ("\npeer = []", Format::Toml, "peer"),
        ] {
            let error = parse(text, format).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("line 2"),
                "{text}: {error}"
            );
        }
        // A file that is being written is empty for a moment. That is no list.
        assert!(parse("", Format::Json).is_err() && parse("", Format::Toml).is_err());
    }

    #[test]
    fn file_of_another_kind_is_refused() {
        let error = Format::of(Path::new("peers.yaml")).unwrap_err();
        assert!(error.to_string().contains("`.json` or `.toml`"), "{error}");
    }

    #[test]
    fn file_that_is_too_long_is_refused() {
        let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        file.as_file().set_len(MOST_BYTES + 1).unwrap();
        let name: Arc<str> = "peers".into();
        let error = read(file.path(), &name, Format::Json, Duration::ZERO).unwrap_err();
        let error = crate::lookup::error::chain(&error);
        assert!(error.contains("longer than"), "{error}");
    }
}
