//! Reads TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Data, Item, Table};
use crate::problem::{Location, Place, Report, name};

/// The document. `None` if the text is not TOML, which is reported.
pub(crate) fn parse(text: &str, report: &mut Report<'_>) -> Option<Item> {
    let (document, errors) = DeTable::parse_recoverable(text);
    // The parser may have lost keys, which further checks would report as missing.
    if !errors.is_empty() {
        let errors = errors.iter().map(|error| (error.span(), error.message()));
        report.syntax("TOML", errors.collect());
        return None;
    }
    Some(Item {
        location: Location::document(),
        data: Data::Table(table(document.get_ref(), "")),
    })
}

fn table(entries: &DeTable<'_>, path: &str) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &str = AsRef::<str>::as_ref(key.get_ref());
        let path = name::child(path, name);
        (name.to_owned(), item(path, Place::Text(key.span()), value))
    };
    entries.iter().map(entry).collect()
}

fn item(path: String, key: Place, value: &Spanned<DeValue<'_>>) -> Item {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(integer) => Data::Integer(
            i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX),
        ),
        DeValue::Float(float) => Data::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(bool) => Data::Bool(*bool),
        DeValue::Datetime(_) => Data::Datetime,
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(index, value)| {
                let at = Place::Text(value.span());
                item(format!("{path}[{index}]"), at, value)
            });
            Data::Array(items.collect())
        }
        DeValue::Table(entries) => Data::Table(table(entries, &path)),
    };
    let value = Place::Text(value.span());
    Item {
        location: Location { path, key, value },
        data,
    }
}
