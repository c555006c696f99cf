//! Values and result sets.
//!
//! A column has one type for all its rows. It is taken from the values: if they agree it is theirs,
//! otherwise the column is text, as it would be in a `UNION` of unlike things.

/// A value in a row, or a parameter of a prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A signed integer (`BIGINT`).
    Int(i64),
    /// An unsigned integer (`BIGINT UNSIGNED`).
    UInt(u64),
    /// A `FLOAT`.
    Float(f32),
    /// A `DOUBLE`.
    Double(f64),
    /// A character string in utf8mb4. Dates and times are sent as text, too.
    Text(String),
    /// A binary string.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Value {
                Value::$variant(value.into())
            }
        })*
    };
}

value_from! {
    i8 => Int, i16 => Int, i32 => Int, i64 => Int,
    u8 => UInt, u16 => UInt, u32 => UInt, u64 => UInt,
    f32 => Float, f64 => Double,
    &str => Text, String => Text, Vec<u8> => Bytes,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl Value {
    /// A string if the bytes are valid UTF-8, else the bytes: the driver sends both alike.
    pub(super) fn from_wire_bytes(bytes: Vec<u8>) -> Value {
        String::from_utf8(bytes).map_or_else(|e| Value::Bytes(e.into_bytes()), Value::Text)
    }

    /// As it stands in a text row; `None` is NULL.
    pub(super) fn as_text(&self) -> Option<Vec<u8>> {
        match self {
            Value::Null => None,
            Value::Int(v) => Some(v.to_string().into_bytes()),
            Value::UInt(v) => Some(v.to_string().into_bytes()),
            Value::Float(v) => Some(v.to_string().into_bytes()),
            Value::Double(v) => Some(v.to_string().into_bytes()),
            Value::Text(v) => Some(v.clone().into_bytes()),
            Value::Bytes(v) => Some(v.clone()),
        }
    }

    /// As a number of seconds, for `SLEEP`; 0 if it is none.
    pub(super) fn as_seconds(&self) -> f64 {
        match self {
            Value::Null | Value::Bytes(_) => 0.0,
            Value::Int(v) => *v as f64,
            Value::UInt(v) => *v as f64,
            Value::Float(v) => f64::from(*v),
            Value::Double(v) => *v,
            Value::Text(v) => v.trim().parse().unwrap_or(0.0),
        }
    }

    /// Whether SQL would take it for true, for `autocommit`.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Text(v) => v.eq_ignore_ascii_case("on") || v.eq_ignore_ascii_case("true"),
            other => other.as_seconds() != 0.0,
        }
    }
}

/// A column's type, one for each way of writing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    UInt,
    Float,
    Double,
    Text,
    Bytes,
}

impl Kind {
    fn of(value: &Value) -> Option<Kind> {
        match value {
            Value::Null => None,
            Value::Int(_) => Some(Kind::Int),
            Value::UInt(_) => Some(Kind::UInt),
            Value::Float(_) => Some(Kind::Float),
            Value::Double(_) => Some(Kind::Double),
            Value::Text(_) => Some(Kind::Text),
            Value::Bytes(_) => Some(Kind::Bytes),
        }
    }

    /// The one kind of all these values, or text.
    fn common<'v>(values: impl Iterator<Item = &'v Value>) -> Kind {
        let mut kinds = values.filter_map(Kind::of);
        let Some(first) = kinds.next() else {
            return Kind::Text;
        };
        kinds.fold(first, |all, kind| match (all, kind) {
            (all, kind) if all == kind => all,
            (Kind::Bytes, _) | (_, Kind::Bytes) => Kind::Bytes,
            _ => Kind::Text,
        })
    }
}

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Column {
    /// A column of which no value is known yet, as in the answer to a PREPARE.
    pub(super) fn unknown(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            kind: Kind::Text,
        }
    }
}

/// What a read gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResultSet {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
}

impl ResultSet {
    /// A row that is too short is filled up with NULL, one that is too long is cut.
    pub(super) fn new(names: Vec<String>, mut rows: Vec<Vec<Value>>) -> ResultSet {
        for row in &mut rows {
            row.resize(names.len(), Value::Null);
        }
        let columns = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| Column {
                name,
                kind: Kind::common(rows.iter().map(|row| &row[i])),
            })
            .collect();
        ResultSet { columns, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_its_values_type_and_is_text_when_they_differ() {
        let rows = vec![
            vec![1.into(), Value::Null, 1.into(), "a".into()],
            vec![2.into(), 2.5.into(), "b".into(), vec![0xff].into()],
        ];
        let set = ResultSet::new(["a", "b", "c", "d"].map(String::from).to_vec(), rows);
        let kinds: Vec<Kind> = set.columns.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [Kind::Int, Kind::Double, Kind::Text, Kind::Bytes]);
    }

    #[test]
    fn rows_are_made_as_wide_as_the_columns() {
        let set = ResultSet::new(
            vec!["a".into(), "b".into()],
            vec![vec![1.into()], vec![1.into(), 2.into(), 3.into()]],
        );
        assert_eq!(
            set.rows,
            [vec![Value::Int(1), Value::Null], vec![1.into(), 2.into()]]
        );
    }
}
