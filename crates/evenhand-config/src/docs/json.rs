//! JSON as it is written, for the schema.

use std::fmt::{self, Write as _};

pub(super) enum Json {
    Text(String),
    Number(u64),
    Bool(bool),
    Array(Vec<Json>),
    /// In this order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Json::Text(text.into())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Json::Array(texts.into_iter().map(Json::text).collect())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Json::Text(text) => quoted(text, f),
            Json::Number(number) => write!(f, "{number}"),
            Json::Bool(bool) => write!(f, "{bool}"),
            Json::Array(items) => lines(f, depth, ['[', ']'], items, |item, f| {
                item.write(f, depth + 1)
            }),
            Json::Object(entries) => lines(f, depth, ['{', '}'], entries, |(key, value), f| {
                quoted(key, f)?;
                f.write_str(": ")?;
                value.write(f, depth + 1)
            }),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Items in brackets, each on a line.
fn lines<T>(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    [open, close]: [char; 2],
    items: &[T],
    write: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (nth, item) in items.iter().enumerate() {
        f.write_str(if nth > 0 { ",\n" } else { "\n" })?;
        f.write_str(&"  ".repeat(depth + 1))?;
        write(item, f)?;
    }
    if !items.is_empty() {
        write!(f, "\n{}", "  ".repeat(depth))?;
    }
    f.write_char(close)
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_escapes_is_escaped() {
        let json = Json::Object(vec![
            ("a", Json::texts(["\"\\\n", "ß"])),
            ("b", Json::Array(vec![])),
        ]);
        let expected = "{\n  \"a\": [\n    \"\\\"\\\\\\u000a\",\n    \"ß\"\n  ],\n  \"b\": []\n}";
        assert_eq!(json.to_string(), expected);
    }
}
