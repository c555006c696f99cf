//! Reads strict JSON, without comments or trailing commas.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Data, Item, Table};
use crate::problem::{Location, Place, Report, name};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The document. `None` if the text is not JSON, which is reported.
pub(crate) fn parse(text: &str, report: &mut Report<'_>) -> Option<Item> {
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => match &parsed.value {
            Some(value) => Some(item(String::new(), Place::start(), value, report)),
            None => {
                report.syntax("JSON", vec![(None, "there is nothing in it")]);
                None
            }
        },
        Err(error) => {
            // The message of the kind does not quote the text.
            let message = error.kind().to_string();
            let range = error.range();
            report.syntax("JSON", vec![(Some(range.start..range.end), &message)]);
            None
        }
    }
}

fn item(path: String, key: Place, value: &Value<'_>, report: &mut Report<'_>) -> Item {
    let data = match value {
        Value::StringLit(text) => Data::Text(text.value.to_string()),
        Value::NumberLit(number) => number_of(number.value),
        Value::BooleanLit(bool) => Data::Bool(bool.value),
        Value::NullKeyword(_) => Data::Null,
        Value::Array(array) => {
            let mut items = Vec::new();
            for (index, value) in array.elements.iter().enumerate() {
                let path = format!("{path}[{index}]");
                items.push(item(path, place(value.range()), value, report));
            }
            Data::Array(items)
        }
        Value::Object(object) => Data::Table(table(object, &path, report)),
    };
    let value = place(value.range());
    Item {
        location: Location { path, key, value },
        data,
    }
}

fn table(object: &Object<'_>, path: &str, report: &mut Report<'_>) -> Table {
    let mut table = Table::new();
    for property in &object.properties {
        let key = property.name.as_str();
        let key_at = place(property.name.range());
        let item = item(name::child(path, key), key_at, &property.value, report);
        if table.contains_key(key) {
            let message = "a second value for the same key: remove one";
            report.key_error(&item.location, message);
        } else {
            table.insert(key.to_owned(), item);
        }
    }
    table
}

fn number_of(text: &str) -> Data {
    if text.contains(['.', 'e', 'E']) {
        return Data::Float(text.parse().unwrap_or(f64::NAN));
    }
    Data::Integer(text.parse().unwrap_or(if text.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    }))
}

fn place(range: Range) -> Place {
    Place::Text(range.start..range.end)
}
